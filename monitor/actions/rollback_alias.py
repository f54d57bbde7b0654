"""Points a Lambda alias back to an earlier version, all traffic at once, and forward again when undone.

Changes the alias' version and clears its weights; undo restores both exactly. `previous` is: during a shift of traffic
the older of the versions that share it; else the version that was live before, as tripswitch saw it itself: while the
breaker is closed and its condition does not hold it looks every five minutes where the alias points, and keeps ten
places. AWS keeps no history of an alias, so where tripswitch has seen no older version live yet, the newest published
one older than the live one is taken, and people are told that it may never have been live. Both count from the value
before any change of tripswitch's (two breakers that roll back go back one version, not two), and versions that
tripswitch published itself (`set_environment`) are passed over with the version they were made from.
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
    before = await _live_before(version, change, ctx)
    return {"version": before or await _published_before(version, change, ctx), "routing": {}}


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


async def _live_before(version: str, change: Change, ctx: ActionContext) -> str | None:
    """The older version that was last seen live while all was well; not one of ours, nor what ours is a copy of."""
    seen = [str(place.get("version")) for place in await ctx.healthy() if isinstance(place, Mapping)]
    if not seen:
        return None
    older = _older(version, await _published(change, ctx))
    return next((one for one in seen if one.isdigit() and int(one) in older), None)


async def _published_before(version: str, change: Change, ctx: ActionContext) -> str:
    older = _older(version, await _published(change, ctx))
    if not older:
        raise ActionError(Reason.INVALID, f"{change.params['function']} has no published version before {version}")
    await ctx.notify(
        (),
        f"{change.resource}: version {older[0]} may never have been live",
        f"tripswitch has seen no older version of {change.resource} live while all was well, so it goes back to the"
        f" newest published one before {version}: {older[0]}. If that one never served, point the alias elsewhere.",
    )
    return str(older[0])


def _older(version: str, published: Mapping[int, bool]) -> list[int]:
    """Releases before this version, newest first; without the one that a version of ours is a copy of."""
    older = sorted((number for number, ours in published.items() if number < int(version) and not ours), reverse=True)
    return older[1:] if published.get(int(version)) else older


async def _published(change: Change, ctx: ActionContext) -> dict[int, bool]:
    """Published versions, and whether tripswitch published them."""
    own: dict[int, bool] = {}
    pages = ctx.aws.pages("lambda", "ListVersionsByFunction", FunctionName=change.params["function"])
    async for page in pages:
        for row in page.get("Versions", ()):
            if str(row["Version"]).isdigit():
                own[int(row["Version"])] = str(row.get("Description", "")).startswith(MARK)
    return own


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
    remembers=True,
    permissions=("lambda:GetAlias", "lambda:UpdateAlias", "lambda:ListVersionsByFunction"),
    example="rollback_alias: {function: opendata-pulse-api, alias: LIVE}",
    blast_radius="One alias: all its callers get the other version at once.",
    resource_field="function",
    resource_kind=ResourceKind.FUNCTION,
    needs=needs,
)
