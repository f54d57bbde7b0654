"""Makes any one AWS call, so that a line of a runbook is config; with `capture` and `undo` it restores itself.

With `capture` (a read and a JMESPath expression over its reply) the value is read before and after the call; with
`undo` too it is a property that is restored, and `undo` may use it as `${prior}`. Give `expect`, the value that shows
after the call, wherever it is known: without it, a crash between a restorable call and its reading back shows as drift.
Without `capture` nothing proves the effect, and the receipt says so. A call that is not idempotent is never repeated
after an unclear outcome. Operations and parameters are checked against AWS's service models at load.

Blast radius: whatever the call reaches. Deleting operations are destructive whatever `risk` says.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal

import jmespath
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from monitor.actions.readback import confirmed, shown
from monitor.plugin import (
    Action,
    ActionContext,
    ActionError,
    Change,
    Held,
    Json,
    OperationUse,
    Params,
    Reason,
    Receipt,
    Risk,
    target_name,
)

PRIOR = "${prior}"
_DELETES = re.compile(r"(Batch|Force)?(Delete|Purge|Terminate|Destroy|Drop|Empty|Deregister)|(?!Cancel)\w*Deletion$")
#: Repeating these has no second effect; everything else is not repeated after an unclear outcome.
_REPEATABLE = re.compile(
    r"(Update(?!Item)|Set|Modify|Enable|Disable|Stop|Delete|Tag|Untag|Attach|Detach|Suspend|Pause|Put(?!Events|Record|Metric|Log))"
)
_IDENTIFIER = re.compile(r".*(Name|Arn|ARN|Id|Identifier|Url|URL|Bucket|Cluster)$", re.IGNORECASE)


class Read(BaseModel):
    """A read whose reply holds the value that the call changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    operation: str = Field(description="A read-only operation of the same service, e.g. DescribeTable.")
    parameters: dict[str, Any] = Field(default_factory=dict, description="Its parameters.")
    query: str = Field(description="JMESPath expression over its reply (as the AWS CLI's --query).")

    @field_validator("query")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            jmespath.compile(value)
        except jmespath.exceptions.JMESPathError as error:
            raise ValueError(f"not a JMESPath expression: {error}") from None
        return value


class Undo(BaseModel):
    """The call that puts things back."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    operation: str = Field(description="A mutating operation of the same service.")
    parameters: dict[str, Any] = Field(
        default_factory=dict, description="Its parameters; `${prior}` stands for the captured value."
    )


class CallParams(Params):
    """Which call, how its effect is read, how it is taken back."""

    service: str = Field(description="AWS service as the AWS CLI names it, e.g. dynamodb.")
    operation: str = Field(description="The operation, e.g. UpdateTable.")
    parameters: dict[str, Any] = Field(default_factory=dict, description="Its parameters, as the API names them.")
    capture: Read | None = Field(default=None, description="How to read the value that the call changes.")
    undo: Undo | None = Field(default=None, description="The call that restores it; needs `capture`.")
    expect: Any = Field(default=None, description="The captured expression's value once the call took effect.")
    risk: Literal["reversible", "disruptive", "destructive"] = Field(
        default="disruptive", description="How bad it can be; deleting operations are always destructive."
    )
    resource: str | None = Field(default=None, description="What it acts on, for people and for claims.")

    @model_validator(mode="after")
    def _consistent(self) -> CallParams:
        if self.capture is None and (self.undo is not None or "expect" in self.model_fields_set):
            raise ValueError("`undo` and `expect` need a `capture`: nothing is restored or judged that was not read")
        return self


def risk_of(params: CallParams) -> Risk:
    """The declared risk, but destructive for operations that delete."""
    return Risk.DESTRUCTIVE if _DELETES.match(_spelled(params.operation)) else Risk(params.risk)


def operations(params: CallParams) -> Sequence[OperationUse]:
    """Every operation the parameters name, for validation at load."""
    uses = [OperationUse(params.service, params.operation, params.parameters, mutating=True)]
    if read := params.capture:
        uses.append(
            OperationUse(params.service, read.operation, read.parameters, False, query=read.query, path=("capture",))
        )
    if params.undo:
        uses.append(
            OperationUse(params.service, params.undo.operation, params.undo.parameters, mutating=True, path=("undo",))
        )
    return uses


def plan(params: CallParams, now: datetime) -> Change:
    """Pure. Parameters may hold secrets or payloads: the summary names the operation and its object only."""
    resource = params.resource or _resource(params)
    call = f"{params.service}:{params.operation}"
    return Change(
        action="aws_call",
        resource=resource,
        property=_property(params),
        wanted=params.expect,
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
    expected = "expect" in params.model_fields_set
    if expected and live == change.wanted:
        return Receipt(change=change, applied=live, detail=f"was {shown(live)} already")
    # A restorable call is judged by its property (captured -> apply); any other one only by what we remember of it.
    if change.property is None and not _idempotent(params.operation, params.parameters) and ctx.memory.get("calling"):
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
    await _call(params.service, params.undo.operation, _filled(params.undo.parameters, receipt.prior), ctx)
    live = await confirmed(lambda: capture(change, ctx), receipt.prior, ctx, change.resource)
    return replace(receipt, applied=live, changed=True, detail="")


async def _call(service: str, operation: str, parameters: Mapping[str, Any], ctx: ActionContext) -> None:
    await ctx.aws.mutate(service, operation, idempotent=_idempotent(operation, parameters), **parameters)


def _idempotent(operation: str, parameters: Mapping[str, Any]) -> bool:
    name = _spelled(operation)
    return (name == "StartExecution" and "name" in parameters) or _REPEATABLE.match(name) is not None


def _spelled(operation: str) -> str:
    """As the API spells it, also for the AWS CLI's `delete-table`."""
    parts = re.split(r"[-_]", operation)
    return "".join(part[:1].upper() + part[1:] for part in parts)


async def _changed(before: Json, change: Change, ctx: ActionContext) -> Json:
    """The live value once it is no longer `before`, or `before` after some tries."""
    live, pause = await capture(change, ctx), 0.25
    for _ in range(7):
        if live != before:
            break
        await ctx.sleep(pause)
        live, pause = await capture(change, ctx), min(pause * 2, 8.0)
    return live


def _property(params: CallParams) -> str | None:
    if params.capture is None or params.undo is None:
        return None  # what nothing restores is nobody's to hold: a process, not a property
    read = params.capture
    text = json.dumps([read.operation, read.parameters, read.query], sort_keys=True, default=str)
    return f"{params.service}:{read.operation}:{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _resource(params: CallParams) -> str:
    for name, value in params.parameters.items():
        if _IDENTIFIER.match(name) and isinstance(value, str):
            return f"{params.service}/{target_name(value)}"
    return f"{params.service}/{params.operation}"


def _filled(value: Any, prior: Json) -> Any:
    """`${prior}` as a whole scalar keeps the captured type; inside a longer text it is written out."""
    if isinstance(value, Mapping):
        return {key: _filled(part, prior) for key, part in value.items()}
    if isinstance(value, list):
        return [_filled(part, prior) for part in value]
    if value == PRIOR:
        return prior
    if isinstance(value, str):
        return value.replace(PRIOR, prior if isinstance(prior, str) else json.dumps(prior))
    return value


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
