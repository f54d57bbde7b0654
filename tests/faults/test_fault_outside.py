"""A real daemon while everything around it misbehaves: AWS, its files, its disk, its operator."""

import asyncio
import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from fault_rig import Daemon, Nursery, Pieces, machine, playbook, until

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("faults-outside")]

#: A probe of the loop and a scrape must be answered within this many seconds, whatever AWS does.
PROMPT = 0.1


def watching(name: str, queue: str = "orders", region: str = "us-east-1") -> str:
    """Two checks a second each: a queue, which the tests disturb, and a state machine, which must not notice."""
    return f"""
pipeline: etl
aws: {{region: {region}}}
checks:
  queue: {{kind: queue_depth, interval: 1s, timeout: 1s, queues: [{queue}]}}
  rate: {{kind: execution_rate, interval: 1s, timeout: 1s, state_machines: ["{machine(name)}"], cross_check: false}}
"""


async def check(daemon: Daemon, name: str) -> dict[str, Any]:
    """One check as the API shows it."""
    told = await daemon.get("/api/v1/checks")
    items = told if isinstance(told, list) else next((v for v in (told or {}).values() if isinstance(v, list)), [])
    return next((one for one in items if one["name"] == name), {})


async def answers(daemon: Daemon, path: str) -> float:
    """Seconds until an answer with status 200."""
    assert daemon.session is not None
    began = time.perf_counter()
    async with daemon.session.get(daemon.url + path) as reply:
        await reply.read()
        assert reply.status == 200
    return time.perf_counter() - began


async def make_queue(pieces: Pieces) -> None:
    await (await pieces.world.aws("sqs")).create_queue(QueueName="orders")


@pytest.mark.parametrize(
    ("fault", "reasons"),
    [
        ({"hang": 30}, {"timeout"}),
        ({"status": 400, "code": "ThrottlingException"}, {"throttled", "timeout"}),
        ({"status": 500}, {"unavailable", "timeout"}),
        ({"truncate": True}, {"unavailable", "invalid", "timeout"}),
        ({"drop": True}, {"unavailable", "timeout"}),
        ({"status": 403, "code": "ExpiredToken", "message": "expired"}, {"denied"}),
    ],
    ids=["hang", "throttle", "500", "truncate", "drop", "expired"],
)
async def test_a_disturbed_service_makes_its_check_unknown_and_disturbs_nothing_else(
    nursery: Nursery, pieces: Pieces, tmp_path: Path, fault: dict[str, Any], reasons: set[str]
) -> None:
    """Unknown with its reason; the other check, liveness and scrapes go on in time; then it is known again."""
    await make_queue(pieces)
    await pieces.make("w", None)
    async with Daemon(nursery, tmp_path, watching("w")) as daemon:
        await daemon.start()
        await until(lambda: _level(daemon, "queue", "ok"), 15)
        await pieces.world.side.post("faults", faults=[{"target": "sqs:*", "count": 100_000, **fault}])
        await until(lambda: _level(daemon, "queue", "unknown"), 15)
        before = (await check(daemon, "rate"))["runs"]
        slowest = 0.0
        for _ in range(20):
            slowest = max(slowest, await answers(daemon, "/healthz"), await answers(daemon, "/metrics"))
            await asyncio.sleep(0.1)
        assert (await check(daemon, "queue"))["reason"] in reasons
        rate = await check(daemon, "rate")
        assert rate["level"] == "ok"
        assert rate["runs"] - before >= 1
        assert slowest < PROMPT or os.getloadavg()[0] > 4, f"an answer took {slowest:.3f}s"
        await pieces.world.side.post("faults", faults=[])
        await until(lambda: _level(daemon, "queue", "ok"), 40)


