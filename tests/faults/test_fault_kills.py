"""A daemon killed at every boundary of its journal: one effect per change, everything restored exactly (law 3)."""

import asyncio
from pathlib import Path

import pytest
from fault_rig import Daemon, Nursery, Pieces, playbook, until

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("faults-kills")]

#: Daemons at once; each spends most of its life waiting.
AT_ONCE = 10


async def drive(daemon: Daemon, kill: tuple[int, str] | None) -> None:
    """Trip by hand, wait until it is open, reset, wait until it is closed; start it again whenever it died."""
    await daemon.start(kill)
    opened = False
    while True:
        if not daemon.lives():
            await daemon.start()
        found = await daemon.breaker()
        state = found["state"] if found else None
        resetting = found is not None and found["phase"] == "recover"
        if state == "closed" and opened:
            return
        if state == "closed":
            await daemon.post("/api/v1/breakers/etl/loop/trip", by="test", reason="drill")
        elif state == "open" or resetting:
            opened = True
            if not resetting:
                await daemon.post("/api/v1/breakers/etl/loop/reset", by="test")
        elif state == "half_open":
            opened = True
        await asyncio.sleep(0.1)


async def story(
    nursery: Nursery, pieces: Pieces, folder: Path, name: str, reserved: int | None, kill: tuple[int, str] | None
) -> int:
    """One whole trip and recovery; the journal commits it took. Fails unless all is as before."""
    await pieces.make(name, reserved)
    async with Daemon(nursery, folder, playbook(name)) as daemon:
        try:
            await asyncio.wait_for(drive(daemon, kill), 90)
        except TimeoutError:
            raise AssertionError(f"{name} hangs in {await daemon.breaker()}: {daemon.log()[-3000:]}") from None
        state = await pieces.state(name)
        assert state == ("ENABLED", reserved, 0), f"{name} killed at {kill}: {state}"
        found = await daemon.breaker()
        assert found is not None
        assert found["state"] == "closed"
        daemon.signal(15)
        await until(lambda: not daemon.lives(), 10)
        return daemon.commits()


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_kill_at_any_commit_has_no_second_effect(
    nursery: Nursery, pieces: Pieces, tmp_path: Path, moment: str
) -> None:
    """Each change is made once and undone once, over all boundaries together, whether a number was set or none."""
    boundaries = await story(nursery, pieces, tmp_path / "whole", "whole", 100, None)
    assert boundaries > 15
    await pieces.world.side.post("reset-log")
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        async with turns:
            reserved = 100 if number % 2 else None
            await story(nursery, pieces, tmp_path / f"k{number}", f"k{number}", reserved, (number, moment))

    async with asyncio.TaskGroup() as group:
        for number in range(1, boundaries + 1):
            group.create_task(one(number))
    counts, half = await pieces.counts(), (boundaries + 1) // 2
    # Setting a world up costs one PutFunctionConcurrency for each function that has a number.
    assert counts["lambda:PutFunctionConcurrency"] == boundaries + half + half
    assert counts["lambda:DeleteFunctionConcurrency"] == boundaries - half
    assert counts["events:DisableRule"] == counts["events:EnableRule"] == boundaries
    assert counts["stepfunctions:StopExecution"] == boundaries
