"""A daemon to look at: rich sample data behind a fake Surface."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from monitor.core.model import Json, Level, Mode, Reason, Row, Severity, State
from monitor.core.view import (
    BreakerView,
    ChangeView,
    CheckView,
    Entry,
    IncidentView,
    Outcome,
    SilenceView,
    StatusView,
    StepView,
)

NOW = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)
TOKEN = "s3cret-token"
MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:etl-workflow"


def ago(**span: float) -> datetime:
    """A moment before NOW."""
    return NOW - timedelta(**span)


def series(shape: Callable[[float], float], count: int = 40, step: float = 10) -> tuple[tuple[datetime, float], ...]:
    """`count` points, newest last, `step` seconds apart; `shape` gets 0..1."""
    return tuple((ago(seconds=step * (count - 1 - i)), shape(i / (count - 1))) for i in range(count))


def row(
    check: str, kind: str, target: str, signal: str, unit: str, level: Level, value: float | None, **rest: Any
) -> Row:
    """A row with the usual times filled in."""
    rest.setdefault("at", None if value is None else ago(seconds=4))
    rest.setdefault("since", ago(minutes=37))
    rest.setdefault("pipeline", "etl")
    return Row(check=check, kind=kind, target=target, signal=signal, unit=unit, level=level, value=value, **rest)


def check(name: str, kind: str, level: Level, targets: int = 1, **rest: Any) -> CheckView:
    """A check that ran a moment ago."""
    defaults: dict[str, Any] = {
        "pipeline": "etl",
        "interval": 10.0,
        "counts": {level: targets},
        "last_run": ago(seconds=4),
        "last_success": ago(seconds=4),
        "next_run": NOW + timedelta(seconds=6),
        "duration": 0.182,
        "runs": 2214,
        "failures": 0,
    }
    return CheckView(name=name, kind=kind, level=level, targets=targets, **(defaults | rest))


def breaker(name: str, state: State = State.CLOSED, **rest: Any) -> BreakerView:
    """A breaker, closed and quiet unless told otherwise."""
    defaults: dict[str, Any] = {
        "pipeline": "etl",
        "severity": Severity.SEV2,
        "mode": Mode.AUTO,
        "disabled": False,
        "orphaned": False,
        "latched": False,
        "since": ago(days=6),
        "reason": "",
        "targets": (),
        "trips_today": 0,
        "trips_per_day": 3,
        "phase": "",
        "steps": (),
        "hold_until": None,
        "trial_until": None,
        "recovery": "manual",
        "plan": (),
    }
    return BreakerView(name=name, state=state, **(defaults | rest))


def wave(base: float, swing: float) -> Callable[[float], float]:
    """A calm gauge."""
    return lambda x: round(base + swing * math.sin(x * 17) + swing * 0.4 * math.sin(x * 41), 1)


def sample_rows() -> list[Row]:
    """Every level, a growing signal, a gap, a failed read, no data at all."""
    surge = series(lambda x: round(38 + 6 * math.sin(x * 20) + (0 if x < 0.45 else (x - 0.45) * 560), 0))
    gap = series(wave(3.1, 0.6))
    return [
        row("execution-rate", "execution_rate", "etl-workflow", "started_per_minute", "1/min", Level.CRITICAL, 346.0,
            since=ago(minutes=3, seconds=10), warning_bound=100, critical_bound=200, recent=surge),
        row("execution-rate", "execution_rate", "etl-workflow", "running", "count", Level.OK, 1841.0,
            recent=series(lambda x: round(40 + 1800 * x * x))),
        row("ingest-throttles", "throttles", "ingest-handler", "throttled", "count", Level.OK, 0.0,
            critical_bound=0, recent=series(lambda x: 0.0)),
        row("dlq", "queue_depth", "orders-dlq", "visible", "messages", Level.WARNING, 14.0, since=ago(minutes=12),
            pending=True, warning_bound=10, critical_bound=100, recent=series(lambda x: float(int(1 + 13 * x)))),
        row("dlq", "queue_depth", "orders-dlq", "oldest_age", "s", Level.OK, 4380.0, warning_bound=14_400,
            critical_bound=86_400, recent=series(lambda x: 3990 + 390 * x)),
        row("dlq", "queue_depth", "refunds-dlq", "visible", "messages", Level.OK, 0.0, warning_bound=10,
            critical_bound=100, recent=series(lambda x: 0.0)),
        row("read-latency", "latency", "orders-api", "p99", "s", Level.UNKNOWN, None, since=ago(minutes=7),
            reason=Reason.DENIED, detail="cloudwatch:GetMetricData is not allowed for role tripswitch-reader",
            warning_bound=1, critical_bound=2, recent=gap[:12] + gap[24:32]),
        row("disk", "free_space", "warehouse-1", "free", "%", Level.OK, 61.4, pipeline="warehouse", warning_bound=20,
            critical_bound=10, recent=series(wave(62, 2.5))),
        row("loads", "glue_runs", "<script>alert(1)</script>", "failed", "count", Level.OK, None,
            pipeline="warehouse", detail="no runs yet"),
    ]  # fmt: skip


def sample_checks() -> list[CheckView]:
    """One per level and one that never ran."""
    wiki = "https://wiki.example.com/etl#s3-event-loop"
    return [
        check("execution-rate", "execution_rate", Level.CRITICAL, runbook=wiki),
        check("ingest-throttles", "throttles", Level.OK),
        check("dlq", "queue_depth", Level.WARNING, 2, counts={Level.WARNING: 1, Level.OK: 1}, interval=60.0),
        check("read-latency", "latency", Level.UNKNOWN, failures=42, reason=Reason.DENIED, last_success=ago(minutes=7),
              detail="cloudwatch:GetMetricData is not allowed for role tripswitch-reader", interval=60.0),
        check("disk", "free_space", Level.OK, pipeline="warehouse", interval=300.0),
        check("loads", "glue_runs", Level.OK, pipeline="warehouse", interval=300.0, last_run=None, last_success=None,
              duration=None, runs=0, runbook="javascript:alert(1)"),
    ]  # fmt: skip


def _tripping() -> BreakerView:
    stop = ChangeView(
        resource=MACHINE, summary="stop 1,841 running executions", phase="intended", prior=None, done=1212,
        remaining=629, eta=25.0, detail="25 per second, the regional quota's half",
    )  # fmt: skip
    rule = ChangeView(
        resource="etl-s3-events", summary="disable rule etl-s3-events", phase="applied", prior="ENABLED",
        applied="DISABLED",
    )  # fmt: skip
    return breaker(
        "s3-event-loop", State.TRIPPING, severity=Severity.SEV1, since=ago(minutes=1, seconds=10), trips_today=1,
        reason="execution-rate.started_per_minute is critical on etl-workflow: 346 1/min, above 200 for 2m",
        targets=("etl-workflow",), phase="trip", incident="inc-7f3a", recovery="auto",
        condition="any of execution-rate.started_per_minute at critical", runbook="https://wiki.example.com/etl",
        steps=(
            StepView("disable-rule", "disable_rule", "done", "disable rule etl-s3-events on bus default", attempts=1,
                     changes=(rule,)),
            StepView("wait", "wait", "done", "let executions in flight settle for 30s"),
            StepView("stop", "stop_executions", "running", "stop running executions of etl-workflow",
                     detail="1,212 stopped, 629 left, about 25 s", attempts=3, changes=(stop,)),
            StepView("cap", "set_concurrency", "held", "cap ingest-handler at 5 concurrent executions",
                     gate="approval", detail="waits for a person: the change lowers a limit on production"),
            StepView("tell", "notify", "pending", "tell #data-oncall"),
        ),
        plan=("disable rule etl-s3-events", "wait 30s", "stop running executions of etl-workflow (1,841)"),
        approval="9c1e44d0",
    )  # fmt: skip


def sample_breakers() -> list[BreakerView]:
    """Every state, an observing one, a disabled one and a latched one."""
    return [
        _tripping(),
        breaker(
            "dlq-flood", mode=Mode.OBSERVE, severity=Severity.SEV3, condition="dlq.visible at critical",
            plan=("disable event source mapping of orders-consumer", "cap orders-consumer at 2 concurrent executions"),
        ),
        breaker("ingest-throttle", condition="ingest-throttles at critical", plan=("cap ingest-handler at 20",)),
        breaker(
            "cold-start", State.OPEN, pipeline="warehouse", latched=True, trips_today=3, since=ago(hours=2, minutes=5),
            targets=tuple(f"loader-{n:02}" for n in range(1, 31)), reason="loads.failed is critical on 30 targets",
            phase="trip", incident="inc-41b0", hold_until=NOW + timedelta(minutes=11, seconds=7),
            steps=(StepView("pause", "pause_schedule", "done", "pause schedule warehouse-loads", attempts=2),),
            condition="loads.failed at critical", recovery="auto",
        ),
        breaker(
            "slow-reads", State.HALF_OPEN, pipeline="warehouse", trips_today=1, since=ago(minutes=4), phase="recover",
            reason="recovered by hand", trial_until=NOW + timedelta(minutes=3, seconds=20), recovery="auto",
            steps=(
                StepView("verify", "verify", "waiting", "disk is ok for 5m", until=NOW + timedelta(minutes=1)),
                StepView("undo", "undo", "failed", "undo set_capacity", detail="table is being updated", attempts=4,
                         changes=(ChangeView("reads-table", "restore 100 read units", "drift", prior=100, applied=25,
                                             detail="someone set 400 meanwhile; left alone"),)),
            ),
        ),
        breaker("old-rule", State.OPEN, orphaned=True, disabled=True, since=ago(days=1), pipeline="warehouse",
                reason="tripped by ana: provider outage"),
    ]  # fmt: skip


def sample_incidents() -> list[IncidentView]:
    """One running, one lasting, one resolved."""
    return [
        IncidentView("inc-7f3a", "etl", Severity.SEV1, "S3 event loop: executions start far too fast",
                     ago(minutes=3, seconds=10), None, "s3-event-loop", "execution-rate",
                     (Entry(ago(minutes=3, seconds=10), "execution-rate became critical on etl-workflow (214 1/min)"),
                      Entry(ago(minutes=1, seconds=10), "breaker s3-event-loop tripped"),
                      Entry(ago(minutes=1, seconds=8), "disabled rule etl-s3-events (was ENABLED)"),
                      Entry(ago(seconds=38), "stopping 1,841 running executions of etl-workflow"),
                      Entry(ago(seconds=20), "ana: <b>bucket owner informed</b>", "note"))),
        IncidentView("inc-41b0", "warehouse", Severity.SEV2, "Loads fail on 30 targets", ago(hours=2, minutes=5), None,
                     "cold-start", None, (Entry(ago(hours=2, minutes=5), "breaker cold-start tripped"),)),
        IncidentView("inc-2c99", "etl", Severity.SEV3, "orders-dlq filled", ago(days=2), ago(days=2, minutes=-52),
                     None, "dlq", (Entry(ago(days=2), "dlq became critical on orders-dlq"),
                                   Entry(ago(days=2, minutes=-52), "resolved"))),
    ]  # fmt: skip


def sample_status() -> StatusView:
    """Ready, with trouble at hand."""
    return StatusView(
        version="0.1.0", started_at=ago(days=6, hours=4), now=NOW, ready=True, not_ready=(), actions_enabled=True,
        actions_reason="", storm=None, pipelines=("etl", "warehouse"), leases={"etl": True, "warehouse": False},
        mutations_enabled=True, config_ok=True, config_error="", config_at=ago(hours=5),
        levels={Level.OK: 6, Level.WARNING: 1, Level.CRITICAL: 1, Level.UNKNOWN: 1},
    )  # fmt: skip


class FakeSurface:
    """A Surface of plain lists. Commands are recorded in `calls` and answered with `outcome`."""

    def __init__(self) -> None:
        self.view_status = sample_status()
        self.view_rows = sample_rows()
        self.view_checks = sample_checks()
        self.view_breakers = sample_breakers()
        self.view_incidents = sample_incidents()
        self.view_silences = [
            SilenceView("sil-1", {"pipeline": "warehouse", "check": "loads*"}, NOW + timedelta(hours=1, minutes=33),
                        "ben", "vendor maintenance", True)
        ]  # fmt: skip
        self.outcome = Outcome(True, "accepted", {"id": "x-1"})
        self.calls: list[tuple[Any, ...]] = []
        self.feed: list[Mapping[str, Json]] = []
        self.changed = asyncio.Event()
        self.hang: asyncio.Event | None = None

    def change_status(self, **changes: Any) -> None:
        """Replaces fields of the status."""
        self.view_status = replace(self.view_status, **changes)

    def emit(self, event: Mapping[str, Json]) -> None:
        """Appends to the feed and wakes the waiting."""
        self.feed.append(event)
        self.changed.set()
        self.changed = asyncio.Event()

    def status(self) -> StatusView:
        return self.view_status

    def rows(self) -> list[Row]:
        return self.view_rows

    def checks(self) -> list[CheckView]:
        return self.view_checks

    def breakers(self) -> list[BreakerView]:
        return self.view_breakers

    def incidents(self) -> list[IncidentView]:
        return self.view_incidents

    def silences(self) -> list[SilenceView]:
        return self.view_silences

    def config(self) -> Mapping[str, Json]:
        return {"etl": {"pipeline": "etl", "notify": [{"url": "env:SLACK_URL"}]}}

    def events_since(self, sequence: int) -> tuple[int, list[Mapping[str, Json]]]:
        return len(self.feed), self.feed[sequence:]

    async def wait_event(self, sequence: int, seconds: float) -> None:
        if len(self.feed) > sequence:
            return
        try:
            async with asyncio.timeout(seconds):
                await self.changed.wait()
        except TimeoutError:
            return

    async def _did(self, *call: Any) -> Outcome:
        self.calls.append(call)
        if self.hang is not None:
            await self.hang.wait()
        return self.outcome

    async def trip(self, breaker: str, by: str, reason: str) -> Outcome:
        return await self._did("trip", breaker, by, reason)

    async def reset(self, breaker: str, by: str, *, force: bool = False) -> Outcome:
        return await self._did("reset", breaker, by, force)

    async def approve(self, breaker: str, by: str, plan: str | None = None) -> Outcome:
        return await self._did("approve", breaker, by, plan)

    async def disable(self, breaker: str, by: str, reason: str) -> Outcome:
        return await self._did("disable", breaker, by, reason)

    async def enable(self, breaker: str, by: str) -> Outcome:
        return await self._did("enable", breaker, by)

    async def add_silence(
        self, matchers: Mapping[str, str], seconds: float, by: str, comment: str, *, hold_actions: bool = False
    ) -> Outcome:
        return await self._did("add_silence", matchers, seconds, by, comment, hold_actions)

    async def remove_silence(self, silence: str, by: str) -> Outcome:
        return await self._did("remove_silence", silence, by)

    async def note(self, incident: str, by: str, text: str) -> Outcome:
        return await self._did("note", incident, by, text)

    async def acknowledge(self, incident: str, by: str) -> Outcome:
        return await self._did("acknowledge", incident, by)

    async def set_actions(self, enabled: bool, by: str, reason: str) -> Outcome:
        return await self._did("set_actions", enabled, by, reason)

    async def lift_storm(self, by: str) -> Outcome:
        return await self._did("lift_storm", by)

    async def reload(self, by: str) -> Outcome:
        return await self._did("reload", by)


async def sample_metrics(accept: str) -> tuple[bytes, str]:
    """An exposition that shows which format was asked for."""
    if "openmetrics" in accept:
        return b"tripswitch_up 1\n# EOF\n", "application/openmetrics-text; version=1.0.0; charset=utf-8"
    return b"tripswitch_up 1\n" * 40, "text/plain; version=0.0.4; charset=utf-8"
