"""database: what a real PostgreSQL says of itself; and what is said where there is none."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from postgres_server import server
from pydantic import ValidationError

from checks.database import CHECK, Database
from checks.postgres import TooManyConnections, translated
from monitor.plugin import Observation, Reason
from monitor.testing import EPOCH, FakeAws, observed, run_probe

SCHEMA = """
create table events (id serial primary key, event_id text);
create table "Odd" (event_id text);
create table idempotency_keys (key text, status text);
insert into events (event_id) values ('a'), ('a'), ('b'), (null), (null);
insert into idempotency_keys values ('k1', 'failed'), ('k2', 'done'), ('k3', 'failed');
create schema app; create table app.jobs (kind text primary key, waiting int);
insert into app.jobs values ('mail', 3), ('report', 5);
"""


@pytest.fixture(scope="module")
def dsn() -> Iterator[str]:
    """A server for the tests of this file."""
    pytest.importorskip("asyncpg", reason="asyncpg is not installed (extra: postgres)")
    with server() as running:
        yield running


@pytest.fixture
async def admin(dsn: str) -> AsyncIterator[Any]:
    """A connection of our own, and a fresh schema."""
    import asyncpg

    connection = await asyncpg.connect(dsn)
    await connection.execute("drop schema public cascade; create schema public; drop schema if exists app cascade")
    await connection.execute(SCHEMA)
    yield connection
    await connection.close()


async def run(dsn: str, **params: Any) -> list[Observation]:
    """One run; the DSN behind a reference."""
    given = {"dsn": "env:DSN", "wait": "5s", "activity": False, **params}
    return await run_probe(CHECK, given, FakeAws(), secrets={"env:DSN": dsn})


@pytest.mark.process
async def test_connections_locks_and_slow_statements(dsn: str, admin: Any) -> None:
    """Two sessions and ours, of twelve; one waits for the other's lock, for longer than a moment."""
    import asyncpg

    waiter = await asyncpg.connect(dsn)
    async with admin.transaction():
        await admin.execute("lock table events")
        waiting = asyncio.create_task(waiter.execute("do $$ begin lock table events; end $$"))
        for _ in range(200):
            seen = observed(await run(dsn, activity=True, slow="1ms"))
            if seen["database", "blocked"] and seen["database", "slow_queries"]:
                break
    await waiting
    await waiter.close()
    assert seen["database", "blocked"] == 1.0
    assert seen["database", "slow_queries"] == 1.0
    assert seen["database", "connections_used"] == pytest.approx(3 / 12)


@pytest.mark.process
async def test_a_full_server_is_an_observation(dsn: str, admin: Any) -> None:
    """It refuses with "too many connections": all of them are used, and nothing else is known."""
    import asyncpg

    async with contextlib.AsyncExitStack() as stack:
        with contextlib.suppress(asyncpg.TooManyConnectionsError):
            while True:
                held = await asyncpg.connect(dsn)
                stack.push_async_callback(held.close)
        seen = observed(await run(dsn, activity=True, tables=["events"]))
    assert seen["database", "connections_used"] == 1.0
    assert seen["database", "blocked"] is seen["events", "missing_key"] is Reason.UNAVAILABLE


@pytest.mark.process
async def test_keys_and_bloat(dsn: str, admin: Any) -> None:
    """A table without a primary key, one with, one in another schema, one that is not there."""
    await admin.execute("vacuum events")
    seen = observed(await run(dsn, tables=["events", "Odd", "app.jobs", "nowhere"]))
    assert [seen[table, "missing_key"] for table in ("events", "app.jobs")] == [0.0, 0.0]
    assert seen["nowhere", "missing_key"] is Reason.NOT_FOUND
    assert (seen["Odd", "missing_key"], seen["Odd", "dead_ratio"]) == (1.0, 0.0)
    assert seen["app.jobs", "vacuum_age"] is None
    assert isinstance(seen["events", "dead_ratio"], float)


@pytest.mark.process
async def test_duplicates_and_failures(dsn: str, admin: Any) -> None:
    """One event id stands twice (nulls are no duplicates); two keys failed; capitals are kept."""
    columns = [{"table": "events", "column": "event_id"}, {"table": "Odd", "column": "event_id"}]
    seen = observed(await run(dsn, duplicates=columns, failed=[{"table": "idempotency_keys", "column": "status"}]))
    assert seen == {
        ("events.event_id", "duplicates"): 1.0,
        ("Odd.event_id", "duplicates"): 0.0,
        ("idempotency_keys.status", "failed"): 2.0,
    }


