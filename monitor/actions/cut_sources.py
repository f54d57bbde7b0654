"""Cuts whatever starts the chosen state machines: disables every EventBridge rule and pauses every schedule on them.

The first half of an emergency stop: cut before drain, or a loop starts faster than anyone stops. Rules are looked up on
every event bus, by the machine and its aliases as targets; schedules by their target in every group. Each becomes a
change of its own (`disable_rule`, `set_schedule`), with its own claim, and is put back exactly by the undo. Rules that
an AWS service manages can't be disabled and are reported as such. `except` leaves machines out, so that several steps
can be undone one after the other: one city first, then the rest.

    - cut_sources: {state_machines: "*jaunt*melbourne*", id: first-city}
    - cut_sources: {state_machines: "*jaunt*", except: "*melbourne*", id: the-others}
    - stop_executions: {state_machines: "*jaunt*", error: EmergencyStop, cause: Emergency stop}

Not seen: pipes, API calls, Lambda functions and other machines that start executions by themselves.
Source: EventBridge API reference, ListRuleNamesByTarget; EventBridge Scheduler API reference, ListSchedules.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from fnmatch import fnmatchcase

from pydantic import ConfigDict, Field

from monitor.actions import disable_rule, set_schedule
from monitor.actions.rule_state import PERMISSIONS, RuleParams
from monitor.plugin import (
    Action,
    ActionContext,
    ActionError,
    Change,
    Json,
    Params,
    Permission,
    Reads,
    Reason,
    Receipt,
    ResourceKind,
    Risk,
    Selector,
    discovery,
    need,
)


class CutParams(Params):
    """What starts which machines."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, populate_by_name=True)

    state_machines: Selector = Field(description="State machines: names, ARNs, globs or tags.")
    spared: tuple[str, ...] = Field(default=(), alias="except", description="Globs over machines to leave alone.")


def plan(params: CutParams, now: datetime) -> Change:
    """Pure; which rules and schedules is known once AWS was asked."""
    chosen = [*params.state_machines.names, *(f"tag {k}={v}" for k, v in params.state_machines.tags.items())]
    names = ", ".join(name.rsplit(":", 1)[-1] for name in chosen)
    but = f" except {', '.join(params.spared)}" if params.spared else ""
    return Change(
        action="cut_sources",
        resource=f"sources/{names}",
        wanted=None,
        summary=f"disable every rule and schedule that starts {names}{but}",
        params=params.model_dump(mode="json", by_alias=True),
    )


async def expand(params: CutParams, now: datetime, aws: Reads) -> Sequence[Change]:
    """One change per rule and schedule, each once. Raises ProbeError: a partial list would be no cut."""
    machines = [
        machine
        for machine in await aws.find(ResourceKind.STATE_MACHINE, params.state_machines)
        if not any(fnmatchcase(machine.name, glob) for glob in params.spared)
    ]
    targets = {arn for machine in machines for arn in [machine.arn, *await _aliases(machine.arn, aws)]}
    found: dict[str, Change] = {}
    for change in [*await _rules(targets, now, aws), *await _schedules(targets, now, aws)]:
        found[change.resource] = change
    return list(found.values())


async def _aliases(machine: str, aws: Reads) -> list[str]:
    token: dict[str, str] = {}
    found: list[str] = []
    while True:
        reply = await aws.call("stepfunctions", "ListStateMachineAliases", stateMachineArn=machine, **token)
        found += [str(alias["stateMachineAliasArn"]) for alias in reply.get("stateMachineAliases", ())]
        if not reply.get("nextToken"):
            return found
        token = {"nextToken": str(reply["nextToken"])}


async def _rules(targets: set[str], now: datetime, aws: Reads) -> list[Change]:
    buses, token = list[str](), dict[str, str]()
    while True:
        reply = await aws.call("events", "ListEventBuses", **token)
        buses += [str(bus["Name"]) for bus in reply.get("EventBuses", ())]
        if not reply.get("NextToken"):
            break
        token = {"NextToken": str(reply["NextToken"])}
    changes: list[Change] = []
    for bus in buses:
        for target in sorted(targets):
            pages = aws.pages("events", "ListRuleNamesByTarget", TargetArn=target, EventBusName=bus)
            names = [str(name) async for page in pages for name in page.get("RuleNames", ())]
            changes += [disable_rule.plan(RuleParams(rule=name, event_bus=bus), now) for name in names]
    return changes


async def _schedules(targets: set[str], now: datetime, aws: Reads) -> list[Change]:
    changes: list[Change] = []
    async for page in aws.pages("scheduler", "ListSchedules"):
        for schedule in page.get("Schedules", ()):
            if schedule.get("Target", {}).get("Arn") in targets:
                params = set_schedule.ScheduleParams(
                    schedule=schedule["Name"], group=schedule.get("GroupName", "default"), state="DISABLED"
                )
                changes.append(set_schedule.plan(params, now))
    return changes


async def capture(change: Change, ctx: ActionContext) -> Json:
    """Of the changes this step expands into; it has nothing of its own."""
    return None


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """Never asked for by the dispatcher: the step was expanded. Raises ActionError(bug)."""
    raise ActionError(Reason.BUG, "cut_sources consists of the changes it expands into; it has none of its own")


async def undo(receipt: Receipt, ctx: ActionContext) -> Receipt:
    """Likewise: each change is undone by its own action. Raises ActionError(bug)."""
    raise ActionError(Reason.BUG, "cut_sources consists of the changes it expands into; each is undone by its action")


def plan_needs(params: CutParams) -> list[Permission]:
    """For IAM: what finding the rules and schedules asks."""
    machines = params.state_machines
    return [
        *discovery(ResourceKind.STATE_MACHINE, machines),
        need("states:ListStateMachineAliases", machine=machines),
        need("events:ListEventBuses", "events:ListRuleNamesByTarget", "scheduler:ListSchedules"),
    ]


def needs(params: CutParams) -> list[Permission]:
    """For IAM: what one step asks, undo included."""
    # Which rules and schedules these are is known only to AWS.
    return [
        *plan_needs(params),
        need(*PERMISSIONS, rule=None),
        need("scheduler:GetSchedule", "scheduler:UpdateSchedule", schedule=None),
        need("iam:PassRole", role=None),
    ]


ACTION = Action(
    name="cut_sources",
    summary="Disables every rule and schedule that starts the chosen state machines.",
    params=CutParams,
    risk=Risk.REVERSIBLE,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=undo,
    expand=expand,
    permissions=(
        "states:ListStateMachines",
        "states:ListStateMachineAliases",
        "tag:GetResources",
        "events:ListEventBuses",
        "events:ListRuleNamesByTarget",
        "scheduler:ListSchedules",
        *PERMISSIONS,
        *set_schedule.ACTION.permissions,
    ),
    example="cut_sources: {state_machines: '*jaunt*'}",
    blast_radius="Every rule and schedule on the chosen machines: all their targets stop receiving.",
    resource_field="state_machines",
    resource_kind=ResourceKind.STATE_MACHINE,
    takes_many=True,
    needs=needs,
    plan_needs=plan_needs,
)
