"""The status page's view: the surface's values sorted worst first, bounded, with the sentence on top."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from monitor.core.model import Level, Mode, Row, State
from monitor.core.view import BreakerView, CheckView, IncidentView, SilenceView, StatusView, Surface
from monitor.web.chart import Chart, draw
from monitor.web.words import plural, words

# The page stays small whatever the daemon watches; the API has the rest.
MAX_ROWS = 24  # of one check
MAX_PAGE_ROWS = 300  # of all, given out worst check first
MAX_CHECKS = 200
MAX_BREAKERS = 200
MAX_TARGETS = 12
MAX_CHANGES = 10
MAX_RESOLVED = 10
MAX_TIMELINE = 50


@dataclass(frozen=True, slots=True)
class SignalPanel:
    """A row and its chart."""

    row: Row
    chart: Chart | None


@dataclass(frozen=True, slots=True)
class CheckPanel:
    """A check with its rows, worst first; `hidden` more are in the API."""

    view: CheckView
    rows: tuple[SignalPanel, ...]
    hidden: int

    @property
    def lead(self) -> SignalPanel | None:
        """The row that stands for the check in one line."""
        return self.rows[0] if self.rows else None


@dataclass(frozen=True, slots=True)
class PipelinePanel:
    """A pipeline in one line."""

    name: str
    level: Level
    owned: bool
    checks: int
    breakers: int
    tripped: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """The page's first sentence. `level` picks icon and colour."""

    level: Level
    title: str
    detail: str


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything the page shows."""

    status: StatusView
    verdict: Verdict
    commands: bool
    pipelines: tuple[PipelinePanel, ...]
    #: Breakers that are not plainly closed, then the quiet ones.
    active: tuple[BreakerView, ...]
    quiet: tuple[BreakerView, ...]
    more_breakers: int
    checks: tuple[CheckPanel, ...]
    more_checks: int
    open_incidents: tuple[IncidentView, ...]
    resolved: tuple[IncidentView, ...]
    silences: tuple[SilenceView, ...]
    limits: Limits

    @property
    def now(self) -> datetime:
        """The engine's own time."""
        return self.status.now


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a list the templates show."""

    targets: int = MAX_TARGETS
    changes: int = MAX_CHANGES
    timeline: int = MAX_TIMELINE


_STATES = {State.TRIPPING: 0, State.OPEN: 1, State.HALF_OPEN: 2, State.CLOSED: 3}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The surface's values at one moment; nothing in it changes any more, so a thread may work on it."""

    status: StatusView
    rows: tuple[Row, ...]
    checks: tuple[CheckView, ...]
    breakers: tuple[BreakerView, ...]
    incidents: tuple[IncidentView, ...]
    silences: tuple[SilenceView, ...]


def snapshot(surface: Surface) -> Snapshot:
    """Cheap: copies references only. Belongs in the event loop, where the engine can't change things meanwhile."""
    return Snapshot(
        status=surface.status(),
        rows=tuple(surface.rows()),
        checks=tuple(surface.checks()),
        breakers=tuple(surface.breakers()),
        incidents=tuple(surface.incidents()),
        silences=tuple(surface.silences()),
    )


def overview(seen: Snapshot, commands: bool) -> Overview:
    """Sorts, cuts and draws. Pure."""
    status = seen.status
    incidents = sorted(seen.incidents, key=lambda i: i.opened_at, reverse=True)
    breakers = sorted(
        seen.breakers, key=lambda b: (_STATES[b.state], b.mode == Mode.OBSERVE, b.severity, b.pipeline, b.name)
    )
    shown = breakers[:MAX_BREAKERS]
    checks = sorted(seen.checks, key=lambda c: (-c.level.rank, c.pipeline, c.name))
    return Overview(
        status=status,
        verdict=verdict(status, checks, breakers),
        commands=commands,
        pipelines=_pipelines(status, checks, breakers),
        active=tuple(b for b in shown if _needs_attention(b)),
        quiet=tuple(b for b in shown if not _needs_attention(b)),
        more_breakers=len(breakers) - len(shown),
        checks=_panels(checks[:MAX_CHECKS], seen.rows, status.now),
        more_checks=max(0, len(checks) - MAX_CHECKS),
        open_incidents=tuple(i for i in incidents if i.resolved_at is None),
        resolved=tuple(i for i in incidents if i.resolved_at is not None)[:MAX_RESOLVED],
        silences=tuple(sorted(seen.silences, key=lambda s: s.until)),
        limits=Limits(),
    )


