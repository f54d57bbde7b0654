"""What the pictures show, before anybody draws: thinned courses, bounds, trips; the same for terminal and report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from monitor.backtest.result import Course, Outcome
from monitor.backtest.score import Label
from monitor.backtest.tape import Place, Tape, Tapes, course
from monitor.core.condition import terms_of
from monitor.core.spec import Bound, BreakerSpec, Pipeline


@dataclass(frozen=True, slots=True)
class Stretch:
    """A span of time in epoch seconds, with its words."""

    start: float
    end: float
    text: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """One signal of one target against its bounds, with the trips of one breaker."""

    breaker: str
    check: str
    signal: str
    target: str
    unit: str
    start: float
    end: float
    #: (low, high) per equal slice of time; None where nothing was known.
    slices: tuple[tuple[float, float] | None, ...]
    #: (value, level) of the drawn lines.
    bounds: tuple[tuple[float, str], ...]
    trips: tuple[Stretch, ...]
    labels: tuple[Stretch, ...]

    @property
    def top(self) -> float:
        """The highest value that must fit."""
        known = [high for one in self.slices if one is not None for high in (one[1],)]
        return max([*known, *(value for value, _ in self.bounds)], default=1.0)

    @property
    def bottom(self) -> float:
        """The lowest; zero unless something lies below."""
        known = [one[0] for one in self.slices if one is not None]
        return min([0.0, *known, *(value for value, _ in self.bounds)])


def pictures(
    outcome: Outcome, pipelines: Sequence[Pipeline], tapes: Tapes, labels: Sequence[Label] | None, slices: int
) -> list[Picture]:
    """One per breaker that could hear something: the signal and target that tripped it most, else its first."""
    specs = {spec.key: spec for pipeline in pipelines for spec in pipeline.breakers.values()}
    found = []
    for told in outcome.courses:
        shown = _shown(told, specs[told.breaker], tapes)
        if shown is not None:
            found.append(_picture(told, *shown, labels or (), slices))
    return found


def _shown(told: Course, spec: BreakerSpec, tapes: Tapes) -> tuple[Tape, Place] | None:
    votes: dict[tuple[str, Place], int] = {}
    for trip in told.trips:
        for cause in trip.causes:
            key = cause.check, (cause.target, cause.signal)
            votes[key] = votes.get(key, 0) + 1
    if votes:
        check, place = max(votes, key=lambda key: votes[key])
        return tapes[f"{spec.pipeline}/{check}"], place
    for term in terms_of(spec.condition):
        tape = tapes.get(f"{spec.pipeline}/{term.check}")
        for place in tape.columns if tape is not None else ():
            if tape is not None and term.signal in (None, place[1]) and tape.spec.judges(place[1]):
                return tape, place
    return None


def _picture(told: Course, tape: Tape, place: Place, labels: Sequence[Label], slices: int) -> Picture:
    start, end = told.span.start.timestamp(), told.span.end.timestamp()
    bounds = tape.spec.signals[place[1]]
    lines = [(v, level) for level, b in (("warning", bounds.warning), ("critical", bounds.critical)) for v in limits(b)]
    trips = [
        Stretch(t.start.timestamp(), (t.end or told.span.end).timestamp(), f"{_when(t.start)}: {t.reason}")
        for t in told.trips
    ]
    windows = [
        Stretch(one.start.timestamp(), one.end.timestamp(), f"labelled {_when(one.start)} to {_when(one.end)}")
        for one in labels
        if one.breaker in ("", told.breaker, told.breaker.split("/", 1)[1])
    ]
    return Picture(
        told.breaker, tape.spec.name, place[1], place[0], tape.spec.units.get(place[1], ""), start, end,
        tuple(thinned(tape, place, start, end, slices)), tuple(lines), tuple(trips), tuple(windows),
    )  # fmt: skip


def thinned(tape: Tape, place: Place, start: float, end: float, slices: int) -> list[tuple[float, float] | None]:
    """Lowest and highest value of each slice: a spike of one minute must stay visible in two weeks."""
    found: list[tuple[float, float] | None] = [None] * slices
    width = max(1e-9, (end - start) / slices)
    for at, value in course(tape, place):
        index = int((at - start) / width)
        if value is None or not 0 <= index < slices:
            continue
        now = found[index]
        found[index] = (value, value) if now is None else (min(now[0], value), max(now[1], value))
    return found


def limits(bound: Bound | None) -> list[float]:
    """The lines a bound draws."""
    return [] if bound is None else [value for value in (bound.above, bound.below) if value is not None]


def _when(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"
