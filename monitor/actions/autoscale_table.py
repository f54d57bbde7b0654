"""Lets a DynamoDB table or index scale by itself: registers its capacity as a scalable target, with a policy.

Both are needed: a registered target without a policy never scales. Changes the bounds and the utilisation that a
target-tracking policy aims at, for reads, writes or both; undo puts the earlier bounds and aim back, and removes what
was not there (deleting the target deletes its policies and their alarms). An existing policy keeps its name and its
other settings. Where the scaling has moved the capacity to stays as it is: `scale_table` is for that.
Source: Application Auto Scaling API reference, RegisterScalableTarget, PutScalingPolicy, DeregisterScalableTarget.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal

from pydantic import Field, model_validator

from monitor.actions.readback import confirmed
from monitor.actions.table import ON_DEMAND, billing_mode, describe, part, table_name
from monitor.actions.transition import arrive, depart, steady
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
    need,
)

_METRICS = {"read": "DynamoDBReadCapacityUtilization", "write": "DynamoDBWriteCapacityUtilization"}


class AutoscaleParams(Params):
    """Which table or index, between which bounds, at which utilisation."""

    table: str = Field(description="Name or ARN of the table.", min_length=1)
    index: str | None = Field(default=None, min_length=1, description="One of its global secondary indexes.")
    min: int = Field(ge=1, description="Capacity units at least.")
    max: int = Field(ge=1, description="Capacity units at most.")
    target: float = Field(default=70, ge=20, le=90, description="Percent of the capacity that should be in use.")
    dimension: Literal["read", "write", "both"] = Field(default="both", description="Which capacity scales.")

    @model_validator(mode="after")
    def _ordered(self) -> AutoscaleParams:
        if self.min > self.max:
            raise ValueError("`min` is above `max`")
        return self


def plan(params: AutoscaleParams, now: datetime) -> Change:
    """Pure."""
    name = table_name(params.table)
    kinds = ("read", "write") if params.dimension == "both" else (params.dimension,)
    aim: dict[str, Json] = {"min": params.min, "max": params.max, "target": params.target}
    what = name if params.index is None else f"the index {params.index} of {name}"
    return Change(
        action="autoscale_table",
        resource=f"dynamodb/{name}" + (f"/index/{params.index}" if params.index else ""),
        property="autoscaling:" + ",".join(kinds),
        wanted={kind: dict(aim) for kind in kinds},
        summary=f"let the {' and '.join(kinds)} capacity of {what} scale from {params.min} to {params.max} by itself",
        params={"table": name, "index": params.index, "kinds": list(kinds)},
    )


async def capture(change: Change, ctx: ActionContext) -> Json:
    """{kind: {"min", "max", "target"}}; None: no scalable target; a target of None: registered without a policy."""
    return steady(await _look(change, ctx), ctx)


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """Registers and puts the policy, kind by kind. Raises ActionError(invalid) for an on-demand table."""
    seen = await describe(str(change.params["table"]), ctx)
    index = change.params["index"]
    part(seen, None if index is None else str(index))
    if billing_mode(seen) == ON_DEMAND:
        raise ActionError(
            Reason.INVALID,
            f"the table {change.params['table']} is on demand: it scales by itself, without auto scaling",
        )
    return await _move(change, change.wanted, ctx)


async def undo(receipt: Receipt, ctx: ActionContext) -> Receipt:
    """The earlier bounds and aim; what was not there is removed."""
    return replace(await _move(receipt.change, receipt.prior, ctx), prior=receipt.prior)


async def _move(change: Change, wanted: Json, ctx: ActionContext) -> Receipt:
    assert isinstance(wanted, Mapping)
    live = await _look(change, ctx)
    differing = [kind for kind in sorted(wanted) if live.get(kind) != wanted[kind]]
    if differing:
        await depart(live, dict(wanted), ctx)
    for kind in differing:
        await _set(_where(change, kind), kind, wanted[kind], ctx)
    shows = await confirmed(lambda: _look(change, ctx), dict(wanted), ctx, f"the scaling of {change.resource}")
    await arrive(ctx)
    return Receipt(
        change=change, applied=shows, changed=bool(differing), detail="" if differing else "scaled so already"
    )


async def _set(where: Mapping[str, Any], kind: str, wanted: Json, ctx: ActionContext) -> None:
    target, policy = await _target(where, ctx), await _policy(where, kind, ctx)
    if not isinstance(wanted, Mapping):
        if target is not None:
            await ctx.aws.mutate("application-autoscaling", "DeregisterScalableTarget", **where)
        return
    await ctx.aws.mutate(
        "application-autoscaling", "RegisterScalableTarget", **where,
        MinCapacity=wanted["min"], MaxCapacity=wanted["max"],
    )  # fmt: skip
    if wanted["target"] is None:
        if policy is not None:
            await ctx.aws.mutate(
                "application-autoscaling", "DeleteScalingPolicy", **where, PolicyName=policy["PolicyName"]
            )
        return
    config = dict((policy or {}).get("TargetTrackingScalingPolicyConfiguration") or {})
    config.setdefault("PredefinedMetricSpecification", {"PredefinedMetricType": _METRICS[kind]})
    config["TargetValue"] = wanted["target"]
    await ctx.aws.mutate(
        "application-autoscaling", "PutScalingPolicy", **where, PolicyType="TargetTrackingScaling",
        PolicyName=policy["PolicyName"] if policy else f"{_METRICS[kind]}:{where['ResourceId']}",
        TargetTrackingScalingPolicyConfiguration=config,
    )  # fmt: skip


async def _look(change: Change, ctx: ActionContext) -> dict[str, Json]:
    kinds = change.params["kinds"]
    assert isinstance(kinds, (list, tuple))
    found: dict[str, Json] = {}
    for kind in (str(one) for one in kinds):
        where = _where(change, kind)
        target, policy = await _target(where, ctx), await _policy(where, kind, ctx)
        found[kind] = None
        if target is not None:
            aim = policy["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] if policy else None
            found[kind] = {
                "min": int(target["MinCapacity"]), "max": int(target["MaxCapacity"]),
                "target": None if aim is None else float(aim),
            }  # fmt: skip
    return found


async def _target(where: Mapping[str, Any], ctx: ActionContext) -> Mapping[str, Any] | None:
    reply = await ctx.aws.call(
        "application-autoscaling", "DescribeScalableTargets", ServiceNamespace="dynamodb",
        ResourceIds=[where["ResourceId"]], ScalableDimension=where["ScalableDimension"],
    )  # fmt: skip
    rows = reply.get("ScalableTargets") or ()
    return dict(rows[0]) if rows else None


async def _policy(where: Mapping[str, Any], kind: str, ctx: ActionContext) -> Mapping[str, Any] | None:
    """The policy that tracks this kind's utilisation; AWS allows one."""
    async for page in ctx.aws.pages("application-autoscaling", "DescribeScalingPolicies", **where):
        for row in page.get("ScalingPolicies") or ():
            config = row.get("TargetTrackingScalingPolicyConfiguration") or {}
            if (config.get("PredefinedMetricSpecification") or {}).get("PredefinedMetricType") == _METRICS[kind]:
                return dict(row)
    return None


