"""Incidents: from a trip or a critical level to resolved, with a bounded timeline and the notices that went out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from monitor.core.codec import decode, encode
from monitor.core.course import MOVES, Course, IncidentStatus, short
from monitor.core.durations import format_duration
from monitor.core.model import Json, Severity
from monitor.core.view import Entry, IncidentView, NoticeView

MOST_ENTRIES = 500
#: How it began explains an incident better than its middle: these are never dropped.
FIRST_ENTRIES = 50
MOST_NOTICES = 100
#: Notices on their way, and for how long after a restart they are still worth sending.
MOST_OUTBOUND = 5
OUTBOUND_FOR = timedelta(hours=1)
#: Bytes as JSON: a full incident stays below the 400 KB a DynamoDB item may have.
MOST_BODY, MOST_DETAIL = 2000, 200
MOST_TARGETS = 50


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice that went out (or failed to). `kind`: alert | update | resolved. `channel` names it, without secrets.

    `key` begins with the kind and names what was said, so that it is said once.
    """

    at: datetime
    kind: str
    channel: str
    sent: bool
    detail: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Outbound:
    """A notice that is on its way: durable before it is sent, so that a crash doubles it rather than loses it."""

    key: str
    at: datetime
    title: str
    body: str


@dataclass(frozen=True, slots=True)
class Incident:
    """`breaker` or `check` says what opened it. The timeline holds the first 50 and the newest entries, 500 in all."""

    id: str
    pipeline: str
    severity: Severity
    title: str
    opened_at: datetime
    breaker: str | None = None
    check: str | None = None
    resolved_at: datetime | None = None
    timeline: tuple[Entry, ...] = ()
    #: Entries left out after the first 50.
    dropped: int = 0
    notices: tuple[Notice, ...] = ()
    outbound: tuple[Outbound, ...] = ()
    course: Course = field(default_factory=Course)

    @property
    def is_open(self) -> bool:
        """Not resolved yet."""
        return self.resolved_at is None

    def to_json(self) -> dict[str, Json]:
        """Plain values; `from_json` reads them back exactly."""
        return {
            "id": self.id, "pipeline": self.pipeline, "severity": self.severity.value, "title": self.title,
            "opened_at": self.opened_at.isoformat(), "breaker": self.breaker, "check": self.check,
            "resolved_at": self.resolved_at.isoformat() if self.resolved_at else None,
            "timeline": [[entry.at.isoformat(), entry.event, entry.text] for entry in self.timeline],
            "dropped": self.dropped,
            "notices": [[n.at.isoformat(), n.kind, n.channel, n.sent, n.detail, n.key] for n in self.notices],
            "outbound": encode(self.outbound), "course": encode(self.course),
        }  # fmt: skip

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Incident:
        """The value `to_json` described. Raises KeyError or ValueError for anything else."""
        resolved = body["resolved_at"]
        return cls(
            id=body["id"], pipeline=body["pipeline"], severity=Severity(body["severity"]), title=body["title"],
            opened_at=datetime.fromisoformat(body["opened_at"]), breaker=body["breaker"], check=body["check"],
            resolved_at=datetime.fromisoformat(resolved) if resolved else None,
            timeline=tuple(Entry(datetime.fromisoformat(at), text, event) for at, event, text in body["timeline"]),
            dropped=body["dropped"],
            notices=tuple(Notice(datetime.fromisoformat(at), *rest) for at, *rest in body["notices"]),
            outbound=tuple(decode(Outbound, one) for one in body.get("outbound", ())),
            course=decode(Course, body.get("course", {})),
        )  # fmt: skip

    def to_view(self) -> IncidentView:
        """As page and API show it; a line in the timeline says how many entries were left out."""
        timeline = self.timeline
        if self.dropped:
            gap = Entry(timeline[FIRST_ENTRIES].at, f"({self.dropped} entries left out)", "timeline.shortened")
            timeline = (*timeline[:FIRST_ENTRIES], gap, *timeline[FIRST_ENTRIES:])
        course = self.course
        return IncidentView(
            self.id, self.pipeline, self.severity, self.title, self.opened_at, self.resolved_at, self.breaker,
            self.check, timeline, course.status, course.commander, course.acknowledged_at, respond_by(self),
            next_update(self), course.began_at, course.contained_at, course.restoring_at, course.impact,
            course.root_cause, course.gaps, course.costs, course.follow_ups(self.resolved_at),
            tuple(NoticeView(n.at, n.kind, n.channel, n.sent, n.detail) for n in self.notices),
        )  # fmt: skip


def incident_id(pipeline: str, name: str, at: datetime, suffix: str = "") -> str:
    """`etl-20261121-2351-s3-event-loop`, UTC; `suffix` (`2`, `3`, ...) where one of that minute already exists.

    Of one pipeline, ids sort by time; they are safe in URLs and file names.
    """
    parts = [pipeline, f"{at.astimezone(UTC):%Y%m%d-%H%M}", name, suffix]
    return "-".join(re.sub(r"[^A-Za-z0-9_.-]+", "-", part).strip("-") for part in parts if part)


def open_incident(
    incident: str, pipeline: str, severity: Severity, title: str, now: datetime, *,
    breaker: str | None = None, check: str | None = None,
) -> Incident:  # fmt: skip
    """A new one, its first entry its title."""
    opened = Incident(incident, pipeline, severity, short(title), now, breaker, check)
    return append(opened, now, title, "incident.opened")


