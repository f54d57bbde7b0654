"""Where a Lambda alias points: its version and the weights of others beside it, read and set as one value.

AWS guards an alias by its revision id: a change by someone else between our read and our write is refused, and then
read again. Source: Lambda API reference, GetAlias and UpdateAlias.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitor.plugin import ActionContext, ActionError, Json, Reason

LATEST = "$LATEST"
#: Begins the description of versions that tripswitch publishes.
MARK = "tripswitch:"


async def read_place(function: str, alias: str, ctx: ActionContext) -> dict[str, Json]:
    """{"version": "7", "routing": {"8": 0.1}}; no weights: an empty routing. Raises ProbeError(not_found)."""
    return (await _read(function, alias, ctx))[0]


async def point(function: str, alias: str, place: Mapping[str, Json], ctx: ActionContext) -> bool:
    """Point the alias there, weights included; False if it did already. Raises ActionError(unavailable) on a race."""
    live, revision = await _read(function, alias, ctx)
    if live == place:
        return False
    guard: dict[str, Any] = {"RevisionId": revision} if revision else {}
    try:
        await ctx.aws.mutate(
            "lambda", "UpdateAlias", FunctionName=function, Name=alias, FunctionVersion=place["version"],
            RoutingConfig={"AdditionalVersionWeights": place["routing"]}, **guard,
        )  # fmt: skip
    except ActionError as error:
        # A repeated attempt is refused too if the first one had its effect after all.
        if not is_stale(error) or await read_place(function, alias, ctx) != place:
            raise stale_or(error, f"the alias {function}:{alias}") from error
    return True


def is_stale(error: ActionError) -> bool:
    """True if AWS refused because the revision is no longer the one that was read."""
    return "PreconditionFailed" in error.detail


def stale_or(error: ActionError, what: str) -> ActionError:
    """A refusal for a stale revision becomes one that is tried again from the start."""
    if not is_stale(error):
        return error
    return ActionError(Reason.UNAVAILABLE, f"{what} was changed by someone else at the same time: read again")


async def _read(function: str, alias: str, ctx: ActionContext) -> tuple[dict[str, Json], str | None]:
    reply = await ctx.aws.call("lambda", "GetAlias", FunctionName=function, Name=alias)
    weights = (reply.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    routing: dict[str, Json] = {str(version): float(weight) for version, weight in sorted(weights.items())}
    return {"version": str(reply["FunctionVersion"]), "routing": routing}, reply.get("RevisionId")
