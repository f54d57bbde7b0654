"""The engine without a world: real workers, journal, gates and steps; actions that plan for real and change nothing.

An armed breaker is replayed armed: its cut counts as applied and confirmed at once, its undo as done. History does not
answer to that: the signal goes on as it was recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from monitor.core.breaker import Breaker, Trip
from monitor.core.change import Change, Claim, Entry, Receipt
from monitor.core.course import DataGap
from monitor.core.model import Json, Mode, Severity
from monitor.core.ports import Clock, Lease
from monitor.core.spec import AwsSpec, Pipeline
from monitor.engine.board import Board
from monitor.engine.conditions import Surroundings
from monitor.engine.feed import Feed
from monitor.engine.incidents import Incidents
from monitor.engine.journal import Good, Health, Held, Journal, Ledger
from monitor.engine.killswitch import KillSwitch
from monitor.engine.ownership import Ownership
from monitor.engine.services import Guard, Services
from monitor.engine.worker import Worker
from monitor.plugin import Action, ActionContext, Reads, Registry, Writes
from monitor.store.memory import MemoryStore

FOR_EVER = timedelta(days=36_500)
#: What a property "was" before the first cut: nobody knows, and nothing depends on it.
BEFORE = "as it was"


class VirtualClock:
    """Time that moves when it is told to; a sleep passes at once and moves nothing."""

    def __init__(self, start: datetime) -> None:
        self._start = start
        self._now = start

    def now(self) -> datetime:
        """Virtual wall time, aware UTC."""
        return self._now

    def tick(self) -> float:
        """Virtual seconds since the start."""
        return (self._now - self._start).total_seconds()

    async def sleep(self, seconds: float) -> None:
        """Nothing waits in a replay."""

    def move_to(self, now: datetime) -> None:
        """Forward only."""
        self._now = max(self._now, now)


class Stage:
    """Board and workers of some pipelines, driven from outside."""

    def __init__(self, pipelines: Sequence[Pipeline], registry: Registry, clock: Clock) -> None:
        self.pipelines = {pipeline.name: _armed(pipeline) for pipeline in pipelines}
        #: As configured, by `PIPELINE/BREAKER`.
        self.modes = {spec.key: spec.mode for pipeline in pipelines for spec in pipeline.breakers.values()}
        store = MemoryStore(clock)
        self._store = store
        self._leases: dict[str, Lease] = {}
        self.board = Board()
        feed = _Mute(clock, size=1)
        self.services = Services(
            clock=clock,
            journal=_Diary(store, self._leases.get, Health()),
            board=self.board,
            feed=feed,
            meter=Uncounted(),
            registry=rehearsed(registry),
            cloud=NoCloud(),
            conditions=_Unhindered(store, clock, self.pipelines, self._leases.get),
            incidents=_Unsaid(store, clock, feed, self._leases.get, _unposted, self.board),
            notify=_notify,
            pipelines=self.pipelines.get,
        )
        self.workers: dict[str, Worker] = {}

    async def open(self) -> None:
        """Leases that never end, and a closed worker per breaker."""
        await self._store.open()
        for name, pipeline in self.pipelines.items():
            lease = await self._store.acquire(name, "backtest", FOR_EVER, self.services.clock.now())
            assert lease is not None, "nobody else is here"
            self._leases[name] = lease
            for spec in pipeline.breakers.values():
                self.workers[spec.key] = Worker(self.services, Ledger(Breaker(name, spec.name)), spec)
        self.board.configure({c.key: c for p in self.pipelines.values() for c in p.checks.values()})


def rehearsed(registry: Registry) -> Registry:
    """The same actions with their plans and risks, and hands that touch a table of this process instead of AWS."""
    values: dict[tuple[str, str], Json] = {}
    return Registry(registry.kinds, {name: _rehearsed(one, values) for name, one in registry.actions.items()})


def _rehearsed(action: Action[Any], values: dict[tuple[str, str], Json]) -> Action[Any]:
    def key(change: Change) -> tuple[str, str]:
        return change.resource, change.property or ""

    async def capture(change: Change, ctx: ActionContext) -> Json:
        return values.get(key(change), BEFORE)

    async def apply(change: Change, ctx: ActionContext) -> Receipt:
        if change.property is not None:
            values[key(change)] = change.wanted
        return Receipt(change, applied=change.wanted, changed=True)

    async def undo(receipt: Receipt, ctx: ActionContext) -> Receipt:
        values[key(receipt.change)] = receipt.prior
        return Receipt(receipt.change, applied=receipt.prior, changed=True)

    return replace(
        action,
        capture=capture,
        apply=apply,
        undo=undo if action.undo is not None else None,
        resolve=None,
        expand=None,
    )


def _armed(pipeline: Pipeline) -> Pipeline:
    """What is tried out is the trip, so a breaker in observe mode is replayed as if it were armed."""
    breakers = {
        name: replace(spec, mode=Mode.AUTO) if spec.mode is Mode.OBSERVE else spec
        for name, spec in pipeline.breakers.items()
    }
    return replace(pipeline, breakers=breakers)


class _Unhindered(Surroundings):
    """Maintenance windows and the storm brake as configured; no switch is off and every lease lasts."""

    def __init__(
        self,
        store: MemoryStore,
        clock: Clock,
        pipelines: Mapping[str, Pipeline],
        lease_of: Callable[[str], Lease | None],
    ) -> None:
        ownership = Ownership(store, clock, "backtest", _nothing, _nothing)
        super().__init__(ownership, KillSwitch(clock, store, setting_on=True, file=None), dict)
        self._lease_of = lease_of
        self.configure(pipelines, ())

    def lease(self, pipeline: str) -> Lease | None:
        """Ours."""
        return self._lease_of(pipeline)


class _Diary(Journal):
    """The journal without a store behind it: a replay that ends is gone, so nothing need be durable."""

    def __init__(self, store: MemoryStore, lease_of: Callable[[str], Lease | None], health: Health) -> None:
        super().__init__(store, lease_of, health)
        self._claims: dict[str, Held] = {}

    async def claim(self, key: str) -> Held:
        """As last written here."""
        return self._claims.get(key) or Held(key, None, 0)

    async def good(self, key: str) -> Good:
        """Nothing is known of better days."""
        return Good(key)

    async def save(
        self,
        ledger: Ledger,
        record: Breaker | None = None,
        *,
        entries: Iterable[Entry] = (),
        drop: Iterable[str] = (),
        claim: tuple[Held, Claim | None] | None = None,
    ) -> None:
        """All of it, at once, in memory."""
        changed = {entry.key: entry for entry in entries}
        for key in drop:
            if key not in changed:
                ledger.entries.pop(key, None)
        ledger.entries.update(changed)
        if record is not None:
            ledger.record = record
        if claim is not None:
            held, kept = claim
            self._claims[held.key] = Held(held.key, kept, held.version + 1)


class _Mute(Feed):
    """Nobody listens."""

    def say(self, event: str, *, level: str = "info", **fields: Any) -> None:
        """Not even a log line: what happened is in the result."""


class _Unsaid(Incidents):
    """Trips without incidents: there is nobody to tell."""

    async def tripped(self, trip: Trip, checks: Sequence[str]) -> str:
        """No incident."""
        return ""

    def note(self, incident: str, event: str, text: str, *, loud: bool = False) -> None:
        """No timeline."""

    async def resolve(self, incident: str, why: str) -> None:
        """Nothing to resolve."""

    def missed(self, incident: str | None, pipeline: str, gap: DataGap) -> None:
        """No data gap on record."""


class NoCloud:
    """services.Cloud without anything behind it: the rehearsed actions never ask."""

    def reads(self, spec: AwsSpec) -> Reads:
        """Handed to plans that would expand by asking AWS; rehearsed ones don't."""
        return None  # type: ignore[return-value]  # no rehearsed action touches it

    def writes(self, spec: AwsSpec, guard: Guard) -> Writes:
        """Handed to rehearsed actions, which use none of it."""
        return None  # type: ignore[return-value]  # no rehearsed action touches it

    async def identity(self, spec: AwsSpec) -> tuple[str, str]:
        """One place per region: enough for claims and the storm brake."""
        return "", spec.region or ""


class Uncounted:
    """ports.Meter that counts nothing."""

    def run_finished(self, *args: object) -> None: ...

    def ticks_skipped(self, *args: object) -> None: ...

    def tripped(self, *args: object) -> None: ...

    def action_finished(self, *args: object) -> None: ...

    def action_held(self, *args: object) -> None: ...

    def drain(self, *args: object) -> None: ...

    def lag(self, *args: object) -> None: ...

    def reloaded(self, *args: object) -> None: ...


async def _nothing(pipeline: str) -> None:
    """Nobody gains or loses anything here."""


async def _notify(urls: Sequence[str], title: str, body: str, severity: str) -> list[str]:
    return []


def _unposted(pipeline: str, severity: Severity, key: str, title: str, body: str) -> None:
    """Nobody is told of what only would have been."""
