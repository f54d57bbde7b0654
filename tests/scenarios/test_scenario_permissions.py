"""The printed policy holds nothing to spare: three incidents, each played again with one listed action taken away.

That the policy is enough is seen by every other scene: all are played under it (conftest).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import pytest
import test_scenario_etl as etl
import test_scenario_jaunt_queue as jaunt
from cutting import cut
from permitted import DAEMON, policies_of, statements_of

from monitor.core.iam import actions_of
from monitor.demo.emulator.child import ACCOUNT, Child, Side

Play = Callable[[Any], Awaitable[None]]


class Incident(NamedTuple):
    """A scene to play, what of which file it is about, and the actions that its policy lists."""

    play: Play
    pipeline: str
    breaker: str
    actions: tuple[str, ...]
    #: Listed for what this scene's world does not hold.
    otherwise: Mapping[str, str] = {}


INCIDENTS = {
    "throttled function": Incident(
        etl.test_e1_throttled_function_gets_more_concurrency_and_gives_it_back, "etl", "ingest-throttling",
        ("cloudwatch:GetMetricData", "lambda:GetAccountSettings", "lambda:GetFunctionConcurrency",
         "lambda:PutFunctionConcurrency"),
        {"lambda:DeleteFunctionConcurrency": "the undo of a function that had no reserved concurrency"},
    ),
    "stuck executions": Incident(
        etl.test_e2_stuck_executions_are_stopped_and_run_again_once, "etl", "stuck-execution",
        ("states:DescribeExecution", "states:DescribeStateMachine", "states:GetExecutionHistory",
         "states:ListExecutions", "states:StartExecution", "states:StopExecution"),
    ),
    "dead letters": Incident(
        jaunt.test_a1_dead_letters_are_sampled_then_one_and_the_rest_go_back, "jaunt-data-scout", "dead-letters",
        ("cloudwatch:GetMetricData", "sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes",
         "sqs:GetQueueUrl", "sqs:ListDeadLetterSourceQueues", "sqs:ListMessageMoveTasks", "sqs:ReceiveMessage",
         "sqs:SendMessage", "sqs:StartMessageMoveTask"),
    ),
}  # fmt: skip
EACH = [(name, action) for name, incident in INCIDENTS.items() for action in incident.actions]


def statements(incident: Incident) -> list[dict[str, Any]]:
    """Of the part of the file that the scene plays."""
    return statements_of(cut(incident.pipeline, {"ACCOUNT_ID": ACCOUNT}, [incident.breaker], []))


@pytest.mark.parametrize("name", INCIDENTS)
def test_the_policy_lists_these_actions(name: str) -> None:
    """So that none is left out below; and each Sid names a purpose once."""
    incident = INCIDENTS[name]
    listed = {action for one in statements(incident) for action in one["Action"]}
    assert listed == {*incident.actions, *incident.otherwise}
    loaded = cut(incident.pipeline, {"ACCOUNT_ID": ACCOUNT}, [incident.breaker], [])
    for policy in policies_of(loaded):
        sids = [one["Sid"] for one in policy.document["Statement"]]
        assert len(set(sids)) == len(sids)
        assert all(sid.isalnum() for sid in sids)


@pytest.mark.parametrize(("name", "action"), EACH)
async def test_without_one_action_a_call_is_denied(
    emulator: Child, stage: Callable[..., Awaitable[Any]], name: str, action: str
) -> None:
    """The same incident with the action taken out of every statement: AWS's refusal is met before it is over."""
    incident = INCIDENTS[name]

    async def poorer(*args: Any, **options: Any) -> Any:
        scene = await stage(*args, **options)
        cut_down = [{**one, "Action": [a for a in one["Action"] if a != action]} for one in statements(incident)]
        await scene.side.post("iam", statements=[one for one in cut_down if one["Action"]], agent=DAEMON)
        return scene

    async with Side(emulator.url) as side:
        denied = await _first_denied(incident.play(poorer), side)
        log = (await side.get("log", operation="*"))["entries"]
        await side.post("iam")  # what was denied here is what was wanted
    assert denied["action"] == action, denied
    refused = [f"{one['service']}:{one['operation']}" for one in log if one["status"] in (400, 403)]
    assert denied["operation"] in refused
    if action != "sqs:SendMessage":  # a move task is refused for what it would do
        service, operation = denied["operation"].split(":")
        assert action in actions_of(service, operation) or operation == "StartMessageMoveTask"


async def _first_denied(play: Awaitable[None], side: Side) -> dict[str, str]:
    """Play until something is denied; fails when the scene ends without that."""
    playing = asyncio.ensure_future(play)
    try:
        while True:
            ended, _ = await asyncio.wait({playing}, timeout=0.1)
            denied = (await side.get("iam"))["denied"]
            if denied:
                first: dict[str, str] = denied[0]
                return first
            assert not ended, "the scene ended, and nothing was denied"
    finally:
        playing.cancel()
        await asyncio.wait({playing})
