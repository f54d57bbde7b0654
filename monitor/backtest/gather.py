"""From checks to tapes through CloudWatch's past: ask what is needed, tell the price, download, run the probes.

Each check is done in one of three ways. A kind with a `history` hook says which metrics stand in for its direct reads.
Any other probe is run as it is, once per interval of the virtual past. A probe that asks for no metric at all looks at
the present only; running it on the past would be a lie, so its signals have no history.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from monitor.backtest.library import Library, Wish
from monitor.backtest.past import Memory, PastReads
from monitor.backtest.stage import VirtualClock
from monitor.backtest.tape import Fidelity, Source, Span, Tape
from monitor.core.durations import format_duration
from monitor.core.model import Missing, Observation, Reason
from monitor.core.spec import AwsSpec, CheckSpec
from monitor.engine.runner import Failure, Probing, attempt, settled
from monitor.plugin import Check, Past, ProbeError, Reads, Registry

#: Runs between two breaths of the event loop.
_BREATH = 200
#: CloudWatch has no finer minutes to replay; a shorter interval would judge the same number again and again.
FINEST = timedelta(seconds=60)


@dataclass(slots=True)
class Job:
    """One check on its way to a tape."""

    spec: CheckSpec
    check: Check[Any]
    reads: PastReads
    clock: VirtualClock
    pasts: Sequence[Past] = ()
    #: Why there is nothing to replay; "": there is.
    blind: str = ""
    wishes: list[Wish] = field(default_factory=list)
    #: The interval as configured, where the replay's is longer.
    coarsened: timedelta | None = None


@dataclass(slots=True)
class Survey:
    """What a replay needs, before it is paid for."""

    jobs: list[Job]
    library: Library
    series: int
    dollars: float


@dataclass(frozen=True, slots=True)
class Sight:
    """How the past is looked at. `lag`: how late CloudWatch publishes; direct reads (the hooks) have none."""

    span: Span
    lag: timedelta = timedelta(minutes=1)


async def survey(
    checks: Sequence[CheckSpec],
    registry: Registry,
    reads_of: Callable[[AwsSpec], Reads],
    sight: Sight,
    library: Library,
) -> Survey:
    """Ask every check what it would read. Reads descriptions from AWS (what is selected, limits), no metrics yet."""
    memories: dict[AwsSpec, Memory] = {}
    places: dict[AwsSpec, str] = {}
    jobs = []
    for spec in checks:
        live = reads_of(spec.aws)
        if spec.aws not in places:
            places[spec.aws] = await _place(spec.aws, live)
        clock = VirtualClock(sight.span.end - timedelta(microseconds=1))
        memory = memories.setdefault(spec.aws, Memory())
        reads = PastReads(live, places[spec.aws], memory, clock, sight.lag)
        coarse = replace(spec, interval=max(spec.interval, FINEST))
        job = Job(coarse, registry.kinds[spec.kind], reads, clock)
        job.coarsened = spec.interval if coarse.interval != spec.interval else None
        await _ask(job, live, library)
        jobs.append(job)
    series, dollars = library.cost([wish for job in jobs for wish in job.wishes])
    return Survey(jobs, library, series, dollars)


async def _place(spec: AwsSpec, live: Reads) -> str:
    """Whose metrics these are: the cache must not mix accounts."""
    try:
        return await live.account()
    except ProbeError:
        return f"{spec.role_arn or spec.profile or 'own'}"


async def _ask(job: Job, live: Reads, library: Library) -> None:
    if job.check.history is not None:
        try:
            job.pasts = tuple(await job.check.history(job.spec.params, Probing(live, library_now(library), job.clock)))
        except ProbeError as error:
            job.blind = f"{error.reason}: {error.detail}"
            return
        if job.pasts:
            job.wishes = [job.reads.wish(past.query, library) for past in job.pasts]
            return
    outcome = await attempt(job.spec, job.check, Probing(job.reads, job.clock.now(), job.clock))
    job.wishes = [job.reads.wish(query, library) for query in job.reads.asked.queries]
    if not job.wishes:
        refused = ", ".join(sorted(job.reads.asked.refused))
        why = outcome.detail if isinstance(outcome, Failure) else next((o.detail for o in outcome if o.detail), "")
        job.blind = (
            f"{refused} tells the present only" if refused else why or f"the kind {job.spec.kind} reads no metrics"
        )


def library_now(library: Library) -> datetime:
    """The real now of a library."""
    return datetime.fromtimestamp(library.now, UTC)


async def record(
    found: Survey,
    sight: Sight,
    progress: Callable[[str, float], None] = lambda what, done: None,
) -> dict[str, Tape]:
    """Download and run: a tape per check, by `PIPELINE/CHECK`. `progress` hears (what, share done)."""
    wishes = [wish for job in found.jobs for wish in job.wishes]
    await found.library.load(wishes, lambda done, of: progress("reading metrics", done / max(1, of)))
    tapes = {}
    for job in found.jobs:
        tape = _empty(job, sight)
        if job.blind:
            tape.sources.update({s: Source(Fidelity.NONE, job.blind) for s in job.spec.units})
            _unknown_throughout(tape, job.blind)
        elif job.pasts:
            _recall(tape, job, found.library)
        else:
            await _probe(tape, job, found.library, partial(progress, f"probing {job.spec.key}"))
        tape.finish()
        tape.notes.extend(_notes(job, found.library))
        tapes[job.spec.key] = tape
    return tapes


def _empty(job: Job, sight: Sight) -> Tape:
    step = job.spec.interval.total_seconds()
    begin = math.ceil(sight.span.start.timestamp() / step) * step
    count = max(0, math.ceil((sight.span.end.timestamp() - begin) / step))
    return Tape(job.spec, datetime.fromtimestamp(begin, UTC), count)


def _unknown_throughout(tape: Tape, why: str) -> None:
    """One unknown reading at the start: unknown freezes everything, so the rest need not be told."""
    targets = tape.spec.targets or ("*",)
    for signal, unit in tape.spec.units.items():
        if tape.spec.judges(signal):
            for target in targets:
                seen = Observation(signal, target, None, unit, tape.start, Reason.INVALID, why)
                tape.column((target, signal)).put(0, seen)


# --- kinds whose direct reads have metrics beside them ---------------------------------------------------------------


def _recall(tape: Tape, job: Job, library: Library) -> None:
    notes: dict[str, str] = {}
    refused: dict[str, str] = {}
    for past, wish in zip(job.pasts, job.wishes, strict=True):
        series = library.get(wish.name)
        assert series is not None, "loaded before"
        unit = tape.spec.units.get(past.signal, "")
        column = tape.column((past.target, past.signal))
        notes[past.signal] = past.note
        if series.error is not None:
            error = series.error
            refused[past.signal] = f"{error.reason}: {error.detail}"
            failed = Observation(past.signal, past.target, None, unit, tape.start, error.reason, error.detail)
            for index in range(tape.count):
                column.put(index, failed)
            continue
        absent = Observation(past.signal, past.target, None, unit, detail="no datapoint", exists=True)
        period, begin, step = past.query.period.total_seconds(), tape.start.timestamp(), tape.step
        reach = past.query.points * period
        for index in range(tape.count):
            now = begin + index * step
            until = now // period * period
            newest = series.newest(until - reach, until)
            if newest < 0:
                column.put(index, absent)
            else:
                column.values.append(past.factor * series.values[newest] + past.offset)
                column.ats.append(series.ends[newest])
    for signal in tape.spec.units:
        if signal in notes:
            source = Source(Fidelity.APPROXIMATE if notes[signal] else Fidelity.SAME, notes[signal])
            heard = _heard(tape, signal, source, seen=True)
            # Silence may mean zero; a refusal never does.
            mute = heard is not source and signal in refused
            tape.sources[signal] = Source(Fidelity.NONE, refused[signal]) if mute else heard
        else:
            tape.sources[signal] = Source(Fidelity.NONE, "no metric tells what it was")


def _heard(tape: Tape, signal: str, source: Source, *, seen: bool) -> Source:
    """What a signal without a single value amounts to: zero where that is what silence means, else nothing."""
    columns = [column for place, column in tape.columns.items() if place[1] == signal]
    if not columns or any(value == value for column in columns for value in column.values):  # noqa: PLR0124 (NaN)
        return source
    bounds = tape.spec.signals.get(signal)
    if bounds is not None and bounds.missing is Missing.ZERO and seen:
        return Source(
            Fidelity.APPROXIMATE, "no datapoint in time: read as zero throughout (is --lag longer than the window?)"
        )
    return Source(Fidelity.NONE, "no datapoint in time (does the metric exist? is --lag longer than the window?)")


# --- kinds whose probes read metrics ---------------------------------------------------------------------------------


async def _probe(tape: Tape, job: Job, library: Library, progress: Callable[[float], None]) -> None:
    job.reads.library = library
    known: dict[tuple[str, str], None] = {}
    clock = VirtualClock(tape.start)
    job.reads.keep_time(clock)
    seen_signals: set[str] = set()
    exists: set[str] = set()
    reasons: dict[str, str] = {}
    for index in range(tape.count):
        now = tape.at(index)
        clock.move_to(now)
        outcome = await attempt(job.spec, job.check, Probing(job.reads, now, clock))
        run = settled(job.spec, outcome, tuple(known), now, 0.0)
        for seen in run.observations:
            place = (seen.target, seen.signal)
            tape.column(place).put(index, seen)
            if place not in known and seen.target != "*":
                known[place] = None
            if seen.reason is None:
                seen_signals.add(seen.signal)
                exists |= {seen.signal} if seen.exists else set()
            else:
                reasons.setdefault(seen.signal, seen.detail)
        if index % _BREATH == 0:
            progress(index / max(1, tape.count))
            await asyncio.sleep(0)
    for signal in tape.spec.units:
        if signal in seen_signals:
            tape.sources[signal] = _heard(tape, signal, Source(Fidelity.SAME), seen=signal in exists)
        else:
            tape.sources[signal] = Source(Fidelity.NONE, reasons.get(signal, "never observed in this span"))


def _notes(job: Job, library: Library) -> Iterator[str]:
    if job.coarsened is not None:
        yield f"judged every {format_duration(job.spec.interval)} instead of {format_duration(job.coarsened)}"
    if job.reads.asked.today and not job.blind:
        yield f"read as it is today: {', '.join(sorted(job.reads.asked.today))}"
    if library.coarse and job.wishes:
        grains = ", ".join(f"{grain // 60} min" for grain in sorted(library.coarse))
        yield f"parts older than CloudWatch keeps minutes were read as {grains} and spread evenly"
