"""Wording, charts and the first sentence: pure parts of the page."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from monitor.core.model import Level, Mode, Row, State
from monitor.core.view import CheckView
from monitor.web import words
from monitor.web.chart import HEIGHT, WIDTH, draw
from monitor.web.overview import verdict

NOW = datetime(2026, 3, 14, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0s"), (0.4, "0s"), (4, "4s"), (60, "1m"), (190, "3m 10s"), (3600, "1h"), (3605, "1h"), (7500, "2h 5m"),
     (532_800, "6d 4h"), (-190, "-3m 10s")],
)  # fmt: skip
def test_spans_show_two_units(seconds: float, said: str) -> None:
    """Precision fits the size."""
    assert words.span(seconds) == said


@pytest.mark.parametrize(("seconds", "said"), [(0, "now"), (5, "5s ago"), (-65, "in 1m 5s")])
def test_moments_are_told_from_now(seconds: float, said: str) -> None:
    """Past and future read differently."""
    assert words.ago(NOW - timedelta(seconds=seconds), NOW) == said


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [(346.0, "1/min", "346/min"), (1841.0, "count", "1,841"), (0.1234, "s", "0.123 s"), (4380.0, "s", "1h 13m"),
     (61.44, "%", "61.4 %"), (3 * 2**30, "bytes", "3 GiB"), (None, "s", "no reading"), (5e12, "", "5e+12"),
     (float("nan"), "", "not a number"), (-2.5, "messages", "-2.5 messages")],
)  # fmt: skip
def test_quantities_carry_their_unit(value: float | None, unit: str, said: str) -> None:
    """Numbers are read, not decoded."""
    assert words.quantity(value, unit) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, "unset"), ("ENABLED", "ENABLED"), ({"rcu": 100, "wcu": None}, "rcu: 100, wcu: unset"),
     ([1, True], "1, True")],
)  # fmt: skip
def test_captured_states_are_short(value: Any, said: str) -> None:
    """What was unset says so."""
    assert words.state_of(value) == said
    assert len(words.state_of("x" * 500)) == 120


@pytest.mark.parametrize(
    ("address", "link"),
    [("https://a.example/x", True), ("http://a", True), ("javascript:alert(1)", False), ("//a.example", False),
     ("data:text/html,x", False), ("http://[bad", False), (None, False), ("", False)],
)  # fmt: skip
def test_only_http_is_linked(address: str | None, link: bool) -> None:
    """Everything else is not followed."""
    assert bool(words.web_link(address)) is link


def row(values: list[float], gap_after: int | None = None, **rest: Any) -> Row:
    """A row with a reading every 10 s, ending NOW; after `gap_after` readings a minute is missing."""
    count = len(values)
    times = [
        NOW - timedelta(seconds=10 * (count - 1 - i) + (60 if gap_after is not None and i < gap_after else 0))
        for i in range(count)
    ]
    defaults: dict[str, Any] = {"level": Level.OK, "value": values[-1] if values else None, "at": NOW, "since": NOW}
    return Row("p", "c", "k", "t", "s", "count", recent=tuple(zip(times, values, strict=True)), **(defaults | rest))


def coordinates(line: str) -> list[tuple[float, float]]:
    """The points of an SVG point list."""
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in line.split())]


def test_a_chart_needs_two_readings() -> None:
    """One point is no line; values that are no numbers don't count."""
    assert draw(row([]), NOW) is None
    assert draw(row([1.0]), NOW) is None
    assert draw(row([float("nan"), 1.0]), NOW) is None


@pytest.mark.parametrize("values", [[0.0, 0.0], [5.0, 5.0], [-3.0, 4.0], [1e12, 1.0], [1e-9, 2e-9]])
def test_a_chart_stays_in_its_box(values: list[float]) -> None:
    """Flat, negative, huge and tiny values are all drawn inside."""
    chart = draw(row(values, warning_bound=1.0, critical_bound=1e15), NOW)
    assert chart is not None
    points = [p for line in chart.lines for p in coordinates(line)]
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points)


