"""The public test kit for authors of checks and actions: virtual time, an AWS of canned replies, contract assertions.

    aws = FakeAws({"sqs.GetQueueAttributes": {"Attributes": {...}}})
    seen = await run_probe(CHECK, {"queues": "orders"}, aws)
    await assert_check_conforms(CHECK)

Nothing here needs pytest; a broken contract is an AssertionError that says which rule broke. It imports the plugin room
and core only, as its users do.
"""

from monitor.testing.actions import (
    TRIP,
    ActionRun,
    FakeActionContext,
    assert_action_conforms,
    journalled,
    run_action,
)
from monitor.testing.aws import Call, FakeAws, metric_key
from monitor.testing.checks import (
    FakeProbeContext,
    assert_check_conforms,
    example_params,
    observed,
    run_probe,
)
from monitor.testing.clock import EPOCH, FakeClock

__all__ = [
    "EPOCH", "TRIP", "ActionRun", "Call", "FakeActionContext", "FakeAws", "FakeClock", "FakeProbeContext",
    "assert_action_conforms", "assert_check_conforms", "example_params", "journalled", "metric_key", "observed",
    "run_action", "run_probe",
]  # fmt: skip
