"""Long work gives the loop its turns, and a run shows at once or not at all."""

import asyncio
from collections.abc import Generator
from datetime import timedelta

import pytest
from engine_rig import check, holds

from monitor.core.model import Level, Observation
from monitor.engine.board import Board
from monitor.engine.runner import Run
from monitor.engine.turns import STRETCH, Turns
from monitor.testing import EPOCH


class Watch:
    """Monotonic seconds that pass with each piece of work."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def work(self, pieces: int, told: list[str], name: str) -> Generator[None, None, int]:
        """`pieces` of a quarter of a stretch each."""
        for number in range(pieces):
            self.seconds += STRETCH / 4
            told.append(f"{name}{number}")
            yield
        return pieces


async def test_the_loop_gets_a_turn_after_every_stretch_and_one_works_at_a_time() -> None:
    """Two long works don't mix, and what else is ready runs between the stretches."""
    watch, told = Watch(), []
    turns = Turns(lambda: watch.seconds)

    async def others() -> None:
        for _ in range(4):
            told.append("-")
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        first = group.create_task(turns.take(watch.work(8, told, "a")))
        second = group.create_task(turns.take(watch.work(8, told, "b")))
        group.create_task(others())
    assert (first.result(), second.result()) == (8, 8)
    works = [one for one in told if one != "-"]
    assert works == [*(f"a{n}" for n in range(8)), *(f"b{n}" for n in range(8))]
    assert told.index("-") == 4
    gaps = "".join(one[0] for one in told).split("-")
    assert max(map(len, gaps)) <= 8  # of two works never two stretches in a row


def run(*values: float, at: int = 0) -> Run:
    """One reading of each of some targets."""
    seen = tuple(
        Observation("level", f"t{n}", value, at=EPOCH + timedelta(seconds=at)) for n, value in enumerate(values)
    )
    return Run(seen, EPOCH + timedelta(seconds=at), 0.1)


def levels(board: Board) -> list[Level]:
    """By target."""
    held = board.get("etl/load")
    assert held is not None
    return list(held.levels().values())


def test_a_run_is_seen_whole_or_not_at_all() -> None:
    """However far its judging is, conditions see the run before until the last reading is judged."""
    board, spec = Board(), check()
    board.configure({spec.key: spec})
    board.record(spec, run(1.0, 1.0, 1.0), 0.0)
    work = board.recording(spec, run(99.0, 99.0, 99.0, at=10), 10.0)
    for _ in range(3):
        next(work)
        assert levels(board) == [Level.OK] * 3
    assert next(work, "ended") == "ended"
    assert levels(board) == [Level.CRITICAL] * 3


def test_a_restart_of_judging_meanwhile_is_not_undone() -> None:
    """Timers that a reset set to zero stay there, though the run that was under way had judged with the old ones."""
    board, spec = Board(), check(signals=holds(30))
    board.configure({spec.key: spec})
    for at in (0, 10, 20):
        board.record(spec, run(50.0, at=at), float(at))
    work = board.recording(spec, run(50.0, at=30), 30.0)
    next(work)
    board.restart("etl", ["load"], EPOCH + timedelta(seconds=25))
    assert next(work, "ended") == "ended"
    assert levels(board) != [Level.CRITICAL]


def test_a_check_replaced_meanwhile_takes_nothing() -> None:
    """A reload that changed its parameters began a new board; the old run's readings are of something else."""
    board, spec = Board(), check()
    board.configure({spec.key: spec})
    work = board.recording(spec, run(99.0), 0.0)
    next(work)
    board.forget("etl")
    assert next(work, "ended") == "ended"
    assert levels(board) == []


def test_timers_that_are_written_are_those_of_the_end() -> None:
    """A breaker closes while a long dump is interrupted: the restarted timers are told, not the ones before."""
    board = Board()
    spec = check(signals=holds(60))
    board.configure({spec.key: spec})
    board.record(spec, run(50.0, 50.0), 0.0)
    board.record(spec, run(50.0, 50.0, at=10), 10.0)
    dumping = board.dumping(spec.key)
    next(dumping)
    board.restart(spec.pipeline, [spec.name], EPOCH + timedelta(seconds=11))
    next(dumping)  # the second of two
    with pytest.raises(StopIteration) as ended:
        next(dumping)
    assert ended.value.value == board.dump(spec.key)
    assert "not_before" in str(ended.value.value)
