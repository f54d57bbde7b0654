"""The JSON of the API: `core.view`'s dataclasses field by field, the commands' bodies, and the refusal.

Times are ISO 8601 UTC with Z, enums their values, spans seconds. A test holds the fields against the dataclasses.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from monitor.core.course import IncidentStatus
from monitor.core.durations import parse_duration
from monitor.core.model import Level, Mode, Reason, Severity, State


class Out(BaseModel):
    """Read from a dataclass, sent as JSON."""

    model_config = ConfigDict(from_attributes=True)


class Check(Out):
    pipeline: str
    name: str
    kind: str
    interval: float = Field(description="seconds")
    level: Level
    targets: int
    counts: Mapping[Level, int] = Field(description="targets per level; a target counts at its worst signal")
    last_run: datetime | None
    last_success: datetime | None
    next_run: datetime | None
    duration: float | None = Field(description="seconds of the last run")
    runs: int
    failures: int
    reason: Reason | None
    detail: str
    runbook: str | None
    tells_unknown: bool = Field(description="false: the file says `unknown_for: off`, not to see this is expected")


class Change(Out):
    resource: str
    summary: str
    phase: str = Field(description="planned, intended, applied, undone, drift, failed, abandoned or unchanged")
    prior: Any = Field(description="the captured state that undo restores")
    applied: Any
    detail: str
    done: int | None
    remaining: int | None
    eta: float | None = Field(description="seconds")


class Step(Out):
    id: str
    verb: str
    phase: str = Field(description="pending, running, held, waiting, retrying, done, would, failed or skipped")
    summary: str
    gate: str | None = Field(description="why a held step may not act now")
    detail: str
    until: datetime | None
    attempts: int
    changes: tuple[Change, ...]


class PlannedStep(Out):
    summary: str
    risk: str = Field(description="of an action: notify, reversible, disruptive or destructive; else empty")
    undo: bool | None = Field(description="whether recovery can put it back; none: there is nothing to put back")
    cuts: bool = Field(description="it keeps a source from bringing anything in")
    blast_radius: str


class Breaker(Out):
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
    phase: str = Field(description="trip, recover or empty: the playbook that `steps` belongs to")
    steps: tuple[Step, ...]
    hold_until: datetime | None
    trial_until: datetime | None
    recovery: str
    plan: tuple[str, ...] = Field(description="what tripping now would do, one line per step")
    approval: str | None = Field(description="the hash an approval must name, while one is awaited")
    incident: str | None
    condition: str
    runbook: str | None
    drifted: int
    planned: tuple[PlannedStep, ...] = Field(description="the plan with what each step risks")
    tripped_by: str | None = Field(description="the person, if one did")
    disabled_by: str | None


class TimelineEntry(Out):
    at: datetime
    text: str
    event: str


class DataGap(Out):
    resource: str
    start: datetime
    end: datetime | None = Field(description="none: it is still cut")
    proposal: str = Field(description="how to make the window good; empty: nothing is lost")
    note: str
    cut: bool = Field(description="by a breaker; false: a check found the window empty")


class Cost(Out):
    signal: str
    value: float
    unit: str


class FollowUp(Out):
    text: str
    due: datetime | None
    done_at: datetime | None
    by: str


class Notice(Out):
    at: datetime
    kind: str = Field(description="alert, update or resolved")
    channel: str
    sent: bool
    detail: str


class Incident(Out):
    id: str
    pipeline: str
    severity: Severity
    title: str
    opened_at: datetime
    resolved_at: datetime | None
    breaker: str | None
    check: str | None
    timeline: tuple[TimelineEntry, ...]
    status: IncidentStatus = Field(description="as on a status page; moved by the breaker")
    commander: str | None
    acknowledged_at: datetime | None
    respond_by: datetime | None = Field(description="none once somebody answered")
    next_update: datetime | None
    began_at: datetime | None = Field(description="start of the breach, where its signals tell")
    contained_at: datetime | None
    restoring_at: datetime | None
    impact: str
    root_cause: str
    gaps: tuple[DataGap, ...]
    costs: tuple[Cost, ...]
    follow_ups: tuple[FollowUp, ...]
    notices: tuple[Notice, ...]


class Silence(Out):
    id: str
    matchers: Mapping[str, str]
    until: datetime
    by: str
    comment: str
    hold_actions: bool


class Status(Out):
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
    levels: Mapping[Level, int]


class Observation(Out):
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
    reason: Reason | None
    detail: str
    pending: bool
    warning_bound: float | None
    critical_bound: float | None
    recent: tuple[tuple[datetime, float], ...] = Field(description="(at, value), newest last")


class Checks(Out):
    checks: list[Check]


class Breakers(Out):
    breakers: list[Breaker]


class Incidents(Out):
    incidents: list[Incident]


class Silences(Out):
    silences: list[Silence]


class Observations(Out):
    observations: list[Observation]


class Health(Out):
    status: str = "ok"


class Readiness(Out):
    ready: bool
    reasons: tuple[str, ...]


class Done(Out):
    """A command that was accepted."""

    ok: bool
    message: str
    data: dict[str, Any]


class Refusal(Out):
    """A request that changed nothing: why, and what to do."""

    error: str
    hint: str = ""
    data: dict[str, Any] = Field(default_factory=dict)


# One line, no control characters: these reach logs, notices and terminals.
_LINE = r"^[^\x00-\x1f\x7f\x85\u2028\u2029]*$"
Line = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500, pattern=_LINE)]
Person = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100, pattern=_LINE)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]
Span = Annotated[
    timedelta,
    BeforeValidator(parse_duration, json_schema_input_type=str),
    Field(ge=timedelta(seconds=1), le=timedelta(days=366), examples=["2h", "1h30m"]),
]


class Command(BaseModel):
    """The body of a command; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid")

    by: Person = Field(default="api", description="who asks, for the timeline")


class BreakerCommand(Command):
    reason: Line = ""
    force: bool = Field(default=False, description="reset: close without the recovery steps")
    plan: Line | None = Field(default=None, description="approve: the plan hash that was looked at")


class NewSilence(Command):
    matchers: dict[Person, Person] = Field(min_length=1, max_length=20, examples=[{"pipeline": "etl", "check": "dlq*"}])
    duration: Span
    comment: Line = ""
    hold_actions: bool = Field(default=False, description="also hold actions, not only notices")


class NewNote(Command):
    text: Text


class ActionsSwitch(Command):
    enabled: bool
    reason: Line = ""
