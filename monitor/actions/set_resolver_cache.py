"""Has AppSync cache the answers of one resolver (row B3: 1800 s, by suburb).

UpdateResolver replaces the whole resolver, so every field is read and written back and only the caching changes; AWS
has no revision id for resolvers, so an edit by someone else within that second is lost. It takes effect only while the
API has a cache with PER_RESOLVER_CACHING (`set_api_cache`).
Source: AppSync API reference, GetResolver and UpdateResolver.

Blast radius: callers of one field; answers are shared by everyone who has the same `keys`: leave none out that matters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from pydantic import Field, field_validator

from monitor.actions.readback import confirmed, shown
from monitor.plugin import (
    Action,
    ActionContext,
    Change,
    Json,
    Params,
    Permission,
    Receipt,
    Risk,
    need,
)

#: What UpdateResolver takes besides names and caching; GetResolver's other fields are AWS's own.
_KEPT = (
    "dataSourceName", "requestMappingTemplate", "responseMappingTemplate", "kind", "pipelineConfig", "syncConfig",
    "maxBatchSize", "runtime", "code", "metricsConfig",
)  # fmt: skip
_ROOTS = ("$context.arguments", "$context.source", "$context.identity")


class ResolverCacheParams(Params):
    """Which resolver, how long, shared by whom."""

    api: str = Field(description="Id of the AppSync API.", min_length=1)
    type: str = Field(default="Query", description="Type of the field.", min_length=1)
    field: str = Field(description="Name of the field.", min_length=1)
    ttl: int = Field(default=3600, ge=1, le=3600, description="Seconds an answer is kept.")
    keys: tuple[str, ...] = Field(default=(), description="What tells callers apart: `$context.arguments.suburb`.")

    @field_validator("keys")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for key in value:
            if not key.startswith(_ROOTS):
                raise ValueError(f"{key!r}: a caching key begins with {', '.join(_ROOTS)}")
        return value


def plan(params: ResolverCacheParams, now: datetime) -> Change:
    """Pure."""
    name = f"{params.type}.{params.field}"
    return Change(
        action="set_resolver_cache",
        resource=f"appsync/{params.api}/{name}",
        property="caching",
        wanted={"ttl": params.ttl, "keys": list(params.keys)},
        summary=f"cache the answers of {name} of the API {params.api} for {params.ttl} s",
        params={"api": params.api, "type": params.type, "field": params.field},
    )


async def capture(change: Change, ctx: ActionContext) -> Json:
    """{ttl, keys}, or None where it is not cached."""
    caching = (await _read(change, ctx)).get("cachingConfig")
    return {"ttl": int(caching["ttl"]), "keys": list(caching.get("cachingKeys") or ())} if caching else None


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """Writes the resolver back as it is, but for its caching."""
    return await _set(change, change.wanted, ctx)


async def undo(receipt: Receipt, ctx: ActionContext) -> Receipt:
    """The earlier caching, or none; edits to the resolver meanwhile are kept."""
    return replace(await _set(receipt.change, receipt.prior, ctx), prior=receipt.prior)


async def _set(change: Change, wanted: Json, ctx: ActionContext) -> Receipt:
    live = await capture(change, ctx)
    if live == wanted:
        return Receipt(change=change, applied=live, detail=f"was {shown(live)} already")
    resolver = await _read(change, ctx)
    kept: dict[str, Any] = {name: resolver[name] for name in _KEPT if resolver.get(name) is not None}
    if isinstance(wanted, Mapping):
        keys = wanted.get("keys")
        kept["cachingConfig"] = {"ttl": wanted["ttl"]} | (
            {"cachingKeys": keys} if isinstance(keys, Sequence) and keys else {}
        )
    await ctx.aws.mutate("appsync", "UpdateResolver", **_named(change), **kept)
    live = await confirmed(lambda: capture(change, ctx), wanted, ctx, f"the caching of {change.resource}")
    return Receipt(change=change, applied=live, changed=True)


def _named(change: Change) -> dict[str, Any]:
    return {"apiId": change.params["api"], "typeName": change.params["type"], "fieldName": change.params["field"]}


async def _read(change: Change, ctx: ActionContext) -> Mapping[str, Any]:
    return dict((await ctx.aws.call("appsync", "GetResolver", **_named(change)))["resolver"])


def needs(params: ResolverCacheParams) -> list[Permission]:
    """For IAM: what one step asks, undo included."""
    return [need(*ACTION.permissions)]


ACTION = Action(
    name="set_resolver_cache",
    summary="Has AppSync cache the answers of one resolver.",
    params=ResolverCacheParams,
    risk=Risk.REVERSIBLE,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=undo,
    permissions=("appsync:GetResolver", "appsync:UpdateResolver"),
    example="set_resolver_cache: {api: abcdefgh, field: readings, ttl: 1800, keys: [$context.arguments.suburb]}",
    blast_radius="Callers of one field get shared answers up to `ttl` old.",
    needs=needs,
)
