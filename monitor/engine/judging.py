"""What a worker asks of the board: does the condition hold, why, and how long must a trial last."""

from __future__ import annotations

from datetime import timedelta

from monitor.core import breaker as diagram
from monitor.core.breaker import Trip
from monitor.core.condition import Match, checks_of, evaluate, terms_of
from monitor.core.durations import parse_duration
from monitor.core.model import Level
from monitor.core.spec import Bound, BreakerSpec, SignalSpec, Term
from monitor.engine.services import Services

#: Readings named in a trip's reason.
MOST_REASONS = 4


class Judge:
    """Reads the board for one breaker's condition."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def match(self, spec: BreakerSpec) -> Match:
        """The condition as of the last runs."""
        table = self._services.board.standings(spec.pipeline, checks_of(spec.condition))
        return evaluate(spec.condition, table)

    def because(self, spec: BreakerSpec, found: Match) -> str:
        """What was seen, in numbers: people read this at three in the morning."""
        wanted = {(term.check, term.signal) for term in terms_of(spec.condition)}
        lines = [
            f"{row.target} {row.signal}: {row.detail}"
            for row in self._services.board.rows_of(spec.pipeline, {check for check, _ in wanted})
            if (row.check, row.target) in found.targets
            and row.level in (Level.WARNING, Level.CRITICAL)
            and {(row.check, row.signal), (row.check, None)} & wanted
        ]
        lines = list(dict.fromkeys(lines)) or list(found.reasons)
        more = f"; and {len(lines) - MOST_REASONS} more" if len(lines) > MOST_REASONS else ""
        return "; ".join(lines[:MOST_REASONS]) + more

    def trial_span(self, trip: Trip) -> timedelta:
        """How long a trial lasts; by default as long as a relapse takes to show."""
        hold, interval = timedelta(0), timedelta(0)
        pipeline = self._services.pipelines(trip.spec.pipeline)
        for term in terms_of(trip.spec.condition):
            check = pipeline.checks.get(term.check) if pipeline else None
            if check is None:
                continue
            bounds = [_bound(signal, term) for name, signal in check.signals.items() if term.signal in (None, name)]
            hold = max([hold, term.hold, *(bound.hold for bound in bounds if bound is not None)])
            interval = max(interval, check.interval)
        return diagram.trial_span(trip.spec.recover, hold, interval)

    def half_open_limit(self, trip: Trip) -> timedelta:
        """The steps' own time, three times over, and a trial: half_open ends by then whatever happens."""
        own = timedelta(0)
        for step in diagram.recovery_steps(trip.spec.recover):
            own += parse_duration(step.params.get("for", 0))
        return 3 * own + self.trial_span(trip) + timedelta(minutes=1)


def targets_of(found: Match) -> tuple[str, ...]:
    """The targets that breached, without their checks."""
    return tuple(sorted({target for _, target in found.targets}))


def _bound(signal: SignalSpec, term: Term) -> Bound | None:
    return signal.warning if term.level is Level.WARNING else signal.critical
