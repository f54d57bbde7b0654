"""The shipped kinds, one module each. A kind observes; it keeps no state, retries nothing and judges nothing.

To add one: write its module, name it here, test it. Its documentation and schema follow from its declarations.
"""

from typing import Any

from checks import (
    alarm,
    aws_query,
    config_drift,
    cost_anomaly,
    cost_rate,
    database,
    denied_calls,
    deployment_recency,
    duration_drift,
    execution_rate,
    failures,
    glue_runs,
    kafka_lag,
    log_pattern,
    memory_use,
    metric,
    missing_cycles,
    object_freshness,
    probe,
    queue_depth,
    queue_expiry,
    quota_headroom,
    resource_state,
    stage_lag,
    stuck_executions,
    throttles,
    trigger_loops,
)
from monitor.plugin import Check

KINDS: tuple[Check[Any], ...] = (
    alarm.CHECK,
    aws_query.CHECK,
    config_drift.CHECK,
    cost_anomaly.CHECK,
    cost_rate.CHECK,
    database.CHECK,
    denied_calls.CHECK,
    deployment_recency.CHECK,
    duration_drift.CHECK,
    execution_rate.CHECK,
    failures.CHECK,
    glue_runs.CHECK,
    kafka_lag.CHECK,
    log_pattern.CHECK,
    memory_use.CHECK,
    metric.CHECK,
    missing_cycles.CHECK,
    object_freshness.CHECK,
    probe.CHECK,
    queue_depth.CHECK,
    queue_expiry.CHECK,
    quota_headroom.CHECK,
    resource_state.CHECK,
    stage_lag.CHECK,
    stuck_executions.CHECK,
    throttles.CHECK,
    trigger_loops.CHECK,
)
