"""Moves messages out of a queue into S3, one object each, so that they neither block, expire nor get lost.

Each message is written whole (body, attributes, when it was sent, how often received) under
`PREFIX/QUEUE/MESSAGE-ID.json`, and only deleted from the queue once S3 has it: a kill in between leaves it in both
places, and the next attempt writes the same object again. Bodies go to that bucket only, never to logs or the journal.
`where` and `messages` limit it to some; what is left is given back.

Blast radius: the consumers never see the picked messages again, unless somebody sends them anew.
"""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import Any

from pydantic import Field

from monitor.actions.sift import PERMISSIONS, Message, Sift, SiftParams, depth, picks, queue_url, selected
from monitor.plugin import (
    Action,
    ActionContext,
    Change,
    Json,
    Permission,
    Receipt,
    ResourceKind,
    Risk,
    need,
    target_name,
)


class QuarantineParams(SiftParams):
    """Which messages, and where to."""

    bucket: str = Field(description="Bucket that keeps them.", min_length=3)
    prefix: str = Field(default="quarantine", description="Key prefix, without a slash at its end.")


def plan(params: QuarantineParams, now: datetime) -> Change:
    """Pure."""
    return Change(
        action="quarantine_messages",
        resource=f"sqs/{target_name(params.queue)}",
        wanted=None,
        summary=f"move {selected(params)} to s3://{params.bucket}/{_folder(params)}/",
        params=params.model_dump(mode="json"),
    )


async def capture(change: Change, ctx: ActionContext) -> Json:
    """Approximate counts, for the journal."""
    return await depth(await queue_url(str(change.params["queue"]), ctx), ctx)


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """One pass. `data`: done, passed_over, bucket, prefix."""
    params = QuarantineParams.model_validate(change.params)
    url = await queue_url(params.queue, ctx)

    async def keep(message: Message) -> None:
        await ctx.aws.mutate(
            "s3", "PutObject", Bucket=params.bucket, Key=f"{_folder(params)}/{message['MessageId']}.json",
            Body=written(message), ContentType="application/json",
        )  # fmt: skip

    sift = Sift(url, ctx, picks(params), keep, params.max)
    await sift.run()
    where = f"s3://{params.bucket}/{_folder(params)}/"
    detail = f"{sift.done} messages moved to {where}, {len(sift.passed)} others given back"
    data: dict[str, Json] = {**sift.data, "bucket": params.bucket, "prefix": _folder(params)}
    return Receipt(change=change, changed=sift.done > 0, detail=detail, data=data)


def written(message: Message) -> bytes:
    """A message as its object's body: everything that is needed to send it again."""
    attributes: dict[str, Any] = {}
    for name, value in (message.get("MessageAttributes") or {}).items():
        binary = value.get("BinaryValue")
        told = {"DataType": value.get("DataType"), "StringValue": value.get("StringValue")}
        attributes[name] = told | ({"BinaryValue": base64.b64encode(binary).decode()} if binary is not None else {})
    kept = {
        "MessageId": message["MessageId"],
        "Body": message.get("Body", ""),
        "Attributes": dict(message.get("Attributes") or {}),
        "MessageAttributes": attributes,
    }
    return json.dumps(kept, sort_keys=True).encode()


def _folder(params: QuarantineParams) -> str:
    return "/".join(part for part in (params.prefix.strip("/"), target_name(params.queue)) if part)


def needs(params: QuarantineParams) -> list[Permission]:
    """For IAM: what one step asks, undo included."""
    own = [one for one in ACTION.permissions if one.startswith("sqs:")]
    return [need(*own, queue=params.queue), need("s3:PutObject", object=f"{params.bucket}/{params.prefix}*")]


ACTION = Action(
    name="quarantine_messages",
    summary="Moves messages of a queue into S3 objects, losing none.",
    params=QuarantineParams,
    risk=Risk.DISRUPTIVE,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=None,
    permissions=(*PERMISSIONS, "s3:PutObject"),
    example="quarantine_messages: {queue: orders-dlq, bucket: incident-evidence, where: malformed, max: 100}",
    blast_radius="The picked messages leave the queue; the others are hidden for up to 60 s.",
    resource_field="queue",
    resource_kind=ResourceKind.QUEUE,
    needs=needs,
)
