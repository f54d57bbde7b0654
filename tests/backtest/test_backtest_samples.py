"""Recorded samples, labels and scores: what is read, what a gap means, what counts as true."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from engine_rig import REGISTRY, breaker, check, holds, pipeline

from monitor.backtest.prometheus import fetch
from monitor.backtest.replay import replay
from monitor.backtest.result import Course, Tripped
from monitor.backtest.samples import Sample, SampleError, moment, read_samples, tapes_of
from monitor.backtest.score import Label, read_labels, score
from monitor.backtest.tape import Fidelity, Span
from monitor.core.model import Reason
from monitor.core.spec import Bound, RecoverSpec, SignalSpec

DATA = Path(__file__).with_name("data")
START = datetime(2026, 3, 4, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def test_json_lines_and_csv_say_the_same(tmp_path: Path) -> None:
    """Both forms, epoch and ISO times, absent values, in a folder."""
    line = {"at": START.timestamp(), "check": "etl/load", "signal": "level", "target": "a", "value": 3}
    absent = {"at": "2026-03-04T12:01:00Z", "check": "load", "signal": "level", "target": "a", "value": None}
    (tmp_path / "a.jsonl").write_text(f"{json.dumps(line)}\n\n{json.dumps(absent)}\n")
    rows = "at,check,signal,target,value\n2026-03-04 12:00:00,etl/load,level,a,3\n2026-03-04 12:01:00,load,level,a,\n"
    (tmp_path / "b.csv").write_text(rows)
    samples = list(read_samples([tmp_path]))
    assert samples[:2] == samples[2:] == [
        Sample(START.timestamp(), "etl/load", "level", "a", 3.0),
        Sample(START.timestamp() + 60, "load", "level", "a", None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("no json", "line 1 is no JSON"),
        ("[1]", "line 1 is no object"),
        ('{"at": 1, "signal": "level", "value": 2}', ":1: no check"),
        ('{"at": "soon", "check": "load", "signal": "level", "value": 2}', ":1: Invalid isoformat"),
        ('{"at": 1, "check": "load", "signal": "level", "value": "many"}', "could not convert"),
    ],
)
def test_a_bad_sample_is_named_by_its_line(tmp_path: Path, text: str, complaint: str) -> None:
    """Which file and line, and what to write."""
    file = tmp_path / "s.jsonl"
    file.write_text(text)
    with pytest.raises(SampleError, match=complaint):
        list(read_samples([file]))


@pytest.mark.parametrize(
    ("sample", "complaint"),
    [
        (Sample(1, "nope", "level", "a", 1), "no check is called nope; there are: etl/load"),
        (Sample(1, "load", "nope", "a", 1), "etl/load has no signal nope; it has: level"),
    ],
)
def test_samples_of_nothing_configured_are_refused(sample: Sample, complaint: str) -> None:
    """A typing error must not look like a calm fortnight."""
    with pytest.raises(SampleError, match=complaint):
        tapes_of([sample], [pipeline(check(), breaker())])


def recorded(values: list[float | None], every: timedelta = MINUTE) -> list[Sample]:
    """One sample per step; ... leaves one out."""
    step = every.total_seconds()
    return [
        Sample(START.timestamp() + index * step, "load", "level", "a", value)
        for index, value in enumerate(values)
        if value is not ...
    ]  # fmt: skip


def test_a_gap_in_the_record_is_unknown() -> None:
    """One run may come before its sample; then nobody looked: neither the last value nor zero."""
    made = pipeline(check(interval=MINUTE), breaker())
    tape = tapes_of(recorded([1.0, 1.0, ..., ..., ..., 1.0, None]), [made])["etl/load"]
    column = tape.columns["a", "level"]
    seen = [column.get(index, ("a", "level"), "") for index in range(tape.count)]
    assert [one.reason if one else None for one in seen] == [None, None, None, *[Reason.UNAVAILABLE] * 2, None, None]
    assert seen[-1] is not None
    assert seen[-1].value is None, "an absent point is `missing:`'s to judge"


async def test_an_open_breach_is_not_closed_by_a_gap() -> None:
    """A breach, an hour without samples, then calm: one trip, which a gap neither ended nor doubled."""
    made = pipeline(
        check(interval=MINUTE, signals=holds(60)), breaker(recover=RecoverSpec("auto", timedelta(minutes=5)))
    )
    values = [1.0] * 30 + [50.0] * 10 + [...] * 60 + [1.0] * 60
    outcome = await replay([made], tapes_of(recorded(values), [made]), REGISTRY)
    (trip,) = outcome.courses[0].trips
    assert trip.start == START + 31 * MINUTE
    assert trip.end == START + 100 * MINUTE, "the first minute that is known again"


def test_coarser_samples_than_the_interval_are_judged_as_they_are() -> None:
    """An interval of 10 s over a record of minutes is judged by the minute, and says so."""
    made = pipeline(check(interval=timedelta(seconds=10)), breaker())
    tape = tapes_of(recorded([1.0] * 10), [made])["etl/load"]
    assert (tape.step, tape.count) == (60.0, 10)
    assert "no finer data" in tape.notes[0]


#: combined_windows.json of the same source.
WINDOWS = [
    ("2013-10-10 10:35:00", "2013-10-10 15:45:00"),
    ("2013-10-10 18:05:00", "2013-10-10 23:15:00"),
]


async def test_a_public_series_is_replayed_as_samples() -> None:
    """EC2's NetworkIn of the Numenta benchmark: a bound of 20 MB finds two bursts that its labels don't name."""
    with (DATA / "nab_network_in.csv").open() as lines:
        samples = [
            Sample(moment(row["timestamp"]), "load", "level", "i-a2eb1cd9", float(row["value"]))
            for row in csv.DictReader(lines)
        ]
    signals = {"level": SignalSpec(critical=Bound(above=20e6, hold=timedelta(minutes=10)))}
    made = pipeline(
        check(interval=MINUTE, signals=signals), breaker(recover=RecoverSpec("auto", timedelta(minutes=30)))
    )
    tapes = tapes_of(samples, [made])
    assert tapes["etl/load"].sources["level"].fidelity is Fidelity.RECORDED
    outcome = await replay([made], tapes, REGISTRY)
    (course,) = outcome.courses
    assert [f"{trip.start:%m-%d %H:%M}" for trip in course.trips] == ["10-09 16:40", "10-10 09:25"]
    labels = [Label(*(datetime.fromtimestamp(moment(at), UTC) for at in window)) for window in WINDOWS]
    found = score(course, labels)
    assert (found.true, found.false, found.missed) == (0, 2, 2)
    assert found.precision == 0.0


def course(*starts: int, last: int = 5) -> Course:
    """Trips at these minutes, each open for `last`."""
    trips = [
        Tripped("etl/loop", START + at * MINUTE, "", ("a",), end=START + (at + last) * MINUTE, ended="recovered")
        for at in starts
    ]
    return Course("etl/loop", "auto", "by itself", Span(START, START + timedelta(days=1)), trips)


def label(start: int, end: int, breaker: str = "") -> Label:
    """Minutes after START."""
    return Label(START + start * MINUTE, START + end * MINUTE, breaker)


@pytest.mark.parametrize(
    ("trips", "labels", "expected"),
    [
        ((12,), (label(10, 30),), (1, 0, 0, 2)),
        ((12, 20), (label(10, 30),), (2, 0, 0, 2)),
        ((5,), (label(10, 30),), (0, 1, 1, None)),
        ((40,), (label(10, 30),), (0, 1, 1, None)),
        ((), (label(10, 30),), (0, 0, 1, None)),
        ((12, 50), (label(10, 30), label(48, 60)), (2, 0, 0, 2)),
        ((12,), (label(10, 30, "etl/other"),), (0, 1, 0, None)),
        ((12,), (label(10, 30, "loop"),), (1, 0, 0, 2)),
        ((12,), (), (0, 1, 0, None)),
    ],
)
def test_trips_are_held_to_labels(
    trips: tuple[int, ...], labels: tuple[Label, ...], expected: tuple[int, int, int, int | None]
) -> None:
    """(true, false, missed, median delay in minutes)."""
    found = score(course(*trips), labels)
    delay = None if found.delay is None else found.delay / MINUTE
    assert (found.true, found.false, found.missed, delay) == expected


def test_labels_are_read_with_or_without_a_header(tmp_path: Path) -> None:
    """start,end[,breaker]; comments are skipped; a window that ends first is refused."""
    file = tmp_path / "l.csv"
    file.write_text("start,end,breaker\n# a comment\n2026-03-04T12:10:00Z,2026-03-04 12:30:00,loop\n")
    assert read_labels(file) == [label(10, 30, "loop")]
    file.write_text("2026-03-04 12:30,2026-03-04 12:10\n")
    with pytest.raises(SampleError, match=r"l\.csv:1: the window ends before it starts"):
        read_labels(file)


async def test_prometheus_is_asked_in_stretches() -> None:
    """Ten thousand points at a time, each label in its place."""
    asked: list[dict[str, str]] = []

    async def answer(request: web.Request) -> web.Response:
        query = dict(request.query)
        asked.append(query)
        metric = {"pipeline": "etl", "check": "load", "target": "a", "signal": "level", "kind": "gauge"}
        series = {"metric": metric, "values": [[float(query["start"]), "4"], [float(query["end"]), "NaN"]]}
        return web.json_response({"status": "success", "data": {"resultType": "matrix", "result": [series]}})

    app = web.Application()
    app.router.add_get("/api/v1/query_range", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        span = Span(START, START + timedelta(days=14))
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        samples = await fetch(url, [pipeline(check(), breaker())], span, MINUTE)
    finally:
        await runner.cleanup()
    assert len(asked) == 3
    assert asked[0]["query"] == 'tripswitch_observation{pipeline="etl",check="load"}'
    assert samples[0] == Sample(START.timestamp(), "etl/load", "level", "a", 4.0)
    assert len(samples) == 3, "NaN is no sample"


async def test_a_prometheus_that_is_none_says_so() -> None:
    """A connection refused names the URL and asks the right question."""
    span = Span(START, START + timedelta(hours=1))
    with pytest.raises(SampleError, match="is it Prometheus"):
        await fetch("http://127.0.0.1:9", [pipeline(check(), breaker())], span, MINUTE)
