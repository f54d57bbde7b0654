"""AWS as probes and actions see it: what is read, what is written, and what a probe gets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from monitor.plugin.params import ResourceKind, Selector


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


@dataclass(frozen=True, slots=True)
class Past:
    """Where a signal that is read directly has its past: the newest point of `query`'s window, as
    `factor * point + offset`. `note` says what differs from the direct read; without a datapoint the point is absent.
    """

    signal: str
    target: str
    query: MetricQuery
    note: str
    factor: float = 1.0
    offset: float = 0.0


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
