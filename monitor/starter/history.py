"""What was normal: the highest values of the past, from CloudWatch, one series per resource and number."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from monitor.core.durations import format_duration
from monitor.plugin import MetricQuery, MetricSeries, ProbeError, Reads, Reason
from monitor.starter.inventory import Gap, Inventory, Kind, Thing

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
#: Below this a bound from the past would be a guess.
ENOUGH, ENOUGH_POINTS = timedelta(days=3), 24
#: From so many points on, a thousandth of them is a number.
_FOR_QUANTILE = 1000


@dataclass(frozen=True, slots=True)
class Range:
    """How a series ran: `highest` and the value that 99.9 % of its points stay below (None: too few points)."""

    highest: float
    usual: float | None
    points: int
    span: timedelta


@dataclass(frozen=True, slots=True)
class Past:
    """Ranges by (ARN, what); `length` is the history asked for; `why` says why a resource has none."""

    length: timedelta
    ranges: Mapping[tuple[str, str], Range]
    why: Mapping[str, str]

    def of(self, thing: Thing, what: str) -> Range | None:
        """The range of one number of a resource, if enough of it is known."""
        found = self.ranges.get((thing.arn, what))
        if found is None or found.span < min(ENOUGH, self.length / 2):
            return None
        return found if found.points >= min(ENOUGH_POINTS, self.length / HOUR / 4) else None

    def is_silent(self, thing: Thing, what: str) -> bool:
        """True if the history was read and holds nothing of it."""
        return thing.arn not in self.why and (thing.arn, what) not in self.ranges

    def missing(self, thing: Thing, what: str) -> str:
        """Why `of` has nothing, in words."""
        found = self.ranges.get((thing.arn, what))
        if thing.arn in self.why:
            return self.why[thing.arn]
        if found is None:
            return f"no data in {words(self.length)}"
        return f"only {words(found.span)} of history"


def words(span: timedelta) -> str:
    """`14 days`, `5 hours`, `20m`."""
    if span >= 2 * DAY:
        return f"{round(span / DAY)} days"
    return f"{round(span / HOUR)} hours" if span >= 2 * HOUR else format_duration(MINUTE * math.ceil(span / MINUTE))


def range_of(points: Sequence[tuple[datetime, float]], now: datetime) -> Range | None:
    """None without points."""
    if not points:
        return None
    values = sorted(value for _, value in points)
    usual = values[math.ceil(len(values) * 0.999) - 1] if len(values) >= _FOR_QUANTILE else None
    return Range(values[-1], usual, len(values), now - points[0][0])


async def read_past(aws: Reads, found: Inventory, things: Sequence[Thing], length: timedelta, now: datetime) -> Past:
    """The ranges of all these resources; one that can't be read has none, and the gap is noted. Reads only."""
    ranges: dict[tuple[str, str], Range] = {}
    why: dict[str, str] = {}

    async def of(thing: Thing, queries: Mapping[str, MetricQuery]) -> None:
        try:
            series = dict(zip(queries, await aws.metrics(list(queries.values())), strict=True))
        except ProbeError as error:
            denied = error.reason is Reason.DENIED
            told = "denied" if denied else f"{error.reason}: {error.detail}"
            found.gaps.add(Gap("history", "cloudwatch:GetMetricData", told, denied))
            why[thing.arn] = "history could not be read"
            return
        for what, given in _derived(thing, series).items():
            if (known := range_of(given, now)) is not None:
                ranges[thing.arn, what] = known

    async with asyncio.TaskGroup() as group:
        for thing in things:
            if thing.kind is Kind.JOB:
                group.create_task(_runs(aws, found, thing, (length, now), ranges), name="starter:history")
            elif queries := queries_of(thing, length):
                group.create_task(of(thing, queries), name="starter:history")
    return Past(length, ranges, why)


def queries_of(thing: Thing, length: timedelta) -> dict[str, MetricQuery]:
    """The metrics that a resource's bounds come from; by the hour, starts by the minute while AWS keeps it."""
    five = _kept(length, 5 * MINUTE)
    if thing.kind is Kind.QUEUE:
        ask = _Ask("AWS/SQS", ("QueueName", thing.name), length)
        return {
            "visible": ask.metric("ApproximateNumberOfMessagesVisible", "Maximum"),
            "oldest_age": ask.metric("ApproximateAgeOfOldestMessage", "Maximum"),
        }
    if thing.kind is Kind.MACHINE:
        ask = _Ask("AWS/States", ("StateMachineArn", thing.arn), length)
        counts = {"failed": "ExecutionsFailed", "timed_out": "ExecutionsTimedOut", "succeeded": "ExecutionsSucceeded"}
        return {
            "started": ask.metric("ExecutionsStarted", "Sum", _kept(length, MINUTE)),
            "duration": ask.metric("ExecutionTime", "Maximum"),
            **{what: ask.metric(name, "Sum") for what, name in counts.items()},
        }
    if thing.kind is Kind.FUNCTION:
        ask = _Ask("AWS/Lambda", ("FunctionName", thing.name), length)
        errors, calls = ask.metric("Errors", "Sum"), ask.metric("Invocations", "Sum")
        return {"errors": errors, "calls": calls, "throttles": ask.metric("Throttles", "Sum", five)}
    if thing.kind is Kind.TABLE:
        ask = _Ask("AWS/DynamoDB", ("TableName", thing.name), length)
        sides = {"read_throttles": "ReadThrottleEvents", "write_throttles": "WriteThrottleEvents"}
        return {what: ask.metric(name, "Sum", five) for what, name in sides.items()}
    if thing.kind is Kind.CLUSTER:
        ask = _Ask("AWS/Kafka", ("Cluster Name", thing.name), length)
        reads = sorted(set(thing.facts["reads"]))
        return {f"lag {group} {topic}": ask.lag(group, topic) for group, topic in reads}
    return {}


