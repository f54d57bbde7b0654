"""What an author of a check or an action imports; nothing else of `monitor` is needed.

A check is data and one function: `CHECK = Check(...)` around `async def probe(params, ctx)`. It reads, it never
judges, retries, logs above debug or keeps state. An action is data and four functions: `plan`, `capture`, `apply`,
`undo`. It never asks whether it may run: gates do, before it and before each of its mutating calls.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Generic, Protocol, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema, model_validator

from monitor.core.change import Change, Receipt
from monitor.core.denials import Denial, denials_in, statement
from monitor.core.durations import format_duration, parse_duration
from monitor.core.fingerprint import Fingerprint, fingerprint
from monitor.core.gaps import Gap, gaps_in, spelled_gaps
from monitor.core.loops import Anything, Edge, Text, could_match, loops_in
from monitor.core.model import Json, Level, Missing, Observation, Reason, Risk
from monitor.core.prices import USAGE, Price
from monitor.core.spec import Bound, Clear, SignalSpec

__all__ = [
    "USAGE", "Action", "ActionContext", "ActionError", "Anything", "Bound", "Change", "Check", "Clear", "Denial",
    "Duration", "Edge", "Fingerprint", "Gap", "Held", "Json", "Level", "MetricQuery", "MetricSeries", "Missing",
    "Observation", "OperationUse", "OperationValidator", "Params", "Price", "ProbeContext", "ProbeError", "Reads",
    "Reason", "Receipt", "Registry", "Resource", "ResourceKind", "Risk", "Selector", "Signal", "SignalSpec", "Text",
    "TripInfo", "Writes", "could_match", "denials_in", "fingerprint", "gaps_in", "loops_in", "spelled_gaps",
    "statement",
]  # fmt: skip


class ProbeError(Exception):
    """A read that failed, with its reason from the closed list. The runner turns it into `unknown`."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class ActionError(Exception):
    """A mutating call that failed (or whose effect could not be read back)."""

    def __init__(self, reason: Reason, detail: str, *, ambiguous: bool = False) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        #: The call may or may not have had its effect (a timeout after sending).
        self.ambiguous = ambiguous


class Held(Exception):
    """A gate closed while an action ran. Not a failure: the step is resumed when the gate permits again."""

    def __init__(self, gate: str, reason: str) -> None:
        super().__init__(f"held by {gate}: {reason}")
        self.gate = gate
        self.reason = reason


# --- parameters -----------------------------------------------------------------------------------------------------

Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(
        {"type": "string", "pattern": r"^(\d+(\.\d+)?(ms|s|m|h|d|w))+$", "examples": ["30s", "5m", "1h30m"]}
    ),
]


class Params(BaseModel):
    """Base of a kind's or an action's parameters: closed, frozen; descriptions end up in `explain` and the schema."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class ResourceKind(StrEnum):
    """What can be discovered by name, glob and tag. Values are the tagging API's resource type filters."""

    QUEUE = "sqs"
    STATE_MACHINE = "states:stateMachine"
    FUNCTION = "lambda:function"
    TABLE = "dynamodb:table"
    RULE = "events:rule"
    REST_API = "apigateway:restapis"


