"""Pauses (or resumes) what a Lambda function reads from: its event source mappings on queues and streams.

Changes the enabled flag of each mapping; undo puts back exactly those mappings that differed. The value of the
property is the list of mapping ids that are enabled (when pausing) or disabled (when resuming), so that the aim is the
empty list whatever mappings there are. A paused queue keeps its messages until its retention ends. Another breaker
shares the claim only if it names the same thing: the function, or the mapping's id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from pydantic import Field, model_validator

from monitor.actions.readback import confirmed
from monitor.actions.set_lambda_concurrency import function_name
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
    ResourceKind,
    Risk,
    mappings_of,
    need,
)

#: States on the way count as what they lead to; Creating and Updating keep what the mapping was.
_ENABLED = frozenset({"Enabled", "Enabling", "Creating", "Updating"})
_MOVING = frozenset({"Creating", "Enabling", "Disabling", "Updating"})
#: AWS says a change takes up to a few minutes; the dispatcher retries after that.
_SETTLE_SECONDS, _POLL_SECONDS = 180.0, 3.0


class EventSourceParams(Params):
    """A function with all its mappings, or one mapping."""

    function: str | None = Field(default=None, description="Name or ARN of the function: all its mappings.")
    uuid: str | None = Field(
        default=None, min_length=36, max_length=36, description="Only the event source mapping with this id."
    )
    enabled: bool = Field(description="false pauses reading, true resumes it.")

    @model_validator(mode="after")
    def _names_something(self) -> EventSourceParams:
        if self.function is None and self.uuid is None:
            raise ValueError("name a `function`, or the `uuid` of a mapping")
        return self


def plan(params: EventSourceParams, now: datetime) -> Change:
    """Pure."""
    name = params.uuid or function_name(params.function or "")
    named = {"uuid" if params.uuid else "function": name}
    verb = "resume" if params.enabled else "pause"
    what = f"the event source mapping {name}" if params.uuid else f"all event sources of {name}"
    return Change(
        action="set_event_source",
        resource=f"event-source-mapping/{name}" if params.uuid else f"lambda/{name}",
        property="disabled_event_sources" if params.enabled else "enabled_event_sources",
        wanted=[],
        summary=f"{verb} {what}",
        params={**named, "enabled": params.enabled},
    )


async def capture(change: Change, ctx: ActionContext) -> Json:
    """The ids not yet as wanted, sorted.

    While our own change is half done (a gate closed, or a crash, between two mappings) this is still the value it
    started from, so that it is resumed rather than taken for someone else's edit.
    """
    live = _differing(await _states(change, ctx), change)
    moving = ctx.memory.get("moving")
    if isinstance(moving, Sequence) and len(moving) == 2:
        start, end = (set(ids) if isinstance(ids, Sequence) else set() for ids in moving)
        if set(live) != end and start & end <= set(live) <= start | end:
            return moving[0]
    return list(live)


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """Flips every mapping that differs, then waits for all of them to settle. None at all: ActionError(not_found)."""
    if not await _states(change, ctx):
        raise ActionError(Reason.NOT_FOUND, f"{change.resource} has no event source mapping")
    return await _move(change, change.wanted, ctx)


async def undo(receipt: Receipt, ctx: ActionContext) -> Receipt:
    """Only the mappings captured at the start are flipped back; newer ones are left alone."""
    return replace(await _move(receipt.change, receipt.prior, ctx), prior=receipt.prior)


def strictest(values: Sequence[Json]) -> Json:
    """A mapping that any holder wants flipped is flipped: the ids common to all."""
    lists = [{str(uuid) for uuid in value} for value in values if isinstance(value, Sequence)]
    return sorted(set.intersection(*lists)) if lists else []


async def _move(change: Change, wanted: Json, ctx: ActionContext) -> Receipt:
    target = sorted(str(uuid) for uuid in wanted) if isinstance(wanted, Sequence) else []
    states = await _states(change, ctx)
    live = _differing(states, change)
    enabled = change.params["enabled"] is True
    flips = {uuid: enabled for uuid in live if uuid not in target}
    flips |= {uuid: not enabled for uuid in target if uuid not in live and uuid in states}
    if flips:
        start = ctx.memory.get("moving")
        await ctx.remember(moving=start if _continues(start, target) else [live, target])
        for uuid, flag in sorted(flips.items()):
            await ctx.aws.mutate("lambda", "UpdateEventSourceMapping", UUID=uuid, Enabled=flag)
    await _settle(change, ctx)

    async def read() -> Json:
        return list(_differing(await _states(change, ctx), change))

    applied = await confirmed(read, target, ctx, f"the event sources of {change.resource}")
    if ctx.memory.get("moving") is not None:
        await ctx.remember(moving=None)
    detail = f"{len(flips)} of {len(states)} mappings changed" if flips else "nothing to change"
    return Receipt(change=change, applied=applied, changed=bool(flips), detail=detail)


def _continues(moving: Json, target: list[str]) -> bool:
    return isinstance(moving, Sequence) and len(moving) == 2 and moving[1] == target


async def _settle(change: Change, ctx: ActionContext) -> None:
    waited = 0.0
    while _MOVING & set((await _states(change, ctx)).values()):
        if waited >= _SETTLE_SECONDS:
            raise ActionError(Reason.UNAVAILABLE, f"the event sources of {change.resource} are still changing")
        await ctx.sleep(_POLL_SECONDS)
        waited += _POLL_SECONDS


async def _states(change: Change, ctx: ActionContext) -> dict[str, str]:
    """Mapping id -> State; those being deleted don't count."""
    if uuid := change.params.get("uuid"):
        rows = [await ctx.aws.call("lambda", "GetEventSourceMapping", UUID=uuid)]
    else:
        pages = ctx.aws.pages("lambda", "ListEventSourceMappings", FunctionName=change.params["function"])
        rows = [row async for page in pages for row in page.get("EventSourceMappings", ())]
    return {str(row["UUID"]): str(row.get("State", "")) for row in rows if row.get("State") != "Deleting"}


def _differing(states: dict[str, str], change: Change) -> list[str]:
    enabled = change.params["enabled"] is True
    return sorted(uuid for uuid, state in states.items() if (state in _ENABLED) != enabled)


def needs(params: EventSourceParams) -> list[Permission]:
    """For IAM: what one step asks, undo included."""
    one = ("lambda:GetEventSourceMapping", "lambda:UpdateEventSourceMapping")
    if params.uuid is not None:
        return [mappings_of(*one, uuid=params.uuid)]
    return [need("lambda:ListEventSourceMappings"), mappings_of(*one, function=params.function)]


ACTION = Action(
    name="set_event_source",
    summary="Pauses or resumes a Lambda function's event source mappings (queues, streams).",
    params=EventSourceParams,
    risk=Risk.REVERSIBLE,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=undo,
    permissions=(
        "lambda:ListEventSourceMappings",
        "lambda:GetEventSourceMapping",
        "lambda:UpdateEventSourceMapping",
    ),
    example="set_event_source: {function: processor, enabled: false}",
    blast_radius="One function (or one mapping): nothing is consumed, messages wait in their queue or stream.",
    restrictive=strictest,
    resource_field="function",
    resource_kind=ResourceKind.FUNCTION,
    cuts_of=lambda change: change.params["enabled"] is False,
    backfill="none while the queue's or stream's retention outlasts the window: what waited is read now",
    needs=needs,
)
