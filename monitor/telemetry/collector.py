"""A scrape: what the engine knows right now, and what was counted, as Prometheus text or OpenMetrics."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST as CONTENT_TYPE_OPENMETRICS
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from monitor.core.model import Level, Severity, State
from monitor.core.view import Surface
from monitor.telemetry.catalogue import BY_NAME
from monitor.telemetry.families import FamilyText
from monitor.telemetry.instruments import Instruments
from monitor.telemetry.rows import RowText

_END = b"# EOF\n"
#: Samples of ordinary families between two turns of the event loop: of new ones, the client library takes 10 us each.
_TURN = 300


class SurfaceCollector:
    """Renders `/metrics`. Nothing is kept of a target between scrapes, so what vanished leaves no stale series."""

    def __init__(self, surface: Surface, instruments: Instruments) -> None:
        self._surface = surface
        self._instruments = instruments
        self._rows = RowText()
        self._text = FamilyText()

    async def render(self, accept: str = "") -> tuple[bytes, str]:
        """The whole scrape and its content type, by the request's `Accept` header. The loop gets a turn every few
        milliseconds; scrapes may overlap."""
        openmetrics = _wants_openmetrics(accept)
        encode = generate_openmetrics if openmetrics else generate_latest
        pieces: list[bytes] = []
        scrape = self._text.scrape()
        since_turn = 0
        for family in self._families():
            pieces.append(scrape.text(family, encode))
            since_turn += len(family.samples)
            if since_turn >= _TURN:
                since_turn = 0
                await asyncio.sleep(0)
        scrape.done()
        pieces += await self._rows.render(self._surface.rows())
        if openmetrics:
            pieces.append(_END)
        return b"".join(pieces), CONTENT_TYPE_OPENMETRICS if openmetrics else CONTENT_TYPE_PLAIN_0_0_4

    def _families(self) -> Iterator[Metric]:
        yield from self._instruments.registry.collect()
        yield from self._of_checks()
        yield from self._of_breakers()
        yield from self._of_status()

    def _of_checks(self) -> Iterator[Metric]:
        targets = _family("tripswitch_targets")
        success = _family("tripswitch_check_last_success_timestamp_seconds")
        ran = _family("tripswitch_check_last_run_timestamp_seconds")
        interval = _family("tripswitch_check_interval_seconds")
        for check in self._surface.checks():
            for level in Level:
                targets.add_metric([check.pipeline, check.name, level.value], check.counts.get(level, 0))
            labels = [check.pipeline, check.name, check.kind]
            interval.add_metric(labels, check.interval)
            if check.last_success is not None:
                success.add_metric(labels, check.last_success.timestamp())
            if check.last_run is not None:
                ran.add_metric(labels, check.last_run.timestamp())
        yield from (targets, success, ran, interval)

    def _of_breakers(self) -> Iterator[Metric]:
        states = _family("tripswitch_breaker_state")
        disabled = _family("tripswitch_breaker_disabled")
        latched = _family("tripswitch_breaker_latched")
        since = _family("tripswitch_breaker_since_timestamp_seconds")
        drifted = _family("tripswitch_drifted_changes")
        held = _family("tripswitch_steps_held")
        for breaker in self._surface.breakers():
            name = [breaker.pipeline, breaker.name]
            for state in State:
                states.add_metric([*name, state.value, breaker.mode.value], state is breaker.state)
            disabled.add_metric([*name, breaker.mode.value], breaker.disabled)
            latched.add_metric([*name, breaker.mode.value], breaker.latched)
            drifted.add_metric([*name, breaker.mode.value], breaker.drifted)
            if breaker.since is not None:
                since.add_metric([*name, breaker.mode.value], breaker.since.timestamp())
            gates = Counter(step.gate for step in breaker.steps if step.phase == "held" and step.gate)
            for gate, steps in sorted(gates.items()):
                held.add_metric([*name, breaker.mode.value, gate], steps)
        yield from (states, disabled, latched, since, drifted, held)

    def _of_status(self) -> Iterator[Metric]:
        status = self._surface.status()
        leases = _family("tripswitch_lease_held")
        for pipeline, held in status.leases.items():
            leases.add_metric([pipeline], held)
        ready = _family("tripswitch_ready")
        ready.add_metric([], status.ready)
        enabled = _family("tripswitch_actions_enabled")
        enabled.add_metric([], status.actions_enabled)
        storm = _family("tripswitch_storm_suspected")
        storm.add_metric([], status.storm is not None)
        incidents = _family("tripswitch_incidents_open")
        unresolved = [incident.severity for incident in self._surface.incidents() if incident.resolved_at is None]
        for severity in Severity:
            incidents.add_metric([severity.value], unresolved.count(severity))
        yield from (leases, ready, enabled, storm, incidents)


def _family(name: str) -> GaugeMetricFamily:
    metric = BY_NAME[name]
    return GaugeMetricFamily(name, metric.help, labels=metric.labels)


def _wants_openmetrics(accept: str) -> bool:
    """True if the header names OpenMetrics 1.0.0 (or no version). The library's own negotiation fails on versions
    that are no numbers, and repeats the caller's text in the answer's header."""
    for part in accept.split(","):
        media, *parameters = [piece.strip().lower() for piece in part.split(";")]
        pairs = dict(piece.split("=", 1) for piece in parameters if "=" in piece)
        if media == "application/openmetrics-text" and pairs.get("version", "1.0.0") == "1.0.0":
            return pairs.get("q", "1") not in {"0", "0.0"}
    return False
