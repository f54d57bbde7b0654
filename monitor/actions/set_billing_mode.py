"""Moves a DynamoDB table between provisioned capacity and on-demand billing, its indexes with it.

Undo puts back the mode and, for a provisioned table, the exact units of the table and of every index. AWS allows four
such changes in 24 hours: a breaker that flaps is refused, and the step says why. Auto scaling's targets are left
registered; they rest while the table is on demand.
Source: DynamoDB API reference, UpdateTable (BillingMode); Developer Guide, switching capacity modes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal

from pydantic import Field, model_validator

from monitor.actions.readback import confirmed
from monitor.actions.table import (
    ON_DEMAND,
    PROVISIONED,
    active,
    billing_mode,
    describe,
    indexes,
    table_name,
    throughput,
    units,
    update,
)
from monitor.plugin import (
    Action,
    ActionContext,
    Change,
    Json,
    Params,
    Permission,
    Receipt,
    ResourceKind,
    Risk,
    need,
)


class BillingParams(Params):
    """Which table, which mode."""

    table: str = Field(description="Name or ARN of the table.", min_length=1)
    mode: Literal["PAY_PER_REQUEST", "PROVISIONED"] = Field(description="PAY_PER_REQUEST is on demand.")
    read: int | None = Field(default=None, ge=1, description="For PROVISIONED: read units of the table and each index.")
    write: int | None = Field(
        default=None, ge=1, description="For PROVISIONED: write units of the table and each index."
    )

    @model_validator(mode="after")
    def _has_units(self) -> BillingParams:
        given = {self.read is not None, self.write is not None}
        if given != {self.mode == PROVISIONED}:
            raise ValueError("PROVISIONED needs `read` and `write`, PAY_PER_REQUEST takes neither")
        return self


def plan(params: BillingParams, now: datetime) -> Change:
    """Pure; which indexes there are is asked before the intent is written."""
    name = table_name(params.table)
    how = (
        "on demand" if params.mode == ON_DEMAND else f"by provisioned units ({params.read} read, {params.write} write)"
    )
    return Change(
        action="set_billing_mode",
        resource=f"dynamodb/{name}",
        property="billing_mode",
        wanted={"mode": params.mode},
        summary=f"bill the table {name} {how}",
        params={**params.model_dump(mode="json"), "table": name},
    )


async def capture(change: Change, ctx: ActionContext) -> Json:
    """{"mode"}, and for a provisioned table {"table": {read, write}, "indexes": {name: {read, write}}}."""
    return _value(await describe(str(change.params["table"]), ctx))


async def resolve(change: Change, base: Json, ctx: ActionContext) -> Json:
    """With the units of each index, which a provisioned table must have. One that is provisioned stays as it is."""
    if change.params["mode"] == ON_DEMAND:
        return {"mode": ON_DEMAND}
    seen = await describe(str(change.params["table"]), ctx)
    if billing_mode(seen) == PROVISIONED:
        return base
    both: dict[str, Json] = {"read": change.params["read"], "write": change.params["write"]}
    return {"mode": PROVISIONED, "table": both, "indexes": {name: dict(both) for name in sorted(indexes(seen))}}


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """Updates once the table is ACTIVE, and waits until it is again (minutes)."""
    return await _set(change, change.wanted, ctx)


async def undo(receipt: Receipt, ctx: ActionContext) -> Receipt:
    """The earlier mode, with the earlier units."""
    return replace(await _set(receipt.change, receipt.prior, ctx), prior=receipt.prior)


async def _set(change: Change, wanted: Json, ctx: ActionContext) -> Receipt:
    name = str(change.params["table"])
    live = _value(await active(name, ctx))
    if live == wanted:
        return Receipt(change=change, applied=live, detail="was billed so already")
    assert isinstance(wanted, Mapping)
    await update(name, _request(wanted), ctx)
    shows = await confirmed(lambda: capture(change, ctx), dict(wanted), ctx, f"the billing mode of {change.resource}")
    return Receipt(change=change, applied=shows, changed=True, detail="at most 4 such changes in 24 h")


def _value(table: Mapping[str, Any]) -> dict[str, Json]:
    mode = billing_mode(table)
    if mode == ON_DEMAND:
        return {"mode": mode}
    rows: dict[str, Json] = {name: throughput(index) for name, index in sorted(indexes(table).items())}
    return {"mode": mode, "table": throughput(table), "indexes": rows}


def _request(wanted: Mapping[str, Json]) -> dict[str, Any]:
    request: dict[str, Any] = {"BillingMode": wanted["mode"]}
    if wanted["mode"] == PROVISIONED:
        table, rows = wanted["table"], wanted["indexes"]
        assert isinstance(table, Mapping)
        assert isinstance(rows, Mapping)
        request["ProvisionedThroughput"] = units(table)
        updates = [
            {"Update": {"IndexName": name, "ProvisionedThroughput": units(row)}}
            for name, row in rows.items()
            if isinstance(row, Mapping)
        ]
        if updates:
            request["GlobalSecondaryIndexUpdates"] = updates
    return request


def needs(params: BillingParams) -> list[Permission]:
    """For IAM: what one step asks, undo included."""
    return [need(*ACTION.permissions, table=params.table)]


ACTION = Action(
    name="set_billing_mode",
    summary="Bills a DynamoDB table on demand, or by provisioned units, and back.",
    params=BillingParams,
    risk=Risk.REVERSIBLE,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=undo,
    resolve=resolve,
    permissions=("dynamodb:DescribeTable", "dynamodb:UpdateTable"),
    example="set_billing_mode: {table: etl-metadata, mode: PAY_PER_REQUEST}",
    blast_radius="One table with its indexes: what it costs, and that it scales by itself or throttles at its units.",
    resource_field="table",
    resource_kind=ResourceKind.TABLE,
    needs=needs,
)
