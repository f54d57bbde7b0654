"""Pauses or resumes a schedule of the EventBridge Scheduler.

Changes its state only; undo puts the earlier state back. UpdateSchedule replaces the whole schedule (what is left out
falls back to a default), so every field is read and written back; AWS has no revision id for schedules, so an edit by
someone else within that second is lost. A paused schedule's missed times are not made up for.
Source: EventBridge Scheduler API reference, UpdateSchedule and GetSchedule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from monitor.actions.readback import confirmed
from monitor.plugin import (
    Action,
    ActionContext,
    Change,
    Json,
    Params,
    Permission,
    Receipt,
    Risk,
    need,
    target_name,
)

DISABLED = "DISABLED"
#: What GetSchedule tells that UpdateSchedule does not take.
_READ_ONLY = frozenset({"Arn", "CreationDate", "LastModificationDate", "State"})


class ScheduleParams(Params):
    """Which schedule, which state."""

    schedule: str = Field(description="Name or ARN of the schedule.", min_length=1)
    group: str = Field(default="default", description="Its schedule group.", min_length=1)
    state: Literal["ENABLED", "DISABLED"] = Field(description="DISABLED pauses it, ENABLED resumes it.")


def plan(params: ScheduleParams, now: datetime) -> Change:
    """Pure. A schedule's ARN (`...:schedule/GROUP/NAME`) names its group too."""
    group, name = params.group, params.schedule
    if name.startswith("arn:"):
        group, name = name.split(":", 5)[-1].removeprefix("schedule/").split("/", 1)
    verb = "pause" if params.state == DISABLED else "resume"
    where = "" if group == "default" else f" of the group {group}"
    return Change(
        action="set_schedule",
        resource=f"scheduler/{group}/{name}",
        property="state",
        wanted=params.state,
        summary=f"{verb} the schedule {name}{where}",
        params={"schedule": name, "group": group, "state": params.state},
    )


async def capture(change: Change, ctx: ActionContext) -> Json:
    """Its State. Raises ProbeError(not_found)."""
    return str((await _read(change, ctx)).get("State", "ENABLED"))


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """Writes the schedule back as it is, but for its state."""
    return await _set(change, change.wanted, ctx)


async def undo(receipt: Receipt, ctx: ActionContext) -> Receipt:
    """The earlier state; edits made to the schedule meanwhile are kept."""
    return replace(await _set(receipt.change, receipt.prior, ctx), prior=receipt.prior)


def strictest(values: Sequence[Json]) -> Json:
    """DISABLED wins: a source that one breaker paused stays paused."""
    return DISABLED if DISABLED in values else values[0]


async def _set(change: Change, wanted: Json, ctx: ActionContext) -> Receipt:
    schedule = await _read(change, ctx)
    live = schedule.get("State", "ENABLED")
    if live == wanted:
        return Receipt(change=change, applied=live, detail=f"was {live} already")
    kept = {name: value for name, value in schedule.items() if name not in _READ_ONLY and value is not None}
    kept |= {"Name": change.params["schedule"], "GroupName": change.params["group"]}
    await ctx.aws.mutate("scheduler", "UpdateSchedule", **kept, State=wanted)
    live = await confirmed(lambda: capture(change, ctx), wanted, ctx, f"the state of {change.resource}")
    return Receipt(change=change, applied=live, changed=True)


async def _read(change: Change, ctx: ActionContext) -> Mapping[str, Any]:
    return await ctx.aws.call(
        "scheduler", "GetSchedule", Name=change.params["schedule"], GroupName=change.params["group"]
    )


def needs(params: ScheduleParams) -> list[Permission]:
    """For IAM: what one step asks, undo included."""
    group, name = params.group, target_name(params.schedule)
    return [
        need("scheduler:GetSchedule", "scheduler:UpdateSchedule", schedule=f"{group}/{name}"),
        need("iam:PassRole", role=None),
    ]


ACTION = Action(
    name="set_schedule",
    summary="Pauses or resumes a schedule of the EventBridge Scheduler.",
    params=ScheduleParams,
    risk=Risk.REVERSIBLE,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=undo,
    # iam:PassRole: UpdateSchedule names the role of the target again.
    permissions=("scheduler:GetSchedule", "scheduler:UpdateSchedule", "iam:PassRole"),
    example="set_schedule: {schedule: jaunt-nightly, state: DISABLED}",
    blast_radius="One schedule: it starts nothing while paused, and missed times are not made up for.",
    restrictive=strictest,
    cuts_of=lambda change: change.params["state"] == DISABLED,
    backfill="start the schedule's target once for each of its times in this window, oldest first",
    needs=needs,
)
