"""Geometry of the page's small charts: a signal's recent values against its bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from statistics import median

from monitor.core.model import Row
from monitor.web.words import quantity, span

WIDTH, HEIGHT, PAD = 240.0, 56.0, 4.0


@dataclass(frozen=True, slots=True)
class Chart:
    """In a box of WIDTH x HEIGHT. `lines` are SVG point lists; a gap in the data is a gap in the line."""

    lines: tuple[str, ...]
    lone: tuple[tuple[float, float], ...]
    dot: tuple[float, float] | None
    warning: float | None
    critical: float | None
    label: str
    #: The ends of the scale and the span, as people read them.
    top: str
    bottom: str
    span: str
    #: For the pointer and the keys: seconds of the left and right edge, the scale, and `seconds:value` pairs from the
    #: left edge on.
    left: int
    right: int
    readings: str


def draw(row: Row, now: datetime) -> Chart | None:
    """None without two readings. The right edge is `now`, so old data visibly ends early."""
    points = [(at.timestamp(), value) for at, value in row.recent if math.isfinite(value)]
    if len(points) < 2:
        return None
    values = [value for _, value in points]
    low, high = _scale(values, [b for b in (row.warning_bound, row.critical_bound) if b is not None])
    left, right = points[0][0], max(points[-1][0], now.timestamp())
    right = max(right, left + 1)

    def place(at: float, value: float) -> tuple[float, float]:
        x = PAD + (at - left) / (right - left) * (WIDTH - 2 * PAD)
        return round(x, 1), round(level(value), 1)

    def level(value: float) -> float:
        return HEIGHT - PAD - (value - low) / (high - low) * (HEIGHT - 2 * PAD)

    def bound(value: float | None) -> float | None:
        return None if value is None or not low <= value <= high else round(level(value), 1)

    pieces = _pieces(points)
    return Chart(
        lines=tuple(" ".join(f"{x},{y}" for x, y in (place(*p) for p in piece)) for piece in pieces if len(piece) > 1),
        lone=tuple(place(*piece[0]) for piece in pieces if len(piece) == 1),
        dot=place(*points[-1]) if row.value is not None else None,
        warning=bound(row.warning_bound),
        critical=bound(row.critical_bound),
        label=_label(row, values, now.timestamp() - points[0][0]),
        top=quantity(high, row.unit),
        bottom=quantity(low, row.unit),
        span=span(right - left),
        left=int(left),
        right=math.ceil(right),
        readings=" ".join(f"{round(at) - int(left)}:{_short(value)}" for at, value in points),
    )


def _short(value: float) -> str:
    """Six digits: more than anybody reads off a chart, and few bytes."""
    return f"{value:.6g}"


def _scale(values: list[float], bounds: list[float]) -> tuple[float, float]:
    """Holds all values and the nearest bound, so that height means distance from it; a bound far beyond is left out."""
    low, high = min(values), max(values)
    if low > 0 and low < 0.6 * high:
        low = 0.0  # a scale that starts at zero doesn't exaggerate
    near = sorted((b for b in bounds if math.isfinite(b)), key=lambda b: max(low - b, b - high))
    for b in near:
        if b is near[0] or max(low - b, b - high) <= 3 * (high - low):
            low, high = min(low, b), max(high, b)
    return (low, high) if high > low else (low, low + 1)


def _pieces(points: list[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    """Split where readings are missing: a step more than three times the usual one."""
    usual = median(b[0] - a[0] for a, b in pairwise(points))
    pieces = [[points[0]]]
    for before, point in pairwise(points):
        if usual > 0 and point[0] - before[0] > 3 * usual:
            pieces.append([])
        pieces[-1].append(point)
    return pieces


def _label(row: Row, values: list[float], seconds: float) -> str:
    """What the picture shows, for those who don't see it."""
    parts = [
        f"{row.signal} of {row.target} over {span(seconds)}",
        f"between {quantity(min(values), row.unit)} and {quantity(max(values), row.unit)}",
        f"now {quantity(row.value, row.unit)}" if row.value is not None else "now unknown",
    ]
    if row.warning_bound is not None:
        parts.append(f"warning bound {quantity(row.warning_bound, row.unit)}")
    if row.critical_bound is not None:
        parts.append(f"critical bound {quantity(row.critical_bound, row.unit)}")
    return ", ".join(parts)
