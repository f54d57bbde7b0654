"""Requests that AWS refused for going too fast, and how much of Lambda's concurrency is in use.

`throttled` sums refused requests over the complete minutes of `window`:

- a Lambda function's Throttles;
- a table's ReadThrottleEvents and WriteThrottleEvents, its own and those of every global secondary index, which only
  exist under the index' own dimension (ThrottledRequests by table alone is no valid metric);
- a state machine's ExecutionThrottled.

No datapoint means zero, once the resource or its traffic was seen; where there was traffic but no throttle point the
zero is real and observed as such. `concurrency_used` is a function's ConcurrentExecutions over its reserved
concurrency or, without one, the unreserved pool's use over its limit: what the function competes for. With a reserved
concurrency of 0 nothing may run, which is 1. No datapoint there means that nothing ran.

A REST API has no throttle metric at all: `rejected` is its 4XXError count, an upper bound in which the 429s of a
throttle cannot be told from any other client error. It has no default threshold.

Default thresholds are the runbooks': any throttle at all, critical when it lasts 5 minutes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from pydantic import Field, model_validator

from checks.executions import DISCOVERY
from checks.reading import (
    MINUTE,
    Group,
    absent,
    attempt,
    each_of,
    find_any,
    number,
    observe,
    sums,
    unknown,
    whole_minutes,
)
from monitor.plugin import (
    Bound,
    Check,
    Duration,
    MetricQuery,
    Missing,
    Observation,
    Params,
    ProbeContext,
    ProbeError,
    Reason,
    Resource,
    ResourceKind,
    Selector,
    Signal,
    SignalSpec,
)

THROTTLED = Signal("throttled", "requests", "Requests refused within `window`, summed.", Missing.ZERO, "window")
USED = Signal("concurrency_used", "ratio", "Share of the concurrency the function may use, 0 to 1.", Missing.ZERO)
REJECTED = Signal(
    "rejected", "requests", "4xx answers of a REST API within `window`; throttles among them.", Missing.ZERO, "window"
)
SIGNALS = (THROTTLED, USED, REJECTED)


class Throttles(Params):
    """Which resources, of one service or several."""

    lambda_functions: Selector | None = Field(None, description="Lambda functions by name, ARN, glob or tag.")
    tables: Selector | None = Field(None, description="DynamoDB tables by name, ARN, glob or tag.")
    state_machines: Selector | None = Field(None, description="State machines by name, ARN, glob or tag.")
    apis: Selector | None = Field(None, description="REST APIs of API Gateway by name or id, glob or tag.")
    window: Duration = Field(timedelta(minutes=5), description="Complete minutes that are summed.")

    @model_validator(mode="after")
    def _something(self) -> Throttles:
        if not (self.lambda_functions or self.tables or self.state_machines or self.apis):
            raise ValueError("give at least one of lambda_functions, tables, state_machines and apis")
        return self


async def probe(params: Throttles, ctx: ProbeContext) -> Sequence[Observation]:
    """All services at once; a resource that fails is unknown alone."""
    return await each_of([await group(params, ctx) for group in _GROUPS])


def _metrics(namespace: str, params: Throttles, **dimensions: str) -> Callable[..., MetricQuery]:
    """Queries over the window; what differs is the metric and the statistic."""

    def query(metric: str, stat: str = "Sum") -> MetricQuery:
        return MetricQuery(namespace, metric, tuple(dimensions.items()), stat, MINUTE, whole_minutes(params.window))

    return query


async def _count(
    signal: Signal,
    target: str,
    ctx: ProbeContext,
    bad: Sequence[MetricQuery],
    traffic: Sequence[MetricQuery],
    *,
    exists: bool,
) -> Observation:
    """The sum of `bad`; a real zero if there was traffic; else absent."""
    found = await sums(ctx, [*bad, *traffic])
    counted = [one for one in found[: len(bad)] if one]
    seen = [one for one in found if one]
    if not seen:
        return absent(signal, target, "no traffic in the window", exists=exists)
    return observe(signal, target, sum(value for value, _ in counted), max(end for _, end in seen))


async def _exists(read: Awaitable[Mapping[str, Any]]) -> tuple[bool, Mapping[str, Any] | ProbeError]:
    """Whether the resource was seen, and the reply. Raises ProbeError(not_found); other failures are its own."""
    reply = await attempt(read)
    if isinstance(reply, ProbeError) and reply.reason is Reason.NOT_FOUND:
        raise reply
    return not isinstance(reply, ProbeError), reply


# --- Lambda ---------------------------------------------------------------------------------------------------------


async def _functions(params: Throttles, ctx: ProbeContext) -> Group[Resource]:
    functions = await find_any(ctx, ResourceKind.FUNCTION, params.lambda_functions)
    account = await attempt(ctx.aws.call("lambda", "GetAccountSettings")) if functions else {}

    async def read(function: Resource) -> list[Observation]:
        call = ctx.aws.call("lambda", "GetFunctionConcurrency", FunctionName=function.name)
        exists, reserved = await _exists(call)
        query = _metrics("AWS/Lambda", params, FunctionName=function.name)
        seen = await attempt(
            _count(THROTTLED, function.name, ctx, [query("Throttles")], [query("Invocations")], exists=exists)
        )
        used = await attempt(_used(function, params, ctx, reserved, account))
        return [
            *(unknown([THROTTLED], function.name, seen) if isinstance(seen, ProbeError) else [seen]),
            *(unknown([USED], function.name, used) if isinstance(used, ProbeError) else [used]),
        ]

    return Group(functions, read, (THROTTLED, USED))


async def _used(
    function: Resource,
    params: Throttles,
    ctx: ProbeContext,
    reserved: Mapping[str, Any] | ProbeError,
    account: Mapping[str, Any] | ProbeError,
) -> Observation:
    if isinstance(reserved, ProbeError):
        raise reserved
    own = _metrics("AWS/Lambda", params, FunctionName=function.name)("ConcurrentExecutions", "Maximum")
    limit = reserved.get("ReservedConcurrentExecutions")
    if limit is not None:
        queries = [own]
    elif isinstance(account, ProbeError):
        raise account
    else:
        limits = account.get("AccountLimit", {})
        limit = limits.get("UnreservedConcurrentExecutions", limits.get("ConcurrentExecutions"))
        queries = [own, _metrics("AWS/Lambda", params)("UnreservedConcurrentExecutions", "Maximum")]
    most = number(limit, f"the concurrency limit of {function.name}")
    if most == 0:
        return observe(USED, function.name, 1.0, ctx.now)
    newest = [series.last for series in await ctx.aws.metrics(queries) if series.last]
    if not newest:
        return absent(USED, function.name, "nothing ran in the window", exists=True)
    end, busy = max(newest, key=lambda point: point[1])
    return observe(USED, function.name, busy / most, end)


# --- DynamoDB, Step Functions, API Gateway --------------------------------------------------------------------------


async def _tables(params: Throttles, ctx: ProbeContext) -> Group[Resource]:
    async def read(table: Resource) -> list[Observation]:
        # Without its description a table's indexes are not known, and a sum without them would be too small.
        described = await ctx.aws.call("dynamodb", "DescribeTable", TableName=table.name)
        indexes = [index["IndexName"] for index in described["Table"].get("GlobalSecondaryIndexes", ())]
        dimensions = [{"TableName": table.name}]
        dimensions += [{"TableName": table.name, "GlobalSecondaryIndexName": name} for name in indexes]
        queries = [_metrics("AWS/DynamoDB", params, **one) for one in dimensions]
        bad = [query(f"{way}ThrottleEvents") for query in queries for way in ("Read", "Write")]
        traffic = [queries[0](f"Consumed{way}CapacityUnits") for way in ("Read", "Write")]
        return [await _count(THROTTLED, table.name, ctx, bad, traffic, exists=True)]

    return Group(await find_any(ctx, ResourceKind.TABLE, params.tables), read, (THROTTLED,))


async def _machines(params: Throttles, ctx: ProbeContext) -> Group[Resource]:
    async def read(machine: Resource) -> list[Observation]:
        exists, _ = await _exists(ctx.aws.call("stepfunctions", "DescribeStateMachine", stateMachineArn=machine.arn))
        query = _metrics("AWS/States", params, StateMachineArn=machine.arn)
        bad, traffic = [query("ExecutionThrottled")], [query("ExecutionsStarted")]
        return [await _count(THROTTLED, machine.name, ctx, bad, traffic, exists=exists)]

    return Group(await find_any(ctx, ResourceKind.STATE_MACHINE, params.state_machines), read, (THROTTLED,))


async def _apis(params: Throttles, ctx: ProbeContext) -> Group[Resource]:
    apis = await find_any(ctx, ResourceKind.REST_API, params.apis)
    known = await attempt(_api_names(ctx)) if apis else {}

    async def read(api: Resource) -> list[Observation]:
        if isinstance(known, ProbeError):
            raise known
        # Config and discovery may name an API by its id; the metrics know only its name.
        name = known.get(api.name)
        if name is None:
            raise ProbeError(Reason.NOT_FOUND, f"no REST API has the name or id {api.name}")
        query = _metrics("AWS/ApiGateway", params, ApiName=name)
        return [await _count(REJECTED, api.name, ctx, [query("4XXError")], [query("Count")], exists=True)]

    return Group(apis, read, (REJECTED,))


async def _api_names(ctx: ProbeContext) -> dict[str, str]:
    """Name by name and by id."""
    names: dict[str, str] = {}
    async for page in ctx.aws.pages("apigateway", "GetRestApis"):
        for api in page.get("items", ()):
            names[api["id"]] = names[api["name"]] = api["name"]
    return names


_GROUPS = (_functions, _tables, _machines, _apis)

CHECK: Check[Throttles] = Check(
    kind="throttles",
    summary="Refused requests of functions, tables, state machines and APIs, and Lambda concurrency in use.",
    params=Throttles,
    probe=probe,
    signals=SIGNALS,
    defaults={
        "throttled": SignalSpec(
            warning=Bound(above=0), critical=Bound(above=0, hold=timedelta(minutes=5)), missing=Missing.ZERO
        ),
        "concurrency_used": SignalSpec(warning=Bound(above=0.8), missing=Missing.ZERO),
    },
    permissions=(
        "cloudwatch:GetMetricData",
        "lambda:GetFunctionConcurrency",
        "lambda:GetAccountSettings",
        "lambda:ListFunctions",
        "dynamodb:DescribeTable",
        "dynamodb:ListTables",
        "states:DescribeStateMachine",
        "apigateway:GET",
        *DISCOVERY,
    ),
    cost="Per function 3 or 4 metrics, per state machine and API 2, per table 4 and 2 per index ($0.01 per 1,000).",
    example="""\
ingest-throttles:
  kind: throttles
  lambda_functions: ingest-handler
  tables: etl-metadata
  thresholds:
    throttled: {critical: {above: 0, for: 5m}}
""",
    selectors=("lambda_functions", "tables", "state_machines", "apis"),
)
