"""What a PostgreSQL database says of itself: connections, locks, slow statements, keys, bloat, and numbers of your own.

Needs the extra `tripswitch[postgres]` (asyncpg) and `dsn`, a secret reference to a `postgresql://` URL. One connection
per run, read-only by the server's own word, with a statement timeout; the view of other sessions needs `pg_monitor`.

Target `target` (the whole database):

- `connections_used`: sessions over max_connections; a server that refuses with "too many connections" is seen as 1.
- `blocked`: sessions that wait for a lock. `slow_queries`: statements running longer than `slow`.

Per table of `tables` (target `TABLE`): `missing_key` 1 without a primary key; `dead_ratio`, dead rows over all rows (0
for a table without rows); `vacuum_age`, seconds since the last vacuum of either sort (absent if there never was one).

Per entry of `duplicates` (`{table, column}`, target `TABLE.COLUMN`): `duplicates`, values that more than one row has.
Per entry of `failed` (`{table, column, value}`): `failed`, rows in that state. Both read the table: index the column,
mind the interval. Per entry of `queries` (name: SQL): `value`; a row `(number)` for the target of that name, or rows
`(text, number)` for a target each.

A statement that fails makes its own signals unknown; a connection that fails, all of them.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from pydantic import Field, field_validator, model_validator

from checks.postgres import Session, TooManyConnections, connected
from checks.reading import absent, observe, unknown
from monitor.plugin import (
    Bound,
    Check,
    Duration,
    Observation,
    Params,
    ProbeContext,
    ProbeError,
    Reason,
    Signal,
    SignalSpec,
)

USED = Signal("connections_used", "ratio", "Sessions over max_connections.")
BLOCKED = Signal("blocked", "sessions", "Sessions that wait for a lock.")
SLOW = Signal("slow_queries", "statements", "Statements that run longer than `slow`.")
NO_KEY = Signal("missing_key", "bool", "1 if the table has no primary key.")
DEAD = Signal("dead_ratio", "ratio", "Dead rows over all rows of the table.")
VACUUM = Signal("vacuum_age", "seconds", "Since the table was last vacuumed.")
DUPLICATES = Signal("duplicates", "values", "Values of the column that more than one row has.")
FAILED = Signal("failed", "rows", "Rows whose column says that they failed.")
VALUE = Signal("value", "value", "What the query yields.")
WHOLE, TABLE = (USED, BLOCKED, SLOW), (NO_KEY, DEAD, VACUUM)
SIGNALS = (*WHOLE, *TABLE, DUPLICATES, FAILED, VALUE)

_NAME = r"[A-Za-z_][A-Za-z0-9_$]{0,62}"
#: More rows than this in a custom query are refused: each is a target of its own.
MAX_TARGETS = 200

_ACTIVITY = """
select current_setting('max_connections')::int as most,
       count(*) filter (where backend_type = 'client backend') as used,
       count(*) filter (where cardinality(pg_blocking_pids(pid)) > 0) as blocked,
       count(*) filter (where state = 'active' and pid <> pg_backend_pid()
                        and backend_type = 'client backend' and now() - query_start > $1) as slow
from pg_stat_activity
"""
_TABLE = """
select exists (select from pg_constraint where conrelid = c.oid and contype = 'p') as has_key,
       s.n_live_tup as live, s.n_dead_tup as dead, greatest(s.last_vacuum, s.last_autovacuum) as vacuumed
