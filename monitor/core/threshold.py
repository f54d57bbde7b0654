"""Judging: one observation and what is remembered of the earlier ones become a level.

What the rules cost an operator to know:

- Time counts between two directly consecutive known runs that agree. Unknown runs freeze every timer. One step credits
  at most three intervals (after a restart: one, read from the wall clock), because time nobody looked at was not
  seen to be breached.
- The same CloudWatch period read twice is one datapoint for `datapoints: M of: N`, yet `for:` runs on: it asks how
  long the newest judged value has been bad, and that value is still the newest.
- `missing: hold` treats an absent point as the last measured value, timers included, for one hour (or three intervals
  if that is longer); after that it is unknown. A value nobody has confirmed for an hour is no value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from monitor.core import sentence, standing, track
from monitor.core.codec import decode
from monitor.core.lean import lean
from monitor.core.model import Json, Level, Missing, Observation, Reason
from monitor.core.spec import Bound, SignalSpec
from monitor.core.standing import Sample, Standing
from monitor.core.track import Novelty, Pace, Track, Zone

HOLD_LIMIT = 3600.0

#: Characters of a kind's own words that go into a reason.
LONGEST_DETAIL = 300


@dataclass(frozen=True, slots=True)
class SignalState:
    """What judging remembers of one (check, target, signal). Durable and bounded: two tracks and a few numbers."""

    warning: Track = field(default_factory=Track)
    critical: Track = field(default_factory=Track)
    standing: Standing = field(default_factory=Standing)
    #: The level last reported; None before the first run.
    level: Level | None = None
    since: datetime | None = None
    #: Wall time of the previous run, known or not: only used when no monotonic `elapsed` is at hand.
    at: datetime | None = None
    #: The newest judged point: when it was true, and its value while it may be held.
    point_at: datetime | None = None
    value: float | None = None
    #: A real value, or the resource itself, was seen once: from then on `missing: zero` counts.
    seen: bool = False
    #: Seconds `value` has stood in for absent points.
    held: float = 0.0
    #: Seconds since the last known run.
    gap: float = 0.0
    unknown_seconds: float = 0.0
    #: Points true before this are not judged (a breaker closed then), and how much later than the close it lies.
    not_before: datetime | None = None
    settle: float = 0.0

    def to_json(self) -> dict[str, Json]:
        """Plain values, defaults left out; `from_json` reads them back exactly."""
        return lean(self)

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> SignalState:
        """The value `to_json` described. Raises KeyError, TypeError or ValueError for anything else."""
        return decode(cls, body)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one run means. `value` is what was judged (a stand-in for an absent point included); None: nothing was."""

    level: Level
    value: float | None
    pending: bool
    changed: bool
    #: For people: `412/min above 200 for 2m10s`.
    reason: str
    standing: Standing
    #: Seconds without a known level, for `unknown_for`.
    unknown_seconds: float
    since: datetime
    #: Why the read failed, when it did.
    cause: Reason | None = None


@dataclass(frozen=True, slots=True)
class _Point:
    """An observation after `missing:` was applied. `unknown` says why there is nothing to judge."""

    value: float | None = None
    real: bool = True
    lower_bound: bool = False
    breach: bool = False
    unknown: str = ""
    cause: Reason | None = None
    #: The read worked, but the point may not be judged (it is from before a restart of judging).
    early: bool = False


def judge(
    spec: SignalSpec, state: SignalState, obs: Observation, now: datetime, elapsed: float | None, interval: float
) -> tuple[SignalState, Verdict]:
    """The state and verdict after one run.

    `elapsed`: monotonic seconds since the previous run of this target; None or inf after a restart. `interval`: the
    check's, in seconds.
    """
    pace = _pace(state, now, elapsed, interval)
    absent = obs.value is None and obs.reason is None
    seen = state.seen or obs.exists or (obs.reason is None and _finite(obs.value))
    held = state.held + pace.span if absent else 0.0
    if seen is not state.seen or held != state.held:
        state = replace(state, seen=seen, held=held)
    point = _point(spec.missing, state, obs, now, interval)
    novelty = _novelty(state, obs)
    warning = _judged(state.warning, spec.warning, point, novelty, pace)
    critical = _judged(state.critical, spec.critical, point, novelty, pace)
    level, known, lower = _level(spec, warning, critical, point) if not point.unknown else (Level.UNKNOWN, False, False)
    longest = max((bound.hold.total_seconds() for bound in (spec.warning, spec.critical) if bound), default=0.0)
    gap = state.gap + pace.span
    if known:
        kept = max(state.standing.held_warning, state.standing.held_critical)
        sample = Sample(level, point.real, lower, pace.credit, lapsed=gap > max(3 * interval, longest, kept))
        stands = standing.advance(state.standing, sample, now)
    else:
        stands = standing.unknown(state.standing, level)
    was_unknown = state.at is not None and not state.standing.known and not known and not point.early
    changed = level is not (state.level or Level.OK)
    since = now if state.since is None or level is not state.level else state.since
    measured = point.real and not point.unknown
    judged = replace(
        state,
        warning=warning, critical=critical, standing=stands, level=level, since=since, at=now,
        point_at=obs.at if not point.unknown and novelty is Novelty.NEW and obs.at else state.point_at,
        value=(None if point.lower_bound else point.value) if measured else state.value,
        gap=0.0 if known else gap,
        unknown_seconds=state.unknown_seconds + pace.span if was_unknown else 0.0,
    )  # fmt: skip
    verdict = Verdict(
        level=level,
        value=point.value,
        pending=(warning.pending and level is not Level.CRITICAL) or critical.pending,
        changed=changed,
        reason=point.unknown
        or _told(sentence.reason(spec, (warning, critical), level, point.value, obs.unit), level, obs),
        standing=stands,
        unknown_seconds=judged.unknown_seconds,
        since=since,
        cause=point.cause,
    )
    return judged, verdict


