"""Has a Lambda function or a state machine process objects that it missed, by sending the events S3 would have sent.

Lists a prefix (by default the day of the trip can stand in it: `${window.date}`), leaves out what is processed (an
object of the same relative name, extension apart, lies under `processed`) and what is younger than `older_than` (it may
be in work), and invokes the function asynchronously, or starts an execution, for each object, in key order, at a pace.
With `since_trip` it is the other objects: those that came from the trip's beginning until this step first ran, while a
source was cut. What was done is remembered durably; an invocation whose outcome is in doubt is not repeated but named
in the receipt (executions are named after trip and object, so that AWS itself refuses a second one). The event looks
like S3's own notification (keys are URL-encoded there) or like EventBridge's. It can't be undone.
Source: S3 User Guide, event message structure; EventBridge User Guide, S3 object created.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Literal
from urllib.parse import quote_plus
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from monitor.actions.invoke import call, named
from monitor.actions.once import Once
from monitor.actions.set_lambda_concurrency import function_name
from monitor.actions.windows import fill, require_known
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
    ResourceKind,
    Risk,
    need,
    target_name,
)

#: Keys of processed objects that are held at once.
_KEPT = 200_000


class Prefix(BaseModel):
    """Where objects lie."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bucket: str = Field(min_length=1, description="Name of the bucket.")
    prefix: str = Field(default="", description="Prefix of the keys; `${window.date}` and its like are the trip's day.")

    @field_validator("prefix")
    @classmethod
    def _known(cls, value: str) -> str:
        require_known(value)
        return value


class ReprocessParams(Params):
    """Which function, which objects."""

    function: str | None = Field(default=None, description="Name or ARN of the Lambda function.", min_length=1)
    state_machine: str | None = Field(
        default=None, description="ARN of a state machine, instead: one execution per object, the event its input."
    )
    qualifier: str | None = Field(default=None, min_length=1, description="An alias or a version.")
    source: Prefix = Field(description="Where the objects lie: {bucket, prefix}.")
    processed: Prefix | None = Field(default=None, description="Where processed ones leave one of the same name.")
    event: Literal["s3", "eventbridge"] = Field(default="s3", description="Whose event the function expects.")
    older_than: Duration = Field(
        default=timedelta(minutes=15), description="Objects younger than this when the trip began are left alone."
    )
    since_trip: bool = Field(
        default=False, description="Instead, the objects that came after the trip began: what a cut source missed."
    )
    timezone: str = Field(default="UTC", description="Whose day it is, e.g. Australia/Sydney.")
    pace: Duration = Field(default=timedelta(seconds=1), description="Time between two invocations.")
    most: int = Field(default=1000, ge=1, description="Objects at most; the rest is counted in the receipt.")
    repeatable: bool = Field(default=False, description="Processing an object twice does no harm.")

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"no time zone is called {value!r}") from None
        return value

    @model_validator(mode="after")
    def _one_worker(self) -> ReprocessParams:
        if (self.function is None) == (self.state_machine is None):
            raise ValueError("name a function or a state_machine")
        return self


def plan(params: ReprocessParams, now: datetime) -> Change:
    """Pure."""
    machine = params.state_machine
    name = function_name(str(params.function)) if machine is None else target_name(machine)
    missing = " that are not processed" if params.processed else ""
    came = " that came since the trip began" if params.since_trip else ""
    return Change(
        action="reprocess_objects",
        resource=f"lambda/{name}" if machine is None else f"states/{name}",
        wanted=None,
        summary=f"have {name} process the objects of {params.source.bucket}/{params.source.prefix}{came}{missing}",
        params={**params.model_dump(mode="json"), **(named(params) if machine is None else {})},
    )


async def capture(change: Change, ctx: ActionContext) -> Json:
    """Nothing: how many there are is found as it goes."""
    return None


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """Resumable at any point. `data`: sent, left (beyond `most`), unclear (keys)."""
    params = ReprocessParams.model_validate(change.params)
    day = _day(ctx.trip.started_at, params.timezone)
    if "until" not in ctx.memory:
        await ctx.remember(until=ctx.now().isoformat())  # what comes later is nobody's miss: the source is back
    until = datetime.fromisoformat(str(ctx.memory["until"]))
    once, left = Once(ctx, repeatable=params.repeatable or params.state_machine is not None), 0
    done = await _processed(params, day, ctx) if params.processed else frozenset()
    async for key, row in _objects(params.source, day, params.timezone, ctx):
        if key.endswith("/") or not _is_meant(row["LastModified"], params, until, ctx) or not once.is_due(key):
            continue
        if _stem(key, params.source, day, params) in done:
            continue
        if once.done + len(once.unclear) >= params.most:
            left += 1
            continue
        await once.do(key, partial(_send, change, params, key, row, ctx))
        await ctx.progress(once.done, None)
        await ctx.sleep(params.pace.total_seconds())
    unclear: list[Json] = list(once.unclear)
    data: dict[str, Json] = {"sent": once.done, "left": left, "unclear": unclear}
    detail = f"sent {once.told('object')}" + (f"; {left} left beyond {params.most}" if left else "")
    return Receipt(change=change, changed=once.done > 0, verified=not unclear, detail=detail, data=data)


