"""How long functions and executions take, against their own past at the same time of day.

`drift` is the `stat` (p95) of the last complete `window` over its median in the same window of the previous `days`
days: 1 is as usual, 2 twice as long. Loads follow the clock, so that 03:00 is only compared with 03:00, and a slow
hour never becomes its own baseline: the past ends a day before it. `duration` is the newer of the two in
seconds. A window with fewer than `minimum` samples has no drift, nor has a target with fewer than 3 past days to
compare with (both absent): a young function is not slow.

Lambda's Duration and Step Functions' ExecutionTime are in milliseconds. Percentiles of several periods can't be
combined, so the window is one CloudWatch period, on the clock: with 1h the answer is up to an hour old.

The runbooks give no number; the default is a warning above twice the usual time, which by itself trips nothing.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from pydantic import Field, field_validator, model_validator

from checks.executions import DISCOVERY
from checks.reading import MINUTE, Group, absent, each_of, find_any, observe
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
    Resource,
    ResourceKind,
    Selector,
    Signal,
    SignalSpec,
    discovery,
    need,
)

DRIFT = Signal("drift", "factor", "Duration over its usual value at this time of day; 1 is as usual.",
               Missing.UNKNOWN, "window")  # fmt: skip
DURATION = Signal("duration", "seconds", "The `stat` of the last complete window.", Missing.UNKNOWN, "window")
SIGNALS = (DRIFT, DURATION)

DAY = timedelta(days=1)

#: How late CloudWatch may publish what belongs to a period that is over.
LATE = timedelta(minutes=10)

#: Past windows without which there is no baseline.
LEAST_DAYS = 3


class DurationDrift(Params):
    """Whose durations, and what they are compared with."""

    lambda_functions: Selector | None = Field(None, description="Lambda functions by name, ARN, glob or tag.")
    state_machines: Selector | None = Field(None, description="State machines by name, ARN, glob or tag.")
    stat: str = Field("p95", pattern=r"^(Average|Maximum|p\d{1,2}(\.\d+)?)$", description="p95, p50, Average, ...")
    window: Duration = Field(timedelta(hours=1), description="5m to 6h, a divisor of the day.")
    days: int = Field(7, ge=LEAST_DAYS, le=14, description="Previous days that make the baseline.")
    minimum: int = Field(10, ge=1, description="Samples without which a window does not count, now or then.")

    @field_validator("window")
    @classmethod
    def _divides_the_day(cls, window: timedelta) -> timedelta:
        # Five minutes: the finest that CloudWatch keeps beyond 15 days; six hours: a day must stay a day apart.
        if not timedelta(minutes=5) <= window <= timedelta(hours=6) or DAY % window or window % (5 * MINUTE):
            raise ValueError("window is 5m to 6h, whole five minutes and a divisor of the day: 15m, 1h, 6h")
        return window

    @model_validator(mode="after")
    def _something(self) -> DurationDrift:
        if not (self.lambda_functions or self.state_machines):
            raise ValueError("give lambda_functions, state_machines or both")
        return self


async def probe(params: DurationDrift, ctx: ProbeContext) -> Sequence[Observation]:
    """Functions and machines at once, each failing alone."""

    async def function(resource: Resource) -> list[Observation]:
        return await _read("AWS/Lambda", "Duration", ("FunctionName", resource.name), resource, params, ctx)

    async def machine(resource: Resource) -> list[Observation]:
        return await _read("AWS/States", "ExecutionTime", ("StateMachineArn", resource.arn), resource, params, ctx)

    functions = await find_any(ctx, ResourceKind.FUNCTION, params.lambda_functions)
    machines = await find_any(ctx, ResourceKind.STATE_MACHINE, params.state_machines)
    return await each_of([Group(functions, function, SIGNALS), Group(machines, machine, SIGNALS)])


async def _read(
    namespace: str,
    metric: str,
    dimension: tuple[str, str],
    resource: Resource,
    params: DurationDrift,
    ctx: ProbeContext,
) -> list[Observation]:
    points = int(params.days * DAY / params.window) + 2
    queries = [
        MetricQuery(namespace, metric, (dimension,), stat, params.window, points)
        for stat in (params.stat, "SampleCount")
    ]
    durations, samples = await ctx.aws.metrics(queries)
    # A series without datapoints says nothing of whether the resource exists.
    newest = durations.last
    if newest is None or newest[0] <= ctx.now - params.window - LATE:
        return [absent(signal, resource.name, "nothing ended in the last window", exists=False) for signal in SIGNALS]
    end, duration = newest
    counts = dict(samples.points)
    if counts.get(end, 0) < params.minimum:
        told = f"only {counts.get(end, 0):g} samples in the last window"
        return [absent(signal, resource.name, told, exists=True) for signal in SIGNALS]
    seconds = observe(DURATION, resource.name, duration / 1000, end)
    past = _past(dict(durations.points), counts, end, params)
    usual = statistics.median(past) if len(past) >= LEAST_DAYS else 0.0
    if usual <= 0:
        told = f"{len(past)} comparable past days, {LEAST_DAYS} are needed"
        return [absent(DRIFT, resource.name, told, exists=True), seconds]
    told = f"{params.stat} {duration / 1000:.3g}s, usually {usual / 1000:.3g}s"
    return [observe(DRIFT, resource.name, duration / usual, end, detail=told), seconds]


def _past(
    durations: Mapping[datetime, float], counts: Mapping[datetime, float], end: datetime, params: DurationDrift
) -> list[float]:
    """The same window of each previous day, where it had enough samples."""
    ends = [end - day * DAY for day in range(1, params.days + 1)]
    return [durations[one] for one in ends if one in durations and counts.get(one, 0) >= params.minimum]


def needs(params: DurationDrift) -> list[Permission]:
    """For IAM: what one configuration asks."""
    found = discovery(ResourceKind.FUNCTION, params.lambda_functions)
    found += discovery(ResourceKind.STATE_MACHINE, params.state_machines)
    return [*found, need("cloudwatch:GetMetricData")]


CHECK: Check[DurationDrift] = Check(
    kind="duration_drift",
    summary="How much longer functions and executions take than usual at this time of day.",
    params=DurationDrift,
    probe=probe,
    signals=SIGNALS,
    defaults={"drift": SignalSpec(warning=Bound(above=2))},
    permissions=("cloudwatch:GetMetricData", "lambda:ListFunctions", *DISCOVERY),
    cost="Per target two statistics of one metric ($0.01 per 1,000), however many days they cover.",
    example="""\
slow-executions:
  kind: duration_drift
  interval: 15m
  state_machines: "jaunt-*"
  thresholds:
    drift: {warning: {above: 1.5}}
""",
    selectors=("lambda_functions", "state_machines"),
    interval=timedelta(minutes=15),
    needs=needs,
)
