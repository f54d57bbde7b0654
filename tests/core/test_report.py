"""`incident report`: the Markdown a post-mortem starts from."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from monitor.core.codec import decode, encode
from monitor.core.course import Cost, DataGap, heard
from monitor.core.incident import Incident, Notice, acknowledge, append, move, notified, open_incident, resolve
from monitor.core.model import Severity
from monitor.core.report import markdown
from monitor.core.view import IncidentView

NOW = datetime(2026, 3, 4, 12, 0, 0, tzinfo=UTC)
RULE = "events/default/etl-s3-events"


def after(**span: float) -> datetime:
    """A moment after the opening."""
    return NOW + timedelta(**span)


def story() -> Incident:
    """An event loop: cut, acknowledged, drained, restored, resolved."""
    told = open_incident("etl-1", "etl", Severity.SEV1, "loop tripped: 346/min", NOW, breaker="loop")
    costs = (Cost("total dollars_per_hour", 12.0, "dollars/h"),)
    told = replace(told, course=replace(told.course, began_at=NOW - timedelta(minutes=2), costs=costs))
    told = append(told, after(seconds=5), "done: disable the rule etl-s3-events", "action.applied")
    told = acknowledge(told, "ann", after(minutes=4))
    told = move(told, "breaker.opened", after(minutes=8))
    told = move(told, "breaker.half_opened", after(minutes=20))
    told = append(told, after(minutes=20), f"{RULE}: state is ENABLED again", "action.undone")
    told = append(told, after(minutes=20), "drift: queue/x is neither", "action.drifted")
    told = append(told, after(minutes=21), "cap the function: no recovery step undoes it", "action.left_in_force")
    gap = DataGap(RULE, after(seconds=5), after(minutes=20), "replay the archive")
    told = replace(told, course=heard(told.course.missed(gap), "ann", "root cause: a | b", after(minutes=22)))
    told = notified(told, Notice(after(seconds=6), "alert", "https://hooks.example/***", True))
    return resolve(told, after(minutes=35), "recovered: the trial passed")


def test_a_report_holds_what_the_runbooks_ask_for() -> None:
    """Summary, times, timeline, actions, gaps with their backfill, cost, follow-ups with dates, notices."""
    lines = markdown(story().to_view()).splitlines()
    heads = [line for line in lines if line.startswith("## ")]
    assert heads == [
        "## Times", "## Timeline", "## Actions taken", "## Data gaps and backfill", "## Cost", "## Follow-ups",
        "## Notices",
    ]  # fmt: skip
    for wanted in (
        "| Root cause | a \\| b |",
        "| Commander | ann |",
        "| breach began | 2026-03-04 11:58:00 |  |",
        "| detected (incident opened) | 2026-03-04 12:00:00 | 2m |",
        "| response (acknowledged) | 2026-03-04 12:04:00 | 4m |",
        "| containment (every step in force) | 2026-03-04 12:08:00 | 8m |",
        "| recovery (resolved) | 2026-03-04 12:35:00 | 35m |",
        "| 2026-03-04 12:00:05 | applied | disable the rule etl-s3-events |",
        "| 2026-03-04 12:20:00 | undone | events/default/etl-s3-events: state is ENABLED again |",
        "| 2026-03-04 12:20:00 | drift | queue/x is neither |",
        "| 2026-03-04 12:21:00 | abandoned | cap the function: no recovery step undoes it |",
        "- events/default/etl-s3-events was cut from 12:00:05 to 12:20:00 UTC; nothing in that window was processed;"
        " proposed backfill: replay the archive",
        "- total dollars\\_per\\_hour was 12 dollars/h when it opened: about 2.00 dollars until it was contained,"
        " if that rate lasted",
        "| 2026-03-06 12:35:00 | post-mortem | open |",
        "| 2026-04-03 12:35:00 | hardening | open |",
        "| 2026-03-04 12:00:06 | alert | https://hooks.example/\\*\\*\\* | sent |",
    ):
        assert wanted in lines


def test_a_running_incident_has_a_report_too() -> None:
    """What has not happened yet is said so, and no date is made up."""
    told = open_incident("etl-1", "etl", Severity.SEV3, "depth is critical", NOW, check="depth")
    report = markdown(told.to_view())
    assert "| recovery (resolved) | not yet |  |" in report
    assert "| counts from the resolution | post-mortem | open |" in report
    assert "| Root cause | not noted yet" in report
    assert "None known yet" in report
    assert "None was taken or given up yet" in report
    assert "## Cost" not in report


def test_what_never_happened_is_said_so() -> None:
    """An incident that passed by itself, and that nobody answered."""
    report = markdown(resolve(open_incident("etl-1", "etl", Severity.SEV3, "t", NOW), after(minutes=3), "ok").to_view())
    assert "| response (acknowledged) | never |  |" in report
    assert "| recovery (resolved) | 2026-03-04 12:03:00 | 3m |" in report


def test_a_report_needs_nothing_but_the_api_s_answer() -> None:
    """The view as JSON and back gives the same report."""
    view = story().to_view()
    body = json.loads(json.dumps(encode(view)).replace("+00:00", "Z"))
    assert markdown(decode(IncidentView, body)) == markdown(view)
