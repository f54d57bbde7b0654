"""Drawings as inline SVG: colours come from the page's style, so that dark mode and print need no second drawing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape

from monitor.backtest.picture import Picture, Stretch
from monitor.backtest.sweep import Point, Swept
from monitor.backtest.words import share, shortly
from monitor.core.sentence import quantity

WIDTH, HEIGHT = 960, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 12, 12, 34


def course_of(picture: Picture) -> str:
    """One signal against its bounds; trips shaded, labelled incidents underneath."""
    low, top = picture.bottom, picture.top * 1.05 or 1.0
    scale = (top - low) or 1.0
    plot = HEIGHT - _TOP - _BOTTOM

    def y(value: float) -> float:
        return _TOP + plot * (1 - (value - low) / scale)

    title = f"{picture.check}.{picture.signal} of {picture.target}"
    told = f"{title}: {len(picture.trips)} trips of {picture.breaker}"
    parts = [_open(told), f"<title>{escape(told)}</title>"]
    parts += [_span(picture, trip, "trip", _TOP, plot) for trip in picture.trips]
    parts += [_span(picture, label, "label", HEIGHT - _BOTTOM + 3, 6) for label in picture.labels]
    parts += [_tick(y(value), quantity(value)) for value in _ticks(low, top)]
    parts.append(f'<path class="course" d="{_path(picture, y)}"/>')
    for value, level in picture.bounds:
        at, right = f"{y(value):.1f}", WIDTH - _RIGHT
        text = escape(f"{level} {quantity(value, picture.unit)}")
        parts.append(f'<line class="bound {level}" x1="{_LEFT}" x2="{right}" y1="{at}" y2="{at}"/>')
        parts.append(f'<text class="{level}" x="{right}" y="{y(value) - 4:.1f}" text-anchor="end">{text}</text>')
    parts += _days(picture)
    return "".join([*parts, "</svg>"])


def _open(label: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label, quote=True)}">'


def _x(picture: Picture, at: float) -> float:
    share_ = (at - picture.start) / ((picture.end - picture.start) or 1.0)
    return _LEFT + (WIDTH - _LEFT - _RIGHT) * min(1.0, max(0.0, share_))


def _span(picture: Picture, one: Stretch, name: str, y: float, height: float) -> str:
    left, right = _x(picture, one.start), _x(picture, one.end)
    width = max(2.0, right - left)
    return (
        f'<rect class="{name}" x="{left:.1f}" y="{y}" width="{width:.1f}" height="{height}">'
        f"<title>{escape(one.text)}</title></rect>"
    )


def _path(picture: Picture, y: object) -> str:
    """Each slice from its lowest to its highest; a gap stays a gap."""
    assert callable(y)
    count = len(picture.slices)
    step = (WIDTH - _LEFT - _RIGHT) / max(1, count)
    words, drawing = [], False
    for index, one in enumerate(picture.slices):
        if one is None:
            drawing = False
            continue
        x = _LEFT + (index + 0.5) * step
        words.append(f"{'L' if drawing else 'M'}{x:.1f} {y(one[0]):.1f}L{x:.1f} {y(one[1]):.1f}")
        drawing = True
    return "".join(words)


def _ticks(low: float, top: float) -> Sequence[float]:
    return [low, (low + top) / 2] if top > low else [low]


def _tick(y: float, text: str) -> str:
    return (
        f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{escape(text)}</text>'
    )


def _days(picture: Picture) -> list[str]:
    """Dates along the foot, at most eight."""
    days = (picture.end - picture.start) / 86_400
    step = max(1.0, days / 8) * 86_400 if days > 2 else (picture.end - picture.start) / 6
    words, at = [], picture.start
    while at <= picture.end:
        text = f"{datetime.fromtimestamp(at, UTC):%m-%d %H:%M}"
        x = _x(picture, at)
        anchor = "end" if x > WIDTH - 60 else "middle"
        words.append(f'<text x="{x:.1f}" y="{HEIGHT - 8}" text-anchor="{anchor}">{text}</text>')
        at += step
    return words


def sweep_of(swept: Swept) -> str:
    """With labels: precision against delay. Without: trips against the bound, a line per `for`."""
    return _by_delay(swept) if swept.labelled else _by_bound(swept)


def _by_delay(swept: Swept) -> str:
    seen = [point for point in swept.points if point.score is not None and point.score.delay is not None]
    longest = max((_minutes(point) for point in seen), default=1.0) or 1.0
    told = f"precision against the median delay to detect, {swept.check}.{swept.signal}"
    parts = [_open(told), f"<title>{escape(told)}</title>"]
    plot_x, plot_y = WIDTH - _LEFT - _RIGHT - 20, HEIGHT - _TOP - _BOTTOM
    parts += [_tick(_TOP + plot_y * (1 - part), f"{100 * part:.0f} %") for part in (0.0, 0.5, 1.0)]
    for point in sorted(seen, key=lambda one: one.chosen):
        assert point.score is not None, "only scored ones are drawn"
        x = _LEFT + 10 + plot_x * _minutes(point) / longest
        y = _TOP + plot_y * (1 - (point.score.precision or 0.0))
        # Recall is the size: a precise threshold that misses half is a small dot.
        radius = 2 + 5 * (point.score.recall or 0.0)
        parts.append(_dot(x, y, radius, point, swept))
    parts.append(f'<text x="{_LEFT}" y="{HEIGHT - 8}">0 min</text>')
    parts.append(f'<text x="{WIDTH - _RIGHT}" y="{HEIGHT - 8}" text-anchor="end">median delay {longest:g} min</text>')
    return "".join([*parts, "</svg>"])


def _by_bound(swept: Swept) -> str:
    bounds = [point.bound for point in swept.points]
    low, high = min(bounds), max(bounds)
    most = max(point.trips for point in swept.points) or 1
    told = f"trips against the bound, {swept.check}.{swept.signal}"
    parts = [_open(told), f"<title>{escape(told)}</title>"]
    plot_x, plot_y = WIDTH - _LEFT - _RIGHT - 20, HEIGHT - _TOP - _BOTTOM
    parts += [_tick(_TOP + plot_y * (1 - part), f"{most * part:.0f}") for part in (0.0, 1.0)]
    for hold in sorted({point.hold for point in swept.points}):
        row = [point for point in swept.points if point.hold == hold]
        places = [
            (
                _LEFT + 10 + plot_x * (point.bound - low) / ((high - low) or 1.0),
                _TOP + plot_y * (1 - point.trips / most),
                point,
            )
            for point in row
        ]
        line = "L".join(f"{x:.1f} {y:.1f}" for x, y, _ in places)
        parts.append(f'<path class="hold" d="M{line}"/>')
        parts += [_dot(x, y, 3, point, swept) for x, y, point in places]
    ends = (quantity(low, swept.unit), quantity(high, swept.unit))
    parts.append(f'<text x="{_LEFT}" y="{HEIGHT - 8}">{escape(ends[0])}</text>')
    parts.append(f'<text x="{WIDTH - _RIGHT}" y="{HEIGHT - 8}" text-anchor="end">{escape(ends[1])}</text>')
    return "".join([*parts, "</svg>"])


def _minutes(point: Point) -> float:
    delay = point.score.delay if point.score is not None else None
    return delay.total_seconds() / 60 if delay is not None else 0.0


def _dot(x: float, y: float, radius: float, point: Point, swept: Swept) -> str:
    name = "chosen" if point.chosen else "point"
    return (
        f'<circle class="{name}" cx="{x:.1f}" cy="{y:.1f}" r="{radius + 3 * point.chosen:.1f}">'
        f"<title>{escape(describe(point, swept))}</title></circle>"
    )


def describe(point: Point, swept: Swept) -> str:
    """One point in words."""
    words = [f"{swept.side} {quantity(point.bound, swept.unit)} for {shortly(point.hold)}", f"{point.trips} trips"]
    if point.score is not None:
        words += [f"precision {share(point.score.precision)}", f"recall {share(point.score.recall)}"]
        words += [f"delay {shortly(point.score.delay)}"] if point.score.delay is not None else []
    return ", ".join(words) + (" (configured)" if point.chosen else "")
