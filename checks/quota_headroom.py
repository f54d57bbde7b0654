"""How much of a limit is in use, before AWS refuses: `used` is usage over limit, 0 to 1, `limit` the limit itself.

- `lambda_concurrency`: the account's concurrent executions over its limit in this region (target
  `lambda-concurrency`); the share of a single function is `throttles`' concurrency_used;
- `open_executions`: open executions of Standard state machines over their limit (`open-executions`), from Step
  Functions' own OpenExecutionCount and OpenExecutionLimit; without the second the default of 1,000,000 counts;
- `lambda_timeouts`: a function's longest duration over its timeout: 1 means that an invocation ran into it;
- `quotas`: any quota for which Service Quotas publishes a usage metric. A quota on calls is per second or minute, its
  usage a sum: the busiest minute counts, spread evenly, so that bursts within a minute are not seen.

The highest value within `window` counts. No datapoint means that nothing was used, once the limit was read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from pydantic import Field, model_validator

from checks.reading import MINUTE, Bare, Group, absent, each_of, find_any, number, observe, whole_minutes
from monitor.plugin import (
    Bound,
    Check,
    Duration,
    MetricQuery,
    Missing,
    Observation,
    Params,
    Permission,
    ProbeContext,
    ProbeError,
    Reason,
    Resource,
    ResourceKind,
    Selector,
    Signal,
    SignalSpec,
    discovery,
    need,
)

USED = Signal("used", "ratio", "Usage over limit, 0 to 1.", Missing.ZERO, "window")
LIMIT = Signal("limit", "units", "The limit as it is now.")
SIGNALS = (USED, LIMIT)

CONCURRENCY, EXECUTIONS = "lambda-concurrency", "open-executions"

#: Step Functions service quotas: open executions per account and region, unless raised.
OPEN_EXECUTIONS = 1_000_000.0

#: Seconds of Service Quotas' period units; quotas per anything finer are not metered.
_UNITS = {"SECOND": 1, "MINUTE": 60, "HOUR": 3600, "DAY": 86_400, "WEEK": 604_800}


class Quota(Params):
    """A quota by its codes, as `aws service-quotas list-service-quotas` shows them."""

    service: str = Field(description="Service code, e.g. `lambda`, `states`, `dynamodb`.")
    code: str = Field(pattern=r"^L-[0-9A-F]{8}$", description="Quota code, e.g. `L-B99A9384`.")
    region: str | None = Field(None, description="Another region than the pipeline's.")


class QuotaHeadroom(Params):
    """Which limits."""

    lambda_concurrency: bool = Field(False, description="Concurrent executions of all functions of the account.")
    open_executions: bool = Field(False, description="Open executions of all Standard state machines of the account.")
    lambda_timeouts: Selector | None = Field(
        None, description="Functions whose duration is held against their timeout."
    )
    quotas: Mapping[str, Quota] = Field(default_factory=dict, description="Quotas by the names of their targets.")
    window: Duration = Field(timedelta(minutes=15), description="The highest usage within it counts.")

    @model_validator(mode="after")
    def _something(self) -> QuotaHeadroom:
        if not (self.lambda_concurrency or self.open_executions or self.lambda_timeouts or self.quotas):
            raise ValueError("give at least one of lambda_concurrency, open_executions, lambda_timeouts and quotas")
        return self


async def probe(params: QuotaHeadroom, ctx: ProbeContext) -> Sequence[Observation]:
    """Each limit and its usage; one that fails is unknown alone."""

    async def account_wide(limit: Bare) -> list[Observation]:
        return await (_concurrency if limit.name == CONCURRENCY else _executions)(params, ctx)

    async def function(resource: Resource) -> list[Observation]:
        return await _timeout(resource.name, params, ctx)

    async def quota(limit: Bare) -> list[Observation]:
        return await _quota(limit.name, params.quotas[limit.name], params, ctx)

    wide = [(CONCURRENCY, params.lambda_concurrency), (EXECUTIONS, params.open_executions)]
    functions = await find_any(ctx, ResourceKind.FUNCTION, params.lambda_timeouts)
    return await each_of(
        [
            Group([Bare(name) for name, is_wanted in wide if is_wanted], account_wide, SIGNALS),
            Group(functions, function, SIGNALS),
            Group([Bare(name) for name in params.quotas], quota, SIGNALS),
        ]
    )


async def _highest(
    ctx: ProbeContext, target: str, query: MetricQuery, limit: float, *, per: float = 1.0
) -> list[Observation]:
    """The highest point of the series over limit x per."""
    bound = observe(LIMIT, target, limit, ctx.now)
    (series,) = await ctx.aws.metrics([query])
    if limit <= 0:
        return [observe(USED, target, 1.0, ctx.now, detail="the limit is 0: nothing may run"), bound]
    if series.last is None:
        return [absent(USED, target, "no usage in the window", exists=True), bound]
    at, most = max(series.points, key=lambda point: point[1])
    told = f"{most / per:.4g} of {limit:g} at {at:%H:%M}Z"
    return [observe(USED, target, most / (limit * per), series.last[0], detail=told), bound]


def _query(params: QuotaHeadroom, namespace: str, metric: str, stat: str = "Maximum", **dimensions: str) -> MetricQuery:
    return MetricQuery(namespace, metric, tuple(dimensions.items()), stat, MINUTE, whole_minutes(params.window))


async def _concurrency(params: QuotaHeadroom, ctx: ProbeContext) -> list[Observation]:
    account = await ctx.aws.call("lambda", "GetAccountSettings")
    limit = number(account.get("AccountLimit", {}).get("ConcurrentExecutions"), "the account's concurrency limit")
    return await _highest(ctx, CONCURRENCY, _query(params, "AWS/Lambda", "ConcurrentExecutions"), limit)


async def _executions(params: QuotaHeadroom, ctx: ProbeContext) -> list[Observation]:
    (told,) = await ctx.aws.metrics([_query(params, "AWS/States", "OpenExecutionLimit")])
    limit = told.last[1] if told.last else OPEN_EXECUTIONS
    return await _highest(ctx, EXECUTIONS, _query(params, "AWS/States", "OpenExecutionCount"), limit)


async def _timeout(function: str, params: QuotaHeadroom, ctx: ProbeContext) -> list[Observation]:
    found = await ctx.aws.call("lambda", "GetFunctionConfiguration", FunctionName=function)
    limit = number(found.get("Timeout"), f"the timeout of {function}")
    # Duration is in milliseconds, the timeout in seconds.
    return await _highest(
        ctx, function, _query(params, "AWS/Lambda", "Duration", FunctionName=function), limit, per=1000.0
    )


async def _quota(target: str, quota: Quota, params: QuotaHeadroom, ctx: ProbeContext) -> list[Observation]:
    found = await _applied(quota, ctx)
    usage = found.get("UsageMetric") or {}
    if not usage.get("MetricName"):
        raise ProbeError(Reason.INVALID, f"Service Quotas publishes no usage of {quota.service} {quota.code}")
    limit = number(found.get("Value"), f"the value of {quota.service} {quota.code}")
    span = found.get("Period") or {}
    seconds = int(span.get("PeriodValue") or 0) * _UNITS.get(str(span.get("PeriodUnit")), 0)
    stat = str(usage.get("MetricStatisticRecommendation") or ("Sum" if seconds else "Maximum"))
    # A quota per second is held against the sums of minutes, one per hour against those of hours.
    period = timedelta(seconds=max(60, seconds - seconds % 60))
    query = MetricQuery(
        str(usage["MetricNamespace"]),
        str(usage["MetricName"]),
        tuple((usage.get("MetricDimensions") or {}).items()),
        stat,
        period,
        max(1, int(params.window / period)),
        quota.region,
    )
    per = period.total_seconds() / seconds if seconds and stat == "Sum" else 1.0
    return await _highest(ctx, target, query, limit, per=per)


async def _applied(quota: Quota, ctx: ProbeContext) -> Mapping[str, Any]:
    """The value that holds for the account, or AWS's default where none was ever applied."""
    asked = {"ServiceCode": quota.service, "QuotaCode": quota.code}
    try:
        reply = await ctx.aws.call("service-quotas", "GetServiceQuota", region=quota.region, **asked)
    except ProbeError as error:
        if error.reason is not Reason.NOT_FOUND:
            raise
        reply = await ctx.aws.call("service-quotas", "GetAWSDefaultServiceQuota", region=quota.region, **asked)
    found: Mapping[str, Any] = reply.get("Quota") or {}
    return found


