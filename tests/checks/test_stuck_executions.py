"""stuck_executions: ages from the list of RUNNING ones, standstill from the histories of the oldest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest

from checks.stuck_executions import CHECK, StuckExecutions
from monitor.plugin import ProbeError, Reason, Resource, ResourceKind, progress_of
from monitor.testing import EPOCH, FakeAws, observed, run_probe


def running(*minutes: float, **more: Any) -> dict[str, Any]:
    """A page of RUNNING executions of these ages."""
    return {
        "executions": [
            {"executionArn": f"arn:run-{age}", "startDate": EPOCH - timedelta(minutes=age), **more} for age in minutes
        ]
    }


def history(*events: tuple[float, str, str]) -> list[dict[str, Any]]:
    """Events as (minutes ago, type, state name), oldest first; returned newest first as asked for."""
    return [
        {
            "id": number,
            "timestamp": EPOCH - timedelta(minutes=age),
            "type": kind,
            "stateEnteredEventDetails": {"name": name},
            "stateExitedEventDetails": {"name": name},
        }
        for number, (age, kind, name) in reversed(list(enumerate(events)))
    ]


WAITING = {"events": history((20, "ExecutionStarted", ""), (20, "TaskStateEntered", "Load"), (18, "TaskStarted", ""))}


def linked(pages: Sequence[Any]) -> list[Any]:
    """Pages with the token that AWS puts on all but the last."""
    return [{**page, "nextToken": "more"} if isinstance(page, dict) else page for page in pages[:-1]] + [*pages[-1:]]


def machine(*pages: Any, replies: Mapping[str, Any] | None = None) -> FakeAws:
    """An AWS with one machine, these pages of RUNNING executions and WAITING as every history."""
    return FakeAws(
        {"stepfunctions.ListExecutions": linked(pages), "stepfunctions.GetExecutionHistory": WAITING, **(replies or {})}
    )


@pytest.mark.parametrize(
    ("pages", "stuck", "oldest"),
    [
        ([running()], 0, 0),
        ([running(1, 15)], 0, 15),
        ([running(1, 15.1)], 1, 15.1),
        ([running(1, 2), running(3, 90)], 1, 90),
        ([running(90, redriveDate=EPOCH - timedelta(minutes=2))], 0, 2),
    ],
    ids=["none runs", "just in time", "just too long", "the oldest stand on the last page", "a redrive starts anew"],
)
async def test_ages_come_from_every_page_of_running_executions(pages: list[Any], stuck: int, oldest: float) -> None:
    """stuck counts what is older than expected, oldest is the age of the oldest."""
    aws = machine(*pages)
    seen = observed(await run_probe(CHECK, {"state_machines": "etl"}, aws))
    assert seen["etl", "stuck"] == stuck
    assert seen["etl", "oldest"] == pytest.approx(oldest * 60)
    assert all(call.params.get("statusFilter", "RUNNING") == "RUNNING" for call in aws.calls)


@pytest.mark.parametrize(
    ("events", "state_age", "idle"),
    [
        ([(30, "TaskStateEntered", "Load"), (29, "TaskStarted", "")], 30, 29),
        ([(30, "TaskStateEntered", "A"), (20, "TaskStateExited", "A"), (20, "WaitStateEntered", "B")], 20, 20),
        ([(30, "TaskStateEntered", "A"), (20, "TaskStateExited", "A"), (10, "TaskStateEntered", "A")], 10, 10),
        ([(30, "MapStateEntered", "All"), (5, "TaskStateEntered", "One")], 5, 5),
        ([(30, "MapStateEntered", "All"), (25, "TaskStateEntered", "One"), (5, "TaskStateEntered", "Two")], 25, 5),
        ([(30, "MapStateEntered", "All"), (28, "MapRunStarted", "")], 30, 28),
        ([(30, "TaskStateEntered", "A"), (20, "TaskStateExited", "A")], 30, 20),
    ],
    ids=[
        "in a task",
        "moved on",
        "in a loop",
        "a map with one branch",
        "its slowest branch",
        "a distributed map",
        "between states",
    ],
)
def test_the_present_state_is_the_one_entered_and_not_left(
    events: Sequence[tuple[float, str, str]], state_age: float, idle: float
) -> None:
    """Containers count only while nothing inside them is open; the order of events doesn't matter."""
    for order in (history(*events), list(reversed(history(*events)))):
        progress = progress_of(order, is_whole=True)
        assert EPOCH - progress.entered == timedelta(minutes=state_age)
        assert EPOCH - progress.last == timedelta(minutes=idle)


async def test_a_state_with_more_events_than_a_page_is_at_least_so_old() -> None:
    """No entry on the page: the oldest event seen bounds the age from below."""
    page = {"events": history((40, "TaskFailed", ""), (1, "TaskScheduled", "")), "nextToken": "more"}
    aws = machine(running(60), replies={"stepfunctions.GetExecutionHistory": page})
    seen = await run_probe(CHECK, {"state_machines": "etl"}, aws)
    age = next(one for one in seen if one.signal == "state_age")
    assert (age.value, age.lower_bound) == (40 * 60.0, True)


