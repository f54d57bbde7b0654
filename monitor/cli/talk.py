"""How commands talk: data to stdout, words to stderr, one place for exit codes and tables.

Text that came from AWS or from other people is shown without control characters: a title must not move the cursor.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

import typer

EXIT_FAILED, EXIT_USAGE, EXIT_CONFIG, EXIT_REFUSED = 1, 2, 3, 4

#: Columns of a table that goes into a pipe or a file.
WIDE = 200
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_STYLES = {
    "ok": "green", "closed": "green", "done": "green", "ready": "green",
    "warning": "yellow", "half_open": "yellow", "held": "yellow", "tripping": "bold red", "unknown": "magenta",
    "critical": "bold red", "open": "red", "failed": "red", "not ready": "red",
}  # fmt: skip


def clean(text: object) -> str:
    """Printable: control characters other than newline and tab become `?`."""
    return _CONTROL.sub("?", str(text))


def say(text: str) -> None:
    """Words for people, on stderr."""
    typer.echo(clean(text), err=True)


def die(text: str, code: int = EXIT_FAILED) -> NoReturn:
    """Say it and end with `code`."""
    say(text)
    raise typer.Exit(code)


def show(text: str) -> None:
    """Data, on stdout."""
    typer.echo(clean(text))


def show_json(value: Any) -> None:
    """Data for programs, on stdout."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> None:
    """A table for people. The words of levels, states and phases are coloured on a terminal (unless NO_COLOR)."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=sys.stdout, highlight=False)
    if not console.is_terminal:
        console = Console(file=sys.stdout, highlight=False, width=WIDE)
    table = Table(box=SIMPLE_HEAD, title=Text(clean(title)) if title else None, title_justify="left", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        words = [clean(cell).replace("\n", " ") for cell in row]
        table.add_row(*(Text(word, style=_STYLES.get(word.split(" (")[0], "")) for word in words))
    if console.is_terminal:
        console.print(table)
        return
    with console.capture() as captured:
        console.print(table)
    lines = [line.rstrip() for line in captured.get().splitlines()]
    typer.echo("\n".join(lines).strip("\n") + "\n")


def ask(question: str, yes: bool) -> None:
    """Go on only if a person says so, or said so before (`--yes`); else the command ends and nothing was changed."""
    if not yes:
        prompt(question)
        answer()


def prompt(question: str) -> None:
    """Put the question; without a terminal there is nobody to answer, and the command ends."""
    if not sys.stdin.isatty():
        die("nothing was changed: this needs your yes; repeat with --yes", EXIT_USAGE)
    typer.echo(f"{clean(question)} [y/N] ", err=True, nl=False)


def answer() -> None:
    """Read the line typed; anything but yes ends the command."""
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        die("nothing was changed")


def count(number: int, word: str) -> str:
    """`1 check`, `2 checks`."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def at(moment: str | None) -> str:
    """An ISO time of the API as `2026-03-14 09:26:53` (UTC); `-` for None."""
    return moment[:19].replace("T", " ") if moment else "-"
