"""What the fake daemon shows and records: a Surface of plain lists."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from click.testing import Result

from monitor.core.model import Json, Level, Mode, Row, Severity, State
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
TOKEN = "right-token"

Run = Callable[..., Awaitable[Result]]


def check_view(name: str, level: Level, **rest: Any) -> CheckView:
    """A check that ran once, on one target."""
    defaults: dict[str, Any] = {
        "pipeline": "etl", "kind": "queue_depth", "interval": 60.0, "targets": 1, "counts": {level: 1},
        "last_run": NOW, "last_success": NOW, "next_run": NOW, "duration": 0.1, "runs": 1, "failures": 0,
    }  # fmt: skip
    return CheckView(name=name, level=level, **(defaults | rest))


def breaker_view(name: str = "loop", state: State = State.CLOSED, **rest: Any) -> BreakerView:
    """A breaker with a plan of two steps."""
    defaults: dict[str, Any] = {
        "pipeline": "etl", "severity": Severity.SEV1, "mode": Mode.AUTO, "disabled": False, "orphaned": False,
        "latched": False, "since": NOW, "reason": "", "targets": ("etl-workflow",), "trips_today": 0,
        "trips_per_day": 3, "phase": "", "steps": (), "hold_until": None, "trial_until": None, "recovery": "manual",
        "plan": ("disable the rule etl-s3-events", "wait 5m"), "condition": "rate critical",
    }  # fmt: skip
    return BreakerView(name=name, state=state, **(defaults | rest))


def tripped(state: State = State.OPEN, **rest: Any) -> BreakerView:
    """A breaker with one change in force."""
    change = ChangeView("events/etl-s3-events", "disable the rule", "applied", prior="ENABLED", applied="DISABLED")
    step = StepView("cut", "disable_rule", "done", "disable the rule", changes=(change,))
    return breaker_view(state=state, **({"phase": "trip", "reason": "346/min above 200", "steps": (step,)} | rest))


class FakeSurface:
    """Plain lists; commands are recorded and answered with `outcome`; `script` replaces the breaker at each look."""

    def __init__(self) -> None:
        self.outcome = Outcome(True, "accepted", {"id": "s-1"})
        self.calls: list[tuple[Any, ...]] = []
        self.script: list[BreakerView] = []
        self.view_breakers = [breaker_view()]
        self.view_checks = [check_view("depth", Level.OK), check_view("rate", Level.CRITICAL, detail="346/min")]
        self.view_status = StatusView(
            version="0.1.0", started_at=NOW - timedelta(hours=1), now=NOW, ready=True, not_ready=(),
            actions_enabled=True, actions_reason="", storm=None, pipelines=("etl",), leases={"etl": True},
            mutations_enabled=True, config_ok=True, config_error="", config_at=NOW,
        )  # fmt: skip
        self.view_incidents = [
            IncidentView("inc-1", "etl", Severity.SEV1, "loop | tripped", NOW, None, "loop", None,
                         (Entry(NOW, "tripped: \x1b[31m346/min"), Entry(NOW, "ana: told <b>them</b>", "note"))),
            IncidentView("inc-0", "etl", Severity.SEV3, "old", NOW, NOW, None, "depth", ()),
        ]  # fmt: skip
        self.document: dict[str, Json] = {}

    def change_status(self, **changes: Any) -> None:
        """Replaces fields of the status."""
        self.view_status = replace(self.view_status, **changes)

    def status(self) -> StatusView:
        return self.view_status

    def rows(self) -> list[Row]:
        return []

    def checks(self) -> list[CheckView]:
        return self.view_checks

    def breakers(self) -> list[BreakerView]:
        return [self.script.pop(0)] if self.script else self.view_breakers

    def incidents(self) -> list[IncidentView]:
        return self.view_incidents

    def silences(self) -> list[SilenceView]:
        return [SilenceView("s-1", {"check": "dlq*"}, NOW + timedelta(hours=2), "ben", "vendor", True)]

    def config(self) -> Mapping[str, Json]:
        return self.document

    def events_since(self, sequence: int) -> tuple[int, list[Mapping[str, Json]]]:
        return 0, []

    async def wait_event(self, sequence: int, seconds: float) -> None:
        return

    def _did(self, *call: Any) -> Outcome:
        self.calls.append(call)
        return self.outcome

    async def trip(self, breaker: str, by: str, reason: str) -> Outcome:
        return self._did("trip", breaker, by, reason)

    async def reset(self, breaker: str, by: str, *, force: bool = False) -> Outcome:
        return self._did("reset", breaker, by, force)

    async def approve(self, breaker: str, by: str, plan: str | None = None) -> Outcome:
        return self._did("approve", breaker, by, plan)

    async def disable(self, breaker: str, by: str, reason: str) -> Outcome:
        return self._did("disable", breaker, by, reason)

    async def enable(self, breaker: str, by: str) -> Outcome:
        return self._did("enable", breaker, by)

    async def add_silence(
        self, matchers: Mapping[str, str], seconds: float, by: str, comment: str, *, hold_actions: bool = False
    ) -> Outcome:
        return self._did("add_silence", dict(matchers), seconds, by, comment, hold_actions)

    async def remove_silence(self, silence: str, by: str) -> Outcome:
        return self._did("remove_silence", silence, by)

    async def note(self, incident: str, by: str, text: str) -> Outcome:
        return self._did("note", incident, by, text)

    async def acknowledge(self, incident: str, by: str) -> Outcome:
        return self._did("acknowledge", incident, by)

    async def set_actions(self, enabled: bool, by: str, reason: str) -> Outcome:
        return self._did("set_actions", enabled, by, reason)

    async def lift_storm(self, by: str) -> Outcome:
        return self._did("lift_storm", by)

    async def reload(self, by: str) -> Outcome:
        return self._did("reload", by)
