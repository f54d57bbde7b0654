"""Reads a sample of a dead-letter queue and reports what kinds of failures lie there and when the oldest expires.

SQS has no peek: a message is received, which hides it and raises its receive count. So the sample hides messages for a
few seconds only and gives every one back at once; nothing is deleted, moved or kept. A queue that itself passes
messages on (its own redrive policy) is refused: there a receive brings a message nearer to leaving. Bodies never leave
this module: the receipt holds error classes, ids, times and counts.

`data`: `sampled`, `groups` (most frequent first: fingerprint, error, count, transient, fields, message_ids,
event_ids, correlation_ids, first_sent, last_sent), `oldest_sent`, `expires_at`, `expires_in` (seconds). For a standard
queue the time a message was first sent counts, also before it became a dead letter.

Blast radius: up to `count` messages of one queue are invisible for at most 5 seconds; their receive counts rise by one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import Field

from monitor.plugin import (
    Action,
    ActionContext,
    ActionError,
    Change,
    Fingerprint,
    Json,
    Params,
    Permission,
    Reason,
    Receipt,
    ResourceKind,
    Risk,
    fingerprint,
    need,
    target_name,
)

#: What one sample hides messages for; given back earlier, unless this process dies.
VISIBILITY = 5
_BATCH = 10
#: Empty receives in a row after which the queue counts as read: short polls ask only some of SQS's servers.
_EMPTY = 2
_GROUPS, _IDS = 20, 5
_FACTS = ["MessageRetentionPeriod", "RedrivePolicy", "ApproximateNumberOfMessages"]


class SampleParams(Params):
    """Which queue, how many."""

    queue: str = Field(description="Name, ARN or URL of the dead-letter queue.", min_length=1)
    count: int = Field(20, ge=1, le=50, description="Messages to read, at most.")
    fields: tuple[str, ...] = Field((), description="Fields of the messages to group by as well (`city`, `connector`).")


@dataclass(slots=True)
class Group:
    """Messages of one fingerprint."""

    seen: Fingerprint
    count: int = 0
    message_ids: list[str] = field(default_factory=list)
    event_ids: list[str] = field(default_factory=list)
    correlation_ids: list[str] = field(default_factory=list)
    sent: list[datetime] = field(default_factory=list)

    def add(self, one: Fingerprint, sent: datetime | None, message_id: str) -> None:
        """One more message."""
        self.count += 1
        if len(self.message_ids) < _IDS:
            self.message_ids.append(message_id)
        for value, kept in ((one.event_id, self.event_ids), (one.correlation_id, self.correlation_ids)):
            if value is not None and value not in kept and len(kept) < _IDS:
                kept.append(value)
        if sent is not None:
            self.sent.append(sent)

    def to_json(self) -> dict[str, Json]:
        """For the receipt."""
        return {
            "fingerprint": self.seen.key,
            "error": self.seen.error,
            "count": self.count,
            "transient": self.seen.is_transient,
            "fields": dict(self.seen.fields or {}),
            "message_ids": list(self.message_ids),
            "event_ids": list(self.event_ids),
            "correlation_ids": list(self.correlation_ids),
            "first_sent": min(self.sent).isoformat() if self.sent else None,
            "last_sent": max(self.sent).isoformat() if self.sent else None,
        }


def plan(params: SampleParams, now: datetime) -> Change:
    """Pure."""
    queue = target_name(params.queue)
    return Change(
        action="sample_dlq",
        resource=f"sqs/{queue}",
        wanted=None,
        summary=f"read at most {params.count} messages of {queue}, give them back, report what kinds they are",
        params=params.model_dump(mode="json"),
        scope=params.count,
    )


async def capture(change: Change, ctx: ActionContext) -> Json:
    """Nothing is changed for good, so there is nothing to remember."""
    return None


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """Receives, gives back, groups. Raises ActionError(invalid) for a queue with a redrive policy of its own."""
    params = SampleParams.model_validate(change.params)
    url = await _url(params.queue, ctx)
    facts = (await ctx.aws.call("sqs", "GetQueueAttributes", QueueUrl=url, AttributeNames=_FACTS)).get("Attributes", {})
    if facts.get("RedrivePolicy"):
        raise ActionError(
            Reason.INVALID,
            f"{change.resource} passes messages on to a dead-letter queue of its own: reading it would bring them "
            "nearer to that; sample the dead-letter queue",
        )
    messages = await _receive(url, params.count, ctx)
    retention = timedelta(seconds=int(facts.get("MessageRetentionPeriod", 0)))
    data = report(messages, params.fields, retention, ctx.now())
    return Receipt(change=change, changed=False, detail=_said(data), data=data)


async def undo(receipt: Receipt, ctx: ActionContext) -> Receipt:
    """Nothing: every message was given back when it had been read, or comes back by itself within seconds."""
    return Receipt(change=receipt.change, changed=False, detail="every message was given back already")


async def _receive(url: str, count: int, ctx: ActionContext) -> list[Mapping[str, Any]]:
    """At most `count` distinct messages, each visible again on return."""
    found: dict[str, Mapping[str, Any]] = {}
    empty = 0
    while len(found) < count and empty < _EMPTY:
        reply = await ctx.aws.mutate(
            "sqs", "ReceiveMessage", QueueUrl=url, MaxNumberOfMessages=min(_BATCH, count - len(found)),
            VisibilityTimeout=VISIBILITY, WaitTimeSeconds=0, MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
        )  # fmt: skip
        messages = reply.get("Messages") or ()
        fresh = [one for one in messages if one["MessageId"] not in found]
        # Those seen before have come back already: a slow sample must not go round for ever.
        empty = 0 if fresh else empty + 1
        found.update((one["MessageId"], one) for one in fresh)
        if not fresh and messages:
            await _give_back(url, messages, ctx)
    kept = list(found.values())
    for start in range(0, len(kept), _BATCH):
        await _give_back(url, kept[start : start + _BATCH], ctx)
    return kept


async def _give_back(url: str, messages: Sequence[Mapping[str, Any]], ctx: ActionContext) -> None:
    """Visible now. One that is visible already (its seconds are over) is refused by SQS, and that is as well."""
    entries = [
        {"Id": str(number), "ReceiptHandle": one["ReceiptHandle"], "VisibilityTimeout": 0}
        for number, one in enumerate(messages)
    ]
    await ctx.aws.mutate("sqs", "ChangeMessageVisibilityBatch", QueueUrl=url, Entries=entries)


def report(
    messages: Sequence[Mapping[str, Any]], fields: Sequence[str], retention: timedelta, now: datetime
) -> dict[str, Json]:
    """What a sample says, without bodies. Pure: the receipt's `data`."""
    groups: dict[str, Group] = {}
    oldest: datetime | None = None
    for message in messages:
        given = {
            name: str(value.get("StringValue", "")) for name, value in (message.get("MessageAttributes") or {}).items()
        }
        one = fingerprint(str(message.get("Body", "")), given, fields)
        sent = _sent(message)
        if sent is not None:
            oldest = sent if oldest is None else min(oldest, sent)
        groups.setdefault(one.key, Group(one)).add(one, sent, str(message.get("MessageId", "")))
    ranked = sorted(groups.values(), key=lambda group: (-group.count, group.seen.error))
    expires = oldest + retention if oldest is not None else None
    return {
        "sampled": len(messages),
        "groups": [group.to_json() for group in ranked[:_GROUPS]],
        "more_groups": max(0, len(ranked) - _GROUPS),
        "oldest_sent": oldest.isoformat() if oldest else None,
        "expires_at": expires.isoformat() if expires else None,
        "expires_in": max(0.0, (expires - now).total_seconds()) if expires else None,
    }


