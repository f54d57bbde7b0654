"""One survey's reads: what is refused is remembered with the IAM action it lacks, and the rest goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from monitor.plugin import ProbeError, Reads, Reason
from monitor.starter.inventory import Gap, Inventory, Kind

T = TypeVar("T")

#: Reads at the same time; how fast they may follow each other is the AWS room's to say.
SIDE_BY_SIDE = 16


@dataclass(slots=True)
class Reading:
    """AWS, what was found so far, and how many of a kind are read at most."""

    aws: Reads
    found: Inventory
    limit: int
    _places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(SIDE_BY_SIDE))

    async def one(self, what: str, action: str, call: Awaitable[T]) -> T | None:
        """The reply, or None after noting the gap; what vanished meanwhile is no gap."""
        if any(gap.denied and gap.action == action for gap in self.found.gaps):
            # Refused once is refused for all: no hundred further calls that can't succeed.
            if isinstance(call, Coroutine):
                call.close()
            return None
        try:
            async with self._places:
                return await call
        except ProbeError as error:
            self.missed(what, action, error)
            return None

    async def rows(
        self, kind: Kind | str, action: str, pages: AsyncIterator[Mapping[str, Any]], field_name: str
    ) -> list[Any]:
        """The rows of all pages up to the limit; none after a refusal, which is noted."""
        what = kind.plural if isinstance(kind, Kind) else kind
        rows: list[Any] = []
        try:
            async for page in pages:
                rows.extend(page.get(field_name) or ())
                if len(rows) > self.limit:
                    self.found.bounded.append(
                        f"{what}: read {self.limit} and left the rest unread; --limit {self.limit * 5} reads more"
                    )
                    return rows[: self.limit]
        except ProbeError as error:
            self.missed(what, action, error)
        return rows

    async def each(self, items: Sequence[T], work: Callable[[T], Awaitable[None]]) -> None:
        """Work on all of them, some side by side."""
        async with asyncio.TaskGroup() as group:
            for item in items:
                group.create_task(_run(work(item)), name="starter:read")

    def missed(self, what: str, action: str, error: ProbeError) -> None:
        """Note what could not be read."""
        if error.reason is Reason.NOT_FOUND:
            return
        denied = error.reason is Reason.DENIED
        self.found.gaps.add(Gap(what, action, "denied" if denied else f"{error.reason}: {error.detail}", denied))


async def _run(work: Awaitable[None]) -> None:
    await work
