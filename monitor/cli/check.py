"""`tripswitch check`: one round, judged like the daemon's first."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, contextmanager
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Any

import typer

from monitor.cli import completing, options
from monitor.cli.talk import EXIT_CONFIG, count, die, say, show_json, show_table
from monitor.core.model import Level

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitor.cli.round import Round
    from monitor.core.model import Row
    from monitor.core.spec import CheckSpec, Pipeline

EXIT_CODES = {Level.OK: 0, Level.WARNING: 1, Level.CRITICAL: 2, Level.UNKNOWN: 3}
Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        help="Only these checks: NAME, PIPELINE/NAME or a glob; may be repeated.",
        metavar="NAME",
        autocompletion=completing.checks,
    ),
]
Endpoint = Annotated[str | None, typer.Option("--endpoint", help="Another address for all AWS services.")]


def check(paths: options.Paths, only: Only = None, output: options.Output = "table", endpoint: Endpoint = None) -> None:
    """Run every check once against AWS and print the levels. It changes nothing and needs no daemon.

    Exit code: 2 if anything is critical, else 3 if anything is unknown, else 1 if anything is a warning, else 0.
    An invalid configuration is 3 as well. One round can't last as long as a threshold's `for`: a breach that would
    have to last is shown as pending, and its level (which decides the exit code) stays what it is.

    \b
    tripswitch check etl.yaml
    tripswitch check pipelines/ --only 'ingest-*' --output json
    """
    from monitor.app import Boot
    from monitor.cli.round import check_once
    from monitor.settings import environ
    from monitor.telemetry import Redactor, configure_logging

    settings = options.settings(EXIT_CONFIG, endpoint=endpoint)
    known = options.registry()
    specs = _chosen(options.load(paths, known).pipelines, only or ())
    configure_logging("auto", "error", Redactor(), sys.stderr)
    boot = Boot(tuple(paths), settings, environ(), known)
    with _progress(len(specs)) as ended:
        found = asyncio.run(check_once(boot, specs, ended))
    worst = worst_of(view.level for view in found.checks)
    if output == "json":
        show_json(_document(found, worst))
    else:
        _print(found)
    raise typer.Exit(EXIT_CODES[worst])


def worst_of(levels: Iterable[Level]) -> Level:
    """Critical before unknown before warning before ok."""
    return max(levels, key=lambda level: level.rank, default=Level.OK)


def _chosen(pipelines: Iterable[Pipeline], patterns: Sequence[str]) -> list[CheckSpec]:
    specs = [spec for pipeline in pipelines for spec in pipeline.checks.values()]
    for pattern in patterns:
        if not any(_fits(spec, pattern) for spec in specs):
            names = ", ".join(spec.key for spec in specs)
            die(f"no check is called {pattern}; there are: {names}", EXIT_CODES[Level.UNKNOWN])
    return [spec for spec in specs if not patterns or any(_fits(spec, pattern) for pattern in patterns)]


def _fits(spec: CheckSpec, pattern: str) -> bool:
    return fnmatchcase(spec.name, pattern) or fnmatchcase(spec.key, pattern)


def _progress(total: int) -> AbstractContextManager[Callable[[CheckSpec], None]]:
    """Hears of each check that ended; draws on stderr, and only on a terminal."""

    @contextmanager
    def drawn() -> Iterator[Callable[[CheckSpec], None]]:
        if not sys.stderr.isatty():
            yield lambda spec: None
            return
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("checks", total=total)
            yield lambda spec: bar.update(task, advance=1, description=spec.key)

    return drawn()


def _print(found: Round) -> None:
    rows = sorted(found.rows, key=lambda row: (-row.level.rank, row.pipeline, row.check, row.target, row.signal))
    columns = ("LEVEL", "CHECK", "TARGET", "SIGNAL", "VALUE", "WHY")
    show_table(columns, [cells(row) for row in rows])
    levels = [view.level for view in found.checks]
    tally = ", ".join(f"{levels.count(level)} {level}" for level in Level if level in levels)
    say(f"{count(len(levels), 'check')}: {tally}")
    if any(row.pending for row in rows):
        say("pending: breached, but the threshold's `for` is longer than one round")


def cells(row: Row) -> tuple[str, ...]:
    """LEVEL, CHECK, TARGET, SIGNAL, VALUE, WHY."""
    from monitor.core.sentence import quantity

    level = f"{row.level} (pending)" if row.pending else str(row.level)
    value = "-" if row.value is None else quantity(row.value, row.unit)
    why = f"{row.reason}: {row.detail}" if row.reason else row.detail
    return level, f"{row.pipeline}/{row.check}", row.target, row.signal, value, "" if why == value else why


def _document(found: Round, worst: Level) -> dict[str, Any]:
    from monitor.core.codec import encode

    left_out = {"recent", "since"}
    rows = [{key: value for key, value in encode(row).items() if key not in left_out} for row in found.rows]
    checks = [
        {
            "pipeline": view.pipeline, "name": view.name, "kind": view.kind, "level": view.level.value,
            "seconds": view.duration, "reason": view.reason, "detail": view.detail, "runbook": view.runbook,
        }
        for view in found.checks
    ]  # fmt: skip
    return {"level": worst.value, "exit_code": EXIT_CODES[worst], "checks": checks, "observations": rows}
