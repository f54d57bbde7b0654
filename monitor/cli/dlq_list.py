"""Which dead-letter queues there are: those that a redrive policy of some queue names."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any

from monitor.plugin import MetricQuery, ProbeError, Reads, ResourceKind, Selector, target_name

_WORKERS = 8
_FACTS = [
    "QueueArn", "RedrivePolicy", "MessageRetentionPeriod", "FifoQueue", "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible", "VisibilityTimeout",
]  # fmt: skip


@dataclass(slots=True)
class DeadLetters:
    """One dead-letter queue. Times in seconds; None: unknown, or nothing lies there."""

    name: str
    sources: list[str] = field(default_factory=list)
    visible: int | None = None
    in_flight: int | None = None
    oldest_age: float | None = None
    #: At most this long: a standard queue's message expires by when it was first sent, which is earlier.
    expires_in: float | None = None
    detail: str = ""

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "queue": self.name, "sources": sorted(self.sources), "visible": self.visible, "in_flight": self.in_flight,
            "oldest_age_seconds": self.oldest_age, "expires_in_seconds_at_most": self.expires_in, "detail": self.detail,
        }  # fmt: skip


async def dead_letters(aws: Reads, match: str) -> list[DeadLetters]:
    """Every dead-letter queue whose name matches the glob, fullest first. Raises ProbeError."""
    queues = await aws.find(ResourceKind.QUEUE, Selector(names=("*",)))
    places = asyncio.Semaphore(_WORKERS)

    async def look(url: str) -> dict[str, str]:
        async with places:
            try:
                reply = await aws.call("sqs", "GetQueueAttributes", QueueUrl=url, AttributeNames=_FACTS)
            except ProbeError as error:
                return {"error": f"{error.reason}: {error.detail}"}
        return dict(reply.get("Attributes", {}))

    facts = dict(
        zip([q.name for q in queues], await asyncio.gather(*(look(q.facts["url"]) for q in queues)), strict=True)
    )
    found: dict[str, DeadLetters] = {}
    for name, own in facts.items():
        target = json.loads(own.get("RedrivePolicy", "{}")).get("deadLetterTargetArn")
        if target is not None and fnmatchcase(target_name(target), match):
            found.setdefault(target_name(target), DeadLetters(target_name(target))).sources.append(name)
    await _ages(aws, found, facts)
    return sorted(found.values(), key=lambda one: (-(one.visible or 0), one.name))


async def _ages(aws: Reads, found: dict[str, DeadLetters], facts: dict[str, dict[str, str]]) -> None:
    """Counts, and the age that CloudWatch knows (minutes old)."""
    filled: list[DeadLetters] = []
    for name, one in found.items():
        own = facts.get(name)
        if own is None or "error" in own:
            one.detail = own["error"] if own else "there is no such queue here"
            continue
        one.visible = int(own.get("ApproximateNumberOfMessages", 0))
        one.in_flight = int(own.get("ApproximateNumberOfMessagesNotVisible", 0))
        if one.visible or one.in_flight:
            filled.append(one)
    queries = [
        MetricQuery(
            "AWS/SQS", "ApproximateAgeOfOldestMessage", (("QueueName", one.name),), "Maximum", timedelta(minutes=1), 5
        )
        for one in filled
    ]
    for one, series in zip(filled, await aws.metrics(queries) if queries else [], strict=True):
        if series.last is None:
            one.detail = "no age known: `dlq inspect` reads it from a sample"
            continue
        one.oldest_age = series.last[1]
        retention = float(facts[one.name].get("MessageRetentionPeriod", 0))
        one.expires_in = max(0.0, retention - one.oldest_age)
