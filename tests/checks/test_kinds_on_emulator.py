"""Every kind against the emulator through the real reader: requests AWS's models accept, replies as AWS shapes them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from checks import KINDS
from monitor.core.model import Reason
from monitor.demo import world as etl
from monitor.demo.emulator.child import Child, Side
from monitor.demo.world import World
from monitor.plugin import ProbeError
from monitor.testing import example_params

pytestmark = pytest.mark.process

#: One run of a kind now: what was observed.
Run = Callable[[str, Mapping[str, Any]], Awaitable[dict[tuple[str, str], Any]]]


async def start(world: World, count: int) -> None:
    """Start executions of the workflow."""
    client = await world.aws("stepfunctions")
    for number in range(count):
        await client.start_execution(stateMachineArn=etl.MACHINE, name=f"run-{number}", input="{}")


async def test_queue_depth(world: World, run: Run) -> None:
    """Counts of a queue and, through its redrive policy, of its dead-letter queue; a missing one is not_found."""
    await world.side.post("sqs/fill", queue=etl.DEAD, count=12)
    seen = await run("queue_depth", {"queues": [etl.QUEUE, "nowhere"], "include_dlqs": True})
    assert seen[etl.QUEUE, "visible"] == 0.0
    assert seen[etl.QUEUE, "oldest_age"] == 0.0
    assert seen[etl.DEAD, "visible"] == 12.0
    assert seen["nowhere", "visible"] is Reason.NOT_FOUND
    tagged = await run("queue_depth", {"queues": {"tags": {"pipeline": "etl"}}})
    assert {target for target, _ in tagged} == {etl.QUEUE, etl.DEAD}


async def test_execution_rate(world: World, run: Run) -> None:
    """Starts of the last minute; aged ones don't count; a missing machine is not_found."""
    await start(world, 9)
    await world.side.post("executions/age", state_machine=etl.MACHINE_NAME, seconds=70, limit=4)
    seen = await run("execution_rate", {"state_machines": [etl.MACHINE_NAME, "nowhere"]})
    assert seen[etl.MACHINE_NAME, "started_per_minute"] == 5.0
    assert seen["nowhere", "started_per_minute"] is Reason.NOT_FOUND


async def test_stuck_executions(world: World, run: Run) -> None:
    """Two of three run for an hour; their history tells the state they are in."""
    await start(world, 3)
    await world.side.post("executions/enter", state_machine=etl.MACHINE_NAME, state="Transform")
    await world.side.post("executions/age", state_machine=etl.MACHINE_NAME, seconds=3600, limit=2)
    seen = await run("stuck_executions", {"state_machines": etl.MACHINE})
    assert seen[etl.MACHINE_NAME, "stuck"] == 2.0
    assert seen[etl.MACHINE_NAME, "oldest"] == pytest.approx(3600, abs=60)
    assert seen[etl.MACHINE_NAME, "state_age"] == pytest.approx(3600, abs=60)
    assert seen[etl.MACHINE_NAME, "idle"] == pytest.approx(3600, abs=60)


async def test_throttles(world: World, run: Run) -> None:
    """Lambda and table throttles of complete minutes, and the reserved concurrency in use."""
    function, table = {"FunctionName": etl.INGEST}, {"TableName": etl.TABLE}
    await world.side.post(
        "metrics",
        points=[
            {"namespace": "AWS/Lambda", "metric": "Throttles", "value": 7, "dimensions": function, "ago": 90},
            {
                "namespace": "AWS/Lambda",
                "metric": "ConcurrentExecutions",
                "value": 80,
                "dimensions": function,
                "ago": 90,
            },
            {"namespace": "AWS/DynamoDB", "metric": "WriteThrottleEvents", "value": 3, "dimensions": table, "ago": 90},
        ],
    )
    params = {
        "lambda_functions": [etl.INGEST, etl.TRANSFORM, "nowhere"],
        "tables": etl.TABLE,
        "state_machines": etl.MACHINE_NAME,
    }
    seen = await run("throttles", params)
    assert seen[etl.INGEST, "throttled"] == 7.0
    assert seen[etl.INGEST, "concurrency_used"] == pytest.approx(0.8)
    assert seen[etl.TRANSFORM, "throttled"] is None
    assert seen[etl.TABLE, "throttled"] == 3.0
    assert seen[etl.MACHINE_NAME, "throttled"] is None
    assert seen["nowhere", "throttled"] is Reason.NOT_FOUND


