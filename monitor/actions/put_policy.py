"""Puts a policy back: a role's inline policy or a bucket's, whole, as it was while all was well or as given.

Without `document` it is the newest policy that was live while this breaker was closed and its condition did not hold,
other than the one that is live now; tripswitch looks at it every five minutes in such times, keeps ten, and says so
when it knows none yet. What was there before is captured, and undo puts exactly that back (no policy: it is deleted).
AWS has no revision id for policies, so an edit by someone else within that second is lost.
Source: IAM API reference, PutRolePolicy and GetRolePolicy; S3 API reference, PutBucketPolicy and GetBucketPolicy.

Blast radius: everyone who uses the role or the bucket gains or loses rights at once: have a person say yes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import unquote

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

LAST_GOOD = "last_good"


class PolicyParams(Params):
    """Whose policy, and which one."""

    role: str | None = Field(default=None, min_length=1, description="Name of the IAM role.")
    policy: str | None = Field(default=None, min_length=1, description="Name of the role's inline policy.")
    bucket: str | None = Field(default=None, min_length=3, description="Name of the bucket, instead of a role.")
    document: dict[str, Any] | None = Field(
        default=None,
        description="The policy, as AWS takes it; by default the last one that was live while all was well.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> PolicyParams:
        if (self.bucket is None) == (self.role is None) or (self.role is None) != (self.policy is None):
            raise ValueError("give `role` and `policy` (the name of its inline policy), or `bucket`")
        if self.document is not None and "Statement" not in self.document:
            raise ValueError("`document` has no Statement: write the whole policy")
        return self


def plan(params: PolicyParams, now: datetime) -> Change:
    """Pure; which policy was the last good one is asked before the intent is written."""
    where = f"the bucket {params.bucket}" if params.bucket else f"the role {params.role} ({params.policy})"
    which = "its last good policy" if params.document is None else "the given policy"
    return Change(
        action="put_policy",
        resource=f"s3/{params.bucket}" if params.bucket else f"iam/{params.role}/{params.policy}",
        property="policy",
        wanted=LAST_GOOD if params.document is None else params.document,
        summary=f"put {which} on {where}",
        params={"role": params.role, "policy": params.policy, "bucket": params.bucket},
    )


async def capture(change: Change, ctx: ActionContext) -> Json:
    """The policy as JSON; None where there is none."""
    try:
        if change.params["bucket"] is not None:
            text = (await ctx.aws.call("s3", "GetBucketPolicy", Bucket=change.params["bucket"]))["Policy"]
        else:
            names: dict[str, Any] = {"RoleName": change.params["role"], "PolicyName": change.params["policy"]}
            text = (await ctx.aws.call("iam", "GetRolePolicy", **names))["PolicyDocument"]
    except ProbeError as error:
        if error.reason is not Reason.NOT_FOUND:
            raise
        return None
    return _parsed(text)


async def resolve(change: Change, base: Json, ctx: ActionContext) -> Json:
    """The last good policy. Raises ActionError(invalid) when none is known."""
    if change.wanted != LAST_GOOD:
        return change.wanted
    for known in await ctx.healthy():
        if known != base:
            return known
    raise ActionError(
        Reason.INVALID,
        f"no policy of {change.resource} other than the present one was seen while all was well: give `document`,"
        " or put it back by hand and reset",
    )


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """Writes the policy and reads it back."""
    return await _set(change, change.wanted, ctx)


async def undo(receipt: Receipt, ctx: ActionContext) -> Receipt:
    """The policy that was there, or none."""
    return replace(await _set(receipt.change, receipt.prior, ctx), prior=receipt.prior)


async def _set(change: Change, wanted: Json, ctx: ActionContext) -> Receipt:
    live = await capture(change, ctx)
    if live == wanted:
        return Receipt(change=change, applied=live, detail="was so already")
    role, policy, bucket = (change.params[name] for name in ("role", "policy", "bucket"))
    if bucket is not None and wanted is None:
        await ctx.aws.mutate("s3", "DeleteBucketPolicy", Bucket=bucket)
    elif bucket is not None:
        await ctx.aws.mutate("s3", "PutBucketPolicy", Bucket=bucket, Policy=json.dumps(wanted))
    elif wanted is None:
        await ctx.aws.mutate("iam", "DeleteRolePolicy", RoleName=role, PolicyName=policy)
    else:
        document = json.dumps(wanted)
        await ctx.aws.mutate("iam", "PutRolePolicy", RoleName=role, PolicyName=policy, PolicyDocument=document)
    live = await confirmed(lambda: capture(change, ctx), wanted, ctx, f"the policy of {change.resource}")
    return Receipt(change=change, applied=live, changed=True, detail="removed" if wanted is None else _told(wanted))


def _parsed(text: Any) -> Json:
    """A policy as a value. IAM's is URL-encoded where the SDK has not decoded it."""
    if isinstance(text, str):
        text = json.loads(text if text.lstrip().startswith("{") else unquote(text))
    return json.loads(json.dumps(text))  # type: ignore[no-any-return]  # plain JSON, as the journal keeps it


def _told(policy: Json) -> str:
    statements = policy.get("Statement") if isinstance(policy, Mapping) else None
    count = len(statements) if isinstance(statements, (list, tuple)) else 1
    return f"{count} statement{'' if count == 1 else 's'}"


def needs(params: PolicyParams) -> list[Permission]:
    """For IAM: what one step asks, undo included."""
    verbs = ("Get", "Put", "Delete")
    if params.bucket is not None:
        return [need(*(f"s3:{verb}BucketPolicy" for verb in verbs), bucket=params.bucket)]
    return [need(*(f"iam:{verb}RolePolicy" for verb in verbs), role=params.role)]


ACTION = Action(
    name="put_policy",
    summary="Puts a role's inline policy or a bucket's policy back, as it was while all was well or as given.",
    params=PolicyParams,
    risk=Risk.DISRUPTIVE,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=undo,
    resolve=resolve,
    remembers=True,
    needs=needs,
    permissions=(
        "iam:GetRolePolicy",
        "iam:PutRolePolicy",
        "iam:DeleteRolePolicy",
        "s3:GetBucketPolicy",
        "s3:PutBucketPolicy",
        "s3:DeleteBucketPolicy",
    ),
    example="put_policy: {role: ingest, policy: write-raw}",
    blast_radius="Whoever uses the role or the bucket gains or loses rights at once.",
)
