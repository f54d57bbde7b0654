"""One threshold line over time: breached for long enough trips it, cleared for long enough releases it.

The two timers hold accumulated seconds, not the wall time at which they began, so a clock that jumps moves neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from monitor.core.codec import decode
from monitor.core.lean import lean
from monitor.core.model import Json
from monitor.core.spec import Bound


class Zone(StrEnum):
    """Where a run's value lies against one bound. `between` is the hysteresis band: neither breached nor cleared."""

    BREACHED = "breached"
    BETWEEN = "between"
    CLEARED = "cleared"
    UNDECIDED = "undecided"


class Novelty(StrEnum):
    """Whether a run brought a datapoint M-of-N has not seen: a CloudWatch period is often read several times."""

    NEW = "new"
    SAME = "same"
    OLD = "old"


@dataclass(frozen=True, slots=True)
class Pace:
    """The time between two runs: real `span` seconds, of which `credit` may count for a timer; the check's interval."""

    span: float
    credit: float
    interval: float


@dataclass(frozen=True, slots=True)
class Track:
    """The state of one bound. Small: two timers and at most `of` booleans."""

    active: bool = False
    #: Of the previous run; a timer only runs on while this stays the same.
    zone: Zone = Zone.UNDECIDED
    #: Seconds breached; None: not breached.
    over: float | None = None
    #: Seconds cleared while active; None: not cleared.
    under: float | None = None
    #: Seconds since the last run that decided anything.
    gap: float = 0.0
    #: Newest last: did each of the last `of` datapoints breach?
    window: tuple[bool, ...] = ()

    @property
    def pending(self) -> bool:
        """Breached, not yet for long enough (or in too few datapoints)."""
        return not self.active and (self.over is not None or any(self.window))

    @property
    def at_rest(self) -> bool:
        """Cleared at the previous run, and nothing under way: one more cleared run changes nothing."""
        return (
            self.zone is Zone.CLEARED
            and self.over is None
            and self.under is None
            and not self.active
            and not self.gap
            and not self.window
        )

    def to_json(self) -> dict[str, Json]:
        """Plain values, defaults left out; `from_json` reads them back exactly."""
        return lean(self)

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Track:
        """The value `to_json` described. Raises KeyError, TypeError or ValueError for anything else."""
        return decode(cls, body)


def zone(bound: Bound, value: float, lower_bound: bool = False) -> Zone:
    """Where `value` lies. A lower bound can only show that `above` is breached; anything else stays undecided."""
    if bound.above is not None and value > bound.above:
        return Zone.BREACHED
    if lower_bound:
        return Zone.UNDECIDED
    if bound.below is not None and value < bound.below:
        return Zone.BREACHED
    if bound.clear is None:
        return Zone.CLEARED
    high_enough = bound.clear.above is None or value > bound.clear.above
    low_enough = bound.clear.below is None or value < bound.clear.below
    return Zone.CLEARED if high_enough and low_enough else Zone.BETWEEN


def advance(track: Track, bound: Bound, raw: Zone, novelty: Novelty, pace: Pace) -> Track:
    """The track after one run whose value lay in `raw`.

    Undecided freezes everything. Known runs further apart than max(3 intervals, `for`) start `for` and the M-of-N
    window anew; a level already reached, and the clear timer, outlast any gap.
    """
    if raw is Zone.CLEARED and track.at_rest and bound.datapoints is None:
        return track  # nearly every run of nearly every signal
    gap = track.gap + pace.span
    if raw is Zone.UNDECIDED:
        return replace(track, zone=raw, gap=gap)
    hold = bound.hold.total_seconds()
    if gap > max(3 * pace.interval, hold):
        track = replace(track, over=None, window=(), zone=Zone.UNDECIDED)
    track = replace(track, gap=0.0, window=_window(track, bound, raw, novelty))
    now = _effective(track, bound, raw)
    credit = pace.credit if track.zone is now else 0.0
    if now is Zone.BREACHED:
        over = (track.over or 0.0) + credit
        return replace(track, zone=now, over=over, under=None, active=track.active or over >= hold - _slack(hold, pace))
    if now is Zone.BETWEEN or not track.active:
        return replace(track, zone=now, over=None, under=None)
    under = (track.under or 0.0) + credit
    enough = bound.clear.hold.total_seconds() if bound.clear else 0.0
    if under >= enough - _slack(enough, pace):
        return replace(track, zone=now, over=None, under=None, active=False)
    return replace(track, zone=now, over=None, under=under)


def _slack(hold: float, pace: Pace) -> float:
    """Runs land milliseconds beside their grid: `for: 2m` every 60 s means the third breaching run, not the fourth."""
    return min(0.05 * hold, 0.05 * pace.interval, 1.0)


def _window(track: Track, bound: Bound, raw: Zone, novelty: Novelty) -> tuple[bool, ...]:
    """A period read again replaces its own datapoint (late values converge); an older one changes nothing."""
    if bound.datapoints is None:
        return ()
    size = max(bound.of or bound.datapoints, bound.datapoints)
    breached = raw is Zone.BREACHED
    if not track.window or novelty is Novelty.NEW:
        return (*track.window, breached)[-size:]
    return track.window if novelty is Novelty.OLD else (*track.window[:-1], breached)[-size:]


def _effective(track: Track, bound: Bound, raw: Zone) -> Zone:
    """With M-of-N the count of datapoints breaches, not the newest one alone.

    A single breached datapoint below the count is in the band: it neither trips nor clears.
    """
    if bound.datapoints is None:
        return raw
    if sum(track.window) >= bound.datapoints:
        return Zone.BREACHED
    return Zone.BETWEEN if raw is Zone.BREACHED else raw
