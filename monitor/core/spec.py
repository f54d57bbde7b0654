"""A validated pipeline as plain frozen values: what `config` produces and `engine` runs.

Every timedelta is positive, every reference (check, signal, kind, action) resolved, every name free of dots.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from monitor.core.model import Json, Level, Missing, Mode, Severity


@dataclass(frozen=True, slots=True)
class Clear:
    """When a breach ends. Bounds of None mean "not breached"; `hold` is how long that must last."""

    above: float | None = None
    below: float | None = None
    hold: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Bound:
    """One threshold line: breached when value > above or value < below.

    `hold` is `for:`; `datapoints`/`of` is M-of-N over runs (None: every run of `hold` must breach).
    """

    above: float | None = None
    below: float | None = None
    hold: timedelta = timedelta(0)
    clear: Clear | None = None
    datapoints: int | None = None
    of: int | None = None


@dataclass(frozen=True, slots=True)
class SignalSpec:
    """Thresholds of one signal. `missing` says what an absent point means."""

    warning: Bound | None = None
    critical: Bound | None = None
    missing: Missing = Missing.UNKNOWN


@dataclass(frozen=True, slots=True)
class AwsSpec:
    """Where a pipeline lives. None means: the SDK's own chain decides."""

    region: str | None = None
    role_arn: str | None = None
    external_id: str | None = None
    profile: str | None = None


@dataclass(frozen=True, slots=True)
class CheckSpec:
    """A configured use of a kind. `params` is the kind's own validated pydantic model (opaque to core)."""

    pipeline: str
    name: str
    kind: str
    params: Any
    interval: timedelta
    timeout: timedelta
    signals: Mapping[str, SignalSpec]
    units: Mapping[str, str]
    severity: Severity = Severity.SEV3
    #: NEVER: unknown is shown, and raises no notice.
    unknown_for: timedelta = timedelta(minutes=5)
    runbook: str | None = None
    #: True when targets come from a glob or a tag, so they are not known before the first run.
    discovers: bool = False
    #: Target names known from config (empty when discovered).
    targets: tuple[str, ...] = ()
    aws: AwsSpec = AwsSpec()
    #: How far each signal's values look back.
    windows: Mapping[str, timedelta] = field(default_factory=dict)

    def judges(self, signal: str) -> bool:
        """Whether the signal has a threshold; the others are only shown."""
        bounds = self.signals.get(signal)
        return bounds is not None and (bounds.warning is not None or bounds.critical is not None)

    @property
    def key(self) -> str:
        """`PIPELINE/CHECK`, unique in a daemon."""
        return f"{self.pipeline}/{self.name}"


@dataclass(frozen=True, slots=True)
class Term:
    """A leaf of `trip_when`: `check[.signal]` at `level` or worse, for `hold`. No `signal`: any of them."""

    check: str
    signal: str | None = None
    level: Level = Level.CRITICAL
    hold: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Combine:
    """An inner node: at least `need` of `parts` hold (any: 1, all: len). Terms of one check join on the target."""

    need: int
    parts: tuple[Term | Combine, ...]


Condition = Term | Combine


@dataclass(frozen=True, slots=True)
class StepSpec:
    """One step of a playbook. `verb` is an action name or wait | verify | approve | undo.

    `params` are plain JSON values after variable substitution, so that a step can be journalled whole; an action's
    are validated against its model at load and again when it runs.
    """

    id: str
    verb: str
    params: Mapping[str, Json] = field(default_factory=dict)
    on_error: str = "hold"  # hold | continue
    approve: str | None = None  # never | always | None (by risk)
    enforce: bool = False


@dataclass(frozen=True, slots=True)
class RecoverSpec:
    """How an open breaker closes. `after` is the hold, `trial` the time limit of half_open (None: the default)."""

    mode: str = "manual"  # manual | auto
    after: timedelta = timedelta(minutes=15)
    trial: timedelta | None = None
    steps: tuple[StepSpec, ...] | None = None  # None: undo of every receipt, last first


@dataclass(frozen=True, slots=True)
class LimitsSpec:
    """Brakes that latch; they never withhold a cut."""

    trips_per_day: int | None = 3
    max_targets: int | None = 10_000


@dataclass(frozen=True, slots=True)
class BreakerSpec:
    """A durable, guarded playbook."""

    pipeline: str
    name: str
    severity: Severity
    condition: Condition
    mode: Mode = Mode.OBSERVE
    on_trip: tuple[StepSpec, ...] = ()
    recover: RecoverSpec = RecoverSpec()
    limits: LimitsSpec = LimitsSpec()
    runbook: str | None = None

    @property
    def key(self) -> str:
        """`PIPELINE/BREAKER`."""
        return f"{self.pipeline}/{self.name}"


@dataclass(frozen=True, slots=True)
class ChannelSpec:
    """A place for notices. `url` may be a secret reference (`env:`, `file:`, `ssm:`, `secretsmanager:`)."""

    url: str
    min_severity: Severity = Severity.SEV4
    events: tuple[str, ...] = ()  # alert | update | resolved; none: all of them


@dataclass(frozen=True, slots=True)
class MaintenanceSpec:
    """A recurring window: cron start (5 fields, in `timezone`) and length. Holds actions while it lasts."""

    name: str
    start: str
    duration: timedelta
    timezone: str = "UTC"
    matchers: Mapping[str, str] = field(default_factory=dict)  # check, breaker: globs


@dataclass(frozen=True, slots=True)
class Pipeline:
    """One config file."""

    name: str
    path: str
    aws: AwsSpec
    checks: Mapping[str, CheckSpec]
    breakers: Mapping[str, BreakerSpec]
    notify: tuple[ChannelSpec, ...] = ()
    maintenance: tuple[MaintenanceSpec, ...] = ()
    kill_switch_parameter: str | None = None  # name of an SSM parameter polled as a kill switch
