"""What a breaker and its steps say, above all when they need a person; and saying it again where a crash lost it.

A step's state is in the journal at once, its line in the timeline (and the notice that goes with it) a moment later: a
process killed in between left a breaker that waits for somebody who was never told.
"""

from __future__ import annotations

from datetime import datetime

from monitor.core.breaker import Breaker, StepPhase, StepState, Trip
from monitor.core.course import short
from monitor.core.incident import Incident


def opened_words(trip: Trip | None, hold: datetime | None) -> str:
    """Of a breaker that is open now."""
    done = "nothing was changed: it observes" if trip is not None and trip.shadow else "every step is in force"
    return f"{done}; held until {hold:%H:%M:%S} UTC" if hold else "open"


def noted_as(event: str, trip: Trip | None) -> str:
    """The event as its incident keeps it: a plan contains nothing and restores nothing, so it has no such time."""
    shadow = trip is not None and trip.shadow
    return "breaker.observed" if shadow and event in ("breaker.opened", "breaker.half_opened") else event


def failed_words(verb: str, reason: str | None, detail: str) -> str:
    """Of a step that failed."""
    return f"{verb} failed ({reason}): {detail}"


def held_words(verb: str, gate: str | None, detail: str) -> str:
    """Of a step that waits."""
    return f"{verb} held by {gate}: {detail}"


def plea(step: StepState) -> tuple[str, str] | None:
    """(event, text) of a step that failed or waits for a person's yes; None: it needs nobody."""
    if step.phase is StepPhase.FAILED:
        return "action.failed", failed_words(step.spec.verb, step.reason, step.detail)
    if step.phase is StepPhase.HELD and step.plan is not None:
        return "action.held", held_words(step.spec.verb, step.gate, step.detail)
    return None


def unheard(record: Breaker, incident: Incident | None) -> list[tuple[str, str]]:
    """The pleas of its steps that the trip's incident knows nothing of."""
    if incident is None:
        return []
    heard = {(entry.event, entry.text) for entry in incident.timeline}
    pleas = [said for step in record.steps if (said := plea(step)) is not None]
    return [(event, text) for event, text in pleas if (event, short(text)) not in heard]
