"""The status page's view: the surface's values sorted worst first, bounded, with the sentence on top."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice

from monitor.core.model import Level, Row, State
from monitor.core.view import BreakerView, CheckView, IncidentView, SilenceView, StatusView, Surface
from monitor.web.attention import Holding, PipelinePanel, Todo, holdings, pipeline_panels, todos
from monitor.web.chart import Chart, draw
from monitor.web.words import plural, words

#: Rows made between two turns of the event loop: two milliseconds.
_TURN = 500

# The page stays small whatever the daemon watches; the API has the rest.
MAX_ROWS = 24  # of one check
MAX_ROWS_OK = 4  # of a check that is ok, on the page of all pipelines
MAX_PAGE_ROWS = 120  # of all, given out worst check first
MAX_CHECKS = 100
MAX_BREAKERS = 100
MAX_TARGETS = 12
MAX_CHANGES = 10
MAX_RESOLVED = 10
MAX_TIMELINE = 50
MAX_LINES = 8  # of a timeline beside everything else
MAX_TODOS = 12
MAX_HELD = 40
MAX_OPEN = 30
MAX_SWITCHES = 24
MAX_SILENCES = 50


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
class Scope:
    """What a page is about: all, one pipeline, or one incident (and then its pipeline too)."""

    pipeline: str = ""
    incident: str = ""

    @property
    def root(self) -> str:
        """The way up to the page of all, for relative addresses: a proxy may serve the daemon below a path."""
        return "../" if self.pipeline or self.incident else ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The page's first sentence. `level` picks icon and colour."""

    level: Level
    title: str
    detail: str


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything the page shows."""

    scope: Scope
    status: StatusView
    verdict: Verdict
    commands: bool
    todos: tuple[Todo, ...]
    more_todos: int
    pipelines: tuple[PipelinePanel, ...]
    held: tuple[Holding, ...]
    more_held: int
    #: Breakers that are not plainly closed, then the quiet ones.
    active: tuple[BreakerView, ...]
    quiet: tuple[BreakerView, ...]
    more_breakers: int
    checks: tuple[CheckPanel, ...]
    more_checks: int
    open_incidents: tuple[IncidentView, ...]
    more_incidents: int
    #: The one that the page is about.
    incident: IncidentView | None
    resolved: tuple[IncidentView, ...]
    silences: tuple[SilenceView, ...]
    limits: Limits

    @property
    def now(self) -> datetime:
        """The engine's own time."""
        return self.status.now

    @property
    def root(self) -> str:
        """Where the page of all is, seen from this one."""
        return self.scope.root

    @property
    def calm_pipelines(self) -> tuple[PipelinePanel, ...]:
        """Those that a word each is enough for, where there are several."""
        if len(self.pipelines) < 4:
            return ()
        return tuple(p for p in self.pipelines if p.level is Level.OK and not p.tripped and not p.waits)

    @property
    def acting(self) -> tuple[BreakerView, ...]:
        """Of the active ones, those that act or wait to."""
        return tuple(b for b in self.active if not b.observes)

    @property
    def observing(self) -> tuple[BreakerView, ...]:
        """Of the active ones, those that would have acted."""
        return tuple(b for b in self.active if b.observes)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a list the templates show."""

    targets: int = MAX_TARGETS
    changes: int = MAX_CHANGES
    timeline: int = MAX_TIMELINE
    lines: int = MAX_LINES
    switches: int = MAX_SWITCHES


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


async def snapshot(surface: Surface) -> Snapshot:
    """Copies references. Belongs in the event loop, where the engine can't change things meanwhile; the rows, which are
    made when they are asked for, come a piece at a time (each is whole, whatever is recorded in between)."""
    rows: list[Row] = []
    coming = iter(surface.rows())
    while piece := list(islice(coming, _TURN)):
        rows += piece
        await asyncio.sleep(0)
    return Snapshot(
        status=surface.status(),
        rows=tuple(rows),
        checks=tuple(surface.checks()),
        breakers=tuple(surface.breakers()),
        incidents=tuple(surface.incidents()),
        silences=tuple(surface.silences()),
    )


def within(seen: Snapshot, scope: Scope) -> Snapshot | None:
    """Only what belongs to `scope`; None if there is no such pipeline or incident."""
    name = scope.pipeline
    if scope.incident:
        found = next((i for i in seen.incidents if i.id == scope.incident), None)
        if found is None:
            return None
        mine = found.breaker
        return replace(
            seen,
            breakers=tuple(
                b for b in seen.breakers if b.pipeline == found.pipeline and (b.name == mine or b.incident == found.id)
            ),
            checks=tuple(c for c in seen.checks if c.pipeline == found.pipeline and _concerns(c, found, seen.breakers)),
            incidents=(found,), silences=(),
        )  # fmt: skip
    if not name:
        return seen
    orphans = any(b.pipeline == name for b in seen.breakers)
    if name not in seen.status.pipelines and not orphans:
        return None
    return replace(
        seen,
        rows=tuple(row for row in seen.rows if row.pipeline == name),
        checks=tuple(c for c in seen.checks if c.pipeline == name),
        breakers=tuple(b for b in seen.breakers if b.pipeline == name),
        incidents=tuple(i for i in seen.incidents if i.pipeline == name),
        silences=tuple(s for s in seen.silences if s.matchers.get("pipeline", name) == name),
        status=replace(seen.status, pipelines=(name,)),
    )


def _concerns(check: CheckView, incident: IncidentView, breakers: Sequence[BreakerView]) -> bool:
    """Whether a check has to do with an incident: it opened it, or its breaker's condition names it."""
    conditions = [b.condition for b in breakers if b.pipeline == incident.pipeline and b.name == incident.breaker]
    named = {word for text in conditions for word in re.findall(r"[\w-]+", text)}
    return check.name == incident.check or check.name in named


