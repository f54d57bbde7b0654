"""CloudWatch's past: what is downloaded and at which price, how it is kept, what a probe sees of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from checks import metric, queue_depth, stuck_executions, throttles
from monitor.aws.windows import key_of
from monitor.backtest.gather import Sight, record, survey
from monitor.backtest.library import Library, Wish, parts_of, spread
from monitor.backtest.past import Memory, PastReads
from monitor.backtest.replay import replay
from monitor.backtest.stage import VirtualClock
from monitor.backtest.tape import Fidelity, Span
from monitor.core.model import Reason, Severity
from monitor.core.spec import Bound, BreakerSpec, CheckSpec, Pipeline, SignalSpec, Term
from monitor.plugin import Check, MetricQuery, MetricSeries, ProbeError, Registry, Resource, ResourceKind
from monitor.testing import FakeAws

NOW = datetime(2026, 3, 14, 9, 30, tzinfo=UTC)
DAY = 86_400.0


class Cloudwatch(FakeAws):
    """Series by metric name as {end of period: value}; `asked` has every query."""

    def __init__(self, series: Mapping[str, Mapping[datetime, float]], **more: Any) -> None:
        super().__init__(**more)
        self.series = series

    async def metrics(self, queries: Sequence[MetricQuery]) -> list[MetricSeries]:
        """The points of the newest whole periods before NOW."""
        self.asked.extend(queries)
        answers = []
        for query in queries:
            known = self.series.get(query.metric)
            if known is None and query.metric == "Denied":
                raise ProbeError(Reason.DENIED, "not yours")
            until = NOW.timestamp() // query.period.total_seconds() * query.period.total_seconds()
            after = until - query.points * query.period.total_seconds()
            inside = [(at, value) for at, value in sorted((known or {}).items()) if after < at.timestamp() <= until]
            answers.append(MetricSeries(query, tuple(inside)))
        return answers


def ended(minutes_ago: int) -> datetime:
    """A whole minute before NOW."""
    return NOW - timedelta(minutes=minutes_ago)


def query(points: int = 1, name: str = "Errors", **more: Any) -> MetricQuery:
    """A count of one function."""
    return MetricQuery("AWS/Lambda", name, (("FunctionName", "f"),), points=points, **more)


def spec_of(kind: Check[Any], params: Mapping[str, Any], signal: str, above: float = 10, **more: Any) -> CheckSpec:
    """A check of a kind, critical above a bound."""
    model = kind.params.model_validate(params)
    units = {one.name: one.unit for one in kind.signals}
    missing = {one.name: one.missing for one in kind.signals}[signal]
    bounds = {signal: SignalSpec(critical=Bound(above=above), missing=missing)}
    told: dict[str, Any] = {"interval": timedelta(minutes=1), "timeout": timedelta(seconds=20)}
    told |= more
    return CheckSpec("etl", "load", kind.kind, model, signals=bounds, units=units, targets=kind.targets(model), **told)


def registry(*kinds: Check[Any]) -> Registry:
    """Just these."""
    return Registry({kind.kind: kind for kind in kinds}, {})


async def tapes(spec: CheckSpec, kind: Check[Any], aws: FakeAws, span: Span, lag: float = 0) -> Any:
    """The tape of one check."""
    sight = Sight(span, timedelta(minutes=lag))
    found = await survey([spec], registry(kind), lambda _: aws, sight, Library(span, NOW))
    return (await record(found, sight))[spec.key]


@pytest.mark.parametrize(
    ("period", "days", "expected"),
    [
        (60, 1, [60]),
        (60, 14, [60]),
        (60, 30, [60, 300]),
        (60, 90, [60, 300, 3600]),
        (300, 30, [300]),
        (300, 90, [300, 3600]),
        (3600, 400, [3600]),
        (10, 1, [10, 60]),
    ],
)
def test_the_period_follows_from_the_age(period: int, days: int, expected: list[int]) -> None:
    """Minutes reach back 15 days, five minutes 63, hours 455; the parts join without a gap."""
    parts = parts_of(period, NOW.timestamp() - days * DAY, NOW.timestamp())
    assert [part.period for part in parts] == expected
    assert parts[0].end == NOW.timestamp()
    assert all(older.end == newer.start for newer, older in pairwise(parts))
    assert parts[-1].start <= NOW.timestamp() - days * DAY
    for part in parts:
        kept = {10: 3 / 24, 60: 15, 300: 63, 3600: 455}[part.period] * DAY
        assert NOW.timestamp() - part.start <= kept


def test_coarse_sums_are_divided_and_gauges_repeated() -> None:
    """Five minutes of 10 are two a minute; five minutes at 10 are 10 in every minute."""
    assert spread([(600.0, 10.0)], 300, 60, divide=True) == dict.fromkeys((360.0, 420.0, 480.0, 540.0, 600.0), 2.0)
    assert set(spread([(600.0, 10.0)], 300, 60, divide=False).values()) == {10.0}


async def test_what_is_kept_is_not_read_again(tmp_path: Path) -> None:
    """A second backtest of the same span asks for nothing; a later one for the new tail only."""
    aws = Cloudwatch({"Errors": {ended(n): 1.0 for n in range(3000)}})
    span = Span(NOW - timedelta(days=1), NOW - timedelta(hours=1))
    first = Library(span, NOW, tmp_path)
    wish = Wish("here", aws, query(), span.start.timestamp())
    assert first.cost([wish]) == (1, 0.00001)
    await first.load([wish])
    again = Library(span, NOW, tmp_path)
    assert again.cost([wish]) == (0, 0.0)
    await again.load([wish])
    assert len(aws.asked) == 1
    assert again.get(wish.name) is not None
    longer = Library(Span(span.start, NOW + timedelta(hours=2)), NOW + timedelta(hours=2), tmp_path)
    await longer.load([wish])
    assert aws.asked[-1].points < 6 * 60, "three hours that may have come late, and what is new"


async def test_another_account_shares_no_cache(tmp_path: Path) -> None:
    """The place is part of the name."""
    aws = Cloudwatch({"Errors": {ended(5): 1.0}})
    span = Span(NOW - timedelta(hours=2), NOW)
    library = Library(span, NOW, tmp_path)
    await library.load([Wish("one", aws, query(), span.start.timestamp())])
    assert Library(span, NOW, tmp_path).cost([Wish("two", aws, query(), span.start.timestamp())])[0] == 1


async def test_a_torn_file_is_read_again(tmp_path: Path) -> None:
    """A cache that was cut off is no reason to fail."""
    aws = Cloudwatch({"Errors": {ended(5): 1.0}})
    span = Span(NOW - timedelta(hours=2), NOW)
    wish = Wish("one", aws, query(), span.start.timestamp())
    await Library(span, NOW, tmp_path).load([wish])
    _tear(tmp_path)
    assert Library(span, NOW, tmp_path).cost([wish])[0] == 1


def _tear(folder: Path) -> None:
    (file,) = folder.iterdir()
    file.write_bytes(file.read_bytes()[:20])


async def past(aws: FakeAws, now: datetime, lag: float = 0) -> PastReads:
    """Reads at a virtual now."""
    span = Span(NOW - timedelta(hours=3), NOW)
    reads = PastReads(aws, "here", Memory(), VirtualClock(now), timedelta(minutes=lag))
    reads.library = Library(span, NOW)
    return reads


async def test_the_newest_incomplete_period_is_never_seen() -> None:
    """At 09:10:30 the minute that ends at 09:11 has not happened yet."""
    aws = Cloudwatch({"Errors": {ended(n): float(n) for n in range(120)}})
    reads = await past(aws, ended(20) + timedelta(seconds=30))
    (series,) = await reads.metrics([query(points=3)])
    assert series.points == ((ended(22), 22.0), (ended(21), 21.0), (ended(20), 20.0))


async def test_what_is_published_late_is_absent_until_then() -> None:
    """With a lag of two minutes the window ends where it does, and its newest two points are missing."""
    aws = Cloudwatch({"Errors": {ended(n): float(n) for n in range(120)}})
    reads = await past(aws, ended(20), lag=2)
    (series,) = await reads.metrics([query(points=3)])
    assert series.points == ((ended(22), 22.0),)
    (none,) = await reads.metrics([query(points=1)])
    assert none.points == ()


async def test_a_state_has_no_past() -> None:
    """How many messages wait now says nothing of last week: refused, with the reason."""
    reads = await past(FakeAws({"sqs.GetQueueAttributes": {}}), NOW)
    with pytest.raises(ProbeError, match="no history to replay"):
        await reads.call("sqs", "GetQueueAttributes", QueueUrl="u")


async def test_a_description_is_read_once() -> None:
    """Limits are asked of AWS as they are today, one time for the whole replay."""
    aws = FakeAws({"lambda.GetAccountSettings": {"AccountLimit": {"ConcurrentExecutions": 1000}}})
    reads = await past(aws, NOW)
    for _ in range(3):
        await reads.call("lambda", "GetAccountSettings")
    assert aws.count("lambda.GetAccountSettings") == 1
    assert reads.asked.today == {"lambda.GetAccountSettings"}


SPAN = Span(NOW - timedelta(hours=2), NOW)


async def test_a_metric_is_replayed_by_its_own_probe() -> None:
    """The kind's own arithmetic, at every minute of the past."""
    aws = Cloudwatch({"Errors": {ended(n): 50.0 if 30 <= n < 35 else 1.0 for n in range(300)}})
    params = {"metrics": {"errors": {"namespace": "AWS/Lambda", "metric": "Errors", "dimensions": {}}}, "window": "1m"}
    spec = spec_of(metric.CHECK, params, "value")
    tape = await tapes(spec, metric.CHECK, aws, SPAN)
    (place,) = tape.columns
    high = [tape.at(index) for index, value in enumerate(tape.columns[place].values) if value > 10]
    assert high == [ended(n) for n in (34, 33, 32, 31, 30)]
    assert tape.sources["value"].fidelity is Fidelity.SAME


