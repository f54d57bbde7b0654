"""metric: arithmetic of our own, what silence means, one target per value of a dimension."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from checks.expression import parse
from checks.metric import CHECK, Metric
from monitor.aws import Operations
from monitor.config import load
from monitor.plugin import MetricQuery, Missing, ProbeError, Reason, Registry
from monitor.testing import FakeAws, assert_check_conforms, observed, run_probe

ERRORS = {"namespace": "JauntDataScout", "metric": "Errors", "dimensions": {}}
CALLS = {"namespace": "JauntDataScout", "metric": "Calls", "dimensions": {}}
RATIO = {"metrics": {"errors": ERRORS, "calls": CALLS}, "expression": "errors / calls"}


def listing(*connectors: str) -> Any:
    """ListMetrics as AWS answers: series with the wanted dimension, and a more specific one that does not count."""

    def answer(**asked: Any) -> dict[str, Any]:
        rows = [[{"Name": "Connector", "Value": one}] for one in connectors]
        rows.append([{"Name": "Connector", "Value": "odd"}, {"Name": "City", "Value": "Rome"}])
        return {"Metrics": [{"Namespace": "n", "MetricName": asked["MetricName"], "Dimensions": row} for row in rows]}

    return answer


async def value(metrics: Mapping[str, Any], params: Mapping[str, Any] = RATIO, **more: Any) -> Any:
    """The one observation."""
    aws = FakeAws({"cloudwatch.ListMetrics": {"Metrics": []}}, metrics=metrics)
    (seen,) = await run_probe(CHECK, {**params, **more}, aws)
    return seen


async def test_it_conforms() -> None:
    """The contract of a kind."""
    await assert_check_conforms(CHECK)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("a / b", 0.5),
        ("(a + b) * 2 - 1", 5.0),
        ("-a + abs(-3)", 2.0),
        ("rate(b)", 2 / 300),
        ("per_minute(a + b)", 0.6),
        ("per_hour(a)", 12.0),
        ("max(a, b, 1.5)", 2.0),
        ("min(a, b)", 1.0),
        ("b / previous(b)", 0.25),
        ("previous(a) - a", 3.0),
        ("a / z", None),
        ("a / (b - 2)", None),
        ("a + gone", None),
        ("max(a, gone)", None),
    ],
)
def test_arithmetic(text: str, result: float | None) -> None:
    """Over a window of five minutes; what is missing or divided by zero has no value."""
    values = {"a": 1.0, "b": 2.0, "z": 0.0, "gone": None}
    found = parse(text).evaluate(values, {"a": 4.0, "b": 8.0}, 300.0)
    assert found == (None if result is None else pytest.approx(result))


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')", "a.b", "a[0]", "a ** 9", "a if b else c", "lambda: a", "a, b", "f(a)",
        "rate(a, b)", "min(a)", "rate", "'a'", "True + a", "a < b", "max(*a)", "max(a, b=1)", "1 + 2", "", "a +",
        "previous(previous(a))", "(" * 200 + "a" + ")" * 200, "a + " * 100 + "a",
    ],
)  # fmt: skip
def test_nothing_else_parses(text: str) -> None:
    """No attribute, subscript, power, comparison or unknown call gets in."""
    with pytest.raises(ValueError, match=r"."):
        parse(text)


@pytest.mark.parametrize(
    ("errors", "calls", "result"),
    [
        ([1, 2, 3, 0, 4], [20, 20, 20, 20, 20], 0.1),
        ([], [5, 5], 0.0),
        ([None, 2, None, None, None], [10, None, None, None, 10], 0.1),
        ([5], [], None),
        ([], [], None),
    ],
    ids=["sums", "no errors are zero errors", "gaps count as zero", "nothing to divide by", "silence is absent"],
)
async def test_a_ratio_of_sums(errors: list[Any], calls: list[Any], result: float | None) -> None:
    """Zero where there was traffic, absent where there was none."""
    seen = await value({"JauntDataScout.Errors[]": errors, "JauntDataScout.Calls[]": calls})
    assert (seen.value, seen.reason) == (None if result is None else pytest.approx(result), None)


async def test_only_the_window_counts() -> None:
    """Five minutes of ten."""
    seen = await value({"JauntDataScout.Errors[]": [9] * 10, "JauntDataScout.Calls[]": [10] * 10}, window="2m")
    assert seen.value == pytest.approx(0.9)
    assert seen.detail == "errors 18, calls 20"


async def test_a_ratio_of_tiny_numbers_is_absent() -> None:
    """One error of one call is no outage; the target is known to exist all the same."""
    metrics = {"JauntDataScout.Errors[]": [1], "JauntDataScout.Calls[]": [1]}
    seen = await value(metrics, minimum={"calls": 20})
    assert (seen.value, seen.reason, seen.exists) == (None, None, True)
    assert "minimum of 20" in seen.detail


async def test_each_value_of_a_dimension_is_a_target() -> None:
    """Connectors are found by ListMetrics; series with further dimensions are others."""
    aws = FakeAws(
        {"cloudwatch.ListMetrics": listing("google", "tavily")},
        metrics={
            "JauntDataScout.Errors[Connector=google]": [6],
            "JauntDataScout.Calls[Connector=google]": [50],
            "JauntDataScout.Calls[Connector=tavily]": [40],
        },
    )
    seen = await run_probe(CHECK, {**RATIO, "split_by": "Connector", "minimum": {"calls": 20}}, aws)
    assert observed(seen) == {("google", "value"): 0.12, ("tavily", "value"): 0.0}
    aws.points["JauntDataScout.Calls[Connector=tavily]"] = [3]
    seen = await run_probe(CHECK, {**RATIO, "split_by": "Connector", "only": ["tav*"], "minimum": {"calls": 9}}, aws)
    assert observed(seen) == {("tavily", "value"): None}


async def test_a_total_may_stay_whole() -> None:
    """`split: false` reads the undivided metric for every target."""
    metrics = {"JauntDataScout.Errors[Connector=google]": [5], "JauntDataScout.Calls[]": [10]}
    aws = FakeAws({"cloudwatch.ListMetrics": listing("google")}, metrics=metrics)
    params = {**RATIO, "metrics": {"errors": ERRORS, "calls": {**CALLS, "split": False}}, "split_by": "Connector"}
    assert observed(await run_probe(CHECK, params, aws)) == {("google", "value"): 0.5}


async def test_a_dimension_without_values_is_not_found() -> None:
    """A misspelt dimension or namespace must not look like health."""
    with pytest.raises(ProbeError) as caught:
        await run_probe(CHECK, {**RATIO, "split_by": "Connector"}, FakeAws({"cloudwatch.ListMetrics": listing()}))
    assert caught.value.reason is Reason.NOT_FOUND


@pytest.mark.parametrize(("known", "exists"), [({"Metrics": [{"Dimensions": []}]}, True), ({"Metrics": []}, False)])
async def test_a_silent_count_says_whether_it_ever_spoke(known: Any, exists: bool) -> None:
    """`missing: zero` may only count for a metric that exists."""
    (seen,) = await run_probe(CHECK, {"metrics": {"errors": ERRORS}}, FakeAws({"cloudwatch.ListMetrics": known}))
    assert (seen.value, seen.exists) == (None, exists)


@pytest.mark.parametrize(
    ("source", "missing"),
    [({}, Missing.ZERO), ({"stat": "Average"}, Missing.UNKNOWN), ({"absent": "unknown"}, Missing.UNKNOWN)],
)
def test_what_silence_means_follows_the_statistic(source: Any, missing: Missing) -> None:
    """Counts: zero. Gauges: nothing."""
    params = Metric.model_validate({"metrics": {"one": {**ERRORS, **source}}})
    assert CHECK.absences(params) == {"value": missing}


@pytest.mark.parametrize(
    ("thresholds", "missing"),
    [
        ("{value: {critical: {above: 5}}}", Missing.ZERO),
        ("{value: {missing: breach}}", Missing.BREACH),
    ],
)
def test_a_pipeline_file_gets_that_default_and_may_say_otherwise(
    tmp_path: Path, thresholds: str, missing: Missing
) -> None:
    """Errors that are not counted are no errors, unless the file fears silence."""
    file = tmp_path / "p.yaml"
    source = "{namespace: N, metric: Errors, dimensions: {}}"
    check = f"{{kind: metric, metrics: {{errors: {source}}}, thresholds: {thresholds}}}"
    file.write_text(f"pipeline: p\naws: {{region: us-east-1}}\nchecks:\n  errors: {check}\n")
    (pipeline,) = load([file], Registry(kinds={"metric": CHECK}, actions={}), {}, Operations()).pipelines
    assert pipeline.checks["errors"].signals["value"].missing is missing


@pytest.mark.parametrize(
    ("stat", "points", "result", "periods"),
    [
        ("Maximum", [3, 9, 1], 9.0, 60),
        ("Minimum", [3, 9, 1], 1.0, 60),
        ("p95", [700.0], 700.0, 300),
    ],
)
async def test_how_periods_become_one_number(stat: str, points: list[float], result: float, periods: int) -> None:
    """Extremes are compared; a percentile is asked of the whole window."""
    source = {"namespace": "AWS/Lambda", "metric": "Duration", "dimensions": {"FunctionName": "f"}, "stat": stat}
    aws = FakeAws(metrics={"AWS/Lambda.Duration[FunctionName=f]": points})
    (seen,) = await run_probe(CHECK, {"metrics": {"duration": source}}, aws)
    assert (seen.target, seen.value) == ("f", result)
    assert {query.period.total_seconds() for query in aws.asked} == {periods}


async def test_an_average_is_weighted_by_its_samples() -> None:
    """A busy minute counts more than a quiet one."""

    def points(query: MetricQuery) -> list[float]:
        return [900.0, 10.0] if query.stat == "Sum" else [90.0, 10.0]

    source = {"namespace": "AWS/AppSync", "metric": "Latency", "dimensions": {"GraphQLAPIId": "a"}, "stat": "Average"}
    aws = FakeAws(metrics={"AWS/AppSync.Latency[GraphQLAPIId=a]": points})
    (seen,) = await run_probe(CHECK, {"metrics": {"latency": source}}, aws)
    assert seen.value == pytest.approx(9.1)


@pytest.mark.parametrize("settled", [True, False], ids=["newest minute there", "newest minute not yet"])
async def test_growth_over_the_window_before(settled: bool) -> None:
    """`previous` reads twice as far back and cuts at the same boundary for every metric."""
    calls = [10, 10, 30, 30] if settled else [10, 10, 30, 30, None]
    aws = FakeAws(metrics={"JauntDataScout.Calls[]": calls})
    params = {"metrics": {"calls": CALLS}, "expression": "calls / previous(calls)", "window": "2m"}

    def spoken(query: MetricQuery) -> list[Any]:
        assert query.points == 4
        return calls

    aws.points["JauntDataScout.Calls[]"] = spoken
    (seen,) = await run_probe(CHECK, params, aws)
    assert seen.value == pytest.approx(3.0 if settled else 6.0)


async def test_another_region_is_asked() -> None:
    """CloudFront's metrics live in us-east-1."""
    dimensions = {"DistributionId": "E1", "Region": "Global"}
    source = {"namespace": "AWS/CloudFront", "metric": "5xxErrorRate", "stat": "Average", "dimensions": dimensions}
    aws = FakeAws(metrics={"AWS/CloudFront.5xxErrorRate[DistributionId=E1,Region=Global]": [2.0]})
    await run_probe(CHECK, {"metrics": {"errors": source}, "region": "us-east-1"}, aws)
    assert {query.region for query in aws.asked} == {"us-east-1"}


