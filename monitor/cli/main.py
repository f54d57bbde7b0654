"""The command tree."""

from __future__ import annotations

import typer

from monitor import __version__
from monitor.cli import daemon

app = typer.Typer(
    name="tripswitch",
    help="Watches AWS data pipelines and contains their incidents.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run")(daemon.run)


def _version(shown: bool) -> None:
    if shown:
        typer.echo(f"tripswitch {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show the version."),
) -> None:
    """Watches AWS data pipelines and contains their incidents."""


def main() -> None:
    """The console script."""
    app()