async def test_only_the_oldest_few_histories_are_read() -> None:
    """`histories` bounds the calls; what was left out makes the values lower bounds."""
    aws = machine(running(*range(20, 40)))
    seen = await run_probe(CHECK, {"state_machines": "etl", "histories": 2}, aws)
    read = [call.params["executionArn"] for call in aws.calls if call.name.endswith("History")]
    assert read == ["arn:run-39", "arn:run-38"]
    assert {one.signal for one in seen if one.lower_bound} == {"state_age", "idle"}


async def test_nothing_stuck_reads_no_history() -> None:
    """state_age and idle are 0 without a single history call."""
    aws = machine(running(1, 2))
    seen = observed(await run_probe(CHECK, {"state_machines": "etl"}, aws))
    assert (seen["etl", "state_age"], seen["etl", "idle"]) == (0.0, 0.0)
    assert aws.count("stepfunctions.GetExecutionHistory") == 0


async def test_a_history_that_fails_leaves_the_ages(down: ProbeError) -> None:
    """The secondary source fails alone."""
    aws = machine(running(90), replies={"stepfunctions.GetExecutionHistory": down})
    assert observed(await run_probe(CHECK, {"state_machines": "etl"}, aws)) == {
        ("etl", "stuck"): 1.0,
        ("etl", "oldest"): 5400.0,
        ("etl", "state_age"): Reason.UNAVAILABLE,
        ("etl", "idle"): Reason.UNAVAILABLE,
    }


async def test_a_page_cap_makes_lower_bounds() -> None:
    """What lies beyond max_pages is older still."""
    aws = machine(running(1, 20), running(30))
    seen = await run_probe(CHECK, {"state_machines": "etl", "max_pages": 1}, aws)
    assert all(one.lower_bound for one in seen)
    assert observed(seen)["etl", "stuck"] == 1.0


async def test_an_express_machine_says_why_it_is_unknown() -> None:
    """unknown(invalid) with a reason a person can act on; its Standard neighbour is read."""
    there = [
        Resource(ResourceKind.STATE_MACHINE, "fast", "arn:fast", {"type": "EXPRESS"}),
        Resource(ResourceKind.STATE_MACHINE, "slow", "arn:slow", {"type": "STANDARD"}),
    ]
    aws = machine(running())
    aws.resources = there
    seen = await run_probe(CHECK, {"state_machines": "*"}, aws)
    values = observed(seen)
    assert values["fast", "stuck"] is Reason.INVALID
    assert values["slow", "stuck"] == 0.0
    assert "Express" in seen[0].detail


async def test_a_machine_that_is_gone_is_unknown_on_every_signal(gone: ProbeError) -> None:
    """not_found on all four."""
    seen = observed(await run_probe(CHECK, {"state_machines": "etl"}, machine(gone)))
    assert list(seen.values()) == [Reason.NOT_FOUND] * 4


SCHEDULED = {
    "by its ARN": {
        "id": 3, "timestamp": EPOCH, "type": "LambdaFunctionScheduled",
        "lambdaFunctionScheduledEventDetails": {"resource": "arn:aws:lambda:us-east-1:123456789012:function:transform"},
    },
    "by the service integration": {
        "id": 3, "timestamp": EPOCH, "type": "TaskScheduled",
        "taskScheduledEventDetails": {
            "resourceType": "lambda", "resource": "invoke", "parameters": '{"FunctionName": "transform:live"}',
        },
    },
}  # fmt: skip


@pytest.mark.parametrize("how", SCHEDULED)
async def test_the_file_and_the_function_that_hang_are_named(how: str) -> None:
    """The input is a text that holds JSON; the function is in the history, whoever wrote which ARN."""
    text = '{"detail": {"object": {"key": "incoming/a.csv"}}}'
    replies = {
        "stepfunctions.GetExecutionHistory": {"events": [SCHEDULED[how], *WAITING["events"]]},
        "stepfunctions.DescribeExecution": {
            "input": text,
            "mapRunArn": "arn:aws:states:us-east-1:123456789012:mapRun:etl/1",
        },
    }
    params = {"state_machines": "etl", "key": "detail.object.key"}
    seen = await run_probe(CHECK, params, machine(running(90, 60), replies=replies))
    details = {one.signal: one.detail for one in seen}
    function = "transform" if how == "by its ARN" else "transform:live"
    assert details["stuck"] == f"run-90 (incoming/a.csv, in {function}); run-60 (incoming/a.csv, in {function})"
    assert details["oldest"] == details["stuck"]


@pytest.mark.parametrize("text", ["not JSON", "{}", '{"detail": {"object": {"key": ""}}}'])
async def test_an_input_without_a_key_says_so(text: str) -> None:
    """And a history without a function names none."""
    replies = {"stepfunctions.DescribeExecution": {"input": text}}
    params = {"state_machines": "etl", "key": "detail.object.key"}
    seen = await run_probe(CHECK, params, machine(running(90), replies=replies))
    assert seen[0].detail == "run-90 (no detail.object.key in its input)"


async def test_without_a_key_no_input_is_read() -> None:
    """Inputs hold data: they are looked into only where the file says where."""
    aws = machine(running(90))
    await run_probe(CHECK, {"state_machines": "etl"}, aws)
    assert aws.count("stepfunctions.DescribeExecution") == 0
    with pytest.raises(ValueError, match="not a JMESPath"):
        StuckExecutions.model_validate({"state_machines": "etl", "key": "detail..x"})
