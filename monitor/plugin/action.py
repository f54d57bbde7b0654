"""An action: data and four functions; and the registry of everything this process knows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, Protocol

from monitor.core.change import Change, Receipt
from monitor.core.model import Json, Risk
from monitor.plugin.check import Check, P
from monitor.plugin.params import ResourceKind
from monitor.plugin.permissions import Permission
from monitor.plugin.reading import OperationUse, Reads, Writes


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

    async def healthy(self) -> Sequence[Json]:
        """Values that this change's property had while its breaker was closed and its condition did not hold.

        Newest first, at most ten different ones; empty unless the action `remembers`.
        """

    async def secret(self, reference: str) -> str:
        """The value behind a secret reference, for one call's parameters; never to be kept. Raises ActionError."""

    async def progress(self, done: int, remaining: int | None, eta: timedelta | None = None, note: str = "") -> None:
        """Say how far a long action is (page, log, drain metric)."""

    async def permit(self, service: str, operation: str, seconds: float) -> None:
        """Ask before each mutating call that is not AWS's, as `aws.mutate` does for those: all gates and the lease.

        `seconds`: how long the call may take. Raises Held.
        """

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
    #: While all is well the engine looks at the property now and then, so that `ctx.healthy()` knows what was good.
    remembers: bool = False
    #: What to propose for the window that was missed; empty: nothing is lost.
    backfill: str = ""
    #: The IAM actions that one configuration needs, undo included, and on which resources; without it: all of
    #: `permissions`, on any. `expand` alone needs `plan_needs`, also in observe mode.
    needs: Callable[[P], Sequence[Permission]] | None = None
    plan_needs: Callable[[P], Sequence[Permission]] | None = None

    def cuts(self, change: Change) -> bool:
        """Whether this change keeps a source from bringing anything in."""
        return self.cuts_source if self.cuts_of is None else self.cuts_of(change)


@dataclass(frozen=True, slots=True)
class Registry:
    """Every kind and action this process knows, by name: the shipped ones and those of entry points."""

    kinds: Mapping[str, Check[Any]]
    actions: Mapping[str, Action[Any]]
