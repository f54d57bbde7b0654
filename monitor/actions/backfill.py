"""Fills missed windows: one start per window, oldest first, at a pace, each exactly once as far as AWS allows.

Starts a Lambda function (asynchronously), a Glue job or a state machine for each window, with a payload in which
`${window.start}`, `${window.end}`, `${window.date}`, ... stand for the window. What was done is remembered durably per
window. A start whose outcome is in doubt (no answer, a kill in between) is not repeated but named in the receipt; with
`repeatable: true` (running twice does no harm) it is. State machine executions are named after the window, so AWS
itself refuses a second one. With `missing_in` only windows without an object under a prefix are filled.

It can't be undone; that counts match afterwards is for a check to verify. Source: Lambda API reference, Invoke; Glue
API reference, StartJobRun; Step Functions API reference, StartExecution (idempotent by name).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from monitor.actions.invoke import call, named
from monitor.actions.once import Once
from monitor.actions.set_lambda_concurrency import function_name
from monitor.actions.windows import Windows, fill, require_known
from monitor.plugin import (
    Action,
    ActionContext,
    ActionError,
    Change,
    Duration,
    Gap,
    Json,
    Params,
    Permission,
    Reason,
    Receipt,
    Risk,
    need,
)

_TARGETS = ("function", "job", "state_machine")


class Loaded(BaseModel):
    """Where a window that is loaded left an object."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bucket: str = Field(min_length=1, description="Name of the bucket.")
    prefix: str = Field(
        min_length=1, description="Prefix of the window, e.g. `raw/${window.year}/${window.month}/${window.day}/`."
    )


class BackfillParams(Params):
    """What is started, with what, for which windows."""

    function: str | None = Field(default=None, description="Name or ARN of a Lambda function.")
    qualifier: str | None = Field(default=None, description="An alias or a version of the function.")
    job: str | None = Field(default=None, description="Name of a Glue job.")
    state_machine: str | None = Field(default=None, description="ARN of a state machine.")
    payload: dict[str, Any] = Field(
        default_factory=dict, description="Event, job arguments or input; `${window.start}` and its like are filled in."
    )
    windows: Windows = Field(
        description="Which windows: {from: 6h, step: 1h}, or a text that names them (`${trip.reason}`)."
    )
    missing_in: Loaded | None = Field(
        default=None, description="Only windows without an object there: {bucket, prefix}."
    )
    pace: Duration = Field(default=timedelta(seconds=5), description="Time between two starts.")
    most: int = Field(default=100, ge=1, description="More windows than this are refused before the first start.")
    repeatable: bool = Field(default=False, description="Running twice for one window does no harm.")

    @model_validator(mode="after")
    def _consistent(self) -> BackfillParams:
        if sum(getattr(self, name) is not None for name in _TARGETS) != 1:
            raise ValueError(f"name one of {', '.join(_TARGETS)}")
        require_known(self.payload)
        require_known(self.missing_in.prefix if self.missing_in else "")
        return self


def plan(params: BackfillParams, now: datetime) -> Change:
    """Pure; the payload is not shown."""
    kind = next(name for name in _TARGETS if getattr(params, name) is not None)
    name = str(getattr(params, kind))
    name = function_name(name) if kind == "function" else name.rsplit(":", 1)[-1]
    windows = params.windows
    which = (
        "the named windows" if windows.named is not None else f"windows from {windows.since} to {windows.to or 'now'}"
    )
    empty = f" that left nothing in {params.missing_in.bucket}" if params.missing_in else ""
    service = {"function": "lambda", "job": "glue", "state_machine": "states"}[kind]
    return Change(
        action="backfill",
        resource=f"{service}/{name}",
        wanted=None,
        summary=f"start {name} once for each of {which}{empty}",
        params={**params.model_dump(mode="json"), **(named(params) if kind == "function" else {})},
    )