def _sent(message: Mapping[str, Any]) -> datetime | None:
    stamp = (message.get("Attributes") or {}).get("SentTimestamp")
    return datetime.fromtimestamp(int(stamp) / 1000, tz=UTC) if stamp else None


def _said(data: Mapping[str, Any]) -> str:
    if not data["sampled"]:
        return "nothing could be read: the queue is empty, or its messages are in flight"
    kinds = ", ".join(f"{group['count']} x {group['error']}" for group in data["groups"][:3])
    hours = f"; the oldest expires in {data['expires_in'] / 3600:.0f} h" if data["expires_in"] is not None else ""
    return f"{data['sampled']} messages: {kinds}{hours}"


async def _url(queue: str, ctx: ActionContext) -> str:
    if queue.startswith(("http://", "https://")):
        return queue
    return str((await ctx.aws.call("sqs", "GetQueueUrl", QueueName=target_name(queue)))["QueueUrl"])


def needs(params: SampleParams) -> list[Permission]:
    """For IAM: what one step asks, undo included."""
    return [need(*ACTION.permissions, queue=params.queue)]


ACTION = Action(
    name="sample_dlq",
    summary="Reads a sample of a dead-letter queue without harm and reports the kinds of failures in it.",
    params=SampleParams,
    risk=Risk.REVERSIBLE,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=undo,
    permissions=(
        "sqs:GetQueueUrl",
        "sqs:GetQueueAttributes",
        "sqs:ReceiveMessage",
        "sqs:ChangeMessageVisibility",
    ),
    example="sample_dlq: {queue: orders-dlq, count: 20}",
    blast_radius="Up to 50 messages of one queue are hidden for at most 5 seconds; their receive counts rise by one.",
    resource_field="queue",
    resource_kind=ResourceKind.QUEUE,
    needs=needs,
)
