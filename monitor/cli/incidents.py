"""`tripswitch incident ...`: the timelines."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from monitor.cli import completing, options
from monitor.cli.client import connect
from monitor.cli.talk import at, say, show, show_json, show_table
from monitor.core.codec import decode
from monitor.core.report import markdown
from monitor.core.view import IncidentView

Incident = Annotated[
    str,
    typer.Argument(
        help="Its id (`incident list` shows them).",
        metavar="ID",
        show_default=False,
        autocompletion=completing.incidents,
    ),
]
Text = Annotated[str, typer.Argument(help="What to add to the timeline.", show_default=False)]
Running = Annotated[bool, typer.Option("--open", help="Only those that are not resolved.")]


def list_incidents(
    running: Running = False,
    url: options.Url = None,
    token: options.Token = None,
    output: options.Output = "table",
) -> None:
    """List incidents, running ones first.

    \b
    tripswitch incident list --open
    """
    listed = connect(url, token).get("incidents")["incidents"]
    listed = [one for one in listed if not running or one["resolved_at"] is None]
    if output == "json":
        show_json(listed)
    elif not listed:
        show("There are no incidents.")
    else:
        columns = ("ID", "SEVERITY", "STATUS", "COMMANDER", "OPENED (UTC)", "RESOLVED (UTC)", "TITLE")
        show_table(columns, [_row(one) for one in listed])


def show_incident(
    incident: Incident,
    url: options.Url = None,
    token: options.Token = None,
    output: options.Output = "table",
) -> None:
    """Show one incident with its timeline.

    \b
    tripswitch incident show etl-20260314-0923-s3-event-loop
    """
    found = connect(url, token).get("incidents", incident)
    if output == "json":
        show_json(found)
        return
    show(f"{found['id']}  {found['severity']}  {found['title']}")
    show(f"opened {at(found['opened_at'])} UTC, {_ended(found)}; {_source(found)}")
    show(f"{found['status']}; commander: {_commander(found)}; next update: {at(found['next_update'])}")
    show_table(("AT (UTC)", "WHAT"), [(at(entry["at"]), entry["text"]) for entry in found["timeline"]])


def note(
    incident: Incident,
    text: Text,
    by: options.By = None,
    url: options.Url = None,
    token: options.Token = None,
) -> None:
    """Add a line to an incident's timeline.

    What begins with `root cause:` or `impact:` also goes into notices and report, `follow-up:` adds work to do
    afterwards, and `done: NAME` ticks a follow-up off.

    \b
    tripswitch incident note etl-20260314-0923-s3-event-loop "bucket owner informed"
    tripswitch incident note etl-20260314-0923-s3-event-loop "root cause: the rule matched the processed bucket"
    """
    daemon = connect(url, token)
    say(daemon.send("incidents", incident, "notes", by=options.person(by), text=text)["message"])


def ack(
    incident: Incident,
    by: options.By = None,
    url: options.Url = None,
    token: options.Token = None,
) -> None:
    """Acknowledge an incident: you command it from now on, and the response clock stops.

    \b
    tripswitch incident ack etl-20260314-0923-s3-event-loop
    """
    daemon = connect(url, token)
    say(daemon.send("incidents", incident, "ack", by=options.person(by))["message"])


def report(incident: Incident, url: options.Url = None, token: options.Token = None) -> None:
    """Print an incident as Markdown, ready for a post-mortem: times, timeline, actions, data gaps, follow-ups.

    \b
    tripswitch incident report etl-20260314-0923-s3-event-loop > incident.md
    """
    show(markdown(decode(IncidentView, connect(url, token).get("incidents", incident))))


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    times = (at(one["opened_at"]), at(one["resolved_at"]))
    return (one["id"], one["severity"], one["status"], one["commander"] or "-", *times, one["title"])


def _commander(found: dict[str, Any]) -> str:
    until = f" (respond by {at(found['respond_by'])} UTC)" if found["respond_by"] else ""
    return found["commander"] or f"nobody{until}"


def _ended(found: dict[str, Any]) -> str:
    return f"resolved {at(found['resolved_at'])} UTC" if found["resolved_at"] else "not resolved"


def _source(found: dict[str, Any]) -> str:
    what = f"breaker {found['breaker']}" if found["breaker"] else f"check {found['check']}"
    return f"{what} of {found['pipeline']}"
