"""Reading the executions of Standard state machines, newest first."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from checks.reading import MINUTE
from monitor.plugin import ProbeContext, ProbeError, Reason, Resource

EXPRESS = "EXPRESS"

#: Starts older than this are never of interest.
LOOK_BACK = 2 * MINUTE

#: What the permissions of every kind over state machines include: discovery by glob and by tag.
DISCOVERY = ("states:ListStateMachines", "tag:GetResources")


def is_express(machine: Resource) -> bool:
    """True if discovery saw an Express machine; an explicit name's type may be unknown here."""
    return machine.facts.get("type") == EXPRESS


async def pages_newest_first(
    machine: Resource, ctx: ProbeContext, **filters: str
) -> AsyncIterator[tuple[Sequence[Mapping[str, Any]], bool]]:
    """(at most 1,000 executions by falling startDate, whether more follow). Raises ExpressMachine for such."""
    if is_express(machine):
        raise no_executions(machine)
    request: dict[str, Any] = {"stateMachineArn": machine.arn, "maxResults": 1000, **filters}
    try:
        async for page in ctx.aws.pages("stepfunctions", "ListExecutions", **request):
            yield page.get("executions", ()), bool(page.get("nextToken"))
    except ProbeError as error:
        if "StateMachineTypeNotSupported" in error.detail:
            raise no_executions(machine) from error
        raise


class ExpressMachine(ProbeError):
    """AWS keeps no list of an Express machine's executions."""


def no_executions(machine: Resource) -> ExpressMachine:
    """The error that says so, with the way out."""
    return ExpressMachine(
        Reason.INVALID,
        f"{machine.name} is an Express machine: AWS lists no executions of it; watch its metrics instead",
    )


def began(execution: Mapping[str, Any]) -> datetime:
    """When it started, or last started again by a redrive."""
    started: datetime = execution["startDate"]
    return max(started, execution.get("redriveDate") or started)


@dataclass(frozen=True, slots=True)
class Starts:
    """Start times in (now - covered, now], and whether `covered` reaches back the full minute."""

    at: Sequence[datetime]
    covered: timedelta

    @property
    def is_whole(self) -> bool:
        """False: the page cap came first, so counts are lower bounds."""
        return self.covered >= MINUTE

    def in_last_minute(self, now: datetime) -> int:
        """How many lie in (now - 60 s, now]."""
        return sum(time > now - MINUTE for time in self.at)


async def read_starts(machine: Resource, max_pages: int, ctx: ProbeContext) -> Starts:
    """The list of executions until the trailing minute is covered, and what else of LOOK_BACK those pages hold."""
    begin = ctx.now - LOOK_BACK
    at: list[datetime] = []
    pages, covered = 0, timedelta(0)
    async for executions, has_more in pages_newest_first(machine, ctx):
        pages += 1
        times = [execution["startDate"] for execution in executions]
        # Started after this run did: the window ends with the run, or a slow read would stretch it.
        at += [time for time in times if begin < time <= ctx.now]
        if times:
            covered = max(timedelta(0), ctx.now - times[-1])
        if has_more and (covered >= MINUTE or pages >= max_pages):
            return Starts(at, min(LOOK_BACK, covered))
    return Starts(at, LOOK_BACK)