class _Kind(Check[QuotaHeadroom]):
    """Targets that are no resources."""

    def targets(self, params: QuotaHeadroom) -> tuple[str, ...]:
        """Functions by name, limits by theirs."""
        wide = [(CONCURRENCY, params.lambda_concurrency), (EXECUTIONS, params.open_executions)]
        return (*(name for name, is_wanted in wide if is_wanted), *super().targets(params), *params.quotas)


def needs(params: QuotaHeadroom) -> list[Permission]:
    """For IAM: what one configuration asks."""
    found = [need("cloudwatch:GetMetricData"), *discovery(ResourceKind.FUNCTION, params.lambda_timeouts)]
    if params.lambda_concurrency:
        found.append(need("lambda:GetAccountSettings"))
    if params.lambda_timeouts:
        found.append(need("lambda:GetFunctionConfiguration", function=params.lambda_timeouts))
    for one in params.quotas.values():
        found.append(need("servicequotas:GetServiceQuota", region=one.region, quota=f"{one.service}/{one.code}"))
        found.append(need("servicequotas:GetAWSDefaultServiceQuota", region=one.region))
        found.append(need("cloudwatch:GetMetricData", region=one.region))
    return found


CHECK: Check[QuotaHeadroom] = _Kind(
    kind="quota_headroom",
    summary="Usage over limit: Lambda concurrency, open executions, function timeouts, any metered service quota.",
    params=QuotaHeadroom,
    probe=probe,
    signals=SIGNALS,
    defaults={"used": SignalSpec(warning=Bound(above=0.8), critical=Bound(above=0.95), missing=Missing.ZERO)},
    permissions=(
        "cloudwatch:GetMetricData",
        "lambda:GetAccountSettings",
        "lambda:GetFunctionConfiguration",
        "lambda:ListFunctions",
        "tag:GetResources",
        "servicequotas:GetServiceQuota",
        "servicequotas:GetAWSDefaultServiceQuota",
    ),
    cost="Per limit one metric ($0.01 per 1,000) and one free call; Service Quotas allows 5 calls a second.",
    example="""\
headroom:
  kind: quota_headroom
  interval: 5m
  lambda_concurrency: true
  open_executions: true
  lambda_timeouts: "etl-*"
""",
    selectors=("lambda_timeouts",),
    interval=timedelta(minutes=5),
    needs=needs,
)
