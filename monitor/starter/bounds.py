"""A bound from the past: the shipped default or one and a half times the highest, rounded up to what people say."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from monitor.core.durations import format_duration
from monitor.starter.history import Past, Range, words
from monitor.starter.inventory import Thing

ROOM = 1.5
#: A highest value that far above the usual ones was an incident, and no bound is built on it.
_OUTLIER = 3
_STEPS = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)
_SPANS = (
    60, 120, 300, 600, 900, 1200, 1800, 2700, 3600, 5400, 7200, 10_800, 14_400, 21_600, 28_800, 43_200, 86_400,
    172_800, 259_200, 345_600, 604_800, 1_209_600,
)  # fmt: skip
_SHARES = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.75, 0.9, 1.0)


@dataclass(frozen=True, slots=True)
class Unit:
    """How a kind of number is rounded up, written in the file and said in a comment."""

    up: Callable[[float], float]
    written: Callable[[float], float | int | str]
    said: Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Given:
    """The least bound, and what to call it."""

    value: float
    said: str = "the shipped default"


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound and where it comes from. `usual` is True if it is the least one."""

    value: float
    why: str
    usual: bool


def count_up(value: float) -> float:
    """The next number people would choose: 37 -> 40, 55.5 -> 60, 1234 -> 1500; whole below ten."""
    if value <= 10:
        return float(math.ceil(value))
    size = 10.0 ** math.floor(math.log10(value))
    return next(step * size for step in _STEPS if step * size >= value * (1 - 1e-9))


def span_up(seconds: float) -> float:
    """The next duration people would choose: 2000 s -> 45m."""
    return float(_next(seconds, _SPANS) or math.ceil(seconds / 86_400) * 86_400)


def share_up(ratio: float) -> float:
    """The next share people would choose, at most all of it."""
    return _next(ratio, _SHARES) or 1.0


def _next(value: float, steps: Sequence[float]) -> float | None:
    return next((step for step in steps if step >= value - 1e-9), None)


def _number(value: float) -> float | int:
    return int(value) if value == int(value) else value


def _plain(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.2g}"


COUNT = Unit(count_up, _number, _plain)
SPAN = Unit(span_up, format_duration, lambda seconds: format_duration(float(round(seconds))))
SHARE = Unit(share_up, lambda ratio: f"{ratio * 100:g}%", lambda ratio: f"{ratio * 100:.3g}%")


def bound(past: Past, thing: Thing, what: str, least: Given, unit: Unit, room: float = ROOM) -> Limit:
    """max(least, room x the highest of the past); an outlier counts as what 99.9 % of the points stay below."""
    known = past.of(thing, what)
    if known is None:
        return Limit(least.value, f"{past.missing(thing, what)}: {least.said}", usual=True)
    basis, told = _basis(known, past, unit)
    wanted = unit.up(basis * room)
    if wanted <= least.value:
        return Limit(least.value, f"{told}; {least.said}", usual=True)
    times = f"{room:g} times that" if room != 1 else "that"
    return Limit(wanted, f"{told}; {times}, rounded up", usual=False)


def _basis(known: Range, past: Past, unit: Unit) -> tuple[float, str]:
    told = f"highest in {words(past.length)}: {unit.said(known.highest)}"
    if known.usual is not None and known.usual * _OUTLIER < known.highest:
        return known.usual, f"{told}, but {unit.said(known.usual)} for all but a thousandth of the time"
    return known.highest, told
