"""Incidents: ids, a bounded timeline, notices, and the clock of their severity."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.course import DataGap, heard
from monitor.core.incident import (
    FIRST_ENTRIES,
    MOST_ENTRIES,
    Incident,
    Notice,
    Outbound,
    append,
    incident_id,
    notified,
    open_incident,
    queued,
    resolve,
    respond_within,
    update_due,
)
from monitor.core.model import Severity

NOW = datetime(2026, 11, 21, 23, 51, 7, tzinfo=UTC)


def opened(severity: Severity = Severity.SEV1) -> Incident:
    """The event loop of the etl pipeline."""
    return open_incident("etl-1", "etl", severity, "S3 event loop", NOW, breaker="s3-event-loop")


IDS = [
    (("etl", "s3-event-loop", NOW), "etl-20261121-2351-s3-event-loop"),
    (("etl", "s3-event-loop", NOW, "2"), "etl-20261121-2351-s3-event-loop-2"),
    (("etl", "a b/c", NOW.astimezone(timezone(timedelta(hours=9)))), "etl-20261121-2351-a-b-c"),
]


@pytest.mark.parametrize(("parts", "expected"), IDS, ids=[row[1] for row in IDS])
def test_ids_are_readable(parts: tuple[str, str, datetime], expected: str) -> None:
    """UTC, safe in a path, one more part where the minute repeats."""
    assert incident_id(*parts) == expected


def test_a_life() -> None:
    """Opened, noted, resolved once."""
    story = resolve(append(opened(), NOW, "rule disabled", "action.applied"), NOW + timedelta(minutes=12), "closed")
    assert [entry.text for entry in story.timeline] == ["S3 event loop", "rule disabled", "closed (after 12m)"]
    assert not story.is_open
    assert resolve(story, NOW + timedelta(hours=9), "again") is story


def test_the_same_line_twice_is_one() -> None:
    """A step that resumes after a crash may tell its entry again."""
    once = append(opened(), NOW, "rule disabled")
    assert append(once, NOW, "rule disabled") is once


def test_a_full_timeline_drops_from_its_middle() -> None:
    """How it began and how it stands stay; people see that something is missing."""
    story = opened()
    for i in range(1000):
        story = append(story, NOW + timedelta(seconds=i), f"entry {i}")
    view = story.to_view()
    texts = [entry.text for entry in view.timeline]
    assert len(story.timeline) == MOST_ENTRIES
    assert texts[1] == "entry 0"
    assert texts[FIRST_ENTRIES] == "(501 entries left out)"
    assert texts[-1] == "entry 999"


@pytest.mark.parametrize("letter", ["x", "é", "\x00", "\N{FIRE}"])
def test_the_fullest_incident_fits_the_store(letter: str) -> None:
    """An entry is a line, not a dump, and an item of DynamoDB holds 400 KB."""
    story = opened()
    for i in range(MOST_ENTRIES + 100):
        story = append(story, NOW + timedelta(seconds=i), f"{i} {letter * 5000}", "action.applied")
    for _ in range(150):
        story = notified(
            story, Notice(NOW, "update", "slack", True, letter * 5000, "update action.failed 0123456789ab")
        )
    course = story.course
    for i in range(100):
        story = queued(story, Outbound(f"update {i}", NOW, letter * 5000, letter * 5000))
        course = heard(course, "ann", f"follow-up: {i} {letter * 5000}", NOW)
        course = heard(course, "ann", f"done: {i} {letter * 5000}", NOW)
        course = course.missed(DataGap("events/default/rule", NOW + timedelta(hours=i), NOW, "replay " * 40))
    story = replace(story, course=course)
    assert len(json.dumps(story.to_json())) < 400_000
    assert story.timeline[-1].text.endswith("…")


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 700), st.integers(0, 120), st.booleans())
def test_an_incident_survives_the_store(entries: int, notices: int, over: bool) -> None:
    """What was written is read back, bounded, with nothing lost uncounted."""
    story = opened()
    for i in range(entries):
        story = append(story, NOW + timedelta(seconds=i), f"entry {i}", "note")
    for i in range(notices):
        story = notified(story, Notice(NOW + timedelta(seconds=i), "update", "slack", i % 2 == 0, "x"))
    story = resolve(story, NOW + timedelta(days=1), "over") if over else story
    assert Incident.from_json(story.to_json()) == story
    assert len(story.timeline) + story.dropped == 1 + entries + over
    assert len(story.notices) == min(notices, 100)


DUE = [
    (Severity.SEV1, 14, False), (Severity.SEV1, 15, True), (Severity.SEV2, 29, False), (Severity.SEV2, 30, True),
    (Severity.SEV3, 240, True), (Severity.SEV4, 10_000, False),
]  # fmt: skip


@pytest.mark.parametrize(("severity", "minutes", "due"), DUE)
def test_status_updates_keep_their_cadence(severity: Severity, minutes: int, due: bool) -> None:
    """SEV1 every 15 minutes, SEV2 30, SEV3 four hours, SEV4 none."""
    assert update_due(opened(severity), NOW + timedelta(minutes=minutes)) is due


def test_a_sent_notice_moves_the_next_update() -> None:
    """One that failed does not, and a resolved incident needs none."""
    later = NOW + timedelta(minutes=15)
    sent = notified(opened(), Notice(NOW + timedelta(minutes=5), "update", "slack", True))
    failed = notified(opened(), Notice(NOW + timedelta(minutes=5), "update", "slack", False))
    assert (update_due(sent, later), update_due(failed, later)) == (False, True)
    assert not update_due(resolve(opened(), NOW, "over"), later)


def test_worse_is_answered_sooner() -> None:
    """The order of the severities is the order of their clocks."""
    spans = [respond_within(severity) for severity in Severity]
    assert spans == sorted(spans)
    assert spans[0] == timedelta(minutes=15)
