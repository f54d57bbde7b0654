"""Time that a scene moves by hand."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass(order=True, slots=True)
class Sleeper:
    """A task that waits for `due` (a tick), `seconds` from when it began to."""

    due: float
    order: int
    seconds: float = field(compare=False)
    task: str = field(compare=False)
    woken: asyncio.Future[None] = field(compare=False)


class SceneClock:
    """The daemon's clock. `sleep` ends when `move` came to its end; nothing moves by itself.

    It knows who sleeps, so that a scene can tell a call that is paced (milliseconds, part of the work in hand) from a
    loop that waits for its next turn.
    """

    def __init__(self, start: datetime) -> None:
        self._now = start
        self._tick = 0.0
        self._sleepers: list[Sleeper] = []
        self._order = itertools.count()

    def now(self) -> datetime:
        """Wall time, aware UTC."""
        return self._now

    def tick(self) -> float:
        """Seconds since the scene began."""
        return self._tick

    async def sleep(self, seconds: float) -> None:
        """Wait for seconds of the scene's time."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        task = asyncio.current_task()
        woken = asyncio.get_running_loop().create_future()
        name = task.get_name() if task is not None else ""
        heapq.heappush(self._sleepers, Sleeper(self._tick + seconds, next(self._order), seconds, name, woken))
        await woken

    def next_due(self, wanted: Callable[[Sleeper], bool]) -> float | None:
        """The earliest tick for which one that is `wanted` waits."""
        self._sleepers = [sleeper for sleeper in self._sleepers if not sleeper.woken.done()]
        heapq.heapify(self._sleepers)
        return min((sleeper.due for sleeper in self._sleepers if wanted(sleeper)), default=None)

    def move(self, tick: float) -> None:
        """Go on to `tick` and wake whoever waited for it."""
        span = max(0.0, tick - self._tick)
        self._tick += span
        self._now += timedelta(seconds=span)
        while self._sleepers and self._sleepers[0].due <= self._tick + 1e-9:
            woken = heapq.heappop(self._sleepers).woken
            if not woken.done():
                woken.set_result(None)
