"""The replay: tapes through the engine's board, breakers through the engine's workers, on virtual time.

A worker looks after every run that could matter to it and at every time it asked for, which is what its own loop does
in the daemon. The assumed person approves what waits, and resets what does not recover by itself, `person` after the
breach has ended.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from monitor.backtest.hearing import course_of, need_of
from monitor.backtest.reel import AWAKE, JUDGE, Reel, reel_of
from monitor.backtest.result import Cause, Course, Outcome, Tripped
from monitor.backtest.stage import Stage, VirtualClock
from monitor.backtest.tape import Place, Span, Tapes
from monitor.core.breaker import Breaker, StepPhase
from monitor.core.change import IN_FORCE
from monitor.core.condition import checks_of, terms_of
from monitor.core.model import Level, Observation, State
from monitor.core.spec import BreakerSpec, Pipeline
from monitor.engine.control import Control
from monitor.engine.judging import Judge
from monitor.engine.runner import Run
from monitor.engine.worker import NAP, Worker
from monitor.plugin import Registry

#: Pieces of work of one worker at one instant; more would be a playbook that turns in circles.
MOST_AT_ONCE = 1000
#: Told of every so many runs.
_PROGRESS = 5000


@dataclass(frozen=True, slots=True)
class Manner:
    """How the replay is done. `person`: how long a person takes to approve, or to reset after the breach ended (None:
    nobody comes). `every`: judge every reading, also those that change nothing (slow; for proof)."""

    person: timedelta | None = timedelta(minutes=15)
    every: bool = False


#: What the command does unless it is told otherwise.
USUAL = Manner()


@dataclass(slots=True)
class _Watched:
    """One worker and what is kept beside it."""

    worker: Worker
    course: Course
    trip: Tripped | None = None
    #: Since when the breach is over while a person is needed, or an approval waits.
    calm_since: datetime | None = None
    asked_at: datetime | None = None
    turn: int = 0

    @property
    def awake(self) -> bool:
        return self.worker.record.state is not State.CLOSED


@dataclass(order=True, slots=True)
class _Due:
    at: datetime
    order: int
    what: Any = field(compare=False)
    turn: int = field(compare=False, default=0)


async def replay(
    pipelines: Sequence[Pipeline],
    tapes: Tapes,
    registry: Registry,
    manner: Manner = USUAL,
    progress: Callable[[float], None] = lambda done: None,
) -> Outcome:
    """Every trip of every breaker of `pipelines` over `tapes` (at least one). `progress` hears of the share done."""
    told = {name: tape.spec for name, tape in tapes.items()}
    fitted = [_with_tapes(pipeline, told) for pipeline in pipelines]
    start = min(tape.start for tape in tapes.values())
    span = Span(start, max(tape.at(tape.count) for tape in tapes.values()))
    clock = VirtualClock(start)
    stage = Stage(fitted, registry, clock)
    await stage.open()
    return await _Replay(stage, clock, tapes, span, manner).run(progress)


def _with_tapes(pipeline: Pipeline, told: Mapping[str, Any]) -> Pipeline:
    """The checks as their tapes have them; one without a tape is never observed."""
    return replace(pipeline, checks={name: told.get(spec.key, spec) for name, spec in pipeline.checks.items()})


class _Replay:
    def __init__(self, stage: Stage, clock: VirtualClock, tapes: Tapes, span: Span, manner: Manner) -> None:
        self._stage = stage
        self._clock = clock
        self._manner = manner
        self._judge = Judge(stage.services)
        self._heap: list[_Due] = []
        self._order = 0
        need = {name: need_of(pipeline) for name, pipeline in stage.pipelines.items()}
        self._reels = {key: reel_of(tape, need[tape.spec.pipeline]) for key, tape in tapes.items()}
        courses = {spec.key: course_of(spec, stage, tapes, span) for spec in _breakers(stage)}
        self._watched = {key: _Watched(worker, courses[key]) for key, worker in stage.workers.items()}
        self._outcome = Outcome(span, list(courses.values()), {key: dict(t.sources) for key, t in tapes.items()})
        self._total = max(1, sum(tape.count for tape in tapes.values()))

    async def run(self, progress: Callable[[float], None]) -> Outcome:
        for reel in self._reels.values():
            self._appoint_run(reel)
        done, said = self._outcome, 0
        while self._heap:
            due = heapq.heappop(self._heap)
            if isinstance(due.what, Reel):
                if due.turn == due.what.turn and due.what.next < due.what.tape.count:
                    await self._run_check(due.what, due.at)
            elif due.turn == due.what.turn and due.at < done.span.end:
                self._clock.move_to(due.at)
                await self._look(due.what)
            if done.runs - said >= _PROGRESS:
                said = done.runs
                progress(sum(reel.next for reel in self._reels.values()) / self._total)
                await asyncio.sleep(0)
        self._clock.move_to(done.span.end)
        progress(1.0)
        return done

    # --- runs -----------------------------------------------------------------------------------------------------

    async def _run_check(self, reel: Reel, at: datetime) -> None:
        self._clock.move_to(at)
        tape, index = reel.tape, reel.next
        self._outcome.runs += 1
        watched = list(self._of(tape.spec.pipeline))
        awake = self._manner.every or any(one.awake for one in watched)
        seen, resting = _readings(reel, index, awake)
        board = self._stage.board.get(tape.spec.key)
        assert board is not None, "the stage holds every check"
        breached = False
        if seen:
            self._outcome.judged += len(seen)
            first = next((one for one in seen if one.reason is not None), None)
            run = Run(seen, at, 0.0, first.reason if first else None, first.detail if first else "")
            self._stage.board.record(tape.spec, run, self._clock.tick(), resting)
            for one in seen:
                strip = reel.by_place.get((one.target, one.signal))
                cell = board.cells.get((one.target, one.signal))
                if strip is not None:
                    reel.settle(strip, cell, at)
                if cell is not None and cell.verdict is not None:
                    breached = breached or cell.verdict.level in (Level.WARNING, Level.CRITICAL)
        else:
            board.last_tick = self._clock.tick()
        reel.next = index + 1
        for each in watched:
            if each.awake or (breached and each.worker.watches(tape.spec.name)):
                await self._look(each)
        self._go_on(reel, watched)

    def _go_on(self, reel: Reel, watched: Sequence[_Watched]) -> None:
        """Appoint the next run: at once the next that matters, if all is calm."""
        tape = reel.tape
        if not self._manner.every and reel.at_rest() and not any(one.awake for one in watched):
            jump = reel.next_busy(reel.next)
            if jump > reel.next:
                self._outcome.runs += jump - reel.next
                reel.next = jump
                board = self._stage.board.get(tape.spec.key)
                assert board is not None, "the stage holds every check"
                # The runs passed over did take place: the next one is one interval after the last of them.
                board.last_tick = (tape.at(jump - 1) - self._outcome.span.start).total_seconds()
        self._appoint_run(reel)

    def _wake_pipeline(self, pipeline: str) -> None:
        """A breaker left closed: from now on every run of its pipeline counts, also those jumped over."""
        now = self._clock.now()
        for reel in self._reels.values():
            tape = reel.tape
            if tape.spec.pipeline != pipeline or reel.next == 0:
                continue
            # First run after now; runs at this very instant that were passed over have changed nothing.
            first = int((now - tape.start).total_seconds() // tape.step) + 1
            if first >= reel.next:
                continue
            self._outcome.runs -= reel.next - first
            reel.next = first
            board = self._stage.board.get(tape.spec.key)
            assert board is not None, "the stage holds every check"
            board.last_tick = (tape.at(first - 1) - self._outcome.span.start).total_seconds()
            self._appoint_run(reel)

    def _forget_rest(self, pipeline: str) -> None:
        """Judging began anew with the close: what was at rest is so no longer."""
        for reel in self._reels.values():
            if reel.tape.spec.pipeline == pipeline:
                for strip in reel.strips:
                    strip.rest = AWAKE

    def _appoint_run(self, reel: Reel) -> None:
        reel.turn += 1
        if reel.next < reel.tape.count:
            self._push(reel.tape.at(reel.next), reel, reel.turn)

    def _push(self, at: datetime, what: Any, turn: int) -> None:
        self._order += 1
        heapq.heappush(self._heap, _Due(at, self._order, what, turn))

    # --- workers --------------------------------------------------------------------------------------------------

    async def _look(self, one: _Watched) -> None:
        """Let the worker do all there is to do now, and come back when it said so."""
        pause: float | None = None
        asleep = not one.awake
        for _ in range(MOST_AT_ONCE):
            before = one.worker.record
            pause = await one.worker.look()
            self._note(one, before)
            if pause is None or pause > 0:
                break
        await self._person(one)
        if asleep and one.awake:
            self._wake_pipeline(one.worker.record.pipeline)
        elif not asleep and not one.awake:
            self._forget_rest(one.worker.record.pipeline)
        self._appoint_look(one, pause)

    def _appoint_look(self, one: _Watched, pause: float | None) -> None:
        record, now = one.worker.record, self._clock.now()
        at: list[datetime] = []
        if record.state is State.CLOSED or record.trip is None:
            return
        if record.state is State.OPEN and record.phase != "recover":
            if record.trip.recovers_alone and record.hold_until is not None:
                at.append(record.hold_until)
        elif not any(step.phase is StepPhase.HELD for step in record.steps):
            # News comes with the next run; a trial also ends by the clock alone.
            at.append(now + timedelta(seconds=pause or NAP)) if pause or record.state is State.HALF_OPEN else None
        if self._manner.person is not None:
            at.extend(since + self._manner.person for since in (one.calm_since, one.asked_at) if since is not None)
        later = [moment for moment in at if moment > now]
        if later:
            one.turn += 1
            self._push(min(later), one, one.turn)

    async def _person(self, one: _Watched) -> None:
        """What the assumed person does, once their time has come."""
        record, now, takes = one.worker.record, self._clock.now(), self._manner.person
        waits = one.worker.awaiting() if one.awake else None
        one.asked_at = (one.asked_at or now) if waits is not None else None
        needed = _needs_reset(record) and self._judge.match(_spec(record)).truth is False
        one.calm_since = (one.calm_since or now) if needed else None
        if takes is None:
            return
        control = Control(self._stage.services, one.worker)
        if one.asked_at is not None and now >= one.asked_at + takes:
            one.asked_at = None
            await self._ordered(one, control.approve("the assumed person", waits))
        elif one.calm_since is not None and now >= one.calm_since + takes:
            one.calm_since = None
            await self._ordered(one, control.reset("the assumed person"))

    async def _ordered(self, one: _Watched, order: Any) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(order)
            await asyncio.sleep(0)
            for _ in range(MOST_AT_ONCE):
                before = one.worker.record
                pause = await one.worker.look()
                self._note(one, before)
                if pause is None or pause > 0:
                    break

    # --- what is kept ---------------------------------------------------------------------------------------------

    def _note(self, one: _Watched, before: Breaker) -> None:
        record, now = one.worker.record, self._clock.now()
        trip = record.trip
        if trip is not None and (before.trip is None or before.trip.id != trip.id):
            one.trip = Tripped(
                record.key, now, trip.reason, trip.targets, tuple(self._causes(record)), latched=trip.latched
            )
            one.course.trips.append(one.trip)
        if one.trip is None:
            return
        if trip is not None:
            one.trip.relapses = trip.round - 1
            entries = one.worker.ledger.of_trip(trip.id)
            plans = [entry.change.summary for entry in entries]
            one.trip.plans = tuple(dict.fromkeys((*one.trip.plans, *plans)))
        if record.state is State.OPEN and one.trip.opened is None:
            one.trip.opened = now
        self._note_cuts(one, now)
        stuck = next((step for step in record.steps if not step.ended), None)
        one.trip.waiting = f"{stuck.spec.verb}: {stuck.detail}" if stuck is not None and stuck.detail else ""
        if trip is None and before.trip is not None:
            one.trip.end, one.trip.waiting = now, ""
            undone = before.state is State.TRIPPING
            one.trip.ended = "withdrawn" if undone else "reset by a person" if before.resetting else "recovered"
            one.trip = None

    def _note_cuts(self, one: _Watched, now: datetime) -> None:
        assert one.trip is not None, "cuts belong to a trip"
        actions = self._stage.services.registry.actions
        cut = one.worker.record.trip is not None and any(
            entry.phase in IN_FORCE and actions[entry.change.action].cuts(entry.change)
            for entry in one.worker.ledger.entries.values()
        )
        cuts = one.trip.cuts
        running = bool(cuts) and cuts[-1][1] is None
        if cut and not running:
            cuts.append((now, None))
        elif running and not cut:
            cuts[-1] = (cuts[-1][0], now)

    def _causes(self, record: Breaker) -> Iterator[Cause]:
        spec = _spec(record)
        found = self._judge.match(spec).targets
        wanted = {(term.check, term.signal) for term in terms_of(spec.condition)}
        for row in self._stage.board.rows_of(record.pipeline, set(checks_of(spec.condition))):
            named = {(row.check, row.signal), (row.check, None)} & wanted
            if named and (row.check, row.target) in found and row.level in (Level.WARNING, Level.CRITICAL):
                yield Cause(row.check, row.signal, row.target, row.value, row.detail)

    def _of(self, pipeline: str) -> Iterator[_Watched]:
        return (one for one in self._watched.values() if one.worker.record.pipeline == pipeline)


def _readings(reel: Reel, index: int, awake: bool) -> tuple[tuple[Observation, ...], set[Place]]:
    seen: list[Observation] = []
    resting: set[Place] = set()
    for strip in reel.strips:
        code = strip.codes[index]
        if not awake and code != JUDGE and code == strip.rest:
            resting.add(strip.place)
            continue
        one = strip.column.get(index, strip.place, strip.unit)
        if one is not None:
            seen.append(one)
    return tuple(seen), resting


def _needs_reset(record: Breaker) -> bool:
    """Open, and nothing but a person closes it."""
    trip = record.trip
    if trip is None or record.resetting or record.phase == "recover":
        return False
    if record.state is State.OPEN:
        return not trip.recovers_alone
    return record.state is State.TRIPPING and any(step.phase is StepPhase.FAILED for step in record.steps)


def _spec(record: Breaker) -> BreakerSpec:
    assert record.trip is not None, "asked of a tripped breaker only"
    return record.trip.spec


def _breakers(stage: Stage) -> Iterator[BreakerSpec]:
    return (spec for pipeline in stage.pipelines.values() for spec in pipeline.breakers.values())
