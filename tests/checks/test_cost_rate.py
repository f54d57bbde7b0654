"""cost_rate: usage times list price, per part and in total."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from checks.cost_rate import CHECK, CostRate
from monitor.plugin import ProbeError, Reason, Resource, ResourceKind
from monitor.testing import EPOCH, FakeAws, observed, run_probe

ARN = "arn:aws:states:us-east-1:123456789012:stateMachine:etl"
STARTED = f"AWS/States.ExecutionsStarted[StateMachineArn={ARN}]"
FN = "AWS/Lambda.{}[FunctionName=ingest]"
PUTS = "AWS/S3.PutRequests[BucketName=raw,FilterId=EntireBucket]"


def starts(count: int) -> dict[str, Any]:
    """A page of executions of the last minute."""
    return {"executions": [{"startDate": EPOCH - timedelta(seconds=60 * n / count)} for n in range(count)]}


async def run(aws: FakeAws, **params: Any) -> Mapping[tuple[str, str], Any]:
    """What was observed."""
    return observed(await run_probe(CHECK, params, aws))


async def test_the_runbooks_loop_costs_three_dollars_an_hour() -> None:
    """200 starts a minute, 10 transitions each, at $0.025 per 1,000: $3 per hour, $72 per day, from the list alone."""
    aws = FakeAws({"stepfunctions.ListExecutions": starts(200)})
    seen = await run(aws, state_machines="etl")
    assert seen["etl", "dollars_per_hour"] == pytest.approx(3.0)
    assert seen["total", "per_day_projection"] == pytest.approx(72.0)
    assert aws.asked == []


async def test_a_page_cap_bounds_the_price_from_below() -> None:
    """The part and the total both say at least."""
    page = {**starts(100), "nextToken": "more"}
    page["executions"] = page["executions"][:50]
    aws = FakeAws({"stepfunctions.ListExecutions": page})
    seen = await run_probe(CHECK, {"state_machines": "etl", "max_pages": 1}, aws)
    assert all(one.lower_bound for one in seen)


async def test_cloudwatch_can_count_the_starts() -> None:
    """Three complete minutes, scaled to an hour."""
    aws = FakeAws({"stepfunctions.DescribeStateMachine": {"type": "STANDARD"}}, metrics={STARTED: [9, 100, 200, 300]})
    seen = await run(aws, state_machines="etl", source="cloudwatch", transitions_per_execution=1)
    assert seen["etl", "dollars_per_hour"] == pytest.approx(600 * 20 * 0.025 / 1000)


async def test_an_express_machine_is_priced_by_its_requests() -> None:
    """A lower bound: its duration has a price only with its memory."""
    express = Resource(ResourceKind.STATE_MACHINE, "etl", ARN, {"type": "EXPRESS"})
    aws = FakeAws(metrics={STARTED: [1_000_000] * 3}, resources=[express])
    seen = await run_probe(CHECK, {"state_machines": "etl"}, aws)
    assert observed(seen)["etl", "dollars_per_hour"] == pytest.approx(60.0)
    assert seen[0].lower_bound


@pytest.mark.parametrize(
    ("architecture", "gb_second"), [(["x86_64"], 0.0000166667), (["arm64"], 0.0000133334), ([], 0.0000166667)]
)
async def test_a_function_costs_requests_and_gigabyte_seconds(architecture: list[str], gb_second: float) -> None:
    """Duration (ms) x memory at the architecture's price, and each invocation."""
    configured = {"MemorySize": 2048, "Architectures": architecture}
    metrics = {FN.format("Invocations"): [1000, 1000, 1000], FN.format("Duration"): [500_000, 500_000, 500_000]}
    aws = FakeAws({"lambda.GetFunctionConfiguration": configured}, metrics=metrics)
    expected = 20 * (3000 * 0.20e-6 + 1500 * 2 * gb_second)
    assert (await run(aws, lambda_functions="ingest"))["ingest", "dollars_per_hour"] == pytest.approx(expected)


async def test_an_idle_function_is_absent_but_exists_and_costs_nothing_in_total() -> None:
    """No datapoint is no usage: `missing: zero` may count, and the total is 0."""
    aws = FakeAws({"lambda.GetFunctionConfiguration": {"MemorySize": 128}})
    seen = await run_probe(CHECK, {"lambda_functions": "ingest"}, aws)
    assert (seen[0].value, seen[0].reason, seen[0].exists) == (None, None, True)
    assert observed(seen)["total", "dollars_per_hour"] == 0.0


async def test_a_bucket_without_request_metrics_never_proves_that_it_exists() -> None:
    """Silence may mean that request metrics are off; uploads are priced once they show."""
    (one, *_) = await run_probe(CHECK, {"buckets": ["raw"]}, FakeAws())
    assert (one.value, one.reason, one.exists) == (None, None, False)
    seen = await run(FakeAws(metrics={PUTS: [1000, 1000, 1000]}), buckets=["raw"])
    assert seen["raw", "dollars_per_hour"] == pytest.approx(3000 * 20 * 0.005 / 1000)


async def test_a_part_that_is_unknown_makes_the_total_unknown(gone: ProbeError) -> None:
    """A partial sum would look cheap; the other part keeps its own price."""
    aws = FakeAws({"stepfunctions.ListExecutions": starts(200), "lambda.GetFunctionConfiguration": gone})
    seen = await run(aws, state_machines="etl", lambda_functions="ingest")
    assert seen["etl", "dollars_per_hour"] == pytest.approx(3.0)
    assert seen["ingest", "dollars_per_hour"] is Reason.NOT_FOUND
    assert seen["total", "dollars_per_hour"] is Reason.NOT_FOUND


async def test_nothing_discovered_is_no_total() -> None:
    """A glob that matches nothing observes nothing."""
    assert await run(FakeAws(), state_machines="etl-*") == {}


async def test_prices_can_be_replaced() -> None:
    """Contracts and regions differ."""
    aws = FakeAws({"stepfunctions.ListExecutions": starts(200)})
    seen = await run(aws, state_machines="etl", prices={"states.transition": 0.00005})
    assert seen["etl", "dollars_per_hour"] == pytest.approx(6.0)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "at least one of"),
        ({"buckets": ["raw"], "prices": {"s3.pt": 1}}, "no price is called 's3.pt'"),
    ],
)
def test_bad_parameters_are_refused_at_load(params: Mapping[str, Any], message: str) -> None:
    """Config errors, not surprises at run time."""
    with pytest.raises(ValidationError, match=message):
        CostRate.model_validate(params)
