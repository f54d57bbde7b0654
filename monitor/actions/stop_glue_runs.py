"""Stops runs of a Glue job that run too long (row C2b), and waits until they are stopped.

Runs that were going `older_than` long when the step began are stopped, 25 per call, and looked at until each has ended.
Stopping is a request: a run may end by itself first, which is as well. It can't be undone; `start_glue_run` starts
anew.
Source: Glue API reference, BatchStopJobRun and GetJobRuns.

Blast radius: the chosen runs of one job; what they wrote so far stays, their bookmarks are not advanced.
"""

from __future__ import annotations

from collections.abc import Mapping
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

GOING = frozenset({"STARTING", "RUNNING", "WAITING"})
_BATCH = 25
_MINUTES = 15


class StopRunsParams(Params):
    """Which runs."""

    job: str = Field(description="Name of the Glue job.", min_length=1)
    older_than: Duration = Field(default=timedelta(0), description="Only runs that had been going this long.")
    limit: int | None = Field(default=None, ge=1, description="Stop at most this many, the oldest.")


def plan(params: StopRunsParams, now: datetime) -> Change:
    """Pure."""
    age = f" older than {params.model_dump(mode='json')['older_than']}" if params.older_than else ""
    return Change(
        action="stop_glue_runs",
        resource=f"glue/{params.job}",
        wanted=None,
        summary=f"stop the runs{age} of the Glue job {params.job}",
        params=params.model_dump(mode="json"),
    )


async def runs_of(job: str, ctx: ActionContext) -> list[Mapping[str, Any]]:
    """Every run that AWS still lists, newest first."""
    return [run async for page in ctx.aws.pages("glue", "GetJobRuns", JobName=job) for run in page.get("JobRuns", ())]


async def capture(change: Change, ctx: ActionContext) -> Json:
    """How many go, for the journal: {"running": N}."""
    runs = await runs_of(str(change.params["job"]), ctx)
    return {"running": sum(run.get("JobRunState") in GOING for run in runs)}


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """Stops them; resumable. `data`: stopped (ids), remaining."""
    params = StopRunsParams.model_validate(change.params)
    if "began" not in ctx.memory:
        await ctx.remember(began=ctx.now().isoformat())
    began = datetime.fromisoformat(str(ctx.memory["began"]))
    if "due" not in ctx.memory:
        old = [
            run
            for run in await runs_of(params.job, ctx)
            if run.get("JobRunState") in GOING and run["StartedOn"] <= began - params.older_than
        ]
        ids = [str(run["Id"]) for run in sorted(old, key=lambda run: run["StartedOn"])]
        most = params.limit if params.limit is not None else len(ids)
        await ctx.remember(due=ids[:most], beyond=len(ids[most:]))
    due = [str(one) for one in _listed(ctx.memory["due"])]
    for at in range(0, len(due), _BATCH):
        await _stop(params.job, due[at : at + _BATCH], ctx)

    async def left() -> int:
        states = {str(run["Id"]): run.get("JobRunState") for run in await runs_of(params.job, ctx)}
        going = sum(states.get(one) in {*GOING, "STOPPING"} for one in due)
        await ctx.progress(len(due) - going, going)
        return going

    await until(left, lambda going: going == 0, ctx, f"stopping the runs of {params.job}", minutes=_MINUTES)
    beyond = ctx.memory.get("beyond") or 0
    detail = f"{len(due)} runs stopped" + (f", {beyond} left beyond the limit" if beyond else "")
    return Receipt(change=change, changed=bool(due), detail=detail, data={"stopped": list(due), "remaining": beyond})


async def _stop(job: str, ids: list[str], ctx: ActionContext) -> None:
    reply = await ctx.aws.mutate("glue", "BatchStopJobRun", JobName=job, JobRunIds=ids)
    for error in reply.get("Errors") or ():
        told = error.get("ErrorDetail", {})
        # A run that ended in the meantime can't be stopped any more, which is what was wanted.
        if told.get("ErrorCode") not in (
            "IllegalArgumentException",
            "InvalidInputException",
            "EntityNotFoundException",
        ):
            raise ActionError(
                Reason.UNAVAILABLE, f"{job} {error.get('JobRunId')}: {told.get('ErrorMessage', 'refused')}"
            )


def _listed(value: Json) -> list[Json]:
    return list(value) if isinstance(value, (list, tuple)) else []


def needs(params: StopRunsParams) -> list[Permission]:
    """For IAM: what one step asks, undo included."""
    return [need(*ACTION.permissions, job=params.job)]


ACTION = Action(
    name="stop_glue_runs",
    summary="Stops runs of a Glue job and waits until they have ended.",
    params=StopRunsParams,
    risk=Risk.DISRUPTIVE,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=None,
    permissions=("glue:GetJobRuns", "glue:BatchStopJobRun"),
    example="stop_glue_runs: {job: dataforge-curate, older_than: 2h}",
    blast_radius="The chosen runs of one Glue job end where they are.",
    needs=needs,
)
