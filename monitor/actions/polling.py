"""Waiting for a state of AWS's to settle, with progress and without hurry."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from monitor.plugin import ActionContext, ActionError, Reason

T = TypeVar("T")


async def until(
    read: Callable[[], Awaitable[T]], settled: Callable[[T], bool], ctx: ActionContext, what: str, *, minutes: float
) -> T:
    """The state once it is settled, asked every 5 seconds at most. Raises ActionError(unavailable) after `minutes`.

    A step that ends so is retried and looks again: nothing is lost but patience.
    """
    waited, pause = 0.0, 1.0
    while True:
        state = await read()
        if settled(state):
            return state
        if waited >= minutes * 60:
            raise ActionError(Reason.UNAVAILABLE, f"{what} is still {state} after {round(waited)} s")
        await ctx.sleep(pause)
        waited, pause = waited + pause, min(5.0, pause * 1.5)
