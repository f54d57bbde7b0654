"""Rows are made once per change, and never tell of an earlier state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from monitor.core.model import Level, Observation, Row
from monitor.core.spec import Bound, CheckSpec, SignalSpec
from monitor.engine.board import RECENT, Board
from monitor.engine.runner import Run

NOW = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)
SPEC = CheckSpec(
    pipeline="etl",
    name="depth",
    kind="queue_depth",
    params=None,
    interval=timedelta(seconds=60),
    timeout=timedelta(seconds=20),
    signals={"visible": SignalSpec(critical=Bound(above=10))},
    units={"visible": "messages"},
)


def recorded(board: Board, *values: float, spec: CheckSpec = SPEC, first: int = 0) -> Sequence[Row]:
    for number, value in enumerate(values, start=first):
        at = NOW + timedelta(minutes=number)
        run = Run((Observation("visible", "orders", value, "messages", at, exists=True),), at, 0.1)
        board.record(spec, run, 60.0 * number)
    return list(board.rows())


def made() -> Board:
    board = Board()
    board.configure({SPEC.key: SPEC})
    return board


def test_an_unchanged_row_is_the_same_object() -> None:
    """Scrapes between two runs cost nothing anew."""
    board = made()
    assert recorded(board, 5.0)[0] is next(iter(board.rows()))


def test_a_run_renews_the_row() -> None:
    """Value and level are those of the last run."""
    board = made()
    recorded(board, 5.0)
    row = recorded(board, 50.0, first=1)[0]
    assert (row.value, row.level) == (50.0, Level.CRITICAL)


def test_new_bounds_renew_the_row() -> None:
    """A reload that moves a threshold shows at the next scrape, without a run."""
    board = made()
    recorded(board, 5.0)
    board.configure({SPEC.key: replace(SPEC, signals={"visible": SignalSpec(critical=Bound(above=99))})})
    assert next(iter(board.rows())).critical_bound == 99


def test_a_restart_of_judging_renews_the_row() -> None:
    """After a close nothing is judged yet."""
    board = made()
    recorded(board, 5.0)
    board.restart("etl", ["depth"], NOW + timedelta(minutes=1))
    assert next(iter(board.rows())).level is Level.UNKNOWN


def test_runs_may_be_recorded_while_rows_are_read() -> None:
    """A scrape takes turns with runs that bring new targets."""
    board = made()
    recorded(board, 5.0)
    rows = board.rows()
    next(rows)
    at = NOW + timedelta(minutes=1)
    seen = tuple(Observation("visible", name, 1.0, "messages", at, exists=True) for name in ("orders", "more"))
    board.record(SPEC, Run(seen, at, 0.1), 60.0)
    assert list(rows) == []
    assert {row.target for row in board.rows()} == {"orders", "more"}


def test_charts_are_bounded() -> None:
    """However long it runs."""
    row = recorded(made(), *range(RECENT + 20))[0]
    assert len(row.recent) == RECENT
    assert row.recent[-1] == (NOW + timedelta(minutes=RECENT + 19), float(RECENT + 19))
