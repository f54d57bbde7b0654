"""What the board knows, as people see it: a row per reading, a view per check."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from monitor.core.durations import NEVER
from monitor.core.model import Level, Row
from monitor.core.spec import Bound, CheckSpec, SignalSpec
from monitor.core.view import CheckView

if TYPE_CHECKING:
    from monitor.engine.board import Cell, CheckBoard

NO_BOUNDS = SignalSpec()


def row_of(spec: CheckSpec, target: str, signal: str, cell: Cell) -> Row:
    """One reading."""
    verdict, seen = cell.verdict, cell.seen
    bounds = spec.signals.get(signal, NO_BOUNDS)
    return Row(
        pipeline=spec.pipeline,
        check=spec.name,
        kind=spec.kind,
        target=target,
        signal=signal,
        unit=spec.units.get(signal, ""),
        level=verdict.level if verdict else Level.UNKNOWN,
        value=verdict.value if verdict and verdict.level is not Level.UNKNOWN else None,
        at=seen.at if seen else None,
        since=cell.since,
        reason=seen.reason if seen else None,
        detail=(seen.detail if seen and seen.reason else "") or (verdict.reason if verdict else "not judged yet"),
        pending=verdict.pending if verdict else False,
        warning_bound=_bound(bounds.warning),
        critical_bound=_bound(bounds.critical),
        recent=cell.recent,
    )


def view_of(board: CheckBoard, due: datetime | None) -> CheckView:
    """One check; `due` is its next run."""
    spec, levels = board.spec, board.levels()
    counts = dict.fromkeys(Level, 0)
    for level in levels.values():
        counts[level] += 1
    return CheckView(
        pipeline=spec.pipeline,
        name=spec.name,
        kind=spec.kind,
        interval=spec.interval.total_seconds(),
        level=max(levels.values(), key=lambda level: level.rank) if levels else Level.UNKNOWN,
        targets=len(board.targets()),
        counts=counts,
        last_run=board.last_run,
        last_success=board.last_success,
        next_run=due,
        duration=board.duration,
        runs=board.runs,
        failures=board.failures,
        reason=board.reason,
        detail=board.detail,
        runbook=spec.runbook,
        tells_unknown=spec.unknown_for != NEVER,
    )


def _bound(bound: Bound | None) -> float | None:
    if bound is None:
        return None
    return bound.above if bound.above is not None else bound.below
