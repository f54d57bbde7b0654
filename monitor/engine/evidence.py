"""What a check saw when an incident began, beyond the trip's reason: since when, what the probe said, what it costs."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from monitor.core.course import MOST_COSTS, Cost, DataGap, windows
from monitor.core.gaps import gaps_in, merged
from monitor.core.model import Level
from monitor.engine.board import Board, Cell, CheckBoard

BACKFILL = "run each missing cycle again, oldest first"


@dataclass(frozen=True, slots=True)
class Evidence:
    """`began_at`: when the oldest breach among the signals began, as far as its timers know."""

    targets: tuple[str, ...] = ()
    began_at: datetime | None = None
    gaps: tuple[DataGap, ...] = ()
    costs: tuple[Cost, ...] = ()


def evidence(board: Board, pipeline: str, checks: Collection[str], now: datetime) -> Evidence:
    """Of every signal of these checks that is at warning or worse."""
    targets: dict[str, None] = {}
    lasted = 0.0
    gaps: list[DataGap] = []
    costs: list[Cost] = []
    for found, target, signal, cell in _breaching(board, pipeline, checks):
        targets[target] = None
        critical = cell.verdict is not None and cell.verdict.level is Level.CRITICAL
        lasted = max(lasted, (cell.state.critical if critical else cell.state.warning).over or 0.0)
        if cell.seen is not None:
            gaps += windows(target, merged(gaps_in(cell.seen.detail)), BACKFILL)
        unit = found.spec.units.get(signal, "")
        if unit.startswith("dollars") and cell.verdict is not None and cell.verdict.value is not None:
            costs.append(Cost(f"{target} {signal}", cell.verdict.value, unit))
    return Evidence(
        tuple(targets), now - timedelta(seconds=lasted) if targets else None, tuple(gaps), tuple(costs[:MOST_COSTS])
    )


def _breaching(board: Board, pipeline: str, checks: Collection[str]) -> Iterator[tuple[CheckBoard, str, str, Cell]]:
    for name in sorted(checks):
        found = board.get(f"{pipeline}/{name}")
        for (target, signal), cell in found.cells.items() if found else ():
            if cell.verdict is not None and cell.verdict.level in (Level.WARNING, Level.CRITICAL):
                assert found is not None
                yield found, target, signal, cell
