"""Grows an MSK cluster: more brokers, or more storage per broker (row C1b). It never shrinks one.

Both calls need the cluster's current version, and AWS refuses them unless it is ACTIVE: so it is read first, the call
is made once, and the step ends when the cluster is ACTIVE again with what was asked for (brokers take tens of minutes).
Partitions of a topic are one call: `aws_call` with kafka UpdateTopic and `risk: destructive`. More brokers get no
partitions until somebody reassigns them. Source: MSK API reference, UpdateBrokerCount and UpdateBrokerStorage.

Blast radius: one cluster and its bill; storage can never be reduced again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import Field, model_validator

from monitor.actions.polling import until
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
    Risk,
    need,
    target_name,
)

_MINUTES = 90


class ScaleKafkaParams(Params):
    """Which cluster, how large."""

    cluster: str = Field(description="ARN of the MSK cluster.", pattern=r"^arn:[^:]+:kafka:")
    brokers: int | None = Field(default=None, ge=1, le=90, description="Brokers in all, a multiple of its zones.")
    storage_gb: int | None = Field(default=None, ge=1, le=16_384, description="Storage of each broker.")

    @model_validator(mode="after")
    def _one(self) -> ScaleKafkaParams:
        if (self.brokers is None) == (self.storage_gb is None):
            raise ValueError("say one of brokers and storage_gb")
        return self


def plan(params: ScaleKafkaParams, now: datetime) -> Change:
    """Pure."""
    name = params.cluster.split("/")[1] if "/" in params.cluster else target_name(params.cluster)
    what = f"{params.brokers} brokers" if params.brokers else f"{params.storage_gb} GB of storage per broker"
    return Change(
        action="scale_kafka",
        resource=f"kafka/{name}",
        wanted=None,
        summary=f"grow the MSK cluster {name} to {what}; this can't be taken back",
        params=params.model_dump(mode="json"),
    )


async def capture(change: Change, ctx: ActionContext) -> Json:
    """{brokers, storage_gb, state}, for the journal."""
    return _size(await _read(change, ctx))


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """Asks once and waits. Raises ActionError(invalid) for a smaller size or a count that its zones don't divide."""
    params = ScaleKafkaParams.model_validate(change.params)
    cluster = await _at_rest(change, ctx)
    before = _size(cluster)
    if _reached(params, before):
        return Receipt(change=change, changed=bool(ctx.memory.get("asked")), detail="the cluster has that size")
    named: dict[str, Any] = {"ClusterArn": params.cluster, "CurrentVersion": cluster["CurrentVersion"]}
    if params.brokers is not None:
        zones = len(cluster["BrokerNodeGroupInfo"].get("ClientSubnets", ())) or 1
        if params.brokers < before["brokers"] or params.brokers % zones:
            raise ActionError(
                Reason.INVALID,
                f"{change.resource} has {before['brokers']} brokers in {zones} zones: ask for a larger multiple",
            )
        await ctx.remember(asked=True)
        await ctx.aws.mutate("kafka", "UpdateBrokerCount", **named, TargetNumberOfBrokerNodes=params.brokers)
    else:
        assert params.storage_gb is not None
        if params.storage_gb < (before["storage_gb"] or 0):
            raise ActionError(Reason.INVALID, f"{change.resource} has {before['storage_gb']} GB: storage never shrinks")
        await ctx.remember(asked=True)
        volume = {"KafkaBrokerNodeId": "ALL", "VolumeSizeGB": params.storage_gb}
        await ctx.aws.mutate("kafka", "UpdateBrokerStorage", **named, TargetBrokerEBSVolumeInfo=[volume])
    after = _size(await _at_rest(change, ctx))
    if not _reached(params, after):
        raise ActionError(Reason.UNAVAILABLE, f"{change.resource} is ACTIVE again, but its size is {after}")
    return Receipt(change=change, changed=True, detail=f"{before} -> {after}", data={"before": before, "after": after})


def _reached(params: ScaleKafkaParams, size: Mapping[str, Any]) -> bool:
    if params.brokers is not None:
        return bool(size["brokers"] == params.brokers)
    return bool(size["storage_gb"] == params.storage_gb)


def _size(cluster: Mapping[str, Any]) -> dict[str, Any]:
    storage = cluster.get("BrokerNodeGroupInfo", {}).get("StorageInfo", {}).get("EbsStorageInfo", {})
    return {
        "brokers": int(cluster.get("NumberOfBrokerNodes", 0)),
        "storage_gb": storage.get("VolumeSize"),
        "state": str(cluster.get("State")),
    }


async def _at_rest(change: Change, ctx: ActionContext) -> Mapping[str, Any]:
    async def state() -> str:
        return str((await _read(change, ctx)).get("State"))

    await until(state, lambda now: now == "ACTIVE", ctx, f"the state of {change.resource}", minutes=_MINUTES)
    return await _read(change, ctx)


async def _read(change: Change, ctx: ActionContext) -> Mapping[str, Any]:
    return dict((await ctx.aws.call("kafka", "DescribeCluster", ClusterArn=change.params["cluster"]))["ClusterInfo"])


def needs(params: ScaleKafkaParams) -> list[Permission]:
    """For IAM: what one step asks, undo included."""
    changes = "kafka:UpdateBrokerCount" if params.brokers is not None else "kafka:UpdateBrokerStorage"
    return [need("kafka:DescribeCluster", changes, cluster=params.cluster)]


ACTION = Action(
    name="scale_kafka",
    summary="Grows an MSK cluster by brokers or storage, which can't be taken back.",
    params=ScaleKafkaParams,
    risk=Risk.DESTRUCTIVE,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=None,
    permissions=("kafka:DescribeCluster", "kafka:UpdateBrokerCount", "kafka:UpdateBrokerStorage"),
    example="scale_kafka: {cluster: 'arn:aws:kafka:us-east-1:123456789012:cluster/events/abc-1', brokers: 6}",
    blast_radius="One MSK cluster and its bill, for good.",
    needs=needs,
)
