"""The words of the product as values: observations, levels, severities, reasons, risks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]


class Level(StrEnum):
    """How one (check, target, signal) stands. `unknown` is no point on the scale: it neither trips nor clears."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"
    UNKNOWN = "unknown"

    @property
    def rank(self) -> int:
        """Display order, worst last: ok < warning < unknown < critical (the exit code of `check` uses the same)."""
        # Asked for every target of every run: comparing members is many times faster than a mapping of values.
        if self is Level.OK:
            return 0
        if self is Level.WARNING:
            return 1
        return 2 if self is Level.UNKNOWN else 3


class Severity(StrEnum):
    """Of an incident, never of a level. SEV1 is the worst."""

    SEV1 = "SEV1"
    SEV2 = "SEV2"
    SEV3 = "SEV3"
    SEV4 = "SEV4"


class Reason(StrEnum):
    """Why a read or an action failed. Closed: every failure maps to one of these."""

    TIMEOUT = "timeout"
    THROTTLED = "throttled"
    DENIED = "denied"
    NOT_FOUND = "not_found"
    UNAVAILABLE = "unavailable"
    INVALID = "invalid"
    BUG = "bug"


#: Worth trying again soon; the others need a person (or time) and are retried slowly.
RETRYABLE = frozenset({Reason.TIMEOUT, Reason.THROTTLED, Reason.UNAVAILABLE})


class Risk(StrEnum):
    """What an action can do to production, mildest first."""

    NOTIFY = "notify"
    REVERSIBLE = "reversible"
    DISRUPTIVE = "disruptive"
    DESTRUCTIVE = "destructive"


class Mode(StrEnum):
    """What a breaker may do by itself."""

    OBSERVE = "observe"
    APPROVE = "approve"
    AUTO = "auto"


class State(StrEnum):
    """Of a breaker."""

    CLOSED = "closed"
    TRIPPING = "tripping"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Missing(StrEnum):
    """What an absent point means."""

    ZERO = "zero"
    UNKNOWN = "unknown"
    HOLD = "hold"
    BREACH = "breach"


@dataclass(frozen=True, slots=True)
class Observation:
    """One reading of one signal on one target.

    `value` is None when there is none: with a `reason` the read failed (unknown), without one the point is absent
    (`missing:` decides; `exists` says that the resource itself was seen, so that `missing: zero` may count).
    `at` is when the value was true (aware UTC): the end of the metric period, or the time of the direct read.
    `lower_bound` marks a value that is at least this large (a page cap cut the count short).
    """

    signal: str
    target: str
    value: float | None
    unit: str = ""
    at: datetime | None = None
    reason: Reason | None = None
    detail: str = ""
    exists: bool = False
    lower_bound: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """What is known of one (pipeline, check, target, signal) right now, for metrics, page and API."""

    pipeline: str
    check: str
    kind: str
    target: str
    signal: str
    unit: str
    level: Level
    value: float | None
    at: datetime | None
    since: datetime | None
    reason: Reason | None = None
    detail: str = ""
    pending: bool = False
    warning_bound: float | None = None
    critical_bound: float | None = None
    #: (at, value) newest last, bounded; for the page's small charts.
    recent: Sequence[tuple[datetime, float]] = field(default=())
