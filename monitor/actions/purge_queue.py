"""Empties a queue for good. There is no undo, and no way to choose: `delete_messages` and `quarantine_messages` choose.

AWS allows one PurgeQueue per queue in 60 seconds and takes up to 60 seconds over it; what is sent meanwhile may go too.
So a purge that is refused because another one runs is waited out and asked for once more, and the queue is then looked
at until it is empty. Source: SQS API reference, PurgeQueue.

Blast radius: every message of one queue, also those in flight, and those sent within the next 60 seconds.
"""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from monitor.actions.sift import depth, queue_url
from monitor.plugin import (
    Action,
    ActionContext,
    ActionError,
    Change,
    Json,
    Params,
    Permission,
    Reason,
    Receipt,
    ResourceKind,
    Risk,
    need,
    target_name,
)

#: How long AWS takes at most, and how long it refuses another purge.
SECONDS = 60
_POLL = 5.0


class PurgeParams(Params):
    """Which queue."""

    queue: str = Field(description="Name, ARN or URL of the queue.", min_length=1)


def plan(params: PurgeParams, now: datetime) -> Change:
    """Pure."""
    name = target_name(params.queue)
    return Change(
        action="purge_queue",
        resource=f"sqs/{name}",
        wanted=None,
        summary=f"delete every message of {name} for good",
        params={"queue": params.queue},
    )


async def capture(change: Change, ctx: ActionContext) -> Json:
    """Approximate counts, for the journal: what was there."""
    return await depth(await queue_url(str(change.params["queue"]), ctx), ctx)


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """Purges once, then looks until nothing is left or the 60 seconds are over. `data`: before, remaining."""
    url = await queue_url(str(change.params["queue"]), ctx)
    if "before" not in ctx.memory:
        await ctx.remember(before=await depth(url, ctx))
    if "purged" not in ctx.memory:
        await _purge(url, ctx)
        await ctx.remember(purged=ctx.now().isoformat())
    left = await depth(url, ctx)
    for _ in range(int(SECONDS / _POLL)):
        if not any(left.values()):
            break
        await ctx.sleep(_POLL)
        left = await depth(url, ctx)
    before = ctx.memory["before"]
    empty = not any(left.values())
    detail = "the queue is empty" if empty else f"still {left['visible']} visible: it is being filled"
    return Receipt(change=change, changed=True, verified=empty, detail=detail, data={"before": before, **left})


async def _purge(url: str, ctx: ActionContext) -> None:
    try:
        await ctx.aws.mutate("sqs", "PurgeQueue", QueueUrl=url)
    except ActionError as error:
        if "PurgeQueueInProgress" not in error.detail and error.reason is not Reason.THROTTLED:
            raise
        # Somebody purged within the last minute: what came since is still there.
        await ctx.sleep(SECONDS)
        await ctx.aws.mutate("sqs", "PurgeQueue", QueueUrl=url)


def needs(params: PurgeParams) -> list[Permission]:
    """For IAM: what one step asks, undo included."""
    return [need(*ACTION.permissions, queue=params.queue)]


ACTION = Action(
    name="purge_queue",
    summary="Deletes every message of a queue for good.",
    params=PurgeParams,
    risk=Risk.DESTRUCTIVE,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=None,
    permissions=("sqs:GetQueueUrl", "sqs:GetQueueAttributes", "sqs:PurgeQueue"),
    example="purge_queue: {queue: jaunt-prod-frontier}",
    blast_radius="Every message of one queue, and what is sent to it within the next 60 s.",
    resource_field="queue",
    resource_kind=ResourceKind.QUEUE,
    needs=needs,
)
