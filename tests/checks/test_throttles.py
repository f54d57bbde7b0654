"""throttles: which metrics count, what no datapoint means, and the concurrency a function competes for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from checks.throttles import CHECK, Throttles
from monitor.plugin import ProbeError, Reason
from monitor.testing import FakeAws, metric_key, observed, run_probe

ACCOUNT = {"AccountLimit": {"ConcurrentExecutions": 1000, "UnreservedConcurrentExecutions": 900}}
FN = "AWS/Lambda.{}[FunctionName=ingest]"
POOL = "AWS/Lambda.UnreservedConcurrentExecutions[]"
TABLE = "AWS/DynamoDB.{}[TableName=meta]"
INDEX = "AWS/DynamoDB.{}[GlobalSecondaryIndexName=by-day,TableName=meta]"
MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:etl"


def functions(reserved: int | None = None, metrics: Mapping[str, Any] | None = None, replies: Any = ()) -> FakeAws:
    """An AWS with the function `ingest`."""
    limit = {} if reserved is None else {"ReservedConcurrentExecutions": reserved}
    known: dict[str, Any] = {"lambda.GetFunctionConcurrency": limit, "lambda.GetAccountSettings": ACCOUNT}
    return FakeAws({**known, **dict(replies)}, metrics=metrics)


async def run(aws: FakeAws, **params: Any) -> dict[tuple[str, str], Any]:
    """What was observed."""
    return dict(observed(await run_probe(CHECK, params, aws)))


@pytest.mark.parametrize(
    ("throttles", "invocations", "value"),
    [
        ([1, 0, 2, None, 4], [9, 9, 9, 9, 9], 7.0),
        ([100, 1, 1, 1, 1, 1], [], 5.0),
        ([], [None, None, 3, None, None], 0.0),
        ([], [], None),
    ],
    ids=["the window's sum", "only the window", "traffic makes zero real", "silence is absent"],
)
async def test_throttles_are_summed_over_the_window(
    throttles: list[Any], invocations: list[Any], value: float | None
) -> None:
    """Complete minutes only; an absent point is left to `missing:`, and the function was seen."""
    metrics = {FN.format("Throttles"): throttles, FN.format("Invocations"): invocations}
    aws = functions(metrics=metrics)
    seen = await run_probe(CHECK, {"lambda_functions": "ingest"}, aws)
    throttled = next(one for one in seen if one.signal == "throttled")
    assert (throttled.value, throttled.reason, throttled.exists) == (value, None, True)


@pytest.mark.parametrize(
    ("reserved", "own", "pool", "value"),
    [
        (100, [50, 80], [], 0.8),
        (100, [], [], None),
        (0, [], [], 1.0),
        (None, [90], [450], 0.5),
        (None, [90], [], 0.1),
        (None, [], [], None),
    ],
    ids=["of its own", "idle", "cut to nothing", "of the pool", "at least its own", "idle in the pool"],
)
async def test_concurrency_is_measured_against_what_the_function_may_use(
    reserved: int | None, own: list[int], pool: list[int], value: float | None
) -> None:
    """Reserved concurrency if it has any, else the unreserved pool it shares."""
    aws = functions(reserved, {FN.format("ConcurrentExecutions"): own, POOL: pool})
    assert (await run(aws, lambda_functions="ingest"))["ingest", "concurrency_used"] == value


async def test_the_account_is_asked_once_for_all_functions() -> None:
    """Lambda's control plane allows 15 calls a second for everything."""
    aws = functions()
    await run(aws, lambda_functions=["a", "b", "c"])
    assert (aws.count("lambda.GetAccountSettings"), aws.count("lambda.GetFunctionConcurrency")) == (1, 3)


