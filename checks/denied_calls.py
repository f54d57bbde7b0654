"""Calls that AWS refused for lack of permission: which action, on which resource, and what statement would allow it.

`denied` counts within `window`, per action and resource (target `s3:PutObject on BUCKET/FOLDER/*`) and for all of them
(target `target`, a real zero if there was none). The detail of each names the policy that lacks or denies it and the
smallest statement that would grant it: a proposal for a person, never applied. An explicit deny is told apart, because
no statement helps there. Sources, any of them:

- `log_groups`: lines that say AccessDenied or "not authorized to perform" (FilterLogEvents);
- `state_machines`: error and cause of executions that started and failed within the window, the newest `executions`;
- `cloudtrail: true`: management events with an access error, which stands inside CloudTrailEvent's JSON, not beside it.
  LookupEvents knows no data events (s3:PutObject, lambda:Invoke): those stand in logs. Two calls a second are all there
  is, so name `events` if you can.

A source that fails leaves the total a lower bound; when all fail it is unknown.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from pydantic import Field, model_validator

from checks.executions import DISCOVERY, began, pages_newest_first
from checks.insights import lines, millis
from checks.reading import attempt, observe, unknown
from monitor.plugin import (
    Bound,
    Check,
    Denial,
    Duration,
    Missing,
    Observation,
    Params,
    Permission,
    ProbeContext,
    ProbeError,
    Resource,
    ResourceKind,
    Selector,
    Signal,
    SignalSpec,
    denials_in,
    discovery,
    need,
    statement,
)

DENIED = Signal("denied", "calls", "Refused calls within `window`.", Missing.ZERO, "window")

#: Any of these words; the parser decides.
PATTERN = '?AccessDenied ?"not authorized to perform" ?UnauthorizedOperation'
#: What CloudTrail's errorCode holds, services differing.
_CODES = ("accessdenied", "unauthorizedoperation", "unauthorized", "forbidden", "notauthorized")


class DeniedCalls(Params):
    """Where to look."""

    log_groups: tuple[str, ...] = Field((), description="Log groups whose lines are searched.", max_length=50)
    state_machines: Selector | None = Field(None, description="Standard state machines whose failures are read.")
    cloudtrail: bool = Field(False, description="Also CloudTrail's management events.")
    events: tuple[str, ...] = Field((), description="Event names to look up in CloudTrail (`PutBucketPolicy`).")
    window: Duration = Field(timedelta(hours=1), description="How far back is looked.")
    executions: int = Field(20, ge=1, le=200, description="Failed executions read per machine, at most.")
    max_pages: int = Field(10, ge=1, le=100, description="Pages read per log group and per event name, at most.")
    top: int = Field(30, ge=1, le=200, description="How many actions and resources are targets of their own.")
    target: str = Field("denied", description="Name of the target that counts all.", min_length=1)

    @model_validator(mode="after")
    def _something(self) -> DeniedCalls:
        if not (self.log_groups or self.state_machines or self.cloudtrail):
            raise ValueError("give at least one of log_groups, state_machines and cloudtrail")
        if self.events and not self.cloudtrail:
            raise ValueError("`events` are looked up in CloudTrail: set `cloudtrail: true`")
        return self


#: What a source found, and whether that is all.
Found = tuple[list[Denial], bool]


async def probe(params: DeniedCalls, ctx: ProbeContext) -> Sequence[Observation]:
    """Every source, each failing alone."""
    sources: list[Awaitable[Found]] = [_in_logs(group, params, ctx) for group in params.log_groups]
    if params.state_machines is not None:
        sources.append(_in_executions(params.state_machines, params, ctx))
    if params.cloudtrail:
        sources += [_in_trail(name, params, ctx) for name in params.events or (None,)]
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(attempt(source)) for source in sources]
    results = [task.result() for task in running]
    failed = [one for one in results if isinstance(one, ProbeError)]
    if len(failed) == len(results):
        return unknown([DENIED], params.target, failed[0])
    read = [one for one in results if not isinstance(one, ProbeError)]
    is_whole = not failed and all(whole for _, whole in read)
    return _observed([denial for denials, _ in read for denial in denials], params, ctx, failed, is_whole=is_whole)


def _observed(
    found: Sequence[Denial], params: DeniedCalls, ctx: ProbeContext, failed: Sequence[ProbeError], *, is_whole: bool
) -> list[Observation]:
    counts = Counter(denial.target for denial in found)
    # The one that says most of itself speaks for its target.
    spoken = {one.target: one for one in sorted(found, key=lambda one: (bool(one.denied_by), bool(one.principal)))}
    total = observe(DENIED, params.target, len(found), ctx.now, lower_bound=not is_whole)
    said = "; ".join(f"{count} x {target}" for target, count in counts.most_common(5))
    if failed:
        said = f"{said}; one source failed: {failed[0].detail}".lstrip("; ")
    seen = [replace(total, detail=said)]
    for target, count in counts.most_common(params.top):
        if target != params.target:
            one = observe(DENIED, target, count, ctx.now, lower_bound=not is_whole)
            seen.append(replace(one, detail=explained(spoken[target])))
    return seen


def explained(denial: Denial) -> str:
    """What is missing where, and the statement that would grant it."""
    if denial.denied_by:
        return denial.advice
    return f"{denial.advice}; proposal: {json.dumps(statement(denial))}"


async def _in_logs(group: str, params: DeniedCalls, ctx: ProbeContext) -> Found:
    found: list[Denial] = []
    begin, end = millis(ctx.now - params.window), millis(ctx.now)
    is_whole = True
    async for messages, is_last in lines(group, PATTERN, begin, end, params.max_pages, ctx):
        found += [denial for message in messages for denial in denials_in(message)]
        is_whole = is_last
    return found, is_whole


async def _in_executions(selector: Selector, params: DeniedCalls, ctx: ProbeContext) -> Found:
    found: list[Denial] = []
    is_whole = True
    for machine in await ctx.aws.find(ResourceKind.STATE_MACHINE, selector):
        arns, all_read = await _failed(machine, params, ctx)
        is_whole = is_whole and all_read
        for arn in arns:
            reply = await ctx.aws.call("stepfunctions", "DescribeExecution", executionArn=arn)
            found += denials_in(f"{reply.get('error', '')} {reply.get('cause', '')}")
    return found, is_whole


async def _failed(machine: Resource, params: DeniedCalls, ctx: ProbeContext) -> tuple[list[str], bool]:
    arns: list[str] = []
    async for page, has_more in pages_newest_first(machine, ctx, statusFilter="FAILED"):
        recent = [one["executionArn"] for one in page if began(one) > ctx.now - params.window]
        arns += recent
        if len(arns) > params.executions:
            return arns[: params.executions], False
        if len(recent) < len(page) or not has_more:
            break
    return arns, True


async def _in_trail(name: str | None, params: DeniedCalls, ctx: ProbeContext) -> Found:
    asked: dict[str, Any] = {"StartTime": ctx.now - params.window, "EndTime": ctx.now}
    if name is not None:
        asked["LookupAttributes"] = [{"AttributeKey": "EventName", "AttributeValue": name}]
    found: list[Denial] = []
    pages = 0
    async for page in ctx.aws.pages("cloudtrail", "LookupEvents", **asked):
        pages += 1
        found += [denial for event in page.get("Events") or () for denial in of_event(event.get("CloudTrailEvent"))]
        if page.get("NextToken") and pages >= params.max_pages:
            return found, False
    return found, True


def of_event(text: str | None) -> list[Denial]:
    """The denial of a CloudTrail record (its JSON text); [] if it was allowed, failed otherwise, or is no JSON."""
    try:
        record = json.loads(text or "{}")
    except ValueError:
        return []
    code = str(record.get("errorCode") or "").lower().replace(".", "")
    if not any(one in code for one in _CODES):
        return []
    found = denials_in(str(record.get("errorMessage") or ""))
    if found:
        return found
    source = str(record.get("eventSource") or "").split(".", maxsplit=1)[0]
    named = [one.get("ARN") for one in record.get("resources") or () if isinstance(one, Mapping) and one.get("ARN")]
    identity = record.get("userIdentity") or {}
    return [Denial(f"{source}:{record.get('eventName')}", str(named[0]) if named else "*", identity.get("arn"))]


def needs(params: DeniedCalls) -> list[Permission]:
    """For IAM: what one configuration asks."""
    found = [need("logs:FilterLogEvents", log_group=params.log_groups)] if params.log_groups else []
    if params.state_machines:
        found += discovery(ResourceKind.STATE_MACHINE, params.state_machines)
        found.append(need("states:ListExecutions", machine=params.state_machines))
        found.append(need("states:DescribeExecution", execution=params.state_machines))
    if params.cloudtrail or params.events:
        found.append(need("cloudtrail:LookupEvents"))
    return found


CHECK: Check[DeniedCalls] = Check(
    kind="denied_calls",
    summary="Calls refused for lack of permission, with the missing permission named.",
    params=DeniedCalls,
    probe=probe,
    signals=(DENIED,),
    defaults={"denied": SignalSpec(critical=Bound(above=0), missing=Missing.ZERO)},
    permissions=(
        "logs:FilterLogEvents",
        "states:ListExecutions",
        "states:DescribeExecution",
        "cloudtrail:LookupEvents",
        *DISCOVERY,
    ),
    cost="Free; per log group one FilterLogEvents per page, per failed execution one call, CloudTrail at 2 per second.",
    example="""\
denied:
  kind: denied_calls
  interval: 5m
  log_groups: [/aws/lambda/ingest-handler, /aws/lambda/transform-handler]
  state_machines: etl-workflow
  window: 1h
""",
    interval=timedelta(minutes=5),
    roaming=lambda params: True,
    needs=needs,
)
