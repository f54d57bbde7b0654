"""Disables an EventBridge rule: cuts a source of work at once, before anything that already runs is stopped.

Changes the rule's state only; undo puts the exact earlier state back. A disabled rule can match for a short time more,
and events that arrive meanwhile are lost unless the bus has an archive. Rules that an AWS service manages are refused.
"""

from __future__ import annotations

from datetime import datetime

from monitor.actions.rule_state import (
    DISABLED,
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
    return planned("disable_rule", params, DISABLED, "disable the rule {rule}")


ACTION = Action(
    name="disable_rule",
    summary="Disables an EventBridge rule, so that it starts nothing new.",
    params=RuleParams,
    risk=Risk.REVERSIBLE,
    plan=plan,
    capture=read_state,
    apply=set_state,
    undo=restore_state,
    permissions=PERMISSIONS,
    example="disable_rule: {rule: etl-s3-events}",
    blast_radius="One rule: all its targets stop receiving; events meanwhile are lost unless an archive keeps them.",
    restrictive=strictest,
    resource_field="rule",
    resource_kind=ResourceKind.RULE,
    cuts_source=True,
    backfill=(
        "replay the bus's archive for this window (events StartReplay) if it has one, else start the targets again"
        " for what arrived at the source meanwhile"
    ),
    needs=needs,
)
