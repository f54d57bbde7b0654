"""GetMetricData for everybody at once: all queries that arrive within a tick become ceil(n / 500) calls.

Queries of any namespace and period share a call. A query that AWS refuses as malformed is found by halving its batch
and asked alone from then on, so that it takes no other check's metrics with it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from monitor.aws.calls import Caller, CallFailed, Place
from monitor.aws.flights import Spawn
from monitor.aws.pricing import METRIC
from monitor.aws.settings import AwsSettings
from monitor.aws.windows import Batch, Key, Wanted, key_of, plan
from monitor.core.model import Reason
from monitor.core.ports import AwsMeter, Clock
from monitor.plugin import MetricQuery, MetricSeries, ProbeError

_MOST_SUSPECTS = 1000
_MOST_PAGES = 200
_MOST_STATS = 20_000

#: What a final status other than Complete means for its series alone.
_STATUS = {
    "PartialData": (Reason.UNAVAILABLE, "CloudWatch returned only a part of this metric"),
    "InternalError": (Reason.UNAVAILABLE, "CloudWatch had an internal error for this metric"),
    "Forbidden": (Reason.DENIED, "CloudWatch denies this metric to this role"),
}

Points = tuple[tuple[datetime, float], ...]


@dataclass(frozen=True, slots=True)
class _Answer:
    """Points of a series up to `end` (epoch seconds, exclusive), perhaps more of them than one caller wants."""

    points: Points
    end: int

    def newest(self, periods: int, period: int) -> Points:
        after = self.end - periods * period
        if not self.points or self.points[0][0].timestamp() > after:
            return self.points
        return tuple(point for point in self.points if point[0].timestamp() > after)


@dataclass(eq=False, slots=True)
class _Ask:
    """One caller's queries; `done` is its own, so its cancellation is too."""

    done: asyncio.Future[None]
    missing: int
    found: dict[Key, _Answer | ProbeError] = field(default_factory=dict)

    def answer(self, key: Key, answer: _Answer | ProbeError) -> None:
        self.found[key] = answer
        self.missing -= 1
        if not self.missing and not self.done.done():
            self.done.set_result(None)


