"""Sets how many days CloudWatch Logs keeps the events of chosen log groups (rows E4: 30 -> 7 days).

Only groups under a prefix of at least three characters, or with tags, and never more than `max_groups` of them: a
retention for all groups of an account is nobody's wish. Each group is a change of its own; undo puts its earlier number
back, or removes the policy where there was none (events never expired). What CloudWatch Logs deleted meanwhile stays
deleted, usually within 72 hours of its expiry. Source: CloudWatch Logs API reference, PutRetentionPolicy.

Blast radius: events older than `days` of the chosen groups are deleted, for good.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from pydantic import Field, field_validator, model_validator

from monitor.actions.readback import confirmed, shown
from monitor.plugin import (
    Action,
    ActionContext,
    ActionError,
    Change,
    Json,
    Params,
    Permission,
    ProbeError,
    Reads,
    Reason,
    Receipt,
    Risk,
    need,
)

#: What PutRetentionPolicy accepts.
DAYS = (
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
)  # fmt: skip


class RetentionParams(Params):
    """Which groups, how long."""

    log_group: str | None = Field(default=None, min_length=1, description="One log group by name.")
    prefix: str | None = Field(default=None, min_length=3, description="All log groups whose names begin so.")
    tags: dict[str, str] = Field(default_factory=dict, description="All log groups with all these tags.")
    days: int = Field(description="Days to keep events, one of the numbers CloudWatch Logs knows.")
    max_groups: int = Field(default=20, ge=1, le=200, description="Refuse to touch more groups than this.")

    @field_validator("days")
    @classmethod
    def _known(cls, value: int) -> int:
        if value not in DAYS:
            raise ValueError(f"CloudWatch Logs keeps events for one of these days: {', '.join(map(str, DAYS))}")
        return value

    @model_validator(mode="after")
    def _scoped(self) -> RetentionParams:
        if sum((self.log_group is not None, self.prefix is not None, bool(self.tags))) != 1:
            raise ValueError("say which groups by one of log_group, prefix, tags")
        if self.prefix is not None and len(self.prefix.strip("/")) < 3:
            raise ValueError("the prefix names nearly every group: make it longer")
        return self


def plan(params: RetentionParams, now: datetime) -> Change:
    """Pure. Without one named group it only says which are meant."""
    if params.log_group is not None:
        return _change(params.log_group, params)
    which = (
        f"under {params.prefix}" if params.prefix else "with " + ", ".join(f"{k}={v}" for k, v in params.tags.items())
    )
    return Change(
        action="set_log_retention",
        resource=f"logs/{params.prefix or 'tags'}*",
        wanted=None,
        summary=f"keep the events of the log groups {which} (at most {params.max_groups}) for {params.days} days",
        params=params.model_dump(mode="json"),
        scope=params.max_groups,
    )


async def expand(params: RetentionParams, now: datetime, aws: Reads) -> Sequence[Change]:
    """One change per group. Raises ActionError(invalid) above `max_groups`: nothing is touched then."""
    if params.log_group is not None:
        return [_change(params.log_group, params)]
    groups = sorted(await _named(params.prefix, aws) if params.prefix else await _tagged(params.tags, aws))
    if len(groups) > params.max_groups:
        raise ActionError(
            Reason.INVALID, f"{len(groups)} log groups are meant, more than max_groups ({params.max_groups}): narrow it"
        )
    return [_change(group, params) for group in groups]


def _change(group: str, params: RetentionParams) -> Change:
    return Change(
        action="set_log_retention",
        resource=f"logs/{group}",
        property="retention_days",
        wanted=params.days,
        summary=f"keep the events of {group} for {params.days} days",
        params={"log_group": group, "days": params.days},
    )


async def _named(prefix: str, aws: Reads) -> list[str]:
    pages = aws.pages("logs", "DescribeLogGroups", logGroupNamePrefix=prefix)
    return [str(group["logGroupName"]) async for page in pages for group in page.get("logGroups", ())]


async def _tagged(tags: dict[str, str], aws: Reads) -> list[str]:
    wanted = [{"Key": key, "Values": [value] if value else []} for key, value in tags.items()]
    pages = aws.pages(
        "resourcegroupstaggingapi", "GetResources", ResourceTypeFilters=["logs:log-group"], TagFilters=wanted
    )
    arns = [str(row["ResourceARN"]) async for page in pages for row in page.get("ResourceTagMappingList", ())]
    return [arn.split(":log-group:", 1)[-1].removesuffix(":*") for arn in arns]


async def capture(change: Change, ctx: ActionContext) -> Json:
    """The group's days, None where events never expire. Raises ProbeError(not_found)."""
    name = str(change.params["log_group"])
    async for page in ctx.aws.pages("logs", "DescribeLogGroups", logGroupNamePrefix=name):
        for group in page.get("logGroups", ()):
            if group["logGroupName"] == name:
                days = group.get("retentionInDays")
                return None if days is None else int(days)
    raise ProbeError(Reason.NOT_FOUND, f"there is no log group {name}")


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """Sets the days and reads them back."""
    return await _set(change, change.wanted, ctx)


async def undo(receipt: Receipt, ctx: ActionContext) -> Receipt:
    """The earlier days, or no policy. What expired meanwhile is gone."""
    return replace(await _set(receipt.change, receipt.prior, ctx), prior=receipt.prior)


def strictest(values: Sequence[Json]) -> Json:
    """The longest keeps most: here the careful value is the mildest cut."""
    numbers = [value for value in values if isinstance(value, int)]
    return None if len(numbers) < len(values) else max(numbers)


async def _set(change: Change, wanted: Json, ctx: ActionContext) -> Receipt:
    name, live = change.params["log_group"], await capture(change, ctx)
    if live == wanted:
        return Receipt(change=change, applied=live, detail=f"was {shown(live)} already")
    if wanted is None:
        await ctx.aws.mutate("logs", "DeleteRetentionPolicy", logGroupName=name)
    else:
        await ctx.aws.mutate("logs", "PutRetentionPolicy", logGroupName=name, retentionInDays=wanted)
    live = await confirmed(lambda: capture(change, ctx), wanted, ctx, f"the retention of {name}")
    return Receipt(change=change, applied=live, changed=True)


def plan_needs(params: RetentionParams) -> list[Permission]:
    """For IAM: what finding the groups asks."""
    found = [need("logs:DescribeLogGroups")] if params.prefix else []
    return [*found, need("tag:GetResources")] if params.tags else found


def needs(params: RetentionParams) -> list[Permission]:
    """For IAM: what one step asks, undo included."""
    own = ("logs:PutRetentionPolicy", "logs:DeleteRetentionPolicy")
    names = [params.log_group] if params.log_group else [f"{params.prefix or ''}*"]
    return [*plan_needs(params), need("logs:DescribeLogGroups"), need(*own, log_group=names)]


ACTION = Action(
    name="set_log_retention",
    summary="Sets how long chosen log groups keep their events.",
    params=RetentionParams,
    # The setting comes back, the deleted events do not.
    risk=Risk.DESTRUCTIVE,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=undo,
    expand=expand,
    permissions=(
        "logs:DescribeLogGroups",
        "logs:PutRetentionPolicy",
        "logs:DeleteRetentionPolicy",
        "tag:GetResources",
    ),
    example="set_log_retention: {prefix: /aws/lambda/etl-, days: 7}",
    blast_radius="Events older than `days` of at most `max_groups` log groups are deleted for good.",
    restrictive=strictest,
    needs=needs,
    plan_needs=plan_needs,
)
