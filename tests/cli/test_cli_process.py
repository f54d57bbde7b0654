"""The command line as people start it: processes, an emulated AWS, real time."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from monitor.demo.emulator import child
from monitor.demo.emulator.child import Child
from monitor.demo.world import World
from monitor.engine.clock import SystemClock
from monitor.store import SqliteStore

pytestmark = pytest.mark.process

ROOT = Path(__file__).resolve().parents[2]
FILE = """\
pipeline: drill
aws: {region: us-east-1}
checks:
  rate:
    kind: execution_rate
    interval: 2s
    state_machines: etl-workflow
    cross_check: false
    thresholds:
      started_per_minute: {critical: {above: 200}}
      growth: off
  letters:
    kind: queue_depth
    queues: [etl-ingest-dlq]
    thresholds: {visible: {warning: {above: 0}, critical: {above: 1000, for: 5m}}, oldest_age: off}
breakers:
  cut:
    severity: SEV2
    mode: auto
    trip_when: rate.started_per_minute
    on_trip:
      - disable_rule: {rule: etl-s3-events}
"""


@pytest.fixture(scope="module")
def emulator() -> Iterator[Child]:
    """An emulated AWS."""
    with child.start() as running:
        yield running


@pytest.fixture
async def world(emulator: Child) -> AsyncIterator[World]:
    """The ETL pipeline's resources, quiet."""
    async with World(emulator.url) as built:
        await built.side.post("reset")
        await built.build()
        yield built


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The pipeline file."""
    path = tmp_path / "drill.yaml"
    path.write_text(FILE)
    return path


def tripswitch(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """`python -m monitor WORDS`, to its end."""
    bare = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "TRIPSWITCH_"))}
    return subprocess.run(
        [sys.executable, "-m", "monitor", *words], env=bare | environment, cwd=ROOT, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip


async def test_check_judges_the_live_pipeline(emulator: Child, world: World, file: Path) -> None:
    """Quiet: all ok, exit 0, data on stdout only, no progress without a terminal."""
    ended = await asyncio.to_thread(tripswitch, emulator.environment(), "check", str(file), "-o", "json")
    assert ended.returncode == 0, ended.stderr
    told: dict[str, Any] = json.loads(ended.stdout)
    values = {row["signal"]: row["value"] for row in told["observations"] if row["check"] == "rate"}
    assert told["level"] == "ok"
    assert values["started_per_minute"] == 0
    assert ended.stderr == ""


async def test_check_of_an_unreachable_aws_is_unknown(file: Path) -> None:
    """A failed read is never ok: exit 3, with the reason and without a traceback."""
    environment = child.KEYS | {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_EC2_METADATA_DISABLED": "true"}
    ended = await asyncio.to_thread(tripswitch, environment, "check", str(file), "--only", "letters")
    assert ended.returncode == 3
    assert "unknown" in ended.stdout
    assert "unavailable" in ended.stdout
    assert "Traceback" not in ended.stderr


async def test_a_local_trip_and_reset_reach_aws(emulator: Child, world: World, file: Path, tmp_path: Path) -> None:
    """Without any daemon the rule is cut, the journal keeps it, and a reset puts it back."""
    words = ("drill/cut", "--local", str(file), "--store", f"sqlite:///{tmp_path}/state.db", "--yes")
    environment = emulator.environment()
    tripped = await asyncio.to_thread(tripswitch, environment, "breaker", "trip", *words, "--reason", "drill")
    assert tripped.returncode == 0, tripped.stderr
    assert "drill/cut is open" in tripped.stderr
    assert await world.rule_state() == "DISABLED"
    reset = await asyncio.to_thread(tripswitch, environment, "breaker", "reset", *words)
    assert reset.returncode == 0, reset.stderr
    assert "was ENABLED" in reset.stderr
    assert await world.rule_state() == "ENABLED"


async def test_a_held_store_sends_people_to_the_daemon(file: Path, tmp_path: Path) -> None:
    """The lock is the daemon's: nothing is done, and the sentence says whom to ask."""
    store = SqliteStore(str(tmp_path / "state.db"), SystemClock())
    await store.open()
    words = ("drill/cut", "--local", str(file), "--store", f"sqlite:///{tmp_path}/state.db", "--yes")
    ended = await asyncio.to_thread(tripswitch, {}, "breaker", "trip", *words)
    await store.close()
    assert ended.returncode == 1
    assert "without --local" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.fixture
def heeded_interrupts() -> Iterator[None]:
    """A job in the background of a script inherits ignored interrupts, and so would the command under test."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeded_interrupts")
def test_an_interrupt_ends_quietly(file: Path) -> None:
    """Ctrl-C during a round: exit 130, no traceback."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        environment = {**os.environ, **child.KEYS, "AWS_ENDPOINT_URL": url, "AWS_EC2_METADATA_DISABLED": "true"}
        process = subprocess.Popen(
            [sys.executable, "-m", "monitor", "check", str(file)], env=environment, cwd=ROOT,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            silent.settimeout(60)
            connection, _ = silent.accept()  # the round has begun, and AWS says nothing
            process.send_signal(signal.SIGINT)
            _, words = process.communicate(timeout=20)
            connection.close()
        finally:
            process.kill()
            process.wait()
    assert process.returncode == 130
    assert words == ""


async def test_the_region_may_come_from_aws_region(emulator: Child, world: World, tmp_path: Path) -> None:
    """As other SDKs, containers and the chart say it; AWS_DEFAULT_REGION goes on to do."""
    file = tmp_path / "anywhere.yaml"
    file.write_text(FILE.replace("aws: {region: us-east-1}\n", ""))
    given = {name: value for name, value in emulator.environment().items() if name != "AWS_DEFAULT_REGION"}
    said = [
        await asyncio.to_thread(tripswitch, {**given, **region}, "check", str(file))
        for region in ({}, {"AWS_REGION": "us-east-1"}, {"AWS_DEFAULT_REGION": "us-east-1"})
    ]
    assert [one.returncode for one in said] == [3, 0, 0], said
    assert "no region: set `aws: {region: ...}` or AWS_REGION" in said[0].stdout