def verdict(status: StatusView, checks: Sequence[CheckView], breakers: Sequence[BreakerView]) -> Verdict:
    """The worst news first; quiet only when nothing is wrong and nothing is unknown."""
    acting = [b for b in breakers if b.mode != Mode.OBSERVE]
    parts = [
        f"{count:,} {words(state)}"
        for state in (State.TRIPPING, State.OPEN, State.HALF_OPEN)
        if (count := sum(b.state == state for b in acting))
    ]
    if parts:
        noun = "breaker" if parts[0].startswith("1 ") else "breakers"
        parts[0] = parts[0].replace(" ", f" {noun} ", 1)
    levels = {level: sum(c.level == level for c in checks) for level in Level}
    told = [
        f"{plural(levels[level], 'check')} {level.value}"
        for level in (Level.CRITICAL, Level.WARNING, Level.UNKNOWN)
        if levels[level]
    ]
    if not status.ready:
        return Verdict(Level.UNKNOWN, "Not ready", _sentence([*parts, *told]))
    if parts or levels[Level.CRITICAL]:
        title = parts or [told.pop(0)]
        return Verdict(Level.CRITICAL, _sentence(title), _sentence(told))
    if told:
        worst = Level.WARNING if levels[Level.WARNING] else Level.UNKNOWN
        return Verdict(worst, _sentence(told), "No breaker has tripped.")
    if not checks:
        return Verdict(Level.UNKNOWN, "Nothing is watched", "No check is configured.")
    detail = f"{plural(len(checks), 'check')} ok, {plural(len(acting), 'armed breaker')} closed."
    return Verdict(Level.OK, "All quiet", detail)


def _sentence(parts: Sequence[str]) -> str:
    text = ", ".join(parts)
    return text[:1].upper() + text[1:]


def _needs_attention(breaker: BreakerView) -> bool:
    return breaker.state != State.CLOSED or breaker.latched or breaker.orphaned or breaker.approval is not None


def _panels(checks: Sequence[CheckView], rows: Sequence[Row], now: datetime) -> tuple[CheckPanel, ...]:
    found: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        found[row.pipeline, row.check].append(row)
    left, panels = MAX_PAGE_ROWS, []
    for check in checks:
        # Stable: rows of one level stay in the engine's order, so lines don't jump between refreshes.
        own = sorted(found[check.pipeline, check.name], key=lambda r: (-r.level.rank, not r.pending))
        shown = own[: min(MAX_ROWS, max(left, 1))]
        left -= len(shown)
        drawn = tuple(SignalPanel(row, draw(row, now)) for row in shown)
        panels.append(CheckPanel(check, drawn, len(own) - len(shown)))
    return tuple(panels)


def _pipelines(
    status: StatusView, checks: Sequence[CheckView], breakers: Sequence[BreakerView]
) -> tuple[PipelinePanel, ...]:
    panels = []
    for name in status.pipelines:
        own = [c for c in checks if c.pipeline == name]
        switches = [b for b in breakers if b.pipeline == name]
        worst = max((c.level for c in own), key=lambda level: level.rank, default=Level.UNKNOWN)
        tripped = sum(b.state != State.CLOSED and b.mode != Mode.OBSERVE for b in switches)
        panels.append(PipelinePanel(name, worst, status.leases.get(name, False), len(own), len(switches), tripped))
    return tuple(panels)
