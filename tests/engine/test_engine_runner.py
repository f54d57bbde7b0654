"""One run of one check, whatever its probe does."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from engine_rig import GAUGE, check

from monitor.core.model import Observation, Reason
from monitor.engine.runner import NO_TARGET, Run, Runner
from monitor.engine.supervisor import Supervisor
from monitor.plugin import ProbeError
from monitor.testing import FakeClock


async def ran(probe: Any, known: Any = (), **more: Any) -> Run:
    """The outcome of a run, time let pass until it ended."""
    clock, supervisor = FakeClock(), Supervisor()
    runner = Runner(clock, supervisor)
    task = asyncio.ensure_future(runner.run(check(**more), replace(GAUGE, probe=probe), None, known))  # type: ignore[arg-type]  # no AWS here
    for _ in range(40):
        await clock.advance(0.5)
        if task.done():
            break
    await supervisor.shutdown(0.1)
    return task.result()


def raising(error: BaseException) -> Any:
    async def probe(params: Any, ctx: Any) -> Any:
        raise error

    return probe


def giving(value: Any) -> Any:
    async def probe(params: Any, ctx: Any) -> Any:
        return value

    return probe


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ProbeError(Reason.DENIED, "no"), Reason.DENIED),
        (ExceptionGroup("two", [ProbeError(Reason.THROTTLED, "slow"), ValueError("x")]), Reason.THROTTLED),
        (TimeoutError(), Reason.TIMEOUT),
        (ZeroDivisionError("oops"), Reason.BUG),
        (SystemExit(3), Reason.BUG),
        (asyncio.CancelledError(), Reason.BUG),
    ],
)
async def test_whatever_is_raised_is_unknown(error: BaseException, reason: Reason) -> None:
    """Every target known from config is unknown, with a reason from the closed list."""
    run = await ran(raising(error))
    assert run.reason is reason
    assert [(o.target, o.value, o.reason) for o in run.observations] == [("a", None, reason)]


@pytest.mark.parametrize("value", [None, 7, "text", [1, 2], {"a": 1}, [{"target": "a"}]])
async def test_rubbish_is_unknown(value: Any) -> None:
    """What is no list of observations never reaches the board."""
    run = await ran(giving(value))
    assert run.reason is not None
    assert all(o.reason is not None for o in run.observations)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), True, "12", object()])
async def test_what_is_no_number_is_unknown(value: Any) -> None:
    """A value that is no finite number is invalid."""
    run = await ran(giving([Observation("level", "a", value)]))
    assert [(o.value, o.reason) for o in run.observations] == [(None, Reason.INVALID)]


async def test_naive_times_doubles_and_strangers_are_put_right() -> None:
    """A time without zone is the run's, a second word on one thing and undeclared signals are dropped."""
    seen = [
        Observation("level", "a", 1.0, at=datetime(2026, 1, 1)),
        Observation("level", "a", 2.0),
        Observation("other", "a", 3.0),
    ]
    run = await ran(giving(seen))
    assert [(o.signal, o.value) for o in run.observations] == [("level", 1.0)]
    assert run.observations[0].at == run.started


async def test_a_hang_ends_at_its_timeout() -> None:
    """Unknown for everything that was seen before and everything named."""

    async def probe(params: Any, ctx: Any) -> Any:
        await asyncio.Event().wait()

    run = await ran(probe, known=[("b", "level")])
    assert run.reason is Reason.TIMEOUT
    assert {o.target for o in run.observations} == {"a", "b"}
    assert 5.0 <= run.seconds < 6.0


async def test_a_probe_that_ignores_cancellation_is_left_behind_once() -> None:
    """The run ends all the same; while the old one hangs no other is begun."""
    clock, supervisor, begun, release = FakeClock(), Supervisor(), 0, asyncio.Event()

    async def probe(params: Any, ctx: Any) -> Any:
        nonlocal begun
        begun += 1
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return []

    runner = Runner(clock, supervisor)
    for _ in range(3):
        task = asyncio.ensure_future(runner.run(check(), replace(GAUGE, probe=probe), None, ()))  # type: ignore[arg-type]  # no AWS here
        await clock.advance(7)
        assert task.done()
        assert task.result().reason is Reason.TIMEOUT
    assert begun == 1
    release.set()
    await supervisor.shutdown(0.1)


async def test_nothing_found_by_a_glob_is_unknown_for_the_stand_in() -> None:
    """An empty discovery is not silence: it says that nothing matches."""
    run = await ran(giving([]), targets=(), discovers=True)
    assert run.reason is Reason.NOT_FOUND
    assert [o.target for o in run.observations] == [NO_TARGET]


async def test_partial_failures_keep_what_was_read() -> None:
    """One target's failure is its own."""
    seen = [Observation("level", "a", 1.0), Observation("level", "b", None, reason=Reason.DENIED, detail="no")]
    run = await ran(giving(seen), timeout=timedelta(seconds=1))
    assert run.reason is Reason.DENIED
    assert [(o.target, o.value) for o in run.observations] == [("a", 1.0), ("b", None)]
