"""Counting and declaring."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import REGISTRY

from monitor.core.model import Mode, Reason, Severity
from monitor.core.ports import AwsMeter, Meter
from monitor.core.spec import AwsSpec, BreakerSpec, CheckSpec, Pipeline, RecoverSpec, StepSpec, Term
from monitor.telemetry import Instruments

CALL = ("sqs", "GetQueueAttributes", "123456789012", "us-east-1")


def pipeline(name: str = "etl", check: str = "depth", breaker: str = "loop") -> Pipeline:
    """One check and one breaker with two actions."""
    minute = timedelta(minutes=1)
    steps = (StepSpec("1", "disable_rule"), StepSpec("2", "wait"), StepSpec("3", "verify"))
    recover = RecoverSpec(steps=(StepSpec("1", "undo"), StepSpec("2", "redrive_queue")))
    return Pipeline(
        name,
        f"{name}.yaml",
        AwsSpec(),
        {check: CheckSpec(name, check, "queue_depth", None, minute, minute, {}, {})},
        {breaker: BreakerSpec(name, breaker, Severity.SEV1, Term(check), on_trip=steps, recover=recover)},
    )


def value(instruments: Instruments, name: str, **labels: str) -> float | None:
    """One sample, or None when there is no such series."""
    return instruments.registry.get_sample_value(f"tripswitch_{name}", labels)


def test_it_is_both_meters(instruments: Instruments) -> None:
    """The signatures are those of the ports (mypy checks the lines below)."""
    meter: Meter = instruments
    aws_meter: AwsMeter = instruments
    assert meter is aws_meter


def test_the_global_registry_stays_empty_of_ours(instruments: Instruments) -> None:
    """Two sets of instruments in a process don't meet."""
    Instruments("2.0").lag(5.0)
    assert value(instruments, "event_loop_lag_seconds") == 0
    assert REGISTRY.get_sample_value("tripswitch_event_loop_lag_seconds") is None


@pytest.mark.parametrize("reason", [None, *Reason])
def test_runs_are_counted_with_their_reason(instruments: Instruments, make: Any, reason: Reason | None) -> None:
    """Every run counts; a failed one counts under its reason as well."""
    instruments.declare([pipeline()])
    instruments.run_finished("etl", "depth", "queue_depth", 0.3, 0.2, reason, make.now)
    labels = {"pipeline": "etl", "check": "depth", "kind": "queue_depth"}
    assert value(instruments, "check_runs_total", **labels) == 1
    assert value(instruments, "check_lateness_seconds", **labels) == 0.2
    assert value(instruments, "check_duration_seconds_sum", **labels) == 0.3
    for other in Reason:
        expected = 1 if other is reason else 0
        assert value(instruments, "check_failures_total", **labels, reason=other.value) == expected


def test_everything_a_config_implies_exists_at_zero(instruments: Instruments) -> None:
    """Reasons, modes, actions of both playbooks, gates; control steps are no actions."""
    instruments.declare([pipeline()], gates=["observe mode", "kill switch"])
    breaker = {"pipeline": "etl", "breaker": "loop"}
    assert value(instruments, "check_ticks_skipped_total", pipeline="etl", check="depth") == 0
    for mode in Mode:
        assert value(instruments, "breaker_trips_total", **breaker, mode=mode.value) == 0
    for action in ("disable_rule", "redrive_queue"):
        assert value(instruments, "actions_total", **breaker, action=action) == 0
        assert value(instruments, "action_failures_total", **breaker, action=action, reason="denied") == 0
        assert value(instruments, "actions_held_total", **breaker, action=action, gate="kill switch") == 0
    for control in ("wait", "verify", "undo"):
        assert value(instruments, "actions_total", **breaker, action=control) is None


def test_declaring_again_keeps_counts_and_forgets_what_is_gone(instruments: Instruments, make: Any) -> None:
    """A reload resets no counter that stays, and leaves no series of a removed check or breaker."""
    instruments.declare([pipeline(), pipeline("web")])
    for name in ("etl", "web"):
        instruments.run_finished(name, "depth", "queue_depth", 0.1, 0.0, None, make.now)
        instruments.ticks_skipped(name, "depth", 2)
        instruments.tripped(name, "loop", "auto")
        instruments.drain(name, "loop", 3)
    instruments.declare([pipeline(), pipeline("web", "other", "else")])
    kept = {"pipeline": "etl", "check": "depth", "kind": "queue_depth"}
    assert value(instruments, "check_runs_total", **kept) == 1
    assert value(instruments, "drain_remaining", pipeline="etl", breaker="loop") == 3
    for family in instruments.registry.collect():
        for sample in family.samples:
            if sample.labels.get("pipeline") == "web":
                assert sample.labels.get("check") in {None, "other"}
                assert sample.labels.get("breaker") in {None, "else"}
    assert value(instruments, "check_runs_total", pipeline="web", check="other", kind="queue_depth") == 0