def overview(seen: Snapshot, commands: bool, scope: Scope = Scope()) -> Overview:
    """Sorts, cuts and draws. Pure."""
    status = seen.status
    incidents = sorted(seen.incidents, key=lambda i: i.opened_at, reverse=True)
    live = [i for i in incidents if i.resolved_at is None]
    breakers = sorted(seen.breakers, key=lambda b: (_STATES[b.state], b.observes, b.severity, b.pipeline, b.name))
    shown = breakers[:MAX_BREAKERS]
    checks = sorted(seen.checks, key=lambda c: (-c.level.rank, c.pipeline, c.name))
    waiting, held = todos(breakers, live, checks, seen.rows, status.now), holdings(breakers)
    return Overview(
        scope=scope,
        status=status,
        verdict=verdict(status, checks, breakers),
        commands=commands,
        todos=waiting[:MAX_TODOS],
        more_todos=max(0, len(waiting) - MAX_TODOS),
        pipelines=() if scope.incident else pipeline_panels(status, checks, breakers),
        held=held[:MAX_HELD],
        more_held=max(0, len(held) - MAX_HELD),
        active=tuple(b for b in shown if _needs_attention(b)),
        quiet=tuple(b for b in shown if not _needs_attention(b)),
        more_breakers=len(breakers) - len(shown),
        checks=_panels(checks[:MAX_CHECKS], seen.rows, status.now, MAX_ROWS if scope.root else MAX_ROWS_OK),
        more_checks=max(0, len(checks) - MAX_CHECKS),
        open_incidents=tuple(live[:MAX_OPEN]),
        more_incidents=max(0, len(live) - MAX_OPEN),
        incident=incidents[0] if scope.incident else None,
        resolved=tuple(i for i in incidents if i.resolved_at is not None)[:MAX_RESOLVED],
        silences=tuple(sorted(seen.silences, key=lambda s: s.until))[:MAX_SILENCES],
        limits=Limits(),
    )


def verdict(status: StatusView, checks: Sequence[CheckView], breakers: Sequence[BreakerView]) -> Verdict:
    """The worst news first; quiet only when nothing is wrong and nothing is unknown."""
    acting = [b for b in breakers if not b.observes]
    parts = [
        f"{count:,} {words(state)}"
        for state in (State.TRIPPING, State.OPEN, State.HALF_OPEN)
        if (count := sum(b.state == state for b in acting))
    ]
    if parts:
        noun = "breaker" if parts[0].startswith("1 ") else "breakers"
        parts[0] = parts[0].replace(" ", f" {noun} ", 1)
    tripped = [b for b in acting if b.state != State.CLOSED]
    if len(tripped) == 1:
        parts = [f"{tripped[0].pipeline}/{tripped[0].name} is {words(tripped[0].state)}"]
    levels = {level: sum(c.level == level for c in checks) for level in Level}
    told = [
        f"{plural(levels[level], 'check')} {level.value}"
        for level in (Level.CRITICAL, Level.WARNING, Level.UNKNOWN)
        if levels[level]
    ]
    if shadows := sum(b.state != State.CLOSED and b.observes and not b.disabled for b in breakers):
        told.append(f"{plural(shadows, 'observing breaker')} would act")
    if not status.ready:
        return Verdict(Level.UNKNOWN, "Not ready", _sentence([*parts, *told]))
    if parts or levels[Level.CRITICAL]:
        title = ", ".join(parts) or _sentence([told.pop(0)])
        return Verdict(Level.CRITICAL, title, _sentence(told))
    if told:
        worst = Level.WARNING if levels[Level.WARNING] or shadows else Level.UNKNOWN
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


def _panels(checks: Sequence[CheckView], rows: Sequence[Row], now: datetime, calm_rows: int) -> tuple[CheckPanel, ...]:
    """`calm_rows`: how many rows a check that is ok shows at most."""
    found: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        found[row.pipeline, row.check].append(row)
    left, panels = MAX_PAGE_ROWS, []
    for check in checks:
        # Stable: rows of one level stay in the engine's order, so lines don't jump between refreshes.
        own = sorted(found[check.pipeline, check.name], key=lambda r: (-r.level.rank, not r.pending))
        most = calm_rows if check.level is Level.OK else MAX_ROWS
        shown = own[: min(most, max(left, 1))]
        left -= len(shown)
        drawn = tuple(SignalPanel(row, draw(row, now)) for row in shown)
        panels.append(CheckPanel(check, drawn, len(own) - len(shown)))
    return tuple(panels)
