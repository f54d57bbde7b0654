"""Redrives failed executions: each goes on from the state that failed, with the same input and what was done so far.

Standard machines only, within 14 days of the failure; AWS refuses more than 1,000 redrives of one execution, and one
whose history has come near 25,000 events. What AWS calls not redrivable is left alone and named. An execution that was
redriven since the trip began is never redriven by it again, whatever becomes of it. Each is read back: its count of
redrives has to have risen. It can't be undone; stop what goes wrong with `stop_executions`.
Source: Step Functions API reference, RedriveExecution, DescribeExecution (redriveStatus); Step Functions quotas.

Blast radius: up to `most` executions run again; repair the cause first, and let a canary succeed.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any

from monitor.actions.executions import READS, SKEW, reads_of
from monitor.actions.failed_runs import Failed, FailedParams, Tally, change_of, described, listed
from monitor.plugin import (
    Action,
    ActionContext,
    ActionError,
    Change,
    Json,
    Permission,
    Reason,
    Receipt,
    ResourceKind,
    Risk,
    need,
)

_MOST_REDRIVES, _PERIOD = 1000, timedelta(days=14)
_LOOKS, _LOOK_SECONDS = 6, 0.5


def plan(params: FailedParams, now: datetime) -> Change:
    """Pure; what failed is not known before AWS is asked."""
    return change_of("redrive_executions", "redrive", params)


async def capture(change: Change, ctx: ActionContext) -> Json:
    """How many failed in the window, for the journal: {"failed": N}. Refuses named Express machines."""
    return {"failed": len(await listed(FailedParams.model_validate(change.params), ctx))}


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """One after the other; resumable at any point. `data`: done, names, skipped, why, left."""
    params, tally = FailedParams.model_validate(change.params), Tally()
    before = ctx.memory.get("done")
    tally.done = before if isinstance(before, int) else 0  # those of a former attempt run or have ended since
    arns = await listed(params, ctx)
    for index, arn in enumerate(arns):
        if tally.done >= params.most:
            tally.left = len(arns) - index
            break
        one = await described(arn, ctx)
        if not params.fits(one.error):
            continue
        if (why := _unfit(one, ctx)) is not None:
            tally.skip(one, why)
            continue
        await _redrive(one, tally, ctx)
        await ctx.remember(done=tally.done)
        await ctx.progress(tally.done, min(params.most, len(arns)) - tally.done)
        await ctx.sleep(1 / params.rate)
    return Receipt(change=change, changed=tally.done > 0, detail=tally.text("redriven"), data=tally.data())


async def _redrive(one: Failed, tally: Tally, ctx: ActionContext) -> None:
    # Within 15 minutes a second call with the same token is the first one again.
    token = hashlib.sha256(f"{ctx.trip.id}/{one.arn}".encode()).hexdigest()
    try:
        await ctx.aws.mutate("stepfunctions", "RedriveExecution", executionArn=one.arn, clientToken=token)
    except ActionError as error:
        if "ExecutionNotRedrivable" not in error.detail:
            raise
        tally.skip(one, "AWS calls it not redrivable")
        return
    count = int(one.seen.get("redriveCount") or 0)
    for look in range(_LOOKS):
        if look:
            await ctx.sleep(_LOOK_SECONDS)
        if int((await described(one.arn, ctx)).seen.get("redriveCount") or 0) > count:
            tally.did(one)
            return
    raise ActionError(Reason.UNAVAILABLE, f"{one.name} was redriven but its count of redrives is still {count}")


def _unfit(one: Failed, ctx: ActionContext) -> str | None:
    seen: Any = one.seen
    if seen["status"] in ("RUNNING", "SUCCEEDED", "PENDING_REDRIVE"):
        return f"it is {seen['status']}"
    if seen.get("redriveDate") is not None and seen["redriveDate"] >= ctx.trip.started_at - SKEW:
        return "it was redriven since the trip began, and failed again"
    if seen.get("redriveStatus") not in (None, "REDRIVABLE"):
        return str(seen.get("redriveStatusReason") or "AWS calls it not redrivable")
    if int(seen.get("redriveCount") or 0) >= _MOST_REDRIVES:
        return f"it was redriven {_MOST_REDRIVES} times, AWS's limit"
    if ctx.now() - seen["stopDate"] > _PERIOD:
        return "it failed more than 14 days ago"
    return None


def needs(params: FailedParams) -> list[Permission]:
    """For IAM: what one step asks."""
    return [*reads_of(params.state_machines), need("states:RedriveExecution", execution=params.state_machines)]


ACTION = Action(
    name="redrive_executions",
    summary="Redrives failed Step Functions executions: each goes on from the state that failed.",
    params=FailedParams,
    risk=Risk.DISRUPTIVE,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=None,
    permissions=(*READS, "states:RedriveExecution"),
    example="redrive_executions: {state_machines: [etl-workflow], failed_within: 2h, most: 50, rate: 1}",
    blast_radius="Up to `most` failed executions run again.",
    resource_field="state_machines",
    resource_kind=ResourceKind.STATE_MACHINE,
    takes_many=True,
    needs=needs,
)