async def test_cost_anomaly(world: World, run: Run) -> None:
    """A jump of the judged day, and the budget."""
    judged = (datetime.now(UTC) - timedelta(hours=12)).date() - timedelta(days=1)
    rows = [
        {"date": str(judged - timedelta(days=back)), "service": "AWS Lambda", "amount": 99.0 if back else 399.0}
        for back in range(36)
    ]
    await world.side.post("cost", rows=rows)
    seen = await run("cost_anomaly", {"budget": etl.BUDGET})
    assert seen["AWS Lambda", "daily_deviation"] == pytest.approx(4.0)
    assert seen["total", "daily_dollars"] == 399.0
    assert seen[etl.BUDGET, "budget_used"] == pytest.approx(0.31)
    assert seen[etl.BUDGET, "forecast"] == pytest.approx(0.62)


async def test_cost_rate(world: World, run: Run) -> None:
    """Starts and invocations at list prices."""
    await start(world, 20)
    own = {"FunctionName": etl.INGEST}
    points = [
        {"namespace": "AWS/Lambda", "metric": "Invocations", "value": 3000, "dimensions": own, "ago": 90},
        {"namespace": "AWS/Lambda", "metric": "Duration", "value": 1_500_000, "dimensions": own, "ago": 90},
    ]
    await world.side.post("metrics", points=points)
    seen = await run("cost_rate", {"state_machines": etl.MACHINE_NAME, "lambda_functions": etl.INGEST})
    assert seen[etl.MACHINE_NAME, "dollars_per_hour"] == pytest.approx(0.3)
    assert seen[etl.INGEST, "dollars_per_hour"] == pytest.approx(20 * (3000 * 0.2e-6 + 750 * 0.0000166667))
    assert seen["total", "per_day_projection"] > 24 * 0.3


@pytest.mark.parametrize(
    ("params", "seen"),
    [
        (
            {
                "service": "lambda",
                "operation": "get-function",
                "parameters": {"FunctionName": etl.INGEST},
                "query": "Configuration.State",
                "equals": "Active",
            },
            {(etl.INGEST, "value"): 0.0},
        ),
        (
            {"service": "events", "operation": "DescribeRule", "parameters": {"Name": etl.RULE}, "query": "State"}
            | {"values": {"ENABLED": 0, "else": 1}},
            {(etl.RULE, "value"): 0.0},
        ),
        (
            {"service": "lambda", "operation": "ListFunctions", "query": "Functions[].[FunctionName, MemorySize]"},
            {(etl.INGEST, "value"): 512.0, (etl.TRANSFORM, "value"): 1024.0},
        ),
        (
            {"service": "sqs", "operation": "list-queues", "query": "length(QueueUrls)", "target": "queues"},
            {("queues", "value"): 2.0},
        ),
    ],
    ids=["kebab and equals", "values", "a target per name", "length"],
)
async def test_aws_query(world: World, run: Run, params: Any, seen: Any) -> None:
    """Runbook lines as they stand."""
    assert await run("aws_query", params) == seen


async def test_aws_query_refuses_to_change_anything(world: World, run: Run) -> None:
    """A mutating operation is invalid, and nothing happened."""
    params = {"service": "events", "operation": "disable-rule", "parameters": {"Name": etl.RULE}, "query": "@"}
    assert await run("aws_query", {**params, "target": "r"}) == {("r", "value"): Reason.INVALID}
    assert await world.rule_state() == "ENABLED"


@pytest.mark.parametrize(
    "check", [check for check in KINDS if check.permissions or check.operations], ids=lambda check: check.kind
)
async def test_a_refused_identity_is_unknown_everywhere(check: Any, emulator: Child, run: Run) -> None:
    """With every call of AWS denied each known target is unknown(denied), and nothing has a value."""
    denial = {"target": "*", "count": 1000, "status": 403, "code": "AccessDenied"}
    async with Side(emulator.url) as side:
        await side.post("faults", faults=[denial])
    params = {key: value for key, value in example_params(check.example).items() if key != "__kind__"}
    try:
        seen = await run(check.kind, params)
    except ProbeError as error:
        seen = {("", ""): error.reason}
    assert set(seen.values()) == {Reason.DENIED}


async def test_memory_use(world: World, run: Run) -> None:
    """From the lines with which Lambda ends an invocation; another function has none."""
    client, group = await world.aws("logs"), f"/aws/lambda/{etl.TRANSFORM}"
    await client.create_log_stream(logGroupName=group, logStreamName="s")
    at = int(datetime.now(UTC).timestamp() * 1000)
    text = (
        "REPORT RequestId: r-{n} Duration: 9.1 ms Billed Duration: 10 ms Memory Size: 1024 MB Max Memory Used: {n} MB"
    )
    events = [{"timestamp": at - n, "message": text.format(n=100 + n)} for n in range(25)]
    await client.put_log_events(logGroupName=group, logStreamName="s", logEvents=events[::-1])
    seen = await run("memory_use", {"lambda_functions": [etl.TRANSFORM, etl.INGEST]})
    assert seen[etl.TRANSFORM, "runs"] == 25.0
    assert seen[etl.TRANSFORM, "used"] == pytest.approx(124 / 1024)
    assert seen[etl.INGEST, "used"] is None
