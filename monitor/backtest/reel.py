"""A tape on its way through the judge, and which of its readings need no judging.

A reading that lies strictly inside every bound, of a signal whose timers are all at zero, changes nothing that any
condition or verify could ask. Such readings are left out; everything else is judged by the engine's board. That is why
two weeks of minutes take seconds, and a test holds the results equal to judging every single one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from monitor.backtest.tape import Column, Place, Tape
from monitor.core.model import Level, Missing
from monitor.core.spec import SignalSpec
from monitor.core.track import Track, Zone
from monitor.engine.board import Cell

#: How one reading may be passed over: as a calm value, as silence that means zero, or not at all.
CALM, JUDGE, SILENT = 0, 1, 2
AWAKE = -1


@dataclass(slots=True)
class Strip:
    """One column with a code per run. `rest` is the code that may be passed over now, or AWAKE."""

    place: Place
    column: Column
    unit: str
    codes: bytes
    rest: int = AWAKE


@dataclass(slots=True)
class Reel:
    """One tape, the run that comes next, and how calm it is."""

    tape: Tape
    strips: list[Strip]
    #: 1 where any column must be judged.
    busy: bytes
    #: Seconds that verifies and terms may ask of `ok`: less is not yet at rest.
    need: float
    next: int = 0
    #: Rises when the next run is moved, so that a stale appointment is known as such.
    turn: int = 0
    by_place: dict[Place, Strip] = field(default_factory=dict)

    def at_rest(self) -> bool:
        """Every column could be passed over."""
        return all(strip.rest != AWAKE for strip in self.strips)

    def next_busy(self, index: int) -> int:
        """The first run from `index` on that can't be passed over whole (its count, if there is none)."""
        silent = {strip.rest for strip in self.strips}
        if silent - {CALM}:  # some columns rest in silence: a calm value there is news, and the other way round
            return self._next_change(index)
        found = self.busy.find(1, index)
        return found if found >= 0 else self.tape.count

    def _next_change(self, index: int) -> int:
        first = self.tape.count
        for strip in self.strips:
            other = next_other(strip.codes, strip.rest, index)
            first = min(first, other if other >= 0 else self.tape.count)
        return first

    def settle(self, strip: Strip, cell: Cell | None, now: datetime) -> None:
        """After a judgement: may readings like this one be passed over from now on?"""
        strip.rest = _rest_of(cell, now, self.need) if cell is not None else AWAKE


def next_other(codes: bytes, code: int, index: int) -> int:
    """The first place from `index` on that holds another code than `code`; -1 if none."""
    found = [place for other in (CALM, JUDGE, SILENT) if other != code and (place := codes.find(other, index)) >= 0]
    return min(found, default=-1)


def reel_of(tape: Tape, need: float) -> Reel:
    """Ready to run."""
    strips = []
    for place, column in tape.columns.items():
        spec = tape.spec.signals.get(place[1], SignalSpec())
        strips.append(Strip(place, column, tape.spec.units.get(place[1], ""), codes_of(column, spec)))
    busy = bytearray(tape.count)
    for strip in strips:
        # A big integer ors two weeks of minutes at once.
        busy = bytearray(
            (int.from_bytes(busy, "little") | int.from_bytes(strip.codes, "little")).to_bytes(tape.count, "little")
        )
    marks = bytes(busy).translate(bytes([0, *[1] * 255]))
    return Reel(tape, strips, marks, need, by_place={strip.place: strip for strip in strips})


def codes_of(column: Column, spec: SignalSpec) -> bytes:
    """One code per run. The calm zone is meant to be narrower than the truth, never wider."""
    low, high = calm_zone(spec)
    codes = bytearray(CALM if low < value < high else JUDGE for value in column.values)
    if spec.missing is Missing.ZERO and low < 0.0 < high:
        for index, seen in column.odd.items():
            if seen.value is None and seen.reason is None:
                codes[index] = SILENT
    return bytes(codes)


def calm_zone(spec: SignalSpec) -> tuple[float, float]:
    """(low, high): strictly between them no bound is breached and every one is cleared."""
    low, high = float("-inf"), float("inf")
    for bound in (spec.warning, spec.critical):
        if bound is None:
            continue
        clear = bound.clear
        for limit in (bound.above, clear.below if clear else None):
            high = high if limit is None else min(high, limit)
        for limit in (bound.below, clear.above if clear else None):
            low = low if limit is None else max(low, limit)
    return low, high


def _rest_of(cell: Cell, now: datetime, need: float) -> int:
    state, verdict = cell.state, cell.verdict
    stands = state.standing
    idle = (
        verdict is not None
        and verdict.level is Level.OK
        and not verdict.pending
        and stands.known
        and not stands.lower_bound
        and stands.held_ok >= need
        and state.unknown_seconds == 0.0
        and (state.not_before is None or state.not_before <= now)
        and _idle(state.warning)
        and _idle(state.critical)
    )
    if not idle:
        return AWAKE
    if not stands.real:
        return SILENT if state.seen else AWAKE
    return CALM if stands.held_ok_real >= need else AWAKE


def _idle(track: Track) -> bool:
    return (
        not track.active
        and track.over is None
        and track.under is None
        and not any(track.window)
        and track.zone in (Zone.CLEARED, Zone.UNDECIDED)
        and track.gap == 0.0
    )
