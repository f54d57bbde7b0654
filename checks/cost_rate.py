"""Dollars per hour that a pipeline is costing right now, from its usage and list prices: sees a runaway in minutes.

Per target and in `total`:

- a Standard state machine: executions started x `transitions_per_execution` at the price of a transition; starts are
  counted in the trailing 60 s as `execution_rate` does, or taken from CloudWatch (`source: cloudwatch`). An Express
  machine is priced by its requests alone, a lower bound, since its duration has no price without its memory;
- a Lambda function: Invocations, and Duration x memory size at its architecture's price per GB-second;
- a bucket: PutRequests, which exist only while the bucket has request metrics (`bucket_filter` names their filter).

This is an estimate without free tiers, discounts and whatever isn't named: storage, transfer, provisioned capacity.
`cost_anomaly` tells later what it really was. No datapoint means no usage, once the resource was seen. `total` is
unknown while any part is, since a partial sum would look cheap.

Default thresholds follow from the event-loop runbook: with 10 transitions per execution, 100 starts per minute are
$1.50 per hour, and the 200 that trip are $3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from pydantic import Field, field_validator, model_validator

from checks.executions import DISCOVERY, ExpressMachine, read_starts
from checks.reading import MINUTE, Group, absent, attempt, each_of, find_any, number, observe, sums, whole_minutes
from monitor.plugin import (
    USAGE,
    Bound,
    Check,
    Duration,
    MetricQuery,
    Missing,
    Observation,
    Params,
    Permission,
    ProbeContext,
    Resource,
    ResourceKind,
    Selector,
    Signal,
    SignalSpec,
    discovery,
    need,
)

PER_HOUR = Signal(
    "dollars_per_hour", "dollars/h", "List-price dollars per hour at the present rate.", Missing.ZERO, "window"
)
PER_DAY = Signal("per_day_projection", "dollars/day", "What a day costs if this rate stays.", Missing.ZERO, "window")
SIGNALS = (PER_HOUR, PER_DAY)

TOTAL = "total"
HOUR = timedelta(hours=1)


class CostRate(Params):
    """What is priced, and how."""

    state_machines: Selector | None = Field(None, description="State machines by name, ARN, glob or tag.")
    lambda_functions: Selector | None = Field(None, description="Lambda functions by name, ARN, glob or tag.")
    buckets: tuple[str, ...] = Field((), description="S3 buckets with request metrics, by name.")
    bucket_filter: str = Field("EntireBucket", description="Id of the buckets' request metrics filter.")
    transitions_per_execution: float = Field(10.0, gt=0, description="State transitions of a typical execution.")
    source: Literal["executions", "cloudwatch"] = Field("executions", description="Where starts are counted.")
    max_pages: int = Field(10, ge=1, le=100, description="Pages of 1,000 executions read per run and machine, at most.")
    window: Duration = Field(timedelta(minutes=3), description="Complete minutes of metrics that make the rate.")
    prices: Mapping[str, float] = Field(
        default_factory=dict, description="Dollars that replace list prices, such as {states.transition: 0.00002}."
    )

    @field_validator("prices")
    @classmethod
    def _known(cls, prices: Mapping[str, float]) -> Mapping[str, float]:
        strangers = sorted(set(prices) - set(USAGE))
        if strangers:
            raise ValueError(f"no price is called {strangers[0]!r}; there are {', '.join(sorted(USAGE))}")
        return prices

    @model_validator(mode="after")
    def _something(self) -> CostRate:
        if not (self.state_machines or self.lambda_functions or self.buckets):
            raise ValueError("give at least one of state_machines, lambda_functions and buckets")
        return self

    def price(self, name: str) -> float:
        """Dollars for one unit."""
        return self.prices.get(name, USAGE[name].dollars)


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket by name; nothing is asked of S3 itself."""

    name: str


async def probe(params: CostRate, ctx: ProbeContext) -> Sequence[Observation]:
    """Every part at once, each failing alone, and their total."""
    parts = await each_of([await _machines(params, ctx), await _functions(params, ctx), _buckets(params, ctx)])
    return [*parts, *_total(parts, ctx.now)] if parts else []


def _total(parts: Sequence[Observation], now: datetime) -> list[Observation]:
    seen = []
    for signal in SIGNALS:
        mine = [one for one in parts if one.signal == signal.name]
        failed = [one for one in mine if one.reason is not None]
        if failed:
            detail = f"{len(failed)} of {len(mine)} parts are unknown, {failed[0].target} for one"
            seen.append(Observation(signal.name, TOTAL, None, signal.unit, reason=failed[0].reason, detail=detail))
            continue
        dollars = sum(one.value or 0.0 for one in mine)
        # As of the oldest part: the sum was not true before all of them were.
        at = min((one.at for one in mine if one.at is not None), default=now)
        seen.append(observe(signal, TOTAL, dollars, at, lower_bound=any(one.lower_bound for one in mine)))
    return seen


def _priced(target: str, per_hour: float, at: datetime, *, lower_bound: bool = False) -> list[Observation]:
    return [
        observe(PER_HOUR, target, per_hour, at, lower_bound=lower_bound),
        observe(PER_DAY, target, per_hour * 24, at, lower_bound=lower_bound),
    ]


