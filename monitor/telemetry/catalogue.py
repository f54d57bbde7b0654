"""Every metric there is, as one table: the Prometheus objects, the collector's families and the reference page."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Type(StrEnum):
    """Prometheus' own."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. `fresh` ones are read from the engine at each scrape; the others are counted as things happen."""

    name: str
    type: Type
    help: str
    labels: tuple[str, ...] = ()
    unit: str = ""
    fresh: bool = False
    buckets: tuple[float, ...] = ()


_C, _G, _H = Type.COUNTER, Type.GAUGE, Type.HISTOGRAM
_CHECK = ("pipeline", "check", "kind")
_ROW = ("pipeline", "check", "kind", "target", "signal")
_ACTION = ("pipeline", "breaker", "action")
_CALL = ("aws_service", "operation", "account_id", "aws_region")
_RUN_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0)
_ACTION_SECONDS = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)

METRICS: tuple[Metric, ...] = (
    # What is observed, afresh at each scrape: a vanished target leaves no stale series.
    Metric("tripswitch_observation", _G, "Last value observed; absent while it is unknown.", _ROW, "", True),
    Metric("tripswitch_level", _G, "1 while a target's signal is not ok.", (*_ROW, "level"), "", True),
    Metric("tripswitch_threshold", _G, "Bound in force for a target's signal.", (*_ROW, "level"), "", True),
    Metric("tripswitch_targets", _G, "Targets of a check by their worst level.",
           ("pipeline", "check", "level"), "", True),
    # Checks.
    Metric("tripswitch_check_runs_total", _C, "Runs ended, with any outcome.", _CHECK),
    Metric("tripswitch_check_failures_total", _C, "Runs that failed to observe every target.", (*_CHECK, "reason")),
    Metric("tripswitch_check_duration_seconds", _H, "How long runs took.", _CHECK, "seconds", False, _RUN_SECONDS),
    Metric("tripswitch_check_last_success_timestamp_seconds", _G, "When a run last succeeded.",
           _CHECK, "seconds", True),
    Metric("tripswitch_check_last_run_timestamp_seconds", _G, "When a run last ended, with any outcome.",
           _CHECK, "seconds", True),
    Metric("tripswitch_check_oldest_value_timestamp_seconds", _G,
           "When the oldest of the values shown was true; what AWS tells of a period is late.",
           _CHECK, "seconds", True),
    Metric("tripswitch_check_interval_seconds", _G, "How often it is to run.", _CHECK, "seconds", True),
    Metric("tripswitch_check_lateness_seconds", _G, "How late after its tick the last run began.", _CHECK, "seconds"),
    Metric("tripswitch_check_ticks_skipped_total", _C, "Ticks missed because a run lasted.", ("pipeline", "check")),
    # Breakers and actions.
    Metric("tripswitch_breaker_state", _G, "1 for the state a breaker is in, 0 for the others.",
           ("pipeline", "breaker", "state", "mode"), "", True),
    Metric("tripswitch_breaker_since_timestamp_seconds", _G, "When a breaker came into the state it is in.",
           ("pipeline", "breaker", "mode"), "seconds", True),
    Metric("tripswitch_breaker_disabled", _G, "1 while a person disabled the breaker.",
           ("pipeline", "breaker", "mode"), "", True),
    Metric("tripswitch_breaker_latched", _G, "1 while a breaker stays open for a person.",
           ("pipeline", "breaker", "mode"), "", True),
    Metric("tripswitch_breaker_trips_total", _C, "Trips; in mode observe those of the shadow breaker.",
           ("pipeline", "breaker", "mode")),
    Metric("tripswitch_actions_total", _C, "Actions ended, applied, undone or failed.", _ACTION),
    Metric("tripswitch_action_failures_total", _C, "Actions that failed.", (*_ACTION, "reason")),
    Metric("tripswitch_actions_held_total", _C, "Times a gate began to hold an action.", (*_ACTION, "gate")),
    Metric("tripswitch_steps_held", _G, "Steps that a gate holds now; absent while it holds none.",
           ("pipeline", "breaker", "mode", "gate"), "", True),
    Metric("tripswitch_drifted_changes", _G, "Changes of the running trip that somebody else changed since.",
           ("pipeline", "breaker", "mode"), "", True),
    Metric("tripswitch_action_duration_seconds", _H, "How long actions took.",
           _ACTION, "seconds", False, _ACTION_SECONDS),
    Metric("tripswitch_drain_remaining", _G, "Executions or messages a draining action still has to end.",
           ("pipeline", "breaker")),
    Metric("tripswitch_incidents_open", _G, "Incidents not yet resolved.", ("severity",), "", True),
    # What the daemon itself asks of AWS.
    Metric("tripswitch_aws_requests_total", _C, "HTTP attempts to AWS.", _CALL),
    Metric("tripswitch_aws_request_errors_total", _C, "HTTP attempts to AWS that failed.", (*_CALL, "reason")),
    Metric("tripswitch_aws_throttles_total", _C, "HTTP attempts that AWS throttled.", _CALL),
    Metric("tripswitch_cloudwatch_metrics_requested_total", _C, "Metrics asked of GetMetricData, which AWS bills."),
    Metric("tripswitch_aws_cost_dollars_total", _C, "List price of the requests made.", ("aws_service",), "dollars"),
    Metric("tripswitch_aws_quota_used_ratio", _G, "Share of an operation's quota used over the last minute.",
           _CALL, "ratio"),
    Metric("tripswitch_up", _G, "1 if AWS' last answer there was a proper one.",
           ("account_id", "aws_region", "aws_service")),
    Metric("tripswitch_aws_last_answer_timestamp_seconds", _G, "When AWS last gave a proper answer there.",
           ("account_id", "aws_region", "aws_service"), "seconds"),
    # The daemon.
    Metric("tripswitch_ready", _G, "1 while /readyz says so: config loaded, first round done, store writable.",
           (), "", True),
    Metric("tripswitch_event_loop_lag_seconds", _G, "How late the event loop ran its last timer.", (), "seconds"),
    Metric("tripswitch_lease_held", _G, "1 if this replica owns the pipeline.", ("pipeline",), "", True),
    Metric("tripswitch_actions_enabled", _G, "0 while a kill switch holds all actions.", (), "", True),
    Metric("tripswitch_storm_suspected", _G, "1 while disruptive actions are held because the observer is suspect.",
           (), "", True),
    Metric("tripswitch_config_last_reload_successful", _G, "1 if the last load of the config was accepted."),
    Metric("tripswitch_config_last_reload_success_timestamp_seconds", _G, "When a config was last accepted.",
           (), "seconds"),
    Metric("tripswitch_config_hash_info", _G, "Always 1; the config in force, so that replicas can be compared.",
           ("hash",)),
    Metric("tripswitch_notices_total", _C, "Notices delivered to a channel.", ("scheme",)),
    Metric("tripswitch_notice_refusals_total", _C, "Attempts a channel did not take; it is tried again.", ("scheme",)),
    Metric("tripswitch_notice_failures_total", _C, "Notices given up because a channel took them in no attempt.",
           ("scheme",)),
    Metric("tripswitch_notices_dropped_total", _C, "Notices given up because a channel's queue was full."),
    Metric("tripswitch_build_info", _G, "Always 1; the running version.", ("version",)),
)  # fmt: skip

#: By name, for those who build one family.
BY_NAME = {metric.name: metric for metric in METRICS}
