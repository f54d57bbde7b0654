"""Makes an on-demand backup of a DynamoDB table, once per trip, before something touches its data.

A process: a backup takes nothing from the table and can't be undone (delete it by hand when it is not needed). AWS lets
two backups have one name, so a second attempt looks for a backup of that name made since the trip began, instead of
making another. Done means AVAILABLE. Source: DynamoDB API reference, CreateBackup, ListBackups, DescribeBackup.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from pydantic import Field

from monitor.actions.table import describe, table_name
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

#: How far AWS's clock and ours may differ.
_SKEW = timedelta(minutes=5)
_READY_SECONDS, _POLL_SECONDS = 1800.0, 5.0


class BackupParams(Params):
    """Which table, under which name."""

    table: str = Field(description="Name or ARN of the table.", min_length=1)
    name: str | None = Field(
        default=None, min_length=3, max_length=255, description="Name of the backup; by default made of the trip."
    )


def plan(params: BackupParams, now: datetime) -> Change:
    """Pure."""
    name = table_name(params.table)
    called = f" as {params.name}" if params.name else ""
    return Change(
        action="backup_table",
        resource=f"dynamodb/{name}",
        wanted=None,
        summary=f"back up the table {name}{called}",
        params={"table": name, "name": params.name},
    )


async def capture(change: Change, ctx: ActionContext) -> Json:
    """What is there to back up, for the journal: {"items": N, "bytes": N} (AWS counts every six hours)."""
    seen = await describe(str(change.params["table"]), ctx)
    return {"items": int(seen.get("ItemCount") or 0), "bytes": int(seen.get("TableSizeBytes") or 0)}


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """Makes it unless it is there, and waits until it can be restored from. `data`: name, arn."""
    table = str(change.params["table"])
    name = re.sub(r"[^a-zA-Z0-9_.-]", "-", str(change.params["name"] or f"tripswitch-{ctx.trip.id}"))[:255]
    if len(name) < 3:
        raise ActionError(Reason.INVALID, "a backup's name has at least 3 characters")
    arn = await _find(table, name, ctx)
    made = arn is None
    if arn is None:
        try:
            reply = await ctx.aws.mutate("dynamodb", "CreateBackup", idempotent=False, TableName=table, BackupName=name)
            arn = str(reply["BackupDetails"]["BackupArn"])
        except ActionError as error:
            arn = await _find(table, name, ctx) if error.ambiguous else None
            if arn is None:
                # The list lags behind a backup just made: the next attempt looks again, and never makes two at once.
                reason = Reason.UNAVAILABLE if error.ambiguous or "BackupInUse" in error.detail else error.reason
                raise ActionError(reason, error.detail) from error
    await _ready(arn, ctx)
    data: dict[str, Json] = {"name": name, "arn": arn}
    return Receipt(change=change, changed=made, detail=f"backup {name}" + ("" if made else " was there"), data=data)


async def _find(table: str, name: str, ctx: ActionContext) -> str | None:
    since = ctx.trip.started_at - _SKEW
    pages = ctx.aws.pages("dynamodb", "ListBackups", TableName=table, BackupType="USER", TimeRangeLowerBound=since)
    async for page in pages:
        for row in page.get("BackupSummaries") or ():
            fresh = row["BackupCreationDateTime"] >= since
            if row["BackupName"] == name and row["BackupStatus"] != "DELETED" and fresh:
                return str(row["BackupArn"])
    return None


async def _ready(arn: str, ctx: ActionContext) -> None:
    waited = 0.0
    while True:
        details = (await ctx.aws.call("dynamodb", "DescribeBackup", BackupArn=arn))["BackupDescription"][
            "BackupDetails"
        ]
        if details["BackupStatus"] == "AVAILABLE":
            return
        if details["BackupStatus"] == "DELETED":
            raise ActionError(Reason.NOT_FOUND, f"the backup {details['BackupName']} was deleted")
        if waited >= _READY_SECONDS:
            raise ActionError(Reason.UNAVAILABLE, f"the backup {details['BackupName']} is still being made")
        await ctx.sleep(_POLL_SECONDS)
        waited += _POLL_SECONDS


def needs(params: BackupParams) -> list[Permission]:
    """For IAM: what one step asks, undo included."""
    return [
        need("dynamodb:DescribeTable", "dynamodb:CreateBackup", table=params.table),
        need("dynamodb:ListBackups"),
        need("dynamodb:DescribeBackup", backup=params.table),
    ]


ACTION = Action(
    name="backup_table",
    summary="Makes an on-demand backup of a DynamoDB table, once per trip.",
    params=BackupParams,
    risk=Risk.DISRUPTIVE,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=None,
    permissions=(
        "dynamodb:DescribeTable",
        "dynamodb:CreateBackup",
        "dynamodb:ListBackups",
        "dynamodb:DescribeBackup",
    ),
    example="backup_table: {table: opendata-pulse-api}",
    blast_radius="Nothing but a backup, which costs by its size until it is deleted.",
    resource_field="table",
    resource_kind=ResourceKind.TABLE,
    needs=needs,
)
