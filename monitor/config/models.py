"""The pipeline file's sections as pydantic models: closed, and the source of the JSON Schema's descriptions.

Only what has the same shape everywhere stands here. Thresholds, conditions, steps and a kind's own parameters depend on
the registry and have rooms of their own; here they are `Any`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from monitor.config.cron import check_cron
from monitor.core.durations import NEVER
from monitor.core.model import Missing, Mode, Severity
from monitor.plugin import Duration


def _positive(span: timedelta) -> timedelta:
    if span <= timedelta(0):
        raise ValueError("must be longer than zero")
    return span


def _not_empty(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be empty")
    return value


def _role(arn: str) -> str:
    if not re.fullmatch(r"arn:aws[a-z-]*:iam::\d{12}:role/.+", arn):
        raise ValueError(f"'{arn}' is not a role's ARN (arn:aws:iam::123456789012:role/NAME)")
    return arn


def _region(name: str) -> str:
    if not re.fullmatch(r"[a-z]{2,}(-[a-z]+)+-\d+", name):
        raise ValueError(f"'{name}' is not a region (for example us-east-1)")
    return name


def _timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"'{name}' is not a time zone (for example UTC, Europe/Berlin)") from None
    return name


_SECRET_REFERENCE = re.compile(r"(env:[A-Za-z_][A-Za-z0-9_]*|file:/.+|ssm:.+|secretsmanager:.+)")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://.+")


def is_secret_reference(text: str) -> bool:
    """True for `env:X`, `file:/p`, `ssm:/name`, `secretsmanager:id`."""
    return _SECRET_REFERENCE.fullmatch(text) is not None


def _channel(url: str) -> str:
    if not is_secret_reference(url) and not _URL.fullmatch(url):
        raise ValueError("is neither a URL nor a secret reference (env:NAME, file:/path, ssm:/name, secretsmanager:id)")
    return url


_NAME = re.compile(r"[A-Za-z0-9_-]+")


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(f"'{text}' is not a name (letters, digits, _ and -)")
    return text


Text = Annotated[str, AfterValidator(_not_empty)]
Span = Annotated[Duration, AfterValidator(_positive)]


def _or_never(value: Any) -> Any:
    """`off` (which YAML 1.1 readers take for false) is longer than anything lasts."""
    return NEVER if value == "off" or value is False else value


#: A span, or `off`.
Patience = Annotated[
    Span,
    BeforeValidator(_or_never),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "pattern": r"^(\d+(\.\d+)?(ms|s|m|h|d|w))+$"}, {"enum": ["off", False]}]}
    ),
]


class Section(BaseModel):
    """Base: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class AwsSection(Section):
    """Account and region; what is left out is decided by the AWS SDK's own chain."""

    region: Annotated[Text, AfterValidator(_region)] | None = Field(
        default=None, description="AWS region, e.g. us-east-1."
    )
    role_arn: Annotated[Text, AfterValidator(_role)] | None = Field(default=None, description="Role to assume.")
    external_id: Text | None = Field(default=None, description="External id for the role.")
    profile: Text | None = Field(default=None, description="Profile of the shared AWS config files.")


class DefaultsSection(Section):
    """What checks of this file use unless they say otherwise."""

    interval: Span | None = Field(default=None, description="Time between runs of a check.")
    timeout: Span | None = Field(default=None, description="Deadline of one run; never longer than the interval.")
    unknown_for: Patience | None = Field(
        default=None, description="How long unknown lasts before it raises a notice; off: it raises none."
    )
    severity: Severity | None = Field(default=None, description="Severity of incidents of checks.")


class CheckSection(Section):
    """Keys every check has, whatever its kind."""

    kind: Text = Field(description="What is measured.")
    description: str | None = Field(default=None, description="For people.")
    interval: Span | None = Field(default=None, description="Time between runs.")
    timeout: Span | None = Field(default=None, description="Deadline of one run; never longer than the interval.")
    thresholds: Any = Field(
        default=None, description="Per signal; a signal given here replaces its default thresholds."
    )
    severity: Severity | None = Field(default=None, description="Severity of the incident when this check is critical.")
    unknown_for: Patience | None = Field(
        default=None, description="How long unknown lasts before it raises a notice; off: it raises none."
    )
    runbook: Text | None = Field(default=None, description="Link for whoever is called.")
    aws: AwsSection | None = Field(default=None, description="Another account or region than the pipeline's.")


class ClearSection(Section):
    """When a breach ends."""

    above: Any = Field(default=None, description="Ends when the value is above this.")
    below: Any = Field(default=None, description="Ends when the value is below this.")
    hold: Duration = Field(default=timedelta(0), alias="for", description="For this long.")


class BoundSection(Section):
    """One threshold line: `above`, `below`, or both (outside the band)."""

    above: Any = Field(default=None, description="Breached when the value is above this.")
    below: Any = Field(default=None, description="Breached when the value is below this.")
    hold: Duration = Field(default=timedelta(0), alias="for", description="For this long.")
    clear: ClearSection | None = Field(
        default=None, description="When the breach ends; left out: not breached for one run."
    )
    datapoints: int | None = Field(default=None, ge=1, description="M of N: this many runs breach ...")
    of: int | None = Field(default=None, ge=1, le=1000, description="... of this many.")


