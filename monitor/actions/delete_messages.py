"""Deletes messages of a queue for good: those of one kind (a fingerprint or an error class), or those with given ids.

For dead letters that nobody can process and nobody needs (malformed bodies). At least one of `where` and `messages`
must be given; `purge_queue` empties a queue. It can't be undone: `quarantine_messages` keeps what it removes.

Blast radius: the picked messages are gone. Those looked at and left are hidden for up to 60 seconds, and their receive
counts rise by one.
"""

from __future__ import annotations

from datetime import datetime

from pydantic import model_validator

from monitor.actions.sift import PERMISSIONS, Sift, SiftParams, depth, picks, queue_url, selected
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


class DeleteParams(SiftParams):
    """Which messages."""

    @model_validator(mode="after")
    def _says_which(self) -> DeleteParams:
        if self.where is None and not self.messages:
            raise ValueError("say which messages: `where` or `messages`; purge_queue empties a queue")
        return self


def plan(params: DeleteParams, now: datetime) -> Change:
    """Pure."""
    return Change(
        action="delete_messages",
        resource=f"sqs/{target_name(params.queue)}",
        wanted=None,
        summary=f"delete {selected(params)} for good",
        params=params.model_dump(mode="json"),
    )


async def capture(change: Change, ctx: ActionContext) -> Json:
    """Approximate counts, for the journal."""
    return await depth(await queue_url(str(change.params["queue"]), ctx), ctx)


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """One pass. `data`: done, passed_over."""
    params = DeleteParams.model_validate(change.params)
    most = params.max if params.max is not None else len(params.messages) or None
    sift = Sift(await queue_url(params.queue, ctx), ctx, picks(params), most=most)
    await sift.run()
    detail = f"{sift.done} messages deleted, {len(sift.passed)} others given back"
    return Receipt(change=change, changed=sift.done > 0, detail=detail, data=sift.data)


def needs(params: DeleteParams) -> list[Permission]:
    """For IAM: what one step asks, undo included."""
    return [need(*ACTION.permissions, queue=params.queue)]


ACTION = Action(
    name="delete_messages",
    summary="Deletes a queue's messages of one kind, or with given ids.",
    params=DeleteParams,
    risk=Risk.DESTRUCTIVE,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=None,
    permissions=PERMISSIONS,
    example="delete_messages: {queue: orders-dlq, where: malformed}",
    blast_radius="The picked messages are gone for good; the others are hidden for up to 60 s.",
    resource_field="queue",
    resource_kind=ResourceKind.QUEUE,
    needs=needs,
)
