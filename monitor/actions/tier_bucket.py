"""Adds one lifecycle rule to a bucket that moves objects to a cheaper storage class after some days (row E4).

The rule has an id of tripswitch's own and is merged into the bucket's rules, which S3 only lets be replaced as a whole:
all others are read and written back as they are, and so is the bucket's minimum object size for transitions. Undo
removes exactly our rule, and the whole configuration where it was the only one. S3 has no revision id for it, so a rule
that somebody else adds within that second is lost. Objects moved meanwhile stay in their class.
Source: S3 API reference, PutBucketLifecycleConfiguration.

Blast radius: objects under the prefix; reading them may cost more, or (Glacier classes) need a restore first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal

from pydantic import Field, model_validator

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

_MOST_RULES = 1000


class TierParams(Params):
    """Which objects, when, where to."""

    bucket: str = Field(description="Name of the bucket.", min_length=3)
    prefix: str = Field(default="", description="Only objects whose keys begin so; empty: all.")
    days: int = Field(default=0, ge=0, description="Days after an object's creation.")
    storage_class: Literal[
        "INTELLIGENT_TIERING", "STANDARD_IA", "ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"
    ] = Field(default="INTELLIGENT_TIERING", description="Where they go.")

    @model_validator(mode="after")
    def _old_enough(self) -> TierParams:
        if self.storage_class in ("STANDARD_IA", "ONEZONE_IA") and self.days < 30:
            raise ValueError(f"S3 moves objects to {self.storage_class} after 30 days at the earliest")
        return self


def plan(params: TierParams, now: datetime) -> Change:
    """Pure. The same bucket and prefix is the same property, so that claims meet."""
    rule = "tripswitch-" + hashlib.sha256(params.prefix.encode()).hexdigest()[:12]
    where = f"{params.bucket}/{params.prefix}"
    return Change(
        action="tier_bucket",
        resource=f"s3/{params.bucket}",
        property=f"lifecycle:{rule}",
        wanted={"prefix": params.prefix, "days": params.days, "storage_class": params.storage_class},
        summary=f"move objects under {where} to {params.storage_class} {params.days} days after their creation",
        params={"bucket": params.bucket, "rule": rule},
    )


async def capture(change: Change, ctx: ActionContext) -> Json:
    """Our rule, as {prefix, days, storage_class}; None where the bucket has none."""
    for rule in (await _read(change, ctx)).get("Rules", ()):
        if rule.get("ID") == change.params["rule"] and rule.get("Status") == "Enabled":
            moves = rule.get("Transitions") or [{}]
            return {
                "prefix": str((rule.get("Filter") or {}).get("Prefix", rule.get("Prefix", ""))),
                "days": int(moves[0].get("Days", 0)),
                "storage_class": str(moves[0].get("StorageClass", "")),
            }
    return None


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """Merges the rule in and reads it back."""
    return await _set(change, change.wanted, ctx)


async def undo(receipt: Receipt, ctx: ActionContext) -> Receipt:
    """Takes our rule out (or puts back the one that had its id); the others stay as they are now."""
    return replace(await _set(receipt.change, receipt.prior, ctx), prior=receipt.prior)


async def _set(change: Change, wanted: Json, ctx: ActionContext) -> Receipt:
    live = await capture(change, ctx)
    if live == wanted:
        return Receipt(change=change, applied=live, detail="was so already")
    bucket, now = change.params["bucket"], await _read(change, ctx)
    others = [rule for rule in now.get("Rules", ()) if rule.get("ID") != change.params["rule"]]
    rules = [*others, _rule(change, wanted)] if isinstance(wanted, Mapping) else others
    if len(rules) > _MOST_RULES:
        raise ActionError(Reason.INVALID, f"{bucket} has {len(others)} lifecycle rules, S3 allows {_MOST_RULES}")
    if rules:
        kept = {key: now[key] for key in ("TransitionDefaultMinimumObjectSize",) if now.get(key)}
        await ctx.aws.mutate(
            "s3", "PutBucketLifecycleConfiguration", Bucket=bucket, LifecycleConfiguration={"Rules": rules}, **kept
        )
    else:
        await ctx.aws.mutate("s3", "DeleteBucketLifecycle", Bucket=bucket)
    live = await confirmed(lambda: capture(change, ctx), wanted, ctx, f"the lifecycle rule of {bucket}")
    return Receipt(change=change, applied=live, changed=True, detail=f"{len(others)} other rules kept")


def _rule(change: Change, wanted: Mapping[str, Json]) -> dict[str, Any]:
    return {
        "ID": change.params["rule"],
        "Status": "Enabled",
        "Filter": {"Prefix": wanted["prefix"]},
        "Transitions": [{"Days": wanted["days"], "StorageClass": wanted["storage_class"]}],
    }


async def _read(change: Change, ctx: ActionContext) -> Mapping[str, Any]:
    try:
        return await ctx.aws.call("s3", "GetBucketLifecycleConfiguration", Bucket=change.params["bucket"])
    except ProbeError as error:
        if error.reason is Reason.NOT_FOUND and "lifecycle configuration" in error.detail.lower():
            return {}
        raise


def needs(params: TierParams) -> list[Permission]:
    """For IAM: what one step asks, undo included."""
    return [need(*ACTION.permissions, bucket=params.bucket)]


ACTION = Action(
    name="tier_bucket",
    summary="Adds a lifecycle rule that moves a bucket's objects to a cheaper storage class.",
    params=TierParams,
    # Undone, the rule is gone; what it moved stays where it is, and transitions cost money.
    risk=Risk.DISRUPTIVE,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=undo,
    permissions=("s3:GetLifecycleConfiguration", "s3:PutLifecycleConfiguration"),
    example="tier_bucket: {bucket: etl-processed, prefix: archive/, days: 30, storage_class: STANDARD_IA}",
    blast_radius="Objects under one prefix of one bucket change their storage class, each at a price.",
    needs=needs,
)
