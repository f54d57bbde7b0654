"""failures: what counts as failed and since when, and in which state executions failed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from checks.failures import CHECK
from checks.history import Failure, failure_of
from monitor.plugin import ProbeError, Reason, Resource, ResourceKind
from monitor.testing import EPOCH, FakeAws, assert_check_conforms, observed, run_probe

MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:jaunt"
METRIC = "AWS/States.{}[StateMachineArn=" + MACHINE + "]"


def execution(name: str, status: str, ended: float, lasted: float = 1) -> dict[str, Any]:
    """One that ended so many minutes ago."""
    stop = EPOCH - timedelta(minutes=ended)
    arn = f"{MACHINE.replace('stateMachine', 'execution')}:{name}"
    start = stop - timedelta(minutes=lasted)
    return {"executionArn": arn, "name": name, "status": status, "startDate": start, "stopDate": stop}


def listed(*executions: dict[str, Any]) -> Any:
    """ListExecutions: newest start first, by status."""

    def answer(**asked: Any) -> dict[str, Any]:
        mine = [one for one in executions if one["status"] == asked["statusFilter"]]
        return {"executions": sorted(mine, key=lambda one: one["startDate"], reverse=True)}

    return answer


def history(*kinds: tuple[str, dict[str, Any]], previous: Sequence[int] | None = None) -> list[dict[str, Any]]:
    """Events 1..n, each led to by the one before unless `previous` says otherwise; newest first, as read."""
    events = []
    for number, (kind, details) in enumerate(kinds, start=1):
        stem = "State" + kind.rsplit("State", 1)[-1] if kind.endswith(("StateEntered", "StateExited")) else kind
        key = stem[0].lower() + stem[1:] + "EventDetails"
        before = previous[number - 1] if previous else number - 1
        events.append({"id": number, "previousEventId": before, "type": kind, key: details, "timestamp": EPOCH})
    return events[::-1]


def entered(name: str, kind: str = "Task") -> tuple[str, dict[str, Any]]:
    """The state was entered."""
    return f"{kind}StateEntered", {"name": name}


def left(name: str, kind: str = "Task") -> tuple[str, dict[str, Any]]:
    """The state was left."""
    return f"{kind}StateExited", {"name": name}


BEGUN = ("ExecutionStarted", {})
ENDED = ("ExecutionFailed", {"error": "States.TaskFailed", "cause": "secret"})


def failing(state: str) -> Any:
    """The simplest failed history."""
    return {"events": history(BEGUN, entered(state), ("TaskFailed", {"error": "E"}), ENDED)}


async def run(aws: FakeAws, **params: Any) -> dict[tuple[str, str], Any]:
    """What was observed."""
    return dict(observed(await run_probe(CHECK, {"state_machines": "jaunt", **params}, aws)))


async def test_it_conforms() -> None:
    """The contract of a kind."""
    await assert_check_conforms(CHECK)


@pytest.mark.parametrize(
    ("events", "failure"),
    [
        (history(BEGUN, entered("Fetch"), ("TaskFailed", {"error": "Http.429"}), ENDED), Failure("Fetch", "Http.429")),
        (
            history(BEGUN, entered("A"), ("TaskSucceeded", {}), left("A"), entered("B"),
                    ("LambdaFunctionTimedOut", {"error": "States.Timeout"}), ENDED),
            Failure("B", "States.Timeout"),
        ),
        (
            history(BEGUN, entered("A"), ("TaskFailed", {"error": "First"}), ("TaskScheduled", {}),
                    ("TaskFailed", {"error": "Again"}), ENDED),
            Failure("A", "Again"),
        ),
        (
            history(BEGUN, entered("Both", "Parallel"), ("ParallelStateStarted", {}), entered("Left"), entered("Right"),
                    ("TaskFailed", {"error": "X"}), ("ParallelStateFailed", {}), ENDED,
                    previous=[0, 1, 2, 3, 3, 4, 6, 7]),
            Failure("Left", "X"),
        ),
        (
            history(BEGUN, entered("Fetch"), ("TaskFailed", {"error": "Quota"}), left("Fetch"), entered("Tell"),
                    ("TaskSucceeded", {}), left("Tell"), entered("Failed", "Fail"), ENDED),
            Failure("Fetch", "Quota"),
        ),
        (
            history(BEGUN, entered("Fetch"), ("TaskFailed", {"error": "Once"}), ("TaskScheduled", {}),
                    ("TaskSucceeded", {}), left("Fetch"), entered("Valid?", "Choice"), left("Valid?", "Choice"),
                    entered("Invalid", "Fail"), ("ExecutionFailed", {"error": "BadInput"})),
            Failure("Invalid", "BadInput"),
        ),
        (
            history(BEGUN, entered("Slow"), ("TaskScheduled", {}), ("ExecutionTimedOut", {}), previous=[0, 1, 2, 0]),
            Failure("Slow", "States.Timeout"),
        ),
        (history(BEGUN, ENDED), None),
        (history(BEGUN, entered("A")), None),
        ([], None),
    ],
    ids=[
        "a task", "a later task that timed out", "after a retry", "a branch", "caught and reported",
        "a choice to fail, an old retry aside", "the whole execution timed out", "no state at all", "still running",
        "no events",
    ],
)  # fmt: skip
def test_the_failed_state_is_found(events: Any, failure: Failure | None) -> None:
    """The innermost one, and behind a Fail state the one whose error was caught."""
    assert failure_of(events) == failure


def test_an_odd_error_name_is_not_repeated() -> None:
    """Names are the author's free text and may hold data."""
    events = history(BEGUN, entered("A"), ("TaskFailed", {"error": "no user bob@example.com"}), ENDED)
    assert failure_of(events) == Failure("A", "an error with an odd name")


