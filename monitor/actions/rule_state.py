"""The state of an EventBridge rule as a property: what `disable_rule` and `enable_rule` share.

AWS knows three states. EnableRule only reaches ENABLED, so the third one (rules that also see read-only management
events of CloudTrail) is put back by PutRule with every other field as DescribeRule gave it; AWS has no revision id for
rules, so an edit by someone else within that second is lost. Targets and tags are not touched by PutRule.
Source: EventBridge API reference, PutRule and EnableRule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import Field

from monitor.actions.readback import confirmed
from monitor.plugin import (
    ActionContext,
    ActionError,
    Change,
    Json,
    Params,
    Permission,
    Reason,
    Receipt,
    need,
    target_name,
)

ENABLED = "ENABLED"
DISABLED = "DISABLED"
ENABLED_WITH_MANAGEMENT_EVENTS = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"
#: What PutRule would otherwise null.
_KEPT = ("EventPattern", "ScheduleExpression", "Description", "RoleArn")
PERMISSIONS = ("events:DescribeRule", "events:DisableRule", "events:EnableRule", "events:PutRule")


class RuleParams(Params):
    """Which rule."""

    rule: str = Field(description="Name or ARN of the EventBridge rule.", min_length=1)
    event_bus: str = Field(default="default", description="Name or ARN of its event bus.", min_length=1)


def planned(action: str, params: RuleParams, wanted: str, summary: str) -> Change:
    """The change of one rule's state; `summary` may name `{rule}`."""
    rule, bus = rule_and_bus(params)
    where = "" if bus == "default" else f" on the bus {bus}"
    return Change(
        action=action,
        resource=f"events/{bus}/{rule}",
        property="state",
        wanted=wanted,
        summary=summary.format(rule=rule) + where,
        params={"rule": rule, "event_bus": bus},
    )


def rule_and_bus(params: RuleParams) -> tuple[str, str]:
    """Short names. A rule's ARN names its bus too (`rule/BUS/NAME`; on the default bus `rule/NAME`)."""
    bus = target_name(params.event_bus)
    if params.rule.startswith("arn:"):
        path = params.rule.split(":", 5)[-1].split("/")
        bus = path[1] if len(path) == 3 else bus
    return target_name(params.rule), bus


def needs(params: RuleParams) -> list[Permission]:
    """For IAM: what one step asks, undo included."""
    rule, bus = rule_and_bus(params)
    return [need(*PERMISSIONS, rule=rule if bus == "default" else f"{bus}/{rule}")]


def strictest(values: Sequence[Json]) -> Json:
    """DISABLED wins: a source that one breaker cut stays cut."""
    return DISABLED if DISABLED in values else values[0]


async def read_state(change: Change, ctx: ActionContext) -> Json:
    """The rule's State. Raises ProbeError(not_found)."""
    return str((await _describe(change, ctx)).get("State", ENABLED))


async def set_state(change: Change, ctx: ActionContext) -> Receipt:
    """Sets `change.wanted` and reads it back. Raises ActionError(invalid) for a rule that an AWS service manages."""
    rule = await _describe(change, ctx)
    live = str(rule.get("State", ENABLED))
    if live == change.wanted or (change.wanted == ENABLED and live == ENABLED_WITH_MANAGEMENT_EVENTS):
        return Receipt(change=change, applied=live, detail=f"was {live} already")
    return await _put(change, rule, change.wanted, ctx)


async def restore_state(receipt: Receipt, ctx: ActionContext) -> Receipt:
    """Sets `receipt.prior` exactly, also the third state."""
    change = receipt.change
    rule = await _describe(change, ctx)
    live = str(rule.get("State", ENABLED))
    if live == receipt.prior:
        return replace(receipt, applied=live, changed=False, detail=f"was {live} already")
    return replace(await _put(change, rule, receipt.prior, ctx), prior=receipt.prior)


async def _put(change: Change, rule: Mapping[str, Any], state: Json, ctx: ActionContext) -> Receipt:
    if manager := rule.get("ManagedBy"):
        raise ActionError(
            Reason.INVALID, f"{change.resource} is managed by {manager}: only that service can change its state"
        )
    named: dict[str, Any] = {"Name": change.params["rule"], "EventBusName": change.params["event_bus"]}
    detail = ""
    if state == DISABLED:
        await ctx.aws.mutate("events", "DisableRule", **named)
    elif state == ENABLED:
        await ctx.aws.mutate("events", "EnableRule", **named)
    else:
        kept = {name: rule[name] for name in _KEPT if rule.get(name)}
        await ctx.aws.mutate("events", "PutRule", **named, **kept, State=state)
        detail = f"put back as {state} by PutRule, the only call that can; not atomic with edits of others"
    live = await confirmed(lambda: read_state(change, ctx), state, ctx, f"the state of {change.resource}")
    return Receipt(change=change, applied=live, changed=True, detail=detail)


async def _describe(change: Change, ctx: ActionContext) -> Mapping[str, Any]:
    return await ctx.aws.call(
        "events", "DescribeRule", Name=change.params["rule"], EventBusName=change.params["event_bus"]
    )
