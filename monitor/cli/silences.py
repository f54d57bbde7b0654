"""`tripswitch silence ...`: muting notices for a while."""

from __future__ import annotations

from typing import Annotated

import typer

from monitor.cli import completing, options
from monitor.cli.client import connect
from monitor.cli.talk import EXIT_USAGE, at, die, say, show, show_json, show_table

Match = Annotated[
    list[str],
    typer.Option("--match", "-m", help="Label and glob, such as check=dlq*; several must all match.", metavar="K=V"),
]
For = Annotated[str, typer.Option("--for", help="How long: 30m, 2h, 1d.", metavar="DURATION")]
Comment = Annotated[str, typer.Option("--comment", "-c", help="Why.")]
Hold = Annotated[bool, typer.Option("--hold-actions", help="Also hold the actions of matching breakers.")]
Silence = Annotated[
    str,
    typer.Argument(
        help="Its id (`silence list` shows them).", metavar="ID", show_default=False, autocompletion=completing.silences
    ),
]


def add(
    match: Match,
    duration: For,
    comment: Comment = "",
    hold_actions: Hold = False,
    by: options.By = None,
    url: options.Url = None,
    token: options.Token = None,
) -> None:
    """Mute notices that match, for a while. Its id goes to stdout.

    \b
    tripswitch silence add --match pipeline=etl --match 'check=dlq*' --for 2h --comment "vendor works on it"
    """
    matchers = dict(_pair(text) for text in match)
    answer = connect(url, token).send(
        "silences",
        matchers=matchers,
        duration=duration,
        by=options.person(by),
        comment=comment,
        hold_actions=hold_actions,
    )
    say(answer["message"])
    if "id" in answer["data"]:
        show(answer["data"]["id"])


def list_silences(url: options.Url = None, token: options.Token = None, output: options.Output = "table") -> None:
    """List the silences that last.

    \b
    tripswitch silence list
    """
    listed = connect(url, token).get("silences")["silences"]
    if output == "json":
        show_json(listed)
    elif not listed:
        show("There are no silences.")
    else:
        rows = [
            (
                one["id"],
                " ".join(f"{key}={value}" for key, value in one["matchers"].items()),
                at(one["until"]),
                one["by"],
                "held" if one["hold_actions"] else "go on",
                one["comment"],
            )
            for one in listed
        ]
        show_table(("ID", "MATCHES", "UNTIL (UTC)", "BY", "ACTIONS", "COMMENT"), rows)


def remove(silence: Silence, by: options.By = None, url: options.Url = None, token: options.Token = None) -> None:
    """End a silence now.

    \b
    tripswitch silence remove s0314092653-1
    """
    say(connect(url, token).send("silences", silence, method="DELETE", by=options.person(by))["message"])


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key or not value:
        die(f"--match: '{text}' is no matcher; write for example check=dlq*", EXIT_USAGE)
    return key, value
