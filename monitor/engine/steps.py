"""Plays one step of a running playbook: at most one piece of work, journalled, and how long to wait until the next.

Every outcome is a phase of the step: held by a gate, waiting for time or a person, retrying after an error that may
pass, failed (retried slowly) after one that won't, done. A step is confirmed only when all its changes are.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

import structlog

from monitor.core import breaker as diagram
from monitor.core.breaker import Breaker, StepPhase, StepState, Trip
from monitor.core.change import SETTLED, Entry, Phase
from monitor.core.durations import format_duration, parse_duration
from monitor.core.model import RETRYABLE, Level, Reason, Risk
from monitor.core.ports import StoreError
from monitor.core.spec import AwsSpec
from monitor.engine import planning
from monitor.engine.acting import Acting, Progress, Watch
from monitor.engine.changes import Changes, Place
from monitor.engine.consent import is_capped, named, names, question
from monitor.engine.gates import Hold
from monitor.engine.journal import Ledger
from monitor.engine.permits import Permits
from monitor.engine.pleas import failed_words, held_words
from monitor.engine.ramp import Ramp, Stage
from monitor.engine.services import Services
from monitor.engine.sources import gap_of
from monitor.plugin import ActionError, Held, ProbeError

log = structlog.get_logger(__name__)

#: Held steps are asked again this often; gates are instant.
RECHECK = 1.0
FAST, SLOW = timedelta(seconds=30), timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed. `ambiguous`: it may have had its effect, so it must not be repeated."""

    reason: Reason
    detail: str
    ambiguous: bool = False


def _failure(error: ActionError | ProbeError) -> Failure:
    return Failure(error.reason, error.detail, isinstance(error, ActionError) and error.ambiguous)


