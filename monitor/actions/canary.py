"""Starts one execution of a state machine, waits for its end and judges it: what follows holds until it succeeds.

A process that can't be undone. The execution's name is remembered before it is started, so a crash starts no second
one. Anything but SUCCEEDED within the time fails the step for good (the steps after it hold, a person looks); one that
takes too long is stopped. By itself a failed canary is not started again, unless `attempts` allows more.
Source: Step Functions API reference, StartExecution (idempotent by name), DescribeExecution. Standard machines only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from pydantic import Field

from monitor.plugin import (
    Action,
    ActionContext,
    ActionError,
    Change,
    Duration,
    Json,
    Params,
    Permission,
    Reason,
    Receipt,
    ResourceKind,
    Risk,
    Selector,
    need,
    target_name,
)

_POLL_SECONDS = 5.0
_ERROR = "CanaryTooLate"


class CanaryParams(Params):
    """Which machine, with what, how long."""

    state_machine: str = Field(description="Name or ARN of the state machine.", min_length=1)
    input: dict[str, Any] = Field(default_factory=dict, description="Input of the one execution.")
    within: Duration = Field(default=timedelta(minutes=5), description="It must have succeeded by then.")
    attempts: int = Field(
        default=1, ge=1, le=20, description="Executions that may be started in all, one after another."
    )


def plan(params: CanaryParams, now: datetime) -> Change:
    """Pure; the input is not shown."""
    name = target_name(params.state_machine)
    shown = params.model_dump(mode="json")
    return Change(
        action="canary",
        resource=f"states/{name}",
        wanted=None,
        summary=f"start one execution of {name} and expect it to succeed within {shown['within']}",
        params=shown,
    )


async def capture(change: Change, ctx: ActionContext) -> Json:
    """Nothing; that the machine exists and can be watched. Raises ActionError(invalid) for an Express one."""
    arn = await _machine(change, ctx)
    seen = await ctx.aws.call("stepfunctions", "DescribeStateMachine", stateMachineArn=arn)
    if seen.get("type") == "EXPRESS":
        raise ActionError(
            Reason.INVALID, f"{change.resource} is an Express state machine: its executions can't be watched"
        )
    return None


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """Raises ActionError(invalid) when it fails or is late. `data`: execution (its ARN), seconds."""
    params = CanaryParams.model_validate(change.params)
    tries, failed = ctx.memory.get("tries"), ctx.memory.get("failed")
    tries = tries if isinstance(tries, int) else 0
    if failed is not None and tries >= params.attempts:
        raise ActionError(Reason.INVALID, str(failed))
    if failed is not None or tries == 0:
        tries += 1
        began = ctx.now().isoformat()
        seed = f"{ctx.trip.id}/{params.state_machine}/{tries}/{began}"
        name = "canary-" + hashlib.sha256(seed.encode()).hexdigest()[:32]
        await ctx.remember(tries=tries, name=name, began=began, failed=None)
    execution = await _started(change, params, ctx)
    began_at = datetime.fromisoformat(str(ctx.memory["began"]))
    seen = await _ended(execution, began_at + params.within, ctx)
    took = round((ctx.now() - began_at).total_seconds())
    if seen["status"] == "SUCCEEDED":
        data: dict[str, Json] = {"execution": execution, "seconds": took}
        return Receipt(change=change, changed=True, detail=f"succeeded within {took} s", data=data)
    # The cause may quote what the execution was about: only the error's name is told.
    why = f"ended as {seen['status']}" + (f" ({str(seen['error'])[:80]})" if seen.get("error") else "")
    if seen["status"] == "RUNNING" or seen.get("error") == _ERROR:
        why = f"did not end within {change.params['within']} and was stopped"
    text = f"the canary {execution.rsplit(':', 1)[-1]} of {change.resource} {why}"
    await ctx.remember(failed=text)
    raise ActionError(Reason.INVALID, text)


async def _started(change: Change, params: CanaryParams, ctx: ActionContext) -> str:
    machine, name = await _machine(change, ctx), str(ctx.memory["name"])
    try:
        reply = await ctx.aws.mutate(
            "stepfunctions", "StartExecution", stateMachineArn=machine, name=name, input=json.dumps(params.input)
        )
    except ActionError as error:
        if "ExecutionAlreadyExists" not in error.detail:
            raise
        # Started by an attempt before this one, and ended since.
        return f"{machine.replace(':stateMachine:', ':execution:', 1)}:{name}"
    return str(reply["executionArn"])


async def _ended(execution: str, until: datetime, ctx: ActionContext) -> Mapping[str, Any]:
    """Its description once it has ended; one that is late is stopped."""
    while True:
        seen = await ctx.aws.call("stepfunctions", "DescribeExecution", executionArn=execution)
        left = (until - ctx.now()).total_seconds()
        if seen["status"] != "RUNNING":
            return seen
        if left <= 0:
            await ctx.aws.mutate(
                "stepfunctions", "StopExecution", executionArn=execution, error=_ERROR, cause="canary took too long"
            )
            return seen
        await ctx.progress(0, 1, timedelta(seconds=left), "waiting for the canary")
        await ctx.sleep(min(_POLL_SECONDS, left))


async def _machine(change: Change, ctx: ActionContext) -> str:
    named = str(change.params["state_machine"])
    if named.startswith("arn:"):
        return named
    (machine,) = await ctx.aws.find(ResourceKind.STATE_MACHINE, Selector(names=(named,)))
    return machine.arn


def needs(params: CanaryParams) -> list[Permission]:
    """For IAM: what one step asks, undo included."""
    return [
        need("states:DescribeStateMachine", "states:StartExecution", machine=params.state_machine),
        need("states:DescribeExecution", "states:StopExecution", execution=params.state_machine),
    ]


ACTION = Action(
    name="canary",
    summary="Starts one execution, waits and judges it; later steps hold until it succeeds.",
    params=CanaryParams,
    risk=Risk.DISRUPTIVE,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=None,
    permissions=(
        "states:DescribeStateMachine",
        "states:StartExecution",
        "states:DescribeExecution",
        "states:StopExecution",
    ),
    example="canary: {state_machine: jaunt-discovery, input: {city: lisbon}, within: 10m}",
    blast_radius="What one execution with that input does.",
    resource_field="state_machine",
    resource_kind=ResourceKind.STATE_MACHINE,
    needs=needs,
)
