"""Virtual time."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from datetime import UTC, datetime, timedelta

#: Where every fake starts unless told otherwise.
EPOCH = datetime(2026, 3, 4, 12, 0, 0, tzinfo=UTC)


class FakeClock:
    """Virtual time. `sleep` returns when `advance` reached its end; with `auto` it moves the time by itself."""

    def __init__(self, start: datetime = EPOCH, *, auto: bool = False) -> None:
        self._now = start
        self._tick = 0.0
        self._auto = auto
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def now(self) -> datetime:
        """Wall time, aware UTC."""
        return self._now

    def tick(self) -> float:
        """Monotonic seconds since the clock was made."""
        return self._tick

    async def sleep(self, seconds: float) -> None:
        """Wait for virtual seconds."""
        if self._auto:
            self._move(max(0.0, seconds))
            await asyncio.sleep(0)
            return
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._tick + max(0.0, seconds), next(self._order), woken))
        await woken

    async def advance(self, span: float | timedelta) -> None:
        """Let `span` pass: sleepers wake in order, each at its own time, and get to run before the next one wakes."""
        seconds = span.total_seconds() if isinstance(span, timedelta) else span
        end = self._tick + seconds
        await self._settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            due, _, woken = heapq.heappop(self._sleepers)
            self._move(max(0.0, due - self._tick))
            if not woken.done():
                woken.set_result(None)
            await self._settle()
        self._move(end - self._tick)
        await self._settle()

    def jump(self, span: timedelta) -> None:
        """Set the wall clock forward or back without time passing (a clock correction)."""
        self._now += span

    def _move(self, seconds: float) -> None:
        self._tick += seconds
        self._now += timedelta(seconds=seconds)

    @staticmethod
    async def _settle() -> None:
        # A woken task may itself wake others; a few dozen turns let any sane chain run dry.
        for _ in range(50):
            await asyncio.sleep(0)