def test_a_gap_in_the_data_is_a_gap_in_the_line() -> None:
    """Missing readings are never drawn over."""
    chart = draw(row([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], gap_after=3), NOW)
    lone = draw(row([1.0, 2.0, 3.0, 4.0], gap_after=1), NOW)
    assert chart is not None
    assert lone is not None
    assert [len(coordinates(line)) for line in chart.lines] == [3, 3]
    assert (len(lone.lines), len(lone.lone)) == (1, 1)


def test_old_data_ends_before_the_right_edge() -> None:
    """An unknown signal has no last dot, and its line stops where its readings did."""
    chart = draw(row([1.0, 2.0, 3.0], value=None, level=Level.UNKNOWN), NOW + timedelta(seconds=60))
    assert chart is not None
    assert chart.dot is None
    assert coordinates(chart.lines[0])[-1][0] < WIDTH / 2
    assert "now unknown" in chart.label


def test_the_nearest_bound_is_drawn_and_a_far_one_told() -> None:
    """The nearest bound is always there, the next only if it would not press the picture flat."""
    chart = draw(row([80.0, 90.0], warning_bound=100_000, critical_bound=10_000_000), NOW)
    assert chart is not None
    assert chart.warning is not None
    assert chart.critical is None
    assert "critical bound 10,000,000" in chart.label


def test_higher_values_are_higher() -> None:
    """The critical bound above the warning bound is nearer to the top."""
    chart = draw(row([10.0, 250.0], warning_bound=100, critical_bound=200), NOW)
    assert chart is not None
    assert chart.warning is not None
    assert chart.critical is not None
    assert chart.critical < chart.warning
    assert coordinates(chart.lines[0])[1][1] < chart.critical


def checks(surface: Any, *levels: Level) -> list[CheckView]:
    """One check per level."""
    return [replace(surface.view_checks[0], level=level) for level in levels]


@pytest.mark.parametrize(
    ("levels", "states", "level", "title"),
    [
        ([Level.OK, Level.OK], [State.CLOSED], Level.OK, "All quiet"),
        ([Level.OK, Level.UNKNOWN], [State.CLOSED], Level.UNKNOWN, "1 check unknown"),
        ([Level.WARNING, Level.UNKNOWN], [], Level.WARNING, "1 check warning, 1 check unknown"),
        ([Level.CRITICAL, Level.CRITICAL, Level.WARNING], [], Level.CRITICAL, "2 checks critical"),
        ([Level.OK], [State.OPEN, State.OPEN], Level.CRITICAL, "2 breakers open"),
        ([Level.OK], [State.HALF_OPEN, State.TRIPPING], Level.CRITICAL, "1 breaker tripping, 1 half open"),
        ([], [], Level.UNKNOWN, "Nothing is watched"),
    ],
)
def test_the_first_sentence_is_the_worst_news(
    surface: Any, levels: list[Level], states: list[State], level: Level, title: str
) -> None:
    """Quiet is said only when nothing is wrong and nothing unknown."""
    breakers = [replace(surface.view_breakers[2], state=state) for state in states]
    said = verdict(surface.view_status, checks(surface, *levels), breakers)
    assert (said.level, said.title) == (level, title)


def test_a_shadow_trip_is_no_trip(surface: Any) -> None:
    """An observing breaker that is open changes nothing: it is not counted among the tripped, and said for itself."""
    shadow = replace(surface.view_breakers[1], state=State.OPEN, mode=Mode.OBSERVE)
    said = verdict(surface.view_status, checks(surface, Level.OK), [shadow])
    assert (said.level, said.title) == (Level.WARNING, "1 observing breaker would act")
    assert said.detail == "No breaker has tripped."


def test_not_ready_comes_first(surface: Any) -> None:
    """A daemon that isn't ready never looks quiet."""
    said = verdict(replace(surface.view_status, ready=False), checks(surface, Level.OK), [])
    assert (said.level, said.title) == (Level.UNKNOWN, "Not ready")
