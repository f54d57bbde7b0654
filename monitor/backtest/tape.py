"""Tapes: what every run of a check would have observed, before any of it is judged.

A tape is made once (from CloudWatch's past, from recorded samples) and judged as often as thresholds are tried on it.
Values are packed, because two weeks of minutes on a hundred signals are two million of them.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from monitor.core.model import Missing, Observation
from monitor.core.spec import CheckSpec

Place = tuple[str, str]  # (target, signal)
NOTHING = math.nan


class Fidelity(StrEnum):
    """How true to the daemon's own reading a replayed signal is."""

    SAME = "same"  # the probe itself, on the same metrics
    APPROXIMATE = "approximate"  # another source than the probe's
    RECORDED = "recorded"  # samples of what was observed
    NONE = "none"  # no history: unknown throughout, so it neither trips nor clears


@dataclass(frozen=True, slots=True)
class Source:
    """Where a signal's history comes from, with a word on what differs; `note` may be empty."""

    fidelity: Fidelity
    note: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """Aware UTC; `start` <= t < `end`."""

    start: datetime
    end: datetime

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.end - self.start).total_seconds()

    @property
    def days(self) -> float:
        """Its length."""
        return self.seconds / 86_400


@dataclass(slots=True)
class Column:
    """One (target, signal) over all runs: a plain value, or an odd observation (absent, failed, a lower bound, with
    words beside the value), or nothing at all: the run did not speak of it."""

    values: array[float] = field(default_factory=lambda: array("d"))
    #: Epoch seconds at which each value was true.
    ats: array[float] = field(default_factory=lambda: array("d"))
    odd: dict[int, Observation] = field(default_factory=dict)

    def skip_to(self, count: int) -> None:
        """Runs before `count` that did not speak of it."""
        missing = count - len(self.values)
        if missing > 0:
            self.values.extend([NOTHING] * missing)
            self.ats.extend([NOTHING] * missing)

    def put(self, index: int, seen: Observation) -> None:
        """What run `index` observed; runs are put in order."""
        self.skip_to(index)
        known = seen.value is not None and seen.reason is None and not seen.lower_bound
        self.values.append(seen.value if known and seen.value is not None else NOTHING)
        self.ats.append(seen.at.timestamp() if seen.at is not None else NOTHING)
        if not known or seen.detail:
            self.odd[index] = seen

    def get(self, index: int, place: Place, unit: str) -> Observation | None:
        """What run `index` observed; None: it did not speak of it."""
        found = self.odd.get(index)
        if found is not None or index >= len(self.values):
            return found
        value = self.values[index]
        if math.isnan(value):
            return None
        at = datetime.fromtimestamp(self.ats[index], UTC)
        return Observation(place[1], place[0], value, unit, at, exists=True)


@dataclass(slots=True)
class Tape:
    """One check's runs: run `i` takes place at `start + i * spec.interval`.

    `spec.interval` is the replay's, which is coarser than the configured one where history has no finer data.
    """

    spec: CheckSpec
    start: datetime
    count: int
    columns: dict[Place, Column] = field(default_factory=dict)
    #: By signal.
    sources: dict[str, Source] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def step(self) -> float:
        """Seconds between runs."""
        return self.spec.interval.total_seconds()

    def at(self, index: int) -> datetime:
        """When run `index` takes place."""
        return self.start + timedelta(seconds=index * self.step)

    def column(self, place: Place) -> Column:
        """The column of a place, made on first use."""
        found = self.columns.get(place)
        if found is None:
            found = self.columns[place] = Column()
        return found

    def finish(self) -> None:
        """All columns as long as the tape; how much of each judged signal was not known is noted."""
        lost: dict[str, int] = {}
        runs: dict[str, int] = {}
        for (_, signal), column in self.columns.items():
            column.skip_to(self.count)
            bounds = self.spec.signals.get(signal)
            if not self.spec.judges(signal) or bounds is None or bounds.missing is not Missing.UNKNOWN:
                continue
            lost[signal] = lost.get(signal, 0) + sum(map(math.isnan, column.values))
            runs[signal] = runs.get(signal, 0) + self.count
        for signal, count in lost.items():
            if 0.01 * runs[signal] < count < runs[signal]:
                self.notes.append(f"{signal} was unknown in {100 * count / runs[signal]:.0f} % of its readings")

    def judged_with(self, spec: CheckSpec) -> Tape:
        """The same runs under other thresholds (the interval stays the tape's)."""
        return Tape(
            replace(spec, interval=self.spec.interval), self.start, self.count, self.columns, self.sources, self.notes
        )


def course(tape: Tape, place: Place) -> list[tuple[float, float | None]]:
    """(epoch seconds of the run, value or None) for pictures; a reading seen by several runs comes once."""
    column = tape.columns.get(place)
    if column is None:
        return []
    points: list[tuple[float, float | None]] = []
    begin, step, last = tape.start.timestamp(), tape.step, NOTHING
    for index, value in enumerate(column.values):
        if not math.isnan(value):
            if column.ats[index] == last:
                continue
            last = column.ats[index]
            points.append((begin + index * step, value))
            continue
        odd = column.odd.get(index)
        shown = odd.value if odd is not None and odd.reason is None else None
        points.append((begin + index * step, shown))
    return points


Tapes = Mapping[str, Tape]  # by PIPELINE/CHECK
