"""Exports log groups into a bucket as evidence of an incident (row B14), before retention takes them.

CloudWatch Logs runs one export task per account at a time: the groups are exported one after the other, and somebody
else's task is waited out. Each task bears a name made of trip and group, so that a killed step finds its own again and
exports nothing twice. The bucket must be in the same region and let CloudWatch Logs write.
Source: CloudWatch Logs API reference, CreateExportTask and DescribeExportTasks.

Blast radius: objects under `PREFIX/TRIP/GROUP/` of one bucket; log events leave the log group's own access rules.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from pydantic import Field

from monitor.actions.polling import until
from monitor.plugin import (
    Action,
    ActionContext,
    ActionError,
    Change,
    Duration,
    Json,
    Params,
    Permission,
    Reason,
    Receipt,
    Risk,
    need,
)

_MINUTES = 60
_ACTIVE = frozenset({"PENDING", "PENDING_CANCEL", "RUNNING"})


class ExportParams(Params):
    """Which logs, since when, where to."""

    log_groups: tuple[str, ...] = Field(description="Names of log groups.", min_length=1, max_length=50)
    since: Duration = Field(default=timedelta(hours=2), description="How long before the trip the export begins.")
    bucket: str = Field(description="Bucket that keeps them.", min_length=3)
    prefix: str = Field(default="evidence", description="Key prefix, without a slash at its end.")


def plan(params: ExportParams, now: datetime) -> Change:
    """Pure."""
    groups = ", ".join(params.log_groups[:3]) + (
        f" and {len(params.log_groups) - 3} more" if len(params.log_groups) > 3 else ""
    )
    return Change(
        action="export_evidence",
        resource=f"s3/{params.bucket}",
        wanted=None,
        summary=f"export {groups} to s3://{params.bucket}/{params.prefix}/",
        params=params.model_dump(mode="json"),
        scope=len(params.log_groups),
    )


async def capture(change: Change, ctx: ActionContext) -> Json:
    """Nothing is replaced."""
    return None


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """Exports what is not exported yet. `data`: exported (task ids by group), location."""
    params = ExportParams.model_validate(change.params)
    if "until" not in ctx.memory:
        await ctx.remember(until=ctx.now().isoformat())
    done: dict[str, Json] = {}
    for number, group in enumerate(params.log_groups):
        task = await _exported(params, group, ctx)
        done[group] = task
        await ctx.progress(number + 1, len(params.log_groups) - number - 1)
    where = f"s3://{params.bucket}/{params.prefix}/{ctx.trip.id}/"
    detail = f"{len(done)} log groups exported to {where}"
    return Receipt(change=change, changed=True, detail=detail, data={"exported": done, "location": where})


async def _exported(params: ExportParams, group: str, ctx: ActionContext) -> str:
    """The id of the group's finished task."""
    name = "tripswitch-" + hashlib.sha256(f"{ctx.trip.id}/{group}/{params.bucket}".encode()).hexdigest()[:24]
    task = await _mine(name, ctx)
    while task is None or _code(task) == "CANCELLED":
        await until(lambda: _active(ctx), lambda active: active == 0, ctx, "another export task", minutes=_MINUTES)
        ends = datetime.fromisoformat(str(ctx.memory["until"]))
        begins = ctx.trip.started_at - params.since
        try:
            await ctx.aws.mutate(
                "logs", "CreateExportTask", idempotent=False, taskName=name, logGroupName=group, to=_stamp(ends),
                destination=params.bucket, destinationPrefix=f"{params.prefix}/{ctx.trip.id}/{group.strip('/')}",
                **{"from": _stamp(begins)},
            )  # fmt: skip
        except ActionError as error:
            if error.reason is not Reason.THROTTLED and "LimitExceeded" not in error.detail:
                raise
            await ctx.sleep(5.0)  # somebody was quicker: their task first
        task = await _mine(name, ctx)

    async def code() -> str:
        found = await _mine(name, ctx)
        return _code(found) if found is not None else "PENDING"

    last = await until(code, lambda now: now not in _ACTIVE, ctx, f"the export of {group}", minutes=_MINUTES)
    if last != "COMPLETED":
        raise ActionError(
            Reason.INVALID, f"the export of {group} ended {last}: may CloudWatch Logs write to the bucket?"
        )
    return str(task["taskId"])


async def _mine(name: str, ctx: ActionContext) -> Mapping[str, Any] | None:
    found = [task async for task in _tasks(ctx) if task.get("taskName") == name]
    # Newest first is not promised: one that lives or ended well wins over one that somebody cancelled.
    return next((task for task in found if _code(task) != "CANCELLED"), found[0] if found else None)


async def _active(ctx: ActionContext) -> int:
    return len([task async for task in _tasks(ctx) if _code(task) in _ACTIVE])


async def _tasks(ctx: ActionContext) -> AsyncIterator[Mapping[str, Any]]:
    async for page in ctx.aws.pages("logs", "DescribeExportTasks"):
        for task in page.get("exportTasks", ()):
            yield task


def _code(task: Mapping[str, Any]) -> str:
    return str((task.get("status") or {}).get("code", "PENDING"))


def _stamp(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def needs(params: ExportParams) -> list[Permission]:
    """For IAM: what one step asks, undo included."""
    return [need("logs:CreateExportTask", log_group=params.log_groups), need("logs:DescribeExportTasks")]


ACTION = Action(
    name="export_evidence",
    summary="Exports log groups into a bucket, one after the other, each once.",
    params=ExportParams,
    risk=Risk.DISRUPTIVE,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=None,
    permissions=("logs:CreateExportTask", "logs:DescribeExportTasks"),
    example="export_evidence: {log_groups: [/aws/lambda/pulse-ingest], since: 2h, bucket: pulse-incidents}",
    blast_radius="New objects in one bucket; nothing else is touched.",
    needs=needs,
)
