"""`tripswitch backtest`: history through the real configuration."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from monitor.cli import options
from monitor.cli.backtest_show import Found, tell, write
from monitor.cli.talk import EXIT_USAGE, answer, count, die, prompt, say

if TYPE_CHECKING:
    from monitor.backtest.gather import Survey
    from monitor.backtest.replay import Manner
    from monitor.backtest.samples import Sample
    from monitor.backtest.score import Label
    from monitor.backtest.sweep import Swept
    from monitor.backtest.tape import Span, Tape
    from monitor.core.spec import Pipeline
    from monitor.plugin import Registry

Since = Annotated[
    str | None,
    typer.Option(
        help="How far back: a duration (14d, 36h) or a time (2026-03-01, UTC); default: 14d, of samples all.",
        show_default=False,
    ),
]
Until = Annotated[str | None, typer.Option(help="Up to: a duration ago or a time; default: now.", show_default=False)]
Only = Annotated[
    list[str] | None,
    typer.Option("--only", help="Only these breakers: PIPELINE/BREAKER or a glob; repeatable.", metavar="BREAKER"),
]
Samples = Annotated[
    list[Path] | None,
    typer.Option(help="Replay recorded samples (*.jsonl, *.csv, or a folder of them) instead of CloudWatch."),
]
PrometheusUrl = Annotated[
    str | None,
    typer.Option("--prometheus", help="Replay tripswitch_observation from this Prometheus instead.", metavar="URL"),
]
Labels = Annotated[
    Path | None, typer.Option(help="Known incidents, a CSV of start,end[,breaker]: counts true and false trips.")
]
Expect = Annotated[
    Literal["none"] | None,
    typer.Option(help="none: nothing bad happened in this span, so that every trip is a false one."),
]
Sweep = Annotated[
    str | None,
    typer.Option(help="Also try a range of bounds and `for` on this signal.", metavar="[PIPELINE/]CHECK.SIGNAL"),
]
Report = Annotated[Path | None, typer.Option(help="Write a report: FILE.html or FILE.png.", metavar="FILE")]
Cache = Annotated[Path | None, typer.Option(help="Keep what is downloaded in this folder.", metavar="FOLDER")]
Lag = Annotated[str, typer.Option(help="How late CloudWatch publishes a point; direct reads have no lag.")]
Person = Annotated[
    str,
    typer.Option(help="How long a person takes to approve, and to reset after a breach ended; never: nobody comes."),
]
Endpoint = Annotated[str | None, typer.Option("--endpoint", help="Another address for all AWS services.")]

#: Downloads above this many dollars want a yes.
ASK_ABOVE = 1.0


@dataclass(frozen=True, slots=True)
class _Ask:
    """The command line, read."""

    paths: Sequence[Path]
    span: Span
    now: datetime
    samples: Sequence[Path]
    prometheus: str | None
    cache: Path | None
    lag: timedelta
    yes: bool
    endpoint: str | None
    #: A span was asked for: of samples, by default all are replayed.
    bounded: bool


def backtest(
    paths: options.Paths,
    since: Since = None,
    until: Until = None,
    only: Only = None,
    samples: Samples = None,
    prometheus: PrometheusUrl = None,
    labels: Labels = None,
    expect: Expect = None,
    sweep: Sweep = None,
    report: Report = None,
    output: options.Output = "table",
    cache: Cache = None,
    lag: Lag = "1m",
    person: Person = "15m",
    yes: options.Yes = False,
    endpoint: Endpoint = None,
) -> None:
    """Replay history through your configuration: when would each breaker have tripped, and for how long?

    Thresholds, conditions, playbooks, holds, trials and limits are the daemon's own, on virtual time. Nothing is
    changed anywhere: actions are planned only, and a breaker in observe mode is replayed as if it were armed. History
    does not answer to a cut, so a breach lasts as long as it did, and a trial may relapse where yours would not.

    CloudWatch keeps minutes for 15 days, 5 minutes for 63 days and hours for 455 days; older parts of a longer --since
    are read coarser. What is read and its price are told first; above $1 it wants --yes. Signals that the daemon reads
    directly are approximated by metrics or, where no metric tells what they were, unknown: the result says which.

    Exit code: 0, or 1 if trips were false (--expect none, or --labels) or incidents were missed. 2: wrong usage,
    3: an invalid configuration.

    \b
    tripswitch backtest etl.yaml
    tripswitch backtest etl.yaml --since 14d --only 'etl/*' --cache .history
    tripswitch backtest etl.yaml --labels incidents.csv --sweep execution-rate.started_per_minute
    tripswitch backtest etl.yaml --samples recorded/ --report report.html
    tripswitch backtest etl.yaml --prometheus http://prometheus:9090 --expect none --output json
    """
    from monitor.telemetry import Redactor, configure_logging

    asked, manner = _read(paths, since, until, samples, prometheus, cache, lag, person, yes, endpoint)
    if samples and prometheus:
        die("--samples and --prometheus are two histories: give one of them", EXIT_USAGE)
    if report is not None and report.suffix not in (".html", ".png"):
        die(f"{report}: a report is FILE.html or FILE.png", EXIT_USAGE)
    known = options.registry()
    pipelines = chosen(options.load(paths, known).pipelines, only or ())
    windows = _labels(labels)
    configure_logging("auto", "error", Redactor(), sys.stderr)
    found = asyncio.run(_work(asked, pipelines, known, manner, sweep, windows if labels or expect else None))
    tell(found, output)
    if report is not None:
        write(found, report)
    if found.scores is not None and any(s.false or s.missed for s in found.scores.values()):
        raise typer.Exit(1)


async def _work(
    asked: _Ask,
    pipelines: Sequence[Pipeline],
    known: Registry,
    manner: Manner,
    sweep: str | None,
    labels: Sequence[Label] | None,
) -> Found:
    from monitor.backtest.replay import replay
    from monitor.backtest.score import score

    tapes, notes = await _tapes(asked, pipelines, known)
    with _progress() as told:
        outcome = await replay(pipelines, tapes, known, manner, lambda done: told("replaying", done))
        outcome.notes = [*notes, *outcome.notes]
        scores = None
        if labels is not None:
            scores = {course.breaker: score(course, labels) for course in outcome.courses}
        swept = await _swept(sweep, pipelines, tapes, known, manner, labels, told) if sweep else None
        return Found(outcome, tapes, pipelines, labels, scores, swept)


async def _swept(
    name: str,
    pipelines: Sequence[Pipeline],
    tapes: Mapping[str, Tape],
    known: Registry,
    manner: Manner,
    labels: Sequence[Label] | None,
    told: Callable[[str, float], None],
) -> Swept:
    from monitor.backtest.sweep import SweepError, sweep

    try:
        return await sweep(name, pipelines, tapes, known, manner, labels, lambda done: told("sweeping", done))
    except SweepError as error:
        die(str(error), EXIT_USAGE)


async def _tapes(asked: _Ask, pipelines: Sequence[Pipeline], known: Registry) -> tuple[Mapping[str, Tape], list[str]]:
    from monitor.backtest.samples import SampleError, read_samples, tapes_of

    if asked.samples or asked.prometheus:
        from monitor.backtest.prometheus import fetch

        try:
            if asked.prometheus:
                step = min(check.interval for one in pipelines for check in one.checks.values())
                samples: Iterable[Sample] = await fetch(
                    asked.prometheus, pipelines, asked.span, max(step, timedelta(seconds=15))
                )
            else:
                samples = read_samples(asked.samples)
            tapes = tapes_of(samples, pipelines, asked.span if asked.bounded else None)
        except (SampleError, OSError) as error:
            die(str(error), EXIT_USAGE)
        if not tapes:
            die("there are no samples of these checks", EXIT_USAGE)
        return tapes, [f"{key}: {note}" for key, tape in tapes.items() for note in tape.notes]
    return await _from_cloudwatch(asked, pipelines, known)


async def _from_cloudwatch(
    asked: _Ask, pipelines: Sequence[Pipeline], known: Registry
) -> tuple[Mapping[str, Tape], list[str]]:
    from monitor.backtest.gather import Sight, record, survey
    from monitor.backtest.library import Library
    from monitor.backtest.tape import Fidelity
    from monitor.cli.round import reading
    from monitor.engine.clock import SystemClock

    settings = options.settings(EXIT_USAGE, endpoint=asked.endpoint)
    sight = Sight(asked.span, asked.lag)
    library = Library(asked.span, asked.now, asked.cache)
    checks = [check for pipeline in pipelines for check in pipeline.checks.values()]
    async with reading(settings, SystemClock()) as (aws, _):
        found = await survey(checks, known, aws.reads, sight, library)
        price(found, asked.span.days, yes=asked.yes)
        with _progress() as told:
            tapes = await record(found, sight, told)
    sources = [source for tape in tapes.values() for source in tape.sources.values()]
    if all(source.fidelity is Fidelity.NONE for source in sources):
        die(
            f"there is no history to replay: {'; '.join(sorted({source.note for source in sources}))}. Check the "
            "credentials (`aws sts get-caller-identity`), or give a history with --prometheus or --samples"
        )
    notes = [f"{key}: {note}" for key, tape in tapes.items() for note in tape.notes]
    if library.asked > found.series:
        notes.append(f"{library.asked} metrics were read in all")
    return tapes, notes


def price(found: Survey, days: float, *, yes: bool) -> None:
    """Say what will be read and what it costs, before it is read; above ASK_ABOVE dollars it takes a yes."""
    dollars = f"about ${found.dollars:.2f}" if found.dollars >= 0.01 else "less than $0.01"
    over = f"{days:.3g} days" if days != 1 else "1 day"
    what = f"{count(found.series, 'metric')} over {over} from CloudWatch: {dollars}"
    if found.series == 0:
        say("everything is at hand, nothing is read from CloudWatch")
        return
    say(f"reading {what}")
    if found.dollars > ASK_ABOVE and not yes:
        if not sys.stdin.isatty():
            die(
                f"that is more than ${ASK_ABOVE:.0f}: repeat with --yes, or narrow it with --only or --since",
                EXIT_USAGE,
            )
        prompt("go on?")
        answer()


def chosen(pipelines: Sequence[Pipeline], patterns: Sequence[str]) -> list[Pipeline]:
    """The breakers asked for with the checks that they need; all checks where nothing was asked for."""
    keys = [spec.key for pipeline in pipelines for spec in pipeline.breakers.values()]
    if not keys:
        die("these files have no breaker: there is nothing that could trip", EXIT_USAGE)
    for pattern in patterns:
        if not any(fnmatchcase(key, pattern) or fnmatchcase(key.split("/", 1)[1], pattern) for key in keys):
            die(f"no breaker is called {pattern}; there are: {', '.join(keys)}", EXIT_USAGE)
    return [narrow for pipeline in pipelines if (narrow := _narrowed(pipeline, patterns)).breakers]


def _narrowed(pipeline: Pipeline, patterns: Sequence[str]) -> Pipeline:
    """Only checks that a breaker listens to (or verifies): the others can't change what is asked."""
    from monitor.core.condition import checks_of

    breakers = {
        name: spec
        for name, spec in pipeline.breakers.items()
        if not patterns or any(fnmatchcase(spec.key, p) or fnmatchcase(name, p) for p in patterns)
    }
    wanted: set[str] = set()
    for spec in breakers.values():
        wanted.update(checks_of(spec.condition))
        for step in (*spec.on_trip, *(spec.recover.steps or ())):
            inner = step.params.get("verify") if step.verb == "ramp" else step.params if step.verb == "verify" else None
            if isinstance(inner, Mapping):
                wanted.add(str(inner["check"]))
    checks = {name: check for name, check in pipeline.checks.items() if name in wanted}
    return replace(pipeline, breakers=breakers, checks=checks)


