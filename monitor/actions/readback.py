"""Reading back: an effect that can't be seen is not an effect (law 5)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from monitor.plugin import ActionContext, ActionError, Json, Reason


async def confirmed(
    read: Callable[[], Awaitable[Json]], wanted: Json, ctx: ActionContext, what: str, *, tries: int = 8
) -> Json:
    """The live value once it equals `wanted`, read up to `tries` times with growing pauses (8 tries: about 25 s).

    AWS control planes are eventually consistent, so one stale answer proves nothing. Raises
    ActionError(unavailable) when the value never shows, which the dispatcher retries.
    """
    pause = 0.25
    live = await read()
    for _ in range(tries - 1):
        if live == wanted:
            return live
        await ctx.sleep(pause)
        pause = min(pause * 2, 8.0)
        live = await read()
    if live != wanted:
        raise ActionError(Reason.UNAVAILABLE, f"{what} was set to {shown(wanted)} but reads back as {shown(live)}")
    return live


def shown(value: Json) -> str:
    """A property's value in a sentence; None is a state of its own."""
    if value is None:
        return "unset"
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 100 else text[:97] + "..."