from pg_class c left join pg_stat_all_tables s on s.relid = c.oid
where c.oid = to_regclass($1)
"""


class Column(Params):
    """A column of a table."""

    table: str = Field(
        description="Table, with its schema if it is not on the search path.", pattern=f"^{_NAME}(\\.{_NAME})?$"
    )
    column: str = Field(description="Column.", pattern=f"^{_NAME}$")

    @property
    def name(self) -> str:
        """Of the target."""
        return f"{self.table}.{self.column}"


class Failures(Column):
    """Rows that failed."""

    value: str = Field("failed", description="What the column holds then.")


class Database(Params):
    """Which database, and what to ask of it."""

    dsn: str = Field(
        description="Secret reference (`env:`, `file:`, `ssm:`, `secretsmanager:`) to a postgresql:// URL."
    )
    target: str = Field("database", description="What to call the database.", min_length=1)
    activity: bool = Field(True, description="Connections, locks and slow statements.")
    slow: Duration = Field(timedelta(minutes=1), description="Statements that run longer are slow.")
    tables: tuple[str, ...] = Field((), description="Tables whose keys and bloat are observed.", max_length=50)
    duplicates: tuple[Column, ...] = Field((), description="Columns that must hold each value once.", max_length=20)
    failed: tuple[Failures, ...] = Field((), description="Columns that say which rows failed.", max_length=20)
    queries: Mapping[str, str] = Field(default_factory=dict, description="Statements of your own, by name.")
    wait: Duration = Field(timedelta(seconds=10), description="How long connecting and each statement may take.")

    @field_validator("dsn")
    @classmethod
    def _is_reference(cls, dsn: str) -> str:
        if not re.match(r"(env|file|ssm|secretsmanager):.", dsn):
            raise ValueError("a secret belongs in no file: refer to it by env:, file:, ssm: or secretsmanager:")
        return dsn

    @field_validator("tables")
    @classmethod
    def _are_names(cls, tables: tuple[str, ...]) -> tuple[str, ...]:
        for table in tables:
            if not re.fullmatch(f"{_NAME}(\\.{_NAME})?", table):
                raise ValueError(f"{table!r} is no table's name")
        return tables

    @model_validator(mode="after")
    def _apart(self) -> Database:
        names = [self.target, *self.tables, *(one.name for one in (*self.duplicates, *self.failed)), *self.queries]
        if len(self.queries) > 20:
            raise ValueError("at most 20 queries in one check")
        for one in self.failed:  # a column may be in both lists: the signals differ
            if one.name in {other.name for other in self.duplicates}:
                names.remove(one.name)
        clash = {name for name in names if names.count(name) > 1}
        if clash:
            raise ValueError(f"two targets are called {min(clash)}")
        return self


#: What is asked for one target: its name, its signals, and how.
Part = tuple[str, Sequence[Signal], Callable[[Session], Awaitable[list[Observation]]]]


async def probe(params: Database, ctx: ProbeContext) -> Sequence[Observation]:
    """One connection; every part fails alone."""
    parts = _parts(params, ctx.now)
    seen: list[Observation] = []
    try:
        async with connected(await ctx.secret(params.dsn), params.wait) as session:
            for target, signals, ask in parts:
                try:
                    seen += await ask(session)
                except ProbeError as error:
                    seen += unknown(signals, target, error)
    except TooManyConnections as error:
        seen = [fault for target, signals, _ in parts for fault in unknown(signals, target, error)]
        seen = [one for one in seen if one.signal != USED.name]
        return [*seen, observe(USED, params.target, 1.0, ctx.now)] if params.activity else seen
    except ProbeError as error:
        return [fault for target, signals, _ in parts for fault in unknown(signals, target, error)]
    return seen


def _parts(params: Database, now: datetime) -> list[Part]:
    parts: list[Part] = []
    if params.activity:
        parts.append((params.target, WHOLE, partial(_activity, params, now)))
    parts += [(name, TABLE, partial(_table, name, now)) for name in params.tables]
    for one in params.duplicates:
        table, column = _quoted(one.table), _quoted(one.column)
        twice = f"select from {table} where {column} is not null group by {column} having count(*) > 1"
        sql = f"select count(*) from ({twice}) twice"  # noqa: S608 - as above
        parts.append((one.name, (DUPLICATES,), _counted(DUPLICATES, one.name, sql, (), now)))
    for one in params.failed:
        sql = f"select count(*) from {_quoted(one.table)} where {_quoted(one.column)}::text = $1"  # noqa: S608 - quoted
        parts.append((one.name, (FAILED,), _counted(FAILED, one.name, sql, (one.value,), now)))
    parts += [(name, (VALUE,), partial(_custom, name, sql, now)) for name, sql in params.queries.items()]
    return parts


async def _activity(params: Database, now: datetime, session: Session) -> list[Observation]:
    row = (await session.rows(_ACTIVITY, params.slow))[0]
    return [
        observe(USED, params.target, row["used"] / row["most"], now),
        observe(BLOCKED, params.target, row["blocked"], now),
        observe(SLOW, params.target, row["slow"], now),
    ]


async def _table(name: str, now: datetime, session: Session) -> list[Observation]:
    rows = await session.rows(_TABLE, _quoted(name))
    if not rows:
        raise ProbeError(Reason.NOT_FOUND, f"there is no table {name}")
    row = rows[0]
    seen = [observe(NO_KEY, name, 0.0 if row["has_key"] else 1.0, now)]
    total = (row["live"] or 0) + (row["dead"] or 0)
    seen.append(observe(DEAD, name, (row["dead"] or 0) / total if total else 0.0, now))
    if row["vacuumed"] is None:
        return [*seen, absent(VACUUM, name, "never vacuumed since the statistics began", exists=True)]
    return [*seen, observe(VACUUM, name, max(0.0, (now - row["vacuumed"]).total_seconds()), now)]


def _counted(
    signal: Signal, target: str, sql: str, arguments: Sequence[object], now: datetime
) -> Callable[[Session], Awaitable[list[Observation]]]:
    async def ask(session: Session) -> list[Observation]:
        return [observe(signal, target, float((await session.rows(sql, *arguments))[0][0]), now)]

    return ask


async def _custom(name: str, sql: str, now: datetime, session: Session) -> list[Observation]:
    rows = await session.rows(sql, most=MAX_TARGETS)
    if not rows:
        return [absent(VALUE, name, "the query yields no row", exists=True)]
    if len(rows) == 1 and len(rows[0]) == 1:
        return [_number(name, rows[0][0], now)]
    if any(len(row) != 2 or not isinstance(row[0], str) or not row[0] for row in rows):
        raise ProbeError(Reason.INVALID, f"{name}: yield one number, or rows of (text, number)")
    if len({row[0] for row in rows}) < len(rows):
        raise ProbeError(Reason.INVALID, f"{name}: the same text stands in two rows")
    return [_number(f"{name}.{row[0]}"[:120], row[1], now) for row in rows]


def _number(target: str, value: object, now: datetime) -> Observation:
    if value is None:
        return absent(VALUE, target, "the query yields null", exists=True)
    try:
        return observe(VALUE, target, float(value), now)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise ProbeError(Reason.INVALID, f"{target}: a {type(value).__name__} is no number") from None


def _quoted(name: str) -> str:
    """Names are checked against `_NAME`; quoting keeps reserved words and capitals as they are."""
    return ".".join(f'"{part}"' for part in name.split("."))


CHECK: Check[Database] = Check(
    kind="database",
    summary="Connections, locks, keys, duplicates and bloat of a PostgreSQL database, and numbers of your own.",
    params=Database,
    probe=probe,
    signals=SIGNALS,
    defaults={
        "connections_used": SignalSpec(warning=Bound(above=0.8), critical=Bound(above=0.95)),
        "blocked": SignalSpec(warning=Bound(above=0, hold=timedelta(minutes=2))),
        "slow_queries": SignalSpec(warning=Bound(above=0)),
        "missing_key": SignalSpec(critical=Bound(above=0)),
        "dead_ratio": SignalSpec(warning=Bound(above=0.2)),
        "duplicates": SignalSpec(critical=Bound(above=0)),
        "failed": SignalSpec(warning=Bound(above=0)),
    },
    permissions=(),
    cost="One connection and a few statements; `duplicates` and `failed` read their tables.",
    example="""\
events-database:
  kind: database
  interval: 5m
  dsn: env:FLUXA_DSN
  target: fluxa
  tables: [events, idempotency_keys]
  duplicates: [{table: events, column: event_id}]
  failed: [{table: idempotency_keys, column: status}]
  thresholds:
    connections_used: {critical: {above: 0.9}}
""",
    interval=timedelta(minutes=5),
    roaming=lambda params: bool(params.queries),
)
