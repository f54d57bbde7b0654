"""What a replay found, as plain values; scores and pictures are made from these."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from monitor.backtest.tape import Source, Span


@dataclass(frozen=True, slots=True)
class Cause:
    """The reading behind a trip. `value` None: the level was kept or read into an absent point."""

    check: str
    signal: str
    target: str
    value: float | None
    reason: str


@dataclass(slots=True)
class Tripped:
    """One trip. `end` None: it had not ended when history did."""

    breaker: str
    start: datetime
    reason: str
    targets: tuple[str, ...]
    causes: tuple[Cause, ...] = ()
    #: What the playbook would have done, one line per change, in order.
    plans: tuple[str, ...] = ()
    opened: datetime | None = None
    end: datetime | None = None
    #: closed by the trial, by the assumed person, withdrawn before an approval, or still going on.
    ended: str = "still open"
    #: Times the cut was put back because the breach was there again.
    relapses: int = 0
    latched: bool = False
    #: (from, to) during which a source was cut; `to` None: to the end.
    cuts: list[tuple[datetime, datetime | None]] = field(default_factory=list)
    #: Why it did not go on, where a step waited for something.
    waiting: str = ""

    def open_for(self, until: datetime) -> timedelta:
        """From the trip to its end, or to `until`."""
        return (self.end or until) - self.start

    def off_for(self, until: datetime) -> timedelta:
        """How long sources were cut."""
        return sum(((to or until) - since for since, to in self.cuts), timedelta(0))

    @property
    def counts(self) -> bool:
        """False for a trip that was withdrawn with nothing done."""
        return self.ended != "withdrawn"


@dataclass(slots=True)
class Course:
    """One breaker over the whole history."""

    breaker: str
    mode: str
    recovery: str
    span: Span
    trips: list[Tripped] = field(default_factory=list)
    #: `check.signal` terms it can't hear, with why: it never trips on those here.
    deaf: tuple[str, ...] = ()
    #: How many terms its condition has.
    terms: int = 1
    #: Cuts a source at all (else "minutes off" means nothing).
    cuts_sources: bool = False

    @property
    def is_deaf(self) -> bool:
        """No term can be heard: that it never tripped here says nothing."""
        return len(self.deaf) >= self.terms

    @property
    def counted(self) -> list[Tripped]:
        """Without the withdrawn ones."""
        return [trip for trip in self.trips if trip.counts]

    @property
    def open_for(self) -> timedelta:
        """Time not closed."""
        return sum((trip.open_for(self.span.end) for trip in self.trips), timedelta(0))

    @property
    def off_for(self) -> timedelta:
        """Time with a source cut."""
        return sum((trip.off_for(self.span.end) for trip in self.trips), timedelta(0))


@dataclass(slots=True)
class Outcome:
    """A whole replay."""

    span: Span
    courses: list[Course]
    #: By `PIPELINE/CHECK`, signal.
    sources: dict[str, dict[str, Source]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    runs: int = 0
    judged: int = 0
