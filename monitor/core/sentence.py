"""Sentences about a judgement, for people: `412/min above 200 for 2m10s`."""

from __future__ import annotations

from monitor.core.durations import format_duration
from monitor.core.model import Level, Missing
from monitor.core.spec import Bound, SignalSpec
from monitor.core.track import Track, Zone

_SHORT = {
    "seconds": "s", "second": "s", "milliseconds": "ms", "percent": "%", "per_minute": "/min", "per minute": "/min",
    "per_second": "/s", "per second": "/s", "ratio": "", "count": "", "1": "",
}  # fmt: skip


def quantity(value: float | None, unit: str = "") -> str:
    """`412/min`, `97.5 %`, `12 messages`; `no point` for None."""
    if value is None:
        return "no point"
    number = str(int(value)) if value == int(value) and abs(value) < 1e15 else f"{value:.6g}"
    short = _SHORT.get(unit, unit)
    glued = short.startswith("/") or short in {"", "s", "ms"}
    return f"{number}{short}" if glued else f"{number} {short}"


def span(seconds: float) -> str:
    """Whole seconds: nobody reads a threshold's milliseconds."""
    return format_duration(float(round(seconds)))


def absent(missing: Missing, detail: str) -> str:
    """Why an absent point decides nothing."""
    why = {
        Missing.ZERO: "no point, and the metric was never seen",
        Missing.HOLD: "no point, and no recent value to hold",
    }.get(missing, "no point")
    return f"{why} ({detail})" if detail else why


def reason(spec: SignalSpec, tracks: tuple[Track, Track], level: Level, value: float | None, unit: str) -> str:
    """One line on a judged value: the bound that made the level, or the pending one, or the plain value.

    `tracks`: (warning, critical), as they are after the run.
    """
    shown = quantity(value, unit)
    warning, critical = tracks
    if level is Level.UNKNOWN:
        return f"at least {shown}: too few were counted to tell"
    lines = [(spec.critical, critical, Level.CRITICAL), (spec.warning, warning, Level.WARNING)]
    for bound, track, its in lines:
        if bound is None:
            continue
        if track.active and its is level:
            return _active(bound, track, value, shown)
        if track.pending and its is not level:
            return _pending(bound, track, value, shown, its)
    return shown


def _active(bound: Bound, track: Track, value: float | None, shown: str) -> str:
    if track.zone is Zone.BREACHED:
        lasted = f" for {span(track.over)}" if track.over else ""
        return f"{shown} {_side(bound, value)}{_count(bound, track)}{lasted}"
    if track.zone is Zone.UNDECIDED:
        return f"at least {shown}: kept, its end can't be shown"
    if track.under is None:
        return f"{shown}, not yet cleared ({_limits(bound)})"
    hold = bound.clear.hold.total_seconds() if bound.clear else 0.0
    return f"{shown}, clearing for {span(track.under)} of {span(hold)}"


def _pending(bound: Bound, track: Track, value: float | None, shown: str, level: Level) -> str:
    if track.over is None:
        return f"{shown}{_count(bound, track)} {_limits(bound)}, {level} pending"
    hold = bound.hold.total_seconds()
    return f"{shown} {_side(bound, value)} for {span(track.over)} of {span(hold)}, {level} pending"


def _count(bound: Bound, track: Track) -> str:
    if bound.datapoints is None:
        return ""
    return f" ({sum(track.window)} of the last {len(track.window)} datapoints breached, {bound.datapoints} needed)"


def _side(bound: Bound, value: float | None) -> str:
    if value is None:
        return "counts as breached"
    if bound.above is not None and value > bound.above:
        return f"above {quantity(bound.above)}"
    if bound.below is not None and value < bound.below:
        return f"below {quantity(bound.below)}"
    return _limits(bound)


def _limits(bound: Bound) -> str:
    above = f"above {quantity(bound.above)}" if bound.above is not None else ""
    below = f"below {quantity(bound.below)}" if bound.below is not None else ""
    return "breached " + " or ".join(part for part in (above, below) if part)