async def _used(
    params: CostRate,
    target: str,
    ctx: ProbeContext,
    priced: Sequence[tuple[MetricQuery, float]],
    *,
    exists: bool,
    lower_bound: bool = False,
) -> list[Observation]:
    """Metrics summed over the window at their prices per unit; absent if none has a datapoint."""
    found = await sums(ctx, [query for query, _ in priced])
    ends = [one[1] for one in found if one]
    if not ends:
        return [absent(signal, target, "no usage in the window", exists=exists) for signal in SIGNALS]
    dollars = sum(one[0] * price for one, (_, price) in zip(found, priced, strict=True) if one)
    hours = whole_minutes(params.window) * MINUTE / HOUR
    return _priced(target, dollars / hours, max(ends), lower_bound=lower_bound)


async def _machines(params: CostRate, ctx: ProbeContext) -> Group[Resource]:
    per_execution = params.transitions_per_execution * params.price("states.transition")

    async def read(machine: Resource) -> list[Observation]:
        query = MetricQuery(
            "AWS/States",
            "ExecutionsStarted",
            (("StateMachineArn", machine.arn),),
            points=whole_minutes(params.window),
        )
        if params.source == "cloudwatch":
            described = await ctx.aws.call("stepfunctions", "DescribeStateMachine", stateMachineArn=machine.arn)
            is_express = described.get("type") == "EXPRESS"
        else:
            starts = await attempt(read_starts(machine, params.max_pages, ctx))
            if isinstance(starts, ExpressMachine):
                is_express = True
            elif isinstance(starts, Exception):
                raise starts
            else:
                count = starts.in_last_minute(ctx.now)
                per_hour = count * (HOUR / MINUTE) * per_execution
                return _priced(machine.name, per_hour, ctx.now, lower_bound=not starts.is_whole)
        price = params.price("states.express_request") if is_express else per_execution
        return await _used(params, machine.name, ctx, [(query, price)], exists=True, lower_bound=is_express)

    return Group(await find_any(ctx, ResourceKind.STATE_MACHINE, params.state_machines), read, SIGNALS)


async def _functions(params: CostRate, ctx: ProbeContext) -> Group[Resource]:
    async def read(function: Resource) -> list[Observation]:
        configured = await ctx.aws.call("lambda", "GetFunctionConfiguration", FunctionName=function.name)
        gigabytes = number(configured.get("MemorySize"), f"the memory of {function.name}") / 1024
        is_arm = "arm64" in configured.get("Architectures", ())
        gb_second = params.price("lambda.gb_second_arm" if is_arm else "lambda.gb_second")
        own = (("FunctionName", function.name),)
        points = whole_minutes(params.window)
        priced = [
            (MetricQuery("AWS/Lambda", "Invocations", own, points=points), params.price("lambda.request")),
            (MetricQuery("AWS/Lambda", "Duration", own, points=points), gigabytes * gb_second / 1000),
        ]
        return await _used(params, function.name, ctx, priced, exists=True)

    return Group(await find_any(ctx, ResourceKind.FUNCTION, params.lambda_functions), read, SIGNALS)


def _buckets(params: CostRate, ctx: ProbeContext) -> Group[Bucket]:
    async def read(bucket: Bucket) -> list[Observation]:
        own = (("BucketName", bucket.name), ("FilterId", params.bucket_filter))
        query = MetricQuery("AWS/S3", "PutRequests", own, points=whole_minutes(params.window))
        # Silence may also mean that request metrics are off, so only a datapoint proves that they exist.
        return await _used(params, bucket.name, ctx, [(query, params.price("s3.put"))], exists=False)

    return Group([Bucket(name) for name in params.buckets], read, SIGNALS)


def needs(params: CostRate) -> list[Permission]:
    """For IAM: what one configuration asks."""
    machines, functions = params.state_machines, params.lambda_functions
    found = [*discovery(ResourceKind.STATE_MACHINE, machines), *discovery(ResourceKind.FUNCTION, functions)]
    if machines:
        listed = "states:DescribeStateMachine" if params.source == "cloudwatch" else "states:ListExecutions"
        found.append(need(listed, machine=machines))
    if functions:
        found.append(need("lambda:GetFunctionConfiguration", function=functions))
    return [*found, need("cloudwatch:GetMetricData")]


CHECK: Check[CostRate] = Check(
    kind="cost_rate",
    summary="Dollars per hour at the present rate of executions, invocations and uploads.",
    params=CostRate,
    probe=probe,
    signals=SIGNALS,
    defaults={
        "dollars_per_hour": SignalSpec(
            warning=Bound(above=1.5), critical=Bound(above=3, hold=timedelta(minutes=2)), missing=Missing.ZERO
        )
    },
    permissions=(
        "states:ListExecutions",
        "states:DescribeStateMachine",
        "lambda:GetFunctionConfiguration",
        "lambda:ListFunctions",
        "cloudwatch:GetMetricData",
        *DISCOVERY,
    ),
    cost="Per machine one ListExecutions (free), per function 2 metrics, per bucket 1 ($0.01 per 1,000).",
    example="""\
loop-cost:
  kind: cost_rate
  state_machines: etl-workflow
  lambda_functions: [ingest-handler, transform-handler]
  transitions_per_execution: 12
  thresholds:
    dollars_per_hour: {critical: {above: 3, for: 2m}}
""",
    selectors=("state_machines", "lambda_functions"),
    needs=needs,
)
