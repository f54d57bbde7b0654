"""Messages in SQS queues, dead-letter queues among them.

`visible`, `in_flight` and `delayed` come from one GetQueueAttributes per queue: a direct read, cheaper than the three
metrics and without their lag (SQS calls the counts approximate; they settle about a minute after producers stop).
`oldest_age` is CloudWatch's ApproximateAgeOfOldestMessage, asked for only while the queue holds messages: an empty
queue has age 0. A full queue without a datapoint is an absent point, never 0.

The default threshold is the dead-letter runbook's: more than 10 visible messages for 5 minutes. A work queue that
normally holds more needs its own `visible` threshold, best in a check of its own; `oldest_age` has no default, because
messages in a dead-letter queue grow old by design.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta

from pydantic import Field

from checks.reading import METRICS_AT_ONCE, MINUTE, absent, each, number, observe
from monitor.plugin import (
    Bound,
    Check,
    MetricQuery,
    Observation,
    Params,
    Past,
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

VISIBLE = Signal("visible", "messages", "Messages that a consumer could receive now.")
IN_FLIGHT = Signal("in_flight", "messages", "Messages received and neither deleted nor returned yet.")
DELAYED = Signal("delayed", "messages", "Messages that become visible only later.")
OLDEST_AGE = Signal("oldest_age", "seconds", "Age of the oldest message that was not deleted; 0 for an empty queue.")
SIGNALS = (VISIBLE, IN_FLIGHT, DELAYED, OLDEST_AGE)

_COUNTS = {
    VISIBLE: "ApproximateNumberOfMessages",
    IN_FLIGHT: "ApproximateNumberOfMessagesNotVisible",
    DELAYED: "ApproximateNumberOfMessagesDelayed",
}


_HIGHEST = "the highest of each minute by CloudWatch; the daemon reads the moment's count"
_METRICS = {
    VISIBLE: ("ApproximateNumberOfMessagesVisible", _HIGHEST),
    IN_FLIGHT: ("ApproximateNumberOfMessagesNotVisible", _HIGHEST),
    DELAYED: ("ApproximateNumberOfMessagesDelayed", _HIGHEST),
    OLDEST_AGE: ("ApproximateAgeOfOldestMessage", "the same metric, also while the queue is empty"),
}


class QueueDepth(Params):
    """Which queues."""

    queues: Selector = Field(description="Queues by name, URL, ARN, glob or tag; a dead-letter queue is named alike.")
    include_dlqs: bool = Field(
        False, description="Also observe the dead-letter queues that the selected queues' redrive policies name."
    )


async def probe(params: QueueDepth, ctx: ProbeContext) -> Sequence[Observation]:
    """Each selected queue, and with `include_dlqs` each dead-letter queue once."""
    dlqs: set[str] = set()
    holding: list[Resource] = []

    async def read(queue: Resource) -> list[Observation]:
        attributes = await _attributes(queue, ctx)
        if "RedrivePolicy" in attributes:
            dlqs.add(json.loads(attributes["RedrivePolicy"])["deadLetterTargetArn"])
        counts = {signal: number(attributes.get(name), f"{queue.name}.{name}") for signal, name in _COUNTS.items()}
        seen = [observe(signal, queue.name, count, ctx.now) for signal, count in counts.items()]
        if any(counts.values()):
            holding.append(queue)
            return seen
        return [*seen, observe(OLDEST_AGE, queue.name, 0.0, ctx.now)]

    async def age(queue: Resource) -> list[Observation]:
        return [await _oldest(queue, ctx)]

    queues = await ctx.aws.find(ResourceKind.QUEUE, params.queues)
    seen = await each(queues, read, SIGNALS)
    if params.include_dlqs and dlqs:
        named = {queue.name for queue in queues}
        found = await ctx.aws.find(ResourceKind.QUEUE, Selector(names=tuple(sorted(dlqs))))
        seen += await each([queue for queue in found if queue.name not in named], read, SIGNALS)
    # After the counts, all ages together: a thousand busy queues are two GetMetricData calls.
    return seen + await each(holding, age, [OLDEST_AGE], METRICS_AT_ONCE)


async def _attributes(queue: Resource, ctx: ProbeContext) -> Mapping[str, str]:
    url = queue.facts.get("url")
    if url is None:
        url = str((await ctx.aws.call("sqs", "GetQueueUrl", QueueName=queue.name))["QueueUrl"])
    wanted = [*_COUNTS.values(), "RedrivePolicy"]
    reply = await ctx.aws.call("sqs", "GetQueueAttributes", QueueUrl=url, AttributeNames=wanted)
    return dict(reply.get("Attributes", {}))


async def _oldest(queue: Resource, ctx: ProbeContext) -> Observation:
    # Five periods back: SQS publishes late, and the newest point is the one that counts.
    query = MetricQuery(
        "AWS/SQS", "ApproximateAgeOfOldestMessage", (("QueueName", queue.name),), "Maximum", MINUTE, points=5
    )
    last = (await ctx.aws.metrics([query]))[0].last
    if last is None:
        return absent(OLDEST_AGE, queue.name, "no datapoint in the last 5 minutes", exists=True)
    return observe(OLDEST_AGE, queue.name, last[1], last[0])


def needs(params: QueueDepth) -> list[Permission]:
    """For IAM: what one configuration asks."""
    # Which queues their dead letters go to is known only to AWS.
    queues = None if params.include_dlqs else params.queues
    found = discovery(ResourceKind.QUEUE, params.queues)
    return [*found, need("sqs:GetQueueAttributes", queue=queues), need("cloudwatch:GetMetricData")]


async def history(params: QueueDepth, ctx: ProbeContext) -> Sequence[Past]:
    """SQS's own metrics, for a replay: a minute's highest count, where the probe reads the moment's."""
    queues = await ctx.aws.find(ResourceKind.QUEUE, params.queues)
    if params.include_dlqs:
        dlqs = {str(arn) for queue in queues if (arn := await _dlq_of(queue, ctx))} - {queue.arn for queue in queues}
        queues += await ctx.aws.find(ResourceKind.QUEUE, Selector(names=tuple(sorted(dlqs)))) if dlqs else []
    return [
        Past(
            signal.name,
            queue.name,
            MetricQuery("AWS/SQS", metric, (("QueueName", queue.name),), "Maximum", MINUTE, points=5),
            note,
        )
        for queue in queues
        for signal, (metric, note) in _METRICS.items()
    ]


