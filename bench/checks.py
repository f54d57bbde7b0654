"""What does the framework itself cost per run of a check, without AWS?

The real engine (scheduler, runner, board, threshold, meter, ownership, timers) runs 10,000 checks every 10 s whose
probe returns one canned observation. Beside it the floor: a bare asyncio task per check that sleeps, calls the same
probe and sets two gauges and a counter. CPU per run is the process' own over windows of one interval; the median
counts. Two layouts: many pipelines (runs spread over the interval), and all checks in one (they share a phase).
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from statistics import median
from typing import Any

import prometheus_client as prometheus

from bench.kinds import KINDS, Canned, canned
from bench.process import call
from bench.report import Figure, quantile
from monitor.core.model import Mode, Reason, Severity
from monitor.core.spec import AwsSpec, Bound, BreakerSpec, CheckSpec, Clear, Pipeline, SignalSpec, Term
from monitor.engine.clock import SystemClock
from monitor.engine.engine import Engine, EngineSettings, Outside
from monitor.engine.runner import Probing
from monitor.engine.supervisor import Supervisor
from monitor.plugin import Registry
from monitor.store.memory import MemoryStore
from monitor.telemetry import Instruments, Redactor, configure_logging

CHECKS, INTERVAL, WINDOWS = 10_000, 10.0, 3


async def run() -> list[Figure]:
    """Figures of P9, and what the loop felt."""
    # Side by side: together they need a third of a core, and all see the same machine.
    floor, many, guarded, one = await asyncio.gather(
        call("bench.checks:floor", checks=CHECKS),
        call("bench.checks:ours", checks=CHECKS, pipelines=100, breakers=0),
        call("bench.checks:ours", checks=CHECKS, pipelines=100, breakers=1),
        call("bench.checks:ours", checks=CHECKS, pipelines=1, breakers=0),
    )
    beside = "bare task per check"
    return [
        Figure("CPU per check-run (P9)", many["us"], "us", 80, floor["us"], beside, "100 pipelines x 100 checks"),
        Figure("checks per second and core", 1e6 / many["us"], "/s", None, 1e6 / floor["us"], beside),
        Figure("CPU per check-run, a breaker per pipeline", guarded["us"], "us", 80, floor["us"], beside),
        Figure("CPU per check-run, one pipeline", one["us"], "us", 80, floor["us"], beside, "all share a phase"),
        *_timing("100 pipelines", many),
        *_timing("one pipeline", one),
    ]


def _timing(name: str, told: Mapping[str, Any]) -> list[Figure]:
    return [
        Figure(f"start lateness p99, {name}", told["late_p99"], "ms", 250, note=f"p50 {told['late_p50']:.3g}"),
        Figure(f"loop lag p99, {name}", told["lag_p99"], "ms", 20),
        Figure(f"loop lag max, {name}", told["lag_max"], "ms", 100),
    ]


class _Late(Instruments):
    """The real instruments, which also keep how late runs began."""

    def __init__(self) -> None:
        super().__init__("bench")
        self.late: list[float] = []

    def run_finished(
        self, pipeline: str, check: str, kind: str, seconds: float, lateness: float, reason: Reason | None, at: datetime
    ) -> None:
        super().run_finished(pipeline, check, kind, seconds, lateness, reason, at)
        self.late.append(lateness * 1000)


class _NoCloud:
    """AWS that nobody asks."""

    def reads(self, spec: AwsSpec) -> Any:
        return None

    def writes(self, spec: AwsSpec, guard: Any) -> Any:
        return None

    async def identity(self, spec: AwsSpec) -> tuple[str, str]:
        return "123456789012", "us-east-1"


async def ours(checks: int, pipelines: int, breakers: int) -> dict[str, float]:
    """The engine under the load, in this process."""
    configure_logging("json", "warning", Redactor())
    clock, meter, supervisor = SystemClock(), _Late(), Supervisor()

    async def notify(urls: object, title: str, body: str, severity: str) -> list[str]:
        return []

    outside = Outside(
        clock=clock, store=MemoryStore(clock), meter=meter, registry=Registry(KINDS, {}), cloud=_NoCloud(),
        notify=notify, post=lambda *_: None, broken_places=dict, read_parameter=lambda *_: None,  # type: ignore[arg-type]
    )  # fmt: skip
    await outside.store.open()
    engine = Engine(outside, supervisor, EngineSettings("bench", "bench"))
    known = [_pipeline(f"p{number}", checks // pipelines, breakers) for number in range(pipelines)]
    meter.declare(known)
    await engine.start(known)
    await asyncio.sleep(2 * INTERVAL)
    lags: list[float] = []
    watching = asyncio.ensure_future(_watch(lags))
    costs = []
    meter.late.clear()
    gc.collect()
    for _ in range(WINDOWS):
        runs, cpu = _runs(engine), time.process_time()
        await asyncio.sleep(INTERVAL)
        costs.append((time.process_time() - cpu) / (_runs(engine) - runs) * 1e6)
    watching.cancel()
    late = list(meter.late)
    await engine.stop()
    await supervisor.shutdown(1.0)
    return {
        "us": median(costs),
        "late_p50": quantile(late, 0.5),
        "late_p99": quantile(late, 0.99),
        "lag_p99": quantile(lags, 0.99),
        "lag_max": max(lags),
    }


async def floor(checks: int) -> dict[str, float]:
    """A task per check, no framework."""
    registry = prometheus.CollectorRegistry()
    prometheus.disable_created_metrics()  # type: ignore[no-untyped-call]
    value = prometheus.Gauge("value", "x", ["check"], registry=registry)
    took = prometheus.Gauge("took", "x", ["check"], registry=registry)
    runs = prometheus.Counter("runs", "x", ["check"], registry=registry)
    clock = SystemClock()
    total = 0

    async def forever(number: int) -> None:
        nonlocal total
        name, params = f"check-{number}", Canned(prefix="target", targets=1, signals=1)
        mine, mine_took, mine_runs = value.labels(name), took.labels(name), runs.labels(name)
        due = clock.tick() + number / checks * INTERVAL
        while True:
            await asyncio.sleep(max(0.0, due - clock.tick()))
            began = clock.tick()
            seen = await canned(params, Probing(None, clock.now(), clock))  # type: ignore[arg-type]
            mine.set(seen[0].value or 0.0)
            mine_took.set(clock.tick() - began)
            mine_runs.inc()
            total += 1
            due += INTERVAL

    tasks = [asyncio.ensure_future(forever(number)) for number in range(checks)]
    await asyncio.sleep(2 * INTERVAL)
    gc.collect()
    costs = []
    for _ in range(WINDOWS):
        before, cpu = total, time.process_time()
        await asyncio.sleep(INTERVAL)
        costs.append((time.process_time() - cpu) / (total - before) * 1e6)
    for task in tasks:
        task.cancel()
    return {"us": median(costs)}


async def _watch(lags: list[float]) -> None:
    while True:
        began = time.monotonic()
        await asyncio.sleep(0.01)
        lags.append((time.monotonic() - began - 0.01) * 1000)


def _runs(engine: Engine) -> int:
    return sum(slot.runs for slot in engine.scheduler.slots.values())


def _pipeline(name: str, checks: int, breakers: int) -> Pipeline:
    bounds = SignalSpec(
        warning=Bound(above=50),
        critical=Bound(above=100, hold=timedelta(minutes=2), clear=Clear(below=50, hold=timedelta(minutes=5))),
    )
    specs = {
        f"c{number}": CheckSpec(
            pipeline=name, name=f"c{number}", kind="canned", params=Canned(prefix="target", targets=1, signals=1),
            interval=timedelta(seconds=INTERVAL), timeout=timedelta(seconds=5), signals={"s1": bounds},
            units={"s1": "things"},
        )
        for number in range(checks)
    }  # fmt: skip
    wired = {
        f"b{number}": BreakerSpec(
            pipeline=name, name=f"b{number}", severity=Severity.SEV3, condition=Term("c0"), mode=Mode.OBSERVE
        )
        for number in range(breakers)
    }
    return Pipeline(name, f"{name}.yaml", AwsSpec(), specs, wired)
