"""Starts failed executions anew with their input and something changed in it: a smaller batch, another flag.

For what a redrive would only fail at again, because it keeps the input. `merge` is laid over the original's input
(objects are merged, everything else is replaced); an input that is no object is left alone and named. The new name is
made of the original's ARN, so that no original is ever started twice by this step, whatever happens in between.
Source: Step Functions API reference, StartExecution (idempotent by name), DescribeExecution. Standard machines only.

Blast radius: up to `most` executions run; the originals stay as they are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import Field

from monitor.actions.executions import READS, SKEW, cant_start_anew, origin_of, reads_of
from monitor.actions.failed_runs import Failed, FailedParams, Tally, change_of, described, listed
from monitor.plugin import (
    Action,
    ActionContext,
    ActionError,
    Change,
    Json,
    Permission,
    Receipt,
    ResourceKind,
    Risk,
    need,
)


class RestartParams(FailedParams):
    """Which failed executions, and what changes in their input."""

    merge: dict[str, Any] = Field(default_factory=dict, description="Laid over the input of each, objects merged.")


def plan(params: RestartParams, now: datetime) -> Change:
    """Pure; names of changed members only, since inputs may hold payloads."""
    changed = f" with {', '.join(sorted(params.merge))} changed" if params.merge else ""
    return change_of("restart_executions", f"start anew{changed}", params)


async def capture(change: Change, ctx: ActionContext) -> Json:
    """How many failed in the window, for the journal: {"failed": N}. Refuses named Express machines."""
    return {"failed": len(await listed(RestartParams.model_validate(change.params), ctx))}


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """One after the other; resumable at any point. `data`: done, names, skipped, why, left."""
    params, tally = RestartParams.model_validate(change.params), Tally()
    arns = await listed(params, ctx)
    for index, arn in enumerate(arns):
        if tally.done >= params.most:
            tally.left = len(arns) - index
            break
        one = await described(arn, ctx)
        if not params.fits(one.error) or one.name.startswith(f"{_PREFIX}-"):
            continue
        await _restart(one, params.merge, tally, ctx)
        await ctx.progress(tally.done, min(params.most, len(arns)) - tally.done)
        await ctx.sleep(1 / params.rate)
    return Receipt(change=change, changed=tally.done > 0, detail=tally.text("started anew"), data=tally.data())


#: Names of what this action started; such a one is not started anew again.
_PREFIX = "restart"


def restart_name(arn: str) -> str:
    """`restart-` and 32 hex digits, the same on every attempt."""
    return f"{_PREFIX}-{hashlib.sha256(arn.encode()).hexdigest()[:32]}"


def merged(value: Any, change: Any) -> Any:
    """`change` laid over `value`: objects are merged, everything else is replaced."""
    if isinstance(value, Mapping) and isinstance(change, Mapping):
        return {**value, **{key: merged(value.get(key), part) for key, part in change.items()}}
    return change


async def _restart(one: Failed, merge: Mapping[str, Any], tally: Tally, ctx: ActionContext) -> None:
    seen = one.seen
    if why := cant_start_anew(seen):
        tally.skip(one, why)
        return
    given = json.loads(seen["input"])
    if not isinstance(given, dict):
        tally.skip(one, "its input is no object")
        return
    try:
        reply: Mapping[str, Any] = await ctx.aws.mutate(
            "stepfunctions", "StartExecution", stateMachineArn=origin_of(seen), name=restart_name(one.arn),
            input=json.dumps(merged(given, merge)),
        )  # fmt: skip
    except ActionError as error:
        if "ExecutionAlreadyExists" not in error.detail:
            raise
        reply = (await described(f"{one.arn.rsplit(':', 1)[0]}:{restart_name(one.arn)}", ctx)).seen
    # It may run or have ended already: started by an attempt before this one, or by an earlier trip. Once is enough.
    if reply["startDate"] < ctx.trip.started_at - SKEW:
        tally.skip(one, "an earlier trip started it anew")
        return
    tally.did(one)


def needs(params: RestartParams) -> list[Permission]:
    """For IAM: what one step asks."""
    return [*reads_of(params.state_machines), need("states:StartExecution", machine=params.state_machines)]


ACTION = Action(
    name="restart_executions",
    summary="Starts failed Step Functions executions anew with their input, changed where told: smaller batches.",
    params=RestartParams,
    risk=Risk.DISRUPTIVE,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=None,
    permissions=(*READS, "states:StartExecution"),
    example="""restart_executions:
  state_machines: [etl-workflow]
  errors: [States.Timeout]
  merge: {batch_size: 10}
""",
    blast_radius="Up to `most` executions are started; the failed ones stay as they are.",
    resource_field="state_machines",
    resource_kind=ResourceKind.STATE_MACHINE,
    takes_many=True,
    needs=needs,
)
