"""GetMetricData: exactly ceil(N / 500) calls, complete periods only, and one bad query spoils no other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any

import pytest
from aws_doubles import CannedAws, Harness, refuse
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.aws.windows import POINTS_PER_CALL, QUERIES_PER_CALL, key_of, plan
from monitor.core.model import Reason
from monitor.plugin import MetricQuery, ProbeError

Make = Callable[..., Harness]
NOW = datetime(2026, 3, 1, 12, 34, 40, tzinfo=UTC)


def query(index: int = 0, seconds: int = 60, points: int = 1, namespace: str = "AWS/SQS") -> MetricQuery:
    """The nth metric."""
    return MetricQuery(namespace, "m", (("Name", f"r{index}"),), period=timedelta(seconds=seconds), points=points)


def answer_all(body: dict[str, Any]) -> dict[str, Any]:
    """A value for every period of the window, the period's start in epoch seconds as its value, ascending."""
    results = []
    for one in body["MetricDataQueries"]:
        period = one["MetricStat"]["Period"]
        stamps = list(range(int(body["StartTime"]), int(body["EndTime"]), period))
        results.append({"Id": one["Id"], "StatusCode": "Complete", "Timestamps": stamps, "Values": stamps})
    return {"MetricDataResults": results}


@pytest.mark.parametrize("count", [1, 500, 501, 1200])
async def test_queries_of_many_checks_share_calls(canned: CannedAws, harness: Make, count: int) -> None:
    """N metrics of several namespaces and periods, asked by many checks at once, are ceil(N / 500) calls."""
    canned.on["GetMetricData"] = answer_all
    made = harness()
    queries = [query(i, (60, 300, 3600)[i % 3], namespace=f"AWS/{i % 4}") for i in range(count)]
    shares = [queries[i : i + 7] for i in range(0, count, 7)]
    found = await asyncio.gather(*(made.reads.metrics(share) for share in shares))
    assert canned.count["GetMetricData"] == ceil(count / 500)
    assert made.meter.metrics == count
    assert made.meter.dollars["cloudwatch"] == pytest.approx(count / 100_000)
    for share, series in zip(shares, found, strict=True):
        assert [one.query for one in series] == share
        for one in series:
            period = one.query.period.total_seconds()
            end = NOW.timestamp() // period * period
            assert one.points == ((datetime.fromtimestamp(end, UTC), end - period),)


async def test_identical_queries_are_asked_once(canned: CannedAws, harness: Make) -> None:
    """The same series for two checks is billed once, each gets as many points as it asked for."""
    canned.on["GetMetricData"] = answer_all
    made = harness()
    one, three = await asyncio.gather(made.reads.metrics([query()]), made.reads.metrics([query(points=3)]))
    assert made.meter.metrics == 1
    assert (len(one[0].points), len(three[0].points)) == (1, 3)
    assert three[0].points[-1] == one[0].points[0]
    assert [at for at, _ in three[0].points] == sorted(at for at, _ in three[0].points)


async def test_the_incomplete_period_never_counts(canned: CannedAws, harness: Make) -> None:
    """At 12:34:40 the minute that ends at 12:34 is the newest, one before it while values settle."""
    canned.on["GetMetricData"] = answer_all
    assert (await harness().reads.metrics([query()]))[0].points[0][0] == datetime(2026, 3, 1, 12, 34, tzinfo=UTC)
    settled = harness(settle=timedelta(seconds=45))
    assert (await settled.reads.metrics([query()]))[0].points[0][0] == datetime(2026, 3, 1, 12, 33, tzinfo=UTC)


async def test_no_datapoint_is_an_empty_series(canned: CannedAws, harness: Make) -> None:
    """Absent is neither zero nor an error; an older point does not fill the gap."""
    old = int((NOW - timedelta(hours=2)).timestamp())
    canned.on["GetMetricData"] = lambda body: {
        "MetricDataResults": [
            {"Id": one["Id"], "StatusCode": "Complete", "Timestamps": [old], "Values": [1.0]}
            for one in body["MetricDataQueries"]
        ]
    }
    assert (await harness().reads.metrics([query()]))[0].points == ()


async def test_pages_are_followed_and_joined(canned: CannedAws, harness: Make) -> None:
    """NextToken continues the same series; the last status decides."""

    def answer(body: dict[str, Any]) -> dict[str, Any]:
        whole = answer_all(body)["MetricDataResults"][0]
        stamps = whole["Timestamps"]
        if "NextToken" not in body:
            first = whole | {"StatusCode": "PartialData", "Timestamps": stamps[:2], "Values": stamps[:2]}
            return {"MetricDataResults": [first], "NextToken": "more"}
        return {"MetricDataResults": [whole | {"Timestamps": stamps[2:], "Values": stamps[2:]}]}

    canned.on["GetMetricData"] = answer
    assert len((await harness().reads.metrics([query(points=5)]))[0].points) == 5


