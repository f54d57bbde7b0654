"""Trips against labelled incidents: which were true, which false, which incidents were missed, how late.

A trip is true if it began within a labelled window; a breaker that was open already when an incident began has missed
it, or one that is always open would be perfect. A window is found by its first true trip; the delay counts from the
window's start.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from monitor.backtest.result import Course
from monitor.backtest.samples import SampleError, moment
from monitor.backtest.tape import Span


@dataclass(frozen=True, slots=True)
class Label:
    """An incident that is known to have happened. `breaker` "": any breaker may answer for it."""

    start: datetime
    end: datetime
    breaker: str = ""


@dataclass(frozen=True, slots=True)
class Score:
    """How one breaker did against its labels. None where nothing can be said (no trips, no labels)."""

    true: int
    false: int
    missed: int
    found: int
    delays: tuple[timedelta, ...] = ()

    @property
    def precision(self) -> float | None:
        """True trips among all trips."""
        return self.true / (self.true + self.false) if self.true + self.false else None

    @property
    def recall(self) -> float | None:
        """Incidents found among all."""
        return self.found / (self.found + self.missed) if self.found + self.missed else None

    @property
    def delay(self) -> timedelta | None:
        """Median delay to detect."""
        return timedelta(seconds=median(one.total_seconds() for one in self.delays)) if self.delays else None


def read_labels(path: Path) -> list[Label]:
    """`start,end[,breaker]` lines, with or without a header. Raises SampleError, OSError."""
    labels = []
    with path.open(encoding="utf-8", newline="") as lines:
        for number, row in enumerate(csv.reader(lines), 1):
            cells = [cell.strip() for cell in row]
            if not any(cells) or cells[0].startswith("#") or (number == 1 and cells[0].lower() == "start"):
                continue
            try:
                start, end = (datetime.fromtimestamp(moment(cell), UTC) for cell in cells[:2])
            except ValueError as error:
                raise SampleError(f"{path}:{number}: write start,end[,breaker] as ISO 8601 times ({error})") from error
            if end < start:
                raise SampleError(f"{path}:{number}: the window ends before it starts")
            labels.append(Label(start, end, cells[2] if len(cells) > 2 else ""))
    return labels


def score(course: Course, labels: Iterable[Label]) -> Score:
    """Of the labels that are this breaker's (or nobody's in particular) and lie in the replayed span."""
    windows = [label for label in labels if _concerns(label, course) and _within(label, course.span)]
    trips = course.counted
    true, false = 0, 0
    first: dict[int, timedelta] = {}
    for trip in trips:
        hits = [index for index, label in enumerate(windows) if label.start <= trip.start <= label.end]
        true += bool(hits)
        false += not hits
        for index in hits:
            delay = trip.start - windows[index].start
            first[index] = min(first.get(index, delay), delay)
    return Score(true, false, len(windows) - len(first), len(first), tuple(first[i] for i in sorted(first)))


def _concerns(label: Label, course: Course) -> bool:
    return label.breaker in ("", course.breaker, course.breaker.split("/", 1)[1])


def _within(label: Label, span: Span) -> bool:
    return label.end >= span.start and label.start < span.end
