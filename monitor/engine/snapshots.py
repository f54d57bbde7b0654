"""What was good: now and then, while a breaker is closed and its condition does not hold, the values that its steps may
put back ("the version before", "the last good policy") are read and remembered, so that they are known when it trips.

Only actions that `remember` are asked, only for resources that the file names, and never while a breaker of
tripswitch's holds the property: what was set by us says nothing about what was good.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import structlog
from pydantic import ValidationError

from monitor.core.change import Change, property_key
from monitor.core.codec import encode
from monitor.core.condition import checks_of
from monitor.core.model import Json, Level, Mode, Reason, State
from monitor.core.ports import StoreError
from monitor.core.spec import AwsSpec, BreakerSpec
from monitor.engine.journal import Seen
from monitor.engine.judging import Judge
from monitor.engine.services import Services
from monitor.engine.supervisor import Supervisor
from monitor.engine.worker import Worker
from monitor.plugin import Action, ActionError, Held, Params, ProbeError, TripInfo, Writes

log = structlog.get_logger(__name__)

#: Seconds from the start to the first look, and between looks.
FIRST, EVERY = 60.0, 300.0
#: A value that stays is written again this often, so that its age is known.
AGAIN = timedelta(hours=6)


class Looking:
    """ActionContext for a capture outside of any trip: it reads, and nothing else."""

    def __init__(self, services: Services, spec: BreakerSpec, aws: Writes) -> None:
        self.aws = aws
        self.memory: Mapping[str, Json] = {}
        self._clock = services.clock
        self.trip = TripInfo("", spec.pipeline, spec.name, spec.severity.value, "", services.clock.now(), ())

    def now(self) -> datetime:
        """Wall time, aware UTC."""
        return self._clock.now()

    async def sleep(self, seconds: float) -> None:
        """On the injected clock."""
        await self._clock.sleep(seconds)

    async def healthy(self) -> Sequence[Json]:
        """Nothing: this is how it becomes known."""
        return ()

    async def remember(self, **values: Json) -> None:
        """Nothing is kept."""

    async def progress(self, done: int, remaining: int | None, eta: timedelta | None = None, note: str = "") -> None:
        """Nobody waits."""

    async def secret(self, reference: str) -> str:
        """None is handed out. Raises ActionError."""
        raise ActionError(Reason.INVALID, "a look at a property needs no secret")

    async def permit(self, service: str, operation: str, seconds: float) -> None:
        """Nothing may be changed. Raises Held."""
        await _nothing(service, operation, seconds)

    async def notify(self, urls: Sequence[str], title: str, body: str) -> list[str]:
        """Nothing is said."""
        return []


class Snapshots:
    """Looks for every breaker of this replica."""

    def __init__(self, services: Services, supervisor: Supervisor, workers: Callable[[], Iterable[Worker]]) -> None:
        self._services = services
        self._supervisor = supervisor
        self._workers = workers
        self._judge = Judge(services)

    async def loop(self) -> None:
        """Until cancelled."""
        pause = FIRST
        while True:
            await self._services.clock.sleep(pause)
            for worker in self._workers():
                spec = worker.spec
                if spec is not None and spec.mode is not Mode.OBSERVE:
                    # A bug in one action ends the look at one breaker; the supervisor tells of it.
                    await asyncio.wait(
                        {self._supervisor.spawn(f"probe:snapshots:{spec.key}", self._look(worker, spec))}
                    )
            pause = EVERY

    async def _look(self, worker: Worker, spec: BreakerSpec) -> None:
        """One look at what one breaker may put back, while all is well. A failed read or write costs one look."""
        for action, change in self._remembered(spec):
            if not self._is_well(worker, spec):
                break
            try:
                await self._keep(worker, spec, action, change)
            except (ProbeError, ActionError, Held) as error:
                log.debug("snapshot.unread", breaker=spec.key, resource=change.resource, detail=str(error))
            except StoreError as error:
                log.debug("snapshot.unwritten", breaker=spec.key, resource=change.resource, detail=str(error))

    def _remembered(self, spec: BreakerSpec) -> Iterator[tuple[Action[Params], Change]]:
        for step in (*spec.on_trip, *(spec.recover.steps or ())):
            action = self._services.registry.actions.get(step.verb)
            if action is None or not action.remembers or "${trip." in str(encode(step.params)):
                continue
            try:
                yield action, action.plan(action.params.model_validate(dict(step.params)), self._services.clock.now())
            except ValidationError:
                continue  # its resource is whatever breaches: not known yet

    def _is_well(self, worker: Worker, spec: BreakerSpec) -> bool:
        """Closed, the condition known not to hold, and none of its checks critical (in part, or not long enough)."""
        if worker.record.state is not State.CLOSED or worker.record.disabled:
            return False
        boards = [self._services.board.get(f"{spec.pipeline}/{check}") for check in checks_of(spec.condition)]
        calm = all(Level.CRITICAL not in board.levels().values() for board in boards if board is not None)
        return calm and self._judge.match(spec).truth is False

    async def _keep(self, worker: Worker, spec: BreakerSpec, action: Action[Params], change: Change) -> None:
        services, pipeline = self._services, self._services.pipelines(spec.pipeline)
        aws = pipeline.aws if pipeline is not None else AwsSpec()
        key = property_key(*await services.cloud.identity(aws), change)
        if key is None or (await services.journal.claim(key)).claim is not None:
            return
        value = await action.capture(change, Looking(services, spec, services.cloud.writes(aws, _nothing)))
        if (await services.journal.claim(key)).claim is not None:
            return  # set by us in between, perhaps
        known, now = await services.journal.good(key), services.clock.now()
        fresh = known.values and known.values[-1].value == value and now - known.values[-1].at < AGAIN
        if value is not None and not fresh and self._is_well(worker, spec):
            await services.journal.keep_good(spec.pipeline, known, Seen(value, now))


async def _nothing(service: str, operation: str, seconds: float) -> None:
    raise Held("snapshot", f"a look changes nothing (before {service}:{operation})")
