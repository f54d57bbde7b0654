"""How long a level has lasted: what conditions and verify steps ask about a judged signal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from monitor.core.codec import decode
from monitor.core.lean import lean
from monitor.core.model import Json, Level

_SCALE = {Level.OK: 0, Level.WARNING: 1, Level.CRITICAL: 2}


@dataclass(frozen=True, slots=True)
class Standing:
    """One (check, signal, target) as its last run left it. Seconds are accumulated between known runs only.

    While `known` is False nothing may be concluded from it: the held seconds are frozen, and `level` is either
    `unknown` or a level kept because its end could not be shown.
    """

    level: Level = Level.UNKNOWN
    known: bool = False
    #: Seconds the level has been warning or worse.
    held_warning: float = 0.0
    #: Seconds the level has been critical.
    held_critical: float = 0.0
    #: Seconds the level has been ok.
    held_ok: float = 0.0
    #: The same over measured points only: absent points read as zero (or held, or breach) do not add to it.
    held_ok_real: float = 0.0
    #: The last judged point was measured, not made up from its absence.
    real: bool = False
    #: The level is at least this; a worse one can't be excluded (a page cap cut the count short).
    lower_bound: bool = False
    #: Wall time of the last known run.
    at: datetime | None = None

    def holds(self, level: Level, seconds: float = 0.0) -> bool | None:
        """Whether the level has been `level` or worse (for `ok`: exactly ok) for `seconds`; None if not known."""
        if not self.known or level is Level.UNKNOWN:
            return None
        if level is Level.OK:
            return self.level is Level.OK and self.held_ok >= seconds
        if _SCALE[self.level] < _SCALE[level]:
            return None if self.lower_bound else False
        return (self.held_warning if level is Level.WARNING else self.held_critical) >= seconds

    def to_json(self) -> dict[str, Json]:
        """Plain values, defaults left out; `from_json` reads them back exactly."""
        return lean(self)

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Standing:
        """The value `to_json` described. Raises KeyError, TypeError or ValueError for anything else."""
        return decode(cls, body)


@dataclass(frozen=True, slots=True)
class Sample:
    """What one known run adds: its level, whether its point was measured, and the seconds it may credit."""

    level: Level
    real: bool
    lower_bound: bool
    credit: float
    #: Runs lie too far apart for their levels to be one stretch of time.
    lapsed: bool


def unknown(standing: Standing, level: Level) -> Standing:
    """After a run that decided nothing: every clock stands still."""
    return replace(standing, level=level, known=False)


def advance(standing: Standing, sample: Sample, at: datetime) -> Standing:
    """After a known run. Time counts only if the run directly before was known and stood at the same height.

    A lapse restarts what could trip (warning, critical) and never what verifies: time that was not seen is not
    counted for either, but a verify timer is only ever frozen.
    """
    before = standing

    def held(seconds: float, was: bool, now: bool) -> float:
        if not now:
            return 0.0
        return seconds + (sample.credit if before.known and was else 0.0)

    def rank(level: Level) -> int:
        return _SCALE.get(level, -1)

    ok, was_ok = sample.level is Level.OK, before.level is Level.OK
    kept_warning, kept_critical = (0.0, 0.0) if sample.lapsed else (before.held_warning, before.held_critical)
    was_seen = was_ok and before.real and sample.real
    return Standing(
        level=sample.level,
        known=True,
        held_warning=held(kept_warning, not sample.lapsed and rank(before.level) >= 1, rank(sample.level) >= 1),
        held_critical=held(kept_critical, not sample.lapsed and rank(before.level) >= 2, rank(sample.level) >= 2),
        held_ok=held(before.held_ok, was_ok, ok),
        held_ok_real=held(before.held_ok_real, was_seen, ok),
        real=sample.real,
        lower_bound=sample.lower_bound,
        at=at,
    )
