"""What an action gets to work with (ActionContext), bound to one journal entry."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from monitor.core.breaker import Trip
from monitor.core.change import Entry, property_key
from monitor.core.model import Json, Reason
from monitor.engine.journal import Ledger
from monitor.engine.services import Guard, Services
from monitor.plugin import ActionError, Held, TripInfo, Writes


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a long action is; volatile."""

    done: int
    remaining: int | None
    eta: timedelta | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Watch:
    """Where progress is told, why the action should stop at its next safe point (None: it need not), and the gates."""

    interrupted: Callable[[], str | None]
    progress: dict[str, Progress]
    guard: Guard


def trip_info(trip: Trip) -> TripInfo:
    """The trip as actions see it."""
    return TripInfo(
        id=trip.id,
        pipeline=trip.spec.pipeline,
        breaker=trip.spec.name,
        severity=trip.spec.severity.value,
        reason=trip.reason,
        started_at=trip.at,
        targets=trip.targets,
        runbook=trip.spec.runbook,
    )


class Acting:
    """ActionContext for one entry. Keeps the newest version of the entry, as `remember` changes it."""

    def __init__(self, services: Services, ledger: Ledger, entry: Entry, aws: Writes, watch: Watch) -> None:
        trip = ledger.record.trip
        assert trip is not None, "actions run for a trip"
        self._services = services
        self._ledger = ledger
        self._key = entry.key
        self._aws = aws
        self._watch = watch
        self._progress = watch.progress
        self._trip = trip_info(trip)
        self._place = (trip.account, trip.region)

    @property
    def entry(self) -> Entry:
        """The entry as last saved."""
        return self._ledger.entries[self._key]

    @property
    def aws(self) -> Writes:
        """Reads and gated writes."""
        return self._aws

    @property
    def trip(self) -> TripInfo:
        """Why this runs."""
        return self._trip

    @property
    def memory(self) -> Mapping[str, Json]:
        """What `remember` stored."""
        return self.entry.memory

    def now(self) -> datetime:
        """Wall time, aware UTC."""
        return self._services.clock.now()

    async def sleep(self, seconds: float) -> None:
        """Wait between polls. Raises Held within a second once a command waits: this is a safe point."""
        left = seconds
        while True:
            if (why := self._watch.interrupted()) is not None:
                raise Held("interrupted", why)
            await self._services.clock.sleep(min(left, 1.0))
            left -= 1.0
            if left <= 0:
                return

    async def remember(self, **values: Json) -> None:
        """Durable before it returns. Raises StoreError."""
        entry = self.entry
        await self._services.journal.save(self._ledger, entries=[replace(entry, memory={**entry.memory, **values})])

    async def healthy(self) -> Sequence[Json]:
        """What the property was while all was well. Raises StoreError."""
        key = property_key(*self._place, self.entry.change)
        return [] if key is None else (await self._services.journal.good(key)).newest_first()

    async def progress(self, done: int, remaining: int | None, eta: timedelta | None = None, note: str = "") -> None:
        """Page, log and drain metric."""
        before = self._progress.get(self._key)
        self._progress[self._key] = Progress(done, remaining, eta, note)
        self._services.meter.drain(self._trip.pipeline, self._trip.breaker, remaining)
        if before is None or before.remaining != remaining or before.done != done:
            self._services.feed.say(
                "action.progressed",
                level="debug",
                pipeline=self._trip.pipeline,
                breaker=self._trip.breaker,
                action=self.entry.change.action,
                done=done,
                remaining=remaining,
                eta=eta,
                note=note,
            )

    async def secret(self, reference: str) -> str:
        """The value behind a reference. Raises ActionError."""
        if self._services.secrets is None:
            raise ActionError(Reason.INVALID, "no secrets can be resolved here")
        return await self._services.secrets.resolve(reference)

    async def permit(self, service: str, operation: str, seconds: float) -> None:
        """All gates and the lease, before a mutating call that is not AWS's. Raises Held."""
        await self._watch.guard(service, operation, seconds)

    async def notify(self, urls: Sequence[str], title: str, body: str) -> list[str]:
        """Empty `urls` means the pipeline's own channels."""
        if not urls:
            pipeline = self._services.pipelines(self._trip.pipeline)
            urls = [channel.url for channel in pipeline.notify] if pipeline else []
        return await self._services.notify(urls, title, body, self._trip.severity)
