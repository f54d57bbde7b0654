"""Scheduled cycles in which nothing ran: the hours a backfill has to make good.

`missing` counts the whole cycles of `look_back` without a run; its detail names them, oldest first, as
`2026-03-04T09:00Z/2026-03-04T10:00Z`. A cycle is judged `grace` after its end, so that a late run and CloudWatch's own
lateness are no gap. A run is

- an invocation of `function` within the cycle (AWS/Lambda Invocations), or
- an object of `objects`: under the cycle's own prefix where the prefix holds the cycle's date (then a backfill closes
  the gap), else one written within the cycle.

Cycles are counted in `timezone`: hours (and less) pass in real time; longer ones follow the local clock, so the day of
a clock change has one cycle of 23 or 25 hours. No datapoint at all means that no cycle ran, once the function was seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator

from checks.objects import Place, listing, recent
from checks.periods import DAY, HOUR, Period, cycles, finest, periods, zone_of
from checks.reading import observe, unknown
from monitor.plugin import (
    Bound,
    Check,
    Duration,
    Gap,
    MetricQuery,
    Observation,
    Params,
    Permission,
    ProbeContext,
    ProbeError,
    Signal,
    SignalSpec,
    need,
    spelled_gaps,
    target_name,
)

MISSING = Signal("missing", "cycles", "Whole cycles of `look_back` without a run.", window="look_back")

#: CloudWatch keeps five-minute sums for 63 days.
PERIOD = timedelta(minutes=5)


class MissingCycles(Params):
    """What runs, how often, by which clock."""

    function: str | None = Field(None, description="Lambda function (name or ARN) that every cycle invokes.")
    objects: Place | None = Field(None, description="Where every cycle writes: `{bucket, prefix, suffix}`.")
    every: Duration = Field(HOUR, description="Length of a cycle: what divides an hour, hours that divide a day, 1d.")
    timezone: str = Field("UTC", description="Zone by which cycles begin, and of the dates in the prefix.")
    look_back: Duration = Field(timedelta(hours=6), description="How far back whole cycles are looked at; at most 7d.")
    grace: Duration = Field(timedelta(minutes=15), description="How long after its end a cycle is judged.")
    max_pages: int = Field(10, ge=1, le=100, description="Pages of 1,000 objects read per cycle or period, at most.")
    target: str | None = Field(None, description="Name of the target; default: the function or the place.")

    @field_validator("timezone")
    @classmethod
    def _known(cls, name: str) -> str:
        return zone_of(name).key

    @field_validator("every")
    @classmethod
    def _divides(cls, every: timedelta) -> timedelta:
        whole = HOUR if every <= HOUR else DAY
        if every < PERIOD or whole % every or every % PERIOD:
            raise ValueError("cycles are 5m, 10m, 15m, 30m, 1h, 2h, 3h, 4h, 6h, 8h, 12h or 1d long")
        return every

    @model_validator(mode="after")
    def _one_source(self) -> MissingCycles:
        if (self.function is None) == (self.objects is None):
            raise ValueError("give one of function and objects")
        if not self.every <= self.look_back <= 7 * DAY:
            raise ValueError("look_back is at least one cycle and at most 7d")
        return self

    @property
    def name(self) -> str:
        """Of the target."""
        if self.target:
            return self.target
        return self.objects.name if self.objects else target_name(self.function or "")


async def probe(params: MissingCycles, ctx: ProbeContext) -> Sequence[Observation]:
    """The cycles that are over, and which of them saw a run."""
    zone = zone_of(params.timezone)
    end = ctx.now - params.grace
    # One cycle more, cut by the window's edge, so that look_back holds its full number of whole cycles.
    wanted = list(cycles(params.every, zone, end - params.look_back - params.every, end))
    wanted = [cycle for cycle in wanted if cycle.end > end - params.look_back]
    try:
        if params.objects is not None:
            served = await _by_objects(params, params.objects, zone, wanted, ctx)
        else:
            served = await _by_invocations(params, wanted, ctx)
    except ProbeError as error:
        return unknown([MISSING], params.name, error)
    gaps = [Gap(cycle.start, cycle.end) for cycle in wanted if cycle not in served]
    seen = observe(MISSING, params.name, len(gaps), ctx.now)
    return [replace(seen, detail=f"nothing ran in {spelled_gaps(gaps)}" if gaps else "")]


async def _by_invocations(params: MissingCycles, wanted: Sequence[Period], ctx: ProbeContext) -> set[Period]:
    name = target_name(params.function or "")
    # CloudWatch answers for functions that never existed, so existence is asked of Lambda.
    await ctx.aws.call("lambda", "GetFunctionConfiguration", FunctionName=params.function)
    points = int((ctx.now - wanted[0].start) / PERIOD) + 1 if wanted else 1
    query = MetricQuery("AWS/Lambda", "Invocations", (("FunctionName", name),), "Sum", PERIOD, points)
    series = (await ctx.aws.metrics([query]))[0]
    # A point is called by the end of its period.
    return _holding(wanted, [at - PERIOD for at, value in series.points if value > 0])


async def _by_objects(
    params: MissingCycles, place: Place, zone: ZoneInfo, wanted: Sequence[Period], ctx: ProbeContext
) -> set[Period]:
    if (finest(place.prefix), params.every) not in (("{hh}", HOUR), ("{dd}", DAY)):
        written = await recent(place, zone, params.look_back + params.every + params.grace, params.max_pages, ctx)
        return _holding(wanted, written.times)
    served = set()
    for cycle in wanted:
        prefix = periods(place.prefix, zone, cycle.start, timedelta(0))[0].text
        if (await listing(place, prefix, params.max_pages, ctx)).times:
            served.add(cycle)
    return served


def _holding(wanted: Sequence[Period], moments: Sequence[datetime]) -> set[Period]:
    return {cycle for cycle in wanted if any(cycle.start <= moment < cycle.end for moment in moments)}


def needs(params: MissingCycles) -> list[Permission]:
    """For IAM: what one configuration asks."""
    if params.objects:
        return [need("s3:ListBucket", bucket=params.objects.bucket)]
    return [need("lambda:GetFunctionConfiguration", function=params.function), need("cloudwatch:GetMetricData")]


CHECK: Check[MissingCycles] = Check(
    kind="missing_cycles",
    summary="Scheduled cycles (hourly, daily, by a named clock) in which nothing ran, with the windows named.",
    params=MissingCycles,
    probe=probe,
    signals=(MISSING,),
    defaults={"missing": SignalSpec(critical=Bound(above=0))},
    permissions=("lambda:GetFunctionConfiguration", "cloudwatch:GetMetricData", "s3:ListBucket"),
    cost="For a function one metric and one free call; for objects one ListObjectsV2 per cycle ($0.005 per 1,000).",
    example="""\
hourly-ingestion:
  kind: missing_cycles
  interval: 5m
  function: opendata-pulse-ingest
  every: 1h
  look_back: 6h
""",
    interval=timedelta(minutes=5),
    needs=needs,
)
