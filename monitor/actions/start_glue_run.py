"""Starts one run of a Glue job (a backfill of a window, a restart after a stop), once per trip and arguments.

StartJobRun has no token of its own, so the run carries one as the argument `--tripswitch-run`, made of trip, job and
arguments: a run that has it already, whoever was killed in between, is taken for ours, and no second one is started.
With `wait` the step ends when the run does, and fails unless it succeeded. Source: Glue API reference, StartJobRun.

Blast radius: one run, with the rights of the job's role.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import Field

from monitor.actions.polling import until
from monitor.actions.stop_glue_runs import runs_of
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

TOKEN = "--tripswitch-run"  # noqa: S105 (an argument's name)
_ENDED = frozenset({"SUCCEEDED", "FAILED", "STOPPED", "TIMEOUT", "ERROR", "EXPIRED"})


class StartRunParams(Params):
    """Which job, with what."""

    job: str = Field(description="Name of the Glue job.", min_length=1)
    arguments: dict[str, str] = Field(default_factory=dict, description="Arguments over the job's own (`--day`: ...).")
    workers: int | None = Field(default=None, ge=1, description="Workers of this run; needs worker_type.")
    worker_type: Literal["Standard", "G.1X", "G.2X", "G.4X", "G.8X", "G.025X", "Z.2X"] | None = Field(
        default=None, description="Type of the workers of this run."
    )
    wait: Duration | None = Field(default=None, description="Wait this long for it to succeed; left out: don't wait.")


def plan(params: StartRunParams, now: datetime) -> Change:
    """Pure."""
    given = " ".join(f"{key}={value}" for key, value in sorted(params.arguments.items()))
    size = f" on {params.workers} workers" if params.workers else ""
    return Change(
        action="start_glue_run",
        resource=f"glue/{params.job}",
        wanted=None,
        summary=f"start the Glue job {params.job}{size} {given}".rstrip(),
        params=params.model_dump(mode="json"),
    )


async def capture(change: Change, ctx: ActionContext) -> Json:
    """Nothing is replaced."""
    return None


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """Starts it unless it was. `data`: run, state. Raises ActionError(invalid) when a run waited for fails."""
    params = StartRunParams.model_validate(change.params)
    text = json.dumps([ctx.trip.id, params.job, params.arguments], sort_keys=True)
    token = hashlib.sha256(text.encode()).hexdigest()[:24]
    run, ours = await _of_token(params.job, token, ctx), False
    if run is None:
        more: dict[str, Any] = {"NumberOfWorkers": params.workers} if params.workers else {}
        more |= {"WorkerType": params.worker_type} if params.worker_type else {}
        arguments = {**params.arguments, TOKEN: token}
        reply = await ctx.aws.mutate(
            "glue", "StartJobRun", idempotent=False, JobName=params.job, Arguments=arguments, **more
        )
        run, ours = {"Id": reply["JobRunId"], "JobRunState": "STARTING"}, True
    state, identity = str(run.get("JobRunState")), str(run["Id"])
    if params.wait is not None:
        state = await _ended(params, identity, ctx)
    detail = f"run {identity}" + ("" if ours else " was started already") + f" is {state}"
    return Receipt(change=change, changed=True, detail=detail, data={"run": identity, "state": state})


async def _of_token(job: str, token: str, ctx: ActionContext) -> Mapping[str, Any] | None:
    runs = await runs_of(job, ctx)
    return next((run for run in runs if (run.get("Arguments") or {}).get(TOKEN) == token), None)


async def _ended(params: StartRunParams, identity: str, ctx: ActionContext) -> str:
    async def state() -> str:
        reply = await ctx.aws.call("glue", "GetJobRun", JobName=params.job, RunId=identity)
        return str(reply["JobRun"].get("JobRunState"))

    minutes = (params.wait or timedelta(0)).total_seconds() / 60
    last = await until(state, lambda now: now in _ENDED, ctx, f"the run {identity}", minutes=minutes)
    if last != "SUCCEEDED":
        raise ActionError(Reason.INVALID, f"the run {identity} of {params.job} ended {last}")
    return last


def needs(params: StartRunParams) -> list[Permission]:
    """For IAM: what one step asks, undo included."""
    return [need(*ACTION.permissions, job=params.job)]


ACTION = Action(
    name="start_glue_run",
    summary="Starts one run of a Glue job, never twice for one trip.",
    params=StartRunParams,
    risk=Risk.DISRUPTIVE,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=None,
    permissions=("glue:GetJobRuns", "glue:GetJobRun", "glue:StartJobRun"),
    example="start_glue_run: {job: dataforge-curate, arguments: {--day: '2026-03-01'}, wait: 1h}",
    blast_radius="One run of one Glue job, at its price.",
    needs=needs,
)