async def test_sigterm_ends_within_the_grace_while_calls_hang(nursery: Nursery, pieces: Pieces, tmp_path: Path) -> None:
    """A probe that hangs and a cut that hangs: gone within 6 s, the change journalled, finished by the next process."""
    await pieces.make("t", 100)
    async with Daemon(nursery, tmp_path, playbook("t")) as daemon:
        await daemon.start()
        await until(daemon.breaker, 10)
        hang = {"target": "lambda:PutFunctionConcurrency", "count": 1000, "hang": 60}
        await pieces.world.side.post("faults", faults=[hang])
        await daemon.post("/api/v1/breakers/etl/loop/trip", by="test")
        await asyncio.sleep(1.5)
        began = time.monotonic()
        daemon.signal(signal.SIGTERM)
        await until(lambda: not daemon.lives(), 10)
        assert time.monotonic() - began < 6.5
        await pieces.world.side.post("faults", faults=[])
        await daemon.start()
        await until(lambda: _state(daemon, "open"), 40)
        assert await pieces.state("t") == ("DISABLED", 5, 0)


async def test_a_missing_queue_is_unknown_and_says_so(nursery: Nursery, pieces: Pieces, tmp_path: Path) -> None:
    """Not zero messages: no queue."""
    await pieces.make("m", None)
    async with Daemon(nursery, tmp_path, watching("m", queue="nowhere")) as daemon:
        await daemon.start()
        await until(lambda: _level(daemon, "rate", "ok"), 15)
        found = await check(daemon, "queue")
        assert (found["level"], found["reason"]) == ("unknown", "not_found")


async def test_an_unknown_region_keeps_the_daemon_up(nursery: Nursery, pieces: Pieces, tmp_path: Path) -> None:
    """Nothing is known there, and everything else answers."""
    await pieces.make("r", None)
    async with Daemon(nursery, tmp_path, watching("r", region="xx-nowhere-9")) as daemon:
        await daemon.start()
        await until(lambda: _level(daemon, "queue", "unknown"), 20)
        await answers(daemon, "/healthz")


async def test_a_bad_config_on_sighup_changes_nothing(nursery: Nursery, pieces: Pieces, tmp_path: Path) -> None:
    """The running config stays, the mistake is told with its place, and a good one is taken."""
    await pieces.make("h", None)
    async with Daemon(nursery, tmp_path, watching("h")) as daemon:
        await daemon.start()
        await until(lambda: _level(daemon, "rate", "ok"), 15)
        runs = (await check(daemon, "rate"))["runs"]
        daemon.path.write_text(watching("h").replace("interval: 1s", "intervall: 1s"))
        daemon.signal(signal.SIGHUP)
        status = await until(lambda: _status(daemon, lambda told: not told["config_ok"]), 10)
        assert "etl.yaml:5" in status["config_error"]
        assert "interval" in status["config_error"]
        await until(lambda: _more_runs(daemon, "rate", runs), 5)
        daemon.path.write_text(watching("h").replace("  queue:", "  line:"))
        daemon.signal(signal.SIGHUP)
        await until(lambda: _status(daemon, lambda told: told["config_ok"]), 10)
        await until(lambda: check(daemon, "line"), 5)
        assert (await check(daemon, "rate"))["runs"] > runs, "an unchanged check keeps what it knows"


async def test_a_second_daemon_on_the_same_store_refuses(nursery: Nursery, pieces: Pieces, tmp_path: Path) -> None:
    """It says who holds the file and ends; the first goes on."""
    await pieces.make("s", None)
    async with Daemon(nursery, tmp_path, watching("s")) as first:
        await first.start()
        await until(lambda: _level(first, "rate", "ok"), 15)
        async with Daemon(nursery, tmp_path / "two", watching("s")) as second:
            for name in ("state.db", "state.db-wal", "state.db-shm"):
                (tmp_path / "two" / name).symlink_to(tmp_path / name)
            await second.start()
            await until(lambda: not second.lives(), 10)
            assert "refused:" in second.log()
            assert str(first.pid) in second.log() or "another" in second.log() or "holds" in second.log()
        await answers(first, "/healthz")


