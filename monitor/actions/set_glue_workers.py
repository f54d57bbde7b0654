"""Sets how many workers the next runs of a Glue job get, and of which type (row C2).

UpdateJob overwrites the whole definition, so it is read and written back and only the workers change; AWS has no
revision id for jobs, so an edit by someone else within that second is lost. Runs that go already keep their workers.
Jobs sized by MaxCapacity (Python shell, old Glue versions) are refused. Source: Glue API reference, UpdateJob.

Blast radius: the next runs of one job, at the price of their workers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from pydantic import Field

from monitor.actions.readback import confirmed, shown
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
    Risk,
    need,
)

#: What GetJob tells and JobUpdate does not take, or may not take beside the workers.
_LEFT_OUT = frozenset({"Name", "CreatedOn", "LastModifiedOn", "AllocatedCapacity", "MaxCapacity", "ProfileName"})


class GlueWorkersParams(Params):
    """Which job, how many."""

    job: str = Field(description="Name of the Glue job.", min_length=1)
    workers: int = Field(ge=1, le=299, description="Workers of the next runs.")


def plan(params: GlueWorkersParams, now: datetime) -> Change:
    """Pure."""
    return Change(
        action="set_glue_workers",
        resource=f"glue/{params.job}",
        property="workers",
        wanted=params.workers,
        summary=f"give the next runs of the Glue job {params.job} {params.workers} workers",
        params={"job": params.job},
    )


async def capture(change: Change, ctx: ActionContext) -> Json:
    """The number of workers. Raises ActionError(invalid) for a job that is sized otherwise."""
    job = await _read(change, ctx)
    if job.get("NumberOfWorkers") is None:
        raise ActionError(Reason.INVALID, f"{change.resource} is sized by MaxCapacity, not by workers")
    return int(job["NumberOfWorkers"])


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """Writes the job back as it is, but for its workers."""
    return await _set(change, change.wanted, ctx)


async def undo(receipt: Receipt, ctx: ActionContext) -> Receipt:
    """The earlier number; edits to the job meanwhile are kept."""
    return replace(await _set(receipt.change, receipt.prior, ctx), prior=receipt.prior)


async def _set(change: Change, wanted: Json, ctx: ActionContext) -> Receipt:
    live = await capture(change, ctx)
    if live == wanted:
        return Receipt(change=change, applied=live, detail=f"was {shown(live)} already")
    job = await _read(change, ctx)
    kept = {name: value for name, value in job.items() if name not in _LEFT_OUT and value is not None}
    update = kept | {"NumberOfWorkers": wanted}
    await ctx.aws.mutate("glue", "UpdateJob", JobName=change.params["job"], JobUpdate=update)
    live = await confirmed(lambda: capture(change, ctx), wanted, ctx, f"the workers of {change.resource}")
    return Receipt(change=change, applied=live, changed=True)


async def _read(change: Change, ctx: ActionContext) -> Mapping[str, Any]:
    return dict((await ctx.aws.call("glue", "GetJob", JobName=change.params["job"]))["Job"])


def needs(params: GlueWorkersParams) -> list[Permission]:
    """For IAM: what one step asks, undo included."""
    return [need("glue:GetJob", "glue:UpdateJob", job=params.job), need("iam:PassRole", role=None)]


ACTION = Action(
    name="set_glue_workers",
    summary="Sets how many workers the next runs of a Glue job get.",
    params=GlueWorkersParams,
    risk=Risk.REVERSIBLE,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=undo,
    # iam:PassRole: UpdateJob names the job's role again.
    permissions=("glue:GetJob", "glue:UpdateJob", "iam:PassRole"),
    example="set_glue_workers: {job: dataforge-curate, workers: 20}",
    blast_radius="The next runs of one Glue job, at the price of their workers.",
    amount_field="workers",
    needs=needs,
)