def _read(
    paths: Sequence[Path], since: str | None, until: str | None, samples: Sequence[Path] | None, prometheus: str | None,
    cache: Path | None, lag: str, person: str, yes: bool, endpoint: str | None,
) -> tuple[_Ask, Manner]:  # fmt: skip
    from monitor.backtest.replay import Manner
    from monitor.backtest.tape import Span
    from monitor.core.durations import parse_duration
    from monitor.engine.clock import SystemClock

    now = SystemClock().now()
    try:
        end = when(until, now) if until else now
        span = Span(when(since or "14d", now), end)
        takes = None if person == "never" else parse_duration(person)
        late = parse_duration(lag)
    except ValueError as error:
        die(str(error), EXIT_USAGE)
    if span.start >= span.end:
        die("--since is not before --until", EXIT_USAGE)
    asked = _Ask(paths, span, now, samples or (), prometheus, cache, late, yes, endpoint, bool(since or until))
    return asked, Manner(takes)


def when(text: str, now: datetime) -> datetime:
    """A duration ago, or a time (UTC where no zone is named). Raises ValueError that says what to write."""
    from monitor.backtest.samples import moment
    from monitor.core.durations import parse_duration

    try:
        return now - parse_duration(text)
    except ValueError:
        pass
    try:
        return datetime.fromtimestamp(moment(text), UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is neither a duration (14d, 36h) nor a time (2026-03-01T12:00)") from None


def _labels(path: Path | None) -> list[Label]:
    from monitor.backtest.samples import SampleError
    from monitor.backtest.score import read_labels

    if path is None:
        return []
    try:
        return read_labels(path)
    except (SampleError, OSError) as error:
        die(str(error), EXIT_USAGE)


@contextmanager
def _progress() -> Iterator[Callable[[str, float], None]]:
    """Draws on stderr, and only on a terminal."""
    if not sys.stderr.isatty():
        yield lambda what, done: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading", total=1.0)
        yield lambda what, done: bar.update(task, completed=done, description=what)