class SignalSection(Section):
    """Thresholds of one signal."""

    warning: Any = Field(default=None, description="The milder line.")
    critical: Any = Field(default=None, description="The line that trips breakers.")
    missing: Missing | None = Field(default=None, description="What an absent point means.")


class RecoverSection(Section):
    """How an open breaker closes."""

    mode: Literal["manual", "auto"] = Field(default="manual", description="Who starts the recovery.")
    after: Span = Field(
        default=timedelta(minutes=15), description="How long to stay open before an automatic recovery."
    )
    trial: Span | None = Field(default=None, description="Time limit of the half-open state.")
    steps: Any = Field(default=None, description="Left out: undo everything, last first.")


class LimitsSection(Section):
    """Brakes that latch the breaker open; the cut itself is never refused."""

    trips_per_day: int | None = Field(default=3, ge=1, description="Automatic recoveries in 24 hours; null: no limit.")
    max_targets: int | None = Field(default=10_000, ge=1, description="Most things one step may touch; null: no limit.")


class BreakerSection(Section):
    """A guarded playbook."""

    description: str | None = Field(default=None, description="For people.")
    severity: Severity = Field(default=Severity.SEV3, description="Of the incident a trip opens.")
    trip_when: Any = Field(description="Which checks or signals trip it.")
    mode: Mode = Field(default=Mode.OBSERVE, description="What it may do by itself.")
    on_trip: Any = Field(default=None, description="Steps, in order.")
    recover: RecoverSection = Field(default=RecoverSection(), description="How it closes again.")
    limits: LimitsSection = Field(default=LimitsSection(), description="Brakes.")
    runbook: Text | None = Field(default=None, description="Link for whoever is called.")


class ChannelSection(Section):
    """A place for notices."""

    url: Annotated[Text, AfterValidator(_channel)] = Field(description="A secret reference or an Apprise URL.")
    min_severity: Severity = Field(default=Severity.SEV4, description="Only incidents at least this severe.")
    events: tuple[Literal["alert", "update", "resolved"], ...] | None = Field(
        default=None, min_length=1, description="Only these notices; left out: all."
    )


class MatchersSection(Section):
    """Which checks and breakers, as globs."""

    check: Text | None = Field(default=None, description="Glob over check names.")
    breaker: Text | None = Field(default=None, description="Glob over breaker names.")


class MaintenanceSection(Section):
    """A recurring window in which actions are held."""

    name: Text = Field(description="What it is called in notices.")
    start: Annotated[Text, AfterValidator(check_cron)] = Field(description="Cron: minute hour day month weekday.")
    duration: Span = Field(description="How long it lasts.")
    timezone: Annotated[Text, AfterValidator(_timezone)] = Field(
        default="UTC", description="IANA time zone of `start`."
    )
    matchers: MatchersSection = Field(default=MatchersSection(), description="Left out: the whole pipeline.")


class KillSwitchSection(Section):
    """A remote switch that pauses all actions."""

    ssm_parameter: Text = Field(description="Name of an SSM parameter; the value `off` pauses.")


class TermSection(Section):
    """One condition of `trip_when`."""

    signal: Text = Field(description="`check` or `check.signal`.")
    level: Literal["warning", "critical"] = Field(default="critical", description="This level or worse.")
    hold: Duration = Field(default=timedelta(0), alias="for", description="For this long.")


class VerifySection(Section):
    """A step that waits until a check is well."""

    check: Text = Field(description="Name of a check.")
    signal: Text | None = Field(default=None, description="One of its signals; left out: all.")
    level: Literal["ok", "warning"] = Field(default="ok", description="This level or better.")
    hold: Duration = Field(default=timedelta(0), alias="for", description="For this long.")
    within: Span | None = Field(default=None, description="Fails when this passes first.")


class RampSection(Section):
    """Lets a property back up rung by rung, beside the action that sets it."""

    steps: list[Any] = Field(
        min_length=1, max_length=50, description="Rungs, in order: numbers, or parameters of the action. Then: undo."
    )
    every: Span = Field(description="How long each rung is watched.")
    verify: Any = Field(default=None, description="The check that must be well before the next rung.")


class ApproveSection(Section):
    """A step that waits for a person."""

    message: Text | None = Field(default=None, description="What the person is asked.")
    expires: Span | None = Field(default=None, description="How long the question stands; left out: 1h.")


class StepSection(Section):
    """What a step may say beside its verb."""

    id: Annotated[Text, AfterValidator(_name)] | None = Field(default=None, description="For `undo`.")
    on_error: Literal["hold", "continue"] = Field(default="hold", description="After a permanent error.")
    approve: Literal["never", "always"] | None = Field(default=None, description="Left out: by the action's risk.")
    enforce: bool = Field(default=False, description="Apply again when someone else changes it.")


def is_name(text: str) -> bool:
    """Names of pipelines, checks, breakers and steps hold no dot."""
    return _NAME.fullmatch(text) is not None


#: Top-level keys (others must start with `x-`).
TOP: Mapping[str, str] = {
    "pipeline": "The pipeline's name, unique in a daemon.",
    "aws": "Account and region.",
    "vars": "Variables for ${name}; they win over the environment.",
    "defaults": "What checks use unless they say otherwise.",
    "checks": "What is measured, by name.",
    "breakers": "What is done about it, by name.",
    "notify": "Where notices go.",
    "maintenance": "Recurring windows in which actions are held.",
    "kill_switch": "A remote switch that pauses all actions.",
}
