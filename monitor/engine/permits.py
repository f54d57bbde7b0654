"""Puts the situation together that gates look at, for one breaker."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from monitor.core.breaker import Breaker
from monitor.core.model import Risk
from monitor.engine import gates
from monitor.engine.gates import Hold, Situation
from monitor.engine.services import Guard, Services
from monitor.plugin import Held


class Permits:
    """Asks the gates for one breaker."""

    def __init__(
        self, services: Services, record: Callable[[], Breaker], interrupted: Callable[[], str | None]
    ) -> None:
        self._services = services
        self._record = record
        self.interrupted = interrupted

    def ask(
        self, risk: Risk, *, needs: float = 0.0, approval: str | None = None, blast: str | None = None
    ) -> Hold | None:
        """The first gate that holds an action of `risk` now, or None. `needs`: seconds the next call may take."""
        record, conditions = self._record(), self._services.conditions
        now = self._services.clock.now()
        trip = record.trip
        situation = Situation(
            now=now,
            risk=risk,
            shadow=trip is not None and trip.shadow,
            disabled_by=record.disabled_by if record.disabled else None,
            interrupted=self.interrupted(),
            actions_off=conditions.actions_off(now),
            lease=conditions.lease(record.pipeline),
            needs=timedelta(seconds=needs),
            store_down=self._services.journal.health.down,
            maintenance=conditions.maintenance(record.pipeline, record.name, now),
            silence=conditions.silence(record.pipeline, record.name, now),
            storm=conditions.storm(trip.account, trip.region, now) if trip else None,
            blast=blast,
            approval=approval,
        )
        return gates.ask(situation)

    def guard(self, risk: Risk) -> Guard:
        """For `Cloud.writes`: every attempt of every mutating call passes all gates again."""

        async def ask(aws_service: str, operation: str, seconds: float) -> None:
            hold = self.ask(risk, needs=seconds)
            if hold is not None:
                raise Held(hold.gate, f"{hold.reason} (before {aws_service}:{operation})")

        return ask
