"""What a step says when it needs a person, and saying it again where a crash lost it.

A step's state is in the journal at once, its line in the timeline (and the notice that goes with it) a moment later: a
process killed in between left a breaker that waits for somebody who was never told.
"""

from __future__ import annotations

from monitor.core.breaker import Breaker, StepPhase, StepState
from monitor.core.course import short
from monitor.core.incident import Incident


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
