"""What the engine needs from the outside, as protocols; `app` injects the implementations.

The store is a set of documents under (kind, key), each with a version. Every change is a conditional write on the
version it read and the epoch its writer owns; several writes commit together or not at all. This is what SQLite and
DynamoDB (TransactWriteItems) both offer, so the engine is the same on either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from monitor.core.model import Reason


class Clock(Protocol):
    """Time, injected."""

    def now(self) -> datetime:
        """Wall time, aware UTC."""

    def tick(self) -> float:
        """Monotonic seconds; unaffected by clock jumps."""

    async def sleep(self, seconds: float) -> None:
        """Sleep on the monotonic clock."""


@dataclass(frozen=True, slots=True)
class Item:
    """A stored document. `version` starts at 1 and rises by one with each write; `epoch` is its last writer's."""

    kind: str
    key: str
    version: int
    epoch: int
    body: Mapping[str, Any]
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Put:
    """Write `body` if the stored version is `version` (0: must not exist)."""

    kind: str
    key: str
    body: Mapping[str, Any]
    version: int
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove if the stored version is `version`."""

    kind: str
    key: str
    version: int


@dataclass(frozen=True, slots=True)
class Lease:
    """Ownership of one pipeline by one replica. `epoch` fences: a write with an older one is refused."""

    pipeline: str
    owner: str
    epoch: int
    expires_at: datetime


class StoreError(Exception):
    """The store refused or failed; nothing was written."""


class Conflict(StoreError):
    """Someone wrote first: the version in a Put or Delete is not the stored one."""


class Fenced(StoreError):
    """The lease given is no longer the newest: its holder must stop acting."""


class StoreUnavailable(StoreError):
    """The store can't be reached or written (disk full, locked by another process, network)."""


class Store(Protocol):
    """Where state lives. All methods may raise StoreUnavailable."""

    async def open(self) -> None:
        """Connect, migrate, take the process lock (embedded stores). Raises StoreUnavailable with what to do."""

    async def close(self) -> None:
        """Release everything. Idempotent."""

    async def get(self, kind: str, key: str) -> Item | None:
        """One document, read after all own writes."""

    async def scan(self, kind: str, prefix: str = "") -> list[Item]:
        """All live documents of a kind whose key starts with `prefix`, by key."""

    async def commit(self, writes: Sequence[Put | Delete], lease: Lease | None = None) -> list[Item | None]:
        """All writes or none, durable on return; new Items (None for a Delete) in order. Conflict, Fenced."""

    async def acquire(self, pipeline: str, owner: str, ttl: timedelta, now: datetime) -> Lease | None:
        """The lease with a fresh epoch, or None while another owner's lasts."""

    async def renew(self, lease: Lease, ttl: timedelta, now: datetime) -> Lease:
        """The lease with a later end. Raises Fenced when it was taken over."""

    async def release(self, lease: Lease) -> None:
        """Give it back. A lease already taken over is left alone."""

    async def prune(self, now: datetime) -> int:
        """Delete documents whose `expires_at` passed; how many."""


class Meter(Protocol):
    """Counting, without knowing Prometheus. Labels are plain strings; every method is cheap and never raises."""

    def run_finished(
        self, pipeline: str, check: str, kind: str, seconds: float, lateness: float, reason: Reason | None, at: datetime
    ) -> None:
        """A run ended: `reason` None means it observed something for every target."""

    def ticks_skipped(self, pipeline: str, check: str, count: int) -> None:
        """Grid ticks missed because the previous run still ran."""

    def tripped(self, pipeline: str, breaker: str, mode: str) -> None:
        """A breaker (or its shadow, mode=observe) left closed."""

    def action_finished(self, pipeline: str, breaker: str, action: str, seconds: float, reason: Reason | None) -> None:
        """One action ended, applied or undone (`reason` None) or failed."""

    def action_held(self, pipeline: str, breaker: str, action: str, gate: str) -> None:
        """A gate held an action (counted once per change of gate, not per retry)."""

    def drain(self, pipeline: str, breaker: str, remaining: int | None) -> None:
        """What a draining action still has to do; None when it ended."""

    def lag(self, seconds: float) -> None:
        """How late the event loop ran a timer."""

    def reloaded(self, successful: bool, at: datetime) -> None:
        """A configuration load ended."""


class Secrets(Protocol):
    """Resolves secret references late. Never logs a value."""

    async def resolve(self, reference: str) -> str:
        """The value behind `env:X`, `file:/p`, `ssm:/name`, `secretsmanager:id`; anything else is returned as it is.

        Raises ActionError(not_found | denied | unavailable).
        """


class AwsMeter(Protocol):
    """Counting of what the daemon itself asks of AWS. Cheap, never raises."""

    def aws_request(
        self, aws_service: str, operation: str, account_id: str, aws_region: str, reason: Reason | None
    ) -> None:
        """One HTTP attempt ended; `reason` None: it succeeded. THROTTLED also counts as a throttle."""

    def aws_metrics_requested(self, count: int) -> None:
        """Metrics asked of GetMetricData (what AWS bills)."""

    def aws_cost(self, aws_service: str, dollars: float) -> None:
        """List-price dollars this request cost."""

    def aws_quota(self, aws_service: str, operation: str, account_id: str, aws_region: str, ratio: float) -> None:
        """Share of the assumed quota used over the last minute, 0 to 1."""

    def aws_up(self, aws_service: str, account_id: str, aws_region: str, up: bool) -> None:
        """Whether the last call to this service there got a proper answer."""