async def test_a_direct_read_is_approximated_and_says_so() -> None:
    """Messages that wait: SQS's own metric stands in, with a note; a signal without a metric has no history."""
    aws = Cloudwatch(
        {"ApproximateNumberOfMessagesVisible": {ended(n): 30.0 if n < 20 else 0.0 for n in range(300)}},
        resources=[Resource(ResourceKind.QUEUE, "jobs", "arn:aws:sqs:us-east-1:1:jobs")],
    )
    spec = spec_of(queue_depth.CHECK, {"queues": "jobs"}, "visible")
    tape = await tapes(spec, queue_depth.CHECK, aws, SPAN, lag=5)
    values = tape.columns["jobs", "visible"].values
    assert values[-1] == 30.0
    assert values[-21] == 0.0, "a direct read has no lag"
    assert tape.sources["visible"].fidelity is Fidelity.APPROXIMATE
    assert "highest" in tape.sources["visible"].note


async def test_what_reads_the_present_only_is_unknown_and_never_ok() -> None:
    """Running executions of last week can't be listed: the breaker is deaf, and the result says to what."""
    kind = stuck_executions.CHECK
    machine = "arn:aws:states:us-east-1:123456789012:stateMachine:etl"
    aws = FakeAws({"stepfunctions.ListExecutions": {"executions": []}})
    spec = spec_of(kind, {"state_machines": machine}, "stuck")
    tape = await tapes(spec, kind, aws, SPAN)
    assert tape.sources["stuck"].fidelity is Fidelity.NONE
    made = Pipeline("etl", "", spec.aws, {"load": spec}, {"b": BreakerSpec("etl", "b", Severity.SEV2, Term("load"))})
    outcome = await replay([made], {spec.key: tape}, registry(kind))
    (course,) = outcome.courses
    assert course.is_deaf
    assert "ListExecutions" in course.deaf[0]
    assert aws.calls == []