async def test_unreadable_limits_leave_the_throttles(down: ProbeError) -> None:
    """concurrency_used is unknown alone; traffic still tells that the function exists."""
    metrics = {FN.format("Throttles"): [3], FN.format("ConcurrentExecutions"): [3]}
    for operation in ("lambda.GetAccountSettings", "lambda.GetFunctionConcurrency"):
        aws = functions(metrics=metrics, replies={operation: down})
        assert await run(aws, lambda_functions="ingest") == {
            ("ingest", "throttled"): 3.0,
            ("ingest", "concurrency_used"): Reason.UNAVAILABLE,
        }


async def test_a_function_that_is_gone_is_unknown_on_its_signals(gone: ProbeError) -> None:
    """CloudWatch's silence about it is no zero."""
    aws = functions(replies={"lambda.GetFunctionConcurrency": gone})
    assert set((await run(aws, lambda_functions="ingest")).values()) == {Reason.NOT_FOUND}


async def test_a_table_counts_with_all_its_indexes() -> None:
    """Read and write throttles of the table and of each index, never ThrottledRequests by table."""
    described = {"Table": {"GlobalSecondaryIndexes": [{"IndexName": "by-day"}]}}
    metrics = {
        TABLE.format("ReadThrottleEvents"): [1],
        TABLE.format("WriteThrottleEvents"): [2],
        INDEX.format("ReadThrottleEvents"): [3],
        INDEX.format("WriteThrottleEvents"): [4],
    }
    aws = FakeAws({"dynamodb.DescribeTable": described}, metrics=metrics)
    assert await run(aws, tables="meta") == {("meta", "throttled"): 10.0}
    assert not any("ThrottledRequests" in metric_key(query) for query in aws.asked)


@pytest.mark.parametrize(("traffic", "value"), [([5], 0.0), ([], None)])
async def test_a_quiet_table_is_zero_only_with_traffic(traffic: list[int], value: float | None) -> None:
    """Consumed capacity without throttles is a real zero."""
    metrics = {TABLE.format("ConsumedWriteCapacityUnits"): traffic}
    aws = FakeAws({"dynamodb.DescribeTable": {"Table": {}}}, metrics=metrics)
    assert await run(aws, tables="meta") == {("meta", "throttled"): value}


async def test_a_table_that_cannot_be_described_is_unknown(down: ProbeError) -> None:
    """Its indexes are not known, so a sum would be too small."""
    aws = FakeAws({"dynamodb.DescribeTable": down}, metrics={TABLE.format("ReadThrottleEvents"): [1]})
    assert await run(aws, tables="meta") == {("meta", "throttled"): Reason.UNAVAILABLE}


async def test_a_state_machine_counts_its_throttled_events() -> None:
    """ExecutionThrottled under the machine's ARN."""
    metrics = {f"AWS/States.ExecutionThrottled[StateMachineArn={MACHINE}]": [2, 5]}
    aws = FakeAws({"stepfunctions.DescribeStateMachine": {}}, metrics=metrics)
    assert await run(aws, state_machines="etl") == {("etl", "throttled"): 7.0}


@pytest.mark.parametrize("named", ["orders-api", "a1b2"])
async def test_an_api_reports_rejections_not_throttles(named: str) -> None:
    """AWS has no throttle metric for REST APIs: 4xx answers are a signal of their own, by name or id."""
    aws = FakeAws(
        {"apigateway.GetRestApis": {"items": [{"id": "a1b2", "name": "orders-api"}]}},
        metrics={"AWS/ApiGateway.4XXError[ApiName=orders-api]": [6]},
    )
    assert await run(aws, apis=named) == {(named, "rejected"): 6.0}
    assert await run(aws, apis="other") == {("other", "rejected"): Reason.NOT_FOUND}


async def test_two_resources_of_one_name_need_two_checks() -> None:
    """Their observations could not be told apart."""
    with pytest.raises(ProbeError, match="give each a check of its own"):
        await run(functions(), lambda_functions="etl", tables="etl")


def test_nothing_selected_is_a_config_error() -> None:
    """At least one selector."""
    with pytest.raises(ValidationError, match="at least one of"):
        Throttles.model_validate({})
