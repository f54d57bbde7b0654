"""vacuum_table and create_index, against a PostgreSQL of the file's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from monitor.actions.create_index import ACTION as INDEX
from monitor.actions.vacuum_table import ACTION as VACUUM
from monitor.plugin import ActionError, Held, Reason
from monitor.testing import EPOCH, FakeActionContext, FakeAws, assert_action_conforms, run_action
from tests.checks.postgres_server import server

INDEXED = {"dsn": "env:DSN", "table": "events", "columns": ["event_id"]}


@pytest.fixture(scope="module")
def dsn() -> Iterator[str]:
    """A server of the file's own."""
    pytest.importorskip("asyncpg", reason="asyncpg is not installed (extra: postgres)")
    with server() as running:
        yield running


@pytest.fixture
async def database(dsn):
    """A connection, and a table with a hundred rows without an index."""
    import asyncpg

    connection = await asyncpg.connect(dsn)
    await connection.execute("drop schema public cascade; create schema public")
    await connection.execute("create table events (event_id text, user_id text)")
    await connection.execute("insert into events select n::text, 'u' from generate_series(1, 100) n")
    yield connection
    await connection.close()


@pytest.fixture
def context(dsn):
    """What an action gets, the DSN behind `env:DSN`."""
    return FakeActionContext(FakeAws(), secrets={"env:DSN": dsn})


async def usable(database) -> list[str]:
    """Indexes that serve."""
    rows = await database.fetch(
        "select c.relname from pg_index i join pg_class c on c.oid = i.indexrelid"
        " where i.indrelid = 'events'::regclass and i.indisvalid"
    )
    return [row[0] for row in rows]


@pytest.mark.parametrize("action", [INDEX, VACUUM], ids=lambda action: action.name)
async def test_they_keep_the_contract_of_actions(action):
    """Declarations, a pure plan."""
    await assert_action_conforms(action)


@pytest.mark.parametrize(
    "wrong",
    [
        {"table": "events; drop table events"},
        {"table": 'events" (x'},
        {"columns": ["event_id desc"]},
        {"columns": ["lower(event_id)"]},
        {"columns": []},
        {"columns": ["a", "a"]},
        {"name": "i on events"},
        {"dsn": "postgresql://u:p@h/db"},
    ],
    ids=repr,
)
def test_only_names_can_be_given(wrong):
    """Nothing that is SQL, and no DSN in the file."""
    with pytest.raises(ValueError, match=r"(?s)."):
        INDEX.params.model_validate({**INDEXED, **wrong})


@pytest.mark.process
async def test_an_index_is_built_once_and_dropped_again(database, context):
    """Built beside the traffic, past the gates; a second time nothing; undone it is gone."""
    run = await run_action(INDEX, INDEXED, context.aws, context)
    assert await usable(database) == ["idx_events_event_id"]
    assert (run.prior, run.receipt.applied, run.receipt.changed) == (None, ["event_id"], True)
    assert context.permits == ["postgresql:CREATE INDEX"]
    again = await INDEX.apply(run.change, context)
    assert not again.changed
    undone = await run.undo(INDEX)
    assert (undone.applied, undone.changed) == (None, True)
    assert await usable(database) == []
    assert not (await run.undo(INDEX)).changed


@pytest.mark.process
async def test_a_shut_gate_keeps_the_statement_back(database, context):
    """Reads go on, nothing is sent that changes something."""
    context.shut = "kill_switch"
    with pytest.raises(Held):
        await run_action(INDEX, INDEXED, context.aws, context)
    with pytest.raises(Held):
        await run_action(VACUUM, {"dsn": "env:DSN", "table": "events"}, context.aws, context)
    assert await usable(database) == []


@pytest.mark.process
async def test_what_a_failed_attempt_left_is_built_anew(database, context):
    """An invalid index of the same columns counts as absent, and is replaced."""
    import asyncpg

    await database.execute("insert into events values ('1', 'twice')")
    with pytest.raises(asyncpg.UniqueViolationError):
        await database.execute("create unique index concurrently idx_events_event_id on events (event_id)")
    assert await usable(database) == []
    run = await run_action(INDEX, INDEXED, context.aws, context)
    assert run.prior is None
    assert await usable(database) == ["idx_events_event_id"]
    assert context.permits == ["postgresql:DROP INDEX", "postgresql:CREATE INDEX"]