async def test_one_failing_read_is_unknown(down: ProbeError) -> None:
    """No value from half of an expression."""
    seen = await value({"JauntDataScout.Errors[]": [1], "JauntDataScout.Calls[]": down})
    assert (seen.value, seen.reason) == (None, Reason.UNAVAILABLE)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"metrics": {"e": {"namespace": "AWS/States", "metric": "ExecutionsFailed", "dimensions": {}}}},
         "per StateMachineArn only"),
        ({"metrics": {"e": {"namespace": "AWS/DynamoDB", "metric": "ThrottledRequests",
                            "dimensions": {"TableName": "t"}}}}, "ReadThrottleEvents"),
        ({"metrics": {"e": {"namespace": "AWS/ApplicationELB", "metric": "TargetResponseTime", "stat": "Average",
                            "dimensions": {"LoadBalancer": "opendata-pulse-alb"}}}}, "app/NAME/ID"),
        ({"metrics": {"e": {"namespace": "X", "metric": "Y"}}}, "dimensions"),
        ({"metrics": {"e": ERRORS, "c": CALLS}}, "need an expression"),
        ({"metrics": {"e": ERRORS}, "expression": "e / calls"}, "no metric here"),
        ({"metrics": {"e": {**ERRORS, "stat": "Average"}}, "expression": "rate(e)"}, "makes no sense"),
        ({"metrics": {"e": ERRORS}, "window": "90s"}, "whole number of minutes"),
        ({"metrics": {"e": {**ERRORS, "period": "2m"}}}, "not a multiple"),
        ({"metrics": {"e": {**ERRORS, "stat": "Median"}}}, "no statistic"),
        ({"metrics": {"rate": ERRORS}}, "can't be the name"),
        ({"metrics": {"e": ERRORS}, "minimum": {"calls": 1}}, "no metric here"),
        ({"metrics": {"e": ERRORS}, "only": ["x"]}, "split_by"),
    ],
)  # fmt: skip
def test_what_can_never_work_is_refused_at_load(params: Any, message: str) -> None:
    """The runbooks' own mistakes among them: alarms on metrics that do not exist so."""
    with pytest.raises(ValidationError, match=message):
        Metric.model_validate(params)


def test_an_operation_makes_throttled_requests_valid() -> None:
    """Per table and operation the metric does exist."""
    dimensions = {"TableName": "t", "Operation": "Query"}
    source = {"namespace": "AWS/DynamoDB", "metric": "ThrottledRequests", "dimensions": dimensions}
    params = Metric.model_validate({"metrics": {"throttles": source}})
    assert CHECK.targets(params) == ("t/Query",)
    assert CHECK.windows(params) == {"value": timedelta(minutes=5)}
