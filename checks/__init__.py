"""The shipped kinds, one module each. A kind observes; it keeps no state, retries nothing and judges nothing.

To add one: write its module, name it here, test it. Its documentation and schema follow from its declarations.
"""

from typing import Any

from checks import (
    alarm,
    aws_query,
    cost_anomaly,
    cost_rate,
    execution_rate,
    failures,
    metric,
    queue_depth,
    stuck_executions,
    throttles,
)
from monitor.plugin import Check

KINDS: tuple[Check[Any], ...] = (
    alarm.CHECK,
    aws_query.CHECK,
    cost_anomaly.CHECK,
    cost_rate.CHECK,
    execution_rate.CHECK,
    failures.CHECK,
    metric.CHECK,
    queue_depth.CHECK,
    stuck_executions.CHECK,
    throttles.CHECK,
)
