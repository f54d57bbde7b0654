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
from monitor.engine import planning
from monitor.engine.acting import Progress
from monitor.engine.worker import Worker
from monitor.plugin import Registry

#: Changes shown per step; a step on thousands of targets says how many more there are.
SHOWN = 20


def breaker_view(worker: Worker, registry: Registry, now: datetime) -> BreakerView:
    """One breaker, whole."""
    record, trip = worker.record, worker.record.trip
    spec = worker.spec or (trip.spec if trip is not None else None)
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
        steps=tuple(_step(worker, registry, step, now) for step in record.steps),
        hold_until=record.hold_until,
        trial_until=record.trial_until if record.trial_from is not None else None,
        recovery="auto" if trip is not None and trip.recovers_alone else (spec.recover.mode if spec else "manual"),
        plan=_plan(registry, spec, trip, now),
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


def _plan(registry: Registry, spec: BreakerSpec | None, trip: Trip | None, now: datetime) -> tuple[str, ...]:
    if spec is None:
        return ()
    if trip is None:
        return planning.rehearse(registry, spec, now)
    return tuple(planning.describe_step(registry, step, trip, now) for step in spec.on_trip)


def _step(worker: Worker, registry: Registry, step: StepState, now: datetime) -> StepView:
    trip = worker.record.trip
    assert trip is not None, "a playbook runs for a trip"
    entries = _entries(worker, step.spec, trip)
    return StepView(
        id=step.spec.id,
        verb=step.spec.verb,
        phase=step.phase.value,
        summary=planning.describe_step(registry, step.spec, trip, now),
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
