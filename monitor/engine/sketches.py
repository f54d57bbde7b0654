"""What playbooks would do, in words, worked out once per trip.

Planning a step for a thousand targets takes the loop's time, and the page, the API and every scrape ask for it; the
answer changes only with the configuration and the trip.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field
from datetime import datetime

from monitor.core.breaker import Trip
from monitor.core.model import Risk
from monitor.core.spec import BreakerSpec, StepSpec
from monitor.core.view import PlannedStep
from monitor.engine import planning
from monitor.plugin import ActionError, Registry


@dataclass(slots=True)
class _Sketch:
    """Of one breaker, as long as its configuration and its trip are these."""

    spec: BreakerSpec | None
    trip: tuple[str, int, tuple[str, ...]] | None
    planned: tuple[PlannedStep, ...] | None = None
    summaries: dict[tuple[str, str, str], str] = field(default_factory=dict)


class Sketches:
    """By breaker."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._kept: dict[str, _Sketch] = {}

    def plan(self, key: str, spec: BreakerSpec | None, trip: Trip | None, now: datetime) -> tuple[PlannedStep, ...]:
        """What tripping would do (or what the trip does), step by step."""
        sketch = self._of(key, spec, trip)
        if sketch.planned is None:
            sketch.planned = planned(self._registry, spec, trip, now) if spec is not None else ()
        return sketch.planned

    def summary(self, key: str, spec: BreakerSpec | None, trip: Trip, step: StepSpec, phase: str, now: datetime) -> str:
        """One step of the playbook that runs; `phase` tells the trip's from the recovery's."""
        sketch = self._of(key, spec, trip)
        name = (phase, step.id, step.verb)
        if name not in sketch.summaries:
            sketch.summaries[name] = planning.describe_step(self._registry, step, trip, now)
        return sketch.summaries[name]

    def keep(self, keys: Container[str]) -> None:
        """Forget the breakers that are gone."""
        for gone in [key for key in self._kept if key not in keys]:
            del self._kept[gone]

    def _of(self, key: str, spec: BreakerSpec | None, trip: Trip | None) -> _Sketch:
        mark = None if trip is None else (trip.id, trip.round, trip.targets)
        kept = self._kept.get(key)
        if kept is None or kept.spec is not spec or kept.trip != mark:
            kept = self._kept[key] = _Sketch(spec, mark)
        return kept


def planned(registry: Registry, spec: BreakerSpec, trip: Trip | None, now: datetime) -> tuple[PlannedStep, ...]:
    """The steps of a trip with what each risks; without a `trip` its targets are not known yet."""
    if trip is None:
        lines = planning.rehearse(registry, spec, now)
    else:
        lines = tuple(planning.describe_step(registry, step, trip, now) for step in spec.on_trip)
    stand_in = trip or Trip("plan", now, "", (planning.UNKNOWN_TARGETS,), spec)
    return tuple(_step(registry, step, line, stand_in, now) for step, line in zip(spec.on_trip, lines, strict=True))


def _step(registry: Registry, step: StepSpec, line: str, trip: Trip, now: datetime) -> PlannedStep:
    if step.verb == "ramp":
        step = planning.rungs_of(step)[0]
    action = registry.actions.get(step.verb)
    if action is None:
        return PlannedStep(line)
    risk = planning.risk_of(registry, step, trip)
    cuts = action.cuts_source
    if action.cuts_of is not None:
        try:
            cuts = any(action.cuts(change) for change in planning.changes_of(registry, step, trip, now)[:1])
        except ActionError:
            cuts = False
    undo = None if risk is Risk.NOTIFY else action.undo is not None
    return PlannedStep(line, risk.value, undo, cuts, action.blast_radius)
