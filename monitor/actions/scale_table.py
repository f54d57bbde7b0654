"""Sets the capacity of a DynamoDB table or of one of its indexes: more against throttles, less against cost.

A provisioned table gets `read` and `write` units (one left out stays); an on-demand table has none, so there
`on_demand` sets its ceiling instead, and without it the step fails and says so. Undo puts the earlier numbers back.
Raising is always allowed; lowering AWS limits to 4 times a day, and once more for each hour without a decrease. Where
auto scaling runs, it moves the numbers too: change its bounds instead (`autoscale_table`).
Source: DynamoDB API reference, UpdateTable (ProvisionedThroughput, OnDemandThroughput).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from monitor.actions.readback import confirmed
from monitor.actions.table import ON_DEMAND, active, billing_mode, describe, part, table_name, throughput, units, update
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

#: How AWS writes "no ceiling".
_NO_CEILING = -1


class Ceiling(BaseModel):
    """Request units per second that an on-demand table may reach."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    read: int | None = Field(default=None, ge=1, description="Read request units at most.")
    write: int | None = Field(default=None, ge=1, description="Write request units at most.")


class TableParams(Params):
    """Which table or index, how much."""

    table: str = Field(description="Name or ARN of the table.", min_length=1)
    index: str | None = Field(default=None, min_length=1, description="One of its global secondary indexes.")
    read: int | None = Field(default=None, ge=1, description="Read capacity units; left out: as they are.")
    write: int | None = Field(default=None, ge=1, description="Write capacity units; left out: as they are.")
    on_demand: Ceiling | None = Field(
        default=None, description="The ceiling if the table is on demand: {read, write}; without it that is an error."
    )

    @model_validator(mode="after")
    def _sets_something(self) -> TableParams:
        ceiling = self.on_demand
        if self.read is None and self.write is None and (ceiling is None or ceiling.read is ceiling.write is None):
            raise ValueError("say how much: `read`, `write`, or `on_demand: {read, write}`")
        return self


def plan(params: TableParams, now: datetime) -> Change:
    """Pure; how the table is billed is asked before the intent is written."""
    name = table_name(params.table)
    what = name if params.index is None else f"the index {params.index} of {name}"
    numbers = [(kind, getattr(params, kind)) for kind in ("read", "write") if getattr(params, kind) is not None]
    text = ", ".join(f"{kind} {number}" for kind, number in numbers) or "its on-demand ceiling"
    return Change(
        action="scale_table",
        resource=f"dynamodb/{name}" + (f"/index/{params.index}" if params.index else ""),
        property="capacity",
        wanted=dict(numbers),
        summary=f"set the capacity of {what} to {text}",
        params={**params.model_dump(mode="json"), "table": name},
    )


async def capture(change: Change, ctx: ActionContext) -> Json:
    """{"read", "write"} as provisioned, or {"max_read", "max_write"} of an on-demand table (None: no ceiling)."""
    return _value(await describe(str(change.params["table"]), ctx), change)


async def resolve(change: Change, base: Json, ctx: ActionContext) -> Json:
    """Both numbers, in the terms of the table's billing mode. Raises ActionError(invalid) where those are missing."""
    assert isinstance(base, Mapping)
    on_demand = "max_read" in base
    given = change.params["on_demand"] if on_demand else change.params
    named = {} if not isinstance(given, Mapping) else {kind: given.get(kind) for kind in ("read", "write")}
    if all(number is None for number in named.values()):
        raise ActionError(Reason.INVALID, _no_use(change, on_demand=on_demand))
    prefix = "max_" if on_demand else ""
    return {f"{prefix}{kind}": base[f"{prefix}{kind}"] if named[kind] is None else named[kind] for kind in named}


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """Updates once the table is ACTIVE, and waits until it is again."""
    return await _set(change, change.wanted, ctx)


