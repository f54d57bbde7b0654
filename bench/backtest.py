"""How long does a backtest of 15 days of minutes take, once CloudWatch has answered?

Three ways to a tape: a kind whose direct reads are stood in for by metrics (25 queues of four signals), a kind whose
own probe runs at every minute of the past (`metric`, one check), and recorded samples (100 signals). Each is replayed
whole; a signal breaches for half an hour each day, so that breakers trip, hold, recover and close. What CloudWatch
itself takes (25 calls of four metrics each) is not in it. The peer judges every reading, not only those that matter.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from bench.report import Figure
from checks import KINDS
from monitor.actions import ACTIONS
from monitor.backtest.gather import Sight, record, survey
from monitor.backtest.library import Library
from monitor.backtest.replay import USUAL, Manner, replay
from monitor.backtest.samples import Sample, tapes_of
from monitor.backtest.sweep import sweep
from monitor.backtest.tape import Span
from monitor.core.model import Missing, Mode, Severity
from monitor.core.spec import AwsSpec, Bound, BreakerSpec, CheckSpec, Pipeline, RecoverSpec, SignalSpec, StepSpec, Term
from monitor.plugin import MetricQuery, MetricSeries, Registry
from monitor.testing import FakeAws

DAYS, QUEUES = 15, 25
NOW = datetime(2026, 3, 16, tzinfo=UTC)
SPAN = Span(NOW - timedelta(days=DAYS) + timedelta(hours=2), NOW)
REGISTRY = Registry({kind.kind: kind for kind in KINDS}, {action.name: action for action in ACTIONS})


class Metrics(FakeAws):
    """A value a minute: calm, and half an hour of breach a day in what is called q-0 (or nothing else)."""

    async def metrics(self, queries: Sequence[MetricQuery]) -> list[MetricSeries]:
        """Made up anew for each query."""
        found = []
        for query in queries:
            chance = random.Random(str(query.dimensions))
            breaching = not query.dimensions or query.dimensions[0][1] == "q-0"
            first = NOW - query.points * query.period
            points = tuple(
                (first + (n + 1) * query.period, 50.0 if breaching and n % 1440 < 30 else chance.random() * 8)
                for n in range(query.points)
            )
            found.append(MetricSeries(query, points))
        return found


def check(kind: str, signal: str, **params: Any) -> CheckSpec:
    """One check of a kind with a critical bound of 10 for three minutes."""
    found = REGISTRY.kinds[kind]
    model = found.params.model_validate(params)
    bounds = {
        signal: SignalSpec(critical=Bound(above=10, hold=timedelta(minutes=3)), missing=Missing.UNKNOWN),
    }
    return CheckSpec(
        "etl", "load", kind, model, timedelta(minutes=1), timedelta(seconds=20), bounds,
        {one.name: one.unit for one in found.signals}, targets=found.targets(model),
    )  # fmt: skip


def pipeline(spec: CheckSpec) -> Pipeline:
    """With a breaker that disables a rule and recovers by itself."""
    cut = StepSpec("cut", "disable_rule", {"rule": "r"})
    breaker = BreakerSpec(
        "etl", "loop", Severity.SEV2, Term("load"), Mode.AUTO, (cut,), RecoverSpec("auto", timedelta(minutes=15))
    )
    return Pipeline("etl", "etl.yaml", AwsSpec(), {"load": spec}, {"loop": breaker})


async def run() -> list[Figure]:
    """CPU seconds, best of two where it is short."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    figures = await _hooks()
    figures += await _probes()
    return [*figures, *await _samples()]


async def _taped(spec: CheckSpec) -> tuple[Any, float, float]:
    """(tapes, CPU seconds to download and keep, CPU seconds to make the tape)."""
    sight = Sight(SPAN)
    library = Library(SPAN, NOW)
    found = await survey([spec], REGISTRY, lambda _: Metrics(), sight, library)
    begin = time.process_time()
    await library.load([wish for job in found.jobs for wish in job.wishes])
    loaded = time.process_time()
    tapes = await record(found, sight)
    return tapes, loaded - begin, time.process_time() - loaded


async def _replayed(made: Pipeline, tapes: Any, manner: Manner = USUAL) -> tuple[float, int]:
    begin = time.process_time()
    outcome = await replay([made], tapes, REGISTRY, manner)
    return time.process_time() - begin, sum(len(course.trips) for course in outcome.courses)


async def _hooks() -> list[Figure]:
    spec = check("queue_depth", "visible", queues=[f"q-{n}" for n in range(QUEUES)])
    tapes, loaded, taped = await _taped(spec)
    seconds, trips = await _replayed(pipeline(spec), tapes)
    every, same = await _replayed(pipeline(spec), tapes, Manner(every=True))
    assert trips == same, "what is skipped must change nothing"
    note = f"{trips} trips"
    return [
        Figure("metrics made up and kept, 100 signals x 15 d", loaded, "s CPU"),
        Figure("tapes of direct reads, 100 signals x 15 d", taped, "s CPU"),
        Figure("replay, 100 signals x 15 d", seconds, "s CPU", 5, every, "s judging every reading", note),
    ]


async def _probes() -> list[Figure]:
    metrics = {"n": {"namespace": "Own", "metric": "Load", "dimensions": {}, "stat": "Maximum"}}
    spec = check("metric", "value", metrics=metrics, window="5m")
    tapes, _, taped = await _taped(spec)
    seconds, trips = await _replayed(pipeline(spec), tapes)
    (tape,) = tapes.values()
    each = taped / tape.count * 1e6
    return [
        Figure("a metric kind's own probe, 1 check x 15 d", taped, "s CPU", note=f"{each:.0f} us per run"),
        Figure("its replay", seconds, "s CPU", note=f"{trips} trips"),
    ]


async def _samples() -> list[Figure]:
    spec = check("queue_depth", "visible", queues=[f"q-{n}" for n in range(100)])
    begin = SPAN.start.timestamp()
    count = int(SPAN.seconds // 60)
    chance = random.Random(1)
    samples = [
        Sample(begin + 60 * n, "load", "visible", f"q-{q}", 50.0 if q == 0 and n % 1440 < 30 else chance.random() * 8)
        for q in range(100)
        for n in range(count)
    ]
    started = time.process_time()
    made = pipeline(spec)
    tapes = tapes_of(samples, [made])
    taped = time.process_time() - started
    seconds, trips = await _replayed(made, tapes)
    narrow = tapes_of([sample for sample in samples if sample.target == "q-0"], [made])
    started = time.process_time()
    swept = await sweep("load.visible", [made], narrow, REGISTRY)
    each = (time.process_time() - started) / len(swept.points)
    return [
        Figure("tapes of samples, 100 signals x 15 d", taped, "s CPU"),
        Figure("replay of samples, 100 signals x 15 d", seconds, "s CPU", 5, note=f"{trips} trips"),
        Figure("one point of a sweep, 1 signal x 15 d", each, "s CPU", note=f"of {len(swept.points)}"),
    ]
