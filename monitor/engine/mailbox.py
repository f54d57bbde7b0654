"""What people ask of a breaker, waiting for its worker: taken between two pieces of work, each answered once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from monitor.core.breaker import IllegalTransition
from monitor.core.ports import StoreError
from monitor.core.view import Outcome

Order = Callable[[], Awaitable[Outcome]]


@dataclass(slots=True)
class _Mail:
    order: Order
    answer: asyncio.Future[Outcome]


class Mailbox:
    """Orders in, outcomes out. `interrupt`: why a long action should stop at its next safe point, or None."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._mail: deque[_Mail] = deque()
        self._closed: str | None = None
        self.interrupt: str | None = None

    async def put(self, order: Order, interrupt: str | None = None) -> Outcome:
        """Have `order` done by the worker; its outcome. An order whose caller gave up waiting is not taken."""
        if self._closed is not None:
            return Outcome(False, f"nothing was changed: {self._closed}")
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._mail.append(_Mail(order, answer))
        if interrupt is not None:
            self.interrupt = interrupt
        self._wake()
        return await answer

    async def take(self) -> bool:
        """Do all that waits; False if the state could not be written (what is in memory may be outdated)."""
        written = True
        while self._mail:
            mail = self._mail.popleft()
            if mail.answer.done():
                continue
            outcome = Outcome(False, "the command failed by a bug; the log has it")
            try:
                outcome = await mail.order()
            except IllegalTransition as error:
                outcome = Outcome(False, str(error))
            except StoreError as error:
                written = False
                outcome = Outcome(False, f"nothing was changed, the state can't be written: {error}")
            finally:
                if not mail.answer.done():
                    mail.answer.set_result(outcome)
        self.interrupt = self._closed
        return written

    def close(self, why: str) -> None:
        """No orders from now on; what runs is interrupted."""
        self._closed = self.interrupt = why
        while self._mail:
            answer = self._mail.popleft().answer
            if not answer.done():
                answer.set_result(Outcome(False, f"nothing was changed: {why}"))
        self._wake()