@pytest.mark.process
async def test_a_drop_that_was_cut_short_is_finished(database, context, dsn):
    """The server ends it while it waits for a reader: the unusable rest still is ours, until it is gone."""
    import asyncpg

    run = await run_action(INDEX, {**INDEXED, "wait": "1s"}, context.aws, context)
    reader = await asyncpg.connect(dsn)
    await reader.execute("begin; select * from events where event_id = '1'")
    with pytest.raises(ActionError) as told:
        await run.undo(INDEX)
    assert told.value.reason is Reason.TIMEOUT
    assert await usable(database) == []
    assert await INDEX.capture(run.change, context) == ["event_id"]
    await reader.close()
    assert (await run.undo(INDEX)).changed
    assert await database.fetchval("select to_regclass('idx_events_event_id')") is None
    assert await INDEX.capture(run.change, context) is None


def test_tables_of_one_name_in_two_databases_are_two():
    """A claim on one says nothing of the other."""
    one, other = (INDEX.plan(INDEX.params.model_validate({**INDEXED, "dsn": dsn}), EPOCH) for dsn in ("env:A", "env:B"))
    assert one.resource != other.resource
    assert one.resource == "postgresql/env:A/events"


@pytest.mark.process
@pytest.mark.parametrize("columns", ["user_id", "event_id, user_id", "lower(event_id)"])
async def test_another_index_of_that_name_is_left_alone(database, context, columns):
    """Refused with what to do; it stays."""
    await database.execute(f"create index idx_events_event_id on events ({columns})")
    with pytest.raises(ActionError, match="choose another `name`") as told:
        await run_action(INDEX, INDEXED, context.aws, context)
    assert told.value.reason is Reason.INVALID
    assert await usable(database) == ["idx_events_event_id"]


@pytest.mark.process
async def test_a_table_is_vacuumed_and_analyzed(database, context):
    """Dead rows go, the server's statistics show both."""
    await database.execute("delete from events where event_id::int <= 60")
    run = await run_action(VACUUM, {"dsn": "env:DSN", "table": "events"}, context.aws, context)
    assert run.receipt.changed
    assert context.permits == ["postgresql:VACUUM"]
    row = await database.fetchrow(
        "select last_vacuum, last_analyze, n_dead_tup from pg_stat_all_tables where relid = 'events'::regclass"
    )
    assert row["last_vacuum"] is not None
    assert row["last_analyze"] is not None
    assert run.receipt.data["dead_after"] == row["n_dead_tup"] == 0


@pytest.mark.process
@pytest.mark.parametrize("action", [INDEX, VACUUM], ids=lambda action: action.name)
async def test_what_is_not_there_is_named(database, context, action):
    """The table by its name; the server by what the network says, the DSN by nothing."""
    params = {"dsn": "env:DSN", "table": "gone", **({"columns": ["a"]} if action is INDEX else {})}
    with pytest.raises(ActionError, match="there is no table gone"):
        await run_action(action, params, context.aws, context)
    context.secrets = {"env:DSN": "postgresql://u:hush@127.0.0.1:9/db"}
    with pytest.raises(ActionError) as told:
        await run_action(action, params, context.aws, context)
    assert told.value.reason is Reason.UNAVAILABLE
    assert "hush" not in str(told.value)


@pytest.mark.process
async def test_a_role_that_may_not_is_told_so(database, context, dsn):
    """DENIED, with the right that lacks."""
    await database.execute("do $$ begin create role guest login; exception when duplicate_object then null; end $$")
    await database.execute("grant usage on schema public to guest; grant select on events to guest")
    context.secrets = {"env:DSN": dsn.replace("admin@", "guest@")}
    with pytest.raises(ActionError) as told:
        await run_action(INDEX, INDEXED, context.aws, context)
    assert told.value.reason is Reason.DENIED
