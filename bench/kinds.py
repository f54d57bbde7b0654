"""Kinds that only the benchmarks know: canned observations, plain metrics, one read of each of many services."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from pydantic import Field

from monitor.plugin import Check, MetricQuery, Observation, Params, ProbeContext, Signal, SignalSpec

SIGNALS = tuple(Signal(f"s{number}", "things", "A canned number.") for number in range(1, 6))

#: Reads without parameters that answer for an account.
SERVICES = (
    ("sqs", "ListQueues"), ("stepfunctions", "ListStateMachines"), ("lambda", "ListFunctions"),
    ("events", "ListRules"), ("dynamodb", "ListTables"), ("logs", "DescribeLogGroups"), ("ssm", "DescribeParameters"),
    ("cloudwatch", "ListMetrics"), ("glue", "GetJobs"), ("kinesis", "ListStreams"), ("sts", "GetCallerIdentity"),
    ("secretsmanager", "ListSecrets"),
)  # fmt: skip


class Canned(Params):
    """How many targets."""

    prefix: str = Field("target", description="How targets are called.")
    targets: int = Field(1, ge=1, description="How many.")
    signals: int = Field(1, ge=1, le=5, description="Signals of each.")


async def canned(params: Canned, ctx: ProbeContext) -> Sequence[Observation]:
    """Numbers that change from run to run, without I/O."""
    now = ctx.now
    base = now.timestamp() % 7
    return [
        Observation(signal.name, f"{params.prefix}-{number:05}", base + number % 3, signal.unit, now, exists=True)
        for number in range(params.targets)
        for signal in SIGNALS[: params.signals]
    ]


class Metrics(Params):
    """Which metrics."""

    first: int = Field(0, description="Number of the first.")
    count: int = Field(100, ge=1, description="How many.")
    mixed: bool = Field(False, description="Every other one has a period of five minutes.")


def queries(first: int, count: int, *, mixed: bool = False) -> list[MetricQuery]:
    """Metrics of three namespaces, one dimension each, the newest point of each."""
    spaces = (("AWS/Lambda", "FunctionName"), ("AWS/SQS", "QueueName"), ("AWS/States", "StateMachineArn"))
    found = []
    for number in range(first, first + count):
        space, dimension = spaces[number % 3]
        period = timedelta(minutes=5 if mixed and number % 2 else 1)
        found.append(MetricQuery(space, "Canned", ((dimension, f"resource-{number:05}"),), "Sum", period, points=1))
    return found


async def metrics(params: Metrics, ctx: ProbeContext) -> Sequence[Observation]:
    """The newest point of each."""
    asked = queries(params.first, params.count, mixed=params.mixed)
    series = await ctx.aws.metrics(asked)
    return [
        Observation(
            "s1", query.dimensions[0][1], one.last[1] if one.last else None, "", one.last[0] if one.last else None
        )
        for query, one in zip(asked, series, strict=True)
    ]


async def touch(params: Params, ctx: ProbeContext) -> Sequence[Observation]:
    """One read per service, so that a client of each lives."""
    for service, operation in SERVICES:
        await ctx.aws.call(service, operation)
    return [Observation("s1", "services", float(len(SERVICES)), "services", ctx.now)]


def _kind(name: str, params: type[Params], probe: object, signals: tuple[Signal, ...], summary: str) -> Check[Params]:
    return Check(
        kind=name, summary=summary, params=params, probe=probe, signals=signals,  # type: ignore[arg-type]
        defaults={"s1": SignalSpec()}, permissions=(), cost="Nothing.", example=f"x:\n  kind: {name}\n",
    )  # fmt: skip


KINDS = {
    "canned": _kind("canned", Canned, canned, SIGNALS, "Canned numbers."),
    "canned_metrics": _kind("canned_metrics", Metrics, metrics, SIGNALS[:1], "Plain metrics."),
    "touch": _kind("touch", Params, touch, SIGNALS[:1], "A client per service."),
}
