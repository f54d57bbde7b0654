"""`tripswitch incident ...`: the timelines."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from monitor.cli import options
from monitor.cli.client import connect
from monitor.cli.talk import at, say, show, show_json, show_table

Incident = Annotated[str, typer.Argument(help="Its id (`incident list` shows them).", metavar="ID", show_default=False)]
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
        columns = ("ID", "SEVERITY", "OPENED (UTC)", "RESOLVED (UTC)", "TITLE")
        show_table(
            columns, [(i["id"], i["severity"], at(i["opened_at"]), at(i["resolved_at"]), i["title"]) for i in listed]
        )


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
    show_table(("AT (UTC)", "WHAT"), [(at(entry["at"]), entry["text"]) for entry in found["timeline"]])


def note(
    incident: Incident,
    text: Text,
    by: options.By = None,
    url: options.Url = None,
    token: options.Token = None,
) -> None:
    """Add a line to an incident's timeline.

    \b
    tripswitch incident note etl-20260314-0923-s3-event-loop "bucket owner informed"
    """
    daemon = connect(url, token)
    say(daemon.send("incidents", incident, "notes", by=options.person(by), text=text)["message"])


def report(incident: Incident, url: options.Url = None, token: options.Token = None) -> None:
    """Print an incident as Markdown: its facts and its timeline, ready for a post-mortem.

    \b
    tripswitch incident report etl-20260314-0923-s3-event-loop > incident.md
    """
    show(markdown(connect(url, token).get("incidents", incident)))


def markdown(found: dict[str, Any]) -> str:
    """The report. Text from outside can't break its table or smuggle in markup."""
    facts = [
        ("Incident", f"`{found['id']}`"),
        ("Severity", found["severity"]),
        ("Pipeline", _cell(found["pipeline"])),
        ("Opened by", _cell(_source(found))),
        ("Opened", f"{at(found['opened_at'])} UTC"),
        ("Resolved", f"{at(found['resolved_at'])} UTC" if found["resolved_at"] else "not yet"),
    ]
    lines = [f"# {_cell(found['title'])}", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in facts]
    lines += ["", "## Timeline", "", "| At (UTC) | What |", "|---|---|"]
    lines += [f"| {at(entry['at'])} | {_cell(entry['text'])} |" for entry in found["timeline"]]
    return "\n".join(lines)


def _cell(text: str) -> str:
    for mark in ("\\", "|", "<", "`", "*", "_", "["):
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())


def _ended(found: dict[str, Any]) -> str:
    return f"resolved {at(found['resolved_at'])} UTC" if found["resolved_at"] else "not resolved"


def _source(found: dict[str, Any]) -> str:
    what = f"breaker {found['breaker']}" if found["breaker"] else f"check {found['check']}"
    return f"{what} of {found['pipeline']}"
