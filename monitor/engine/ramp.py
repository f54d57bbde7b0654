"""Plays a `ramp`: a property is let back up rung by rung, each watched for a while, and at the end put back exactly.

Each rung is a journal entry of its own that joins the property's claim before the one below leaves it. So there is
always exactly one way up or down from what is live, a crash resumes at the rung it fell from, and a stricter breaker on
the same property is never overruled. The last rung's undo restores the claim's base: what was there before the trip.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Protocol

from monitor.core.breaker import StepPhase, StepState, Trip
from monitor.core.change import SETTLED, Entry, Phase
from monitor.core.durations import format_duration, parse_duration
from monitor.core.model import Json, Level, Risk
from monitor.engine import planning
from monitor.engine.acting import Acting
from monitor.engine.gates import Hold
from monitor.engine.journal import Ledger
from monitor.engine.services import Services

#: Held rungs are asked again this often.
RECHECK = 1.0


class Run(Protocol):
    """Applies or undoes one entry through the gates' guard."""

    async def __call__(self, entry: Entry, step: StepState, risk: Risk, *, undo: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class Stage:
    """What the steps of a breaker lend to a ramp."""

    put: Callable[[int, StepState], Awaitable[StepState]]
    held: Callable[[StepState, Entry, Risk], tuple[Hold | None, str | None]]
    hold: Callable[[int, StepState, Hold, str | None], Awaitable[None]]
    run: Run
    acting: Callable[[Entry, Risk], Acting]
    done: Callable[[int, StepState, str, StepPhase], Awaitable[float]]
    report: Callable[[str, str], None]


class Ramp:
    """The ramps of one breaker's playbook."""

    def __init__(self, services: Services, ledger: Ledger, stage: Stage) -> None:
        self._services = services
        self._ledger = ledger
        self._stage = stage

    async def play(self, index: int, step: StepState, risk: Risk) -> float | None:
        """One piece of work. Raises ActionError, ProbeError, Held, StoreError."""
        if not step.planned:
            step = await self._plan(index, step)
        rungs = self._rungs(step)
        if self._trip.shadow:
            values = ", ".join(str(one) for one in shown(step))
            text = f"would raise it to {values} and then put back what was there"
            return await self._stage.done(index, step, text, StepPhase.WOULD)
        if step.phase is StepPhase.WAITING and step.until is not None:
            waiting = self._waiting(step)
            if waiting is not None:
                await self._stage.put(index, replace(step, detail=waiting[0]))
                return waiting[1]
            self._stage.report("ramp.rung_passed", f"{step.spec.verb}: {shown(step)[step.rung]} held")
            running = replace(step, phase=StepPhase.RUNNING, rung=step.rung + 1, started_at=None, until=None)
            step = await self._stage.put(index, running)
            return 0.0
        if step.rung >= len(rungs):
            return await self._restore(index, step, rungs[-1], risk)
        return await self._climb(index, step, rungs[step.rung], risk)

    @property
    def _trip(self) -> Trip:
        trip = self._ledger.record.trip
        assert trip is not None, "ramps run for a trip"
        return trip

    def _rungs(self, step: StepState) -> list[list[Entry]]:
        """The entries of each rung: one per resource."""
        entries = self._ledger.of_step(self._trip.id, self._trip.round, step.spec.id)
        width = max(1, len(entries) // max(1, len(shown(step))))
        return [entries[at : at + width] for at in range(0, len(entries), width)]

    async def _plan(self, index: int, step: StepState) -> StepState:
        """All rungs into the journal, so that a resumed ramp has the same ones."""
        now, changes = self._services.clock.now(), []
        for rung in planning.rungs_of(step.spec):
            changes += planning.changes_of(self._services.registry, rung, self._trip, now)
        entries = planning.entries_of(changes, self._trip, step.spec)
        step = replace(step, planned=True)
        await self._services.journal.save(self._ledger, self._ledger.record.with_step(index, step), entries=entries)
        return step

    async def _climb(self, index: int, step: StepState, rung: list[Entry], risk: Risk) -> float | None:
        """Bring the rung into force: it joins the claim, then those below leave it."""
        step = replace(step, phase=StepPhase.RUNNING, gate=None, plan=None, until=None)
        drifted = 0
        for entry in rung:
            if not await self._goes_on(index, step, entry, risk):
                drifted += 1  # told already; what somebody else set is left as it is
                continue
            if entry.phase not in SETTLED:
                if (held := await self._held(index, step, entry, risk)) is not None:
                    return held
                step = await self._stage.put(index, step)
                await self._stage.run(entry, step, risk, undo=False)
            if (held := await self._leave(index, step, self._below(entry), risk)) is not None:
                return held
        value, count = shown(step)[step.rung], len(shown(step))
        if drifted == len(rung):
            return await self._stage.done(index, step, "somebody else changed it: left as it is", StepPhase.DONE)
        now, span = self._services.clock.now(), parse_duration(step.spec.params.get("every", 0))
        text = f"at {value} ({step.rung + 1} of {count})"
        at = replace(step, phase=StepPhase.WAITING, started_at=now, until=now + span, attempts=0, reason=None)
        await self._stage.put(index, replace(at, detail=text))
        self._stage.report("ramp.rung_set", f"{step.spec.verb}: {text}, watched for {format_duration(span)}")
        return 0.0

    async def _restore(self, index: int, step: StepState, last: list[Entry], risk: Risk) -> float | None:
        """The last rung was fine: put back what was there before the trip."""
        for entry in last:
            both = [one for one in [self._ledger.entries[entry.key], *self._below(entry)] if one.undoable]
            if (held := await self._leave(index, step, both, risk)) is not None:
                return held
        told = dict.fromkeys(self._ledger.entries[entry.key].detail for entry in last)
        return await self._stage.done(index, step, "; ".join(told), StepPhase.DONE)

    async def _leave(self, index: int, step: StepState, entries: list[Entry], risk: Risk) -> float | None:
        for entry in entries:
            if (held := await self._held(index, step, entry, risk)) is not None:
                return held
            await self._stage.run(entry, step, risk, undo=True)
        return None

    async def _goes_on(self, index: int, step: StepState, entry: Entry, risk: Risk) -> bool:
        """False once somebody else set the property in this round: the drift is told, and our hold on it ends."""
        below = self._below(entry)
        if below and entry.phase is Phase.PLANNED:
            ctx = self._stage.acting(below[0], risk)
            live = await self._services.registry.actions[below[0].change.action].capture(below[0].change, ctx)
            held = await self._services.journal.claim(below[0].claim or "")
            if held.claim is not None and not held.claim.is_ours(live):
                await self._leave(index, step, below, risk)
        round_ = f"{self._ledger.record.key}/{self._trip.id}/{self._trip.round}/"
        return not any(
            one.phase is Phase.DRIFT and one.key.startswith(round_) and _same(one, entry)
            for one in self._ledger.entries.values()
        )

    def _below(self, entry: Entry) -> list[Entry]:
        """What else of this trip holds the same property."""
        prefix = f"{self._ledger.record.key}/{self._trip.id}/"
        return [
            one
            for one in self._ledger.undoable()
            if one.key != entry.key and one.key.startswith(prefix) and _same(one, entry)
        ]

    async def _held(self, index: int, step: StepState, entry: Entry, risk: Risk) -> float | None:
        hold, plan = self._stage.held(step, entry, risk)
        if hold is None:
            return None
        await self._stage.hold(index, step, hold, plan)
        return RECHECK

    def _waiting(self, step: StepState) -> tuple[str, float | None] | None:
        """(why the rung is not passed yet, seconds until that may change), or None: it is."""
        assert step.until is not None
        now, value = self._services.clock.now(), shown(step)[step.rung]
        if now < step.until:
            return f"at {value} until {step.until:%H:%M:%S} UTC", (step.until - now).total_seconds()
        check = step.spec.params.get("verify")
        if not isinstance(check, dict):
            return None
        why = self._doubt(check, now - (step.started_at or now))
        return None if why is None else (f"at {value}: {why}", None)

    def _doubt(self, verify: dict[str, Json], elapsed: timedelta) -> str | None:
        """What the check says against the next rung, judged on what was seen at this one."""
        check, signal = str(verify["check"]), verify.get("signal")
        level, span = Level(str(verify.get("level", "ok"))), parse_duration(verify.get("for", 0))
        table = self._services.board.standings(self._ledger.record.pipeline, [check])
        standings = [s for (_, name, _), s in table.items() if signal in (None, name)]
        if not standings:
            return f"no reading of {check} yet"
        if not all(s.known for s in standings):
            return f"{check} is unknown"
        if any(s.level not in (Level.OK, level) for s in standings):
            return f"{check} is {max((s.level for s in standings), key=lambda one: one.rank)}"
        if level is not Level.OK:
            return None
        if not all(s.real for s in standings):
            return f"no traffic was seen by {check} yet, and silence proves nothing"
        held = min(min(s.held_ok_real, elapsed.total_seconds()) for s in standings)
        if held < span.total_seconds():
            return f"{check} is ok for {round(held)}s of {round(span.total_seconds())}s"
        return None


def _same(one: Entry, other: Entry) -> bool:
    return (one.change.resource, one.change.property) == (other.change.resource, other.change.property)


def shown(step: StepState) -> list[Json]:
    """The rungs as written in the configuration."""
    rungs = step.spec.params.get("steps")
    return list(rungs) if isinstance(rungs, (list, tuple)) else []


def is_climbing(step: StepState) -> bool:
    """True once a ramp may have let something back in."""
    return step.spec.verb == "ramp" and step.planned


def is_set_anew(before: StepState, after: StepState) -> bool:
    """True if a rung came into force between the two: only what is seen from now on speaks of it."""
    return is_climbing(after) and after.phase is StepPhase.WAITING and before.phase is not StepPhase.WAITING