@dataclass(frozen=True, slots=True)
class _Ask:
    """Metrics of one resource."""

    namespace: str
    dimension: tuple[str, str]
    length: timedelta

    def metric(self, name: str, stat: str, period: timedelta = HOUR) -> MetricQuery:
        return MetricQuery(self.namespace, name, (self.dimension,), stat, period, max(1, self.length // period))

    def lag(self, group: str, topic: str) -> MetricQuery:
        dimensions = (self.dimension, ("Consumer Group", group), ("Topic", topic))
        return MetricQuery(self.namespace, "SumOffsetLag", dimensions, "Maximum", HOUR, max(1, self.length // HOUR))


def _kept(length: timedelta, wanted: timedelta) -> timedelta:
    """The wanted period or the finest that is kept: minutes for 15 days, 5 for 63 (CloudWatch user guide)."""
    if length <= 14 * DAY:
        return wanted
    return max(wanted, 5 * MINUTE) if length <= 62 * DAY else HOUR


def _derived(thing: Thing, series: Mapping[str, MetricSeries]) -> dict[str, Sequence[tuple[datetime, float]]]:
    """The numbers that are judged, from the metrics that were read."""
    points: dict[str, Sequence[tuple[datetime, float]]] = {what: one.points for what, one in series.items()}
    if thing.kind is Kind.MACHINE:
        per = series["started"].query.period / MINUTE
        started = [(at, value / per) for at, value in points["started"]]
        failed = _sum(points["failed"], points["timed_out"])
        ended = _sum(failed, points["succeeded"])
        duration = [(at, value / 1000) for at, value in points["duration"]]
        return {"started": started, "duration": duration, "failed": failed, "failure_rate": _ratio(failed, ended, 5)}
    if thing.kind is Kind.FUNCTION:
        shares = _ratio(points["errors"], points["calls"], 20)
        return {"throttles": points["throttles"], "error_rate": shares, "calls": points["calls"]}
    if thing.kind is Kind.TABLE:
        return {"throttles": _sum(points["read_throttles"], points["write_throttles"])}
    return points


def _sum(one: Sequence[tuple[datetime, float]], two: Sequence[tuple[datetime, float]]) -> list[tuple[datetime, float]]:
    total = dict(one)
    for at, value in two:
        total[at] = total.get(at, 0.0) + value
    return sorted(total.items())


def _ratio(
    part: Sequence[tuple[datetime, float]], whole: Sequence[tuple[datetime, float]], least: float
) -> list[tuple[datetime, float]]:
    """Shares of the hours in which there was enough to speak of a share."""
    parts = dict(part)
    return [(at, parts.get(at, 0.0) / value) for at, value in whole if value >= least]


async def _runs(
    aws: Reads, found: Inventory, job: Thing, window: tuple[timedelta, datetime], ranges: dict[tuple[str, str], Range]
) -> None:
    """A Glue job's runs that succeeded: how long they took. Needs glue:GetJobRuns; the newest 200 runs."""
    length, now = window
    try:
        reply: Mapping[str, Any] = await aws.call("glue", "GetJobRuns", JobName=job.name, MaxResults=200)
    except ProbeError as error:
        if error.reason is not Reason.NOT_FOUND:
            denied = error.reason is Reason.DENIED
            told = "denied" if denied else f"{error.reason}: {error.detail}"
            found.gaps.add(Gap("runs of Glue jobs", "glue:GetJobRuns", told, denied))
        return
    took = sorted(
        (run["StartedOn"], float(run["ExecutionTime"]))
        for run in reply.get("JobRuns") or ()
        if run.get("JobRunState") == "SUCCEEDED" and run.get("ExecutionTime") and run["StartedOn"] >= now - length
    )
    if took:
        known = range_of(took, now)
        assert known is not None
        # A run a day is enough to know how long it takes: a job is judged from three runs on.
        enough = ENOUGH_POINTS if len(took) >= 3 else len(took)
        ranges[job.arn, "duration"] = Range(known.highest, known.usual, enough, known.span)
