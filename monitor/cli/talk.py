"""How commands talk: data to stdout, words to stderr, one place for exit codes."""

from __future__ import annotations

from typing import NoReturn

import typer

EXIT_FAILED, EXIT_USAGE, EXIT_CONFIG, EXIT_REFUSED = 1, 2, 3, 4


def say(text: str) -> None:
    """A line for people, on stderr."""
    typer.echo(text, err=True)


def die(text: str, code: int = EXIT_FAILED) -> NoReturn:
    """Say it and end with `code`."""
    say(text)
    raise typer.Exit(code)