def restart(state: SignalState, now: datetime, window: timedelta = timedelta(0)) -> SignalState:
    """Judging begins anew: timers at zero, no level, and points true before `now + window` are not judged.

    Used when a breaker closes or an undo ended. `window` is the metric's period where the point's own time is the
    *end* of its window: then the first one judged also *began* after `now`. Until it arrives the level is unknown
    without counting towards `unknown_for`. That the metric was seen to exist is remembered.
    """
    return SignalState(
        level=state.level, since=state.since, at=state.at, seen=state.seen, point_at=state.point_at,
        not_before=now + window, settle=window.total_seconds(),
    )  # fmt: skip


def _pace(state: SignalState, now: datetime, elapsed: float | None, interval: float) -> Pace:
    if state.at is None:
        return Pace(0.0, 0.0, interval)
    if elapsed is None or not math.isfinite(elapsed):
        wall = max(0.0, (now - state.at).total_seconds())
        return Pace(wall, min(wall, interval), interval)
    span = max(0.0, elapsed)
    return Pace(span, min(span, 3 * interval), interval)


def _told(reason: str, level: Level, obs: Observation) -> str:
    """Why it is bad, with what the kind says beside its number: which state failed, which setting breaks a rule."""
    if level is Level.OK or not obs.detail or obs.value is None:
        return reason
    detail = obs.detail if len(obs.detail) <= LONGEST_DETAIL else obs.detail[: LONGEST_DETAIL - 1] + "…"
    return f"{reason} ({detail})"


def _point(missing: Missing, state: SignalState, obs: Observation, now: datetime, interval: float) -> _Point:
    if obs.reason is not None:
        return _Point(unknown=f"{obs.reason.value}: {obs.detail}" if obs.detail else obs.reason.value, cause=obs.reason)
    if obs.value is not None and not _finite(obs.value):
        return _Point(unknown=f"invalid: the value is {obs.value}", cause=Reason.INVALID)
    if state.not_before is not None:
        # A clock set back after the restart must not silence judging until it has caught up.
        first = min(state.not_before, now + timedelta(seconds=state.settle))
        if (obs.at or now) < first:
            return _Point(unknown=f"not judged: the point is from before {first:%H:%M:%S} UTC", early=True)
    if obs.value is not None:
        return _Point(obs.value, lower_bound=obs.lower_bound)
    if missing is Missing.ZERO and state.seen:
        return _Point(0.0, real=False)
    if missing is Missing.BREACH:
        return _Point(None, real=False, breach=True)
    if missing is Missing.HOLD and state.value is not None and state.held <= max(HOLD_LIMIT, 3 * interval):
        return _Point(state.value, real=False)
    return _Point(unknown=sentence.absent(missing, obs.detail))


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _novelty(state: SignalState, obs: Observation) -> Novelty:
    if obs.at is None or state.point_at is None or obs.at > state.point_at:
        return Novelty.NEW
    return Novelty.SAME if obs.at == state.point_at else Novelty.OLD


def _judged(state: Track, bound: Bound | None, point: _Point, novelty: Novelty, pace: Pace) -> Track:
    if bound is None:
        return Track()
    if point.unknown:
        raw = Zone.UNDECIDED
    elif point.breach or point.value is None:
        raw = Zone.BREACHED
    else:
        raw = track.zone(bound, point.value, point.lower_bound)
    return track.advance(state, bound, raw, novelty, pace)


def _level(spec: SignalSpec, warning: Track, critical: Track, point: _Point) -> tuple[Level, bool, bool]:
    """(level, known, the level is only a lower bound). A level whose end can't be shown is kept, but not known."""
    open_critical = spec.critical is not None and critical.zone is Zone.UNDECIDED
    open_warning = spec.warning is not None and warning.zone is Zone.UNDECIDED
    if critical.active:
        return Level.CRITICAL, not open_critical, False
    if warning.active:
        return Level.WARNING, not open_warning, point.lower_bound and spec.critical is not None
    if open_critical or open_warning:
        return Level.UNKNOWN, False, False
    return Level.OK, True, False