class Selector(BaseModel):
    """Which resources: names (or ARNs), globs, or tags. Written as a string, a list, or `{names: [...], tags: {...}}`.

    Several tags must all match; an empty tag value matches any value.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    names: tuple[str, ...] = Field(default=(), description="Names, ARNs or globs (`*`, `?`, `[a-z]`).")
    tags: Mapping[str, str] = Field(default_factory=dict, description="Tags that must all match.")

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, data: Any) -> Any:
        if isinstance(data, str):
            return {"names": (data,)}
        if isinstance(data, (list, tuple)):
            return {"names": tuple(data)}
        return data

    @model_validator(mode="after")
    def _not_empty(self) -> Selector:
        if not self.names and not self.tags:
            raise ValueError("select something: a name, a glob or {tags: {key: value}}")
        return self

    @property
    def discovers(self) -> bool:
        """True if AWS must be asked which resources these are (a glob or a tag)."""
        return bool(self.tags) or any(is_glob(name) for name in self.names)

    @property
    def explicit(self) -> tuple[str, ...]:
        """The names that need no discovery."""
        return tuple(name for name in self.names if not is_glob(name))


def is_glob(name: str) -> bool:
    """True for a pattern rather than a name."""
    return any(char in name for char in "*?[")


# --- reading --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Resource:
    """A discovered resource: `name` is short and unique within account and region, and is what targets are called."""

    kind: ResourceKind
    name: str
    arn: str
    #: Extra facts discovery had in hand anyway (queue `url`, state machine `type`).
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MetricQuery:
    """One CloudWatch metric. All queries of one call share no window; the reader batches them anyway."""

    namespace: str
    metric: str
    dimensions: tuple[tuple[str, str], ...]
    stat: str = "Sum"
    period: timedelta = timedelta(seconds=60)
    #: How far back, in whole periods; the newest incomplete period never counts as one.
    points: int = 1
    #: Read from another region (CloudFront and billing live in us-east-1).
    region: str | None = None


@dataclass(frozen=True, slots=True)
class MetricSeries:
    """Complete periods only, oldest first: (end of period, value). Empty: no datapoint in the window."""

    query: MetricQuery
    points: tuple[tuple[datetime, float], ...]

    @property
    def last(self) -> tuple[datetime, float] | None:
        """The newest complete point."""
        return self.points[-1] if self.points else None


class Reads(Protocol):
    """AWS, reading only: a mutating operation raises ProbeError(invalid). All methods raise ProbeError.

    Calls are paced, retried and deadlined here; identical reads in flight or fresh are one call.
    """

    @property
    def region(self) -> str:
        """Region in use."""

    async def account(self) -> str:
        """Account id (12 digits)."""

    async def call(
        self, aws_service: str, operation: str, *, region: str | None = None, **params: Any
    ) -> Mapping[str, Any]:
        """One read, e.g. `call("sqs", "GetQueueAttributes", QueueUrl=...)`; the reply without ResponseMetadata."""

    def pages(
        self, aws_service: str, operation: str, *, region: str | None = None, **params: Any
    ) -> AsyncIterator[Mapping[str, Any]]:
        """Every page to the end. A page that fails raises: a partial list is no list."""

    async def metrics(self, queries: Sequence[MetricQuery]) -> list[MetricSeries]:
        """One series per query, in order. Queries of all checks due together share GetMetricData calls."""

    async def find(self, kind: ResourceKind, selector: Selector) -> list[Resource]:
        """The selected resources, by name. An explicit name is resolved without listing and need not exist."""


class Writes(Reads, Protocol):
    """AWS for actions. `mutate` passes every gate and the lease fence before each attempt; raises ActionError, Held."""

    async def mutate(
        self, aws_service: str, operation: str, *, idempotent: bool = True, **params: Any
    ) -> Mapping[str, Any]:
        """One mutating call. Not idempotent: never repeated after an ambiguous outcome (ActionError.ambiguous)."""

    def rate(self, aws_service: str, operation: str) -> float:
        """Calls per second that this operation can keep up here, as believed now; for an ETA."""


@dataclass(frozen=True, slots=True)
class OperationUse:
    """An AWS operation that parameters name; config checks it against the service model at load.

    `path` is where in the parameters it stands, for the message's position; `query` a JMESPath expression over the
    reply.
    """

    aws_service: str
    operation: str
    parameters: Mapping[str, Any]
    mutating: bool
    query: str | None = None
    path: tuple[str | int, ...] = ()


class OperationValidator(Protocol):
    """Knows every service's model; implemented in `monitor.aws`, injected into `config`."""

    def problems(self, use: OperationUse) -> list[tuple[tuple[str | int, ...], str]]:
        """(path inside the parameters, what is wrong and what to write instead); empty if the call is valid."""


class ProbeContext(Protocol):
    """What a probe gets."""

    @property
    def aws(self) -> Reads:
        """Reads in the pipeline's account and region."""

    @property
    def now(self) -> datetime:
        """When this run started (aware UTC)."""

    async def sleep(self, seconds: float) -> None:
        """Wait between polls of one read (a query that runs); the check's timeout goes on."""

    async def secret(self, reference: str) -> str:
        """The value behind a secret reference, for connecting with; never for an observation. Raises ProbeError."""


# --- checks ---------------------------------------------------------------------------------------------------------

P = TypeVar("P", bound=Params)
P_contra = TypeVar("P_contra", bound=Params, contravariant=True)


@dataclass(frozen=True, slots=True)
class Signal:
    """A number a kind reports per target. `missing` is its default for an absent point.

    `window` is how far a value looks back (a trailing count): a span, or the name of the parameter that holds it.
    After a breaker closes only values whose window began later are judged.
    """

    name: str
    unit: str
    help: str
    missing: Missing = Missing.UNKNOWN
    window: timedelta | str = timedelta(0)


@dataclass(frozen=True, slots=True)
class Check(Generic[P]):
    """A kind: data and one function.

    `permissions` are the IAM actions its probe needs. `targets(params)` names the targets known from config (empty
    when discovered); `cost` says in words what one run costs.
    """

    kind: str
    summary: str
    params: type[P]
    probe: Callable[[P, ProbeContext], Awaitable[Sequence[Observation]]]
    signals: tuple[Signal, ...]
    defaults: Mapping[str, SignalSpec]
    permissions: tuple[str, ...]
    cost: str
    example: str
    target_kind: ResourceKind | None = None
    selectors: tuple[str, ...] = ()  # the params fields that are Selectors
    interval: timedelta = timedelta(seconds=60)
    operations: Callable[[P], Sequence[OperationUse]] | None = None
    #: True where the targets are found in what is read (groups of log lines): one that is not seen again is gone.
    roaming: Callable[[P], bool] | None = None

    def discovers(self, params: P) -> bool:
        """True if the targets are known only once AWS was asked: by a glob or tag, or because they roam."""
        roams = self.roaming is not None and self.roaming(params)
        return roams or any(s.discovers for s in self._selected(params))

    def targets(self, params: P) -> tuple[str, ...]:
        """Short names known from config, in order, without duplicates."""
        names = (target_name(name) for s in self._selected(params) for name in s.explicit)
        return tuple(dict.fromkeys(names))

    def absences(self, params: P) -> Mapping[str, Missing]:
        """What an absent point means by default where that depends on the parameters, by signal."""
        return {}

    def windows(self, params: P) -> dict[str, timedelta]:
        """How far each signal looks back."""
        return {s.name: getattr(params, s.window) if isinstance(s.window, str) else s.window for s in self.signals}

    def _selected(self, params: P) -> list[Selector]:
        values = (getattr(params, name, None) for name in self.selectors)
        return [value for value in values if isinstance(value, Selector)]


