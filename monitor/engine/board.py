"""The board: the level of every (check, target, signal), how long it has stood, and what it was lately.

It judges with `core.threshold` and remembers; it starts nothing. What must survive a restart (pending timers) is
dumped per check by the caller.
"""

from __future__ import annotations

from collections.abc import Container, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from monitor.core import threshold
from monitor.core.model import Level, Observation, Reason, Row
from monitor.core.spec import CheckSpec
from monitor.core.standing import Standing
from monitor.core.threshold import SignalState, Verdict
from monitor.core.view import CheckView
from monitor.engine.board_views import NO_BOUNDS, row_of, view_of
from monitor.engine.history import History
from monitor.engine.runner import NO_TARGET, Run

T = TypeVar("T")

#: Readings kept per signal for the page's charts, and of all signals together (16 bytes each): a large fleet gets
#: shorter charts, but never fewer readings than make one.
RECENT, RECENT_OF_ALL, RECENT_AT_LEAST = 120, 1_000_000, 12


@dataclass(slots=True)
class Cell:
    """One (target, signal)."""

    state: SignalState
    verdict: Verdict | None = None
    seen: Observation | None = None
    since: datetime | None = None
    recent: History = field(default_factory=History)
    #: What `rows` last made of it; None once something changed.
    row: Row | None = None


@dataclass(frozen=True, slots=True)
class Moved:
    """A level that changed."""

    spec: CheckSpec
    target: str
    signal: str
    was: Level | None
    verdict: Verdict


@dataclass(slots=True)
class CheckBoard:
    """What is known of one check."""

    spec: CheckSpec
    cells: dict[tuple[str, str], Cell] = field(default_factory=dict)
    last_tick: float | None = None
    last_run: datetime | None = None
    last_success: datetime | None = None
    duration: float | None = None
    runs: int = 0
    failures: int = 0
    reason: Reason | None = None
    detail: str = ""
    unknown_reported: bool = False
    loaded_at: datetime | None = None

    def places(self) -> list[tuple[str, str]]:
        """Known (target, signal), without the stand-in for "none yet"."""
        return [place for place in self.cells if place[0] != NO_TARGET]

    def targets(self) -> list[str]:
        """Known targets, without the stand-in for "none yet"."""
        return list(dict.fromkeys(target for target, _ in self.cells if target != NO_TARGET))

    def levels(self) -> dict[str, Level]:
        """The worst level per target."""
        worst: dict[str, Level] = {}
        for (target, _), cell in self.cells.items():
            level = cell.verdict.level if cell.verdict else Level.UNKNOWN
            if target not in worst or level.rank > worst[target].rank:
                worst[target] = level
        return worst


