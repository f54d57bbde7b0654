"""How much of their memory Lambda functions use, from the REPORT lines of their logs: too little is money for nothing.

`used` is the most memory that any invocation of the last `window` used over the function's memory size, 0 to 1, per
function; absent below `minimum` invocations, because few prove nothing. The detail says the numbers and the size that
would do: a quarter above the most that was used, in steps of 64 MB. CPU comes with memory, so a smaller function may
run longer: compare the duration before and after. `runs` counts the invocations.

One Logs Insights query over all functions per run. A function that logs to a group of another name needs `log_groups`.
Source: Lambda developer guide, "Using CloudWatch Logs with Lambda" (REPORT line); CloudWatch Logs user guide,
"Supported logs and discovered fields" (@maxMemoryUsed and @memorySize, in bytes).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import timedelta

from pydantic import Field

from checks.insights import insights
from checks.reading import absent, find_any, number, observe, unknown
from monitor.plugin import (
    Bound,
    Check,
    Duration,
    Missing,
    Observation,
    Params,
    Permission,
    ProbeContext,
    ProbeError,
    ResourceKind,
    Selector,
    Signal,
    SignalSpec,
    discovery,
    need,
)

USED = Signal("used", "ratio", "Most memory used over the function's size, 0 to 1.", Missing.HOLD, "window")
RUNS = Signal("runs", "invocations", "Invocations within `window`.", Missing.ZERO, "window")
SIGNALS = (USED, RUNS)

_QUERY = (
    'filter @type = "REPORT" | stats max(@maxMemoryUsed) as most, max(@memorySize) as size, count(*) as runs by @log'
)
_STEP, _SMALLEST = 64, 128


class MemoryUse(Params):
    """Which functions, over which time."""

    lambda_functions: Selector = Field(description="Functions by name, ARN, glob or tags; at most 50.")
    log_groups: Mapping[str, str] = Field(
        default_factory=dict, description="Log groups by function, where they are not /aws/lambda/FUNCTION."
    )
    window: Duration = Field(timedelta(days=1), description="Invocations within it count.")
    minimum: int = Field(20, ge=1, description="Fewer invocations than this say nothing.")
    wait: Duration = Field(timedelta(seconds=15), description="How long the query may run; shorter than `timeout`.")


async def probe(params: MemoryUse, ctx: ProbeContext) -> Sequence[Observation]:
    """One query; a function without a REPORT line did not run."""
    functions = await find_any(ctx, ResourceKind.FUNCTION, params.lambda_functions)
    groups = {params.log_groups.get(one.name, f"/aws/lambda/{one.name}"): one.name for one in functions}
    if not groups:
        return []
    try:
        rows = await insights(list(groups), _QUERY, params.window, params.wait, ctx)
        # @log is ACCOUNT:GROUP.
        found = {row.get("@log", "").rpartition(":")[2]: row for row in rows}
        return [one for group, name in groups.items() for one in _of(name, found.get(group), params, ctx)]
    except ProbeError as error:
        return [one for name in groups.values() for one in unknown(SIGNALS, name, error)]


def _of(name: str, row: Mapping[str, str] | None, params: MemoryUse, ctx: ProbeContext) -> list[Observation]:
    runs = 0.0 if row is None else number(row.get("runs"), "invocations")
    counted = observe(RUNS, name, runs, ctx.now)
    if row is None or runs < params.minimum:
        return [absent(USED, name, f"{runs:g} invocations prove nothing", exists=True), counted]
    most, size = (number(row.get(field), field) for field in ("most", "size"))
    detail = f"{_mb(most)} of {_mb(size)} MB at most in {runs:g} invocations; {_fitting(most)} MB would do"
    return [observe(USED, name, most / size, ctx.now, detail=detail), counted]


def _mb(size: float) -> int:
    return round(size / 1e6)


def _fitting(most: float) -> int:
    return max(_SMALLEST, math.ceil(most / 1e6 * 1.25 / _STEP) * _STEP)


def needs(params: MemoryUse) -> list[Permission]:
    """For IAM: what one configuration asks."""
    names = params.lambda_functions.explicit
    groups = [params.log_groups.get(name, f"/aws/lambda/{name.rsplit(':', 1)[-1]}") for name in names]
    asked = need("logs:StartQuery", log_group=None if params.lambda_functions.discovers else groups)
    found = discovery(ResourceKind.FUNCTION, params.lambda_functions)
    return [*found, asked, need("logs:GetQueryResults", "logs:StopQuery")]


CHECK: Check[MemoryUse] = Check(
    kind="memory_use",
    summary="The most memory that functions used, over what they have.",
    params=MemoryUse,
    probe=probe,
    signals=SIGNALS,
    defaults={"used": SignalSpec(warning=Bound(above=0.85), critical=Bound(above=0.95), missing=Missing.HOLD)},
    permissions=(
        "logs:StartQuery",
        "logs:GetQueryResults",
        "logs:StopQuery",
        "lambda:ListFunctions",
        "tag:GetResources",
    ),
    cost="One Logs Insights query: $0.005 per GB scanned. Once in six hours is enough.",
    example="""\
memory:
  kind: memory_use
  interval: 6h
  lambda_functions: [ingest-handler, transform-handler]
  thresholds: {used: {warning: {below: 40%}}}
""",
    interval=timedelta(hours=6),
    selectors=("lambda_functions",),
    target_kind=ResourceKind.FUNCTION,
    needs=needs,
)
