"""Points a Lambda alias back to an earlier version, all traffic at once, and forward again when undone.

Changes the alias' version and clears its weights; undo restores both exactly. `previous` is: during a shift of traffic
the older of the versions that share it; else the newest published version older than the live one, as seen before any
change of tripswitch's (two breakers that roll back go back one version, not two). Versions that tripswitch published
itself (`set_environment`) are passed over with the version they were made from. AWS keeps no history of an alias: a
version that was published but never live counts too, so name the number where that happens.
Source: Lambda API reference, UpdateAlias and ListVersionsByFunction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from pydantic import Field, field_validator

from monitor.actions.alias import MARK, point, read_place
from monitor.actions.readback import confirmed
from monitor.actions.set_lambda_concurrency import function_name
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
    ResourceKind,
    Risk,
    need,
)

PREVIOUS = "previous"


class RollbackParams(Params):
    """Which alias, to which version."""

    function: str = Field(description="Name or ARN of the Lambda function.", min_length=1)
    alias: str = Field(description="The alias that serves the traffic, e.g. LIVE.", min_length=1, max_length=128)
    to: str = Field(default=PREVIOUS, description="`previous`, or the number of a published version.")

    @field_validator("to", mode="before")
    @classmethod
    def _version(cls, value: object) -> object:
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        if not isinstance(text, str) or not (text == PREVIOUS or (text.isdigit() and int(text) > 0)):
            raise ValueError("write `previous` or the number of a published version")
        return text


def plan(params: RollbackParams, now: datetime) -> Change:
    """Pure; which version `previous` is, is asked before the intent is written."""
    name = function_name(params.function)
    where = "the version before" if params.to == PREVIOUS else f"version {params.to}"
    return Change(
        action="rollback_alias",
        resource=f"lambda/{name}:{params.alias}",
        property="version",
        wanted={"version": params.to, "routing": {}},
        summary=f"point the alias {params.alias} of {name} to {where}, all traffic at once",
        params={"function": name, "alias": params.alias, "to": params.to},
    )


async def capture(change: Change, ctx: ActionContext) -> Json:
    """Version and weights."""
    return await read_place(str(change.params["function"]), str(change.params["alias"]), ctx)


async def resolve(change: Change, base: Json, ctx: ActionContext) -> Json:
    """The version that `previous` means. Raises ActionError(invalid) when there is none."""
    if change.params["to"] != PREVIOUS:
        return change.wanted
    assert isinstance(base, Mapping)
    version, routing = str(base["version"]), base["routing"]
    if isinstance(routing, Mapping) and routing:
        return {"version": str(min(int(one) for one in (version, *routing) if one.isdigit())), "routing": {}}
    if not version.isdigit():
        raise ActionError(
            Reason.INVALID, f"{change.resource} points to {version}, which has no version before: name one with `to`"
        )
    return {"version": await _before(version, change, ctx), "routing": {}}


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """Moves the alias and reads it back."""
    return await _set(change, change.wanted, ctx)


async def undo(receipt: Receipt, ctx: ActionContext) -> Receipt:
    """The earlier version with its weights."""
    return replace(await _set(receipt.change, receipt.prior, ctx), prior=receipt.prior)


async def _set(change: Change, wanted: Json, ctx: ActionContext) -> Receipt:
    function, alias = str(change.params["function"]), str(change.params["alias"])
    assert isinstance(wanted, Mapping)
    if not await point(function, alias, wanted, ctx):
        return Receipt(change=change, applied=wanted, detail=f"pointed to version {wanted['version']} already")
    live = await confirmed(lambda: capture(change, ctx), dict(wanted), ctx, f"the alias {change.resource}")
    return Receipt(change=change, applied=live, changed=True, detail=f"{alias} points to version {wanted['version']}")


async def _before(version: str, change: Change, ctx: ActionContext) -> str:
    own: dict[int, bool] = {}
    pages = ctx.aws.pages("lambda", "ListVersionsByFunction", FunctionName=change.params["function"])
    async for page in pages:
        for row in page.get("Versions", ()):
            if str(row["Version"]).isdigit():
                own[int(row["Version"])] = str(row.get("Description", "")).startswith(MARK)
    older = sorted((number for number in own if number < int(version) and not own[number]), reverse=True)
    if own.get(int(version)):
        older = older[1:]  # the newest of them is the release that ours is a copy of
    if not older:
        raise ActionError(Reason.INVALID, f"{change.params['function']} has no published version before {version}")
    return str(older[0])


def needs(params: RollbackParams) -> list[Permission]:
    """For IAM: what one step asks, undo included."""
    return [need(*ACTION.permissions, function=params.function)]


ACTION = Action(
    name="rollback_alias",
    summary="Points a Lambda alias back to the version before (or a named one), all traffic at once.",
    params=RollbackParams,
    risk=Risk.REVERSIBLE,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=undo,
    resolve=resolve,
    permissions=("lambda:GetAlias", "lambda:UpdateAlias", "lambda:ListVersionsByFunction"),
    example="rollback_alias: {function: opendata-pulse-api, alias: LIVE}",
    blast_radius="One alias: all its callers get the other version at once.",
    resource_field="function",
    resource_kind=ResourceKind.FUNCTION,
    needs=needs,
)
