"""Gives an AppSync API a cache, or changes the one it has (row B3: full, SMALL, an hour).

Where there was no cache, undo deletes the one made here (it costs money by the hour); where there was one, its ttl,
behaviour and size come back. Encryption belongs to a cache's creation and can't be changed. A cache takes minutes to
come and to go. Flushing it is one call: `aws_call` with FlushApiCache. Single resolvers: `set_resolver_cache`.
Source: AppSync API reference, CreateApiCache, UpdateApiCache, DeleteApiCache.

Blast radius: every caller of one API; cached answers may be up to `ttl` old.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from monitor.actions.polling import until
from monitor.actions.readback import shown
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

_MINUTES = 15
_MOVING = ("CREATING", "DELETING", "MODIFYING")


class ApiCacheParams(Params):
    """Which API, what cache."""

    api: str = Field(description="Id of the AppSync API.", min_length=1)
    ttl: int = Field(default=3600, ge=1, le=3600, description="Seconds an answer is kept.")
    behavior: Literal["FULL_REQUEST_CACHING", "PER_RESOLVER_CACHING", "OPERATION_LEVEL_CACHING"] = Field(
        default="FULL_REQUEST_CACHING", description="What is cached; PER_RESOLVER needs set_resolver_cache as well."
    )
    size: Literal["SMALL", "MEDIUM", "LARGE", "XLARGE", "LARGE_2X", "LARGE_4X", "LARGE_8X", "LARGE_12X"] = Field(
        default="SMALL", description="Size of the cache instance."
    )


def plan(params: ApiCacheParams, now: datetime) -> Change:
    """Pure."""
    return Change(
        action="set_api_cache",
        resource=f"appsync/{params.api}",
        property="cache",
        wanted={"ttl": params.ttl, "behavior": params.behavior, "size": params.size},
        summary=f"cache the answers of the API {params.api} for {params.ttl} s ({params.size})",
        params={"api": params.api},
    )


async def capture(change: Change, ctx: ActionContext) -> Json:
    """The cache as {ttl, behavior, size}; None without one, also while it is being deleted."""
    return _value(await _read(change, ctx))


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """Creates or updates, and waits until the cache is available."""
    return await _set(change, change.wanted, ctx)


async def undo(receipt: Receipt, ctx: ActionContext) -> Receipt:
    """The earlier cache, or none."""
    return replace(await _set(receipt.change, receipt.prior, ctx), prior=receipt.prior)


async def _set(change: Change, wanted: Json, ctx: ActionContext) -> Receipt:
    cache = await _settled(change, ctx)
    live = _value(cache)
    if live == wanted:
        return Receipt(change=change, applied=live, detail=f"was {shown(live)} already")
    api = change.params["api"]
    if not isinstance(wanted, Mapping):
        await ctx.aws.mutate("appsync", "DeleteApiCache", apiId=api)
    else:
        asked: dict[str, Any] = {"ttl": wanted["ttl"], "apiCachingBehavior": wanted["behavior"], "type": wanted["size"]}
        operation = "CreateApiCache" if cache is None else "UpdateApiCache"
        await ctx.aws.mutate("appsync", operation, apiId=api, **asked)
    live = _value(await _settled(change, ctx))
    if live != wanted:
        raise ActionError(Reason.UNAVAILABLE, f"the cache of {api} was set to {shown(wanted)}, it reads {shown(live)}")
    return Receipt(change=change, applied=live, changed=True)


async def _settled(change: Change, ctx: ActionContext) -> Mapping[str, Any] | None:
    def rests(cache: Mapping[str, Any] | None) -> bool:
        return cache is None or cache.get("status") not in _MOVING

    cache = await until(
        lambda: _read(change, ctx), rests, ctx, f"the cache of {change.params['api']}", minutes=_MINUTES
    )
    if cache is not None and cache.get("status") == "FAILED":
        raise ActionError(Reason.INVALID, f"the cache of {change.params['api']} failed: delete it, then try again")
    return cache


async def _read(change: Change, ctx: ActionContext) -> Mapping[str, Any] | None:
    try:
        reply = await ctx.aws.call("appsync", "GetApiCache", apiId=change.params["api"])
    except ProbeError as error:
        if error.reason is Reason.NOT_FOUND:
            return None
        raise
    return dict(reply["apiCache"])


def _value(cache: Mapping[str, Any] | None) -> Json:
    if cache is None or cache.get("status") == "DELETING":
        return None
    return {"ttl": int(cache["ttl"]), "behavior": str(cache["apiCachingBehavior"]), "size": str(cache["type"])}


def needs(params: ApiCacheParams) -> list[Permission]:
    """For IAM: what one step asks, undo included."""
    return [need(*ACTION.permissions)]


ACTION = Action(
    name="set_api_cache",
    summary="Gives an AppSync API a cache, or changes it.",
    params=ApiCacheParams,
    risk=Risk.REVERSIBLE,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=undo,
    permissions=(
        "appsync:GetApiCache",
        "appsync:CreateApiCache",
        "appsync:UpdateApiCache",
        "appsync:DeleteApiCache",
    ),
    example="set_api_cache: {api: abcdefghijklmnopqrstuvwxyz, ttl: 3600, behavior: PER_RESOLVER_CACHING}",
    blast_radius="Every caller of one API gets answers up to `ttl` old; the cache is billed by the hour.",
    needs=needs,
)