async def test_a_concurrency_changed_by_hand_is_left_alone_and_told(
    nursery: Nursery, pieces: Pieces, tmp_path: Path
) -> None:
    """Somebody set 42 while it was open: the reset restores the rule, leaves the 42, and says drift."""
    await pieces.make("d", 100)
    async with Daemon(nursery, tmp_path, playbook("d")) as daemon:
        await daemon.start()
        await until(daemon.breaker, 10)
        await daemon.post("/api/v1/breakers/etl/loop/trip", by="test")
        await until(lambda: _state(daemon, "open"), 30)
        functions = await pieces.world.aws("lambda")
        await functions.put_function_concurrency(FunctionName="fn-d", ReservedConcurrentExecutions=42)
        await daemon.post("/api/v1/breakers/etl/loop/reset", by="test")
        await until(lambda: _state(daemon, "closed"), 30)
        assert (await pieces.state("d"))[:2] == ("ENABLED", 42)
        assert "action.drifted" in daemon.log()
        assert "fn-d" in daemon.log()


async def test_two_breakers_on_one_function_restore_the_base(nursery: Nursery, pieces: Pieces, tmp_path: Path) -> None:
    """5 and 3: the smaller rules while both are open; a kill in between changes nothing; 100 at the end."""
    await pieces.make("c", 100)
    second = """  other:
    mode: auto
    trip_when: rate.started_per_minute
    on_trip: [{set_lambda_concurrency: {function: fn-c, reserved: 3}}]
    recover: {mode: manual}
"""
    async with Daemon(nursery, tmp_path, playbook("c", second)) as daemon:
        await daemon.start()
        await until(daemon.breaker, 10)
        for name in ("loop", "other"):
            await daemon.post(f"/api/v1/breakers/etl/{name}/trip", by="test")
            await until(lambda name=name: _state(daemon, "open", name), 30)
        assert (await pieces.state("c"))[1] == 3
        daemon.signal(signal.SIGKILL)
        await until(lambda: not daemon.lives(), 5)
        await daemon.start()
        for name, left in (("other", 5), ("loop", 100)):
            await until(lambda name=name: _state(daemon, "open", name), 20)
            await daemon.post(f"/api/v1/breakers/etl/{name}/reset", by="test")
            await until(lambda name=name: _state(daemon, "closed", name), 30)
            assert (await pieces.state("c"))[1] == left


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small file system")
async def test_a_full_disk_stops_every_action_and_recovers(nursery: Nursery, pieces: Pieces, tmp_path: Path) -> None:
    """Not ready and no mutating call while the journal can't be written; once there is room the trip goes through."""
    await pieces.make("f", 100)
    small = tmp_path / "small"
    small.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(small)]
    if await asyncio.to_thread(subprocess.call, mounting) != 0:
        pytest.skip("this container may not mount")
    try:
        async with Daemon(nursery, small, playbook("f")) as daemon:
            await daemon.start()
            await until(daemon.breaker, 10)
            filler = small / "filler"
            with suppress(OSError), filler.open("wb", buffering=0) as file:
                while True:
                    file.write(b"x" * 4096)
            await until(lambda: _status(daemon, lambda told: not told["ready"]), 25)
            await pieces.world.side.post("reset-log")
            await daemon.post("/api/v1/breakers/etl/loop/trip", by="test")
            await asyncio.sleep(2)
            assert (await pieces.state("f")) == ("ENABLED", 100, 1)
            counts = await pieces.counts()
            assert counts.get("events:DisableRule", 0) == 0
            filler.unlink()
            await until(lambda: _status(daemon, lambda told: told["ready"]), 25)
            await daemon.post("/api/v1/breakers/etl/loop/trip", by="test")
            await until(lambda: _state(daemon, "open"), 40)
            assert (await pieces.state("f")) == ("DISABLED", 5, 0)
    finally:
        await asyncio.sleep(0.2)
        await asyncio.to_thread(subprocess.call, ["umount", "-l", str(small)])
        shutil.rmtree(small, ignore_errors=True)


async def _level(daemon: Daemon, name: str, level: str) -> bool:
    return (await check(daemon, name)).get("level") == level


async def _state(daemon: Daemon, state: str, name: str = "loop") -> bool:
    found = await daemon.breaker(name)
    return found is not None and found["state"] == state


async def _status(daemon: Daemon, holds: Any) -> Any:
    told = await daemon.get("/api/v1/status")
    return told if told is not None and holds(told) else None


async def _more_runs(daemon: Daemon, name: str, runs: int) -> bool:
    return bool((await check(daemon, name)).get("runs", 0) > runs)