def append(incident: Incident, now: datetime, text: str, event: str = "") -> Incident:
    """With one more entry; an exact repeat of the newest one is left out, and a full timeline drops from its middle."""
    entry = Entry(now, short(text), event)
    if incident.timeline and incident.timeline[-1] == entry:
        return incident
    timeline, dropped = (*incident.timeline, entry), incident.dropped
    if len(timeline) > MOST_ENTRIES:
        dropped += len(timeline) - MOST_ENTRIES
        timeline = (*timeline[:FIRST_ENTRIES], *timeline[FIRST_ENTRIES - MOST_ENTRIES :])
    return replace(incident, timeline=timeline, dropped=dropped)


def move(incident: Incident, event: str, now: datetime) -> Incident:
    """With the status that a breaker's event means; most events mean none."""
    status = MOVES.get(event)
    if status is None or not incident.is_open:
        return incident
    return replace(incident, course=incident.course.moved(status, now))


def escalate(incident: Incident, severity: Severity, now: datetime) -> Incident:
    """The worse of the two severities; a rise starts the response clock anew."""
    if severity.value >= incident.severity.value:
        return incident
    return replace(incident, severity=severity, course=replace(incident.course, escalated_at=now, overdue_told=False))


def acknowledge(incident: Incident, by: str, now: datetime) -> Incident:
    """`by` commands it. The first answer stops the response clock; a second person takes over."""
    if incident.course.commander == by:
        return incident
    verb = "acknowledged by" if incident.course.commander is None else "taken over by"
    at = incident.course.acknowledged_at or now
    course = replace(incident.course, commander=by, acknowledged_at=at)
    return replace(append(incident, now, f"{verb} {by}", "incident.acknowledged"), course=course)


def resolve(incident: Incident, now: datetime, text: str) -> Incident:
    """Ended. Resolving twice changes nothing."""
    if not incident.is_open:
        return incident
    ended = append(incident, now, f"{text} (after {lasted(incident, now)})", "incident.resolved")
    return replace(ended, resolved_at=now, course=replace(ended.course, status=IncidentStatus.RESOLVED))


def lasted(incident: Incident, now: datetime) -> str:
    """From the opening to the end, or until now, in whole seconds."""
    return format_duration(float(max(0, round(((incident.resolved_at or now) - incident.opened_at).total_seconds()))))


# --- notices --------------------------------------------------------------------------------------------------------


def queued(incident: Incident, notice: Outbound) -> Incident:
    """With a notice on its way; people count as told."""
    kept = [one for one in incident.outbound if one.key != notice.key and notice.at - one.at < OUTBOUND_FOR]
    outbound = (*kept, replace(notice, title=short(notice.title), body=short(notice.body, MOST_BODY)))[-MOST_OUTBOUND:]
    return replace(incident, outbound=outbound, course=replace(incident.course, told_at=notice.at))


def notified(incident: Incident, notice: Notice, *, last: bool = False) -> Incident:
    """With a notice on record, the newest 100 kept. `last`: no channel is left that may still take it."""
    kept = (*incident.notices, replace(notice, detail=short(notice.detail, MOST_DETAIL)))[-MOST_NOTICES:]
    outbound = tuple(one for one in incident.outbound if not (last and one.key == notice.key))
    return replace(incident, notices=kept, outbound=outbound)


def taken_by(incident: Incident, key: str) -> frozenset[str]:
    """The channels that took the notice of this key."""
    return frozenset(notice.channel for notice in incident.notices if notice.sent and notice.key == key)


def was_told(incident: Incident, key: str) -> bool:
    """Whether this was said before: a channel took it, or it is on its way."""
    return bool(taken_by(incident, key)) or any(one.key == key for one in incident.outbound)


# --- clocks ---------------------------------------------------------------------------------------------------------


def respond_within(severity: Severity) -> timedelta:
    """How soon someone must answer."""
    return timedelta(minutes={"SEV1": 15, "SEV2": 60, "SEV3": 240, "SEV4": 1440}[severity.value])


def update_every(severity: Severity) -> timedelta | None:
    """The cadence of status updates while it is open; None: none are due."""
    minutes = {"SEV1": 15, "SEV2": 30, "SEV3": 240}.get(severity.value)
    return None if minutes is None else timedelta(minutes=minutes)


def respond_by(incident: Incident) -> datetime | None:
    """Until when somebody must answer; None once somebody did, or it is over."""
    if not incident.is_open or incident.course.acknowledged_at is not None:
        return None
    return (incident.course.escalated_at or incident.opened_at) + respond_within(incident.severity)


def response_overdue(incident: Incident, now: datetime) -> bool:
    """Whether nobody answered in time, and that was not said yet."""
    until = respond_by(incident)
    return until is not None and now >= until and not incident.course.overdue_told


def next_update(incident: Incident) -> datetime | None:
    """When people are to be told next: the cadence after the last notice (or the opening); None: no update is due."""
    every = update_every(incident.severity)
    if every is None or not incident.is_open:
        return None
    sent = [notice.at for notice in incident.notices if notice.sent]
    return max([*sent, incident.course.told_at or incident.opened_at, incident.opened_at]) + every


def update_due(incident: Incident, now: datetime) -> bool:
    """Whether a status update is due."""
    due = next_update(incident)
    return due is not None and now >= due


def follow_ups_due(incident: Incident, now: datetime) -> list[str]:
    """Follow-ups whose date passed, which nobody ticked off, and of which nobody was reminded."""
    return [
        one.text
        for one in incident.course.follow_ups(incident.resolved_at)
        if one.due is not None and one.done_at is None and now >= one.due and one.text not in incident.course.reminded
    ]