async def capture(change: Change, ctx: ActionContext) -> Json:
    """The windows, for the journal: {"windows": N}."""
    params = BackfillParams.model_validate(change.params)
    return {"windows": len(params.windows.found(ctx.trip.started_at, ctx.now()))}


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """Fills them; resumable at any point. `data`: started, skipped (loaded already), unclear (windows by name)."""
    params = BackfillParams.model_validate(change.params)
    windows = await _windows(params, ctx)
    once = Once(ctx, repeatable=params.repeatable or params.state_machine is not None)
    skipped = 0
    for number, window in enumerate(windows):
        if not once.is_due(_key(window)):
            continue
        if params.missing_in is not None and await _is_loaded(params.missing_in, window, params.windows.timezone, ctx):
            skipped += 1
            continue
        await once.do(_key(window), partial(_start, change, params, window, ctx))
        left = len(windows) - number - 1
        await ctx.progress(number + 1, left, left * params.pace)
        if left:
            await ctx.sleep(params.pace.total_seconds())
    unclear: list[Json] = list(once.unclear)
    data: dict[str, Json] = {"started": once.done, "skipped": skipped, "unclear": unclear}
    detail = f"started for {once.told('window')}" + (f"; {skipped} loaded already" if skipped else "")
    return Receipt(change=change, changed=once.done > 0, verified=not unclear, detail=detail, data=data)


async def _windows(params: BackfillParams, ctx: ActionContext) -> list[Gap]:
    """The same on every attempt: `now` is fixed by the first one."""
    if (until := ctx.memory.get("until")) is None:
        until = ctx.now().isoformat()
        await ctx.remember(until=until)
    windows = params.windows.found(ctx.trip.started_at, datetime.fromisoformat(str(until)))
    if len(windows) > params.most:
        raise ActionError(
            Reason.INVALID, f"{len(windows)} windows are more than `most` ({params.most}): nothing was started"
        )
    return windows


async def _is_loaded(where: Loaded, window: Gap, zone: str, ctx: ActionContext) -> bool:
    prefix = fill(where.prefix, window, zone)
    reply = await ctx.aws.call("s3", "ListObjectsV2", Bucket=where.bucket, Prefix=prefix, MaxKeys=1)
    return bool(reply.get("KeyCount") or reply.get("Contents"))


async def _start(change: Change, params: BackfillParams, window: Gap, ctx: ActionContext) -> None:
    payload = fill(params.payload, window, params.windows.timezone)
    if params.function is not None:
        await call(change.params, payload, ctx, repeatable=params.repeatable)
    elif params.job is not None:
        await _run_job(params.job, payload, ctx, repeatable=params.repeatable)
    else:
        await _execute(str(params.state_machine), payload, window, ctx)


async def _run_job(job: str, arguments: Mapping[str, Any], ctx: ActionContext, *, repeatable: bool) -> None:
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in arguments.items()}
    try:
        await ctx.aws.mutate("glue", "StartJobRun", idempotent=repeatable, JobName=job, Arguments=texts)
    except ActionError as error:
        if "ConcurrentRunsExceeded" in error.detail:  # passes by itself: the step goes on where it stands
            raise ActionError(Reason.THROTTLED, f"{job} runs as often as it may at once: waiting") from error
        raise


async def _execute(machine: str, payload: Json, window: Gap, ctx: ActionContext) -> None:
    name = "backfill-" + hashlib.sha256(f"{ctx.trip.id}/{machine}/{window}".encode()).hexdigest()[:32]
    try:
        await ctx.aws.mutate(
            "stepfunctions", "StartExecution", stateMachineArn=machine, name=name, input=json.dumps(payload)
        )
    except ActionError as error:
        if "ExecutionAlreadyExists" not in error.detail:  # that one has ended already: it was started
            raise


def _key(window: Gap) -> str:
    return str(window)


def needs(params: BackfillParams) -> list[Permission]:
    """For IAM: what one step asks, undo included."""
    found = [need("s3:ListBucket", bucket=params.missing_in.bucket)] if params.missing_in else []
    if params.function:
        name = f"{params.function}:{params.qualifier}" if params.qualifier else params.function
        found.append(need("lambda:InvokeFunction", function=name))
    if params.job:
        found.append(need("glue:StartJobRun", job=params.job))
    if params.state_machine:
        found.append(need("states:StartExecution", machine=params.state_machine))
    return found


ACTION = Action(
    name="backfill",
    summary="Starts a function, a Glue job or a state machine once for each missed window.",
    params=BackfillParams,
    risk=Risk.DISRUPTIVE,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=None,
    permissions=("lambda:InvokeFunction", "glue:StartJobRun", "states:StartExecution", "s3:ListBucket"),
    example="""backfill:
  function: opendata-pulse-ingest
  payload: {backfill: true, timestamp: "${window.start}"}
  windows: {from: 6h, step: 1h}
  pace: 10s
""",
    blast_radius="One run per window, at most `most`; what a run writes, it writes again.",
    needs=needs,
)
