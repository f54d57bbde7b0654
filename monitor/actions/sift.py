"""Going through a queue's messages once: those that are picked are dealt with and deleted, the others are given back.

SQS has no peek, so each message seen is hidden for a while; the others become visible again at the end (at the latest
when their visibility ends, should this process die). A message is deleted only after it was dealt with, so none is lost
whenever this is killed. What deals with a message must bear being asked twice about the same one. Bodies stay in
memory. In a FIFO queue the messages behind one that is given back are not seen in the same pass.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pydantic import Field

from monitor.plugin import ActionContext, Json, Params, fingerprint, target_name

Message = Mapping[str, Any]
#: Hidden for this long; a message received longer ago than half of it is not dealt with, it may be somebody else's.
VISIBILITY = 60
_WAIT_SECONDS = 1
_EMPTY = 2
_BATCH = 10
#: Ids kept in memory to tell messages apart that were seen already; a pass ends there.
_MOST_SEEN = 20_000


class SiftParams(Params):
    """Which messages of which queue."""

    queue: str = Field(description="Name, ARN or URL of the queue.", min_length=1)
    where: str | None = Field(
        default=None, description="Only messages of this kind: a fingerprint (12 hex digits) or an error class."
    )
    messages: tuple[str, ...] = Field(default=(), description="Only the messages with these ids.")
    max: int | None = Field(default=None, ge=1, description="At most this many.")


def picks(params: SiftParams) -> Callable[[Message], bool]:
    """Whether a message is meant. Error classes compare without case."""

    def meant(message: Message) -> bool:
        if params.messages and message["MessageId"] not in params.messages:
            return False
        if params.where is None:
            return True
        given = {
            name: str(value.get("StringValue", "")) for name, value in (message.get("MessageAttributes") or {}).items()
        }
        seen = fingerprint(str(message.get("Body", "")), given)
        return params.where == seen.key or params.where.lower() == seen.error.lower()

    return meant


def selected(params: SiftParams) -> str:
    """`at most 5 messages of orders-dlq of the kind ValidationError`."""
    many = f"at most {params.max} messages" if params.max else "the messages"
    kind = f" of the kind {params.where}" if params.where else ""
    named = f" with {len(params.messages)} given ids" if params.messages else ""
    return f"{many} of {target_name(params.queue)}{kind}{named}"


async def queue_url(queue: str, ctx: ActionContext) -> str:
    """By name, ARN or URL. Raises ProbeError(not_found)."""
    if queue.startswith(("http://", "https://")):
        return queue
    return str((await ctx.aws.call("sqs", "GetQueueUrl", QueueName=target_name(queue)))["QueueUrl"])


async def depth(url: str, ctx: ActionContext) -> dict[str, Json]:
    """Approximate counts, for the journal: {"visible": N, "in_flight": N}."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    reply = await ctx.aws.call("sqs", "GetQueueAttributes", QueueUrl=url, AttributeNames=names)
    visible, hidden = (int(reply.get("Attributes", {}).get(name, 0)) for name in names)
    return {"visible": visible, "in_flight": hidden}


@dataclass(slots=True)
class Sift:
    """One pass. `deal` makes a picked message safe before it is deleted (None: deleting is all)."""

    url: str
    ctx: ActionContext
    picks: Callable[[Message], bool]
    deal: Callable[[Message], Awaitable[None]] | None = None
    most: int | None = None
    rate: int | None = None
    #: Called with the count after each delete.
    after: Callable[[int], Awaitable[None]] | None = None
    #: Picked, dealt with and deleted; `done` counts those of attempts before a crash as well.
    done: int = 0
    passed: dict[str, str] = field(default_factory=dict)
    _taken: set[str] = field(default_factory=set)

    async def run(self) -> None:
        """Until `most` are done, or two receives in a row bring nothing new."""
        before = self.ctx.memory.get("done")
        self.done = before if isinstance(before, int) else 0
        empty = 0
        try:
            while empty < _EMPTY and self._goes_on():
                empty = 0 if await self._batch() else empty + 1
        finally:
            await self.ctx.remember(done=self.done)
        await self._give_back()

    @property
    def data(self) -> dict[str, Json]:
        """For the receipt."""
        return {"done": self.done, "passed_over": len(self.passed)}

    def _goes_on(self) -> bool:
        if self.most is not None and self.done >= self.most:
            return False
        return len(self.passed) + len(self._taken) < _MOST_SEEN

    async def _batch(self) -> bool:
        """Whether a message came that was not seen before."""
        received, fresh = self.ctx.now(), False
        reply = await self.ctx.aws.mutate(
            "sqs", "ReceiveMessage", QueueUrl=self.url, MaxNumberOfMessages=_BATCH, VisibilityTimeout=VISIBILITY,
            WaitTimeSeconds=_WAIT_SECONDS, MessageAttributeNames=["All"], MessageSystemAttributeNames=["All"],
        )  # fmt: skip
        for message in reply.get("Messages") or ():
            identity = str(message["MessageId"])
            fresh = fresh or identity not in self.passed
            late = self.ctx.now() - received > timedelta(seconds=VISIBILITY / 2)
            if late or not self._goes_on() or not self.picks(message):
                self.passed[identity] = str(message["ReceiptHandle"])
                continue
            self.passed.pop(identity, None)
            await self._take(message)
        return fresh

    async def _take(self, message: Message) -> None:
        begun = self.ctx.now()
        if self.deal is not None:
            await self.deal(message)
        await self.ctx.aws.mutate(
            "sqs", "DeleteMessage", QueueUrl=self.url, ReceiptHandle=str(message["ReceiptHandle"])
        )
        self._taken.add(str(message["MessageId"]))
        self.done += 1
        if self.after is not None:
            await self.after(self.done)
        if self.done % _BATCH == 0:
            await self.ctx.remember(done=self.done)
            await self.ctx.progress(self.done, None if self.most is None else self.most - self.done)
        await self._pace(begun)

    async def _pace(self, begun: datetime) -> None:
        if self.rate is not None:
            spent = (self.ctx.now() - begun).total_seconds()
            # A clock that jumps must neither stop nor rush us.
            await self.ctx.sleep(min(1 / self.rate, max(0.0, 1 / self.rate - spent)))

    async def _give_back(self) -> None:
        """Visible at once. SQS refuses those that came back by themselves, entry by entry, and that is as well."""
        handles = list(self.passed.values())
        for at in range(0, len(handles), _BATCH):
            entries = [
                {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": 0}
                for number, handle in enumerate(handles[at : at + _BATCH])
            ]
            await self.ctx.aws.mutate("sqs", "ChangeMessageVisibilityBatch", QueueUrl=self.url, Entries=entries)


#: What a pass needs.
PERMISSIONS = (
    "sqs:GetQueueUrl",
    "sqs:GetQueueAttributes",
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibility",
)
