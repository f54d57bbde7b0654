"""Sets a feature flag: a String parameter of the SSM Parameter Store, which the pipeline's code reads at run time.

Changes the value only; undo puts the earlier value back, or deletes the parameter where there was none. A SecureString
or StringList is refused: a secret does not belong in a journal. The flag acts when the code next reads it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from pydantic import Field

from monitor.actions.readback import confirmed
from monitor.plugin import (
    Action,
    ActionContext,
    ActionError,
    Change,
    Json,
    Params,
    Permission,
    ProbeError,
    Reason,
    Receipt,
    Risk,
    need,
)


class ParameterParams(Params):
    """Which flag, which value."""

    name: str = Field(description="Name of the parameter, e.g. `/etl/connectors/google`.", min_length=1)
    value: str = Field(description="What to set; never a secret.", min_length=1, max_length=4096)


def plan(params: ParameterParams, now: datetime) -> Change:
    """Pure."""
    value = params.value if len(params.value) <= 60 else params.value[:57] + "..."
    return Change(
        action="set_parameter",
        resource=f"ssm/{params.name}",
        property="value",
        wanted=params.value,
        summary=f"set the parameter {params.name} to {value!r}",
        params={"name": params.name, "value": params.value},
    )


async def capture(change: Change, ctx: ActionContext) -> Json:
    """The value, or None where there is no such parameter. Raises ActionError(invalid) for other types."""
    try:
        reply = await ctx.aws.call("ssm", "GetParameter", Name=change.params["name"])
    except ProbeError as error:
        if error.reason is Reason.NOT_FOUND:
            return None
        raise
    parameter = reply["Parameter"]
    kind = parameter.get("Type", "String")
    if kind != "String":
        raise ActionError(
            Reason.INVALID, f"{change.resource} is a {kind}; flags are String parameters (a secret is not journalled)"
        )
    return str(parameter["Value"])


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """Writes a new version unless the value is set already."""
    return await _set(change, change.wanted, ctx)


async def undo(receipt: Receipt, ctx: ActionContext) -> Receipt:
    """The earlier value, or no parameter."""
    return replace(await _set(receipt.change, receipt.prior, ctx), prior=receipt.prior)


async def _set(change: Change, wanted: Json, ctx: ActionContext) -> Receipt:
    name, live = change.params["name"], await capture(change, ctx)
    if live == wanted:
        return Receipt(change=change, applied=live, detail="had that value already")
    if wanted is None:
        await ctx.aws.mutate("ssm", "DeleteParameter", Name=name)
    else:
        await ctx.aws.mutate("ssm", "PutParameter", Name=name, Value=wanted, Type="String", Overwrite=True)
    live = await confirmed(lambda: capture(change, ctx), wanted, ctx, f"the value of {change.resource}")
    return Receipt(change=change, applied=live, changed=True)


def needs(params: ParameterParams) -> list[Permission]:
    """For IAM: what one step asks, undo included."""
    return [need(*ACTION.permissions, parameter=params.name)]


ACTION = Action(
    name="set_parameter",
    summary="Sets an SSM parameter that the pipeline reads as a feature flag.",
    params=ParameterParams,
    risk=Risk.REVERSIBLE,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=undo,
    permissions=("ssm:GetParameter", "ssm:PutParameter", "ssm:DeleteParameter"),
    example="set_parameter: {name: /jaunt/connectors/google, value: mock}",
    blast_radius="Whatever reads that parameter, when it next reads it.",
    needs=needs,
)
