"""One breaker's worker: the only writer of its record. It watches, trips, plays steps, recovers, and obeys people.

Level-triggered: it looks at the whole situation each time it wakes and does the next piece of work, so that a lost
wake-up, a crash or a failed call costs time and nothing else.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime

import structlog

from monitor.core import breaker as diagram
from monitor.core.breaker import Breaker, StepPhase, Trip
from monitor.core.change import Phase
from monitor.core.condition import checks_of
from monitor.core.model import Json, Mode, State
from monitor.core.ports import Conflict, Fenced, StoreError, StoreUnavailable
from monitor.core.spec import AwsSpec, BreakerSpec, StepSpec
from monitor.core.view import Outcome
from monitor.engine.drift import DriftWatch
from monitor.engine.journal import Ledger
from monitor.engine.judging import Judge, targets_of
from monitor.engine.mailbox import Mailbox, Order
from monitor.engine.permits import Permits
from monitor.engine.pleas import noted_as, opened_words
from monitor.engine.ramp import is_climbing, is_set_anew
from monitor.engine.services import Services
from monitor.engine.steps import Steps
from monitor.plugin import ProbeError

log = structlog.get_logger(__name__)

#: The longest nap: whatever wake-up got lost, the worker looks again by then.
NAP = 5.0
#: How long a trial may go on without data before the cut is put back.
BLIND_TRIALS = 3


class Worker:
    """Drives one breaker. `spec` is None once it is removed from the config (orphaned)."""

    def __init__(self, services: Services, ledger: Ledger, spec: BreakerSpec | None) -> None:
        self.spec = spec
        self.ledger = ledger
        self._services = services
        self._wake = asyncio.Event()
        self._mail = Mailbox(self._wake.set)
        self._judge = Judge(services)
        self.stopped = False
        #: The checks of the condition, worked out once per configuration.
        self._watched: tuple[BreakerSpec | None, frozenset[str]] = (None, frozenset())
        #: What is in memory may be older than the store: read it again first.
        self._stale = False
        permits = Permits(services, lambda: self.ledger.record, lambda: self._mail.interrupt)
        self.steps = Steps(services, ledger, permits, self.report)
        self._drift = DriftWatch(services, ledger, permits, self.report)

    @property
    def record(self) -> Breaker:
        """The breaker as last saved."""
        return self.ledger.record

    # --- life ---------------------------------------------------------------------------------------------------

    def watches(self, check: str) -> bool:
        """Whether a run of this check can bring news: always while not closed (a verify may wait for any check)."""
        if self.record.state is not State.CLOSED or self.spec is None:
            return True
        if self._watched[0] is not self.spec:
            self._watched = (self.spec, frozenset(checks_of(self.spec.condition)))
        return check in self._watched[1]

    def poke(self) -> None:
        """Something changed: look again."""
        self._wake.set()

    def stop(self, why: str) -> None:
        """No further mutating call; the loop ends at the next safe point."""
        self.stopped = True
        self._mail.close(why)

    async def run(self) -> None:
        """Until stopped, or until the pipeline belongs to somebody else."""
        while not self.stopped:
            await self._turn()

    async def order(self, order: Order, interrupt: str | None = None) -> Outcome:
        """Have a person's command done by the worker, between two pieces of work. `interrupt` ends a long action."""
        return await self._mail.put(order, interrupt)

    async def look(self) -> float | None:
        """A turn without its nap, for who drives the time; seconds until there is more (None: on news). StoreError."""
        self._wake.clear()
        if self._stale:
            await self._reload()
        self._stale = not await self._mail.take()
        return 0.2 if self._stale else await self._advance()

    async def _turn(self) -> None:
        try:
            pause = await self.look()
        except Fenced as error:
            # No further call before the lease is proven: by its renewal, or this worker is stopped.
            self._services.conditions.doubt(self.record.pipeline)
            log.warning("breaker.fenced", breaker=self.record.key, detail=str(error))
            self._stale, pause = True, 1.0
        except Conflict as error:
            log.warning("journal.conflict", breaker=self.record.key, detail=str(error))
            self._stale, pause = True, 0.2
        except StoreError as error:
            self._services.journal.health.down = str(error)
            log.warning("journal.unavailable", breaker=self.record.key, detail=str(error))
            pause = 1.0
        if pause is None or pause > 0:
            await self._rest(NAP if pause is None else min(pause, NAP))

    async def _rest(self, seconds: float) -> None:
        """Until `seconds` of the injected clock passed, or something woke the worker."""

        async def nap() -> None:
            await self._services.clock.sleep(seconds)
            self._wake.set()

        async with asyncio.TaskGroup() as group:
            alarm = group.create_task(nap())
            await self._wake.wait()
            alarm.cancel()

    async def _reload(self) -> None:
        ledgers = await self._services.journal.load(self.record.pipeline)
        found = ledgers.get(self.record.name)
        if found is not None:
            self.ledger.record, self.ledger.version = found.record, found.version
            self.ledger.entries, self.ledger.versions = found.entries, found.versions
        self._stale = False

    # --- the diagram --------------------------------------------------------------------------------------------

    async def _advance(self) -> float | None:
        """One piece of work; seconds until there may be more (0: at once, None: on news)."""
        if self._services.conditions.lease(self.record.pipeline) is None:
            return None
        if self.record.disabled:
            return None
        match self.record.state:
            case State.CLOSED:
                return await self._watch()
            case State.TRIPPING:
                return await self._tripping()
            case State.OPEN:
                return await self._open()
            case State.HALF_OPEN:
                return await self._half_open()

    async def _watch(self) -> float | None:
        if self.spec is None:
            return None
        found = self._judge.match(self.spec)
        if found.truth is not True:
            return None
        if self._services.journal.health.down:
            return 1.0  # what can't be written down isn't done, nor said again and again
        await self.trip(self.spec, self._judge.because(self.spec, found), targets_of(found), by=None)
        return 0.0

    async def trip(self, spec: BreakerSpec, reason: str, targets: tuple[str, ...], by: str | None) -> None:
        """closed -> tripping, written with its incident."""
        now = self._services.clock.now()
        if self._services.conditions.lease(spec.pipeline) is None:
            raise Fenced("this replica does not own the pipeline")
        if self._services.journal.health.down:
            # Known before anything is said: an incident told at every attempt would be noise.
            raise StoreUnavailable(self._services.journal.health.down)
        account, region = await self._place()
        shadow = diagram.is_shadow(spec.mode) and by is None
        if not shadow:
            self._services.conditions.wants_to_trip(spec.pipeline, account, region, now)
        pipeline = self._services.pipelines(spec.pipeline)
        aws = pipeline.aws if pipeline is not None else AwsSpec()
        event = Trip(
            _trip_id(spec, now), now, reason, targets, spec, by, shadow, account=account, region=region, aws=aws
        )
        incident = await self._services.incidents.tripped(event, checks_of(spec.condition))
        event = replace(event, incident=incident)
        await self._services.journal.save(self.ledger, diagram.trip(self.record, event, now))
        self._services.meter.tripped(
            spec.pipeline, spec.name, "observe" if shadow else Mode.AUTO.value if by else spec.mode.value
        )
        who = f"by {by}: " if by else ""
        self.report("breaker.tripped", f"{'would trip' if shadow else 'tripped'} {who}{reason}")
        if self.record.trip is not None and self.record.trip.latched:
            limit = spec.limits.trips_per_day
            self.report("breaker.latched", f"trip {limit} of {limit} within 24 h: stays open until a person resets it")

    async def _tripping(self) -> float | None:
        if self._may_withdraw():
            await self._withdraw()
            return 0.0
        self._wish_on()
        index = self.record.cursor()
        if index is not None:
            return await self.steps.play(index)
        await self._services.journal.save(self.ledger, diagram.confirmed(self.record, self._services.clock.now()))
        self.report("breaker.opened", opened_words(self.record.trip, self.record.hold_until))
        return 0.0

    async def _withdraw(self) -> None:
        trip, why = self.record.trip, "the breach cleared before anybody approved; nothing was done"
        assert trip is not None
        planned = [entry.key for entry in self.ledger.of_trip(trip.id)]
        closed = diagram.withdrawn(self.record, self._services.clock.now())
        await self._services.journal.save(self.ledger, closed, drop=planned)
        self.report("breaker.withdrawn", why, trip)
        if trip.incident is not None:
            await self._services.incidents.resolve(trip.incident, why)

    async def _open(self) -> float | None:
        now = self._services.clock.now()
        record, trip = self.record, self.record.trip
        assert trip is not None
        if record.phase != "recover":
            if trip.recovers_alone and record.hold_until is not None and now >= record.hold_until:
                await self._services.journal.save(self.ledger, diagram.recovering(record, now, person=False))
                self.report("breaker.recovering", "the hold is over")
                return 0.0
            self._wish_on()
            pause = await self._drift.look()
            if trip.recovers_alone and record.hold_until is not None:
                pause = min(pause, max(0.01, (record.hold_until - now).total_seconds()))
            return pause
        index = record.cursor()
        if index is not None and not self._lets_back_in(record.steps[index].spec):
            return await self.steps.play(index)
        await self._services.journal.save(
            self.ledger, diagram.half_open(record, now, self._judge.half_open_limit(trip))
        )
        self.report("breaker.half_opened", "would restore" if trip.shadow else "restoring")
        return 0.0

    async def _half_open(self) -> float | None:
        record, now = self.record, self._services.clock.now()
        index = record.cursor()
        if record.resetting:
            return await self._reset_on(index)
        relapse = self._relapse(now)
        if relapse is not None:
            await self._relapsed(relapse)
            return 0.0
        await self._prolong_held(index, now)
        if index is not None:
            before, pause = record.steps[index], await self.steps.play(index)
            step = self.record.steps[index]
            if is_set_anew(before, step) or (step.ended and self._lets_back_in(step.spec)):
                self._fresh_eyes()
            return pause
        trip = record.trip
        assert trip is not None
        if record.trial_from is None:
            span = self._judge.trial_span(trip)
            await self._services.journal.save(self.ledger, diagram.trial(record, now, span))
            self.report("breaker.trial_began", f"everything is restored; on trial for {round(span.total_seconds())}s")
            return 0.0
        assert record.trial_until is not None
        if now < record.trial_until:
            return (record.trial_until - now).total_seconds()
        if self._judge.match(trip.spec).truth is False or trip.shadow:
            await self._close("recovered: the trial passed")
            return 0.0
        return None  # unknown never closes; `_relapse` ends it

    async def _prolong_held(self, index: int | None, now: datetime) -> None:
        """A recovery that a gate held must find time left to finish in when the gate opens."""
        record, trip = self.record, self.record.trip
        if index is None or trip is None or record.steps[index].phase is not StepPhase.HELD:
            return
        limit = self._judge.half_open_limit(trip)
        if record.trial_until is not None and record.trial_until - now < limit / 2:
            await self._services.journal.save(self.ledger, diagram.prolong(record, now + limit))

    async def _reset_on(self, index: int | None) -> float | None:
        """A person's reset: the steps, then closed, without a trial."""
        if index is not None:
            return await self.steps.play(index)
        trip = self.record.trip
        breach = trip is not None and self._judge.match(trip.spec).truth is True
        await self._close("reset by a person" + (": the breach lasts, `for` starts anew" if breach else ""))
        return 0.0

    async def _close(self, why: str) -> None:
        trip, now = self.record.trip, self._services.clock.now()
        assert trip is not None
        await self.steps.settle_leftovers()
        gone = [key for key, entry in self.ledger.entries.items() if not entry.undoable]
        await self._services.journal.save(self.ledger, diagram.close(self.record, now), drop=gone)
        self.report("breaker.closed", why, trip)
        self._services.board.restart(self.record.pipeline, checks_of(trip.spec.condition), now)
        if trip.incident is not None:
            await self._services.incidents.resolve(trip.incident, why)

    async def _relapsed(self, reason: str) -> None:
        now = self._services.clock.now()
        await self._services.journal.save(self.ledger, diagram.relapse(self.record, now, reason))
        self.report("breaker.relapsed", f"{reason}: applying the trip again, the hold doubles")

    def _relapse(self, now: datetime) -> str | None:
        """Why half_open must end now, or None."""
        record, trip = self.record, self.record.trip
        assert trip is not None
        found = self._judge.match(trip.spec)
        if found.truth is True and self._let_in():
            # In the same words as a trip: steps read in `${trip.reason}` which windows are missing now.
            return "relapse: " + self._judge.because(trip.spec, found)
        if record.trial_until is None or trip.shadow:
            return None
        if record.trial_from is None:
            index = record.cursor()
            if index is not None and record.steps[index].phase is StepPhase.HELD:
                return None  # a gate holds the recovery: that is no verdict on it
            late = index is not None and self.steps.overdue(record.steps[index])
            return "the recovery was not finished in time" if late or now > record.trial_until else None
        blind = record.trial_from + BLIND_TRIALS * (record.trial_until - record.trial_from)
        return "the trial stayed blind (unknown)" if now > blind and found.truth is None else None

    # --- what transitions ask ------------------------------------------------------------------------------------

    def _wish_on(self) -> None:
        """A storm lasts as long as its breakers still want to trip."""
        trip = self.record.trip
        if trip is not None and not trip.shadow and self._judge.match(trip.spec).truth is True:
            now = self._services.clock.now()
            self._services.conditions.wants_to_trip(trip.spec.pipeline, trip.account, trip.region, now)

    def _may_withdraw(self) -> bool:
        record, trip = self.record, self.record.trip
        if trip is None or trip.by is not None or trip.spec.mode is not Mode.APPROVE:
            return False
        waits = any(step.phase is StepPhase.HELD for step in record.steps) and trip.round == 1
        untouched = all(entry.phase is Phase.PLANNED for entry in self.ledger.of_trip(trip.id))
        return waits and untouched and self._judge.match(trip.spec).truth is False

    def _let_in(self) -> bool:
        """Whether something was taken back: before, what is seen is still the trip's own breach, no relapse."""
        record = self.record
        return record.trial_from is not None or any(
            is_climbing(step) or (step.ended and self._lets_back_in(step.spec)) for step in record.steps
        )

    def _fresh_eyes(self) -> None:
        """Only data from after the undo counts; a window longer than half the trial would leave the trial blind."""
        trip = self.record.trip
        if trip is not None:
            now, most = self._services.clock.now(), self._judge.trial_span(trip) / 2
            self._services.board.restart(self.record.pipeline, checks_of(trip.spec.condition), now, most)

    def _lets_back_in(self, step: StepSpec) -> bool:
        return step.verb not in ("wait", "verify", "approve", "notify")

    async def _place(self) -> tuple[str, str]:
        """Account and region, if they can be had at once; a storm is judged by them, a claim reads them again."""
        pipeline = self._services.pipelines(self.record.pipeline)
        if pipeline is None:
            return "", ""
        try:
            async with asyncio.timeout(2):
                return await self._services.cloud.identity(pipeline.aws)
        except (TimeoutError, ProbeError):
            return "", pipeline.aws.region or ""

    # --- words --------------------------------------------------------------------------------------------------

    def report(self, event: str, text: str, of: Trip | None = None) -> None:
        """Log, feed, timeline and notices; `of` is the trip meant once the record has let go of it."""
        record = self.record
        trip = of or record.trip
        fields: dict[str, Json] = {"pipeline": record.pipeline, "breaker": record.name, "state": record.state.value}
        incident = trip.incident if trip is not None else None
        level = "warning" if event in LOUD else "info"
        self._services.feed.say(event, level=level, text=text, incident=incident, **fields)
        if incident is not None and event not in SAID_ELSEWHERE:
            self._services.incidents.note(incident, noted_as(event, trip), text, loud=event in LOUD)

    def awaiting(self) -> str | None:
        """The plan hash that an approval must name."""
        return next((s.plan for s in self.record.steps if s.phase is StepPhase.HELD and s.plan is not None), None)


#: Events that people are told of, beyond the timeline.
LOUD = frozenset(
    {f"action.{word}" for word in ("failed", "drifted", "source_not_cut", "held")}
    | {f"breaker.{word}" for word in ("latched", "relapsed", "opened")}
)

#: Logged and streamed, but the timeline says it already: as the incident's first line.
SAID_ELSEWHERE = frozenset({"breaker.tripped"})


def _trip_id(spec: BreakerSpec, now: datetime) -> str:
    return f"{now:%Y%m%dT%H%M%S}-{diagram.plan_hash(spec.key, now.isoformat())[:4]}"
