"""Redriving by hand, where AWS has no move task: receive, send, delete, one message after the other.

A message is deleted only after its copy was accepted, so none is lost. The id of the one in flight is remembered
durably before it is sent: a kill between send and delete doubles that one message at most, and the receipt names it.
A FIFO queue drops a second copy that follows within five minutes, because the original's id is its deduplication id.
Bodies are never kept, logged or journalled. A message whose copy came back (sent after the redrive began) is left
where it is, or a poison message would go round for ever.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from monitor.plugin import ActionContext, ActionError, Change, Json, Reason, Receipt

#: How long received messages stay hidden; a batch not through by half of it is left to come back.
VISIBILITY = 30
#: Long polling asks all of SQS's servers, short polling only some: an empty answer then means nothing.
_WAIT_SECONDS = 1
_EMPTY = 2
#: How far AWS's clock and ours may differ, and how many ids are kept of each sort.
_SKEW = timedelta(seconds=2)
_KEPT_IDS, _KEPT_COPIES = 50, 10_000
_ATTRIBUTES = ["QueueArn", "FifoQueue", "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue as AWS knows it now."""

    url: str
    arn: str
    fifo: bool
    visible: int
    hidden: int


async def look(url: str, ctx: ActionContext) -> Queue:
    """Its ARN, kind and (approximate) counts. Raises ProbeError."""
    reply = await ctx.aws.call("sqs", "GetQueueAttributes", QueueUrl=url, AttributeNames=_ATTRIBUTES)
    facts = reply.get("Attributes", {})
    visible, hidden = (int(facts.get(name, 0)) for name in _ATTRIBUTES[2:])
    return Queue(url, str(facts["QueueArn"]), facts.get("FifoQueue") == "true", visible, hidden)


async def redrive(change: Change, source: Queue, destination: Queue, ctx: ActionContext) -> Receipt:
    """Moves what lay in `source` at the start, at most `max`, at `rate` per second. Resumable."""
    hand = Hand(change, source, destination, ctx)
    await hand.begin()
    await hand.run()
    return await hand.receipt()