async def test_failures_of_the_window_are_counted() -> None:
    """By their end: an old start may fail now, and what failed before the window is history."""
    aws = FakeAws(
        {
            "stepfunctions.ListExecutions": listed(
                execution("a", "FAILED", ended=5),
                execution("b", "TIMED_OUT", ended=50, lasted=60),
                execution("c", "FAILED", ended=61),
                execution("d", "ABORTED", ended=1),
                execution("e", "SUCCEEDED", ended=1),
            ),
            "stepfunctions.GetExecutionHistory": failing("Fetch"),
        }
    )
    seen = await run(aws)
    assert (seen["jaunt", "failed"], seen["jaunt", "same_state"]) == (2.0, 2.0)
    seen = await run(aws, include_aborted=True, window="2h")
    assert seen["jaunt", "failed"] == 4.0


async def test_the_list_is_read_only_as_far_as_it_can_matter() -> None:
    """Starts older than window and longest end the reading; a page cap makes the count a lower bound."""
    pages = [
        {"executions": [execution("a", "FAILED", ended=1)], "nextToken": "x"},
        {"executions": [execution("b", "FAILED", ended=200)], "nextToken": "y"},
        {"executions": [execution("c", "FAILED", ended=2)]},
    ]
    aws = FakeAws(
        {
            "stepfunctions.ListExecutions": lambda **asked: pages if asked["statusFilter"] == "FAILED" else {},
            "stepfunctions.GetExecutionHistory": failing("Fetch"),
        }
    )
    assert (await run(aws))["jaunt", "failed"] == 1.0
    assert aws.count("stepfunctions.ListExecutions") == 3
    (count,) = [one for one in await run_probe(CHECK, {"state_machines": "jaunt", "max_pages": 1}, aws)
                if one.signal == "failed"]  # fmt: skip
    assert (count.value, count.lower_bound) == (1.0, True)


