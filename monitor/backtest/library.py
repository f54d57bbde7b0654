"""CloudWatch's past, downloaded once and kept: minutes reach back 15 days, 5 minutes 63 days, hours 455 days.

(API_GetMetricData: data points with a period of under 60 s are kept for 3 hours, of 60 s for 15 days, of 300 s for 63
days, of 3,600 s for 455 days.) A series older than its own period allows is read coarser and spread evenly over its
periods: sums are divided, everything else is repeated. That is said in the result.

Downloading goes through the same reader as the daemon's: at most 500 metrics and 100,800 points a call, paced, retried.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import math
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from monitor.aws.pricing import METRIC
from monitor.aws.windows import Key, key_of
from monitor.backtest.tape import Span
from monitor.plugin import MetricQuery, ProbeError, Reads

#: (kept for seconds, finest period): an hour less than AWS says, so that nothing expires while it is being read.
_KEPT = ((2 * 3600, 1), (15 * 86_400 - 3600, 60), (63 * 86_400 - 3600, 300), (455 * 86_400 - 3600, 3600))
#: Points that arrived late: what is cached is read again this far back.
_LATE = 3 * 3600
#: Series asked for in one go are at most what a call of the reader may hold, and so many points in memory.
_SERIES_AT_ONCE, _POINTS_AT_ONCE = 500, 400_000
_ADDED = frozenset({"Sum", "SampleCount"})

#: (place: account and region, the series).
Name = tuple[str, Key]


@dataclass(slots=True)
class Series:
    """Ends of periods (epoch seconds, ascending) and values; what lies in `known` is complete. Or why there is none."""

    ends: array[float] = field(default_factory=lambda: array("d"))
    values: array[float] = field(default_factory=lambda: array("d"))
    known: tuple[float, float] = (0.0, 0.0)
    error: ProbeError | None = None

    def window(self, after: float, until: float) -> tuple[tuple[datetime, float], ...]:
        """Points whose period ends in (after, until]."""
        low, high = bisect_right(self.ends, after), bisect_right(self.ends, until)
        stamp = datetime.fromtimestamp
        return tuple((stamp(self.ends[i], UTC), self.values[i]) for i in range(low, high))

    def newest(self, after: float, until: float) -> int:
        """Index of the newest point whose period ends in (after, until]; -1 if there is none."""
        index = bisect_right(self.ends, until) - 1
        return index if index >= 0 and self.ends[index] > after else -1


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a series that is read with one period: `period` seconds, from `start` (epoch seconds) on."""

    period: int
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Wish:
    """A series that a replay needs, from `start` on, and where it is read."""

    place: str
    reads: Reads
    query: MetricQuery
    start: float

    @property
    def name(self) -> Name:
        """What it is kept under."""
        return f"{self.place}/{self.query.region or self.reads.region}", key_of(self.query)


def parts_of(period: int, start: float, now: float) -> list[Part]:
    """How a series with this period is read from `start` to `now`, newest part first; before 455 days is nothing."""
    parts: list[Part] = []
    end = now
    for kept, grain in _KEPT:
        if end <= start:
            break
        if grain > 1 or period < 60:
            coarse = period if period % grain == 0 else grain
            since = math.floor(max(start, now - kept) / coarse) * coarse
            if parts and parts[-1].period == coarse:
                parts[-1] = replace(parts[-1], start=since)
            elif since < end:
                parts.append(Part(coarse, since, end))
            end = min(end, since)
    return parts


def _points(part: Part) -> int:
    return int((part.end - part.start) / part.period) + 1


