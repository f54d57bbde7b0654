"""Moves the messages of a dead-letter queue back to where they came from, or to a queue of choice.

Uses AWS's own message move task where AWS allows one (the queue is the dead-letter queue of SQS queues) and no `max`
is given, which a task can't limit; else moves them by hand, one after the other. `where` and `messages` choose some.
No message is ever lost; a kill during a redrive by hand may double one, which the receipt names. It can't be undone.
Moved messages get a new id and a new retention; a poison message comes back by itself.

Blast radius: the consumers of the destination get the messages again; `rate` spares them.
"""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from monitor.actions.hand_redrive import look, redrive
from monitor.actions.move_task import move
from monitor.actions.resend import Resend
from monitor.actions.sift import SiftParams, picks
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


class RedriveParams(Params):
    """From where, where to, how fast, how many."""

    queue: str = Field(description="Name, ARN or URL of the dead-letter queue.", min_length=1)
    to: str | None = Field(
        default=None, description="Destination; by default the one queue whose dead letters these are."
    )
    rate: int | None = Field(default=None, ge=1, le=500, description="Messages per second; by default AWS's own pace.")
    max: int | None = Field(default=None, ge=1, description="Move at most this many (then always by hand).")
    where: str | None = Field(
        default=None, description="Only messages of this kind: a fingerprint or an error class (then by hand)."
    )
    messages: tuple[str, ...] = Field(default=(), description="Only the messages with these ids (then by hand).")


def plan(params: RedriveParams, now: datetime) -> Change:
    """Pure."""
    queue = target_name(params.queue)
    many = f"at most {params.max} messages" if params.max else "the messages"
    where = target_name(params.to) if params.to else "their source queue"
    pace = f" at {params.rate} per second" if params.rate else ""
    many += f" of the kind {params.where}" if params.where else ""
    many += f" with {len(params.messages)} given ids" if params.messages else ""
    return Change(
        action="redrive_queue",
        resource=f"sqs/{queue}",
        wanted=None,
        summary=f"move {many} of {queue} to {where}{pace}",
        params=params.model_dump(mode="json"),
    )


async def capture(change: Change, ctx: ActionContext) -> Json:
    """What lies in the queue, for the journal (approximate): {"visible": N, "in_flight": N}."""
    queue = await look(await _url(str(change.params["queue"]), ctx), ctx)
    return {"visible": queue.visible, "in_flight": queue.hidden}


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """Moves them; resumable at any point. `data`: method, moved, and what that method adds."""
    params = RedriveParams.model_validate(change.params)
    url = await _url(params.queue, ctx)
    source, origins = await look(url, ctx), await _origins(url, ctx)
    to = await destination_of(params, ctx)
    if params.where is not None or params.messages:
        some = SiftParams(queue=params.queue, where=params.where, messages=params.messages)
        most = params.max if params.max is not None else len(params.messages) or None
        return await Resend(ctx, await look(to, ctx), picks(some)).run(change, source, most, params.rate)
    if params.max is None and origins and ctx.memory.get("method") != "by_hand":
        destination = (await look(to, ctx)).arn if params.to else None
        receipt = await move(change, source.arn, destination, ctx)
        if receipt is not None:
            return receipt
    if ctx.memory.get("method") != "by_hand":
        await ctx.remember(method="by_hand")
    return await redrive(change, source, await look(to, ctx), ctx)


async def destination_of(params: RedriveParams, ctx: ActionContext) -> str:
    """The URL of where messages would go. Raises ActionError(invalid) if nothing says where, or it is the queue."""
    url = await _url(params.queue, ctx)
    name = f"sqs/{target_name(params.queue)}"
    to = await _url(params.to, ctx) if params.to else _only(await _origins(url, ctx), name)
    if to == url:
        raise ActionError(Reason.INVALID, f"{name} can't be redriven into itself")
    return to


def _only(origins: list[str], name: str) -> str:
    if len(origins) == 1:
        return origins[0]
    if not origins:
        raise ActionError(Reason.INVALID, f"no SQS queue has {name} as its dead-letter queue: say where `to`")
    names = ", ".join(sorted(target_name(origin) for origin in origins)[:5])
    raise ActionError(Reason.INVALID, f"{name} serves {len(origins)} queues ({names}): name one with `to`")


async def _origins(url: str, ctx: ActionContext) -> list[str]:
    pages = ctx.aws.pages("sqs", "ListDeadLetterSourceQueues", QueueUrl=url)
    return [str(origin) async for page in pages for origin in page.get("queueUrls") or ()]


async def _url(queue: str, ctx: ActionContext) -> str:
    if queue.startswith(("http://", "https://")):
        return queue
    return str((await ctx.aws.call("sqs", "GetQueueUrl", QueueName=target_name(queue)))["QueueUrl"])


def needs(params: RedriveParams) -> list[Permission]:
    """For IAM: what one step asks, undo included."""
    # Without `to` messages go to the queues that sent them here, and only AWS knows those.
    source, to = params.queue, params.to
    own = ["sqs:GetQueueUrl", "sqs:GetQueueAttributes", "sqs:ListDeadLetterSourceQueues", "sqs:ReceiveMessage"]
    own += ["sqs:DeleteMessage", "sqs:ChangeMessageVisibility"]
    if params.max is None and params.where is None and not params.messages:
        own += ["sqs:StartMessageMoveTask", "sqs:ListMessageMoveTasks"]
    far = ["sqs:SendMessage", "sqs:GetQueueAttributes", *(["sqs:GetQueueUrl"] if to else [])]
    return [need(*own, queue=source), need(*far, queue=to)]


ACTION = Action(
    name="redrive_queue",
    summary="Moves a dead-letter queue's messages back to be processed again.",
    params=RedriveParams,
    risk=Risk.DISRUPTIVE,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=None,
    permissions=(
        "sqs:GetQueueUrl",
        "sqs:GetQueueAttributes",
        "sqs:ListDeadLetterSourceQueues",
        "sqs:StartMessageMoveTask",
        "sqs:ListMessageMoveTasks",
        "sqs:ReceiveMessage",
        "sqs:SendMessage",
        "sqs:DeleteMessage",
        "sqs:ChangeMessageVisibility",
    ),
    example="redrive_queue: {queue: orders-dlq, rate: 10}",
    blast_radius="All messages of one queue are processed again by the consumers of the destination.",
    resource_field="queue",
    resource_kind=ResourceKind.QUEUE,
    needs=needs,
)
