"""What several kinds share: reading many targets at once, each failing alone, and sums over metric windows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from monitor.plugin import MetricQuery, MetricSeries, Observation, ProbeContext, ProbeError, Reason, Resource, Signal

T = TypeVar("T")

#: Targets of one check read at the same time. The reader paces the calls; this only bounds what waits in memory.
AT_ONCE = 16

MINUTE = timedelta(seconds=60)


def observe(signal: Signal, target: str, value: float, at: datetime, *, lower_bound: bool = False) -> Observation:
    """A value that was read."""
    return Observation(signal.name, target, value, signal.unit, at, exists=True, lower_bound=lower_bound)


def absent(signal: Signal, target: str, detail: str, *, exists: bool) -> Observation:
    """No point where one could be: `missing:` decides. `exists` says that the resource itself was seen."""
    return Observation(signal.name, target, None, signal.unit, detail=detail, exists=exists)


def unknown(signals: Iterable[Signal], target: str, error: ProbeError) -> list[Observation]:
    """The failed read, on each of `signals`."""
    return [
        Observation(signal.name, target, None, signal.unit, reason=error.reason, detail=error.detail)
        for signal in signals
    ]


async def attempt(read: Awaitable[T]) -> T | ProbeError:
    """The result, or the ProbeError as a value: for a source whose failure must not reach other signals."""
    try:
        return await read
    except ProbeError as error:
        return error


async def each(
    resources: Sequence[Resource],
    read: Callable[[Resource], Awaitable[list[Observation]]],
    signals: Sequence[Signal],
) -> list[Observation]:
    """`read` of every resource, concurrently; one that fails is unknown on all `signals` and disturbs no other."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(resource: Resource) -> list[Observation]:
        async with slots:
            try:
                return await read(resource)
            except ProbeError as error:
                return unknown(signals, resource.name, error)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(resource)) for resource in resources]
    return [observation for task in tasks for observation in task.result()]


def whole_minutes(window: timedelta) -> int:
    """How many 60 s periods fit into a window, at least one."""
    return max(1, int(window / MINUTE))


async def sums(ctx: ProbeContext, queries: Sequence[MetricQuery]) -> list[tuple[float, datetime] | None]:
    """Per query the sum over its window and the end of its newest period; None where the window holds no datapoint."""
    return [_total(series) for series in await ctx.aws.metrics(queries)]


def _total(series: MetricSeries) -> tuple[float, datetime] | None:
    if series.last is None:
        return None
    return sum(value for _, value in series.points), series.last[0]


def number(text: object, what: str) -> float:
    """A number that AWS writes as text. Raises ProbeError(invalid) if it isn't there or isn't one."""
    try:
        return float(text)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise ProbeError(Reason.INVALID, f"{what} is {text!r}, not a number") from None
