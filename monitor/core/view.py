"""What people and programs are shown of the daemon: one read model for API, page, CLI and metrics.

Values are copies, safe to render while the engine goes on. Times are aware UTC; spans are seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from monitor.core.course import Cost, DataGap, FollowUp, IncidentStatus
from monitor.core.model import Json, Level, Mode, Reason, Row, Severity, State


@dataclass(frozen=True, slots=True)
class CheckView:
    """A check and its last run."""

    pipeline: str
    name: str
    kind: str
    interval: float
    level: Level
    targets: int
    #: Number of targets per level (a target counts at its worst signal).
    counts: Mapping[Level, int]
    last_run: datetime | None
    last_success: datetime | None
    next_run: datetime | None
    duration: float | None
    runs: int
    failures: int
    reason: Reason | None = None
    detail: str = ""
    runbook: str | None = None
    #: False where the file says `unknown_for: off`: not to see this is expected, and nobody's task.
    tells_unknown: bool = True


@dataclass(frozen=True, slots=True)
class ChangeView:
    """One resource an action step touches: planned, in flight, applied, undone, drifted, abandoned."""

    resource: str
    summary: str
    phase: str  # planned | intended | applied | undone | drift | failed | abandoned | unchanged
    prior: Json = None
    applied: Json = None
    detail: str = ""
    done: int | None = None
    remaining: int | None = None
    eta: float | None = None


@dataclass(frozen=True, slots=True)
class StepView:
    """One step of the playbook that runs now (or ran last)."""

    id: str
    verb: str
    phase: str  # pending | running | held | waiting | retrying | done | would | failed | skipped
    summary: str
    gate: str | None = None
    detail: str = ""
    until: datetime | None = None
    attempts: int = 0
    changes: tuple[ChangeView, ...] = ()


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """What one step of a trip would do, and how far it reaches: what a person is shown before saying yes."""

    summary: str
    #: Of an action: notify | reversible | disruptive | destructive; else empty.
    risk: str = ""
    #: Whether recovery can put it back; None: there is nothing to put back.
    undo: bool | None = None
    #: It keeps a source from bringing anything in.
    cuts: bool = False
    #: In the action's own words, how much it can hit.
    blast_radius: str = ""


@dataclass(frozen=True, slots=True)
class BreakerView:
    """A breaker as people see it."""

    pipeline: str
    name: str
    severity: Severity
    mode: Mode
    state: State
    disabled: bool
    orphaned: bool
    latched: bool
    since: datetime | None
    reason: str
    targets: tuple[str, ...]
    trips_today: int
    trips_per_day: int | None
    phase: str  # trip | recover | "" : which playbook `steps` belongs to
    steps: tuple[StepView, ...]
    hold_until: datetime | None
    trial_until: datetime | None
    recovery: str  # manual | auto
    #: What tripping now would do (observe mode, page): one line per step.
    plan: tuple[str, ...]
    #: Set while a person's approval is awaited: the hash that `approve` must name.
    approval: str | None = None
    incident: str | None = None
    condition: str = ""
    runbook: str | None = None
    #: Changes of this trip that somebody else changed since.
    drifted: int = 0
    #: `plan` with what each step risks.
    planned: tuple[PlannedStep, ...] = ()
    #: The person who tripped it, if one did.
    tripped_by: str | None = None
    #: The person who disabled it.
    disabled_by: str | None = None

    @property
    def observes(self) -> bool:
        """It acts on nothing. What a person tripped acts in every mode, so that a drill is a drill."""
        return self.mode is Mode.OBSERVE and self.tripped_by is None


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of an incident's timeline."""

    at: datetime
    text: str
    event: str = ""


@dataclass(frozen=True, slots=True)
class NoticeView:
    """A notice that a channel took, or did not. `kind`: alert | update | resolved."""

    at: datetime
    kind: str
    channel: str
    sent: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class IncidentView:
    """From trip or critical to resolved."""

    id: str
    pipeline: str
    severity: Severity
    title: str
    opened_at: datetime
    resolved_at: datetime | None
    breaker: str | None
    check: str | None
    timeline: tuple[Entry, ...]
    status: IncidentStatus = IncidentStatus.INVESTIGATING
    commander: str | None = None
    acknowledged_at: datetime | None = None
    #: Until when somebody must answer, and when people are told next; None: no such clock runs.
    respond_by: datetime | None = None
    next_update: datetime | None = None
    began_at: datetime | None = None
    contained_at: datetime | None = None
    restoring_at: datetime | None = None
    impact: str = ""
    root_cause: str = ""
    gaps: tuple[DataGap, ...] = ()
    costs: tuple[Cost, ...] = ()
    follow_ups: tuple[FollowUp, ...] = ()
    notices: tuple[NoticeView, ...] = ()


@dataclass(frozen=True, slots=True)
class SilenceView:
    """A silence by a person."""

    id: str
    matchers: Mapping[str, str]
    until: datetime
    by: str
    comment: str
    hold_actions: bool


@dataclass(frozen=True, slots=True)
class StatusView:
    """The daemon in one look."""

    version: str
    started_at: datetime
    now: datetime
    ready: bool
    not_ready: tuple[str, ...]
    actions_enabled: bool
    actions_reason: str
    storm: str | None
    pipelines: tuple[str, ...]
    leases: Mapping[str, bool]
    mutations_enabled: bool
    config_ok: bool
    config_error: str
    config_at: datetime | None
    levels: Mapping[Level, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer to a command. `ok` False: nothing was changed and `message` says why and what to do."""

    ok: bool
    message: str
    data: Mapping[str, Json] = field(default_factory=dict)


class Surface(Protocol):
    """What the outside may ask of the engine. Reads are instant and never touch AWS or the store."""

    def status(self) -> StatusView: ...

    def rows(self) -> Iterable[Row]: ...

    def checks(self) -> list[CheckView]: ...

    def breakers(self) -> list[BreakerView]: ...

    def incidents(self) -> list[IncidentView]: ...

    def silences(self) -> list[SilenceView]: ...

    def config(self) -> Mapping[str, Json]:
        """The resolved configuration, secrets masked: {pipeline: document}."""

    def events_since(self, sequence: int) -> tuple[int, list[Mapping[str, Json]]]:
        """Bounded event feed for SSE: (newest sequence, events after `sequence`, oldest first)."""

    async def wait_event(self, sequence: int, seconds: float) -> None:
        """Returns when an event after `sequence` exists, or after `seconds`."""

    async def trip(self, breaker: str, by: str, reason: str) -> Outcome: ...

    async def reset(self, breaker: str, by: str, *, force: bool = False) -> Outcome: ...

    async def approve(self, breaker: str, by: str, plan: str | None = None) -> Outcome: ...

    async def disable(self, breaker: str, by: str, reason: str) -> Outcome: ...

    async def enable(self, breaker: str, by: str) -> Outcome: ...

    async def add_silence(
        self, matchers: Mapping[str, str], seconds: float, by: str, comment: str, *, hold_actions: bool = False
    ) -> Outcome: ...

    async def remove_silence(self, silence: str, by: str) -> Outcome: ...

    async def note(self, incident: str, by: str, text: str) -> Outcome: ...

    async def acknowledge(self, incident: str, by: str) -> Outcome:
        """`by` commands the incident from now on."""

    async def set_actions(self, enabled: bool, by: str, reason: str) -> Outcome:
        """The API's own kill switch; durable."""

    async def lift_storm(self, by: str) -> Outcome: ...

    async def reload(self, by: str) -> Outcome: ...
