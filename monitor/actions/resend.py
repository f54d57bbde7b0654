"""Redriving some of a queue's messages: those of one kind or with given ids, one after the other.

A message is deleted only after its copy was accepted, so none is lost. The id in flight is remembered durably before it
is sent; a kill between send and delete doubles that one at most, and the receipt names it. A copy that came back (sent
after the redrive began) is left where it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from monitor.actions.hand_redrive import Queue, copy_of
from monitor.actions.sift import Message, Sift
from monitor.plugin import ActionContext, Change, Json, Receipt

#: How far AWS's clock and ours may differ.
_SKEW = timedelta(seconds=2)
_KEPT_IDS = 50


@dataclass(slots=True)
class Resend:
    """One such redrive under way."""

    ctx: ActionContext
    destination: Queue
    picks: Callable[[Message], bool]
    began: datetime = field(init=False)
    suspects: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    copies: set[str] = field(default_factory=set)

    async def run(self, change: Change, source: Queue, most: int | None, rate: int | None) -> Receipt:
        """One pass. `data`: method, moved, passed_over, maybe_doubled (ids)."""
        await self._begin()
        sift = Sift(source.url, self.ctx, self._meant, self._send, most, rate, after=self._settled)
        await sift.run()
        doubled: list[Json] = [*self.doubled, *self.suspects]
        detail = f"{sift.done} messages moved, {len(sift.passed)} others given back"
        if doubled:
            detail += f"; {'one' if len(doubled) == 1 else len(doubled)} may be doubled"
        data: dict[str, Json] = {
            "method": "some", "moved": sift.done, "passed_over": len(sift.passed), "maybe_doubled": doubled
        }  # fmt: skip
        return Receipt(change=change, changed=sift.done > 0, detail=detail, data=data)

    async def _begin(self) -> None:
        memory = self.ctx.memory
        if "began" not in memory:
            await self.ctx.remember(began=self.ctx.now().isoformat())
            memory = self.ctx.memory
        self.began = datetime.fromisoformat(str(memory["began"]))
        self.suspects, self.doubled = _texts(memory.get("suspects")), _texts(memory.get("doubled"))
        if (left := memory.get("in_flight")) is not None:
            self.suspects = [*self.suspects, str(left)][-_KEPT_IDS:]
            await self.ctx.remember(suspects=self.suspects, in_flight=None)

    def _meant(self, message: Message) -> bool:
        sent = int((message.get("Attributes") or {}).get("SentTimestamp", 0)) / 1000
        came_back = message["MessageId"] in self.copies or sent > (self.began + _SKEW).timestamp()
        return not came_back and self.picks(message)

    async def _send(self, message: Message) -> None:
        identity = str(message["MessageId"])
        entry = copy_of(message, self.destination.fifo)
        if identity in self.suspects:
            self.suspects.remove(identity)
            self.doubled = [*self.doubled, identity][-_KEPT_IDS:]
            await self.ctx.remember(suspects=self.suspects, doubled=self.doubled)
        await self.ctx.remember(in_flight=identity)
        sent = await self.ctx.aws.mutate(
            "sqs", "SendMessage", idempotent=self.destination.fifo, QueueUrl=self.destination.url, **entry
        )
        self.copies.add(str(sent.get("MessageId")))

    async def _settled(self, done: int) -> None:
        await self.ctx.remember(in_flight=None, done=done)


def _texts(value: Json) -> list[str]:
    return [str(text) for text in value] if isinstance(value, (list, tuple)) else []