class Steps:
    """The steps of one breaker's playbook."""

    def __init__(
        self, services: Services, ledger: Ledger, permits: Permits, report: Callable[[str, str], None]
    ) -> None:
        self._services = services
        self._ledger = ledger
        self._permits = permits
        self._report = report  # (event, text): timeline, feed and notices
        self.progress: dict[str, Progress] = {}
        self._ramp = Ramp(
            services, ledger, Stage(self._put, self._held, self._hold, self._run, self._acting, self._done, report)
        )

    async def play(self, index: int) -> float | None:
        """Seconds until there is more to do (0: at once; None: only a wake-up brings news)."""
        step = self._record.steps[index]
        now = self._services.clock.now()
        if step.phase in (StepPhase.RETRYING, StepPhase.FAILED):
            if step.until is None:
                return None
            if step.until > now:
                return (step.until - now).total_seconds()
        if step.started_at is None:
            step = await self._put(index, replace(step, started_at=now))
        match step.spec.verb:
            case "wait":
                return await self._wait(index, step)
            case "approve":
                return await self._approve(index, step)
            case "verify":
                return await self._verify(index, step)
            case _:
                return await self._act(index, step)

    def overdue(self, step: StepState) -> bool:
        """A verify with `within` that was not satisfied in time."""
        within = step.spec.params.get("within")
        if within is None or step.started_at is None or step.ended:
            return False
        return self._services.clock.now() > step.started_at + parse_duration(within)

    async def settle_leftovers(self) -> None:
        """Before a close: what no recovery step took back is listed as in force; what changed nothing is let go."""
        for entry in self._ledger.undoable():
            if entry.phase is Phase.ABANDONED:
                continue
            # Where the claim lies is written in the entry: AWS is not asked, so that a close never waits for it.
            changes = Changes(self._services, self._ledger, Place("", ""))
            if entry.phase is not Phase.UNCHANGED or not await changes.let_go(entry):
                left = replace(entry, phase=Phase.ABANDONED, detail="no recovery step undoes it: still in force")
                await self._services.journal.save(self._ledger, entries=[left])
                self._report("action.left_in_force", f"{entry.change.summary}: no recovery step undoes it")
                self._note_gap(left)

    @property
    def _record(self) -> Breaker:
        return self._ledger.record

    @property
    def _trip(self) -> Trip:
        trip = self._ledger.record.trip
        assert trip is not None, "steps run for a trip"
        return trip

    async def _put(self, index: int, step: StepState) -> StepState:
        """Save the step if it changed."""
        if self._record.steps[index] != step:
            await self._services.journal.save(self._ledger, self._record.with_step(index, step))
        return step

    async def _done(self, index: int, step: StepState, detail: str, phase: StepPhase = StepPhase.DONE) -> float:
        step = replace(step, phase=phase, detail=detail, gate=None, reason=None, until=None, plan=None)
        await self._put(index, step)
        if phase is StepPhase.DONE and self._ledger.of_step(self._trip.id, self._trip.round, step.spec.id):
            return 0.0  # its actions have said so, one by one
        event = "step.done" if phase is StepPhase.DONE else "step.planned"
        self._report(event, f"{step.spec.verb}: {detail}")
        return 0.0

    # --- steps that only wait -----------------------------------------------------------------------------------

    async def _wait(self, index: int, step: StepState) -> float:
        now = self._services.clock.now()
        span = parse_duration(step.spec.params.get("for", 0))
        until = step.until or (step.started_at or now) + span
        if now >= until:
            return await self._done(index, step, f"waited {format_duration(span)}")
        text = f"until {until:%H:%M:%S} UTC"
        await self._put(index, replace(step, phase=StepPhase.WAITING, until=until, detail=text))
        return (until - now).total_seconds()

    async def _approve(self, index: int, step: StepState) -> float | None:
        if self._trip.shadow:
            return await self._done(index, step, "would wait for a person", StepPhase.WOULD)
        plan = diagram.plan_hash(self._trip.id, self._trip.round, self._record.phase, step.spec.id)
        valid = parse_duration(step.spec.params.get("expires") or "1h")
        given = diagram.approved(self._record, plan, self._services.clock.now(), valid)
        if given is not None:
            return await self._done(index, step, f"approved by {given.by}")
        message = str(step.spec.params.get("message") or "a person must approve")
        await self._hold(index, step, Hold("approval", message), plan)
        return None

    async def _verify(self, index: int, step: StepState) -> float | None:
        params = step.spec.params
        check, signal = str(params["check"]), params.get("signal")
        level, span = Level(str(params.get("level", "ok"))), parse_duration(params.get("for", 0))
        table = self._services.board.standings(self._record.pipeline, [check])
        standings = [s for (_, name, _), s in table.items() if signal in (None, name)]
        now = self._services.clock.now()
        if not standings:
            text = f"no reading of {check} yet (is it still configured?)"
            await self._put(index, replace(step, phase=StepPhase.WAITING, detail=text))
            return None
        if not all(s.known for s in standings):
            text = f"{check} is unknown: the timer stands still"
            await self._put(index, replace(step, phase=StepPhase.WAITING, detail=text))
            return None
        need = span.total_seconds()
        if level is Level.OK:
            held = min(s.held_ok_real if s.level is Level.OK else 0.0 for s in standings)
            good = all(s.level is Level.OK and s.held_ok_real >= need and s.real for s in standings)
        else:
            calm = all(s.level in (Level.OK, level) for s in standings)
            since = step.until if calm and step.until is not None else now
            step = replace(step, until=since if calm else None)
            held = (now - since).total_seconds() if calm else 0.0
            good = calm and held >= need
        if good:
            return await self._done(index, step, f"{check} {level} for {format_duration(span)}")
        if self.overdue(step) and not step.attempts:
            step = replace(step, attempts=1)
            self._report("verify.overdue", f"{check} was not {level} within {params.get('within')}: still waiting")
        worst = max((s.level for s in standings), key=lambda one: one.rank)
        text = f"{check} is {worst}, for {round(held)}s of {round(need)}s"
        if level is Level.OK and worst is Level.OK and not all(s.real for s in standings):
            text += "; no traffic was seen yet, and silence proves nothing"
        await self._put(index, replace(step, phase=StepPhase.WAITING, detail=text))
        return None

    # --- steps that act -----------------------------------------------------------------------------------------

    async def _act(self, index: int, step: StepState) -> float | None:
        undo = step.spec.verb == "undo"
        try:
            risk = Risk.REVERSIBLE if undo else planning.risk_of(self._services.registry, step.spec, self._trip)
            if step.spec.verb == "ramp":
                return await self._ramp.play(index, step, risk)
            if not undo and not step.planned:
                step = await self._plan(index, step)
            if self._trip.shadow:
                return await self._would(index, step)
            return await self._work(index, step, risk, undo=undo)
        except Held as held:
            await self._hold(index, self._record.steps[index], Hold(held.gate, held.reason), None)
            return RECHECK
        except (ActionError, ProbeError) as error:
            return await self._failed(index, _failure(error))
        except StoreError:
            raise
        except Exception as error:  # the boundary between actions and the daemon
            log.exception("action.failed", breaker=self._record.key, step=step.spec.id, reason="bug")
            return await self._failed(index, Failure(Reason.BUG, f"{type(error).__name__}: {error}"))

    async def _work(self, index: int, step: StepState, risk: Risk, *, undo: bool) -> float | None:
        """Bring every change of the step into force; one that fails does not keep the others from it."""
        failed: dict[str, Failure] = {}
        while True:
            entries = self._to_undo(step) if undo else self._to_apply(step)
            for entry in entries:
                if entry.ambiguous and not undo:
                    failed.setdefault(entry.key, Failure(entry.reason or Reason.TIMEOUT, entry.detail, True))
            entries = [entry for entry in entries if entry.key not in failed]
            if not entries:
                break
            hold, plan = self._held(step, entries[0], risk)
            if hold is not None:
                await self._hold(index, step, hold, plan)
                return RECHECK
            running = replace(step, phase=StepPhase.RUNNING, gate=None, detail="", plan=None)
            step = await self._put(index, running)
            try:
                await self._run(entries[0], step, risk, undo=undo)
            except (ActionError, ProbeError) as error:
                failed[entries[0].key] = why = _failure(error)
                now = self._ledger.entries[entries[0].key]
                told = replace(now, reason=why.reason, detail=why.detail, ambiguous=why.ambiguous)
                await self._services.journal.save(self._ledger, entries=[told])
        if failed:
            # Those that may be tried again set the pace; an ambiguous one is left to a person either way.
            return await self._failed(index, min(failed.values(), key=lambda one: one.ambiguous))
        return await self._finish(index, step)

    async def _plan(self, index: int, step: StepState) -> StepState:
        """Journal what the step will do, once: a resumed step never plans for other targets."""
        services, reads = self._services, self._services.cloud.reads(self._aws_spec())
        changes = await planning.expanded(services.registry, step.spec, self._trip, services.clock.now(), reads)
        entries = planning.entries_of(changes, self._trip, step.spec)
        step = replace(step, planned=True)
        await self._services.journal.save(self._ledger, self._record.with_step(index, step), entries=entries)
        return step

    async def _would(self, index: int, step: StepState) -> float:
        """Observe mode: the plan is the receipt."""
        entries = self._ledger.of_step(self._trip.id, self._trip.round, step.spec.id)
        text = "; ".join(entry.change.summary for entry in entries[:3])
        if step.spec.verb == "undo":
            text = planning.describe_step(self._services.registry, step.spec, self._trip, self._services.clock.now())
        else:
            self._services.meter.action_held(self._record.pipeline, self._record.name, step.spec.verb, "observe")
        return await self._done(index, step, f"would {text}", StepPhase.WOULD)

    def _to_apply(self, step: StepState) -> list[Entry]:
        entries = self._ledger.of_step(self._trip.id, self._trip.round, step.spec.id)
        return [entry for entry in entries if entry.phase not in SETTLED]

    def _to_undo(self, step: StepState) -> list[Entry]:
        current = f"{self._record.key}/{self._trip.id}/"
        everything = "*" in named(step)
        return [
            entry
            for entry in self._ledger.undoable()
            if names(step, entry) and (everything or entry.key.startswith(current))
        ]

    def _taken_back(self, step: StepState) -> str:
        """What became of everything the undo names, in words."""
        ended = [entry for entry in self._ledger.entries.values() if names(step, entry)]
        undone = sum(entry.phase is Phase.UNDONE for entry in ended)
        drifted = [entry.change.resource for entry in ended if entry.phase is Phase.DRIFT]
        left = f"; left alone, because somebody changed it: {', '.join(drifted[:3])}" if drifted else ""
        return (f"{undone} change{'s' if undone != 1 else ''} taken back" if undone else "nothing to take back") + left

    def _held(self, step: StepState, entry: Entry, risk: Risk) -> tuple[Hold | None, str | None]:
        """The gate that holds this step, and the plan to approve if that is a person's yes."""
        asked = question(self._ledger, self._trip, step, entry, risk, self._services.clock.now())
        hold = self._permits.ask(risk, approval=asked.approval, blast=asked.blast)
        return hold, asked.plan if hold is not None and hold.gate in ("approval", "blast_radius") else None

    async def _run(self, entry: Entry, step: StepState, risk: Risk, *, undo: bool) -> None:
        services, record = self._services, self._record
        account, region = await services.cloud.identity(self._aws_spec())
        changes, ctx = Changes(services, self._ledger, Place(account, region)), self._acting(entry, risk)
        tick = services.clock.tick()

        def count(reason: Reason | None) -> None:
            seconds = services.clock.tick() - tick
            services.meter.action_finished(record.pipeline, record.name, entry.change.action, seconds, reason)

        try:
            after = await (changes.undo(entry, ctx) if undo else changes.apply(entry, ctx))
            count(None)
        except (ActionError, ProbeError) as error:
            count(error.reason)
            raise
        finally:
            self.progress.pop(entry.key, None)
            services.meter.drain(record.pipeline, record.name, None)
        self._tell(after, undo=undo)
        await self._go_on_capped(after, step)

    def _acting(self, entry: Entry, risk: Risk) -> Acting:
        guard = self._permits.guard(risk)
        aws = self._services.cloud.writes(self._aws_spec(), guard)
        watch = Watch(self._permits.interrupted, self.progress, guard)
        return Acting(self._services, self._ledger, entry, aws, watch)

    def _tell(self, entry: Entry, *, undo: bool) -> None:
        change = entry.change
        if undo:
            self._note_gap(entry)
        if entry.phase is Phase.DRIFT:
            self._report("action.drifted", entry.detail)
        elif undo:
            self._report("action.undone", f"{change.resource}: {entry.detail}")
        else:
            verb = "done" if entry.phase is Phase.APPLIED else "changed nothing"
            self._report(
                "action.applied", f"{verb}: {change.summary} {f'({entry.detail})' if entry.detail else ''}".strip()
            )
        if entry.receipt is not None and entry.receipt.data.get("source_not_cut"):
            self._report(
                "action.source_not_cut", f"{change.summary}: new executions keep starting, the source is not cut"
            )

    def _note_gap(self, entry: Entry) -> None:
        """A source that was cut and is back (or is left cut) missed a window."""
        gap = gap_of(self._services.registry, entry, self._services.clock.now())
        if gap is not None:
            self._services.incidents.missed(self._trip.incident, self._record.pipeline, gap)

    async def _go_on_capped(self, entry: Entry, step: StepState) -> None:
        """A process that stopped at `max_targets` gets a second, uncapped entry; a person must approve it."""
        action = self._services.registry.actions[entry.change.action]
        if "limit" not in action.params.model_fields or not is_capped(entry) or step.spec.params.get("limit"):
            return  # a limit of the step's own is its whole job
        now = self._services.clock.now()
        changes = planning.changes_of(self._services.registry, step.spec, self._trip, now, uncapped=True)
        entries = planning.entries_of(changes, self._trip, step.spec, first=1)
        fresh = [one for one in entries if one.key not in self._ledger.entries]
        await self._services.journal.save(self._ledger, entries=fresh)

    async def _finish(self, index: int, step: StepState) -> float:
        """All changes are settled."""
        if step.spec.verb == "undo":
            return await self._done(index, step, self._taken_back(step))
        entries = self._ledger.of_step(self._trip.id, self._trip.round, step.spec.id)
        text = "; ".join(dict.fromkeys(entry.detail or entry.change.summary for entry in entries[:3]))
        return await self._done(index, step, text or "nothing to do")

    async def _hold(self, index: int, step: StepState, hold: Hold, plan: str | None) -> None:
        news = (step.phase, step.gate, step.plan) != (StepPhase.HELD, hold.gate, plan)
        detail = hold.reason
        if plan is not None:
            detail = f"{hold.reason}: `tripswitch breaker approve {self._record.key}` (plan {plan})"
        await self._put(index, replace(step, phase=StepPhase.HELD, gate=hold.gate, detail=detail, plan=plan))
        if news and hold.gate != "interrupted":
            self._services.meter.action_held(self._record.pipeline, self._record.name, step.spec.verb, hold.gate)
            self._report("action.held", held_words(step.spec.verb, hold.gate, detail))

    async def _failed(self, index: int, failure: Failure) -> float | None:
        step = self._record.steps[index]
        reason, detail, ambiguous = failure.reason, failure.detail, failure.ambiguous
        attempts = step.attempts + 1
        soon = reason in RETRYABLE and not ambiguous
        top = FAST if soon else SLOW
        pause = min(top.total_seconds(), 2.0 ** min(attempts, 10)) * random.uniform(0.5, 1.0)  # noqa: S311 (jitter)
        if not soon:
            pause = max(pause, 15.0)
        until = None if ambiguous else self._services.clock.now() + timedelta(seconds=pause)
        if ambiguous:
            detail += "; it may have had its effect, so it is not repeated: look, then reset the breaker"
        phase = StepPhase.RETRYING if soon else StepPhase.FAILED
        await self._put(
            index, replace(step, phase=phase, attempts=attempts, until=until, reason=reason, detail=detail, gate=None)
        )
        if attempts == 1 or (step.reason, step.detail) != (reason, detail) or attempts % 10 == 0:
            event = "action.retrying" if soon else "action.failed"
            self._report(event, failed_words(step.spec.verb, reason, detail))
        return None if until is None else pause

    def _aws_spec(self) -> AwsSpec:
        """Where the pipeline lives now; an orphaned breaker goes on where it tripped."""
        pipeline = self._services.pipelines(self._record.pipeline)
        return pipeline.aws if pipeline is not None else self._trip.aws
