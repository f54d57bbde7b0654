"""What people are told of an incident: alert, update, resolved, each a title and a body. Pure.

Titles name the pipeline, never the severity: every channel shows that in its own way. Times are UTC.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from monitor.core.course import DataGap
from monitor.core.durations import format_duration
from monitor.core.incident import Incident, lasted, next_update, respond_by, respond_within, update_every
from monitor.core.model import Severity
from monitor.core.view import Entry

#: Lines of one section of a notice; the rest is in the incident.
MOST_LINES = 8

MEANS = {
    Severity.SEV1: "outage, data loss, breach or runaway cost",
    Severity.SEV2: "a major function is impaired",
    Severity.SEV3: "a minor function is impaired",
    Severity.SEV4: "cosmetic",
}
POST_MORTEM = timedelta(hours=48)


class Text(NamedTuple):
    """A notice's words."""

    title: str
    body: str


@dataclass(frozen=True, slots=True)
class Deed:
    """What tripswitch did. `outcome`: applied | unchanged | undone | drift | abandoned | failed | would."""

    at: datetime
    outcome: str
    text: str


_OUTCOMES = {
    "action.applied": "applied", "action.undone": "undone", "action.drifted": "drift",
    "action.left_in_force": "abandoned", "action.failed": "failed", "step.planned": "would",
}  # fmt: skip


def deeds(timeline: Iterable[Entry]) -> list[Deed]:
    """The actions among the entries of a timeline, oldest first."""
    found = []
    for entry in timeline:
        outcome = _OUTCOMES.get(entry.event)
        if outcome is None:
            continue
        text = entry.text
        if outcome == "applied":
            outcome = "unchanged" if text.startswith("changed nothing") else outcome
            text = text.removeprefix("changed nothing: ").removeprefix("done: ")
        found.append(Deed(entry.at, outcome, text.removeprefix("drift: ")))
    return found


def gap_text(gap: DataGap) -> str:
    """`data gap: events/default/orders was cut from 12:00:05 to 12:20:31 UTC; nothing in that window ...`."""
    note = f" ({gap.note})" if gap.note else ""
    if gap.end is None:
        return f"data gap: {gap.resource} is cut since {stamp(gap.start)}{note}; {_proposal(gap)}"
    same_day = gap.start.astimezone(UTC).date() == gap.end.astimezone(UTC).date()
    start = f"{gap.start.astimezone(UTC):%H:%M:%S}" if same_day and gap.cut else stamp(gap.start)
    window = f"from {start} to {clock(gap.end, gap.start)}{note}"
    if not gap.cut:
        return f"data gap: {gap.resource} brought nothing in {window}; {_proposal(gap)}"
    return f"data gap: {gap.resource} was cut {window}; nothing in that window was processed; {_proposal(gap)}"


def alert(incident: Incident, now: datetime) -> Text:
    """It began."""
    until, course = respond_by(incident), incident.course
    commander = course.commander or (
        f"nobody yet; respond within {respond_within_text(incident)}"
        + (f", until {clock(until, now)}" if until else "")
        + f": `tripswitch incident ack {incident.id}`"
    )
    return Text(
        f"{incident.pipeline}: {incident.title}",
        _lines(
            ("incident", incident.id),
            ("severity", f"{incident.severity} ({MEANS[incident.severity]})"),
            ("started", stamp(incident.opened_at)),
            ("status", course.status.value),
            ("description", incident.title),
            ("impact", impact(incident)),
            ("next update", _next(incident, now)),
            ("commander", commander),
        ),
    )


def update(incident: Incident, now: datetime, what: str) -> Text:
    """Something changed: `what`, and everything since people were last told."""
    since = incident.course.told_at or incident.opened_at
    news = [f"{e.at:%H:%M:%S} {e.text}" for e in incident.timeline if e.at > since and e.text != what]
    return Text(
        f"{incident.pipeline}: {incident.id} {incident.course.status}: {what}",
        _lines(
            ("incident", incident.id),
            ("status", incident.course.status.value),
            ("what changed", what),
            ("since the last notice", _section(news)),
            ("actions taken", _section([f"{d.at:%H:%M:%S} {d.outcome}: {d.text}" for d in deeds(incident.timeline)])),
            ("next update", _next(incident, now)),
            ("commander", incident.course.commander or "nobody yet"),
        ),
    )


