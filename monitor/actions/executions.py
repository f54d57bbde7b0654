"""What runs: the RUNNING executions of state machines, sorted into those a drain stops and those it leaves."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from monitor.plugin import (
    ActionContext,
    ActionError,
    Json,
    Permission,
    ProbeError,
    Reason,
    ResourceKind,
    Selector,
    discovery,
    is_glob,
    need,
    progress_of,
    target_name,
)

#: AWS's largest page; a page costs one of 2 to 5 ListExecutions calls per second.
PAGE = 1000
#: How many of the oldest rows one survey keeps per machine; what is beyond them comes with a later survey.
KEPT = 20_000
#: How far AWS's clock and ours may differ.
SKEW = timedelta(seconds=5)
#: Events read of a history; a state with more of them since it was entered is at least as old as the oldest.
EVENTS = 100
#: What finding, listing and describing executions asks of IAM.
READS = (
    "states:ListStateMachines",
    "states:DescribeStateMachine",
    "states:ListExecutions",
    "states:DescribeExecution",
)
_RERUN = re.compile(r"retry-[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, order=True)
class Row:
    """One running execution; rows sort oldest first."""

    started: datetime
    arn: str


@dataclass(frozen=True, slots=True)
class Window:
    """Which executions a drain is about.

    Those started before `until` are its own. Reruns begun since `trip` are nobody's. `began` is when it began.
    """

    began: datetime
    until: datetime
    trip: datetime


@dataclass(slots=True)
class Survey:
    """One full listing."""

    due: list[Row] = field(default_factory=list)
    #: All of the drain's own, `due` or beyond what one survey keeps.
    own: int = 0
    #: Started after the window: the source still runs.
    newer: int = 0
    #: Of the drain's own, those started after it began.
    stragglers: int = 0
    spared: int = 0


async def standard_machines(selector: Selector, ctx: ActionContext) -> tuple[list[str], list[str]]:
    """(ARNs of the selected Standard machines, names of Express ones that a glob or tag selected besides).

    Express executions can't be listed or stopped: one that is named is refused with ActionError(invalid).
    """
    named = {target_name(name) for name in selector.names if not is_glob(name)}
    standard: list[str] = []
    express: list[str] = []
    for machine in await ctx.aws.find(ResourceKind.STATE_MACHINE, selector):
        kind = machine.facts.get("type")
        if kind is None:
            reply = await ctx.aws.call("stepfunctions", "DescribeStateMachine", stateMachineArn=machine.arn)
            kind = str(reply.get("type", "STANDARD"))
        if kind == "EXPRESS" and machine.name in named:
            raise ActionError(
                Reason.INVALID,
                f"{machine.name} is an Express state machine: AWS can't list or stop its executions;"
                " cut its source instead",
            )
        if kind == "EXPRESS":
            express.append(machine.name)
        else:
            standard.append(machine.arn)
    return standard, express


async def survey(machines: Sequence[str], window: Window, ctx: ActionContext) -> Survey:
    """Lists everything before anything is stopped: page tokens may die when rows leave the filter under them."""
    found = Survey()
    for machine in machines:
        # Newest first, so the last KEPT rows are the oldest.
        oldest: deque[Row] = deque(maxlen=KEPT)
        pages = ctx.aws.pages(
            "stepfunctions", "ListExecutions", stateMachineArn=machine, statusFilter="RUNNING", maxResults=PAGE
        )
        async for page in pages:
            for execution in page.get("executions", ()):
                row = Row(execution["startDate"], str(execution["executionArn"]))
                if _RERUN.fullmatch(str(execution["name"])) and row.started >= window.trip - SKEW:
                    found.spared += 1
                elif row.started >= window.until:
                    found.newer += 1
                else:
                    found.own += 1
                    found.stragglers += row.started > window.began
                    oldest.append(row)
        found.due.extend(oldest)
    found.due.sort()
    return found


async def state_entered(arn: str, ctx: ActionContext) -> datetime | None:
    """When it entered its present state, or a time before that which its newest events reach back to.

    None: it has no history, or it ended and was forgotten.
    """
    try:
        reply = await ctx.aws.call(
            "stepfunctions", "GetExecutionHistory", executionArn=arn, reverseOrder=True, maxResults=EVENTS,
            includeExecutionData=False,
        )  # fmt: skip
    except ProbeError as error:
        if error.reason is not Reason.NOT_FOUND:
            raise
        return None
    events = reply.get("events", ())
    return progress_of(events, is_whole="nextToken" not in reply).entered if events else None


def reads_of(machines: Selector) -> list[Permission]:
    """The same for these machines alone."""
    return [
        *discovery(ResourceKind.STATE_MACHINE, machines),
        need("states:DescribeStateMachine", "states:ListExecutions", machine=machines),
        need("states:DescribeExecution", execution=machines),
    ]


def origin_of(seen: Mapping[str, Any]) -> str:
    """The alias, version or machine that a described execution was started through."""
    return str(seen.get("stateMachineAliasArn") or seen.get("stateMachineVersionArn") or seen["stateMachineArn"])


def cant_start_anew(seen: Mapping[str, Any]) -> str:
    """Why a described execution can't be started once more with its input; empty if it can."""
    if seen.get("mapRunArn"):
        return "it is a child of a map run"
    if "input" not in seen or not (seen.get("inputDetails") or {}).get("included", True):
        return "AWS does not return its whole input"
    return ""


async def running(machines: Sequence[str], ctx: ActionContext) -> Json:
    """How many run now, for the journal."""
    everything = Window(began=ctx.now(), until=ctx.now() + timedelta(days=1), trip=ctx.trip.started_at)
    return (await survey(machines, everything, ctx)).own