def _where(change: Change, kind: str) -> dict[str, Any]:
    table, index = change.params["table"], change.params["index"]
    return {
        "ServiceNamespace": "dynamodb",
        "ResourceId": f"table/{table}" + (f"/index/{index}" if index else ""),
        "ScalableDimension": f"dynamodb:{'index' if index else 'table'}:{kind.capitalize()}CapacityUnits",
    }


def needs(params: AutoscaleParams) -> list[Permission]:
    """For IAM: what one step asks, undo included."""
    scaling = [one for one in ACTION.permissions if one.startswith("application-autoscaling:")]
    return [
        need("dynamodb:DescribeTable", "dynamodb:UpdateTable", table=params.table),
        need(*scaling, scalable_target=None),
        need("cloudwatch:DescribeAlarms"),
        need("cloudwatch:PutMetricAlarm", "cloudwatch:DeleteAlarms", alarm="TargetTracking-*"),
        need("iam:CreateServiceLinkedRole", role="aws-service-role/dynamodb.application-autoscaling.amazonaws.com/*"),
    ]


ACTION = Action(
    name="autoscale_table",
    summary="Lets a DynamoDB table or index scale by itself: target and policy together.",
    params=AutoscaleParams,
    risk=Risk.REVERSIBLE,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=undo,
    permissions=(
        "dynamodb:DescribeTable",
        "application-autoscaling:DescribeScalableTargets",
        "application-autoscaling:DescribeScalingPolicies",
        "application-autoscaling:RegisterScalableTarget",
        "application-autoscaling:DeregisterScalableTarget",
        "application-autoscaling:PutScalingPolicy",
        "application-autoscaling:DeleteScalingPolicy",
        # What scaling itself does on the caller's behalf when a target and its alarms are made.
        "iam:CreateServiceLinkedRole",
        "cloudwatch:PutMetricAlarm",
        "cloudwatch:DescribeAlarms",
        "cloudwatch:DeleteAlarms",
        "dynamodb:UpdateTable",
    ),
    example="autoscale_table: {table: opendata-pulse-api, min: 5, max: 1000, target: 70}",
    blast_radius="One table or index: AWS moves its capacity between the bounds, and its cost with it.",
    resource_field="table",
    resource_kind=ResourceKind.TABLE,
    needs=needs,
)
