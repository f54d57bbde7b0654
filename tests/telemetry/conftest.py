"""A surface whose answers a test sets, and the tools to read what was rendered."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from monitor.core.model import Level, Mode, Row, Severity, State
from monitor.core.view import BreakerView, CheckView, IncidentView, StatusView
from monitor.telemetry import Instruments, SurfaceCollector

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"


class FakeSurface:
    """The reading half of `view.Surface`, as lists."""

    def __init__(self) -> None:
        self.row_list: list[Row] = []
        self.check_list: list[CheckView] = []
        self.breaker_list: list[BreakerView] = []
        self.incident_list: list[IncidentView] = []
        self.state = StatusView(
            "1.0", NOW, NOW, True, (), True, "", None, ("etl",), {"etl": True}, False, True, "", NOW
        )  # fmt: skip

    def status(self) -> StatusView:
        return self.state

    def rows(self) -> list[Row]:
        return self.row_list

    def checks(self) -> list[CheckView]:
        return self.check_list

    def breakers(self) -> list[BreakerView]:
        return self.breaker_list

    def incidents(self) -> list[IncidentView]:
        return self.incident_list


def row(target: str = "orders", value: float | None = 5.0, level: Level = Level.OK, **more: Any) -> Row:
    """A row of check `depth`."""
    usual = Row("etl", "depth", "queue_depth", target, "visible", "", level, value, NOW, NOW)
    return replace(usual, **more)


def check(counts: dict[Level, int], last_success: datetime | None = NOW) -> CheckView:
    """Check `depth` with targets at these levels."""
    return CheckView(
        "etl", "depth", "queue_depth", 60.0, Level.OK, sum(counts.values()), counts, NOW, last_success, NOW, 0.1, 1, 0
    )  # fmt: skip


def breaker(state: State, mode: Mode = Mode.AUTO, **more: Any) -> BreakerView:
    """Breaker `loop`."""
    usual = BreakerView(
        "etl", "loop", Severity.SEV1, mode, state,
        False, False, False, NOW, "", (), 0, 3, "", (), None, None, "manual", ()
    )  # fmt: skip
    return replace(usual, **more)


def incident(severity: Severity, resolved_at: datetime | None = None) -> IncidentView:
    """An incident."""
    return IncidentView("inc", "etl", severity, "t", NOW, resolved_at, None, None, ())


def samples(body: bytes, *, openmetrics: bool = False) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample by name and labels, as Prometheus' own parser reads them; fails on a duplicate."""
    found: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    families: Any = (parse_openmetrics if openmetrics else parse_text)(body.decode())
    for family in families:
        for sample in family.samples:
            name = (sample.name, frozenset(sample.labels.items()))
            assert name not in found, name
            found[name] = sample.value
    return found


def pick(found: dict[tuple[str, frozenset[tuple[str, str]]], float], name: str, **labels: str) -> dict[Any, float]:
    """Of a metric with at least these labels: the other labels' values (one: itself; none: True) and the sample."""
    out: dict[Any, float] = {}
    for (of, pairs), value in found.items():
        if of == name and labels.items() <= pairs:
            rest = tuple(other for key, other in sorted(pairs) if key not in labels)
            out[rest[0] if len(rest) == 1 else rest or True] = value
    return out


@pytest.fixture
def surface() -> FakeSurface:
    return FakeSurface()


@pytest.fixture
def instruments() -> Instruments:
    return Instruments("1.0", lambda: NOW)


@pytest.fixture
def collector(surface: Any, instruments: Instruments) -> SurfaceCollector:
    return SurfaceCollector(surface, instruments)


@pytest.fixture
def make() -> Any:
    """The builders above, for test modules (which can't import a conftest by name)."""

    class Makers:
        now = NOW
        openmetrics = OPENMETRICS
        row = staticmethod(row)
        check = staticmethod(check)
        breaker = staticmethod(breaker)
        incident = staticmethod(incident)
        samples = staticmethod(samples)
        pick = staticmethod(pick)

    return Makers
