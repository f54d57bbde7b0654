"""From the engine's records to what people are shown."""

from __future__ import annotations

from datetime import datetime

from monitor.core import breaker as diagram
from monitor.core.breaker import Breaker, StepState, Trip
from monitor.core.change import Entry, Phase
from monitor.core.condition import describe
from monitor.core.model import Severity
from monitor.core.spec import BreakerSpec, Combine, StepSpec
from monitor.core.view import BreakerView, ChangeView, StepView
from monitor.engine.acting import Progress
from monitor.engine.sketches import Sketches
from monitor.engine.worker import Worker

#: Changes shown per step; a step on thousands of targets says how many more there are.
SHOWN = 20


def breaker_view(worker: Worker, sketches: Sketches, now: datetime) -> BreakerView:
    """One breaker, whole."""
    record, trip = worker.record, worker.record.trip
    spec = worker.spec or (trip.spec if trip is not None else None)
    planned = sketches.plan(f"{record.pipeline}/{record.name}", spec, trip, now)
    return BreakerView(
        pipeline=record.pipeline,
        name=record.name,
        severity=spec.severity if spec else Severity.SEV3,
        mode=(trip.spec if trip is not None else spec or _gone(record)).mode,
        state=record.state,
        disabled=record.disabled,
        orphaned=worker.spec is None,
        latched=trip.latched if trip else False,
        since=record.since,
        reason=trip.reason if trip else "",
        targets=trip.targets if trip else (),
        trips_today=len(diagram.recent(record.trips, now)),
        trips_per_day=spec.limits.trips_per_day if spec else None,
        phase=record.phase,
        steps=tuple(_step(worker, spec, sketches, step, now) for step in record.steps),
        hold_until=record.hold_until,
        trial_until=record.trial_until if record.trial_from is not None else None,
        recovery="auto" if trip is not None and trip.recovers_alone else (spec.recover.mode if spec else "manual"),
        plan=tuple(step.summary for step in planned),
        planned=planned,
        tripped_by=trip.by if trip else None,
        disabled_by=record.disabled_by if record.disabled else None,
        approval=worker.awaiting(),
        incident=trip.incident if trip else None,
        condition=describe(spec.condition) if spec else "",
        runbook=spec.runbook if spec else None,
        drifted=_drifted(worker, trip),
    )


def _drifted(worker: Worker, trip: Trip | None) -> int:
    if trip is None:
        return 0
    return sum(entry.drift_reported or entry.phase is Phase.DRIFT for entry in worker.ledger.of_trip(trip.id))


def _gone(record: Breaker) -> BreakerSpec:
    return BreakerSpec(record.pipeline, record.name, Severity.SEV3, Combine(1, ()))


def _step(worker: Worker, spec: BreakerSpec | None, sketches: Sketches, step: StepState, now: datetime) -> StepView:
    record, trip = worker.record, worker.record.trip
    assert trip is not None, "a playbook runs for a trip"
    key = f"{record.pipeline}/{record.name}"
    entries = _entries(worker, step.spec, trip)
    return StepView(
        id=step.spec.id,
        verb=step.spec.verb,
        phase=step.phase.value,
        summary=sketches.summary(key, spec, trip, step.spec, record.phase, now),
        gate=step.gate,
        detail=step.detail,
        until=step.until,
        attempts=step.attempts,
        changes=tuple(_change(entry, worker.steps.progress.get(entry.key)) for entry in entries[:SHOWN]),
    )


def _entries(worker: Worker, step: StepSpec, trip: Trip) -> list[Entry]:
    if step.verb == "undo":
        names = step.params.get("steps", ["*"])
        wanted = set(names) if isinstance(names, (list, tuple)) else {names}
        return [
            entry
            for entry in worker.ledger.entries.values()
            if entry.change.property is not None
            and ("*" in wanted or entry.step in wanted or entry.change.action in wanted)
            and entry.phase is not Phase.PLANNED
        ]
    return worker.ledger.of_step(trip.id, trip.round, step.id)


def _change(entry: Entry, progress: Progress | None) -> ChangeView:
    return ChangeView(
        resource=entry.change.resource,
        summary=entry.change.summary,
        phase=entry.phase.value,
        prior=entry.prior,
        applied=entry.receipt.applied if entry.receipt else None,
        detail=(progress.note if progress and progress.note else "") or entry.detail,
        done=progress.done if progress else None,
        remaining=progress.remaining if progress else None,
        eta=progress.eta.total_seconds() if progress and progress.eta else None,
    )
