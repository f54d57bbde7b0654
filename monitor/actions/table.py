"""What the actions on DynamoDB tables share: reading a table, waiting for it, updating it.

An update takes from seconds to minutes, in which the table is UPDATING and refuses another one.
Source: DynamoDB API reference, DescribeTable and UpdateTable; Service quotas (decreases of capacity per UTC day,
changes of the billing mode per 24 h).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitor.plugin import ActionContext, ActionError, Json, Reason, target_name

PROVISIONED, ON_DEMAND = "PROVISIONED", "PAY_PER_REQUEST"
_ACTIVE_SECONDS, _POLL_SECONDS = 900.0, 5.0


def table_name(text: str) -> str:
    """The name, from a name or an ARN."""
    return target_name(text)


async def describe(table: str, ctx: ActionContext) -> Mapping[str, Any]:
    """The table as it is. Raises ProbeError(not_found)."""
    found: Mapping[str, Any] = (await ctx.aws.call("dynamodb", "DescribeTable", TableName=table))["Table"]
    return found


async def active(table: str, ctx: ActionContext) -> Mapping[str, Any]:
    """The table once it and all its indexes are ACTIVE; waits up to 15 min. Raises ActionError(unavailable)."""
    waited = 0.0
    while True:
        seen = await describe(table, ctx)
        states = {seen.get("TableStatus"), *(index.get("IndexStatus") for index in indexes(seen).values())}
        if states <= {"ACTIVE", None}:
            return seen
        if waited >= _ACTIVE_SECONDS:
            raise ActionError(Reason.UNAVAILABLE, f"the table {table} is still {seen.get('TableStatus')}")
        await ctx.sleep(_POLL_SECONDS)
        waited += _POLL_SECONDS


def billing_mode(table: Mapping[str, Any]) -> str:
    """PROVISIONED or PAY_PER_REQUEST; AWS leaves the summary out where it was never on demand."""
    return str((table.get("BillingModeSummary") or {}).get("BillingMode") or PROVISIONED)


def indexes(table: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Global secondary indexes by name."""
    return {str(index["IndexName"]): index for index in table.get("GlobalSecondaryIndexes") or ()}


def part(table: Mapping[str, Any], index: str | None) -> Mapping[str, Any]:
    """The table, or one of its indexes. Raises ActionError(not_found)."""
    if index is None:
        return table
    if index not in indexes(table):
        there = ", ".join(sorted(indexes(table))) or "none"
        raise ActionError(Reason.NOT_FOUND, f"{table.get('TableName')} has no index {index} (it has: {there})")
    return indexes(table)[index]


def throughput(where: Mapping[str, Any]) -> dict[str, Json]:
    """{"read": units, "write": units} as provisioned."""
    given = where.get("ProvisionedThroughput") or {}
    return {"read": int(given.get("ReadCapacityUnits") or 0), "write": int(given.get("WriteCapacityUnits") or 0)}


def units(value: Mapping[str, Json]) -> dict[str, Json]:
    """As UpdateTable takes it."""
    return {"ReadCapacityUnits": value["read"], "WriteCapacityUnits": value["write"]}


async def update(table: str, request: Mapping[str, Any], ctx: ActionContext) -> None:
    """UpdateTable, and wait. AWS's limits per day become a sentence that says which one it is."""
    try:
        await ctx.aws.mutate("dynamodb", "UpdateTable", TableName=table, **request)
    except ActionError as error:
        if "LimitExceeded" in error.detail:
            raise ActionError(
                Reason.INVALID,
                f"AWS refuses another change of {table} for now: capacity may be lowered 4 times a day and once"
                f" more per hour without a decrease, the billing mode changed 4 times in 24 h ({error.detail})",
            ) from error
        if "ResourceInUse" in error.detail:
            raise ActionError(Reason.UNAVAILABLE, f"the table {table} is being updated by someone else") from error
        raise
    await active(table, ctx)
