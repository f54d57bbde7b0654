"""What AWS refused and how much room is left, service by service: the metrics behind `throttles`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from checks.reading import MINUTE, Group, absent, attempt, find_any, number, observe, sums, unknown, whole_minutes
from monitor.plugin import (
    MetricQuery,
    Missing,
    Observation,
    ProbeContext,
    ProbeError,
    Reason,
    Resource,
    ResourceKind,
    Selector,
    Signal,
)

THROTTLED = Signal("throttled", "requests", "Requests refused within `window`, summed.", Missing.ZERO, "window")
USED = Signal("concurrency_used", "ratio", "Share of the concurrency the function may use, 0 to 1.", Missing.ZERO)
REJECTED = Signal(
    "rejected", "requests", "4xx answers of a REST API within `window`; throttles among them.", Missing.ZERO, "window"
)


def _metrics(namespace: str, window: timedelta, **dimensions: str) -> Callable[..., MetricQuery]:
    """Queries over the window; what differs is the metric and the statistic."""

    def query(metric: str, stat: str = "Sum") -> MetricQuery:
        return MetricQuery(namespace, metric, tuple(dimensions.items()), stat, MINUTE, whole_minutes(window))

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


async def functions(selector: Selector | None, window: timedelta, ctx: ProbeContext) -> Group[Resource]:
    """Lambda: Throttles, and the concurrency a function competes for. The account is asked once."""
    functions = await find_any(ctx, ResourceKind.FUNCTION, selector)
    account = await attempt(ctx.aws.call("lambda", "GetAccountSettings")) if functions else {}

    async def read(function: Resource) -> list[Observation]:
        call = ctx.aws.call("lambda", "GetFunctionConcurrency", FunctionName=function.name)
        exists, reserved = await _exists(call)
        query = _metrics("AWS/Lambda", window, FunctionName=function.name)
        seen = await attempt(
            _count(THROTTLED, function.name, ctx, [query("Throttles")], [query("Invocations")], exists=exists)
        )
        used = await attempt(_used(function, window, ctx, reserved, account))
        return [
            *(unknown([THROTTLED], function.name, seen) if isinstance(seen, ProbeError) else [seen]),
            *(unknown([USED], function.name, used) if isinstance(used, ProbeError) else [used]),
        ]

    return Group(functions, read, (THROTTLED, USED))


async def _used(
    function: Resource,
    window: timedelta,
    ctx: ProbeContext,
    reserved: Mapping[str, Any] | ProbeError,
    account: Mapping[str, Any] | ProbeError,
) -> Observation:
    if isinstance(reserved, ProbeError):
        raise reserved
    own = _metrics("AWS/Lambda", window, FunctionName=function.name)("ConcurrentExecutions", "Maximum")
    limit = reserved.get("ReservedConcurrentExecutions")
    if limit is not None:
        queries = [own]
    elif isinstance(account, ProbeError):
        raise account
    else:
        limits = account.get("AccountLimit", {})
        limit = limits.get("UnreservedConcurrentExecutions", limits.get("ConcurrentExecutions"))
        queries = [own, _metrics("AWS/Lambda", window)("UnreservedConcurrentExecutions", "Maximum")]
    most = number(limit, f"the concurrency limit of {function.name}")
    if most == 0:
        return observe(USED, function.name, 1.0, ctx.now)
    newest = [series.last for series in await ctx.aws.metrics(queries) if series.last]
    if not newest:
        return absent(USED, function.name, "nothing ran in the window", exists=True)
    end, busy = max(newest, key=lambda point: point[1])
    return observe(USED, function.name, busy / most, end)


# --- DynamoDB, Step Functions, API Gateway --------------------------------------------------------------------------


async def tables(selector: Selector | None, window: timedelta, ctx: ProbeContext) -> Group[Resource]:
    """DynamoDB: read and write throttle events of the table and of each global secondary index."""

    async def read(table: Resource) -> list[Observation]:
        # Without its description a table's indexes are not known, and a sum without them would be too small.
        described = await ctx.aws.call("dynamodb", "DescribeTable", TableName=table.name)
        indexes = [index["IndexName"] for index in described["Table"].get("GlobalSecondaryIndexes", ())]
        dimensions = [{"TableName": table.name}]
        dimensions += [{"TableName": table.name, "GlobalSecondaryIndexName": name} for name in indexes]
        queries = [_metrics("AWS/DynamoDB", window, **one) for one in dimensions]
        bad = [query(f"{way}ThrottleEvents") for query in queries for way in ("Read", "Write")]
        traffic = [queries[0](f"Consumed{way}CapacityUnits") for way in ("Read", "Write")]
        return [await _count(THROTTLED, table.name, ctx, bad, traffic, exists=True)]

    return Group(await find_any(ctx, ResourceKind.TABLE, selector), read, (THROTTLED,))


async def machines(selector: Selector | None, window: timedelta, ctx: ProbeContext) -> Group[Resource]:
    """Step Functions: throttled events and retries."""

    async def read(machine: Resource) -> list[Observation]:
        exists, _ = await _exists(ctx.aws.call("stepfunctions", "DescribeStateMachine", stateMachineArn=machine.arn))
        query = _metrics("AWS/States", window, StateMachineArn=machine.arn)
        bad, traffic = [query("ExecutionThrottled")], [query("ExecutionsStarted")]
        return [await _count(THROTTLED, machine.name, ctx, bad, traffic, exists=exists)]

    return Group(await find_any(ctx, ResourceKind.STATE_MACHINE, selector), read, (THROTTLED,))


async def apis(selector: Selector | None, window: timedelta, ctx: ProbeContext) -> Group[Resource]:
    """API Gateway REST APIs: client errors, the nearest thing to a throttle metric."""
    apis = await find_any(ctx, ResourceKind.REST_API, selector)
    known = await attempt(_api_names(ctx)) if apis else {}

    async def read(api: Resource) -> list[Observation]:
        if isinstance(known, ProbeError):
            raise known
        # Config and discovery may name an API by its id; the metrics know only its name.
        name = known.get(api.name)
        if name is None:
            raise ProbeError(Reason.NOT_FOUND, f"no REST API has the name or id {api.name}")
        query = _metrics("AWS/ApiGateway", window, ApiName=name)
        return [await _count(REJECTED, api.name, ctx, [query("4XXError")], [query("Count")], exists=True)]

    return Group(apis, read, (REJECTED,))


async def _api_names(ctx: ProbeContext) -> dict[str, str]:
    """Name by name and by id."""
    names: dict[str, str] = {}
    async for page in ctx.aws.pages("apigateway", "GetRestApis"):
        for api in page.get("items", ()):
            names[api["id"]] = names[api["name"]] = api["name"]
    return names
