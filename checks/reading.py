"""What several kinds share: reading many targets at once, each failing alone, and sums over metric windows."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar

from monitor.plugin import (
    MetricQuery,
    MetricSeries,
    Observation,
    ProbeContext,
    ProbeError,
    Reason,
    Resource,
    ResourceKind,
    Selector,
    Signal,
)

T = TypeVar("T")

#: Targets of one check read at the same time. The reader paces the calls; this only bounds what waits in memory.
AT_ONCE = 16
#: The same where a read is one metric: all of them are to fall into one GetMetricData window, and cost a future each.
METRICS_AT_ONCE = 10_000

MINUTE = timedelta(seconds=60)


def observe(
    signal: Signal, target: str, value: float, at: datetime, *, detail: str = "", lower_bound: bool = False
) -> Observation:
    """A value that was read; `detail` says what a person wants to know beside the number."""
    return Observation(signal.name, target, value, signal.unit, at, None, detail, exists=True, lower_bound=lower_bound)


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


class Named(Protocol):
    """What a target is made of: a Resource, or anything else with a short name."""

    @property
    def name(self) -> str:
        """The target's name."""


@dataclass(frozen=True, slots=True)
class Bare:
    """A target that has nothing but its name: discovery does not know its sort."""

    name: str


N = TypeVar("N", bound=Named)


async def each(
    resources: Sequence[N],
    read: Callable[[N], Awaitable[list[Observation]]],
    signals: Sequence[Signal],
    at_once: int = AT_ONCE,
) -> list[Observation]:
    """`read` of every resource, concurrently; one that fails is unknown on all `signals` and disturbs no other."""
    slots = asyncio.Semaphore(at_once)

    async def one(resource: N) -> list[Observation]:
        async with slots:
            try:
                return await read(resource)
            except ProbeError as error:
                return unknown(signals, resource.name, error)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(resource)) for resource in resources]
    return [observation for task in tasks for observation in task.result()]


@dataclass(frozen=True, slots=True)
class Group(Generic[N]):
    """Resources of one service, how one of them is read, and which signals that fills."""

    resources: Sequence[N]
    read: Callable[[N], Awaitable[list[Observation]]]
    signals: Sequence[Signal]


async def each_of(groups: Sequence[Group[Any]]) -> list[Observation]:
    """`each` of several groups at once. Raises ProbeError(invalid) if two of their resources share a name."""
    names = Counter(resource.name for group in groups for resource in group.resources)
    twice = sorted(name for name, count in names.items() if count > 1)
    if twice:
        raise ProbeError(
            Reason.INVALID, f"resources of two services are called {twice[0]}: give each a check of its own"
        )
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(each(group.resources, group.read, group.signals)) for group in groups]
    return [observation for task in running for observation in task.result()]


async def find_any(ctx: ProbeContext, kind: ResourceKind, selector: Selector | None) -> list[Resource]:
    """What an optional selector selects."""
    return await ctx.aws.find(kind, selector) if selector else []


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