async def undo(receipt: Receipt, ctx: ActionContext) -> Receipt:
    """The earlier numbers."""
    return replace(await _set(receipt.change, receipt.prior, ctx), prior=receipt.prior)


def largest(values: Sequence[Json]) -> Json:
    """Enough for every holder; a ceiling that is not there is the largest."""
    rows = [value for value in values if isinstance(value, Mapping) and value.keys() == _keys(values[0])]
    if len(rows) < len(values):
        return values[-1]
    return {kind: _most([row[kind] for row in rows]) for kind in sorted(_keys(values[0]))}


async def _set(change: Change, wanted: Json, ctx: ActionContext) -> Receipt:
    name, index = str(change.params["table"]), change.params["index"]
    seen = await active(name, ctx)
    live = _value(seen, change)
    if live == wanted:
        return Receipt(change=change, applied=live, detail="had that capacity already")
    assert isinstance(wanted, Mapping)
    if wanted.keys() != live.keys():
        raise ActionError(
            Reason.INVALID, f"the billing mode of {name} was changed meanwhile: its capacity can't be set to {wanted}"
        )
    await update(name, _request(wanted, index), ctx)
    shows = await confirmed(lambda: capture(change, ctx), dict(wanted), ctx, f"the capacity of {change.resource}")
    return Receipt(change=change, applied=shows, changed=True)


def _value(table: Mapping[str, Any], change: Change) -> dict[str, Json]:
    index = change.params["index"]
    where = part(table, None if index is None else str(index))
    if billing_mode(table) != ON_DEMAND:
        return throughput(where)
    ceiling = where.get("OnDemandThroughput") or {}
    return {
        f"max_{kind}": None if (top := ceiling.get(name)) in (None, _NO_CEILING) else int(top)
        for kind, name in (("read", "MaxReadRequestUnits"), ("write", "MaxWriteRequestUnits"))
    }


def _request(wanted: Mapping[str, Json], index: Json) -> dict[str, Any]:
    if "read" in wanted:
        given: dict[str, Any] = {"ProvisionedThroughput": units(wanted)}
    else:
        tops = {
            kind: _NO_CEILING if wanted[f"max_{kind}"] is None else wanted[f"max_{kind}"] for kind in ("read", "write")
        }
        given = {"OnDemandThroughput": {"MaxReadRequestUnits": tops["read"], "MaxWriteRequestUnits": tops["write"]}}
    return given if index is None else {"GlobalSecondaryIndexUpdates": [{"Update": {"IndexName": index, **given}}]}


def _no_use(change: Change, *, on_demand: bool) -> str:
    name = change.params["table"]
    if on_demand:
        return (
            f"the table {name} is on demand and has no provisioned units: it scales by itself. To raise or lower its"
            " ceiling say `on_demand: {read, write}`; throttles then come from the ceiling or from a hot key"
        )
    return f"the table {name} is provisioned and `on_demand` says nothing there: give `read` and `write`"


def _keys(value: Json) -> set[str]:
    return set(value) if isinstance(value, Mapping) else set()


def _most(numbers: list[Json]) -> Json:
    found = [number for number in numbers if isinstance(number, int)]
    return max(found) if len(found) == len(numbers) else None


def needs(params: TableParams) -> list[Permission]:
    """For IAM: what one step asks, undo included."""
    return [need(*ACTION.permissions, table=params.table)]


ACTION = Action(
    name="scale_table",
    summary="Sets the capacity of a DynamoDB table or index (or the ceiling of one that is on demand).",
    params=TableParams,
    risk=Risk.REVERSIBLE,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=undo,
    resolve=resolve,
    permissions=("dynamodb:DescribeTable", "dynamodb:UpdateTable"),
    example="scale_table: {table: opendata-pulse-api, read: 200, write: 100}",
    blast_radius="One table or index: its cost by the hour, and how much it takes before it throttles.",
    restrictive=largest,
    resource_field="table",
    resource_kind=ResourceKind.TABLE,
    needs=needs,
)
