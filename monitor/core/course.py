"""How an incident went, beyond its timeline: who has it, where it stands, what was missed and what is left to do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from monitor.core.gaps import Gap

#: Bounds of what one incident holds; a check names at most 48 missed windows.
MOST_GAPS, MOST_TASKS, MOST_COSTS = 60, 20, 3
#: Bytes of one text as JSON.
MOST_TEXT, MOST_WORDS = 500, 300


class IncidentStatus(StrEnum):
    """Where an incident stands, in the words of a status page."""

    INVESTIGATING = "investigating"
    IDENTIFIED = "identified"
    MONITORING = "monitoring"
    RESOLVED = "resolved"


#: What a breaker's events say about the incident: tripped anew, contained, let back in.
MOVES = {
    "breaker.tripped": IncidentStatus.INVESTIGATING,
    "breaker.opened": IncidentStatus.IDENTIFIED,
    "breaker.half_opened": IncidentStatus.MONITORING,
    "breaker.relapsed": IncidentStatus.INVESTIGATING,
}


@dataclass(frozen=True, slots=True)
class DataGap:
    """A window in which a source brought nothing in. `end` None: it is still cut. `proposal`: how to make it good.

    `cut`: by tripswitch; else a check found the window empty.
    """

    resource: str
    start: datetime
    end: datetime | None
    proposal: str
    #: Doubts about the window ("at most: somebody else brought it back").
    note: str = ""
    cut: bool = True


@dataclass(frozen=True, slots=True)
class Cost:
    """A dollar reading among the reasons: `total per_hour` = 14.2 `dollars/hour`."""

    signal: str
    value: float
    unit: str


@dataclass(frozen=True, slots=True)
class FollowUp:
    """Work that outlives the incident. `due` None: no date (yet: those of the runbook count from the resolution)."""

    text: str
    due: datetime | None = None
    done_at: datetime | None = None
    by: str = ""


#: (text, due after the resolution); rows A9, B14 and C4 of the coverage matrix.
AFTERWARDS = (
    ("timeline complete", timedelta(hours=24)),
    ("data integrity verified", timedelta(hours=24)),
    ("financial impact assessed", timedelta(hours=24)),
    ("stakeholders informed", timedelta(hours=24)),
    ("post-mortem", timedelta(hours=48)),
    ("root cause analysis", timedelta(weeks=1)),
    ("hardening", timedelta(days=30)),
)


@dataclass(frozen=True, slots=True)
class Course:
    """Everything but identity and timeline. Bounded; defaults are what an incident of an older version has."""

    status: IncidentStatus = IncidentStatus.INVESTIGATING
    commander: str | None = None
    acknowledged_at: datetime | None = None
    #: When the breach began, where its signals tell.
    began_at: datetime | None = None
    #: The severity rose then: the response clock starts anew.
    escalated_at: datetime | None = None
    #: A notice said that nobody answered in time.
    overdue_told: bool = False
    #: When people were last told anything (queued, not necessarily delivered).
    told_at: datetime | None = None
    #: First time every step of a trip was in force.
    contained_at: datetime | None = None
    #: Newest time sources were let back in.
    restoring_at: datetime | None = None
    targets: tuple[str, ...] = ()
    impact: str = ""
    root_cause: str = ""
    gaps: tuple[DataGap, ...] = ()
    costs: tuple[Cost, ...] = ()
    #: Noted by people.
    tasks: tuple[FollowUp, ...] = ()
    #: Ticked off: text, when, by whom.
    done: tuple[FollowUp, ...] = ()
    #: Follow-ups whose passing was told.
    reminded: tuple[str, ...] = ()

    def moved(self, status: IncidentStatus, now: datetime) -> Course:
        """With another status, and the moment kept that a report asks for."""
        course = replace(self, status=status)
        if status is IncidentStatus.IDENTIFIED and course.contained_at is None:
            course = replace(course, contained_at=now)
        return replace(course, restoring_at=now) if status is IncidentStatus.MONITORING else course

    def missed(self, gap: DataGap) -> Course:
        """With a gap on record; it takes the place of an unfinished one of the same resource and start."""
        if gap in self.gaps:
            return self
        others = tuple(g for g in self.gaps if (g.resource, g.start, g.end) != (gap.resource, gap.start, None))
        return replace(self, gaps=(*others, gap)[-MOST_GAPS:])

    def follow_ups(self, resolved_at: datetime | None) -> tuple[FollowUp, ...]:
        """What is to be done afterwards, soonest first; what has no date last."""
        wanted = [FollowUp(text, resolved_at + after if resolved_at else None) for text, after in AFTERWARDS]
        wanted += [FollowUp(f"backfill {gap.resource}", None) for gap in self.gaps if gap.proposal]
        ticked = {one.text.casefold(): one for one in self.done}
        texts = {one.text.casefold(): one for one in (*wanted, *self.tasks)}
        found = [replace(one, done_at=t.done_at, by=t.by) if (t := ticked.get(k)) else one for k, one in texts.items()]
        far = datetime.max.replace(tzinfo=resolved_at.tzinfo) if resolved_at else None
        return tuple(sorted(found, key=lambda one: one.due or far)) if far else tuple(found)


_SAYS = re.compile(r"\s*(root cause|impact|follow-?up|done)\s*:\s*(\S.*)", re.IGNORECASE | re.DOTALL)


def heard(course: Course, by: str, text: str, now: datetime) -> Course:
    """What a person's note means beyond the timeline.

    `root cause: ...` and `impact: ...` are kept (the newest wins), `follow-up: ...` adds work, `done: NAME` ticks off
    every follow-up that begins so.
    """
    said = _SAYS.fullmatch(text)
    if said is None:
        return course
    what, words = said[1].lower().replace("-", ""), short(" ".join(said[2].split()), MOST_WORDS)
    match what:
        case "root cause":
            return replace(course, root_cause=words)
        case "impact":
            return replace(course, impact=words)
        case "followup":
            return replace(course, tasks=(*course.tasks, FollowUp(words))[-MOST_TASKS:])
    ended = [one for one in course.follow_ups(now) if one.text.casefold().startswith(words.casefold())]
    ticked = tuple(replace(one, due=None, done_at=now, by=by) for one in ended if one.done_at is None)
    return replace(course, done=(*course.done, *ticked)[-(MOST_GAPS + MOST_TASKS + len(AFTERWARDS)) :])


def windows(resource: str, found: Iterable[Gap], proposal: str) -> list[DataGap]:
    """The gaps that a check found, as an incident keeps them."""
    return [DataGap(resource, gap.start, gap.end, proposal, cut=False) for gap in found]


def short(text: str, most: int = MOST_TEXT) -> str:
    """A text of at most `most` bytes once written as JSON."""
    if len(json.dumps(text)) <= most:
        return text
    kept = text[:most]
    while len(json.dumps(kept + "…")) > most:
        kept = kept[: len(kept) * 9 // 10]
    return kept + "…"
