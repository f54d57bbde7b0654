"""Which GetMetricData calls answer a set of queries. Pure: time is an argument.

AWS limits a call to 500 queries and 100,800 points, and keeps periods under a minute for 3 hours, under 5 minutes for
15 days and under an hour for 63 days (CloudWatch API reference, GetMetricData and MetricStat). All queries of a call
share one window, so short windows go together first.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import gcd, lcm

from monitor.core.model import Reason
from monitor.plugin import MetricQuery, ProbeError

#: namespace, metric, dimensions by name, statistic, period in seconds.
Key = tuple[str, str, tuple[tuple[str, str], ...], str, int]

QUERIES_PER_CALL = 500
POINTS_PER_CALL = 100_800
_LONGEST_ALIGNMENT = 86_400
_HOUR, _DAY = 3600, 86_400


@dataclass(frozen=True, slots=True)
class Wanted:
    """A series and the epoch seconds of its window: whole, complete periods, `end` exclusive."""

    key: Key
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Batch:
    """One call: at most 500 series over one window (epoch seconds)."""

    wanted: tuple[Wanted, ...]
    start: int
    end: int

    def halves(self) -> tuple[Batch, Batch]:
        """The same series in two calls."""
        middle = len(self.wanted) // 2
        return _batch(self.wanted[:middle]), _batch(self.wanted[middle:])


def key_of(query: MetricQuery) -> Key:
    """What makes two queries the same series (all but the number of points)."""
    dimensions = query.dimensions if len(query.dimensions) < 2 else tuple(sorted(query.dimensions))
    return (query.namespace, query.metric, dimensions, query.stat, int(query.period.total_seconds()))


def plan(
    points: Mapping[Key, int], now: datetime, settle: timedelta, *, alone: Container[Key] = ()
) -> tuple[list[Batch], dict[Key, ProbeError]]:
    """Calls that cover `points` periods of each series, and the series that AWS can't answer.

    A period counts once its end plus `settle` has passed. Series in `alone` get a call each.
    """
    seconds = (now - settle).timestamp()
    wanted: list[Wanted] = []
    refused: dict[Key, ProbeError] = {}
    for key, count in points.items():
        problem = _problem(key, count)
        if problem:
            refused[key] = ProbeError(Reason.INVALID, problem)
            continue
        period = key[4]
        end = int(seconds // period) * period
        one = Wanted(key, end - count * period, end)
        kept = _grain(now.timestamp() - one.start)
        if period % kept:
            refused[key] = ProbeError(Reason.INVALID, f"for data that old the period must be a multiple of {kept}s")
        else:
            wanted.append(one)
    batches = [_batch((one,)) for one in wanted if one.key in alone]
    shared = sorted((one for one in wanted if one.key not in alone), key=lambda one: -one.start)
    batches.extend(_pack(shared, now.timestamp()))
    return batches, refused


def _problem(key: Key, count: int) -> str:
    period = key[4]
    if period <= 0 or (period % 60 and period not in (1, 5, 10, 20, 30)):
        return f"a period of {period}s is not possible: 1, 5, 10, 20, 30 or a multiple of 60 seconds"
    if count < 1:
        return "points must be at least 1"
    if count > POINTS_PER_CALL:
        return f"{count} points are more than one call may return ({POINTS_PER_CALL})"
    return ""


def _pack(wanted: Iterable[Wanted], now: float) -> Iterable[Batch]:
    """Greedy, shortest window first."""
    batch: list[Wanted] = []
    density = 0.0  # points per second of window
    grain = 0
    align = 1
    for one in wanted:
        period = one.key[4]
        next_align = _alignment(align, period)
        start = _floor(min(one.start, batch[-1].start) if batch else one.start, next_align)
        next_density = density + 1 / period
        fits = (
            len(batch) < QUERIES_PER_CALL
            and (now - start) * next_density <= POINTS_PER_CALL
            and gcd(grain, period) % _grain(now - start) == 0
        )
        if batch and not fits:
            yield _batch(tuple(batch))
            batch, next_density, grain, next_align = [], 1 / period, 0, period
        batch.append(one)
        density, grain, align = next_density, gcd(grain, period), next_align
    if batch:
        yield _batch(tuple(batch))


def _batch(wanted: tuple[Wanted, ...]) -> Batch:
    align = 1
    for period in sorted({one.key[4] for one in wanted}):
        align = _alignment(align, period)
    # On the boundary of every period in it: some answerers cut periods from StartTime on instead of from the clock.
    start = _floor(min(one.start for one in wanted), align)
    return Batch(wanted, start, max(one.end for one in wanted))


def _alignment(align: int, period: int) -> int:
    if align % period == 0:
        return align
    common = lcm(align, period)
    return common if common <= max(_LONGEST_ALIGNMENT, period) else max(align, period)


def _floor(value: int, step: int) -> int:
    return value // step * step


def _grain(age: float) -> int:
    """The finest period AWS still has after `age` seconds."""
    if age <= 3 * _HOUR:
        return 1
    if age <= 15 * _DAY:
        return 60
    return 300 if age <= 63 * _DAY else _HOUR