def reminder(incident: Incident, now: datetime) -> Text:
    """The update that the severity's cadence asks for, whether or not anything changed."""
    since = incident.course.told_at or incident.opened_at
    quiet = all(entry.at <= since for entry in incident.timeline)
    what = f"still {incident.course.status} after {lasted(incident, now)}" + (", nothing changed" if quiet else "")
    return update(incident, now, what)


def overdue(incident: Incident, now: datetime) -> Text:
    """Nobody answered in time."""
    what = f"nobody acknowledged it within {respond_within_text(incident)}"
    return Text(f"{incident.pipeline}: {incident.id}: {what}", alert(incident, now).body)


def follow_up(incident: Incident, now: datetime, texts: Sequence[str]) -> Text:
    """Follow-ups whose date has passed."""
    done = f"tick off: `tripswitch incident note {incident.id} 'done: {texts[0]}'`"
    return Text(
        f"{incident.pipeline}: {incident.id}: overdue: {', '.join(texts)}",
        _lines(("incident", incident.id), ("overdue", _section(texts, most=len(texts))), ("then", done)),
    )


def respond_within_text(incident: Incident) -> str:
    """`15m`."""
    return format_duration(respond_within(incident.severity))


def resolved(incident: Incident, now: datetime) -> Text:
    """It is over."""
    ended, course = incident.resolved_at or now, incident.course
    resolution = next((e.text for e in reversed(incident.timeline) if e.event == "incident.resolved"), "resolved")
    left = [
        f"{one.text}{f' until {stamp(one.due)}' if one.due else ''}"
        for one in course.follow_ups(ended)
        if one.done_at is None
    ]
    gaps = [gap_text(gap) for gap in course.gaps]
    root = course.root_cause or f"not noted yet: `tripswitch incident note {incident.id} 'root cause: ...'`"
    return Text(
        f"{incident.pipeline}: {incident.id} resolved after {lasted(incident, now)}",
        _lines(
            ("incident", incident.id),
            ("status", course.status.value),
            ("duration", lasted(incident, now)),
            ("root cause", root),
            ("resolution", resolution),
            ("data gaps", _section(gaps) if gaps else ""),
            ("follow-ups", _section(left, most=len(left))),
            ("post-mortem", f"due until {stamp(ended + POST_MORTEM)}"),
        ),
    )


def impact(incident: Incident) -> str:
    """What a person noted, else what the severity means and what breached."""
    if incident.course.impact:
        return incident.course.impact
    targets = incident.course.targets
    more = f" and {len(targets) - MOST_LINES} more" if len(targets) > MOST_LINES else ""
    where = f"; affected: {', '.join(targets[:MOST_LINES])}{more}" if targets else ""
    return MEANS[incident.severity] + where


def stamp(at: datetime) -> str:
    """`2026-03-04 12:00:05 UTC`."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def clock(at: datetime, beside: datetime) -> str:
    """`12:00:05 UTC`, with its date where that is another day than `beside`'s."""
    at, beside = at.astimezone(UTC), beside.astimezone(UTC)
    return f"{at:%H:%M:%S} UTC" if at.date() == beside.date() else stamp(at)


def _next(incident: Incident, now: datetime) -> str:
    """This notice itself counts as one."""
    every = update_every(incident.severity)
    if every is None or next_update(incident) is None:
        return "when something changes"
    return clock(now + every, now)


def _proposal(gap: DataGap) -> str:
    return f"proposed backfill: {gap.proposal}" if gap.proposal else "no backfill is needed"


def _section(lines: Sequence[str], most: int = MOST_LINES) -> str:
    """The newest lines, indented."""
    if not lines:
        return "none"
    left = [f"({len(lines) - most} earlier ones)"] if len(lines) > most else []
    return "".join(f"\n  {line}" for line in [*left, *lines[-most:]] if line)


def _lines(*fields: tuple[str, str]) -> str:
    return "\n".join(f"{name}: {text}".rstrip() for name, text in fields if text)
