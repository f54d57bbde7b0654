"""The bounded feed of what happened: logs and live viewers read it; nothing is decided by it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Any

import structlog

from monitor.core.codec import encode
from monitor.core.model import Json
from monitor.core.ports import Clock

log = structlog.get_logger("tripswitch")


class Feed:
    """Numbered events, the newest thousand."""

    def __init__(self, clock: Clock, size: int = 1000) -> None:
        self._clock = clock
        self._events: deque[dict[str, Json]] = deque(maxlen=size)
        self._sequence = 0
        self._news = asyncio.Event()

    @property
    def sequence(self) -> int:
        """Number of the newest event."""
        return self._sequence

    def say(self, event: str, *, level: str = "info", **fields: Any) -> None:
        """Log `event` (dotted, past tense) and publish it. Fields must be JSON or our own values."""
        plain = {key: encode(value) for key, value in fields.items() if value is not None}
        self._sequence += 1
        self._events.append({**plain, "event": event, "id": self._sequence, "at": encode(self._clock.now())})
        self._news.set()
        self._news = asyncio.Event()
        getattr(log, level)(event, **plain)

    def since(self, sequence: int) -> tuple[int, list[Mapping[str, Json]]]:
        """(newest number, events after `sequence`, oldest first); older ones than the feed keeps are gone."""
        return self._sequence, [event for event in self._events if _number(event) > sequence]

    async def wait(self, sequence: int, seconds: float) -> None:
        """Until something newer than `sequence` exists, or `seconds` passed."""
        if self._sequence > sequence:
            return
        news = self._news
        try:
            async with asyncio.timeout(seconds):
                await news.wait()
        except TimeoutError:
            return


def _number(event: Mapping[str, Json]) -> int:
    number = event["id"]
    return number if isinstance(number, int) else 0
