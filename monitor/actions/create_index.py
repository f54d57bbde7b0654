"""Creates an index on columns of a PostgreSQL table beside the traffic (CONCURRENTLY), and drops it again on undo.

Changes one thing: whether an index of that name is there and usable. Names alone can be given, no expressions, no
UNIQUE: no other SQL can be sent. An index that a failed attempt left behind unusable counts as absent and is dropped
before it is built again; one of that name on other columns is somebody else's and stops the step. Building reads the
whole table and waits for older transactions. Needs the extra `tripswitch[postgres]` and the table's owner.
Source: PostgreSQL manual, CREATE INDEX ("Building Indexes Concurrently"), pg_index, pg_stat_progress_create_index.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import Field, field_validator

from monitor.actions.postgres import NAME, Dsn, Session, Table, connected, quoted
from monitor.actions.readback import confirmed
from monitor.plugin import (
    Action,
    ActionContext,
    ActionError,
    Change,
    Duration,
    Json,
    Params,
    Permission,
    Reason,
    Receipt,
    Risk,
)

#: The index of that name in the table's schema. Expressions among its columns have no name and show as ''.
_SEEN = """
select i.indisvalid and i.indisready as usable, i.indrelid = to_regclass($1) as ours,
       exists (select from pg_stat_progress_create_index p where p.index_relid = i.indexrelid) as building,
       array(select coalesce(a.attname, '') from unnest(i.indkey) with ordinality k(number, place)
             left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number and k.number > 0
             order by k.place) as columns
from pg_index i join pg_class c on c.oid = i.indexrelid
where c.relname = $2 and c.relnamespace = (select relnamespace from pg_class where oid = to_regclass($1))
"""


class IndexParams(Params):
    """Which table, which columns."""

    dsn: Dsn
    table: Table
    columns: tuple[str, ...] = Field(description="Columns, in the index's order.", min_length=1, max_length=8)
    name: str | None = Field(
        default=None, pattern=f"^{NAME}$", description="Name of the index; by default idx_TABLE_COLUMNS."
    )
    wait: Duration = Field(default=timedelta(hours=1), description="How long it may take; the server ends it then.")

    @field_validator("columns")
    @classmethod
    def _plain(cls, columns: tuple[str, ...]) -> tuple[str, ...]:
        for column in columns:
            if not re.fullmatch(NAME, column):
                raise ValueError(f"{column!r} is no column's name: an index here is made of plain columns")
        if len(set(columns)) < len(columns):
            raise ValueError("a column stands in it twice")
        return columns

    @property
    def index(self) -> str:
        """Its name, as the server keeps it."""
        made = "_".join(("idx", self.table.rpartition(".")[2], *self.columns))[:63]
        return (self.name or made).lower()


def plan(params: IndexParams, now: datetime) -> Change:
    """Pure."""
    columns = [column.lower() for column in params.columns]
    return Change(
        action="create_index",
        # Tables of one name stand in many databases: which one is told by the DSN's reference.
        resource=f"postgresql/{params.dsn}/{params.table.lower()}",
        property=f"index {params.index}",
        wanted=list(columns),
        summary=f"create the index {params.index} on {params.table} ({', '.join(columns)}) concurrently",
        params={**params.model_dump(mode="json"), "name": params.index},
    )


async def capture(change: Change, ctx: ActionContext) -> Json:
    """The columns of the index; None where there is none that can be used."""
    params = IndexParams.model_validate(change.params)
    async with connected(params.dsn, params.wait, ctx) as session:
        # A drop that was cut short leaves it unusable but kept up by every write: it is still to be taken back.
        return _shown(await _seen(session, params), dropping=bool(ctx.memory.get("dropping")))


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """Builds it and reads it back."""
    params = IndexParams.model_validate(change.params)
    async with connected(params.dsn, params.wait, ctx) as session:
        found = await _seen(session, params)
        if _shown(found) == change.wanted:
            return Receipt(change=change, applied=change.wanted, detail="was there already")
        if found is not None:
            await _clear(session, params, found)
        columns = ", ".join(quoted(column) for column in params.columns)
        name = quoted(params.index)
        await session.run("CREATE INDEX", f"CREATE INDEX CONCURRENTLY {name} ON {quoted(params.table)} ({columns})")
    live = await confirmed(lambda: capture(change, ctx), change.wanted, ctx, f"the index {params.index}")
    return Receipt(change=change, applied=live, changed=True)


async def undo(receipt: Receipt, ctx: ActionContext) -> Receipt:
    """Drops it, where there was none before."""
    change = receipt.change
    params = IndexParams.model_validate(change.params)
    async with connected(params.dsn, params.wait, ctx) as session:
        found = await _seen(session, params)
        if _shown(found, dropping=bool(ctx.memory.get("dropping"))) == receipt.prior:
            return replace(receipt, applied=receipt.prior, changed=False, detail="was so already")
        if receipt.prior is not None:
            raise ActionError(Reason.INVALID, f"the index {params.index} was another before: restore it by hand")
        await ctx.remember(dropping=True)
        await session.run("DROP INDEX", f"DROP INDEX CONCURRENTLY {_full_name(params)}")
    live = await confirmed(lambda: capture(change, ctx), None, ctx, f"the index {params.index}")
    return replace(receipt, applied=live, changed=True, detail="")


async def _clear(session: Session, params: IndexParams, found: Mapping[str, Any]) -> None:
    """What a failed attempt left. Raises ActionError for anything else of that name."""
    if found["building"]:
        raise ActionError(Reason.UNAVAILABLE, f"the index {params.index} is being built")
    if found["usable"] or not found["ours"] or list(found["columns"]) != [one.lower() for one in params.columns]:
        raise ActionError(Reason.INVALID, f"another index is called {params.index}: choose another `name`")
    await session.run("DROP INDEX", f"DROP INDEX CONCURRENTLY {_full_name(params)}")


def _full_name(params: IndexParams) -> str:
    schema, dot, _ = params.table.rpartition(".")
    return (f"{quoted(schema)}." if dot else "") + quoted(params.index)


async def _seen(session: Session, params: IndexParams) -> Mapping[str, Any] | None:
    if not (await session.rows("select to_regclass($1)::text as oid", quoted(params.table)))[0]["oid"]:
        raise ActionError(Reason.NOT_FOUND, f"there is no table {params.table}")
    rows = await session.rows(_SEEN, quoted(params.table), params.index)
    return dict(rows[0]) if rows else None


def _shown(found: Mapping[str, Any] | None, *, dropping: bool = False) -> Json:
    if found is None or not (found["usable"] or dropping):
        return None
    return [str(column) for column in found["columns"]] if found["ours"] else ["of another table"]


def needs(params: IndexParams) -> list[Permission]:
    """For IAM: nothing, the database has roles of its own."""
    return []


ACTION = Action(
    name="create_index",
    summary="Creates an index on columns of a PostgreSQL table beside the traffic, and drops it again.",
    params=IndexParams,
    # Undone, nothing of it is left; building it reads the whole table.
    risk=Risk.DISRUPTIVE,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=undo,
    permissions=(),
    example='create_index: {dsn: "env:FLUXA_DSN", table: events, columns: [event_id]}',
    blast_radius="I/O of the database while it is built; each write to the table does a little more.",
    needs=needs,
)
