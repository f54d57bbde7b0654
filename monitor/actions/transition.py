"""Changes that take several calls: half done, they must be known as ours and not as somebody's edit.

The value of such a property is a mapping of parts. Before the first call the way (from, to) is remembered; while every
part is at one of its two ends, `capture` says where the way started, so that the dispatcher resumes it (law 5).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from monitor.plugin import ActionContext, Json

_KEY = "moving"


def steady(live: Json, ctx: ActionContext) -> Json:
    """`live`, or the start of our own way while that is half done."""
    way = _way(ctx)
    if way is None or not isinstance(live, Mapping):
        return live
    start, end = way
    if live == end or not live.keys() <= start.keys() | end.keys():
        return live
    parts = start.keys() | end.keys()
    ours = all(live.get(part) in (start.get(part), end.get(part)) for part in parts)
    return dict(start) if ours else live


async def depart(live: Json, end: Json, ctx: ActionContext) -> None:
    """Remember the way, durably; call before the first of its calls. A resumed way keeps its start."""
    way = _way(ctx)
    if way is None or way[1] != end:
        await ctx.remember(**{_KEY: [live, end]})


async def arrive(ctx: ActionContext) -> None:
    """The way is over: what differs from now on is somebody else's."""
    if ctx.memory.get(_KEY) is not None:
        await ctx.remember(**{_KEY: None})


def _way(ctx: ActionContext) -> tuple[Mapping[str, Json], Mapping[str, Json]] | None:
    way = ctx.memory.get(_KEY)
    if isinstance(way, Sequence) and len(way) == 2 and isinstance(way[0], Mapping) and isinstance(way[1], Mapping):
        return way[0], way[1]
    return None