class MetricReader:
    """Collects, plans, asks and hands out, for one identity in one region."""

    def __init__(
        self, place: Place, settings: AwsSettings, caller: Caller, clock: Clock, meter: AwsMeter, spawn: Spawn
    ) -> None:
        self._place = place
        self._settings = settings
        self._caller = caller
        self._clock = clock
        self._meter = meter
        self._spawn = spawn
        self._waiting: list[tuple[_Ask, Mapping[Key, int]]] = []
        self._suspects: OrderedDict[Key, None] = OrderedDict()
        self._stats: dict[Key, dict[str, Any]] = {}

    async def read(self, queries: Sequence[MetricQuery]) -> list[MetricSeries]:
        """One series per query, in order. Raises ProbeError if any of them is unknown."""
        if not queries:
            return []
        keys = [key_of(query) for query in queries]
        points: dict[Key, int] = {}
        for key, query in zip(keys, queries, strict=True):
            points[key] = max(points.get(key, 1), query.points)
        ask = _Ask(asyncio.get_running_loop().create_future(), len(points))
        self._waiting.append((ask, points))
        if len(self._waiting) == 1:
            self._spawn("aws.metrics", self._collect())
        await ask.done
        series = []
        for key, query in zip(keys, queries, strict=True):
            found = ask.found[key]
            if isinstance(found, ProbeError):
                raise ProbeError(found.reason, f"{query.namespace} {query.metric}: {found.detail}")
            series.append(MetricSeries(query, found.newest(query.points, key[4])))
        return series

    async def _collect(self) -> None:
        asks: list[tuple[_Ask, Mapping[Key, int]]] = []
        try:
            await self._clock.sleep(self._settings.collect.total_seconds())
            asks, self._waiting = self._waiting, []
            await self._send([(ask, points) for ask, points in asks if not ask.done.done()])
        finally:
            # Only a cancellation (or a bug) leaves questions open here.
            for ask, points in asks or self._take():
                for key in points:
                    if key not in ask.found:
                        ask.answer(key, ProbeError(Reason.UNAVAILABLE, "the read was cut off"))

    def _take(self) -> list[tuple[_Ask, Mapping[Key, int]]]:
        asks, self._waiting = self._waiting, []
        return asks

    async def _send(self, asks: Sequence[tuple[_Ask, Mapping[Key, int]]]) -> None:
        longest: dict[Key, int] = {}
        askers: dict[Key, list[_Ask]] = {}
        for ask, points in asks:
            for key, count in points.items():
                longest[key] = max(longest.get(key, 1), count)
                askers.setdefault(key, []).append(ask)
        now = self._clock.now()
        batches, refused = plan(longest, now, self._settings.settle, alone=self._suspects)
        for key, error in refused.items():
            _hand_out(askers[key], key, error)
        async with asyncio.TaskGroup() as group:
            for batch in batches:
                group.create_task(self._read_batch(batch, askers))

    async def _read_batch(self, batch: Batch, askers: Mapping[Key, list[_Ask]]) -> None:
        try:
            found = await self._ask(batch)
        except CallFailed as error:
            if error.failure.reason is Reason.INVALID and len(batch.wanted) > 1:
                for half in batch.halves():
                    await self._read_batch(half, askers)
                return
            if error.failure.reason is Reason.INVALID:
                self._suspect(batch.wanted[0].key)
            for wanted in batch.wanted:
                _hand_out(askers[wanted.key], wanted.key, error.failure.as_probe_error())
            return
        for wanted, answer in zip(batch.wanted, found, strict=True):
            _hand_out(askers[wanted.key], wanted.key, answer)

    async def _ask(self, batch: Batch) -> list[_Answer | ProbeError]:
        """The points of every wanted series of a batch, in order; raises CallFailed if a page fails."""
        request: dict[str, Any] = {
            "MetricDataQueries": [
                {"Id": f"q{index}", "MetricStat": self._stat(wanted.key)} for index, wanted in enumerate(batch.wanted)
            ],
            "StartTime": datetime.fromtimestamp(batch.start, UTC),
            "EndTime": datetime.fromtimestamp(batch.end, UTC),
            "ScanBy": "TimestampAscending",
        }
        rows: list[list[tuple[datetime, float]]] = [[] for _ in batch.wanted]
        status: list[str] = [""] * len(batch.wanted)
        for page in range(_MOST_PAGES):
            reply = await self._caller.call(self._place, "cloudwatch", "GetMetricData", request, hot=True)
            if page == 0:
                self._meter.aws_metrics_requested(len(batch.wanted))
                self._meter.aws_cost("cloudwatch", len(batch.wanted) * METRIC)
            for result in reply.get("MetricDataResults", ()):
                index = int(result["Id"][1:])
                status[index] = result.get("StatusCode", "")
                rows[index].extend(zip(result.get("Timestamps", ()), result.get("Values", ()), strict=True))
            token = reply.get("NextToken")
            if not token:
                break
            request["NextToken"] = token
        else:
            status = ["PartialData"] * len(batch.wanted)
        return [_series(*row) for row in zip(batch.wanted, rows, status, strict=True)]

    def _stat(self, key: Key) -> dict[str, Any]:
        """The query of a series, kept because the same ones are asked every round."""
        found = self._stats.get(key)
        if found is None:
            if len(self._stats) >= _MOST_STATS:
                self._stats.clear()
            found = self._stats[key] = _metric_stat(key)
        return found

    def _suspect(self, key: Key) -> None:
        self._suspects[key] = None
        if len(self._suspects) > _MOST_SUSPECTS:
            self._suspects.popitem(last=False)


def _hand_out(asks: Sequence[_Ask], key: Key, answer: _Answer | ProbeError) -> None:
    for ask in asks:
        ask.answer(key, answer)


def _metric_stat(key: Key) -> dict[str, Any]:
    namespace, metric, dimensions, stat, period = key
    named = [{"Name": name, "Value": value} for name, value in dimensions]
    metric_named = {"Namespace": namespace, "MetricName": metric, "Dimensions": named}
    return {"Metric": metric_named, "Period": period, "Stat": stat}


def _series(wanted: Wanted, rows: list[tuple[datetime, float]], status: str) -> _Answer | ProbeError:
    """Complete periods of the wanted window only. A series that AWS did not answer for is unknown, never empty."""
    if status != "Complete":
        reason, text = _STATUS.get(status, (Reason.UNAVAILABLE, f"CloudWatch answered {status or 'nothing'}"))
        return ProbeError(reason, text)
    period = timedelta(seconds=wanted.key[4])
    rows.sort()
    points = tuple((stamp + period, value) for stamp, value in rows if wanted.start <= stamp.timestamp() < wanted.end)
    return _Answer(points, wanted.end)
