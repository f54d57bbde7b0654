"""What the workers share, handed over as one value by the composition root."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from monitor.core.ports import Clock, Lease, Meter, Secrets
from monitor.core.spec import AwsSpec, Pipeline
from monitor.engine.board import Board
from monitor.engine.feed import Feed
from monitor.engine.incidents import Incidents
from monitor.engine.journal import Journal
from monitor.plugin import Reads, Registry, Writes

#: (service, operation, seconds the call may take): raises Held when a gate is shut.
Guard = Callable[[str, str, float], Awaitable[None]]


class Cloud(Protocol):
    """AWS, per pipeline."""

    def reads(self, spec: AwsSpec) -> Reads: ...

    def writes(self, spec: AwsSpec, guard: Guard) -> Writes: ...

    async def identity(self, spec: AwsSpec) -> tuple[str, str]:
        """(account id, region)."""


class Conditions(Protocol):
    """What gates look at, beyond the step itself. All instant."""

    def lease(self, pipeline: str) -> Lease | None: ...

    def doubt(self, pipeline: str) -> None: ...

    def actions_off(self, now: datetime) -> str | None: ...

    def maintenance(self, pipeline: str, breaker: str, now: datetime) -> str | None: ...

    def silence(self, pipeline: str, breaker: str, now: datetime) -> str | None: ...

    def storm(self, account: str, region: str, now: datetime) -> str | None: ...

    def wants_to_trip(self, pipeline: str, account: str, region: str, now: datetime) -> None: ...


class Notify(Protocol):
    """Sends a text to channels; the failures come back, one text each."""

    async def __call__(self, urls: Sequence[str], title: str, body: str, severity: str) -> list[str]: ...


@dataclass(slots=True)
class Services:
    """Everything a breaker's worker needs from the rest of the engine."""

    clock: Clock
    journal: Journal
    board: Board
    feed: Feed
    meter: Meter
    registry: Registry
    cloud: Cloud
    conditions: Conditions
    incidents: Incidents
    notify: Notify
    pipelines: Callable[[str], Pipeline | None]
    secrets: Secrets | None = None
    #: One lock per claimed property, so that two workers of this process take turns on it.
    claims: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
