"""How many executions of a state machine start per minute, and how fast that number grows.

`started_per_minute` counts executions of any status whose start lies in the 60 s before the run, read with
ListExecutions newest first until an older one appears: a loop is seen within one interval, minutes before CloudWatch
shows it. Where `max_pages` ends the reading first, the count is a lower bound. `growth` is the factor per minute
within what those pages cover, 60 to 120 s: (starts in the newer half / starts in the older half), raised to one
minute; 1 means steady, and fewer than 10 starts always count as steady, because such ratios are noise.

`started_cloudwatch` is ExecutionsStarted of the newest complete minute, a cross-check that never changes the level of
`started_per_minute`. Express machines have no list of executions: there the metric is the source of all signals, some
minutes late; no datapoint means no starts, once the machine was seen.

The default thresholds are the event-loop runbook's: below 100 per minute is normal, above 200 for 2 minutes is a loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from pydantic import Field

from checks.executions import DISCOVERY, LOOK_BACK, ExpressMachine, Starts, read_starts
from checks.reading import MINUTE, absent, attempt, each, observe, unknown
from monitor.plugin import (
    Bound,
    Check,
    Clear,
    MetricQuery,
    MetricSeries,
    Missing,
    Observation,
    Params,
    Past,
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

STARTED = Signal(
    "started_per_minute",
    "executions/min",
    "Executions started in the trailing 60 s.",
    Missing.ZERO,
    MINUTE,
)
GROWTH = Signal(
    "growth",
    "factor/min",
    "How many times more executions start than a minute before; 1 is steady.",
    window=LOOK_BACK,
)
CLOUDWATCH = Signal(
    "started_cloudwatch", "executions/min", "ExecutionsStarted of the newest complete minute.", Missing.ZERO, MINUTE
)
SIGNALS = (STARTED, GROWTH, CLOUDWATCH)

#: Growth calls fewer starts than this steady.
GROWTH_MINIMUM = 10


class ExecutionRate(Params):
    """Which machines, and how far to read."""

    state_machines: Selector = Field(description="State machines by name, ARN, glob or tag.")
    source: Literal["auto", "executions", "cloudwatch"] = Field(
        "auto",
        description="Where starts are counted. auto: the list of executions, and the metric for Express machines.",
    )
    max_pages: int = Field(10, ge=1, le=100, description="Pages of 1,000 executions read per run and machine, at most.")
    cross_check: bool = Field(True, description="Also read CloudWatch's own count (one metric per run and machine).")


async def probe(params: ExecutionRate, ctx: ProbeContext) -> Sequence[Observation]:
    """Each machine by its list of executions or, where AWS keeps none, by its metric."""

    async def read(machine: Resource) -> list[Observation]:
        if params.source == "cloudwatch":
            return await _by_metric(machine, ctx)
        starts = await attempt(read_starts(machine, params.max_pages, ctx))
        if isinstance(starts, ExpressMachine) and params.source == "auto":
            return await _by_metric(machine, ctx)
        if isinstance(starts, ProbeError):
            if starts.reason is Reason.NOT_FOUND:
                raise starts
            seen = unknown((STARTED, GROWTH), machine.name, starts)
        else:
            seen = _by_list(machine, starts, ctx.now)
        if params.cross_check:
            series = await attempt(_read_metric(machine, ctx))
            seen += _cross_check(machine, series, exists=isinstance(starts, Starts))
        return seen

    machines = await ctx.aws.find(ResourceKind.STATE_MACHINE, params.state_machines)
    signals = SIGNALS if params.cross_check or params.source == "cloudwatch" else (STARTED, GROWTH)
    return await each(machines, read, signals)


def _by_list(machine: Resource, starts: Starts, now: datetime) -> list[Observation]:
    return [
        observe(STARTED, machine.name, starts.in_last_minute(now), now, lower_bound=not starts.is_whole),
        observe(GROWTH, machine.name, growth(starts, now), now),
    ]


def growth(starts: Starts, now: datetime) -> float:
    """Factor per minute between the halves of what was covered; 1.0 below GROWTH_MINIMUM starts."""
    half = starts.covered / 2
    newer = sum(time > now - half for time in starts.at)
    older = sum(now - starts.covered < time <= now - half for time in starts.at)
    return factor_per_minute(newer, older, half)


def factor_per_minute(newer: float, older: float, half: timedelta) -> float:
    """(newer / older) raised to one minute; an empty older half counts as one start."""
    if newer + older < GROWTH_MINIMUM or not half:
        return 1.0
    # A page cap can leave a second or so: extrapolated to a minute that is noise, and the power would overflow.
    exponent = min(MINUTE / half, 6.0)
    return float((newer / max(1.0, older)) ** exponent)


async def _read_metric(machine: Resource, ctx: ProbeContext) -> MetricSeries:
    query = MetricQuery("AWS/States", "ExecutionsStarted", (("StateMachineArn", machine.arn),), "Sum", MINUTE, points=3)
    return (await ctx.aws.metrics([query]))[0]


def _cross_check(machine: Resource, series: MetricSeries | ProbeError, *, exists: bool) -> list[Observation]:
    if isinstance(series, ProbeError):
        return unknown([CLOUDWATCH], machine.name, series)
    if series.last is None:
        return [absent(CLOUDWATCH, machine.name, "no datapoint in the last 3 minutes", exists=exists)]
    return [observe(CLOUDWATCH, machine.name, series.last[1], series.last[0])]


async def _by_metric(machine: Resource, ctx: ProbeContext) -> list[Observation]:
    # CloudWatch answers for machines that never existed, so existence is asked of Step Functions.
    described = await attempt(ctx.aws.call("stepfunctions", "DescribeStateMachine", stateMachineArn=machine.arn))
    if isinstance(described, ProbeError) and described.reason is Reason.NOT_FOUND:
        raise described
    series = await _read_metric(machine, ctx)
    if series.last is None:
        exists = not isinstance(described, ProbeError)
        return [absent(signal, machine.name, "no datapoint in the last 3 minutes", exists=exists) for signal in SIGNALS]
    end, newest = series.last
    before = dict(series.points).get(end - MINUTE, 0.0)
    return [
        observe(STARTED, machine.name, newest, end),
        observe(GROWTH, machine.name, factor_per_minute(newest, before, MINUTE), end),
        observe(CLOUDWATCH, machine.name, newest, end),
    ]


def needs(params: ExecutionRate) -> list[Permission]:
    """For IAM: what one configuration asks."""
    machines, found = params.state_machines, discovery(ResourceKind.STATE_MACHINE, params.state_machines)
    if params.source != "cloudwatch":
        found.append(need("states:ListExecutions", machine=machines))
    if params.source != "executions":  # an Express machine is asked for by its metric
        found.append(need("states:DescribeStateMachine", machine=machines))
    if params.source != "executions" or params.cross_check:
        found.append(need("cloudwatch:GetMetricData"))
    return found


async def history(params: ExecutionRate, ctx: ProbeContext) -> Sequence[Past]:
    """ExecutionsStarted of whole minutes, for a replay: AWS keeps no list of starts by their time."""
    if params.source == "cloudwatch":
        return []  # the probe itself reads metrics then
    machines = await ctx.aws.find(ResourceKind.STATE_MACHINE, params.state_machines)
    notes = {
        STARTED: "ExecutionsStarted of whole minutes; the daemon lists the executions of the last 60 s",
        CLOUDWATCH: "",
    }
    return [
        Past(
            signal.name,
            machine.name,
            MetricQuery(
                "AWS/States", "ExecutionsStarted", (("StateMachineArn", machine.arn),), "Sum", MINUTE, points=3
            ),
            note,
        )
        for machine in machines
        for signal, note in notes.items()
        if signal is STARTED or params.cross_check
    ]


CHECK: Check[ExecutionRate] = Check(
    kind="execution_rate",
    summary="Executions started per minute, their growth, and CloudWatch's own count.",
    params=ExecutionRate,
    probe=probe,
    signals=SIGNALS,
    defaults={
        "started_per_minute": SignalSpec(
            warning=Bound(above=100),
            critical=Bound(above=200, hold=timedelta(minutes=2), clear=Clear(below=100, hold=timedelta(minutes=5))),
            missing=Missing.ZERO,
        ),
        "growth": SignalSpec(warning=Bound(above=2, hold=timedelta(minutes=2))),
    },
    permissions=(
        "states:ListExecutions",
        "states:DescribeStateMachine",
        *DISCOVERY,
        "cloudwatch:GetMetricData",
    ),
    cost="Per machine one ListExecutions (more only above 1,000 starts per minute) and one metric ($0.01 per 1,000).",
    example="""\
execution-rate:
  kind: execution_rate
  interval: 10s
  state_machines: etl-workflow
  thresholds:
    started_per_minute:
      warning: {above: 100}
      critical: {above: 200, for: 2m, clear: {below: 100, for: 5m}}
""",
    target_kind=ResourceKind.STATE_MACHINE,
    selectors=("state_machines",),
    interval=timedelta(seconds=10),
    needs=needs,
    history=history,
)
