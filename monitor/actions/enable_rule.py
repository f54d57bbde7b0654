"""Enables an EventBridge rule that should run but does not (a schedule that someone switched off).

Changes the rule's state only; undo puts the exact earlier state back. A rule that another breaker holds disabled stays
disabled, because DISABLED wins the claim. A rule in the stricter ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS state
counts as enabled and is left as it is.
"""

from __future__ import annotations

from datetime import datetime

from monitor.actions.rule_state import (
    ENABLED,
    PERMISSIONS,
    RuleParams,
    needs,
    planned,
    read_state,
    restore_state,
    set_state,
    strictest,
)
from monitor.plugin import Action, Change, ResourceKind, Risk


def plan(params: RuleParams, now: datetime) -> Change:
    """Pure."""
    return planned("enable_rule", params, ENABLED, "enable the rule {rule}")


ACTION = Action(
    name="enable_rule",
    summary="Enables an EventBridge rule.",
    params=RuleParams,
    risk=Risk.REVERSIBLE,
    plan=plan,
    capture=read_state,
    apply=set_state,
    undo=restore_state,
    permissions=PERMISSIONS,
    example="enable_rule: {rule: hourly-ingestion}",
    blast_radius="One rule: its targets receive events again.",
    restrictive=strictest,
    resource_field="rule",
    resource_kind=ResourceKind.RULE,
    needs=needs,
)