class Board:
    """All checks of this process."""

    def __init__(self) -> None:
        self._checks: dict[str, CheckBoard] = {}
        #: About how many cells there are; counted exactly at each configuration.
        self._cells = 0

    def configure(self, specs: Mapping[str, CheckSpec]) -> None:
        """Hold exactly these checks; one whose kind and parameters stay keeps its levels and timers."""
        for key in [key for key in self._checks if key not in specs]:
            del self._checks[key]
        for key, spec in specs.items():
            board = self._checks.get(key)
            if board is not None and board.spec.kind == spec.kind and board.spec.params == spec.params:
                board.spec = spec
                for cell in [c for c in board.cells if c[1] not in spec.units]:
                    del board.cells[cell]
                for kept in board.cells.values():
                    kept.row = None
            else:
                self._checks[key] = CheckBoard(spec)
        self._cells = sum(len(board.cells) for board in self._checks.values())

    def get(self, key: str) -> CheckBoard | None:
        """One check by `PIPELINE/CHECK`."""
        return self._checks.get(key)

    def record(self, spec: CheckSpec, run: Run, tick: float, resting: Container[tuple[str, str]] = ()) -> list[Moved]:
        """Judge a run's observations; the levels that changed, worst first.

        `resting` are known (target, signal) left out of `run` because judging them would change nothing: a replay of
        weeks can tell beforehand.
        """
        return _at_once(self.recording(spec, run, tick, resting))

    def recording(
        self, spec: CheckSpec, run: Run, tick: float, resting: Container[tuple[str, str]] = ()
    ) -> Generator[None, None, list[Moved]]:
        """`record`, which may be interrupted at each yield. Until the end nobody sees anything of it: a condition over
        two signals of one target must not see one of this run and one of the run before."""
        board = self._checks.get(spec.key)
        if board is None:
            return []  # removed by a reload while the run was under way
        elapsed = None if board.last_tick is None else tick - board.last_tick
        ahead: dict[tuple[str, str], _Judged] = {}
        for seen in run.observations:
            ahead[seen.target, seen.signal] = _judged_ahead(board, seen, run.started, elapsed)
            yield
        if self._checks.get(spec.key) is not board:
            return []
        board.last_tick, board.last_run, board.duration = tick, run.started, run.seconds
        board.runs += 1
        board.failures += run.reason is not None
        board.reason, board.detail = run.reason, run.detail
        if run.reason is None:
            board.last_success = run.started
        known = len(board.cells)
        moved = [self._take(board, seen, run.started, elapsed, ahead) for seen in _complete(board, run, resting)]
        self._cells += len(board.cells) - known
        return sorted((m for m in moved if m is not None), key=lambda m: -m.verdict.level.rank)

    def standings(self, pipeline: str, checks: Iterable[str]) -> dict[tuple[str, str, str], Standing]:
        """Keys (check, signal, target), for conditions and verifies."""
        table = {}
        for name in checks:
            board = self._checks.get(f"{pipeline}/{name}")
            for (target, signal), cell in board.cells.items() if board else ():
                if cell.verdict is not None:
                    table[name, signal, target] = cell.verdict.standing
        return table

    def forget(self, pipeline: str) -> None:
        """Drop all that was seen of a pipeline: another replica looks after it, and old values would be lies."""
        for key, board in self._checks.items():
            if board.spec.pipeline == pipeline:
                self._checks[key] = CheckBoard(board.spec)

    def restart(
        self,
        pipeline: str,
        checks: Iterable[str],
        now: datetime,
        most: timedelta = timedelta.max,
        *,
        judged_before: bool = False,
    ) -> None:
        """Timers start anew and only windows that begin after `now` are judged (after an undo, after a close).

        `most` bounds how long that may leave a signal unjudged, whatever its window. `judged_before`: only what was
        last judged before `now`, for a restart of judging that a crash kept from being written.
        """
        for name in checks:
            board = self._checks.get(f"{pipeline}/{name}")
            for (_, signal), cell in board.cells.items() if board else ():
                if judged_before and cell.state.at is not None and cell.state.at > now:
                    continue
                window = min(board.spec.windows.get(signal, timedelta(0)), most) if board else timedelta(0)
                cell.state = threshold.restart(cell.state, now, window)
                cell.verdict = cell.row = None

    def rows(self) -> Iterator[Row]:
        """Everything, for metrics and page. Runs may be recorded between two rows; each row is whole."""
        for board in list(self._checks.values()):
            yield from _rows(board)

    def rows_of(self, pipeline: str, checks: Iterable[str]) -> Iterator[Row]:
        """The rows of some checks."""
        for name in sorted(checks):
            board = self._checks.get(f"{pipeline}/{name}")
            if board is not None:
                yield from _rows(board)

    def level_counts(self) -> dict[Level, int]:
        """How many (target, signal) stand at each level."""
        counts = dict.fromkeys(Level, 0)
        for board in self._checks.values():
            for cell in board.cells.values():
                counts[cell.verdict.level if cell.verdict else Level.UNKNOWN] += 1
        return counts

    def check_views(self, due: Mapping[str, datetime]) -> list[CheckView]:
        """Every check with its last run; `due` is when it runs next."""
        return [view_of(board, due.get(key)) for key, board in self._checks.items()]

    def dump(self, key: str) -> dict[str, Any] | None:
        """Timers of one check as JSON; None while every cell is as new, so that nothing needs to survive."""
        return _at_once(self.dumping(key))

    def dumping(self, key: str) -> Generator[None, None, dict[str, Any] | None]:
        """`dump`, which may be interrupted at each yield; it tells of the moment it ends."""
        board = self._checks.get(key)
        if board is None:
            return None
        told: dict[str, tuple[SignalState, Any]] = {}
        for name, state in _tense(board):
            told[name] = state, state.to_json()
            yield
        if self._checks.get(key) is not board:
            return None
        # A breaker that closed meanwhile restarted judging: its older timers must not be written over the new ones.
        cells = {}
        for name, state in _tense(board):
            before, body = told.get(name, (None, None))
            cells[name] = body if before is state else state.to_json()
        return {"kind": board.spec.kind, "cells": cells} if cells else None

    def load(self, key: str, body: Mapping[str, Any]) -> None:
        """Take timers back after a restart. Levels appear with the next run."""
        board = self._checks.get(key)
        if board is None or body.get("kind") != board.spec.kind:
            return
        for name, state in body.get("cells", {}).items():
            signal, _, target = name.partition("|")
            if signal in board.spec.units:
                board.cells[target, signal] = Cell(SignalState.from_json(state))

    def _take(
        self,
        board: CheckBoard,
        seen: Observation,
        now: datetime,
        elapsed: float | None,
        ahead: Mapping[tuple[str, str], _Judged],
    ) -> Moved | None:
        place = (seen.target, seen.signal)
        cell = board.cells.get(place)
        judged = ahead.get(place)
        if judged is None or not judged.stands(board.spec, seen, cell):
            judged = _judged_ahead(board, seen, now, elapsed)
        if cell is None:
            cell = board.cells[place] = Cell(SignalState())
        was = cell.verdict.level if cell.verdict else None
        cell.state, cell.verdict = judged.state, judged.verdict
        cell.seen = seen
        cell.row = None
        if seen.value is not None:
            most = max(RECENT_AT_LEAST, min(RECENT, RECENT_OF_ALL // max(1, self._cells)))
            cell.recent.add(seen.at or now, seen.value, most)
        if cell.verdict.level is was:
            return None
        cell.since = now
        return Moved(board.spec, seen.target, seen.signal, was, cell.verdict)


@dataclass(frozen=True, slots=True)
class _Judged:
    """A judgement that was worked out and not yet taken: from what, and what came of it."""

    spec: CheckSpec
    seen: Observation
    before: SignalState | None
    state: SignalState
    verdict: Verdict

    def stands(self, spec: CheckSpec, seen: Observation, cell: Cell | None) -> bool:
        """False once a reload or a restart of judging changed what it was made from."""
        return self.spec is spec and self.seen is seen and self.before is (cell.state if cell is not None else None)


def _judged_ahead(board: CheckBoard, seen: Observation, now: datetime, elapsed: float | None) -> _Judged:
    cell = board.cells.get((seen.target, seen.signal))
    before = cell.state if cell is not None else None
    bounds = board.spec.signals.get(seen.signal, NO_BOUNDS)
    interval = board.spec.interval.total_seconds()
    state, verdict = threshold.judge(bounds, before or SignalState(), seen, now, elapsed, interval)
    return _Judged(board.spec, seen, before, state, verdict)


def _tense(board: CheckBoard) -> list[tuple[str, SignalState]]:
    """What a restart must find again, by the name it is stored under."""
    return [
        (f"{signal}|{target}", cell.state)
        for (target, signal), cell in board.cells.items()
        if signal in board.spec.signals and not _at_rest(cell)
    ]


def _at_once(work: Generator[None, None, T]) -> T:
    while True:
        try:
            next(work)
        except StopIteration as ended:
            return ended.value  # type: ignore[no-any-return]  # the generator's own T


def _complete(board: CheckBoard, run: Run, resting: Container[tuple[str, str]] = ()) -> Sequence[Observation]:
    """The run's observations, with what it left out: vanished targets go, known signals without a word are unknown."""
    seen = {(o.target, o.signal) for o in run.observations}
    whole = bool(run.observations) and run.observations[0].target != NO_TARGET
    if whole:
        reported = {target for target, _ in seen}
        for target, signal in list(board.cells):
            if (target, signal) in resting:
                continue
            if target == NO_TARGET or (
                board.spec.discovers and target not in reported and target not in board.spec.targets
            ):
                del board.cells[target, signal]
    lost = []
    for target, signal in [place for place in board.cells if place not in seen and place not in resting]:
        if board.spec.judges(signal):
            unit = board.spec.units.get(signal, "")
            lost.append(Observation(signal, target, None, unit, run.started, Reason.INVALID, "not reported"))
        else:  # judged by nobody: gone is gone
            del board.cells[target, signal]
    return [*run.observations, *lost]


def _at_rest(cell: Cell) -> bool:
    """True if a restart would lose nothing of this cell: it is ok, nothing pends, no mark or timer is set."""
    if cell.verdict is None:
        return cell.state == SignalState()
    return cell.verdict.level is Level.OK and not cell.verdict.pending and cell.state.not_before is None


def _rows(board: CheckBoard) -> Iterator[Row]:
    for (target, signal), cell in list(board.cells.items()):
        if cell.row is None:
            cell.row = row_of(board.spec, target, signal, cell)
        yield cell.row
