"""Puts a small text (a maintenance page, a flag file) as an object into a bucket, and puts back what was there.

An object of that key that is a text of up to 64 KiB is remembered before it is replaced, with its type, and undo writes
it again; where there was none, undo deletes ours. Of several breakers on one object each remembers what it found: the
last one that lets go may not know the text from before the first, and says so. Anything larger, or no text, is refused:
nothing is replaced that can't be put back. The value that is compared is the SHA-256 of the bytes and the content type,
not the text itself. Other metadata, tags and an object's ACL are not kept. Source: S3 API reference, GetObject,
PutObject, DeleteObject.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from pydantic import Field

from monitor.actions.readback import confirmed
from monitor.plugin import (
    Action,
    ActionContext,
    ActionError,
    Change,
    Json,
    Params,
    Permission,
    ProbeError,
    Reason,
    Receipt,
    Risk,
    need,
)

_MOST = 64 * 1024


class PutObjectParams(Params):
    """Which object, what it says."""

    bucket: str = Field(description="Name of the bucket.", min_length=3)
    key: str = Field(description="Key of the object, e.g. maintenance/index.html.", min_length=1, max_length=1024)
    text: str = Field(description="Its content.", max_length=_MOST // 4)
    content_type: str = Field(default="text/html; charset=utf-8", description="Its Content-Type.", min_length=3)


def plan(params: PutObjectParams, now: datetime) -> Change:
    """Pure."""
    body = params.text.encode()
    return Change(
        action="put_object",
        resource=f"s3/{params.bucket}/{params.key}",
        property="content",
        wanted=_value(body, params.content_type),
        summary=f"put {len(body)} bytes of {params.content_type} to {params.bucket}/{params.key}",
        params=params.model_dump(mode="json"),
    )


async def capture(change: Change, ctx: ActionContext) -> Json:
    """{sha256, type} of the object; None where there is none."""
    found = await _read(change, ctx)
    return None if found is None else _value(*found)


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """Remembers what is there, writes, reads back."""
    found = await _read(change, ctx)
    if found is not None and _value(*found) == change.wanted:
        return Receipt(change=change, applied=change.wanted, detail="was so already")
    text, kind = str(change.params["text"]), str(change.params["content_type"])
    if _value(text.encode(), kind) != change.wanted:
        raise ActionError(Reason.UNAVAILABLE, f"another breaker puts another text to {change.resource}")
    if "before" not in ctx.memory:
        await ctx.remember(before=None if found is None else {"text": _text(found[0], change), "type": found[1]})
    await _put(change, text, kind, ctx)
    live = await confirmed(lambda: capture(change, ctx), change.wanted, ctx, change.resource)
    return Receipt(change=change, applied=live, changed=True)


async def undo(receipt: Receipt, ctx: ActionContext) -> Receipt:
    """The earlier object, or none."""
    change, before = receipt.change, ctx.memory.get("before")
    if await capture(change, ctx) == receipt.prior:
        return replace(receipt, applied=receipt.prior, changed=False, detail="was so already")
    if receipt.prior is None:
        await ctx.aws.mutate("s3", "DeleteObject", Bucket=change.params["bucket"], Key=change.params["key"])
    elif isinstance(before, Mapping) and _value(str(before["text"]).encode(), str(before["type"])) == receipt.prior:
        await _put(change, str(before["text"]), str(before["type"]), ctx)
    else:
        raise ActionError(Reason.INVALID, f"what {change.resource} was before is not known: restore it by hand")
    live = await confirmed(lambda: capture(change, ctx), receipt.prior, ctx, change.resource)
    return replace(receipt, applied=live, changed=True, detail="")


async def _put(change: Change, text: str, content_type: str, ctx: ActionContext) -> None:
    await ctx.aws.mutate(
        "s3", "PutObject", Bucket=change.params["bucket"], Key=change.params["key"], Body=text.encode(),
        ContentType=content_type,
    )  # fmt: skip


async def _read(change: Change, ctx: ActionContext) -> tuple[bytes, str] | None:
    """(bytes, content type), or None. Refuses what is too large to be remembered."""
    try:
        reply = await ctx.aws.call("s3", "GetObject", Bucket=change.params["bucket"], Key=change.params["key"])
    except ProbeError as error:
        if error.reason is Reason.NOT_FOUND and "NoSuchBucket" not in error.detail:
            return None
        raise
    body = bytes(reply.get("Body") or b"")
    if len(body) > _MOST:
        raise ActionError(
            Reason.INVALID,
            f"{change.resource} has {len(body)} bytes, more than the {_MOST} that can be put back: choose another key",
        )
    return body, str(reply.get("ContentType") or "binary/octet-stream")


def _text(body: bytes, change: Change) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise ActionError(
            Reason.INVALID, f"{change.resource} is no text and could not be put back: choose another key"
        ) from None


def _value(body: bytes, content_type: str) -> Json:
    return {"sha256": hashlib.sha256(body).hexdigest(), "type": content_type}


def needs(params: PutObjectParams) -> list[Permission]:
    """For IAM: what one step asks, undo included."""
    reads = need("s3:ListBucket", bucket=params.bucket)
    return [reads, need("s3:GetObject", "s3:PutObject", "s3:DeleteObject", object=f"{params.bucket}/{params.key}")]


ACTION = Action(
    name="put_object",
    summary="Puts a small text as an object into a bucket, and puts back what was there.",
    params=PutObjectParams,
    risk=Risk.REVERSIBLE,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=undo,
    # Without ListBucket S3 answers 403 for a key that is not there.
    permissions=("s3:GetObject", "s3:ListBucket", "s3:PutObject", "s3:DeleteObject"),
    example="""put_object:
  bucket: dataforge-dashboard
  key: maintenance/index.html
  text: "<!doctype html><title>Maintenance</title><p>The dashboard is back soon."
""",
    blast_radius="One object of one bucket.",
    needs=needs,
)