def test_a_drain_that_ended_has_no_series(instruments: Instruments) -> None:
    """Ending twice, or what never began, is fine."""
    labels = {"pipeline": "etl", "breaker": "loop"}
    instruments.drain("etl", "loop", None)
    instruments.drain("etl", "loop", 5)
    assert value(instruments, "drain_remaining", **labels) == 5
    instruments.drain("etl", "loop", None)
    instruments.drain("etl", "loop", None)
    assert value(instruments, "drain_remaining", **labels) is None


def test_actions_count_with_gate_and_reason(instruments: Instruments) -> None:
    """Ended, failed and held are three counters."""
    labels = {"pipeline": "etl", "breaker": "loop", "action": "disable_rule"}
    instruments.action_finished("etl", "loop", "disable_rule", 2.0, None)
    instruments.action_finished("etl", "loop", "disable_rule", 1.0, Reason.DENIED)
    instruments.action_held("etl", "loop", "disable_rule", "approval")
    assert value(instruments, "actions_total", **labels) == 2
    assert value(instruments, "action_failures_total", **labels, reason="denied") == 1
    assert value(instruments, "actions_held_total", **labels, gate="approval") == 1
    assert value(instruments, "action_duration_seconds_sum", **labels) == 3


def test_aws_calls_errors_and_throttles(instruments: Instruments) -> None:
    """A throttle is a request, an error and a throttle; a success makes the throttle counter exist at 0."""
    labels = dict(zip(("aws_service", "operation", "account_id", "aws_region"), CALL, strict=True))
    instruments.aws_request(*CALL, None)
    assert value(instruments, "aws_throttles_total", **labels) == 0
    instruments.aws_request(*CALL, Reason.THROTTLED)
    instruments.aws_request(*CALL, Reason.DENIED)
    assert value(instruments, "aws_requests_total", **labels) == 3
    assert value(instruments, "aws_throttles_total", **labels) == 1
    assert value(instruments, "aws_request_errors_total", **labels, reason="throttled") == 1
    assert value(instruments, "aws_request_errors_total", **labels, reason="denied") == 1


def test_a_rejected_reload_keeps_the_time_of_the_last_good_one(instruments: Instruments, make: Any) -> None:
    """The flag falls, the time stays."""
    instruments.reloaded(True, make.now)
    instruments.reloaded(False, make.now + timedelta(hours=1))
    assert value(instruments, "config_last_reload_successful") == 0
    assert value(instruments, "config_last_reload_success_timestamp_seconds") == make.now.timestamp()


def test_nothing_raises_on_odd_numbers(instruments: Instruments, make: Any) -> None:
    """Counting never breaks the one who counts, even if a clock went backwards."""
    instruments.run_finished("etl", "depth", "queue_depth", -1.0, -1.0, None, make.now)
    instruments.ticks_skipped("etl", "depth", -3)
    instruments.aws_cost("sqs", -0.1)
    instruments.aws_metrics_requested(-1)
    instruments.lag(-0.5)
    assert value(instruments, "check_ticks_skipped_total", pipeline="etl", check="depth") == 0
    assert value(instruments, "event_loop_lag_seconds") == 0


def test_the_time_of_an_answer_is_that_of_the_last_proper_one(make: Any) -> None:
    """A failure says that AWS is down and leaves the time of the last answer; without a clock there is none."""
    times = iter([make.now, make.now + timedelta(hours=1)])
    instruments = Instruments("1.0", lambda: next(times))
    place = {"account_id": "123456789012", "aws_region": "us-east-1", "aws_service": "sqs"}
    for up in (True, False):
        instruments.aws_up("sqs", "123456789012", "us-east-1", up)
    assert value(instruments, "up", **place) == 0
    assert value(instruments, "aws_last_answer_timestamp_seconds", **place) == make.now.timestamp()
    bare = Instruments("1.0")
    bare.aws_up("sqs", "123456789012", "us-east-1", True)
    assert value(bare, "aws_last_answer_timestamp_seconds", **place) is None


def test_the_config_has_one_hash_that_follows_what_it_says(instruments: Instruments) -> None:
    """Order makes no difference, a value does, and the former hash is gone."""

    def shown() -> list[str]:
        families = [f for f in instruments.registry.collect() if f.name == "tripswitch_config_hash_info"]
        return [sample.labels["hash"] for family in families for sample in family.samples]

    instruments.configured({"etl": {"a": 1, "b": 2}})
    [first] = shown()
    instruments.configured({"etl": {"b": 2, "a": 1}})
    assert shown() == [first]
    instruments.configured({"etl": {"b": 3, "a": 1}})
    [second] = shown()
    assert second != first
