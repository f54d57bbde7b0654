"""What people read: alert, update, resolved, and what an incident remembers for them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from monitor.core import notice
from monitor.core.course import AFTERWARDS, MOST_GAPS, Course, DataGap, IncidentStatus, heard
from monitor.core.incident import (
    Incident,
    Outbound,
    acknowledge,
    append,
    escalate,
    follow_ups_due,
    move,
    next_update,
    notified,
    open_incident,
    queued,
    resolve,
    respond_by,
    response_overdue,
    was_told,
)
from monitor.core.incident import Notice as Sent
from monitor.core.model import Severity

NOW = datetime(2026, 3, 4, 12, 0, 0, tzinfo=UTC)
CUT = DataGap("events/default/etl-s3-events", NOW, NOW + timedelta(minutes=20, seconds=31), "replay the archive")


def after(**span: float) -> datetime:
    """A moment after the opening."""
    return NOW + timedelta(**span)


def opened(severity: Severity = Severity.SEV1) -> Incident:
    """The event loop, with the machine that breached."""
    made = open_incident("etl-1", "etl", severity, "loop tripped: 346/min above 200", NOW, breaker="loop")
    return replace(made, course=replace(made.course, targets=("etl-workflow",)))


def test_an_alert_says_everything_the_runbooks_ask_for() -> None:
    """Severity, start, status, description, impact, next update, commander."""
    title, body = notice.alert(opened(), NOW)
    assert title == "etl: loop tripped: 346/min above 200"
    assert body.splitlines() == [
        "incident: etl-1",
        "severity: SEV1 (outage, data loss, breach or runaway cost)",
        "started: 2026-03-04 12:00:00 UTC",
        "status: investigating",
        "description: loop tripped: 346/min above 200",
        "impact: outage, data loss, breach or runaway cost; affected: etl-workflow",
        "next update: 12:15:00 UTC",
        "commander: nobody yet; respond within 15m, until 12:15:00 UTC: `tripswitch incident ack etl-1`",
    ]


def test_an_update_tells_what_is_new_since_people_were_last_told() -> None:
    """Id, status, what changed, actions taken, next update; what they know already is left out."""
    story = append(opened(), after(seconds=5), "346/min above 200", "note")
    story = queued(story, Outbound("alert", after(seconds=6), "t", "b"))
    story = append(story, after(minutes=1), "done: disable the rule (was ENABLED)", "action.applied")
    story = move(append(story, after(minutes=2), "every step is in force", "breaker.opened"), "breaker.opened", NOW)
    title, body = notice.update(story, after(minutes=2), "every step is in force")
    assert title == "etl: etl-1 identified: every step is in force"
    assert "since the last notice: \n  12:01:00 done: disable the rule (was ENABLED)\n" in body
    assert "actions taken: \n  12:01:00 applied: disable the rule (was ENABLED)\n" in body
    assert "next update: 12:17:00 UTC" in body
    assert "12:00:05" not in body


def test_a_resolution_names_cause_gaps_and_what_is_left_to_do() -> None:
    """Duration, root cause if noted, resolution, follow-ups, post-mortem within 48 h."""
    course = heard(opened().course.missed(CUT), "ann", "Root cause: the rule matched its own output", NOW)
    story = resolve(replace(opened(), course=course), after(minutes=35), "recovered: the trial passed")
    title, body = notice.resolved(story, after(minutes=35))
    assert title == "etl: etl-1 resolved after 35m"
    assert "root cause: the rule matched its own output" in body
    assert "resolution: recovered: the trial passed (after 35m)" in body
    assert "was cut from 12:00:00 to 12:20:31 UTC" in body
    assert "data integrity verified until 2026-03-05 12:35:00 UTC" in body
    assert "post-mortem: due until 2026-03-06 12:35:00 UTC" in body


def test_without_a_noted_cause_a_resolution_says_how_to_note_one() -> None:
    """Better than an empty line, or a guess."""
    body = notice.resolved(resolve(opened(), NOW, "over"), NOW).body
    assert "root cause: not noted yet: `tripswitch incident note etl-1 'root cause: ...'`" in body


GAPS = [
    (CUT, "was cut from 12:00:00 to 12:20:31 UTC; nothing in that window was processed; proposed backfill: replay"),
    (replace(CUT, end=None), "is cut since 2026-03-04 12:00:00 UTC; proposed backfill"),
    (replace(CUT, end=after(days=1)), "was cut from 2026-03-04 12:00:00 UTC to 2026-03-05 12:00:00 UTC;"),
    (replace(CUT, note="at most"), "to 12:20:31 UTC (at most); nothing"),
    (replace(CUT, proposal=""), "nothing in that window was processed; no backfill is needed"),
    (replace(CUT, cut=False), "brought nothing in from 2026-03-04 12:00:00 UTC to 12:20:31 UTC; proposed"),
]


@pytest.mark.parametrize(("gap", "words"), GAPS)
def test_gaps_are_told_in_words(gap: DataGap, words: str) -> None:
    """From when to when, and how to make it good."""
    assert words in notice.gap_text(gap)


@pytest.mark.parametrize(
    ("event", "text", "outcome", "shown"),
    [
        ("action.applied", "done: disable the rule", "applied", "disable the rule"),
        ("action.applied", "changed nothing: disable the rule (was so already)", "unchanged", "disable the rule"),
        ("action.undone", "events/default/x: state is ENABLED again", "undone", "state is ENABLED again"),
        ("action.drifted", "drift: x is neither", "drift", "x is neither"),
        ("action.left_in_force", "disable the rule: forced closed by ann", "abandoned", "forced closed"),
        ("step.planned", "disable_rule: would disable", "would", "would disable"),
    ],
)
def test_deeds_are_read_from_the_timeline(event: str, text: str, outcome: str, shown: str) -> None:
    """What was applied, undone, left, and what was only planned are told apart."""
    [deed] = notice.deeds(append(opened(), NOW, text, event).timeline)
    assert deed.outcome == outcome
    assert shown in deed.text


def test_the_breaker_moves_the_status() -> None:
    """Tripped, contained, let back in, relapsed, over; the first containment is the one that counts."""
    story, seen = opened(), []
    events = ["breaker.opened", "breaker.half_opened", "breaker.relapsed", "breaker.opened", "action.applied"]
    for minute, event in enumerate(events, 1):
        story = move(story, event, after(minutes=minute))
        seen.append(story.course.status.value)
    assert seen == ["identified", "monitoring", "investigating", "identified", "identified"]
    assert (story.course.contained_at, story.course.restoring_at) == (after(minutes=1), after(minutes=2))
    over = resolve(story, after(minutes=9), "over")
    assert over.course.status is IncidentStatus.RESOLVED
    assert move(over, "breaker.opened", after(minutes=10)) is over


CLOCKS = [(Severity.SEV1, 15), (Severity.SEV2, 60), (Severity.SEV3, 240), (Severity.SEV4, 1440)]


@pytest.mark.parametrize(("severity", "minutes"), CLOCKS)
def test_an_answer_is_overdue_when_its_clock_ran_out(severity: Severity, minutes: int) -> None:
    """15 minutes, an hour, four hours, a day; an acknowledgement stops it."""
    story = opened(severity)
    assert not response_overdue(story, after(minutes=minutes, seconds=-1))
    assert response_overdue(story, after(minutes=minutes))
    assert not response_overdue(acknowledge(story, "ann", after(minutes=1)), after(minutes=minutes))


def test_the_first_answer_counts_and_the_last_person_commands() -> None:
    """A second one takes over; saying it twice changes nothing."""
    story = acknowledge(opened(), "ann", after(minutes=3))
    taken = acknowledge(story, "ben", after(minutes=9))
    assert (taken.course.commander, taken.course.acknowledged_at) == ("ben", after(minutes=3))
    assert [entry.text for entry in taken.timeline[1:]] == ["acknowledged by ann", "taken over by ben"]
    assert acknowledge(taken, "ben", after(minutes=10)) is taken


def test_a_rising_severity_starts_the_clock_anew() -> None:
    """Three hours into a SEV3 nobody can have answered a SEV1 in time; a fall changes nothing."""
    story = escalate(opened(Severity.SEV3), Severity.SEV1, after(hours=3))
    assert respond_by(story) == after(hours=3, minutes=15)
    assert escalate(story, Severity.SEV4, after(hours=4)) is story


def test_people_count_as_told_once_a_notice_is_on_its_way() -> None:
    """Else a channel that is down would be sent a reminder at every look."""
    story = queued(opened(), Outbound("update x", after(minutes=15), "t", "b"))
    assert next_update(story) == after(minutes=30)


def test_what_a_channel_took_or_is_being_sent_is_not_said_again() -> None:
    """Also after a restart: both are part of the incident."""
    story = queued(opened(), Outbound("alert", NOW, "t", "b"))
    assert was_told(story, "alert")
    failed = notified(story, Sent(NOW, "alert", "slack", False, "down", "alert"), last=True)
    assert not was_told(failed, "alert")
    sent = notified(story, Sent(NOW, "alert", "slack", True, "", "alert"), last=True)
    assert was_told(Incident.from_json(sent.to_json()), "alert")
    assert sent.outbound == ()


def test_an_incident_of_an_older_version_can_be_read() -> None:
    """It has no course yet, and its notices no key."""
    body = dict(opened().to_json())
    del body["course"], body["outbound"]
    body["notices"] = [[NOW.isoformat(), "alert", "slack", True, ""]]
    read = Incident.from_json(body)
    assert read.course == Course()
    assert read.notices[0].key == ""


# --- what a person notes ---------------------------------------------------------------------------------------------


def test_notes_that_mean_something_are_understood() -> None:
    """Root cause and impact (the newest wins), a follow-up, and one ticked off; other words stay words."""
    course = Course()
    for text in ("root cause: a", "Root Cause:  b\n c", "impact: orders late", "follow-up: raise quota", "called bob"):
        course = heard(course, "ann", text, NOW)
    assert (course.root_cause, course.impact) == ("b c", "orders late")
    ticked = heard(heard(course, "ann", "done: raise", NOW), "ann", "done: post-mortem", after(hours=1))
    done = {one.text: one.by for one in ticked.follow_ups(NOW) if one.done_at}
    assert done == {"raise quota": "ann", "post-mortem": "ann"}


def test_follow_ups_have_the_runbooks_dates() -> None:
    """Timeline and integrity in 24 h, post-mortem in 48, analysis in a week, hardening in a month."""
    dues = {one.text: one.due for one in Course().follow_ups(NOW)}
    assert dues["timeline complete"] == dues["data integrity verified"] == after(hours=24)
    assert (dues["post-mortem"], dues["root cause analysis"]) == (after(hours=48), after(weeks=1))
    assert dues["hardening"] == after(days=30)
    assert all(one.due is None for one in Course().follow_ups(None))


def test_each_gap_is_a_follow_up_to_backfill() -> None:
    """Unless nothing was lost."""
    course = Course().missed(CUT).missed(replace(CUT, resource="queue", proposal=""))
    assert [one.text for one in course.follow_ups(NOW)][len(AFTERWARDS) :] == [f"backfill {CUT.resource}"]


def test_only_what_is_past_its_date_is_asked_for_and_once() -> None:
    """Ticked off or asked for already: silence."""
    story = resolve(opened(), NOW, "over")
    story = replace(story, course=heard(story.course, "ann", "done: timeline", NOW))
    late = follow_ups_due(story, after(hours=49))
    assert late == ["data integrity verified", "financial impact assessed", "stakeholders informed", "post-mortem"]
    reminded = replace(story, course=replace(story.course, reminded=tuple(late)))
    assert follow_ups_due(reminded, after(hours=50)) == []


def test_an_unfinished_gap_is_ended_not_doubled() -> None:
    """Left cut by a forced close, brought back later: one window."""
    course = Course().missed(replace(CUT, end=None)).missed(CUT).missed(CUT)
    assert course.gaps == (CUT,)


def test_gaps_are_bounded() -> None:
    """The newest are kept."""
    course = Course()
    for hour in range(MOST_GAPS + 5):
        course = course.missed(replace(CUT, start=after(hours=hour)))
    assert len(course.gaps) == MOST_GAPS
    assert course.gaps[-1].start == after(hours=MOST_GAPS + 4)
