"""Counting: `ports.Meter` and `ports.AwsMeter` on a Prometheus registry of our own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

import prometheus_client as prometheus
from prometheus_client.metrics import MetricWrapperBase

from monitor.core.model import Json, Mode, Reason
from monitor.core.spec import BreakerSpec, CheckSpec, Pipeline, StepSpec
from monitor.telemetry.catalogue import METRICS, Metric, Type

#: Steps of a playbook that are no actions.
_CONTROL = frozenset({"wait", "verify", "approve", "undo", "ramp", "canary"})


CheckLabels = tuple[str, str, str]
RunMeters = tuple[prometheus.Counter, prometheus.Histogram, prometheus.Gauge]


class Instruments:
    """Every counted metric, in `registry` (never the global one, so that two daemons in a process don't mix).

    Methods of the meters are cheap, never raise, and are called from the event loop only. `now` tells when AWS
    answered; without it that metric stays empty.
    """

    def __init__(self, version: str, now: Callable[[], datetime] | None = None) -> None:
        self._now = now
        # Creation times double the lines of every counter and nobody asked for them.
        prometheus.disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = prometheus.CollectorRegistry()
        self._counters: dict[str, prometheus.Counter] = {}
        self._gauges: dict[str, prometheus.Gauge] = {}
        self._histograms: dict[str, prometheus.Histogram] = {}
        for metric in METRICS:
            if not metric.fresh:
                self._construct(metric)
        prometheus.ProcessCollector(registry=self.registry)
        prometheus.PlatformCollector(registry=self.registry)
        self._gauge("build_info", version).set(1)
        # Looking a labelled child up costs more than counting it; these three are used with every run.
        self._kept: dict[CheckLabels, RunMeters] = {}
        self._checks: set[CheckLabels] = set()
        self._breakers: set[tuple[str, str]] = set()

    def declare(self, pipelines: Iterable[Pipeline], gates: Iterable[str] = ()) -> None:
        """Call after each accepted config: every series it implies exists (at 0), those of what it removed are gone.

        `gates` are the names the engine holds actions by. Zeros matter: a counter that appears at 1 shows no increase.
        """
        known = list(pipelines)
        checks = {(spec.pipeline, spec.name, spec.kind) for pipeline in known for spec in pipeline.checks.values()}
        breakers = {(spec.pipeline, spec.name) for pipeline in known for spec in pipeline.breakers.values()}
        self._kept.clear()
        self._forget(self._checks - checks, self._breakers - breakers)
        self._checks, self._breakers = checks, breakers
        names = tuple(gates)
        for pipeline in known:
            for check in pipeline.checks.values():
                self._declare_check(check)
            for breaker in pipeline.breakers.values():
                self._declare_breaker(breaker, names)

    # --- ports.Meter --------------------------------------------------------------------------------------------------

    def run_finished(
        self, pipeline: str, check: str, kind: str, seconds: float, lateness: float, reason: Reason | None, at: datetime
    ) -> None:
        """A run ended. `at` is not used: the time of the last success comes from the engine at each scrape."""
        runs, duration, late = self._of_check((pipeline, check, kind))
        runs.inc()
        duration.observe(max(seconds, 0.0))
        late.set(max(lateness, 0.0))
        if reason is not None:
            self._counter("check_failures_total", pipeline, check, kind, reason.value).inc()

    def ticks_skipped(self, pipeline: str, check: str, count: int) -> None:
        """Ticks missed."""
        self._counter("check_ticks_skipped_total", pipeline, check).inc(max(count, 0))

    def tripped(self, pipeline: str, breaker: str, mode: str) -> None:
        """A breaker or its shadow left closed."""
        self._counter("breaker_trips_total", pipeline, breaker, mode).inc()

    def action_finished(self, pipeline: str, breaker: str, action: str, seconds: float, reason: Reason | None) -> None:
        """One action ended."""
        self._counter("actions_total", pipeline, breaker, action).inc()
        self._histogram("action_duration_seconds", pipeline, breaker, action).observe(max(seconds, 0.0))
        if reason is not None:
            self._counter("action_failures_total", pipeline, breaker, action, reason.value).inc()

    def action_held(self, pipeline: str, breaker: str, action: str, gate: str) -> None:
        """A gate began to hold an action."""
        self._counter("actions_held_total", pipeline, breaker, action, gate).inc()

    def drain(self, pipeline: str, breaker: str, remaining: int | None) -> None:
        """What is left to end; None removes the series, because 0 would mean that a drain runs and is done."""
        if remaining is None:
            self._gauges["drain_remaining"].remove_by_labels({"pipeline": pipeline, "breaker": breaker})
        else:
            self._gauge("drain_remaining", pipeline, breaker).set(remaining)

    def lag(self, seconds: float) -> None:
        """The event loop's lateness."""
        self._gauge("event_loop_lag_seconds").set(max(seconds, 0.0))

    def reloaded(self, successful: bool, at: datetime) -> None:
        """A config was accepted or rejected."""
        self._gauge("config_last_reload_successful").set(successful)
        if successful:
            self._gauge("config_last_reload_success_timestamp_seconds").set(at.timestamp())

    def configured(self, documents: Mapping[str, Json]) -> None:
        """The config in force from now on: {pipeline: document}, secrets masked. Equal documents have equal hashes."""
        text = json.dumps(documents, sort_keys=True, default=str)
        gauge = self._gauges["config_hash_info"]
        gauge.clear()
        gauge.labels(hashlib.sha256(text.encode()).hexdigest()[:12]).set(1)

    # --- ports.AwsMeter -----------------------------------------------------------------------------------------------

    def aws_request(
        self, aws_service: str, operation: str, account_id: str, aws_region: str, reason: Reason | None
    ) -> None:
        """One HTTP attempt ended."""
        call = (aws_service, operation, account_id, aws_region)
        self._counter("aws_requests_total", *call).inc()
        throttles = self._counter("aws_throttles_total", *call)
        if reason is not None:
            self._counter("aws_request_errors_total", *call, reason.value).inc()
        if reason is Reason.THROTTLED:
            throttles.inc()

    def aws_metrics_requested(self, count: int) -> None:
        """Metrics asked of GetMetricData."""
        self._counter("cloudwatch_metrics_requested_total").inc(max(count, 0))

    def aws_cost(self, aws_service: str, dollars: float) -> None:
        """Dollars at list price."""
        self._counter("aws_cost_dollars_total", aws_service).inc(max(dollars, 0.0))

    def aws_quota(self, aws_service: str, operation: str, account_id: str, aws_region: str, ratio: float) -> None:
        """Share of a quota in use."""
        self._gauge("aws_quota_used_ratio", aws_service, operation, account_id, aws_region).set(ratio)

    def aws_up(self, aws_service: str, account_id: str, aws_region: str, up: bool) -> None:
        """Whether a service answers."""
        self._gauge("up", account_id, aws_region, aws_service).set(up)
        if up and self._now is not None:
            answered = self._gauge("aws_last_answer_timestamp_seconds", account_id, aws_region, aws_service)
            answered.set(self._now().timestamp())

    # --- notices ------------------------------------------------------------------------------------------------------

    def notice_ended(self, scheme: str, delivered: bool) -> None:
        """A channel took a notice, or it was given up."""
        self._counter("notices_total" if delivered else "notice_failures_total", scheme).inc()

    def notice_refused(self, scheme: str) -> None:
        """An attempt failed."""
        self._counter("notice_refusals_total", scheme).inc()

    def notices_dropped(self, count: int) -> None:
        """A channel's queue was full."""
        self._counter("notices_dropped_total").inc(max(count, 0))

    # --- inside -------------------------------------------------------------------------------------------------------

    def _construct(self, metric: Metric) -> None:
        short = metric.name.removeprefix("tripswitch_")
        if metric.type is Type.COUNTER:
            self._counters[short] = prometheus.Counter(metric.name, metric.help, metric.labels, registry=self.registry)
        elif metric.type is Type.GAUGE:
            self._gauges[short] = prometheus.Gauge(metric.name, metric.help, metric.labels, registry=self.registry)
        else:
            self._histograms[short] = prometheus.Histogram(
                metric.name, metric.help, metric.labels, registry=self.registry, buckets=metric.buckets
            )

    def _of_check(self, labels: CheckLabels) -> RunMeters:
        found = self._kept.get(labels)
        if found is None:
            runs = self._counter("check_runs_total", *labels)
            duration = self._histogram("check_duration_seconds", *labels)
            found = self._kept[labels] = (runs, duration, self._gauge("check_lateness_seconds", *labels))
        return found

    def _counter(self, short: str, *labels: str) -> prometheus.Counter:
        return self._counters[short].labels(*labels) if labels else self._counters[short]

    def _gauge(self, short: str, *labels: str) -> prometheus.Gauge:
        return self._gauges[short].labels(*labels) if labels else self._gauges[short]

    def _histogram(self, short: str, *labels: str) -> prometheus.Histogram:
        return self._histograms[short].labels(*labels) if labels else self._histograms[short]

    def _declare_check(self, spec: CheckSpec) -> None:
        labels = (spec.pipeline, spec.name, spec.kind)
        self._counter("check_runs_total", *labels)
        self._histogram("check_duration_seconds", *labels)
        self._counter("check_ticks_skipped_total", spec.pipeline, spec.name)
        for reason in Reason:
            self._counter("check_failures_total", *labels, reason.value)

    def _declare_breaker(self, spec: BreakerSpec, gates: tuple[str, ...]) -> None:
        for mode in Mode:
            self._counter("breaker_trips_total", spec.pipeline, spec.name, mode.value)
        for action in _actions(spec.on_trip) | _actions(spec.recover.steps or ()):
            labels = (spec.pipeline, spec.name, action)
            self._counter("actions_total", *labels)
            self._histogram("action_duration_seconds", *labels)
            for reason in Reason:
                self._counter("action_failures_total", *labels, reason.value)
            for gate in gates:
                self._counter("actions_held_total", *labels, gate)

    def _forget(self, checks: set[tuple[str, str, str]], breakers: set[tuple[str, str]]) -> None:
        gone = [{"pipeline": pipeline, "check": check, "kind": kind} for pipeline, check, kind in checks]
        gone += [{"pipeline": pipeline, "breaker": breaker} for pipeline, breaker in breakers]
        for labels in gone:
            for metric in METRICS:
                shared = {name: value for name, value in labels.items() if name in metric.labels}
                # The skipped ticks have no `kind`; what counts is that the series names the check or the breaker.
                if not metric.fresh and ("check" in shared or "breaker" in shared):
                    self._wrapper(metric).remove_by_labels(shared)

    def _wrapper(self, metric: Metric) -> MetricWrapperBase:
        short = metric.name.removeprefix("tripswitch_")
        if metric.type is Type.COUNTER:
            return self._counters[short]
        return self._gauges[short] if metric.type is Type.GAUGE else self._histograms[short]


def _actions(steps: Iterable[StepSpec]) -> set[str]:
    return {step.verb for step in steps if step.verb not in _CONTROL}