async def test_a_metric_that_may_not_be_read_is_unknown() -> None:
    """Denied is no zero."""
    params = {"metrics": {"errors": {"namespace": "Own", "metric": "Denied", "dimensions": {}}}, "window": "1m"}
    spec = spec_of(metric.CHECK, params, "value")
    tape = await tapes(spec, metric.CHECK, Cloudwatch({}), SPAN)
    assert tape.sources["value"].fidelity is Fidelity.NONE
    assert all(seen.reason is Reason.DENIED for column in tape.columns.values() for seen in column.odd.values())


async def test_a_gap_in_a_gauge_is_unknown(tape: Callable[..., Any]) -> None:
    """Where CloudWatch has no point of a gauge nothing is judged: an open end neither trips nor clears."""
    aws = Cloudwatch(
        {"ApproximateNumberOfMessagesVisible": {ended(n): 30.0 for n in range(300) if not 40 <= n < 80}},
        resources=[Resource(ResourceKind.QUEUE, "jobs", "arn:aws:sqs:us-east-1:1:jobs")],
    )
    spec = spec_of(queue_depth.CHECK, {"queues": "jobs"}, "visible")
    made = await tapes(spec, queue_depth.CHECK, aws, SPAN)
    odd = made.columns["jobs", "visible"].odd
    assert {made.at(index) for index in odd} == {ended(n) for n in range(40, 76)}, "the kind looks five minutes back"
    assert all(seen.value is None for seen in odd.values())


