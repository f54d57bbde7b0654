"""Executions of Standard state machines that run longer than they should.

`stuck` counts the RUNNING executions older than `expected`, `oldest` is the age of the oldest RUNNING one: all pages
are read, since AWS lists the newest first. Of the oldest few stuck ones the history is read, newest events first:
`state_age` is the longest time any of them has been in its present state, `idle` the longest time without any event.
Both are 0 while nothing is stuck; with more stuck executions than `histories`, or more events than one page holds,
they are lower bounds. Parallel and Map states count only while no state inside them is open: else their age would be
mistaken for standstill. A redriven execution's age and that of its state begin with the redrive.

With `key`, an expression over an execution's input (`detail.object.key`), the detail names for the oldest few what each
works on, and the function that was scheduled last by its history: which file hangs, and where. The input is a text
that holds JSON, and what runs is in the history; a Map Run's ARN (mapRunArn) names no function.

Express machines are unknown(invalid): AWS lists no executions of theirs, and they end after five minutes anyway.

Default thresholds are the runbooks': the preventive alarm at 15 minutes, stuck after 1 hour, a single state above 15
minutes, no activity for 30 minutes.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import jmespath
from jmespath.exceptions import JMESPathError
from pydantic import Field, field_validator

from checks.executions import DISCOVERY, began, pages_newest_first
from checks.history import function_of
from checks.reading import attempt, each, observe, unknown
from monitor.plugin import (
    Bound,
    Check,
    Duration,
    Observation,
    Params,
    Permission,
    ProbeContext,
    ProbeError,
    Progress,
    Resource,
    ResourceKind,
    Selector,
    Signal,
    SignalSpec,
    discovery,
    need,
    progress_of,
    target_name,
)

STUCK = Signal("stuck", "executions", "RUNNING executions older than `expected`.")
OLDEST = Signal("oldest", "seconds", "Age of the oldest RUNNING execution; 0 if none runs.")
STATE_AGE = Signal("state_age", "seconds", "Longest time a stuck execution has been in its present state; 0 if none.")
IDLE = Signal("idle", "seconds", "Longest time a stuck execution has had no event; 0 if none is stuck.")
SIGNALS = (STUCK, OLDEST, STATE_AGE, IDLE)

#: Events read per history; a state with more events than this since it was entered is at least so old.
EVENTS = 100
#: Executions that a detail names, and how long a name may be.
_NAMED, _LONGEST = 3, 120


class StuckExecutions(Params):
    """Which machines, and what is too long."""

    state_machines: Selector = Field(description="Standard state machines by name, ARN, glob or tag.")
    expected: Duration = Field(timedelta(minutes=15), description="How long an execution may run before it is stuck.")
    histories: int = Field(5, ge=0, le=50, description="Stuck executions, oldest first, whose history is read per run.")
    key: str | None = Field(
        None, description="JMESPath over an execution's input: what names its work, e.g. `detail.object.key`."
    )
    max_pages: int = Field(100, ge=1, le=1000, description="Pages of 1,000 RUNNING executions read at most.")

    @field_validator("key")
    @classmethod
    def _compiles(cls, key: str | None) -> str | None:
        try:
            jmespath.compile(key or "@")
        except JMESPathError as error:
            raise ValueError(f"not a JMESPath expression: {str(error).splitlines()[0]}") from error
        return key


async def probe(params: StuckExecutions, ctx: ProbeContext) -> Sequence[Observation]:
    """Each machine's RUNNING executions, and the histories of its oldest stuck ones."""

    async def read(machine: Resource) -> list[Observation]:
        running, is_whole = await _running(machine, params.max_pages, ctx)
        stuck = [one for one in running if ctx.now - one[0] > params.expected]
        age = max((ctx.now - start for start, _ in running), default=timedelta(0)).total_seconds()
        seen = [
            observe(STUCK, machine.name, len(stuck), ctx.now, lower_bound=not is_whole),
            observe(OLDEST, machine.name, max(0.0, age), ctx.now, lower_bound=not is_whole),
        ]
        if not params.histories:
            return seen
        oldest = heapq.nsmallest(params.histories, stuck)
        if params.key is not None and oldest:
            named = [await attempt(_named(arn, params.key, ctx)) for _, arn in oldest[:_NAMED]]
            detail = "; ".join(one for one in named if isinstance(one, str))
            seen = [replace(one, detail=detail) for one in seen]
        progress = await attempt(_progress([arn for _, arn in oldest], ctx))
        if isinstance(progress, ProbeError):
            return seen + unknown((STATE_AGE, IDLE), machine.name, progress)
        return seen + _standstill(machine, progress, ctx.now, all_read=is_whole and len(oldest) == len(stuck))

    machines = await ctx.aws.find(ResourceKind.STATE_MACHINE, params.state_machines)
    return await each(machines, read, SIGNALS if params.histories else (STUCK, OLDEST))


