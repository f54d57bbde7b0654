"""execution_rate: starts in the trailing minute from the list, growth between halves, the metric as a cross-check."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from checks.execution_rate import CHECK
from monitor.plugin import ProbeError, Reason, Resource, ResourceKind
from monitor.testing import EPOCH, FakeAws, observed, run_probe

ARN = "arn:aws:states:us-east-1:123456789012:stateMachine:etl"
METRIC = f"AWS/States.ExecutionsStarted[StateMachineArn={ARN}]"
EXPRESS = Resource(ResourceKind.STATE_MACHINE, "etl", ARN, {"type": "EXPRESS"})


def rows(*ages: float) -> dict[str, Any]:
    """A page of executions started that many seconds ago, newest first."""
    return {"executions": [{"startDate": EPOCH - timedelta(seconds=age), "status": "SUCCEEDED"} for age in ages]}


def spread(per_minute: float, seconds: float = 300.0) -> Sequence[float]:
    """Ages of a steady stream of starts."""
    step = 60 / per_minute
    return [step * (number + 0.5) for number in range(int(seconds / step))]


def linked(pages: Sequence[Any]) -> list[Any]:
    """Pages with the token that AWS puts on all but the last."""
    return [{**page, "nextToken": "more"} if isinstance(page, dict) else page for page in pages[:-1]] + [*pages[-1:]]


def machine(*pages: Any, **more: Any) -> FakeAws:
    """An AWS with one state machine and these pages of executions."""
    return FakeAws({"stepfunctions.ListExecutions": linked(pages)}, **more)


@pytest.mark.parametrize(
    ("ages", "rate"),
    [
        ((), 0),
        ((0, 30, 59.9), 3),
        ((60, 61, 500), 0),
        ((-2, -1, 5), 1),
        (spread(240), 240),
    ],
)
async def test_starts_in_the_trailing_minute_count_whatever_their_status(ages: Sequence[float], rate: int) -> None:
    """The window is (now - 60 s, now]: a start exactly a minute old, or after the run began, is outside."""
    seen = await run_probe(CHECK, {"state_machines": "etl"}, machine(rows(*ages)))
    assert observed(seen)["etl", "started_per_minute"] == rate
    assert not any(one.lower_bound for one in seen)


async def test_reading_stops_at_the_first_execution_older_than_a_minute() -> None:
    """Pages are read newest first only until the minute is covered: the third is never asked for."""
    aws = machine(rows(*spread(600, 40)), rows(*range(41, 70)), rows(*range(70, 100)))
    seen = observed(await run_probe(CHECK, {"state_machines": "etl"}, aws))
    assert seen["etl", "started_per_minute"] == 400 + 19
    assert aws.count("stepfunctions.ListExecutions") == 2


async def test_a_page_cap_makes_the_count_a_lower_bound() -> None:
    """Where max_pages ends the reading inside the minute, the value says at least."""
    aws = machine(rows(*spread(6000, 10)), rows(*[10 + age for age in spread(6000, 10)]), rows(20.0))
    seen = await run_probe(CHECK, {"state_machines": "etl", "max_pages": 2}, aws)
    rate = next(one for one in seen if one.signal == "started_per_minute")
    assert (rate.value, rate.lower_bound) == (2000.0, True)
    assert aws.count("stepfunctions.ListExecutions") == 2


async def test_a_cap_at_the_last_page_cuts_nothing() -> None:
    """The list ends within the minute: the count is whole however small max_pages is."""
    seen = await run_probe(CHECK, {"state_machines": "etl", "max_pages": 1}, machine(rows(1, 2, 3)))
    rate = next(one for one in seen if one.signal == "started_per_minute")
    assert (rate.value, rate.lower_bound) == (3.0, False)


@pytest.mark.parametrize(
    ("ages", "factor"),
    [
        (spread(60), 1.0),
        ([*spread(60, 60), *[60 + age for age in spread(30, 60)]], 2.0),
        ([*spread(10, 60), *[60 + age for age in spread(40, 60)]], 0.25),
        ([1, 2, 3, 4, 5, 6, 7, 8, 9], 1.0),
        ([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 10.0),
    ],
    ids=["steady", "doubling", "falling", "too few to say", "from nothing"],
)
async def test_growth_is_the_factor_per_minute(ages: Sequence[float], factor: float) -> None:
    """Newer minute over older minute; below ten starts it is called steady."""
    seen = observed(await run_probe(CHECK, {"state_machines": "etl"}, machine(rows(*ages))))
    assert seen["etl", "growth"] == pytest.approx(factor, rel=0.05)


async def test_growth_uses_what_the_pages_cover() -> None:
    """With 60 s covered the halves are 30 s, and their ratio is squared to a minute."""
    ages = [*spread(120, 30), *[30 + age for age in spread(60, 30)]]
    aws = machine(rows(*ages, 60.0), rows(61.0))
    seen = observed(await run_probe(CHECK, {"state_machines": "etl"}, aws))
    assert seen["etl", "growth"] == pytest.approx(4.0, rel=0.01)


@pytest.mark.parametrize(("points", "value"), [([500.0], 500.0), ([], None)])
async def test_cloudwatch_never_changes_the_count(points: list[float], value: float | None) -> None:
    """The cross-check is a signal of its own, absent until CloudWatch has a point."""
    seen = observed(await run_probe(CHECK, {"state_machines": "etl"}, machine(rows(1), metrics={METRIC: points})))
    assert seen["etl", "started_per_minute"] == 1.0
    assert seen["etl", "started_cloudwatch"] == value


async def test_each_source_fails_alone(down: ProbeError) -> None:
    """A metric that can't be read leaves the count, a list that can't be read leaves the cross-check."""
    seen = observed(await run_probe(CHECK, {"state_machines": "etl"}, machine(rows(1), metrics={METRIC: down})))
    assert (seen["etl", "started_per_minute"], seen["etl", "started_cloudwatch"]) == (1.0, Reason.UNAVAILABLE)
    seen = observed(await run_probe(CHECK, {"state_machines": "etl"}, machine(down, metrics={METRIC: [7]})))
    assert (seen["etl", "started_per_minute"], seen["etl", "started_cloudwatch"]) == (Reason.UNAVAILABLE, 7.0)


async def test_a_partial_list_is_no_count(down: ProbeError) -> None:
    """A second page that fails makes the count unknown; the first page's part of it is not reported."""
    seen = observed(await run_probe(CHECK, {"state_machines": "etl"}, machine(rows(1, 2), down)))
    assert seen["etl", "started_per_minute"] is Reason.UNAVAILABLE


