"""Restores a backup of a DynamoDB table into a new table beside it, and proves that it is one like the old.

AWS never restores over a table. The backup is the newest one that was made at least `before` ahead of the trip (the one
of this trip holds the damage), or a named one. Done means that the new table and its indexes are ACTIVE and that it has
the keys and indexes of the backup. What AWS does not restore is yours: auto scaling, alarms, tags, TTL, streams,
point-in-time recovery; and so is the switch of the application. It can't be undone; delete the new table by hand.
Source: DynamoDB API reference, RestoreTableFromBackup, ListBackups, DescribeBackup; developer guide, "Restoring".

Blast radius: one more table, which costs by its size; the damaged one is not touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from pydantic import Field

from monitor.actions.polling import until
from monitor.actions.table import describe, indexes, table_name
from monitor.plugin import (
    Action,
    ActionContext,
    ActionError,
    Change,
    Duration,
    Json,
    Params,
    Permission,
    ProbeError,
    Reason,
    Receipt,
    ResourceKind,
    Risk,
    need,
)

_MINUTES = 60.0
#: How far AWS's clock and ours may differ.
_SKEW = timedelta(minutes=5)
_LEFT = "set up auto scaling, alarms, tags, TTL, streams and point-in-time recovery on it, then switch the application"


class RestoreParams(Params):
    """Which table, from which backup, into what."""

    table: str = Field(description="Name or ARN of the damaged table.", min_length=1)
    to: str | None = Field(
        default=None, min_length=3, max_length=255, description="Name of the new table; by default TABLE-restored."
    )
    backup: str | None = Field(
        default=None, description="ARN of the backup; by default the newest from before the trip.", pattern="^arn:"
    )
    before: Duration = Field(
        default=timedelta(0), description="How long before the trip that backup must have been made: before the damage."
    )


def plan(params: RestoreParams, now: datetime) -> Change:
    """Pure; which backup is the newest is asked when it runs."""
    name = table_name(params.table)
    shown = params.model_dump(mode="json")
    old = f" at least {shown['before']}" if params.before else ""
    which = f"the backup {params.backup}" if params.backup else f"its newest backup from{old} before the trip"
    return Change(
        action="restore_table",
        resource=f"dynamodb/{name}",
        wanted=None,
        summary=f"restore {which} of the table {name} into the new table {params.to or f'{name}-restored'}",
        params={**shown, "table": name},
    )


async def capture(change: Change, ctx: ActionContext) -> Json:
    """The backup that will be used: {"backup": ARN}. Raises ActionError(not_found) when there is none."""
    return {"backup": (await _backup(RestoreParams.model_validate(change.params), ctx))["BackupArn"]}


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """Begins the restore unless it has begun, waits for it, compares. `data`: table, backup, items."""
    params = RestoreParams.model_validate(change.params)
    target = params.to or f"{params.table}-restored"
    if "backup" not in ctx.memory:
        await ctx.remember(backup=str((await _backup(params, ctx))["BackupArn"]))
    arn = str(ctx.memory["backup"])
    seen = await _there(target, ctx)
    if seen is not None and not _is_of_this_trip(seen, arn, ctx):
        raise ActionError(
            Reason.INVALID, f"a table {target} is there already: name another one with `to`, or delete it"
        )
    if seen is None:
        # AWS refuses a second table of that name, so a repeated attempt can't make two.
        await ctx.remember(begun=True)
        await ctx.aws.mutate("dynamodb", "RestoreTableFromBackup", TargetTableName=target, BackupArn=arn)

    async def state() -> str:
        now = await _there(target, ctx)
        await ctx.progress(0, 1, note=f"restoring {target}")
        parts = [now, *indexes(now).values()] if now else []
        states = {str(part.get("TableStatus") or part.get("IndexStatus") or "ACTIVE") for part in parts}
        return next((one for one in sorted(states) if one != "ACTIVE"), "ACTIVE" if now else "not there")

    await until(state, lambda one: one == "ACTIVE", ctx, f"the table {target}", minutes=_MINUTES)
    told = (await ctx.aws.call("dynamodb", "DescribeBackup", BackupArn=arn))["BackupDescription"]
    _compare(await describe(target, ctx), told, target)
    items = int((told.get("SourceTableDetails") or {}).get("ItemCount") or 0)
    data: dict[str, Json] = {"table": target, "backup": arn, "items": items}
    detail = f"{target} is ACTIVE with the keys and indexes of the backup ({items} items); {_LEFT}"
    return Receipt(change=change, changed=bool(ctx.memory.get("begun")), detail=detail, data=data)


def _is_of_this_trip(table: Mapping[str, Any], backup: str, ctx: ActionContext) -> bool:
    """From our backup, and made since the trip began: what an earlier incident restored may be in use by now."""
    made = table.get("CreationDateTime")
    from_ours = (table.get("RestoreSummary") or {}).get("SourceBackupArn") == backup
    return from_ours and (made is None or made >= ctx.trip.started_at - _SKEW)


async def _backup(params: RestoreParams, ctx: ActionContext) -> Mapping[str, Any]:
    if params.backup is not None:
        told = await ctx.aws.call("dynamodb", "DescribeBackup", BackupArn=params.backup)
        return dict(told["BackupDescription"]["BackupDetails"])
    latest = ctx.trip.started_at - params.before
    pages = ctx.aws.pages("dynamodb", "ListBackups", TableName=params.table, BackupType="ALL")
    rows = [
        row
        async for page in pages
        for row in page.get("BackupSummaries") or ()
        if row["BackupStatus"] == "AVAILABLE" and row["BackupCreationDateTime"] < latest
    ]
    if not rows:
        text = f"{params.table} has no backup from before {latest:%Y-%m-%d %H:%M} UTC: name one with `backup`"
        raise ActionError(Reason.NOT_FOUND, text)
    return dict(max(rows, key=lambda row: row["BackupCreationDateTime"]))


async def _there(table: str, ctx: ActionContext) -> Mapping[str, Any] | None:
    try:
        return await describe(table, ctx)
    except ProbeError as error:
        if error.reason is not Reason.NOT_FOUND:
            raise
        return None


def _compare(table: Mapping[str, Any], backup: Mapping[str, Any], name: str) -> None:
    """Raises ActionError(invalid) when the keys or an index of the backup are missing."""
    wanted = (backup.get("SourceTableDetails") or {}).get("KeySchema")
    if wanted is not None and list(table.get("KeySchema") or ()) != list(wanted):
        raise ActionError(Reason.INVALID, f"{name} has other keys than its backup: look at it before it is used")
    features = backup.get("SourceTableFeatureDetails") or {}
    missing = {str(row["IndexName"]) for row in features.get("GlobalSecondaryIndexes") or ()} - indexes(table).keys()
    if missing:
        raise ActionError(Reason.INVALID, f"{name} lacks the index {', '.join(sorted(missing))} of its backup")


def needs(params: RestoreParams) -> list[Permission]:
    """For IAM: what one step asks. A restore writes the items of the new table with the caller's rights."""
    table = table_name(params.table)
    target = params.to or f"{table}-restored"
    items = ("BatchWriteItem", "PutItem", "UpdateItem", "DeleteItem", "GetItem", "Query", "Scan")
    asked = [f"dynamodb:{one}" for one in ("DescribeTable", "RestoreTableFromBackup", *items)]
    return [
        need("dynamodb:ListBackups"),
        need("dynamodb:DescribeBackup", "dynamodb:RestoreTableFromBackup", backup=table),
        need(*asked, table=target),
    ]


ACTION = Action(
    name="restore_table",
    summary="Restores a backup of a DynamoDB table into a new table beside it, and checks its keys and indexes.",
    params=RestoreParams,
    risk=Risk.DISRUPTIVE,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=None,
    permissions=(
        "dynamodb:ListBackups",
        "dynamodb:DescribeBackup",
        "dynamodb:DescribeTable",
        "dynamodb:RestoreTableFromBackup",
        "dynamodb:BatchWriteItem",
        "dynamodb:PutItem",
        "dynamodb:UpdateItem",
        "dynamodb:DeleteItem",
        "dynamodb:GetItem",
        "dynamodb:Query",
        "dynamodb:Scan",
    ),
    example="restore_table: {table: opendata-pulse-api, before: 1h}",
    blast_radius="One more table, which costs by its size; the damaged one is not touched.",
    resource_field="table",
    resource_kind=ResourceKind.TABLE,
    needs=needs,
)
