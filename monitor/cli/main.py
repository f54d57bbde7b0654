"""The command tree."""

from __future__ import annotations

from typing import Annotated

import typer

from monitor import __version__
from monitor.cli import (
    backtest,
    breakers,
    check,
    cost,
    daemon,
    demo,
    dlq,
    explain,
    files,
    iam_policy,
    incidents,
    init,
    manual,
    silences,
    status,
)


def _group(text: str) -> typer.Typer:
    return typer.Typer(help=text, no_args_is_help=True, pretty_exceptions_enable=False)


def _version(shown: bool) -> None:
    if shown:
        typer.echo(f"tripswitch {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Watches AWS data pipelines and contains their incidents.

    Commands that talk to a daemon read TRIPSWITCH_URL and TRIPSWITCH_TOKEN. Data goes to stdout, words to stderr.
    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 invalid configuration, 4 refused (`check` has its own).
    """


def build() -> typer.Typer:
    """The whole tree; commands import what is heavy when they run."""
    app = typer.Typer(
        name="tripswitch",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    _files(app)
    _client(app)
    manual.apply(app)
    return app


def _files(app: typer.Typer) -> None:
    """Commands that need no daemon."""
    app.command("run", rich_help_panel="Daemon")(daemon.run)
    app.command("demo", rich_help_panel="Daemon")(demo.demo)
    panel = "Pipeline files"
    app.command("init", rich_help_panel=panel)(init.init)
    app.command("validate", rich_help_panel=panel)(files.validate)
    app.command("check", rich_help_panel=panel)(check.check)
    app.command("explain", rich_help_panel=panel)(explain.explain)
    app.command("backtest", rich_help_panel=panel)(backtest.backtest)
    app.command("iam-policy", rich_help_panel=panel)(iam_policy.iam_policy)
    app.command("cost", rich_help_panel=panel)(cost.cost)
    app.command("schema", rich_help_panel=panel)(files.schema)
    config = _group("The configuration as it is understood.")
    config.command("show")(files.show_config)
    app.add_typer(config, name="config", rich_help_panel=panel)
    letters = _group("Dead letters, straight from AWS: list, inspect, redrive, delete.")
    for name, command in dlq.commands():
        letters.command(name)(command)
    app.add_typer(letters, name="dlq", rich_help_panel="Dead letters")


def _client(app: typer.Typer) -> None:
    """Commands that talk to a running daemon."""
    panel = "A running daemon"
    app.command("status", rich_help_panel=panel)(status.status)
    breaker = _group("List breakers and command them; one is called PIPELINE/BREAKER.")
    breaker.command("list")(breakers.list_breakers)
    for name, command in (
        ("trip", breakers.trip),
        ("reset", breakers.reset),
        ("approve", breakers.approve),
        ("disable", breakers.disable),
        ("enable", breakers.enable),
    ):
        breaker.command(name)(command)
    app.add_typer(breaker, name="breaker", rich_help_panel=panel)
    incident = _group("Incidents and their timelines.")
    incident.command("list")(incidents.list_incidents)
    incident.command("show")(incidents.show_incident)
    incident.command("ack")(incidents.ack)
    incident.command("note")(incidents.note)
    incident.command("report")(incidents.report)
    app.add_typer(incident, name="incident", rich_help_panel=panel)
    silence = _group("Mute notices for a while.")
    silence.command("add")(silences.add)
    silence.command("list")(silences.list_silences)
    silence.command("remove")(silences.remove)
    app.add_typer(silence, name="silence", rich_help_panel=panel)
    actions = _group("The kill switch: whether anything may be changed at all.")
    actions.command("on")(status.actions_on)
    actions.command("off")(status.actions_off)
    app.add_typer(actions, name="actions", rich_help_panel=panel)
    app.command("reload", rich_help_panel=panel)(status.reload)
    app.command("healthz", rich_help_panel=panel)(status.healthz)


def main() -> None:
    """The console script. `python -m monitor` is called the same, in help and for completion."""
    build()(prog_name="tripswitch")
