"""Incidents: from a trip or a critical level to resolved, with a bounded timeline and the notices that went out."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from monitor.core.durations import format_duration
from monitor.core.model import Json, Severity
from monitor.core.view import Entry, IncidentView

MOST_ENTRIES = 500
#: How it began explains an incident better than its middle: these are never dropped.
FIRST_ENTRIES = 50
MOST_NOTICES = 100
#: Bytes of one text as JSON: 500 entries stay below the 400 KB a DynamoDB item may have.
MOST_TEXT = 500


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice that went out (or failed to). `kind`: alert | update | resolved. `channel` names it, without secrets."""

    at: datetime
    kind: str
    channel: str
    sent: bool
    detail: str = ""


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
            "notices": [[n.at.isoformat(), n.kind, n.channel, n.sent, n.detail] for n in self.notices],
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
        )  # fmt: skip

    def to_view(self) -> IncidentView:
        """As page and API show it; a line in the timeline says how many entries were left out."""
        timeline = self.timeline
        if self.dropped:
            gap = Entry(timeline[FIRST_ENTRIES].at, f"({self.dropped} entries left out)", "timeline.shortened")
            timeline = (*timeline[:FIRST_ENTRIES], gap, *timeline[FIRST_ENTRIES:])
        return IncidentView(
            self.id, self.pipeline, self.severity, self.title, self.opened_at, self.resolved_at, self.breaker,
            self.check, timeline,
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
    opened = Incident(incident, pipeline, severity, title, now, breaker, check)
    return append(opened, now, title, "incident.opened")


def append(incident: Incident, now: datetime, text: str, event: str = "") -> Incident:
    """With one more entry; an exact repeat of the newest one is left out, and a full timeline drops from its middle."""
    entry = Entry(now, _cut(text), event)
    if incident.timeline and incident.timeline[-1] == entry:
        return incident
    timeline, dropped = (*incident.timeline, entry), incident.dropped
    if len(timeline) > MOST_ENTRIES:
        dropped += len(timeline) - MOST_ENTRIES
        timeline = (*timeline[:FIRST_ENTRIES], *timeline[FIRST_ENTRIES - MOST_ENTRIES :])
    return replace(incident, timeline=timeline, dropped=dropped)


def resolve(incident: Incident, now: datetime, text: str) -> Incident:
    """Ended. Resolving twice changes nothing."""
    if not incident.is_open:
        return incident
    lasted = format_duration(float(max(0, round((now - incident.opened_at).total_seconds()))))
    return replace(append(incident, now, f"{text} (after {lasted})", "incident.resolved"), resolved_at=now)


def notified(incident: Incident, notice: Notice) -> Incident:
    """With a notice on record, the newest 100 kept."""
    return replace(incident, notices=(*incident.notices, replace(notice, detail=_cut(notice.detail)))[-MOST_NOTICES:])


def respond_within(severity: Severity) -> timedelta:
    """How soon someone must answer."""
    return timedelta(minutes={"SEV1": 15, "SEV2": 60, "SEV3": 240, "SEV4": 1440}[severity.value])


def update_every(severity: Severity) -> timedelta | None:
    """The cadence of status updates while it is open; None: none are due."""
    minutes = {"SEV1": 15, "SEV2": 30, "SEV3": 240}.get(severity.value)
    return None if minutes is None else timedelta(minutes=minutes)


def update_due(incident: Incident, now: datetime) -> bool:
    """Whether a status update is due: the cadence passed since the last notice that was sent (or the opening)."""
    every = update_every(incident.severity)
    if every is None or not incident.is_open:
        return False
    sent = [notice.at for notice in incident.notices if notice.sent]
    return now - max(sent, default=incident.opened_at) >= every


def _cut(text: str) -> str:
    """At most MOST_TEXT bytes once written as JSON."""
    if len(json.dumps(text)) <= MOST_TEXT:
        return text
    kept = text[:MOST_TEXT]
    while len(json.dumps(kept + "…")) > MOST_TEXT:
        kept = kept[: len(kept) * 9 // 10]
    return kept + "…"
