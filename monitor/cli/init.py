"""`tripswitch init`: looks at the account, reads only, and writes pipeline files to start from."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from monitor.cli import options
from monitor.cli.talk import (
    EXIT_CONFIG,
    EXIT_FAILED,
    EXIT_REFUSED,
    EXIT_USAGE,
    count,
    die,
    say,
    show,
    show_json,
    show_table,
)

if TYPE_CHECKING:
    from monitor.cli.tally import Tally
    from monitor.plugin import Registry
    from monitor.settings import Settings
    from monitor.starter import Drafts, Wishes

#: What is left out is told in full as JSON; on a terminal a reader wants the reasons, not a phone book.
_LISTED = 20
STDOUT = "-"

Tag = Annotated[
    list[str] | None,
    typer.Option("--tag", help="Only what carries this tag, and what hangs on it: KEY=VALUE, or KEY.", metavar="K[=V]"),
]
Region = Annotated[str | None, typer.Option("--region", help="AWS region (else the SDK's own).", show_default=False)]
Profile = Annotated[str | None, typer.Option("--profile", help="Profile of the AWS config.", show_default=False)]
Name = Annotated[
    str | None, typer.Option("--name", help="Everything into one pipeline of this name.", show_default=False)
]
Out = Annotated[str, typer.Option("--out", help="Folder for the files; - prints them.", metavar="DIR|-")]
History = Annotated[str, typer.Option("--history", help="How far back normal values are looked up.", metavar="SPAN")]
Limit = Annotated[int, typer.Option("--limit", help="Resources of a kind to read, at most.", min=1)]
Fresh = Annotated[
    list[str] | None,
    typer.Option("--freshness", help="Also watch how old the newest object is.", metavar="BUCKET[/PREFIX]"),
]
Force = Annotated[bool, typer.Option("--force", help="Replace files that exist.")]


def init(
    tag: Tag = None,
    region: Region = None,
    profile: Profile = None,
    name: Name = None,
    out: Out = "pipelines",
    history: History = "14d",
    limit: Limit = 500,
    freshness: Fresh = None,
    force: Force = False,
    output: options.Output = "table",
) -> None:
    """Look at the account, read-only, and write pipeline files to start from.

    Finds queues, functions, state machines, rules, schedules, tables, buckets, Glue jobs, Kafka clusters and alarms;
    groups them by their tags (pipeline, app, service, project, stack, CloudFormation's) or by who sets off whom;
    proposes checks with bounds from history, and breakers that only observe. Each file passes `tripswitch validate`.
    What may not be read is left out, and the IAM action that lacks is named. An existing file is never replaced
    without --force.

    Exit codes: 0 written, 1 nothing to propose or AWS can't be read, 2 wrong usage, 4 some files exist and were kept.

    \b
    tripswitch init
    tripswitch init --tag pipeline=etl --region eu-west-1
    tripswitch init --out - --history 7d
    """
    from monitor.starter import Wishes

    wishes = Wishes(_tags(tag or ()), _name(name), profile, _span(history), tuple(freshness or ()))
    settings = options.settings()
    known = options.registry(EXIT_FAILED)
    drafts, tally = asyncio.run(_look(settings, known, region, limit, wishes))
    _prove(drafts, known)
    if output == "json":
        kept = _write(drafts, out, force, known) if out != STDOUT else []
        show_json(_document(drafts, tally, out, kept))
    elif out == STDOUT:
        kept = []
        show("---\n".join(one.text for one in drafts.files).rstrip("\n"))
        _tell(drafts, tally, sys.stderr)
    else:
        kept = _write(drafts, out, force, known)
        _tell(drafts, tally, sys.stdout)
    if not drafts.files:
        die("nothing to propose: " + _why_nothing(drafts, wishes))
    if out != STDOUT:
        _next(out, kept)
    if kept:
        raise typer.Exit(EXIT_REFUSED)


def _tags(given: list[str] | tuple[str, ...]) -> tuple[tuple[str, str | None], ...]:
    from monitor.starter.draft import parse_tag

    try:
        return tuple(parse_tag(text) for text in given)
    except ValueError as error:
        die(f"--tag: {error}", EXIT_USAGE)


def _name(name: str | None) -> str | None:
    from monitor.starter.naming import slug

    if name is not None and slug(name) != name:
        die(f"--name: {name!r} is not a name; letters, digits, _ and - (try {slug(name)})", EXIT_USAGE)
    return name


def _span(text: str) -> timedelta:
    from monitor.core.durations import parse_duration

    try:
        span = parse_duration(text)
    except ValueError as error:
        die(f"--history: {error}", EXIT_USAGE)
    if not timedelta(hours=1) <= span <= timedelta(days=455):
        die("--history: from 1h to 455d, which is how long CloudWatch keeps values", EXIT_USAGE)
    return span


async def _look(
    settings: Settings, known: Registry, region: str | None, limit: int, wishes: Wishes
) -> tuple[Drafts, Tally]:
    """Survey and drafts. Ends the command if not even the identity can be read."""
    from monitor.app import aws_settings
    from monitor.aws.cloud import Aws
    from monitor.cli.tally import Tally
    from monitor.core.spec import AwsSpec
    from monitor.engine.clock import SystemClock
    from monitor.engine.supervisor import Supervisor
    from monitor.plugin import ProbeError
    from monitor.starter import draft, survey

    clock, tally, supervisor = SystemClock(), Tally(), Supervisor()
    aws = Aws(aws_settings(settings), clock, tally, supervisor.spawn)
    await aws.open()
    try:
        reads = aws.reads(AwsSpec(region=region, profile=wishes.profile))
        if not reads.region:
            die("no region: give --region, or set AWS_REGION", EXIT_USAGE)
        with _progress() as told:
            found = await survey(reads, limit, told)
            told("history")
            return await draft(reads, found, wishes, known, clock.now()), tally
    except ProbeError as error:
        die(f"AWS can't be read: {error}; check the credentials (`aws sts get-caller-identity`) and --region")
    finally:
        await aws.close()
        await supervisor.shutdown(2.0)


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Says what was read last; on stderr, and only on a terminal."""
    if not sys.stderr.isatty():
        yield lambda what: None
        return
    from rich.console import Console

    with Console(stderr=True).status("reading the account ...") as status:
        yield lambda what: status.update(f"reading the account: {what} ...")


def _prove(drafts: Drafts, known: Registry) -> None:
    """Every draft is loaded like any other file before it is shown or written."""
    import tempfile

    from monitor import app
    from monitor.config import ConfigError

    with tempfile.TemporaryDirectory() as folder:
        for one in drafts.files:
            path = Path(folder, one.file)
            path.write_text(one.text, encoding="utf-8")
        if not drafts.files:
            return
        try:
            app.read_config([Path(folder)], {}, known)
        except ConfigError as error:
            die(f"a draft is not valid, and nothing was written; please report it:\n{error}", EXIT_CONFIG)


def _write(drafts: Drafts, out: str, force: bool, known: Registry) -> list[str]:
    """Write the files and the schema they name; the names of those that exist and were kept."""
    import json

    from monitor.config import json_schema
    from monitor.starter.draft import SCHEMA

    folder, kept = Path(out), []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for one in drafts.files:
            path = folder / one.file
            try:
                with path.open("w" if force else "x", encoding="utf-8") as file:
                    file.write(one.text)
            except FileExistsError:
                kept.append(one.file)
        schema = folder / SCHEMA
        if drafts.files and (force or not schema.exists()):
            schema.write_text(json.dumps(json_schema(known), indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        die(f"{folder} can't be written ({error.strerror}): give another --out")
    return kept


def _tell(drafts: Drafts, tally: Tally, stream: Any) -> None:
    """The summary; with the files on stdout it goes to stderr."""
    table = show_table if stream is sys.stdout else None
    rows = [
        (one.file, one.why, ", ".join(f"{n} {kind if n == 1 else kind.plural}" for kind, n in one.things.items()),
         len(one.checks), len(one.breakers))
        for one in drafts.files
    ]  # fmt: skip
    if table and rows:
        table(("FILE", "BECAUSE", "HOLDS", "CHECKS", "BREAKERS"), rows)
    left = sorted(drafts.found.left)
    if table and left:
        shown = [(one.what, one.name, one.why) for one in left[:_LISTED]]
        table(("LEFT OUT", "NAME", "WHY"), shown)
    if len(left) > _LISTED:
        say(f"{len(left) - _LISTED} more were left out; --output json lists all")
    for text in drafts.found.bounded:
        say(text)
    for gap in sorted(drafts.found.gaps):
        say(
            f"not read: {gap.what} (the role lacks {gap.action})" if gap.denied else f"not read: {gap.what} ({gap.why})"
        )
    total = sum(drafts.counted.values())
    held = ", ".join(f"{n} {kind if n == 1 else kind.plural}" for kind, n in drafts.counted.items())
    found = drafts.found
    say(
        f"found in {found.account}, {found.region}: {held}"
        if total
        else f"found nothing in {found.account}, {found.region}"
    )
    say(f"asked AWS {count(tally.calls, 'time')}, for about ${tally.dollars:.4f}; nothing was changed")


def _why_nothing(drafts: Drafts, wishes: Wishes) -> str:
    if wishes.tags:
        return "nothing carries these tags here; try without --tag, or another --region"
    if drafts.found.gaps:
        return "see above what could not be read; ReadOnlyAccess is enough"
    return "no queue, state machine, job or cluster here; try another --region"


def _next(out: str, kept: list[str]) -> None:
    if kept:
        say(f"kept as they are: {', '.join(kept)}; --force replaces them, --out writes elsewhere")
    say(f"next: tripswitch validate {out}, tripswitch check {out}, tripswitch run {out}")


def _document(drafts: Drafts, tally: Tally, out: str, kept: list[str]) -> dict[str, Any]:
    found = drafts.found
    files = [
        {
            "file": one.file, "pipeline": one.name, "because": one.why, "holds": dict(one.things),
            "checks": one.checks, "breakers": one.breakers, "written": out != STDOUT and one.file not in kept,
            "text": one.text,
        }
        for one in drafts.files
    ]  # fmt: skip
    return {
        "account": found.account,
        "region": found.region,
        "found": dict(drafts.counted),
        "files": files,
        "left_out": [{"what": one.what, "name": one.name, "why": one.why} for one in sorted(found.left)],
        "not_read": [{"what": gap.what, "iam_action": gap.action, "why": gap.why} for gap in sorted(found.gaps)],
        "bounded": found.bounded,
        "aws_calls": tally.calls,
        "dollars": round(tally.dollars, 6),
    }