async def _running(machine: Resource, max_pages: int, ctx: ProbeContext) -> tuple[list[tuple[datetime, str]], bool]:
    """(start, ARN) of what runs, and whether that is all of it."""
    running: list[tuple[datetime, str]] = []
    pages = 0
    async for page, has_more in pages_newest_first(machine, ctx, statusFilter="RUNNING"):
        pages += 1
        running += [(began(execution), execution["executionArn"]) for execution in page]
        if has_more and pages >= max_pages:
            return running, False
    return running, True


async def _named(arn: str, key: str, ctx: ProbeContext) -> str:
    """`hung-1 (incoming/a.csv, in transform-handler)`. Raises ProbeError."""
    told = await ctx.aws.call("stepfunctions", "DescribeExecution", executionArn=arn)
    reply = await ctx.aws.call(
        "stepfunctions", "GetExecutionHistory", executionArn=arn, reverseOrder=True, maxResults=EVENTS
    )
    try:
        found = jmespath.search(key, json.loads(told.get("input") or "{}"))
    except (ValueError, JMESPathError):
        found = None
    function = function_of(reply.get("events") or ())
    about = [str(found)[:_LONGEST] if found not in (None, "", [], {}) else f"no {key} in its input"]
    about += [f"in {function}"] if function else []
    return f"{target_name(arn)} ({', '.join(about)})"


async def _progress(arns: Sequence[str], ctx: ProbeContext) -> list[Progress]:
    found = []
    for arn in arns:
        reply = await ctx.aws.call(
            "stepfunctions",
            "GetExecutionHistory",
            executionArn=arn,
            reverseOrder=True,
            maxResults=EVENTS,
            includeExecutionData=False,
        )
        events = reply.get("events", ())
        if events:
            found.append(progress_of(events, is_whole="nextToken" not in reply))
    return found


def _standstill(machine: Resource, progress: Sequence[Progress], now: datetime, *, all_read: bool) -> list[Observation]:
    ages = [((now - one.entered).total_seconds(), one.is_whole) for one in progress]
    age, is_whole = max(ages, default=(0.0, True))
    idle = max(((now - one.last).total_seconds() for one in progress), default=0.0)
    return [
        observe(STATE_AGE, machine.name, max(0.0, age), now, lower_bound=not (is_whole and all_read)),
        observe(IDLE, machine.name, max(0.0, idle), now, lower_bound=not all_read),
    ]


def needs(params: StuckExecutions) -> list[Permission]:
    """For IAM: what one configuration asks."""
    machines, found = params.state_machines, discovery(ResourceKind.STATE_MACHINE, params.state_machines)
    if params.histories:
        found.append(need("states:GetExecutionHistory", execution=machines))
        if params.key is not None:
            found.append(need("states:DescribeExecution", execution=machines))
    return [*found, need("states:ListExecutions", machine=machines)]


CHECK: Check[StuckExecutions] = Check(
    kind="stuck_executions",
    summary="Executions that run too long, stay in one state, or stand still.",
    params=StuckExecutions,
    probe=probe,
    signals=SIGNALS,
    defaults={
        "stuck": SignalSpec(warning=Bound(above=0)),
        "oldest": SignalSpec(warning=Bound(above=15 * 60), critical=Bound(above=60 * 60)),
        "state_age": SignalSpec(warning=Bound(above=15 * 60)),
        "idle": SignalSpec(critical=Bound(above=30 * 60)),
    },
    permissions=("states:ListExecutions", "states:GetExecutionHistory", "states:DescribeExecution", *DISCOVERY),
    cost="Per machine one ListExecutions per 1,000 RUNNING executions, and up to `histories` histories; free.",
    example="""\
stuck:
  kind: stuck_executions
  interval: 60s
  state_machines: etl-workflow
  expected: 5m
  thresholds:
    oldest: {warning: {above: 900}, critical: {above: 3600}}
""",
    target_kind=ResourceKind.STATE_MACHINE,
    selectors=("state_machines",),
    needs=needs,
)
