"""Brings a CloudFormation stack back to its last stable state (row B6), by the call that its state allows.

UPDATE_IN_PROGRESS is cancelled (CancelUpdateStack), UPDATE_FAILED is rolled back (RollbackStack), and a roll back that
got stuck (UPDATE_ROLLBACK_FAILED) is continued (ContinueUpdateRollback), if need be without the resources of `skip`,
which then differ from the template until somebody mends them. A stack that is rolling back already is only followed.
Every other state is refused by name. Source: CloudFormation API reference, those three.

Blast radius: every resource of one stack that the update had changed.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

from pydantic import Field

from monitor.actions.polling import until
from monitor.plugin import (
    Action,
    ActionContext,
    ActionError,
    Change,
    Json,
    Params,
    Permission,
    Reason,
    Receipt,
    Risk,
    need,
)

_MINUTES = 60
_CALLS = {
    "UPDATE_IN_PROGRESS": "CancelUpdateStack",
    "UPDATE_FAILED": "RollbackStack",
    "UPDATE_ROLLBACK_FAILED": "ContinueUpdateRollback",
}
_BACK = frozenset({"UPDATE_ROLLBACK_COMPLETE", "ROLLBACK_COMPLETE"})


class RollbackStackParams(Params):
    """Which stack."""

    stack: str = Field(description="Name or ARN of the stack.", min_length=1)
    skip: tuple[str, ...] = Field(default=(), description="Logical ids to leave out when a stuck roll back goes on.")


def plan(params: RollbackStackParams, now: datetime) -> Change:
    """Pure; which call it takes depends on the stack's state then."""
    but = f", without {', '.join(params.skip)}" if params.skip else ""
    return Change(
        action="rollback_stack",
        resource=f"cloudformation/{params.stack}",
        wanted=None,
        summary=f"bring the stack {params.stack} back to its last stable state{but}",
        params=params.model_dump(mode="json"),
    )


async def capture(change: Change, ctx: ActionContext) -> Json:
    """The stack's status."""
    reply = await ctx.aws.call("cloudformation", "DescribeStacks", StackName=change.params["stack"])
    return str(reply["Stacks"][0]["StackStatus"])


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """One call, then until the stack rests. Raises ActionError(invalid) where it has nothing to go back from."""
    params = RollbackStackParams.model_validate(change.params)
    found = await capture(change, ctx)
    before = str(ctx.memory.get("before") or found)
    if found in _BACK and "before" in ctx.memory:
        return Receipt(change=change, changed=True, detail=f"{before} -> {found}", data={"before": before})
    call = _CALLS.get(str(found))
    if call is None and not ("ROLLBACK" in str(found) and str(found).endswith("IN_PROGRESS")):
        raise ActionError(Reason.INVALID, f"{change.resource} is {found}: there is no update to go back from")
    await ctx.remember(before=before)
    if call is not None:
        more: dict[str, Any] = {"ResourcesToSkip": list(params.skip)} if params.skip and call.startswith("Cont") else {}
        # The token makes a repeated call the same call; one that ended badly may be made anew.
        tries = ctx.memory.get("tries") or 0
        token = hashlib.sha256(f"{ctx.trip.id}/{params.stack}/{found}/{tries}".encode()).hexdigest()[:32]
        await ctx.aws.mutate("cloudformation", call, StackName=params.stack, ClientRequestToken=token, **more)
        await until(lambda: capture(change, ctx), lambda now: now != found, ctx, change.resource, minutes=1)
    last = await until(lambda: capture(change, ctx), _rests, ctx, change.resource, minutes=_MINUTES)
    if last not in _BACK:
        tried = ctx.memory.get("tries")
        await ctx.remember(tries=(tried if isinstance(tried, int) else 0) + 1)
        raise ActionError(Reason.INVALID, f"{change.resource} ended as {last}; see its events")
    return Receipt(change=change, changed=True, detail=f"{before} -> {last}", data={"before": before})


def _rests(status: Json) -> bool:
    """CancelUpdateStack answers before the status moves: an update in progress is not the end."""
    return not str(status).endswith("IN_PROGRESS")


def needs(params: RollbackStackParams) -> list[Permission]:
    """For IAM: what one step asks, undo included."""
    return [need(*ACTION.permissions, stack=params.stack)]


ACTION = Action(
    name="rollback_stack",
    summary="Cancels, rolls back or goes on rolling back a CloudFormation update, by the stack's state.",
    params=RollbackStackParams,
    risk=Risk.DESTRUCTIVE,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=None,
    permissions=(
        "cloudformation:DescribeStacks",
        "cloudformation:CancelUpdateStack",
        "cloudformation:RollbackStack",
        "cloudformation:ContinueUpdateRollback",
    ),
    example="rollback_stack: {stack: opendata-pulse-api}",
    blast_radius="Every resource of one stack that the update had changed.",
    needs=needs,
)