async def _dlq_of(queue: Resource, ctx: ProbeContext) -> str | None:
    policy = (await _attributes(queue, ctx)).get("RedrivePolicy")
    return str(json.loads(policy)["deadLetterTargetArn"]) if policy else None


CHECK: Check[QueueDepth] = Check(
    kind="queue_depth",
    summary="How many messages queues hold and how old the oldest is.",
    params=QueueDepth,
    probe=probe,
    signals=SIGNALS,
    defaults={"visible": SignalSpec(critical=Bound(above=10, hold=timedelta(minutes=5)))},
    permissions=(
        "sqs:GetQueueUrl",
        "sqs:GetQueueAttributes",
        "sqs:ListQueues",
        "tag:GetResources",
        "cloudwatch:GetMetricData",
    ),
    cost="Per queue one GetQueueAttributes ($0.40 per million); unless it is empty also one metric ($0.01 per 1,000).",
    example="""\
frontier-dlq:
  kind: queue_depth
  queues: jaunt-dev-frontier-dlq
  thresholds:
    visible: {critical: {above: 10, for: 5m, clear: {below: 1}}}
""",
    target_kind=ResourceKind.QUEUE,
    selectors=("queues",),
    interval=timedelta(seconds=30),
    history=history,
    needs=needs,
)