def _is_meant(at: datetime, params: ReprocessParams, until: datetime, ctx: ActionContext) -> bool:
    if params.since_trip:
        # S3 tells whole seconds.
        return ctx.trip.started_at.replace(microsecond=0) <= at <= until
    return at <= ctx.trip.started_at - params.older_than


def _day(at: datetime, zone: str) -> Gap:
    start = at.astimezone(ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0)
    return Gap(start, start + timedelta(days=1))


def _prefix(where: Prefix, day: Gap, zone: str) -> str:
    return str(fill(where.prefix, day, zone))


def _stem(key: str, where: Prefix, day: Gap, params: ReprocessParams) -> str:
    """The name below the prefix, without the extension of its last part."""
    name = key.removeprefix(_prefix(where, day, params.timezone))
    folder, slash, last = name.rpartition("/")
    return folder + slash + last.split(".", 1)[0]


async def _objects(where: Prefix, day: Gap, zone: str, ctx: ActionContext) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    prefix = _prefix(where, day, zone)
    async for page in ctx.aws.pages("s3", "ListObjectsV2", Bucket=where.bucket, Prefix=prefix):
        for row in page.get("Contents") or ():
            yield str(row["Key"]), dict(row)


async def _processed(params: ReprocessParams, day: Gap, ctx: ActionContext) -> frozenset[str]:
    assert params.processed is not None
    found: set[str] = set()
    async for key, _ in _objects(params.processed, day, params.timezone, ctx):
        found.add(_stem(key, params.processed, day, params))
        if len(found) > _KEPT:
            raise ActionError(
                Reason.INVALID, f"more than {_KEPT} objects lie in {params.processed.bucket} there: narrow the prefix"
            )
    return frozenset(found)


async def _send(change: Change, params: ReprocessParams, key: str, row: dict[str, Any], ctx: ActionContext) -> None:
    bucket, size = params.source.bucket, int(row.get("Size") or 0)
    etag = str(row.get("ETag") or "").strip('"')
    if params.event == "s3":
        about = {
            "bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"},
            "object": {"key": quote_plus(key, safe="/"), "size": size, "eTag": etag},
        }
        event: dict[str, Any] = {
            "Records": [{
                "eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
                "awsRegion": ctx.aws.region, "eventTime": row["LastModified"].isoformat(), "s3": about,
            }]
        }  # fmt: skip
    else:
        event = {
            "version": "0", "source": "aws.s3", "detail-type": "Object Created", "region": ctx.aws.region,
            "time": row["LastModified"].isoformat(), "resources": [f"arn:aws:s3:::{bucket}"],
            "detail": {"bucket": {"name": bucket}, "object": {"key": key, "size": size, "etag": etag}},
        }  # fmt: skip
    if params.state_machine is None:
        await call(change.params, event, ctx, repeatable=params.repeatable)
        return
    name = "reprocess-" + hashlib.sha256(f"{ctx.trip.id}/{bucket}/{key}".encode()).hexdigest()[:32]
    try:
        await ctx.aws.mutate(
            "stepfunctions", "StartExecution", stateMachineArn=params.state_machine, name=name, input=json.dumps(event)
        )
    except ActionError as error:
        if "ExecutionAlreadyExists" not in error.detail:  # that one has ended already: it was started
            raise


def needs(params: ReprocessParams) -> list[Permission]:
    """For IAM: what one step asks, undo included."""
    if params.state_machine is not None:
        asked = need("states:StartExecution", machine=params.state_machine)
    else:
        name = f"{params.function}:{params.qualifier}" if params.qualifier else params.function
        asked = need("lambda:InvokeFunction", function=name)
    buckets = [place.bucket for place in (params.source, params.processed) if place is not None]
    return [need("s3:ListBucket", bucket=buckets), asked]


ACTION = Action(
    name="reprocess_objects",
    summary="Sends a Lambda function or a state machine the events of objects that it missed.",
    params=ReprocessParams,
    risk=Risk.DISRUPTIVE,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=None,
    permissions=("s3:ListBucket", "lambda:InvokeFunction", "states:StartExecution"),
    example="""reprocess_objects:
  function: opendata-pulse-etl
  source: {bucket: opendata-pulse-raw, prefix: "raw/${window.year}/${window.month}/${window.day}/"}
  processed: {bucket: opendata-pulse-curated, prefix: "curated/${window.year}/${window.month}/${window.day}/"}
""",
    blast_radius="One invocation or execution per object, at most `most`.",
    resource_field="function",
    resource_kind=ResourceKind.FUNCTION,
    needs=needs,
)