class Library:
    """All series of one backtest, on disk too if `folder` is given."""

    def __init__(self, span: Span, now: datetime, folder: Path | None = None) -> None:
        self.span = span
        self.now = now.timestamp()
        self._folder = folder
        self._series: dict[Name, Series] = {}
        self._on_disk: dict[Name, Series | None] = {}
        #: Metrics asked of GetMetricData, each of which AWS bills.
        self.asked = 0
        self.coarse: set[int] = set()

    def cost(self, wishes: Iterable[Wish]) -> tuple[int, float]:
        """(series to download, dollars at list price) for those not at hand yet."""
        names = {wish.name: wish for wish in wishes if wish.name not in self._series}
        billed = sum(len(self._missing(wish)) for wish in names.values())
        return sum(1 for wish in names.values() if self._missing(wish)), billed * METRIC

    def get(self, name: Name) -> Series | None:
        """A series, if it was wished for."""
        return self._series.get(name)

    async def load(self, wishes: Sequence[Wish], progress: Callable[[int, int], None] = lambda done, of: None) -> None:
        """Have these at hand. A series that can't be read keeps its error; `progress` hears (done, of)."""
        names = {wish.name: wish for wish in wishes if wish.name not in self._series}
        todo = list(names.values())
        longest = max((sum(_points(part) for part in self._missing(wish)) for wish in todo), default=1)
        at_once = max(1, min(_SERIES_AT_ONCE, _POINTS_AT_ONCE // max(1, longest)))
        for begin in range(0, len(todo), at_once):
            some = todo[begin : begin + at_once]
            progress(begin, len(todo))
            async with asyncio.TaskGroup() as group:
                for wish in some:
                    group.create_task(self._load(wish))
        progress(len(todo), len(todo))

    async def _load(self, wish: Wish) -> None:
        series = self._cached(wish) or Series()
        found: dict[float, float] = dict(zip(series.ends, series.values, strict=True))
        missing = self._missing(wish)
        try:
            # Oldest first: the finer reading of a period takes the place of the coarser one.
            for part in reversed(missing):
                found.update(await self._read(wish, part))
        except ProbeError as error:
            self._series[wish.name] = Series(error=error)
            return
        ends = sorted(found)
        known = (min(wish.start, series.known[0] or wish.start), self.now)
        series = Series(array("d", ends), array("d", (found[end] for end in ends)), known)
        self._series[wish.name] = series
        if missing:
            self._keep(wish, series)

    async def _read(self, wish: Wish, part: Part) -> Mapping[float, float]:
        query, own = wish.query, int(wish.query.period.total_seconds())
        points = max(1, math.ceil((self.now - part.start) / part.period))
        asked = replace(query, period=timedelta(seconds=part.period), points=points)
        self.asked += 1
        (series,) = await wish.reads.metrics([asked])
        rows = [(end.timestamp(), value) for end, value in series.points if part.start < end.timestamp() <= part.end]
        if part.period == own:
            return dict(rows)
        self.coarse.add(part.period)
        return spread(rows, part.period, own, divide=query.stat in _ADDED)

    def _missing(self, wish: Wish) -> list[Part]:
        cached = self._cached(wish)
        start = wish.start
        if cached is not None and cached.known[0] <= start:
            if cached.known[1] >= self.span.end.timestamp():
                return []
            start = max(start, cached.known[1] - _LATE)
        return parts_of(int(wish.query.period.total_seconds()), start, self.now)

    # --- on disk ----------------------------------------------------------------------------------------------------

    def _file(self, wish: Wish) -> Path | None:
        if self._folder is None:
            return None
        name = hashlib.sha256(json.dumps(wish.name).encode()).hexdigest()[:24]
        return self._folder / f"{name}.json.gz"

    def _cached(self, wish: Wish) -> Series | None:
        if wish.name not in self._on_disk:
            self._on_disk[wish.name] = self._opened(wish)
        return self._on_disk[wish.name]

    def _opened(self, wish: Wish) -> Series | None:
        file = self._file(wish)
        if file is None or not file.exists():
            return None
        try:
            body = json.loads(gzip.decompress(file.read_bytes()))
            if body["name"] != json.loads(json.dumps(wish.name)):
                return None
            return Series(array("d", body["ends"]), array("d", body["values"]), tuple(body["known"]))
        except (OSError, ValueError, KeyError, EOFError):
            return None  # a torn file is read again from AWS

    def _keep(self, wish: Wish, series: Series) -> None:
        file = self._file(wish)
        if file is None:
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        body = {
            "name": wish.name,
            "known": series.known,
            "ends": series.ends.tolist(),
            "values": series.values.tolist(),
        }
        torn = file.with_suffix(".part")
        torn.write_bytes(gzip.compress(json.dumps(body).encode(), 1))
        torn.replace(file)


def spread(rows: Iterable[tuple[float, float]], period: int, own: int, *, divide: bool) -> dict[float, float]:
    """Coarse points as points of `own` seconds, evenly: sums divided, everything else repeated."""
    if own >= period:
        return dict(rows)
    times = period // own
    return {
        end - (times - 1 - n) * own: value / times if divide else value for end, value in rows for n in range(times)
    }
