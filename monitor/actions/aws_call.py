"""Makes any one AWS call, so that a line of a runbook is config; with `capture` and `undo` it restores itself.

With `capture` (a read and a JMESPath expression over its reply) the value is read before and after the call; with
`undo` too it is a property that is restored, and `undo` may use it as `${prior}`. `expect` is the value that shows
after the call, by which our change is told from someone else's; a restorable call needs it, unless it stands in
`parameters` where `undo` has its `${prior}`. Without `capture` nothing proves the effect, and the receipt says so. A
call that is not idempotent is never repeated after an unclear outcome. Operations and parameters are checked against
AWS's service models at load.

Blast radius: whatever the call reaches. Deleting operations are destructive whatever `risk` says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import jmespath

from monitor.actions.call_params import (
    PRIOR,
    CallParams,
    filled,
    is_repeatable,
    operations,
    property_of,
    resource_of,
    risk_of,
)
from monitor.actions.readback import confirmed, shown
from monitor.plugin import Action, ActionContext, ActionError, Change, Held, Json, Reason, Receipt, Risk


def plan(params: CallParams, now: datetime) -> Change:
    """Pure. Parameters may hold secrets or payloads: the summary names the operation and its object only."""
    resource = resource_of(params)
    call = f"{params.service}:{params.operation}"
    return Change(
        action="aws_call",
        resource=resource,
        property=property_of(params),
        wanted=params.expected()[1],
        summary=f"call {call} on {resource}",
        params=params.model_dump(mode="json", exclude_unset=True),
    )


async def capture(change: Change, ctx: ActionContext) -> Json:
    """The value of the expression, as JSON; None without `capture`."""
    params = CallParams.model_validate(change.params)
    if params.capture is None:
        return None
    reply = await ctx.aws.call(params.service, params.capture.operation, **params.capture.parameters)
    return _plain(jmespath.search(params.capture.query, dict(reply)))


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """Calls once. With `expect`, not at all if that value shows already, and an effect that never shows is an error."""
    params = CallParams.model_validate(change.params)
    live = await capture(change, ctx)
    expected, _ = params.expected()
    if expected and live == change.wanted:
        return Receipt(change=change, applied=live, detail=f"was {shown(live)} already")
    # A restorable call is judged by its property (captured -> apply); any other one only by what we remember of it.
    if change.property is None and not is_repeatable(params.operation, params.parameters) and ctx.memory.get("calling"):
        return Receipt(
            change=change, verified=False, detail="interrupted before: it may have been made, and is not repeated"
        )
    before = live if change.property is not None else ctx.memory.get("before", live)
    await ctx.remember(calling=True, before=before)
    try:
        await _call(params.service, params.operation, params.parameters, ctx)
    except Held:
        await ctx.remember(calling=False)
        raise
    except ActionError as error:
        if not error.ambiguous:
            await ctx.remember(calling=False)
        raise
    if params.capture is None:
        return Receipt(change=change, changed=True, verified=False, detail="effect not read back")
    if expected:
        live = await confirmed(lambda: capture(change, ctx), change.wanted, ctx, change.resource)
    else:
        live = await _changed(before, change, ctx)
    if live == before:
        return Receipt(change=change, prior=before, applied=live, verified=False, detail="nothing changed by the call")
    return Receipt(change=change, prior=before, applied=live, changed=True)


async def undo(receipt: Receipt, ctx: ActionContext) -> Receipt:
    """The configured call with `${prior}` filled in, read back."""
    change = receipt.change
    params = CallParams.model_validate(change.params)
    if params.undo is None:
        raise ActionError(Reason.INVALID, f"no undo is configured for {params.service}:{params.operation}")
    if receipt.prior is None and PRIOR in json.dumps(params.undo.parameters, default=str):
        raise ActionError(
            Reason.INVALID,
            f"{change.resource} was unset before, and this undo can only set a value: restore it by hand",
        )
    live = await capture(change, ctx)
    if live == receipt.prior:
        return replace(receipt, applied=live, changed=False, detail=f"was {shown(live)} already")
    await _call(params.service, params.undo.operation, filled(params.undo.parameters, receipt.prior), ctx)
    live = await confirmed(lambda: capture(change, ctx), receipt.prior, ctx, change.resource)
    return replace(receipt, applied=live, changed=True, detail="")


async def _call(service: str, operation: str, parameters: Mapping[str, Any], ctx: ActionContext) -> None:
    await ctx.aws.mutate(service, operation, idempotent=is_repeatable(operation, parameters), **parameters)


async def _changed(before: Json, change: Change, ctx: ActionContext) -> Json:
    """The live value once it is no longer `before`, or `before` after some tries."""
    live, pause = await capture(change, ctx), 0.25
    for _ in range(7):
        if live != before:
            break
        await ctx.sleep(pause)
        live, pause = await capture(change, ctx), min(pause * 2, 8.0)
    return live


def _plain(value: Any) -> Json:
    """As the journal keeps it: times as text, bytes refused."""
    if isinstance(value, (bytes, bytearray)) or hasattr(value, "read"):
        raise ActionError(Reason.INVALID, "the captured value is binary: capture something that can be journalled")
    return json.loads(json.dumps(value, default=str))  # type: ignore[no-any-return]


ACTION = Action(
    name="aws_call",
    summary="Makes any mutating AWS call; with capture and undo it reads back and restores.",
    params=CallParams,
    risk=Risk.DISRUPTIVE,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=undo,
    permissions=(),
    example="""aws_call:
  service: dynamodb
  operation: UpdateTable
  parameters: {TableName: etl-metadata, BillingMode: PAY_PER_REQUEST}
  capture:
    operation: DescribeTable
    parameters: {TableName: etl-metadata}
    query: Table.BillingModeSummary.BillingMode
  expect: PAY_PER_REQUEST
  risk: reversible
""",
    blast_radius="Whatever the call reaches.",
    risk_of=risk_of,
    operations=operations,
)
