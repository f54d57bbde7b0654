"""The sweep and the pictures: monotone, marked, and a page that asks nobody for anything."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
from engine_rig import REGISTRY, breaker, check, pipeline

from monitor.backtest import chart, png, words
from monitor.backtest.page import Content, html
from monitor.backtest.picture import Picture, pictures
from monitor.backtest.replay import Manner, replay
from monitor.backtest.score import Label, score
from monitor.backtest.sweep import SweepError, Swept, sweep
from monitor.backtest.tape import Tape
from monitor.core.model import Missing
from monitor.core.spec import Bound, Pipeline, RecoverSpec, SignalSpec

MINUTE = timedelta(minutes=1)


def made() -> Pipeline:
    """Critical above 40 for a minute; recovers after ten."""
    signals = {"level": SignalSpec(critical=Bound(above=40, hold=MINUTE), missing=Missing.UNKNOWN)}
    recover = RecoverSpec("auto", timedelta(minutes=10), timedelta(minutes=5))
    return pipeline(check(interval=MINUTE, signals=signals), breaker("<loop>", recover=recover))


#: Breaches of rising height and length, two hours apart.
HILLS = [(30, 4), (60, 8), (90, 12), (120, 16)]


def hills() -> list[float]:
    """Calm, with HILLS in it."""
    values = [5.0] * 1000
    for number, (height, length) in enumerate(HILLS, 1):
        values[number * 120 : number * 120 + length] = [float(height)] * length
    return values


def labels(tape: Tape) -> list[Label]:
    """The two highest are incidents."""
    return [Label(tape.at(n * 120), tape.at(n * 120 + HILLS[n - 1][1])) for n in (3, 4)]


async def swept(tape: Callable[..., Tape], *, labelled: bool) -> Swept:
    """A sweep over the hills."""
    one = made()
    recorded = tape(one.checks["load"], {"a": hills()})
    windows = labels(recorded) if labelled else None
    return await sweep("load.level", [one], {"etl/load": recorded}, REGISTRY, Manner(), windows)


async def test_a_sweep_is_monotone(tape: Callable[..., Tape]) -> None:
    """A higher bound never trips more often on separate hills, a longer `for` never sooner."""
    found = await swept(tape, labelled=True)
    for hold in {point.hold for point in found.points}:
        row = [point for point in found.points if point.hold == hold]
        assert [point.bound for point in row] == sorted(point.bound for point in row)
        trips = [point.trips for point in row]
        assert trips == sorted(trips, reverse=True), f"for {hold}"
    for bound in {point.bound for point in found.points}:
        row = [point for point in found.points if point.bound == bound]
        trips = [point.trips for point in row]
        assert trips == sorted(trips, reverse=True), f"above {bound}"
        delays = [p.score.delay for p in row if p.score is not None and p.score.recall == 1.0]
        assert delays == sorted(delays, key=lambda delay: delay or timedelta(0))


async def test_a_sweep_marks_what_is_configured(tape: Callable[..., Tape]) -> None:
    """One point is the configured one, and it is what the plain replay gives."""
    found = await swept(tape, labelled=True)
    assert [(point.bound, point.hold) for point in found.points if point.chosen] == [(40.0, MINUTE)]
    assert found.chosen.trips == 3
    assert found.chosen.score is not None
    assert (found.chosen.score.precision, found.chosen.score.recall) == (2 / 3, 1.0)
    assert any(p.score is not None and p.score.precision == p.score.recall == 1.0 for p in found.points)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("nope.level", "there are: etl/load"),
        ("load.nope", "those that have: level"),
        ("load", "write CHECK.SIGNAL"),
    ],
)
async def test_a_sweep_of_nothing_says_what_could_be(tape: Callable[..., Tape], name: str, complaint: str) -> None:
    """A name that is none is answered with those that are."""
    one = made()
    with pytest.raises(SweepError, match=re.escape(complaint)):
        await sweep(name, [one], {"etl/load": tape(one.checks["load"], {"a": hills()})}, REGISTRY)


class Links(HTMLParser):
    """Everything in a page that could cause a request, and its balance of tags."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note it."""
        self.links += [f"{tag} {name}={value}" for name, value in attrs if name in ("src", "href", "action", "data")]
        if tag in ("script", "iframe", "link", "img", "object", "embed"):
            self.links.append(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Drawn shapes."""

    def handle_endtag(self, tag: str) -> None:
        """Must be the one opened last."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """What is read."""
        self.text.append(data)


async def report(tape: Callable[..., Tape]) -> tuple[str, list[Picture]]:
    """A whole page."""
    one = made()
    recorded = tape(one.checks["load"], {"a": hills()})
    outcome = await replay([one], {"etl/load": recorded}, REGISTRY)
    windows = labels(recorded)
    scores = {course.breaker: score(course, windows) for course in outcome.courses}
    shown = pictures(outcome, [one], {"etl/load": recorded}, windows, 200)
    return html(Content(outcome, shown, scores, await swept(tape, labelled=True), "0")), shown


async def test_the_report_needs_nothing_from_outside(tape: Callable[..., Tape]) -> None:
    """No link, script, image or import; its policy forbids them; dark mode and print are in its style."""
    page, _ = await report(tape)
    seen = Links()
    seen.feed(page)
    assert seen.links == []
    assert seen.open == []
    assert "url(" not in page
    assert "@import" not in page
    assert not re.search(r"https?://", page)
    assert "default-src 'none'" in page
    assert "prefers-color-scheme:dark" in page
    assert "@media print" in page


async def test_the_report_tells_what_happened(tape: Callable[..., Tape]) -> None:
    """Trips, plans, score and the configured point; names are escaped."""
    page, shown = await report(tape)
    seen = Links()
    seen.feed(page)
    text = " ".join(seen.text)
    assert "<loop>" not in page
    assert "etl/<loop>" in text
    assert "set gate to 0 (3x)" in text
    assert "67 %" in text
    assert page.count('class="trip"') == 3
    assert page.count('class="label"') == 2
    assert page.count('class="chosen"') == 1
    assert len(shown) == 1


async def test_a_spike_of_a_minute_stays_visible(tape: Callable[..., Tape]) -> None:
    """Thinned to a tenth, the highest value of each stretch is still there."""
    _, (shown,) = await report(tape)
    assert max(high for one in shown.slices if one is not None for high in (one[1],)) == 120.0
    assert shown.top == 120.0


async def test_the_terminal_chart_fits_and_marks(tape: Callable[..., Tape]) -> None:
    """As wide as asked, the bound named, each trip marked; in ASCII where the terminal has no better."""
    one = made()
    recorded = tape(one.checks["load"], {"a": hills()})
    outcome = await replay([one], {"etl/load": recorded}, REGISTRY)
    (shown,) = pictures(outcome, [one], {"etl/load": recorded}, None, 60)
    for unicode, mark in ((True, "▲"), (False, "^")):
        lines = [line.plain for line in chart.chart(shown, unicode=unicode)]
        assert all(len(line) <= 60 + chart.MARGIN for line in lines[1:])
        assert any(line.strip().startswith("40 ") for line in lines)
        (marks,) = [line for line in lines if line.strip().startswith("trips")]
        assert marks.count(mark) == 3
        assert "\n".join(lines[1:]).isascii() is not unicode


async def test_a_breaker_that_hears_nothing_is_not_called_calm(tape: Callable[..., Tape]) -> None:
    """Without history of its signal the number of trips is unknown, not zero."""
    one = made()
    recorded = tape(one.checks["load"], {"a": hills()})
    recorded.sources.clear()
    outcome = await replay([one], {"etl/load": recorded}, REGISTRY)
    _, (row,) = words.summary_rows(outcome, None)
    assert "unknown" in row


def test_without_a_browser_a_png_is_refused_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written, and HTML is proposed."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(png.NoBrowser, match=r"write FILE\.html"):
        png.draw("<p>", tmp_path / "x.png", 100)
    assert not (tmp_path / "x.png").exists()


@pytest.mark.process
@pytest.mark.skipif(png.browser() is None, reason="no Chromium here")
async def test_chromium_draws_the_report(tape: Callable[..., Tape], tmp_path: Path) -> None:
    """A real PNG of the real page."""
    page, _ = await report(tape)
    png.draw(page, tmp_path / "x.png", 900)
    body = (tmp_path / "x.png").read_bytes()
    assert body.startswith(b"\x89PNG")
    assert len(body) > 10_000