@pytest.mark.process
async def test_queries_of_ones_own(dsn: str, admin: Any) -> None:
    """A number, rows of name and number, nothing, null, and what is no answer; each fails alone."""
    queries = {
        "depth": "select sum(waiting) from app.jobs", "kinds": "select kind, waiting from app.jobs",
        "empty": "select 1 where false", "nulled": "select null::int", "words": "select 'a', 'b'",
        "wrong": "select from nowhere", "broken": "selekt", "wide": "select 1, 2, 3",
        "many": "select n::text, n from generate_series(1, 1000) n",
    }  # fmt: skip
    assert observed(await run(dsn, queries=queries)) == {
        ("depth", "value"): 8.0, ("kinds.mail", "value"): 3.0, ("kinds.report", "value"): 5.0,
        ("empty", "value"): None, ("nulled", "value"): None, ("words", "value"): Reason.INVALID,
        ("wrong", "value"): Reason.NOT_FOUND, ("broken", "value"): Reason.INVALID, ("wide", "value"): Reason.INVALID,
        ("many", "value"): Reason.INVALID,
    }  # fmt: skip


@pytest.mark.process
@pytest.mark.parametrize(
    "sql",
    [
        "delete from events returning id",
        "insert into events (event_id) values ('z') returning id",
        "with gone as (delete from events returning id) select count(*) from gone",
        "commit; delete from events",
        "select 1; delete from events",
    ],
)
async def test_a_query_cannot_write(dsn: str, admin: Any, sql: str) -> None:
    """The server itself refuses: unknown, and every row is still there."""
    (seen,) = await run(dsn, queries={"sly": sql})
    assert seen.reason is Reason.INVALID
    assert await admin.fetchval("select count(*) from events") == 5


@pytest.mark.process
async def test_a_statement_that_takes_too_long_is_ended(dsn: str, admin: Any) -> None:
    """By the server's own timeout: unknown, and no session is left behind."""
    (seen,) = await run(dsn, queries={"sleepy": "select 1 from pg_sleep(30)"}, wait="200ms")
    assert seen.reason is Reason.TIMEOUT
    for _ in range(200):
        left = await admin.fetchval("select count(*) from pg_stat_activity where application_name = 'tripswitch'")
        if not left:
            break
    assert left == 0


@pytest.mark.process
async def test_a_server_that_is_not_there(unused_tcp_port: int) -> None:
    """Every target is unknown, and the DSN stands in no text."""
    dsn = f"postgresql://me:s3cret-pass@127.0.0.1:{unused_tcp_port}/db"
    seen = await run(dsn, activity=True, tables=["events"])
    assert {one.reason for one in seen} == {Reason.UNAVAILABLE}
    assert "s3cret" not in repr(seen)


async def test_without_asyncpg_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """An extra that is missing is no traceback."""
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    seen = await run("postgresql://x", activity=True)
    assert {(one.reason, "tripswitch[postgres]" in one.detail) for one in seen} == {(Reason.INVALID, True)}


async def test_a_reference_that_leads_nowhere_is_unknown() -> None:
    """Of every target."""
    seen = await run_probe(CHECK, {"dsn": "env:NOTHING", "tables": ["events"]}, FakeAws(), EPOCH)
    assert {one.reason for one in seen} == {Reason.NOT_FOUND}
    assert {one.target for one in seen} == {"database", "events"}


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"dsn": "postgresql://me:pass@host/db"}, "a secret belongs in no file"),
        ({"tables": ['events"; drop table x']}, "no table's name"),
        ({"duplicates": [{"table": "events", "column": "a b"}]}, "pattern"),
        ({"tables": ["a"], "queries": {"a": "select 1"}}, "two targets are called a"),
    ],
)
def test_what_makes_no_sense_is_refused(params: dict[str, Any], said: str) -> None:
    """Secrets in files, names that are none, targets of one name."""
    with pytest.raises(ValidationError, match=said):
        Database.model_validate({"dsn": "env:DSN", **params})


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("28P01", Reason.DENIED), ("42501", Reason.DENIED), ("42P01", Reason.NOT_FOUND), ("57014", Reason.TIMEOUT),
        ("57P03", Reason.UNAVAILABLE), ("08006", Reason.UNAVAILABLE), ("42601", Reason.INVALID),
    ],
)  # fmt: skip
def test_what_an_sqlstate_means(state: str, reason: Reason) -> None:
    """By PostgreSQL's own table, and without the server's text, which may quote data."""

    class Refused(Exception):
        sqlstate = state

    error = translated(Refused("Key (card)=(4111) already exists"))
    assert error.reason is reason
    assert "4111" not in error.detail
    assert isinstance(translated(type("Full", (Exception,), {"sqlstate": "53300"})()), TooManyConnections)