async def test_a_short_interval_is_judged_by_the_minute() -> None:
    """History has no finer data; the result says what was judged instead."""
    aws = Cloudwatch({}, resources=[Resource(ResourceKind.QUEUE, "jobs", "arn:aws:sqs:us-east-1:1:jobs")])
    spec = spec_of(queue_depth.CHECK, {"queues": "jobs"}, "visible", interval=timedelta(seconds=10))
    tape = await tapes(spec, queue_depth.CHECK, aws, SPAN)
    assert tape.step == 60
    assert "judged every 1m instead of 10s" in tape.notes


async def test_series_of_several_checks_are_read_once() -> None:
    """Two checks on one metric cost one metric."""
    aws = Cloudwatch({}, resources=[Resource(ResourceKind.QUEUE, "jobs", "arn:aws:sqs:us-east-1:1:jobs")])
    spec = spec_of(queue_depth.CHECK, {"queues": "jobs"}, "visible")
    library = Library(SPAN, NOW)
    sight = Sight(SPAN)
    twice = [spec, replace(spec, name="again")]
    found = await survey(twice, registry(queue_depth.CHECK), lambda _: aws, sight, library)
    assert found.series == 4
    await record(found, sight)
    assert len({key_of(one) for one in aws.asked}) == len(aws.asked) == 4


async def test_throttles_follow_the_lag() -> None:
    """A window of five minutes whose newest two points are late sums three."""
    aws = Cloudwatch(
        {"Throttles": {ended(n): 1.0 for n in range(300)}, "Invocations": {ended(n): 9.0 for n in range(300)}},
        replies={
            "lambda.GetFunctionConcurrency": {"ReservedConcurrentExecutions": 10},
            "lambda.GetAccountSettings": {"AccountLimit": {"ConcurrentExecutions": 1000}},
        },
        resources=[Resource(ResourceKind.FUNCTION, "f", "arn:aws:lambda:us-east-1:1:function:f")],
    )
    spec = spec_of(throttles.CHECK, {"lambda_functions": "f"}, "throttled", above=0)
    for lag, total in ((0, 5.0), (2, 3.0)):
        tape = await tapes(spec, throttles.CHECK, aws, SPAN, lag=lag)
        assert set(tape.columns["f", "throttled"].values) == {total}
        assert any("as it is today" in note for note in tape.notes)
