"""A threshold sweep: the same history under a range of bounds and `for`, to see what each would have cost.

The bounds come from the data itself (its upper or lower quantiles, by the side that breaches) and the configured one;
`for` from zero to a quarter of an hour. Nothing but that signal's critical bound changes; a clear bound that would lie
on the wrong side of a new bound moves onto it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from monitor.backtest.replay import USUAL, Manner, replay
from monitor.backtest.result import Outcome
from monitor.backtest.score import Label, Score, score
from monitor.backtest.tape import Tape, Tapes
from monitor.core.condition import checks_of
from monitor.core.spec import Bound, CheckSpec, Pipeline
from monitor.plugin import Registry

_QUANTILES = (0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 1.0)
#: Bounds tried in between the last of these and the extreme: an incident is mostly far away from the rest.
_BETWEEN = (0.25, 0.5, 0.75)
_HOLDS = tuple(timedelta(minutes=m) for m in (0, 1, 2, 5, 10, 15))


class SweepError(Exception):
    """This signal can't be swept; the text says why and what could be."""


@dataclass(frozen=True, slots=True)
class Point:
    """One bound and `for`, and what came of it."""

    bound: float
    hold: timedelta
    trips: int
    open_for: timedelta
    off_for: timedelta
    #: Over all breakers that listen to the signal; None without labels.
    score: Score | None
    chosen: bool = False


@dataclass(frozen=True, slots=True)
class Swept:
    """A sweep of one signal. `side` is `above` or `below`."""

    check: str
    signal: str
    unit: str
    side: str
    points: tuple[Point, ...]
    labelled: bool

    @property
    def chosen(self) -> Point:
        """The configured bound."""
        return next(point for point in self.points if point.chosen)


def find(name: str, pipelines: Sequence[Pipeline]) -> tuple[CheckSpec, str]:
    """The check and signal called `[PIPELINE/]CHECK.SIGNAL`. Raises SweepError."""
    check, _, signal = name.rpartition(".")
    specs = [spec for pipeline in pipelines for spec in pipeline.checks.values() if check in (spec.key, spec.name)]
    if len(specs) != 1:
        names = ", ".join(spec.key for pipeline in pipelines for spec in pipeline.checks.values())
        many = "is in several pipelines" if specs else "is not among the checks that breakers listen to"
        raise SweepError(f"--sweep {name}: {check or name} {many}; there are: {names} (write CHECK.SIGNAL)")
    spec = specs[0]
    found = spec.signals.get(signal)
    if found is None or found.critical is None:
        names = ", ".join(s for s, bounds in spec.signals.items() if bounds.critical is not None) or "none"
        raise SweepError(
            f"--sweep {name}: {spec.key} has no critical threshold on {signal!r}; those that have: {names}"
        )
    return spec, signal


async def sweep(
    name: str,
    pipelines: Sequence[Pipeline],
    tapes: Tapes,
    registry: Registry,
    manner: Manner = USUAL,
    labels: Sequence[Label] | None = None,
    progress: Callable[[float], None] = lambda done: None,
) -> Swept:
    """Replay once per bound and `for`. Raises SweepError."""
    spec, signal = find(name, pipelines)
    own = spec.signals[signal].critical
    assert own is not None, "find() made sure"
    listening = [narrow for pipeline in pipelines if (narrow := _listening(pipeline, spec)) is not None]
    if not listening:
        raise SweepError(f"--sweep {name}: no breaker listens to {spec.key}")
    tape = tapes.get(spec.key)
    if tape is None:
        raise SweepError(f"--sweep {name}: there is no history of {spec.key}")
    side = "above" if own.above is not None else "below"
    current = own.above if own.above is not None else own.below
    assert current is not None, "a bound has a side"
    values = [value for place, column in tape.columns.items() if place[1] == signal for value in column.values]
    bounds = sorted({current, *quantiles(values, side)})
    holds = sorted({own.hold, *_HOLDS})
    heard = {key: one for key, one in tapes.items() if any(key in _keys(pipeline) for pipeline in listening)}
    points: list[Point] = []
    total = len(bounds) * len(holds)
    for bound in bounds:
        for hold in holds:
            tried = _tried(own, side, bound, hold)
            outcome = await _replayed(listening, heard, spec, signal, tried, registry, manner)
            points.append(_point(outcome, bound, hold, labels, chosen=bound == current and hold == own.hold))
            progress(len(points) / total)
    return Swept(spec.key, signal, spec.units.get(signal, ""), side, tuple(points), labels is not None)


def quantiles(values: Iterable[float], side: str) -> list[float]:
    """Bounds worth trying, rounded to three digits."""
    known = sorted(value for value in values if not math.isnan(value))
    if not known:
        return []
    shares = _QUANTILES if side == "above" else tuple(1.0 - share for share in _QUANTILES)
    found = [known[min(len(known) - 1, int(share * len(known)))] for share in shares]
    found += [found[-2] + part * (found[-1] - found[-2]) for part in _BETWEEN]
    return list(dict.fromkeys(_rounded(value) for value in found))


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")


def _tried(own: Bound, side: str, bound: float, hold: timedelta) -> Bound:
    clear = own.clear
    if clear is not None and side == "above" and clear.below is not None:
        clear = replace(clear, below=min(clear.below, bound))
    if clear is not None and side == "below" and clear.above is not None:
        clear = replace(clear, above=max(clear.above, bound))
    moved = replace(own, above=bound) if side == "above" else replace(own, below=bound)
    return replace(moved, hold=hold, clear=clear)


async def _replayed(
    pipelines: Sequence[Pipeline],
    tapes: Tapes,
    spec: CheckSpec,
    signal: str,
    bound: Bound,
    registry: Registry,
    manner: Manner,
) -> Outcome:
    tape = tapes[spec.key]
    signals = {**tape.spec.signals, signal: replace(tape.spec.signals[signal], critical=bound)}
    changed: Mapping[str, Tape] = {**tapes, spec.key: tape.judged_with(replace(tape.spec, signals=signals))}
    return await replay(pipelines, changed, registry, manner)


def _point(outcome: Outcome, bound: float, hold: timedelta, labels: Sequence[Label] | None, *, chosen: bool) -> Point:
    scored = None
    if labels is not None:
        scored = together([score(course, labels) for course in outcome.courses])
    return Point(
        bound,
        hold,
        sum(len(course.counted) for course in outcome.courses),
        sum((course.open_for for course in outcome.courses), timedelta(0)),
        sum((course.off_for for course in outcome.courses), timedelta(0)),
        scored,
        chosen,
    )


def together(scores: Sequence[Score]) -> Score:
    """Several breakers as one."""
    return Score(
        sum(one.true for one in scores),
        sum(one.false for one in scores),
        sum(one.missed for one in scores),
        sum(one.found for one in scores),
        tuple(delay for one in scores for delay in one.delays),
    )


def _listening(pipeline: Pipeline, spec: CheckSpec) -> Pipeline | None:
    if pipeline.name != spec.pipeline:
        return None
    breakers = {name: one for name, one in pipeline.breakers.items() if spec.name in checks_of(one.condition)}
    return replace(pipeline, breakers=breakers) if breakers else None


def _keys(pipeline: Pipeline) -> set[str]:
    return {spec.key for spec in pipeline.checks.values()}