async def test_the_same_state_across_executions() -> None:
    """Three of four fail in Fetch, and the detail names it."""
    states = {"a": "Fetch", "b": "Fetch", "c": "Store", "d": "Fetch"}
    executions = [execution(name, "FAILED", ended=number) for number, name in enumerate(states)]
    aws = FakeAws(
        {
            "stepfunctions.ListExecutions": listed(*executions),
            "stepfunctions.GetExecutionHistory": lambda **asked: failing(states[asked["executionArn"][-1]]),
        }
    )
    seen = await run_probe(CHECK, {"state_machines": "jaunt"}, aws)
    (same,) = [one for one in seen if one.signal == "same_state"]
    assert (same.value, same.lower_bound, same.detail) == (3.0, False, "3 of 4 read failed in Fetch, E x3")
    asked = [call.params for call in aws.calls if call.name == "stepfunctions.GetExecutionHistory"]
    assert all(one["reverseOrder"] and not one["includeExecutionData"] for one in asked)
    seen = await run_probe(CHECK, {"state_machines": "jaunt", "histories": 2}, aws)
    (same,) = [one for one in seen if one.signal == "same_state"]
    assert (same.value, same.lower_bound) == (2.0, True)


@pytest.mark.parametrize(
    ("counts", "value"),
    [
        ({"ExecutionsFailed": [3], "ExecutionsTimedOut": [1], "ExecutionsSucceeded": [36]}, 0.1),
        ({"ExecutionsSucceeded": [36]}, 0.0),
        ({"ExecutionsFailed": [1], "ExecutionsSucceeded": [1]}, None),
        ({"ExecutionsFailed": [5], "ExecutionsAborted": [500], "ExecutionsSucceeded": [45]}, 0.1),
        ({}, None),
    ],
    ids=["of what ended", "all well", "too few", "a drain dilutes nothing", "nothing ended"],
)
async def test_the_failure_rate(counts: dict[str, list[float]], value: float | None) -> None:
    """Failed and timed out of ended, absent where it would be a ratio of tiny numbers."""
    metrics = {METRIC.format(name): points for name, points in counts.items()}
    aws = FakeAws({"stepfunctions.ListExecutions": listed()}, metrics=metrics)
    assert (await run(aws))["jaunt", "failure_rate"] == (None if value is None else pytest.approx(value))


async def test_express_machines_are_counted_by_cloudwatch() -> None:
    """AWS lists no executions of theirs, so there is no state to name."""
    express = Resource(ResourceKind.STATE_MACHINE, "jaunt", MACHINE, {"type": "EXPRESS"})
    metrics = {METRIC.format("ExecutionsFailed"): [7], METRIC.format("ExecutionsSucceeded"): [63]}
    aws = FakeAws(metrics=metrics, resources=[express])
    assert await run(aws) == {("jaunt", "failed"): 7.0, ("jaunt", "failure_rate"): pytest.approx(0.1)}


@pytest.mark.parametrize("broken", ["ListExecutions", "GetExecutionHistory"])
async def test_a_failed_source_spoils_only_its_own_signals(broken: str, down: ProbeError) -> None:
    """The rate stands while lists or histories can't be read."""
    replies = {
        "stepfunctions.ListExecutions": listed(execution("a", "FAILED", ended=1)),
        "stepfunctions.GetExecutionHistory": failing("Fetch"),
        f"stepfunctions.{broken}": down,
    }
    metrics = {METRIC.format("ExecutionsFailed"): [1], METRIC.format("ExecutionsSucceeded"): [9]}
    seen = await run(FakeAws(replies, metrics=metrics))
    assert seen["jaunt", "failure_rate"] == 0.1
    assert seen["jaunt", "same_state"] is Reason.UNAVAILABLE
    assert seen["jaunt", "failed"] == (1.0 if broken == "GetExecutionHistory" else Reason.UNAVAILABLE)


def test_our_own_stops_do_not_count() -> None:
    """ABORTED is what tripswitch's drain leaves behind."""
    assert CHECK.params.model_validate({"state_machines": "x"}).statuses == ("FAILED", "TIMED_OUT")
