"""What people may ask of breakers: trip, reset, approve, disable, enable. Each is done by the breaker's own worker.

An Outcome that is not ok changed nothing; its message says why and what to do.
"""

from __future__ import annotations

from dataclasses import replace

from monitor.core import breaker as diagram
from monitor.core.breaker import Trip
from monitor.core.change import Phase
from monitor.core.condition import checks_of
from monitor.core.model import State
from monitor.core.spec import RecoverSpec
from monitor.core.view import Outcome
from monitor.engine.services import Services
from monitor.engine.sources import gap_of
from monitor.engine.worker import Worker


class Control:
    """Commands on one breaker."""

    def __init__(self, services: Services, worker: Worker) -> None:
        self._services = services
        self._worker = worker

    async def trip(self, by: str, reason: str) -> Outcome:
        """Trip now, whatever the checks say. In observe mode too: a person asked."""
        worker = self._worker

        async def work() -> Outcome:
            record = worker.record
            if worker.spec is None:
                return Outcome(False, f"{record.key} is no longer configured")
            if record.state is not State.CLOSED:
                return Outcome(False, f"{record.key} is {record.state} already")
            if record.disabled:
                return Outcome(False, f"{record.key} is disabled by {record.disabled_by}: enable it first")
            known = self._services.board.standings(record.pipeline, checks_of(worker.spec.condition))
            targets = tuple(sorted({target for _, _, target in known if target != "*"}))
            await worker.trip(worker.spec, reason or "tripped by a person", targets, by)
            return Outcome(True, f"{record.key} is tripping; a person must reset it", {"state": "tripping"})

        return await worker.order(work)

    async def reset(self, by: str, *, force: bool = False) -> Outcome:
        """Run the recovery now, then close. `force`: close without it; receipts are abandoned but stay listed."""
        worker = self._worker

        async def work() -> Outcome:
            if worker.record.state is State.CLOSED:
                return await self._undo_abandoned(by)
            return await (self._force(by) if force else self._recover(by))

        return await worker.order(work, interrupt=f"reset by {by}")

    async def approve(self, by: str, plan: str | None) -> Outcome:
        """Say yes to the plan that waits; naming another one is refused."""
        worker = self._worker

        async def work() -> Outcome:
            waiting = worker.awaiting()
            if waiting is None:
                return Outcome(False, f"{worker.record.key} waits for no approval")
            if plan is not None and plan != waiting:
                return Outcome(False, f"the plan changed: {waiting} waits now, not {plan}; look at it again")
            now = self._services.clock.now()
            await self._services.journal.save(worker.ledger, diagram.approve(worker.record, waiting, by, now))
            worker.report("breaker.approved", f"approved by {by} (plan {waiting})")
            return Outcome(True, f"approved {waiting}", {"plan": waiting})

        return await worker.order(work)

    async def disable(self, by: str, reason: str) -> Outcome:
        """Hold everything: no trip, no step, until enabled."""
        worker = self._worker

        async def work() -> Outcome:
            if worker.record.disabled:
                return Outcome(True, f"{worker.record.key} is disabled already, by {worker.record.disabled_by}")
            who = f"{by} ({reason})" if reason else by
            await self._services.journal.save(worker.ledger, diagram.disable(worker.record, who))
            worker.report("breaker.disabled", f"disabled by {who}")
            return Outcome(True, f"{worker.record.key} is disabled: it neither trips nor acts until enabled")

        return await worker.order(work, interrupt=f"disabled by {by}")

    async def enable(self, by: str) -> Outcome:
        """Judge again, and go on where it stood."""
        worker = self._worker

        async def work() -> Outcome:
            if not worker.record.disabled:
                return Outcome(True, f"{worker.record.key} is not disabled")
            await self._services.journal.save(worker.ledger, diagram.enable(worker.record))
            worker.report("breaker.enabled", f"enabled by {by}")
            return Outcome(True, f"{worker.record.key} is enabled and {worker.record.state}")

        return await worker.order(work)

    async def _recover(self, by: str) -> Outcome:
        worker, now = self._worker, self._services.clock.now()
        record = worker.record
        if record.resetting:
            return Outcome(True, f"{record.key} is being reset already")
        await self._services.journal.save(worker.ledger, diagram.recovering(record, now, person=True))
        worker.report("breaker.reset", f"reset by {by}: recovering now")
        when = "recovers once it is enabled" if record.disabled else "recovers now, then closes"
        return Outcome(True, f"{record.key} {when}", {"state": worker.record.state.value})

    async def _force(self, by: str) -> Outcome:
        """Never open to closed directly: an empty recovery is passed through, in two durable steps."""
        worker, now = self._worker, self._services.clock.now()
        left = [replace(e, phase=Phase.ABANDONED) for e in worker.ledger.undoable()]
        await self._services.journal.save(worker.ledger, diagram.forced(worker.record, now), entries=left)
        worker.report("breaker.forced", f"forced closed by {by}; {len(left)} changes stay in force")
        trip = worker.record.trip
        for entry in left:
            worker.report("action.left_in_force", f"{entry.change.summary}: forced closed by {by}")
            gap = gap_of(self._services.registry, entry, now)
            if gap is not None and trip is not None:
                self._services.incidents.missed(trip.incident, worker.record.pipeline, gap)
        gone = [key for key, entry in worker.ledger.entries.items() if not entry.undoable]
        await self._services.journal.save(worker.ledger, diagram.close(worker.record, now), drop=gone)
        if trip is not None:
            self._services.board.restart(worker.record.pipeline, checks_of(trip.spec.condition), now)
            if trip.incident is not None:
                await self._services.incidents.resolve(trip.incident, f"forced closed by {by}")
        names = [entry.change.summary for entry in left]
        return Outcome(
            True,
            f"{worker.record.key} is closed; still in force: {'; '.join(names) or 'nothing'}",
            {"abandoned": names},
        )

    async def _undo_abandoned(self, by: str) -> Outcome:
        """A closed breaker with abandoned receipts: take them back now."""
        worker, now = self._worker, self._services.clock.now()
        left = worker.ledger.undoable()
        if not left:
            return Outcome(False, f"{worker.record.key} is closed: nothing to reset")
        base = worker.spec
        if base is None:
            return Outcome(False, f"{worker.record.key} is no longer configured: restore its file to undo")
        spec = replace(base, on_trip=(), recover=RecoverSpec())
        event = Trip(left[-1].key.split("/")[2], now, f"undo of abandoned changes by {by}", (), spec, by)
        opened = diagram.confirmed(diagram.trip(worker.record, event, now), now)
        record = replace(diagram.recovering(opened, now, person=True), trips=worker.record.trips)
        await self._services.journal.save(worker.ledger, record)
        worker.report("breaker.reset", f"undoing {len(left)} abandoned changes, asked by {by}")
        return Outcome(True, f"undoing {len(left)} changes", {"count": len(left)})