def target_name(name: str) -> str:
    """The short name of an ARN or queue URL; a plain name is returned as it is."""
    if name.startswith(("http://", "https://")):
        return name.rstrip("/").rsplit("/", 1)[-1]
    if name.startswith("arn:"):
        tail = name.split(":", 5)[-1]
        return tail.replace("/", ":").rsplit(":", 1)[-1]
    return name


# --- actions --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TripInfo:
    """Why an action runs."""

    id: str
    pipeline: str
    breaker: str
    severity: str
    reason: str
    started_at: datetime
    targets: tuple[str, ...]
    runbook: str | None = None


class ActionContext(Protocol):
    """What capture, apply and undo get."""

    @property
    def aws(self) -> Writes:
        """Reads and gated writes in the pipeline's account and region."""

    @property
    def trip(self) -> TripInfo:
        """The trip this belongs to."""

    @property
    def memory(self) -> Mapping[str, Json]:
        """What `remember` stored for this change, also before a crash."""

    def now(self) -> datetime:
        """Wall time, aware UTC."""

    async def sleep(self, seconds: float) -> None:
        """Wait between polls; ends early by cancellation at shutdown."""

    async def remember(self, **values: Json) -> None:
        """Durable scratch of a process action, written before it goes on; keep it small and bounded."""

    async def progress(self, done: int, remaining: int | None, eta: timedelta | None = None, note: str = "") -> None:
        """Say how far a long action is (page, log, drain metric)."""

    async def notify(self, urls: Sequence[str], title: str, body: str) -> list[str]:
        """Send to channels (secret references are resolved late); the failures, one text each."""


@dataclass(frozen=True, slots=True)
class Action(Generic[P]):
    """An action: data and four functions.

    `plan(params, now)` is pure. `capture(change, ctx)` reads the property's present value (None: unset). `apply` is
    idempotent and reads back. `undo(receipt, ctx)` puts `receipt.prior` in place of `receipt.applied`; None: cannot
    be undone. `restrictive(values)` picks the strictest of several holders' wanted values. `resource_field` is the
    parameter that defaults to `${trip.targets}`; `takes_many` says that it takes a list of them at once.
    """

    name: str
    summary: str
    params: type[P]
    risk: Risk
    plan: Callable[[P, datetime], Change]
    capture: Callable[[Change, ActionContext], Awaitable[Json]]
    apply: Callable[[Change, ActionContext], Awaitable[Receipt]]
    undo: Callable[[Receipt, ActionContext], Awaitable[Receipt]] | None
    permissions: tuple[str, ...]
    example: str
    blast_radius: str
    restrictive: Callable[[Sequence[Json]], Json] | None = None
    #: Where the risk depends on the parameters (aws_call); never milder than what the call can do.
    risk_of: Callable[[P], Risk] | None = None
    resource_field: str | None = None
    resource_kind: ResourceKind | None = None
    takes_many: bool = False
    operations: Callable[[P], Sequence[OperationUse]] | None = None
    #: Where only AWS can tell what is wanted ("the version before"): asked once, before the intent is written, with the
    #: value before any change of tripswitch's; its answer takes the place of `Change.wanted`.
    resolve: Callable[[Change, Json, ActionContext], Awaitable[Json]] | None = None
    #: Where only AWS knows which resources are meant (a glob, "whatever starts this machine"): asked once, before
    #: anything is journalled; the step then consists of these changes, of this action or others, instead of `plan`'s.
    expand: Callable[[P, datetime, Reads], Awaitable[Sequence[Change]]] | None = None
    #: The parameter that a number among a `ramp`'s `steps` stands for.
    amount_field: str | None = None
    #: While it is in force nothing comes in from the resource: its undo leaves a data gap in the incident.
    cuts_source: bool = False
    #: Where that depends on the parameters.
    cuts_of: Callable[[Change], bool] | None = None
    #: What to propose for the window that was missed; empty: nothing is lost.
    backfill: str = ""

    def cuts(self, change: Change) -> bool:
        """Whether this change keeps a source from bringing anything in."""
        return self.cuts_source if self.cuts_of is None else self.cuts_of(change)


@dataclass(frozen=True, slots=True)
class Registry:
    """Every kind and action this process knows, by name: the shipped ones and those of entry points."""

    kinds: Mapping[str, Check[Any]]
    actions: Mapping[str, Action[Any]]