@pytest.mark.parametrize("source", ["auto", "executions", "cloudwatch"])
async def test_a_machine_that_is_gone_is_unknown_on_every_signal(source: str, gone: ProbeError) -> None:
    """Also where CloudWatch would answer with silence."""
    aws = FakeAws({"stepfunctions.ListExecutions": gone, "stepfunctions.DescribeStateMachine": gone})
    seen = observed(await run_probe(CHECK, {"state_machines": "etl", "source": source}, aws))
    assert set(seen.values()) == {Reason.NOT_FOUND}
    assert len(seen) == 3


@pytest.mark.parametrize("known", [True, False])
async def test_express_machines_are_read_from_the_metric(known: bool) -> None:
    """auto falls back where discovery knows the type, and where AWS refuses the list."""
    refusal = ProbeError(Reason.INVALID, "StateMachineTypeNotSupported: not for EXPRESS")
    aws = FakeAws(
        {"stepfunctions.ListExecutions": refusal, "stepfunctions.DescribeStateMachine": {"type": "EXPRESS"}},
        metrics={METRIC: [40, 120]},
        resources=[EXPRESS] if known else [],
    )
    seen = await run_probe(CHECK, {"state_machines": "etl"}, aws)
    assert observed(seen) == {
        ("etl", "started_per_minute"): 120.0,
        ("etl", "growth"): 3.0,
        ("etl", "started_cloudwatch"): 120.0,
    }
    assert aws.count("stepfunctions.ListExecutions") == (0 if known else 1)


async def test_an_idle_express_machine_is_absent_but_exists() -> None:
    """No datapoint of a machine that was described: `missing: zero` may call it 0."""
    aws = FakeAws({"stepfunctions.DescribeStateMachine": {}}, resources=[EXPRESS])
    seen = await run_probe(CHECK, {"state_machines": "etl"}, aws)
    assert {(one.value, one.reason, one.exists) for one in seen} == {(None, None, True)}


async def test_the_list_cannot_be_forced_on_an_express_machine() -> None:
    """`source: executions` says clearly why there is none."""
    aws = FakeAws(resources=[EXPRESS])
    seen = await run_probe(CHECK, {"state_machines": "etl", "source": "executions", "cross_check": False}, aws)
    assert {one.reason for one in seen} == {Reason.INVALID}
    assert "is an Express machine" in seen[0].detail


async def test_without_cross_check_no_metric_is_paid_for() -> None:
    """cross_check: false asks CloudWatch nothing and reports no such signal."""
    aws = machine(rows(1))
    seen = await run_probe(CHECK, {"state_machines": "etl", "cross_check": False}, aws)
    assert {one.signal for one in seen} == {"started_per_minute", "growth"}
    assert aws.asked == []


async def test_the_window_ends_with_the_run() -> None:
    """The value was true when the run started, whatever time the reading took."""
    later = EPOCH + timedelta(seconds=30)
    seen = await run_probe(CHECK, {"state_machines": "etl"}, machine(rows(-10, 20, 40)), now=later)
    rate = next(one for one in seen if one.signal == "started_per_minute")
    assert (rate.value, rate.at) == (2.0, later)
    assert isinstance(rate.at, datetime)