@pytest.mark.parametrize(
    ("status", "reason"),
    [("PartialData", Reason.UNAVAILABLE), ("InternalError", Reason.UNAVAILABLE), ("Forbidden", Reason.DENIED)],
)
async def test_a_partial_series_is_unknown_for_its_callers_only(
    canned: CannedAws, harness: Make, status: str, reason: Reason
) -> None:
    """A series with a bad status raises for the check that asked for it; the batch's others have their values."""

    def answer(body: dict[str, Any]) -> dict[str, Any]:
        reply = answer_all(body)
        for one, result in zip(body["MetricDataQueries"], reply["MetricDataResults"], strict=True):
            if one["MetricStat"]["Metric"]["Dimensions"][0]["Value"] == "r1":
                result["StatusCode"] = status
        return reply

    canned.on["GetMetricData"] = answer
    reads = harness().reads
    good, bad = await asyncio.gather(
        reads.metrics([query(0)]), reads.metrics([query(1), query(2)]), return_exceptions=True
    )
    assert isinstance(good, list)
    assert isinstance(bad, ProbeError)
    assert bad.reason is reason


async def test_a_series_that_is_not_answered_is_unknown(canned: CannedAws, harness: Make) -> None:
    """Silence about a metric is no empty series."""
    canned.on["GetMetricData"] = {"MetricDataResults": []}
    with pytest.raises(ProbeError) as caught:
        await harness().reads.metrics([query()])
    assert caught.value.reason is Reason.UNAVAILABLE


async def test_a_malformed_query_takes_no_other_with_it(canned: CannedAws, harness: Make) -> None:
    """AWS refuses the whole call for one bad query: it is found, reported alone, and asked alone from then on."""

    def answer(body: dict[str, Any]) -> Any:
        names = [one["MetricStat"]["Metric"]["Dimensions"][0]["Value"] for one in body["MetricDataQueries"]]
        return refuse("ValidationError", "bad stat")(body) if "r3" in names else answer_all(body)

    canned.on["GetMetricData"] = answer
    reads = harness().reads
    for calls in (None, 2):
        before = canned.count["GetMetricData"]
        found = await asyncio.gather(*(reads.metrics([query(i)]) for i in range(8)), return_exceptions=True)
        assert [i for i, one in enumerate(found) if isinstance(one, ProbeError)] == [3]
        if calls:
            assert canned.count["GetMetricData"] - before == calls


async def test_a_failed_call_is_unknown_for_all_its_series(canned: CannedAws, harness: Make) -> None:
    """Denied is denied for everyone, without a retry."""
    canned.on["GetMetricData"] = refuse("AccessDeniedException")
    with pytest.raises(ProbeError) as caught:
        await harness().reads.metrics([query(i) for i in range(600)])
    assert caught.value.reason is Reason.DENIED
    assert canned.count["GetMetricData"] == 2


async def test_a_cancelled_caller_does_not_spoil_the_batch(canned: CannedAws, harness: Make) -> None:
    """Its neighbours get their values."""
    canned.on["GetMetricData"] = answer_all
    reads = harness().reads
    leaving, staying = (asyncio.ensure_future(reads.metrics([query(i)])) for i in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    assert (await staying)[0].points


async def test_no_queries_cost_nothing(canned: CannedAws, harness: Make) -> None:
    """An empty question has an empty answer."""
    assert await harness().reads.metrics([]) == []
    assert canned.count["GetMetricData"] == 0


async def test_queries_of_another_region_go_there(canned: CannedAws, harness: Make) -> None:
    """CloudFront's metrics live in us-east-1 wherever the pipeline does; order is kept."""
    canned.on["GetMetricData"] = answer_all
    elsewhere = MetricQuery("AWS/CloudFront", "Requests", (), region="eu-west-1")
    queries = [elsewhere, query(1), elsewhere]
    found = await harness().reads.metrics(queries)
    assert [one.query for one in found] == queries
    assert canned.count["GetMetricData"] == 2


series = st.tuples(st.integers(0, 2000), st.sampled_from([1, 10, 60, 120, 300, 900, 3600, 86_400]), st.integers(1, 300))


@settings(deadline=None, max_examples=60)
@given(st.lists(series, max_size=40), st.integers(0, 10**6))
def test_every_plan_keeps_awss_limits(asked: list[tuple[int, int, int]], offset: int) -> None:
    """Each answerable series stands in one call, whose window covers it, on the boundary of every period in it."""
    points = {key_of(query(name, seconds, count)): count for name, seconds, count in asked}
    now = NOW + timedelta(seconds=offset)
    batches, refused = plan(points, now, timedelta(0))
    planned = [one.key for batch in batches for one in batch.wanted]
    assert sorted(planned + list(refused)) == sorted(points)
    for batch in batches:
        assert len(batch.wanted) <= QUERIES_PER_CALL
        assert batch.end <= now.timestamp()
        returned = sum((batch.end - batch.start) / one.key[4] for one in batch.wanted)
        assert returned <= POINTS_PER_CALL or len(batch.wanted) == 1
        for one in batch.wanted:
            assert batch.start <= one.start < one.end <= batch.end
            assert batch.start % one.key[4] == 0
            assert one.end - one.start == points[one.key] * one.key[4]


def test_data_that_aws_no_longer_has_is_refused_at_once() -> None:
    """Minutes of two months ago don't exist; the message says which period does."""
    _, refused = plan({key_of(query(points=60 * 24 * 20)): 60 * 24 * 20}, NOW, timedelta(0))
    assert [error.reason for error in refused.values()] == [Reason.INVALID]
    assert "multiple of 300s" in next(iter(refused.values())).detail
