"""Bounded concurrency for actions on many things."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from monitor.plugin import ActionError, Held, ProbeError

T = TypeVar("T")


async def each(items: Iterable[T], work: Callable[[T], Awaitable[None]], workers: int) -> None:
    """Runs `work` on every item, at most `workers` at once.

    The first ActionError, ProbeError or Held ends it: what is in hand is finished, nothing new is begun, and then
    that error is raised as it is (a gate that closed before other failures).
    """
    waiting = iter(items)
    failures: list[Exception] = []

    async def worker() -> None:
        for item in waiting:
            try:
                await work(item)
            except (ActionError, ProbeError, Held) as error:
                failures.append(error)
            if failures:
                return

    async with asyncio.TaskGroup() as group:
        for _ in range(workers):
            group.create_task(worker())
    if failures:
        raise next((error for error in failures if isinstance(error, Held)), failures[0])
