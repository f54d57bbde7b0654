"""The workers of the pipelines this replica owns: one per breaker, taken on with the lease and let go with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import structlog

from monitor.core import breaker as diagram
from monitor.core.breaker import Breaker
from monitor.core.condition import checks_of
from monitor.core.model import Mode, State
from monitor.core.ports import Lease
from monitor.core.spec import BreakerSpec, Pipeline
from monitor.core.view import Outcome
from monitor.engine.journal import Ledger
from monitor.engine.pleas import unheard
from monitor.engine.services import Services
from monitor.engine.supervisor import Supervisor
from monitor.engine.worker import Worker

log = structlog.get_logger(__name__)

#: Ledgers by breaker name.
Ledgers = Mapping[str, Ledger]


class Crew:
    """By `PIPELINE/BREAKER`."""

    def __init__(self, services: Services, supervisor: Supervisor, lease_of: Callable[[str], Lease | None]) -> None:
        self._services = services
        self._supervisor = supervisor
        self._lease_of = lease_of
        self.workers: dict[str, Worker] = {}

    def poke(self, pipeline: str, check: str) -> None:
        """A run of this check ended: the workers that it can matter to look again."""
        for worker in self.workers.values():
            if worker.record.pipeline == pipeline and worker.watches(check):
                worker.poke()

    def orphans(self) -> set[str]:
        """Pipelines of breakers that left the configuration while there was something to end."""
        return {worker.record.pipeline for worker in self.workers.values() if worker.spec is None}

    async def gained(self, name: str, ledgers: Ledgers, pipeline: Pipeline | None) -> None:
        """Go on where the last owner left every breaker."""
        for breaker, ledger in ledgers.items():
            spec, record = (pipeline.breakers.get(breaker) if pipeline else None), ledger.record
            if record.state is State.CLOSED:
                await self._services.incidents.closed(name, breaker)
            if spec is not None or record.state is not State.CLOSED or ledger.undoable():
                self._remember_restart(spec, record)
                worker = Worker(self._services, ledger, spec)
                known = self._services.incidents.get(record.trip.incident or "") if record.trip is not None else None
                for event, text in unheard(record, known):
                    worker.report(event, text)
                self._employ(worker)
        for spec in pipeline.breakers.values() if pipeline else ():
            if spec.name not in ledgers:
                self._employ(Worker(self._services, Ledger(Breaker(spec.pipeline, spec.name)), spec))

    def lost(self, name: str, why: str) -> None:
        """Let the pipeline's workers go; each ends at its next safe point and issues no further mutating call."""
        for key, worker in list(self.workers.items()):
            if worker.record.pipeline == name:
                worker.stop(why)
                del self.workers[key]

    async def new_ledgers(self, pipelines: Mapping[str, Pipeline]) -> dict[str, Ledgers]:
        """What the store knows of breakers that have no worker yet, per owned pipeline. Raises StoreError."""
        found: dict[str, Ledgers] = {}
        for name, pipeline in pipelines.items():
            fresh = any(f"{name}/{breaker}" not in self.workers for breaker in pipeline.breakers)
            if fresh and self._lease_of(name) is not None:
                found[name] = await self._services.journal.load(name)
        return found

    def refit(self, name: str, pipeline: Pipeline | None, known: Ledgers) -> None:
        """Fit one pipeline's workers to its new breakers. Those with something to end stay, orphaned."""
        if self._lease_of(name) is None:
            return
        breakers = dict(pipeline.breakers) if pipeline else {}
        for key, worker in list(self.workers.items()):
            if worker.record.pipeline != name:
                continue
            worker.spec = breakers.pop(worker.record.name, None)
            if worker.spec is None and worker.record.state is State.CLOSED and not worker.ledger.undoable():
                worker.stop("removed from the configuration")
                del self.workers[key]
            else:
                self._end_shadow(worker)
                worker.poke()
        for spec in breakers.values():
            ledger = known.get(spec.name) or Ledger(Breaker(spec.pipeline, spec.name))
            self._employ(Worker(self._services, ledger, spec))

    def _employ(self, worker: Worker) -> None:
        self.workers[worker.record.key] = worker
        self._supervisor.spawn(f"breaker:{worker.record.key}", self._work(worker), finish=True)
        self._end_shadow(worker)

    async def _work(self, worker: Worker) -> None:
        """The worker's loop, again after a bug, with a pause: a breaker must not be left alone."""
        pause = 1.0
        while not worker.stopped:
            try:
                await worker.run()
            except Exception:  # the boundary that keeps one breaker's bug from ending its protection
                log.exception("breaker.crashed", breaker=worker.record.key, reason="bug")
                await self._services.clock.sleep(pause)
                pause = min(60.0, pause * 2)
            else:
                return

    def _remember_restart(self, spec: BreakerSpec | None, record: Breaker) -> None:
        """Judging began anew at the close or the last undo; a crash may have kept that from being written."""
        anew = record.since if record.state is State.CLOSED else record.trial_from
        condition = record.trip.spec.condition if record.trip else spec.condition if spec else None
        if anew is not None and condition is not None:
            self._services.board.restart(record.pipeline, checks_of(condition), anew, judged_before=True)

    def _end_shadow(self, worker: Worker) -> None:
        """From observe to auto (or away) during a shadow trip: start closed, with a fresh `for`."""
        trip, spec = worker.record.trip, worker.spec
        if trip is None or not trip.shadow or (spec is not None and spec.mode is Mode.OBSERVE):
            return

        async def end() -> Outcome:
            record, now = worker.record, self._services.clock.now()
            if record.trip is None or record.trip.id != trip.id:
                return Outcome(False, "the shadow trip ended by itself")
            closed = diagram.close(diagram.forced(record, now), now)
            planned = [entry.key for entry in worker.ledger.of_trip(trip.id)]
            await self._services.journal.save(worker.ledger, closed, drop=planned)
            self._services.board.restart(closed.pipeline, checks_of(trip.spec.condition), now)
            if trip.incident:
                await self._services.incidents.resolve(trip.incident, "the breaker is no longer in observe mode")
            return Outcome(True, "the shadow trip ended")

        self._supervisor.spawn(f"refit:{worker.record.key}", worker.order(end))
