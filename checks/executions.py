"""Reading the executions of Standard state machines, newest first."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from monitor.plugin import ProbeContext, ProbeError, Reason, Resource

EXPRESS = "EXPRESS"

#: What the permissions of every kind over state machines include: discovery by glob and by tag.
DISCOVERY = ("states:ListStateMachines", "tag:GetResources")


def is_express(machine: Resource) -> bool:
    """True if discovery saw an Express machine; an explicit name's type may be unknown here."""
    return machine.facts.get("type") == EXPRESS


async def pages_newest_first(
    machine: Resource, ctx: ProbeContext, **filters: str
) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
    """Pages of at most 1,000 executions by falling startDate. Raises ProbeError(invalid) for an Express machine."""
    if is_express(machine):
        raise no_executions(machine)
    request: dict[str, Any] = {"stateMachineArn": machine.arn, "maxResults": 1000, **filters}
    try:
        async for page in ctx.aws.pages("stepfunctions", "ListExecutions", **request):
            yield page.get("executions", ())
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
