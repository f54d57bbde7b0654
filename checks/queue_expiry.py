"""How long until the oldest message of a queue expires and is gone for good: dead letters vanish while they wait.

`expires_in` is the queue's retention less the age of its oldest message. Two things AWS does make it an estimate:

- A standard queue's dead letter keeps the time it was first sent, and expires by that; but the queue's metric
  ApproximateAgeOfOldestMessage counts from when it became a dead letter. What it spent before is taken off:
  `spent_before` or, without it, maxReceiveCount x visibility timeout of the queues whose dead letters these are. (A
  FIFO queue counts anew, so there nothing is taken off.)
- The metric is some minutes old.

`sample_dlq` reads the exact times of a sample. An empty queue loses nothing: its value is the whole retention. A full
queue without a datapoint is an absent point.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta

from pydantic import Field

from checks.reading import MINUTE, absent, each, number, observe
from monitor.plugin import (
    Bound,
    Check,
    Duration,
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

EXPIRES_IN = Signal("expires_in", "seconds", "Until the oldest message expires; the whole retention if there is none.")

_COUNTS = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


class QueueExpiry(Params):
    """Which queues."""

    queues: Selector = Field(description="Queues by name, URL, ARN, glob or tag; mostly dead-letter queues.")
    spent_before: Duration | None = Field(
        None, description="How long a message usually lives before it becomes a dead letter; default: from its queues."
    )


async def probe(params: QueueExpiry, ctx: ProbeContext) -> Sequence[Observation]:
    """Each queue's retention and the age of its oldest message."""

    async def read(queue: Resource) -> list[Observation]:
        url = queue.facts.get("url")
        if url is None:
            url = str((await ctx.aws.call("sqs", "GetQueueUrl", QueueName=queue.name))["QueueUrl"])
        wanted = [*_COUNTS, "MessageRetentionPeriod", "FifoQueue"]
        facts = await _attributes(url, wanted, ctx)
        retention = number(facts.get("MessageRetentionPeriod"), f"{queue.name}.MessageRetentionPeriod")
        if not any(number(facts.get(name), f"{queue.name}.{name}") for name in _COUNTS):
            return [observe(EXPIRES_IN, queue.name, retention, ctx.now)]
        query = MetricQuery(
            "AWS/SQS", "ApproximateAgeOfOldestMessage", (("QueueName", queue.name),), "Maximum", MINUTE, points=5
        )
        last = (await ctx.aws.metrics([query]))[0].last
        if last is None:
            return [absent(EXPIRES_IN, queue.name, "no age in the last 5 minutes", exists=True)]
        at, age = last
        spent = 0.0 if facts.get("FifoQueue") == "true" else await _spent(params, url, ctx)
        return [observe(EXPIRES_IN, queue.name, max(0.0, retention - age - spent), at)]

    queues = await ctx.aws.find(ResourceKind.QUEUE, params.queues)
    return await each(queues, read, (EXPIRES_IN,))


async def _attributes(url: str, names: Sequence[str], ctx: ProbeContext) -> Mapping[str, str]:
    reply = await ctx.aws.call("sqs", "GetQueueAttributes", QueueUrl=url, AttributeNames=list(names))
    return dict(reply.get("Attributes", {}))


async def _spent(params: QueueExpiry, url: str, ctx: ProbeContext) -> float:
    """Seconds a message may have lived before it came here: the most of all queues that send theirs here."""
    if params.spent_before is not None:
        return params.spent_before.total_seconds()
    pages = ctx.aws.pages("sqs", "ListDeadLetterSourceQueues", QueueUrl=url)
    origins = [str(origin) async for page in pages for origin in page.get("queueUrls") or ()]
    spent = 0.0
    for origin in origins:
        facts = await _attributes(origin, ["VisibilityTimeout", "RedrivePolicy"], ctx)
        tries = number(json.loads(facts.get("RedrivePolicy", "{}")).get("maxReceiveCount", 0), "maxReceiveCount")
        spent = max(spent, tries * number(facts.get("VisibilityTimeout", 0), "VisibilityTimeout"))
    return spent


async def history(params: QueueExpiry, ctx: ProbeContext) -> Sequence[Past]:
    """Today's retention less the age that the metric told, for a replay."""

    async def one(queue: Resource) -> Past:
        url = queue.facts.get("url")
        if url is None:
            url = str((await ctx.aws.call("sqs", "GetQueueUrl", QueueName=queue.name))["QueueUrl"])
        facts = await _attributes(url, ["MessageRetentionPeriod", "FifoQueue"], ctx)
        retention = number(facts.get("MessageRetentionPeriod"), f"{queue.name}.MessageRetentionPeriod")
        spent = 0.0 if facts.get("FifoQueue") == "true" else await _spent(params, url, ctx)
        query = MetricQuery(
            "AWS/SQS", "ApproximateAgeOfOldestMessage", (("QueueName", queue.name),), "Maximum", MINUTE, points=5
        )
        note = "from the age metric and today's retention; an empty queue counts by its metric"
        return Past(EXPIRES_IN.name, queue.name, query, note, factor=-1.0, offset=max(0.0, retention - spent))

    return [await one(queue) for queue in await ctx.aws.find(ResourceKind.QUEUE, params.queues)]


def needs(params: QueueExpiry) -> list[Permission]:
    """For IAM: what one configuration asks."""
    found = [*discovery(ResourceKind.QUEUE, params.queues), need("cloudwatch:GetMetricData")]
    if params.spent_before is not None:
        return [*found, need("sqs:GetQueueAttributes", queue=params.queues)]
    # The queues whose dead letters come here are known only to AWS.
    origins = need("sqs:ListDeadLetterSourceQueues", queue=params.queues)
    return [*found, origins, need("sqs:GetQueueAttributes", queue=None)]


CHECK: Check[QueueExpiry] = Check(
    kind="queue_expiry",
    summary="Time until the oldest message of a (dead-letter) queue expires.",
    params=QueueExpiry,
    probe=probe,
    signals=(EXPIRES_IN,),
    defaults={
        "expires_in": SignalSpec(
            warning=Bound(below=timedelta(days=2).total_seconds()),
            critical=Bound(below=timedelta(hours=12).total_seconds()),
        )
    },
    permissions=(
        "sqs:GetQueueUrl",
        "sqs:GetQueueAttributes",
        "sqs:ListDeadLetterSourceQueues",
        "sqs:ListQueues",
        "tag:GetResources",
        "cloudwatch:GetMetricData",
    ),
    cost="Per queue one GetQueueAttributes ($0.40 per million); unless it is empty also one metric ($0.01 per 1,000).",
    example="""\
dlq-expiry:
  kind: queue_expiry
  interval: 10m
  queues: jaunt-dev-frontier-dlq
  thresholds:
    expires_in: {warning: {below: 172800}, critical: {below: 43200}}
""",
    target_kind=ResourceKind.QUEUE,
    selectors=("queues",),
    interval=timedelta(minutes=10),
    needs=needs,
    history=history,
)
