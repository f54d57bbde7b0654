"""Switches the cache of an API Gateway stage on (row C3), with a size and a time to live for all its methods.

UpdateStage changes single values by patch operations. Undo puts the cluster's switch and size and the stage-wide
method settings back; where there were no stage-wide settings, they are removed again. Settings of single methods win
over these and stay untouched. A cache takes about four minutes to come or go; AWS refuses other changes meanwhile.
Flushing it is one call: `aws_call` with FlushStageCache.
Source: API Gateway API reference, UpdateStage; patch operations reference, Stage.

Blast radius: all GET methods of one stage; the cache is billed by the hour.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from monitor.actions.polling import until
from monitor.actions.readback import confirmed
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

#: All methods of all resources.
_EVERY = "*/*"
_MINUTES = 10


class StageCacheParams(Params):
    """Which stage, what cache."""

    api: str = Field(description="Id of the REST API.", min_length=1)
    stage: str = Field(description="Name of the stage.", min_length=1)
    ttl: int = Field(default=300, ge=1, le=3600, description="Seconds an answer is kept.")
    size: Literal["0.5", "1.6", "6.1", "13.5", "28.4", "58.2", "118", "237"] = Field(
        default="0.5", description="Size of the cache in GB."
    )


def plan(params: StageCacheParams, now: datetime) -> Change:
    """Pure."""
    return Change(
        action="set_stage_cache",
        resource=f"apigateway/{params.api}/{params.stage}",
        property="cache",
        wanted={"cluster": True, "size": params.size, "caching": True, "ttl": params.ttl},
        summary=f"cache the stage {params.stage} of the API {params.api} for {params.ttl} s ({params.size} GB)",
        params={"api": params.api, "stage": params.stage},
    )


async def capture(change: Change, ctx: ActionContext) -> Json:
    """{cluster, size, caching, ttl}; size is None while off, caching and ttl None without stage-wide settings."""
    stage = await _read(change, ctx)
    every = (stage.get("methodSettings") or {}).get(_EVERY)
    on = bool(stage.get("cacheClusterEnabled"))
    return {
        "cluster": on,
        "size": str(stage["cacheClusterSize"]) if on and stage.get("cacheClusterSize") else None,
        "caching": bool(every.get("cachingEnabled")) if every else None,
        "ttl": int(every.get("cacheTtlInSeconds", 300)) if every else None,
    }


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """Patches the stage once it is at rest, and reads back. The cache itself serves some minutes later."""
    return await _set(change, change.wanted, ctx)


async def undo(receipt: Receipt, ctx: ActionContext) -> Receipt:
    """The earlier switch, size and stage-wide settings."""
    return replace(await _set(receipt.change, receipt.prior, ctx), prior=receipt.prior)


async def _set(change: Change, wanted: Json, ctx: ActionContext) -> Receipt:
    live = await capture(change, ctx)
    if live == wanted:
        return Receipt(change=change, applied=live, detail="was so already")
    what = f"the cache of {change.resource}"
    await until(
        lambda: _status(change, ctx), lambda status: not status.endswith("IN_PROGRESS"), ctx, what, minutes=_MINUTES
    )
    assert isinstance(wanted, Mapping)
    assert isinstance(live, Mapping)
    patches = _patches(live, wanted)
    await ctx.aws.mutate(
        "apigateway", "UpdateStage", restApiId=change.params["api"], stageName=change.params["stage"],
        patchOperations=patches,
    )  # fmt: skip
    live = await confirmed(lambda: capture(change, ctx), wanted, ctx, what)
    return Receipt(change=change, applied=live, changed=True, detail="AWS takes about four minutes over it")


def _patches(live: Mapping[str, Json], wanted: Mapping[str, Json]) -> list[dict[str, str]]:
    """From what is to what shall be. Switched off, a cache has no size to set."""
    patches: list[dict[str, str]] = []
    if wanted["cluster"] and wanted["size"] != live["size"]:
        patches.append(_replace("/cacheClusterSize", str(wanted["size"])))
    if wanted["cluster"] != live["cluster"]:
        patches.append(_replace("/cacheClusterEnabled", _word(wanted["cluster"])))
    if wanted["caching"] is None and live["caching"] is not None:
        patches.append({"op": "remove", "path": "/*/*"})
    elif wanted["caching"] is not None:
        if wanted["caching"] != live["caching"]:
            patches.append(_replace("/*/*/caching/enabled", _word(wanted["caching"])))
        if wanted["ttl"] != live["ttl"]:
            patches.append(_replace("/*/*/caching/ttlInSeconds", str(wanted["ttl"])))
    return patches


def _replace(path: str, value: str) -> dict[str, str]:
    return {"op": "replace", "path": path, "value": value}


def _word(value: Json) -> str:
    return "true" if value else "false"


async def _status(change: Change, ctx: ActionContext) -> str:
    return str((await _read(change, ctx)).get("cacheClusterStatus", "NOT_AVAILABLE"))


async def _read(change: Change, ctx: ActionContext) -> Mapping[str, Any]:
    return await ctx.aws.call(
        "apigateway", "GetStage", restApiId=change.params["api"], stageName=change.params["stage"]
    )


def needs(params: StageCacheParams) -> list[Permission]:
    """For IAM: what one step asks, undo included."""
    return [need(*ACTION.permissions, rest_api=f"/{params.api}/stages/{params.stage}")]


ACTION = Action(
    name="set_stage_cache",
    summary="Switches the cache of an API Gateway stage on, for all its methods.",
    params=StageCacheParams,
    risk=Risk.REVERSIBLE,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=undo,
    # IAM names API Gateway's rights by HTTP method.
    permissions=("apigateway:GET", "apigateway:PATCH"),
    example="set_stage_cache: {api: a1b2c3d4e5, stage: prod, ttl: 60}",
    blast_radius="All GET methods of one stage give answers up to `ttl` old; the cache is billed by the hour.",
    needs=needs,
)
