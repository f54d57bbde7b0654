"""Identical reads are one call: while it is in flight, and for a short while after it landed."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from monitor.core.model import Reason
from monitor.core.ports import Clock
from monitor.plugin import ProbeError


class Spawned(Protocol):
    """A running background task."""

    def cancel(self) -> object:
        """Ask it to end."""


#: spawn(name, work): runs work in the background under the supervisor.
Spawn = Callable[[str, Coroutine[Any, Any, None]], Spawned]


@dataclass(slots=True)
class _Flight:
    """A read on its way. `landed` holds the reply or the ProbeError; it never raises by itself."""

    landed: asyncio.Future[Any]
    waiting: int = 0
    task: Spawned | None = None


class Flights:
    """Shares reads by key. A cancelled caller leaves the others waiting; the last one to leave ends the call."""

    def __init__(self, clock: Clock, spawn: Spawn, freshness: timedelta, most: int = 512) -> None:
        self._clock = clock
        self._spawn = spawn
        self._freshness = freshness.total_seconds()
        self._most = most
        self._flying: dict[Hashable, _Flight] = {}
        self._fresh: OrderedDict[Hashable, tuple[float, Any]] = OrderedDict()

    async def share(self, key: Hashable, read: Callable[[], Awaitable[Any]], *, keep: bool = True) -> Any:
        """The reply of `read`, which may be another caller's. `keep`: share it for the freshness window afterwards.

        Raises the ProbeError that `read` raised. Failures are shared in flight only.
        """
        kept = self._fresh.get(key)
        if kept is not None and self._clock.tick() - kept[0] < self._freshness:
            return kept[1]
        flight = self._flying.get(key)
        if flight is None:
            flight = self._flying[key] = _Flight(asyncio.get_running_loop().create_future())
            flight.task = self._spawn("aws.read", self._fly(key, flight, read, keep))
        flight.waiting += 1
        try:
            landed = await asyncio.shield(flight.landed)
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.landed.done():
                self._leave(key, flight)
        if isinstance(landed, ProbeError):
            raise ProbeError(landed.reason, landed.detail)
        return landed

    def forget(self, applies: Callable[[Hashable], bool]) -> None:
        """Share nothing more that was read under a key that `applies`, landed or in flight: it may be outdated."""
        for key in [key for key in self._fresh if applies(key)]:
            del self._fresh[key]
        for key in [key for key in self._flying if applies(key)]:
            del self._flying[key]

    def forget_replies(self, applies: Callable[[Any, Any], bool]) -> None:
        """Share no kept reply of which `applies(key, reply)` is true: it is known to be outdated."""
        for key in [key for key, (_, reply) in self._fresh.items() if applies(key, reply)]:
            del self._fresh[key]

    async def _fly(self, key: Hashable, flight: _Flight, read: Callable[[], Awaitable[Any]], keep: bool) -> None:
        outcome: Any = ProbeError(Reason.UNAVAILABLE, "the read was cut off because the daemon stops")
        try:
            outcome = await read()
        except ProbeError as error:
            outcome = error
        except Exception as error:
            outcome = ProbeError(Reason.BUG, f"{type(error).__name__}: {error}")
            raise
        finally:
            if not flight.landed.done():
                flight.landed.set_result(outcome)
            if self._flying.get(key) is flight:
                del self._flying[key]
                if keep and not isinstance(outcome, ProbeError):
                    self._store(key, outcome)

    def _leave(self, key: Hashable, flight: _Flight) -> None:
        if self._flying.get(key) is flight:
            del self._flying[key]
        if flight.task is not None:
            flight.task.cancel()

    def _store(self, key: Hashable, reply: Any) -> None:
        now = self._clock.tick()
        self._fresh.pop(key, None)
        self._fresh[key] = (now, reply)
        while self._fresh:  # oldest first, so what is stale stands in front
            oldest = next(iter(self._fresh))
            if len(self._fresh) <= self._most and now - self._fresh[oldest][0] < self._freshness:
                break
            del self._fresh[oldest]


def freeze(value: Any) -> Hashable:
    """A hashable stand-in for request parameters; equal for equal values, whatever the order of their keys."""
    if isinstance(value, dict):
        return tuple(sorted((str(name), freeze(part)) for name, part in value.items()))
    if isinstance(value, (list, tuple)):
        return ("list", *map(freeze, value))
    # 1, 1.0 and True are equal in Python and not to AWS.
    return (type(value).__name__, value) if isinstance(value, Hashable) else repr(value)