@dataclass(slots=True)
class Hand:
    """One redrive by hand under way."""

    change: Change
    source: Queue
    destination: Queue
    ctx: ActionContext
    moved: int = 0
    #: What there was to move (approximate, or `max`), and what may be moved in no case exceeded.
    total: int = 0
    bound: int = 0
    began: datetime | None = None
    #: Ids in flight when a former attempt died: sent, perhaps.
    suspects: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    returned: set[str] = field(default_factory=set)
    #: Ids of our copies, as far as remembered.
    copies: set[str] = field(default_factory=set)

    async def begin(self) -> None:
        """Fixes, durably and once, when it began and how much it may move; takes over what a kill left in flight."""
        memory = self.ctx.memory
        if "began" not in memory:
            await self.ctx.remember(began=self.ctx.now().isoformat(), total=self.source.visible + self.source.hidden)
            memory = self.ctx.memory
        self.began = datetime.fromisoformat(str(memory["began"]))
        self.moved, self.total = _number(memory.get("moved")), _number(memory.get("total"))
        # AWS's counts are approximate, so a redrive of everything may find a few more than it was told.
        self.bound = self.total + max(10, self.total // 10)
        if isinstance(most := self.change.params.get("max"), int):
            self.total, self.bound = min(self.total, most), most
        self.suspects, self.doubled = _texts(memory.get("suspects")), _texts(memory.get("doubled"))
        if (left := memory.get("in_flight")) is not None:
            self.suspects = [*self.suspects, str(left)][-_KEPT_IDS:]
            await self.ctx.remember(suspects=self.suspects, in_flight=None)

    async def run(self) -> None:
        """Until the bound is reached, or two receives in a row bring nothing to move and nothing is hidden."""
        empty, waited = 0, 0.0
        while self._room() > 0:
            if await self._batch():
                empty = 0
                continue
            empty += 1
            if empty < _EMPTY:
                continue
            # What a dead attempt had received comes back when its visibility ends; wait for that once.
            hidden = (await look(self.source.url, self.ctx)).hidden - len(self.returned)
            if hidden <= 0 or waited > VISIBILITY + 10:
                return
            await self.ctx.sleep(5.0)
            waited += 5.0

    def _room(self) -> int:
        """How many more may be moved. With `max`, a suspect counts as moved: rather one too few than one too many."""
        suspected = len(self.suspects) if self.change.params.get("max") else 0
        return self.bound - self.moved - suspected

    async def receipt(self) -> Receipt:
        """What became of it. `maybe_doubled` holds the ids that a kill may have doubled."""
        left = await look(self.source.url, self.ctx)
        if left.visible + left.hidden == 0:
            # A suspect that never came back was deleted, so its one copy is the only one.
            self.moved += len(self.suspects)
            self.suspects = []
        doubled: list[Json] = [*self.doubled, *self.suspects]
        data: dict[str, Json] = {
            "method": "by_hand", "moved": self.moved, "remaining": left.visible + left.hidden,
            "returned": len(self.returned), "maybe_doubled": doubled,
        }  # fmt: skip
        detail = f"{self.moved} messages moved by hand"
        if self.returned:
            detail += f"; {len(self.returned)} came back and were left"
        if doubled:
            detail += f"; {'one' if len(doubled) == 1 else len(doubled)} may be doubled"
        return Receipt(change=self.change, changed=self.moved > 0, detail=detail, data=data)

    async def _batch(self) -> bool:
        """Receives up to ten and moves those that are ours to move. False: there was none."""
        # A FIFO group is received in order and blocked while in flight: one at a time keeps that order through errors.
        most = 1 if self.destination.fifo else min(10, self._room())
        received = self.ctx.now()
        reply = await self.ctx.aws.mutate(
            "sqs", "ReceiveMessage", QueueUrl=self.source.url, MaxNumberOfMessages=most, VisibilityTimeout=VISIBILITY,
            WaitTimeSeconds=_WAIT_SECONDS, MessageAttributeNames=["All"], MessageSystemAttributeNames=["All"],
        )  # fmt: skip
        found = False
        for message in reply.get("Messages") or ():
            if self._came_back(message):
                if len(self.returned) < _KEPT_COPIES:
                    self.returned.add(str(message["MessageId"]))
                continue
            found = True
            if self._room() <= 0 or self.ctx.now() - received > timedelta(seconds=VISIBILITY / 2):
                break
            await self._move(message)
        return found

    async def _move(self, message: Mapping[str, Any]) -> None:
        begun, original = self.ctx.now(), str(message["MessageId"])
        entry = copy_of(message, self.destination.fifo)
        await self.ctx.remember(in_flight=original, moved=self.moved)
        sent = await self.ctx.aws.mutate(
            "sqs", "SendMessage", idempotent=self.destination.fifo, QueueUrl=self.destination.url, **entry
        )
        await self.ctx.aws.mutate(
            "sqs", "DeleteMessage", QueueUrl=self.source.url, ReceiptHandle=message["ReceiptHandle"]
        )
        self.moved += 1
        if len(self.copies) < _KEPT_COPIES:
            self.copies.add(str(sent.get("MessageId")))
        if original in self.suspects:
            self.suspects.remove(original)
            self.doubled = [*self.doubled, original][-_KEPT_IDS:]
            await self.ctx.remember(suspects=self.suspects, doubled=self.doubled, in_flight=None, moved=self.moved)
        elif self.moved % 10 == 0 or self._room() <= 0:
            await self.ctx.remember(in_flight=None, moved=self.moved)
        await self._pace(begun)

    async def _pace(self, begun: datetime) -> None:
        left, rate = max(0, self.total - self.moved), self.change.params.get("rate")
        if not isinstance(rate, int):
            if self.moved % 10 == 0:
                await self.ctx.progress(self.moved, left)
            return
        await self.ctx.progress(self.moved, left, timedelta(seconds=left / rate))
        spent = (self.ctx.now() - begun).total_seconds()
        # A clock that jumps must neither stop nor rush us.
        await self.ctx.sleep(min(1 / rate, max(0.0, 1 / rate - spent)))

    def _came_back(self, message: Mapping[str, Any]) -> bool:
        if message["MessageId"] in self.copies:
            return True
        assert self.began is not None
        sent = int((message.get("Attributes") or {}).get("SentTimestamp", 0)) / 1000
        return sent > (self.began + _SKEW).timestamp()


def copy_of(message: Mapping[str, Any], fifo: bool) -> dict[str, Any]:
    """The parameters of SendMessage that make the same message again."""
    system = message.get("Attributes") or {}
    entry: dict[str, Any] = {"MessageBody": message["Body"]}
    attributes = {
        name: {part: value[part] for part in ("DataType", "StringValue", "BinaryValue") if part in value}
        for name, value in (message.get("MessageAttributes") or {}).items()
    }
    if attributes:
        entry["MessageAttributes"] = attributes
    if trace := system.get("AWSTraceHeader"):
        entry["MessageSystemAttributes"] = {"AWSTraceHeader": {"DataType": "String", "StringValue": trace}}
    if group := system.get("MessageGroupId"):
        entry["MessageGroupId"] = group
    if fifo:
        if not group:
            raise ActionError(Reason.INVALID, "a FIFO queue needs message groups, and these messages have none")
        entry["MessageDeduplicationId"] = message["MessageId"]
    return entry


def _number(value: Json) -> int:
    return value if isinstance(value, int) else 0


def _texts(value: Json) -> list[str]:
    return [str(text) for text in value] if isinstance(value, Sequence) and not isinstance(value, str) else []
