"""What a step needs a person's yes for, and what exactly that yes names.

A yes is good for one plan: this trip and round, this step, and the changes that were shown. What lies beyond
`max_targets` is a question of its own, so that a yes to the trip is none to the flood.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from monitor.core import breaker as diagram
from monitor.core.breaker import Breaker, StepState, Trip
from monitor.core.change import Entry, Phase
from monitor.core.model import Json, Mode, Risk
from monitor.engine.journal import Ledger

#: Verbs that put things back: a yes to the trip is one to them.
BACK = ("undo", "ramp")


@dataclass(frozen=True, slots=True)
class Question:
    """What is missing (None: nothing) and the plan that an approval must name."""

    plan: str
    approval: str | None = None
    blast: str | None = None


def question(ledger: Ledger, trip: Trip, step: StepState, entry: Entry, risk: Risk, now: datetime) -> Question:
    """What stands between `entry`, the next change of the step, and its going ahead."""
    record, limit = ledger.record, trip.spec.limits.max_targets
    every = _changes_of(ledger, trip, step)
    beyond = _beyond(every, limit)
    if entry in beyond:
        # Named by all that lies beyond the limit, so that one yes is good for all of it.
        plan = diagram.plan_hash(trip.id, trip.round, step.spec.id, "beyond", [one.key for one in beyond])
        if diagram.approved(record, plan, now) is None:
            return Question(plan, blast=f"max_targets ({limit}) is reached: approve to go on with the rest")
        return Question(plan)
    plan = _plan_of(record, trip, step, every)
    begun = (Phase.UNDOING, Phase.UNDONE) if step.spec.verb == "undo" else tuple(set(Phase) - {Phase.PLANNED})
    if any(one.phase in begun for one in every) or diagram.approved(record, plan, now) is not None:
        return Question(plan)
    return Question(plan, approval=_needed(record, trip, step, risk))


def named(step: StepState) -> list[Json]:
    """What an undo step names: ids of steps, actions, or `*`."""
    of = step.spec.params.get("steps", ["*"])
    return list(of) if isinstance(of, (list, tuple)) else [of]


def names(step: StepState, entry: Entry) -> bool:
    """Whether the undo step means this entry: by its step's id, by its action, or by meaning everything."""
    those = named(step)
    return "*" in those or not {entry.step, entry.verb, entry.change.action}.isdisjoint(map(str, those))


def is_capped(entry: Entry) -> bool:
    """A process that ended at its limit with work left."""
    return entry.receipt is not None and bool(entry.receipt.data.get("remaining"))


def _changes_of(ledger: Ledger, trip: Trip, step: StepState) -> list[Entry]:
    if step.spec.verb != "undo":
        return ledger.of_step(trip.id, trip.round, step.spec.id)
    return [one for one in ledger.of_trip(trip.id) if names(step, one) and one.key.split("/")[3] == str(trip.round)]


def _beyond(every: list[Entry], limit: int | None) -> list[Entry]:
    """The changes past `max_targets`: those of targets beyond it, or the one that goes on after a capped process."""
    if limit is None:
        return []
    after = next((n + 1 for n, entry in enumerate(every) if is_capped(entry)), len(every))
    return every[min(limit, after) :]


def _plan_of(record: Breaker, trip: Trip, step: StepState, entries: list[Entry]) -> str:
    changes: list[Json] = [[e.change.resource, e.change.property, e.change.wanted, e.change.summary] for e in entries]
    if trip.spec.mode is Mode.APPROVE and record.phase == "trip":
        return diagram.plan_hash(trip.id, trip.round, record.phase, list(trip.targets))
    return diagram.plan_hash(trip.id, trip.round, record.phase, step.spec.id, changes)


def _needed(record: Breaker, trip: Trip, step: StepState, risk: Risk) -> str | None:
    if step.spec.approve == "never":
        return None
    if step.spec.approve == "always":
        return "this step asks for a person's yes"
    if risk is Risk.DESTRUCTIVE:
        return "a destructive step needs a person's yes"
    if (
        trip.spec.mode is Mode.APPROVE
        and risk is not Risk.NOTIFY
        and step.spec.verb not in BACK
        and not record.resetting
    ):
        return "mode is approve"
    return None
