"""Long computations take turns with everything else on the loop.

Judging ten thousand readings takes most of a second. Done in one go, or in twenty goes that are all due at once, it
delays every answer of the HTTP face by as much. Here one computation at a time works, a few milliseconds at a stretch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import TypeVar

T = TypeVar("T")

#: Seconds of work between two turns of the loop: some requests take five turns, and must be answered within 100 ms.
STRETCH = 0.004


class Turns:
    """`tick` gives monotonic seconds; under virtual time no stretch ever ends, so that tests stay deterministic."""

    def __init__(self, tick: Callable[[], float]) -> None:
        self._tick = tick
        self._one_at_a_time = asyncio.Lock()

    async def take(self, work: Generator[None, None, T]) -> T:
        """Run `work`, which yields wherever it may be interrupted, and return what it returns."""
        async with self._one_at_a_time:
            until = self._tick() + STRETCH
            while True:
                try:
                    next(work)
                except StopIteration as ended:
                    return ended.value  # type: ignore[no-any-return]  # the generator's own T
                if self._tick() >= until:
                    await asyncio.sleep(0)
                    until = self._tick() + STRETCH
