"""Runs VACUUM (ANALYZE) on one table of a PostgreSQL database: dead rows are freed for use, statistics made anew.

A process that takes nothing away and can be repeated at will; it works beside readers and writers, and costs I/O while
it runs. Done means that the server's statistics show a vacuum since the statement began. Never FULL, which would lock
the table. Needs the extra `tripswitch[postgres]` and a role that owns the table (or has MAINTAIN, PostgreSQL 17).
Source: PostgreSQL manual, VACUUM; "The Cumulative Statistics System" (pg_stat_all_tables).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from pydantic import Field

from monitor.actions.postgres import Dsn, Session, Table, connected, quoted
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

_SEEN = """
select s.last_vacuum as vacuumed, s.n_dead_tup as dead, clock_timestamp() as now
from pg_stat_all_tables s where s.relid = to_regclass($1)
"""


class VacuumParams(Params):
    """Which table."""

    dsn: Dsn
    table: Table
    wait: Duration = Field(default=timedelta(minutes=30), description="How long it may take; the server ends it then.")


def plan(params: VacuumParams, now: datetime) -> Change:
    """Pure."""
    return Change(
        action="vacuum_table",
        resource=f"postgresql/{params.table}",
        wanted=None,
        summary=f"VACUUM (ANALYZE) {params.table}",
        params=params.model_dump(mode="json"),
    )


async def capture(change: Change, ctx: ActionContext) -> Json:
    """{dead}: dead rows by the server's estimate, for the journal."""
    params = VacuumParams.model_validate(change.params)
    async with connected(params.dsn, params.wait, ctx) as session:
        return {"dead": (await _seen(session, params.table))[1]}


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """One statement. `data`: dead_before, dead_after (estimates)."""
    params = VacuumParams.model_validate(change.params)
    async with connected(params.dsn, params.wait, ctx) as session:
        _, before, began = await _seen(session, params.table)
        await session.run("VACUUM", f"VACUUM (ANALYZE) {quoted(params.table)}")
        for pause in (0.0, 0.25, 0.5, 1.0, 2.0):  # the statistics follow within a second
            if pause:
                await ctx.sleep(pause)
            vacuumed, after, _ = await _seen(session, params.table)
            if vacuumed is not None and vacuumed >= began:
                data: dict[str, Json] = {"dead_before": before, "dead_after": after}
                return Receipt(
                    change=change, changed=True, detail=f"{before} dead rows before, {after} after", data=data
                )
    raise ActionError(Reason.UNAVAILABLE, f"no vacuum of {params.table} shows in the server's statistics")


async def _seen(session: Session, table: str) -> tuple[datetime | None, int, datetime]:
    rows = await session.rows(_SEEN, quoted(table))
    if not rows:
        raise ActionError(Reason.NOT_FOUND, f"there is no table {table}")
    return rows[0]["vacuumed"], int(rows[0]["dead"] or 0), rows[0]["now"]


def needs(params: VacuumParams) -> list[Permission]:
    """For IAM: nothing, the database has roles of its own."""
    return []


ACTION = Action(
    name="vacuum_table",
    summary="Runs VACUUM (ANALYZE) on one table of a PostgreSQL database.",
    params=VacuumParams,
    risk=Risk.DISRUPTIVE,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=None,
    permissions=(),
    example='vacuum_table: {dsn: "env:FLUXA_DSN", table: events}',
    blast_radius="I/O of the database while it runs.",
    needs=needs,
)
