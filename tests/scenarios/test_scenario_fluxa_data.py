"""Fluxa (rows D4, D8, D9, D10): what is stored twice, what never arrives, what waits, what cannot be read."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from fluxa_world import INGEST, QUERY, QUEUE, Fluxa
from outside import Outside

from tests.checks.postgres_server import server

SCHEMA = """
create table events (event_id text primary key, ts timestamptz);
create table idempotency_keys (event_id text primary key, status text);
insert into events values ('a', now()), ('b', now());
insert into idempotency_keys values ('a', 'done'), ('b', 'done');
"""


@pytest.fixture(scope="module")
def dsn() -> Iterator[str]:
    """A PostgreSQL of the file's own."""
    pytest.importorskip("asyncpg", reason="asyncpg is not installed (extra: postgres)")
    with server() as running:
        yield running


@pytest.fixture
async def database(dsn, monkeypatch):
    """A connection to it, the tables as they should be, and the reference under which the file looks for it."""
    import asyncpg

    connection = await asyncpg.connect(dsn)
    await connection.execute("drop schema public cascade; create schema public")
    await connection.execute(SCHEMA)
    yield connection
    await connection.close()


@pytest.fixture
async def outside():
    """The query API as its callers see it."""
    async with Outside() as api:
        await api.up()
        yield api


async def test_d4_duplicates_and_a_lost_key_are_told_with_their_repair(stage, database, dsn):
    """Without its primary key the table takes an event twice: a notice says what to do; rows are never deleted here."""
    scene = await stage("fluxa", breakers=["duplicates"], step=20, FLUXA_DSN=dsn)
    await scene.begin()
    assert scene.level("events-database", "duplicates") == "ok"
    assert scene.level("events-database", "missing_key") == "ok"

    await database.execute("alter table events drop constraint events_pkey; insert into events values ('a', now())")
    await scene.until(breaker="open", within="15m")
    assert scene.value("events-database", "duplicates", "events.event_id") == 1
    assert scene.value("events-database", "missing_key", "events") == 1
    assert await database.fetchval("select count(*) from events") == 3
    assert await scene.requests() == []

    await database.execute("delete from events a using events b where a.ctid > b.ctid and a.event_id = b.event_id")
    await database.execute("alter table events add primary key (event_id)")
    await scene.reset()
    await scene.until(breaker="closed", within="2h")
    assert await database.fetchval("select count(*) from events") == 2


async def test_d8_an_ingest_that_loses_or_refuses_events_is_named_with_the_missing_permission(stage):
    """Failures above 5 %, sends below nine of ten, and the refused call: three readings, one cause."""
    checks = ["ingest-failures", "ingest-sent", "ingest-denied"]
    scene = await stage("fluxa", checks=checks, step=20)
    world = Fluxa(scene)
    await world.logs(INGEST)
    for metric, value in (("ingest_success", 100), ("ingest_failure", 1), ("sqs_sent", 99)):
        await world.count(metric, value, since="10m")
    await scene.begin()
    assert {scene.level(one) for one in checks} <= {"ok"}

    for metric, value in (("ingest_success", 80), ("ingest_failure", 20), ("sqs_sent", 40)):
        await world.count(metric, value)
    denied = (
        "An error occurred (AccessDenied) when calling the SendMessage operation: User: arn:aws:sts::123456789012:"
        "assumed-role/fluxa-ingest/i is not authorized to perform: sqs:SendMessage on resource: "
        f"arn:aws:sqs:us-east-1:123456789012:{QUEUE}"
    )
    await world.say(INGEST, denied)
    await scene.until(lambda: all(scene.level(one) == "critical" for one in checks), within="15m")
    assert any("sqs:SendMessage" in f"{row.target} {row.detail}" for row in scene.rows("ingest-denied"))
    assert {one.severity for one in scene.incidents()} == {"SEV2"}
    for metric, value in (("ingest_success", 100), ("ingest_failure", 0), ("sqs_sent", 100)):
        await world.count(metric, value)
    await scene.until(lambda: all(scene.level(one) == "ok" for one in checks), within="1h")


async def test_d8_a_refused_key_is_found_in_cloudtrail_where_no_line_tells_of_it(stage):
    """The function swallows the error: CloudTrail's record names the permission and the key."""
    scene = await stage("fluxa", checks=["ingest-denied"], step=20)
    await Fluxa(scene).logs(INGEST)
    await scene.begin()
    assert scene.level("ingest-denied") == "ok"
    key = "arn:aws:kms:us-east-1:123456789012:key/payloads"
    role = "arn:aws:sts::123456789012:assumed-role/fluxa-ingest/i"
    record = {
        "eventName": "Decrypt", "eventSource": "kms.amazonaws.com", "errorCode": "AccessDenied",
        "errorMessage": f"User: {role} is not authorized to perform: kms:Decrypt on resource: {key}",
        "userIdentity": {"type": "AssumedRole", "arn": role},
    }  # fmt: skip
    await scene.side.post("cloudtrail", records=[record])
    await scene.until(lambda: scene.level("ingest-denied") == "critical", within="10m")
    assert any("kms:Decrypt" in row.target for row in scene.rows("ingest-denied"))
    await scene.until(lambda: scene.level("ingest-denied") == "ok", within="1h")


async def test_d9_a_stuck_processor_is_seen_in_its_queue_its_counter_and_its_keys(stage, database, dsn):
    """Old messages, failures counted, keys that failed: each says so, and all go green when it works again."""
    scene = await stage("fluxa", checks=["processed-failures", "backlog", "events-database"], step=20, FLUXA_DSN=dsn)
    world = Fluxa(scene)
    await world.queues()
    await world.count("processed_failure", 0, since="10m")
    await scene.begin()
    assert scene.level("processed-failures") == scene.level("events-database", "failed") == "ok"

    await scene.side.post("sqs/fill", queue=QUEUE, count=20, body=json.dumps({"event_id": "a"}))
    await scene.meter("AWS/SQS", "ApproximateAgeOfOldestMessage", 1200, QueueName=QUEUE)
    await world.count("processed_failure", 30)
    await database.execute("insert into idempotency_keys values ('c', 'failed'), ('d', 'failed')")
    await scene.until(lambda: scene.level("backlog", "oldest_age") == "critical", within="15m")
    await scene.until(lambda: scene.level("processed-failures") == "critical", within="15m")
    await scene.until(lambda: scene.value("events-database", "failed") == 2, within="15m")
    assert scene.incidents()

    sqs = await scene.aws("sqs")
    await sqs.purge_queue(QueueUrl=(await sqs.get_queue_url(QueueName=QUEUE))["QueueUrl"])
    await scene.meter("AWS/SQS", "ApproximateAgeOfOldestMessage", None, QueueName=QUEUE)
    await world.count("processed_failure", 0)
    await database.execute("update idempotency_keys set status = 'done'")
    await scene.until(
        lambda: all(
            scene.level(*one) == "ok"
            for one in (("backlog", "visible"), ("processed-failures",), ("events-database", "failed"))
        ),
        within="1h",
    )


async def test_d10_a_query_that_fails_is_seen_from_outside_and_a_missing_index_is_named(stage, database, dsn, outside):
    """500s for three minutes, errors of the function, no index on event_id: told; 200 and the index end it."""
    checks = ["query-api", "query-errors", "events-database"]
    scene = await stage("fluxa", checks=checks, step=20, FLUXA_DSN=dsn, QUERY_URL=outside.url)
    world = Fluxa(scene)
    await world.works(QUERY, 100, 0, since="10m")
    await scene.begin()
    assert scene.level("query-api", "down") == "ok"
    assert scene.level("events-database", "value", "event-index") == "ok"

    await outside.up(500)
    await world.works(QUERY, 100, 30)
    await database.execute("alter table events drop constraint events_pkey")
    await scene.until(lambda: scene.level("query-api", "down") == "critical", within="10m")
    await scene.until(lambda: scene.level("query-errors") == "critical", within="10m")
    await scene.until(lambda: scene.level("events-database", "value", "event-index") == "critical", within="10m")
    assert "SEV2" in {one.severity for one in scene.incidents()}

    await outside.up(200)
    await world.works(QUERY, 100, 0)
    await database.execute("create index idx_events_event_id on events(event_id)")
    await scene.until(lambda: scene.level("query-api", "down") == "ok", within="10m")
    await scene.until(lambda: scene.level("events-database", "value", "event-index") == "ok", within="15m")
    await scene.until(lambda: scene.level("query-errors") == "ok", within="15m")


async def test_d10_the_missing_index_is_built_after_a_yes(stage, database, dsn):
    """Nothing is built before it; afterwards the planner may use it, and the check is green."""
    scene = await stage("fluxa", breakers=["event-index"], step=20, FLUXA_DSN=dsn)
    await database.execute("alter table events drop constraint events_pkey")
    await scene.begin()
    await scene.until(lambda: scene.breaker().approval is not None, within="15m")
    count = "select count(*) from pg_indexes where tablename = 'events'"
    assert await database.fetchval(count) == 0
    await scene.approve()
    await scene.until(breaker="open", within="15m")
    assert (
        await database.fetchval("select indexname from pg_indexes where tablename = 'events'") == "idx_events_event_id"
    )
    await scene.reset()
    await scene.until(breaker="closed", within="1h")
    assert await database.fetchval(count) == 1
    assert await scene.requests() == []


async def test_d17_bloated_tables_are_vacuumed_after_a_yes(stage, database, dsn):
    """Half of the rows dead: proposed, run after a yes on both tables, and green."""
    scene = await stage("fluxa", breakers=["vacuum"], step=20, FLUXA_DSN=dsn)
    await database.execute("alter table events set (autovacuum_enabled = off)")
    await database.execute("insert into events select 'n' || n, now() from generate_series(1, 400) n")
    await database.execute("delete from events where event_id like 'n%' and substr(event_id, 2)::int > 200")
    await database.execute("select pg_stat_force_next_flush()")
    await scene.begin()
    await scene.until(lambda: scene.breaker().approval is not None, within="15m")
    assert scene.level("events-database", "dead_ratio", "events") == "warning"
    vacuumed = "select count(*) from pg_stat_all_tables where last_vacuum is not null and schemaname = 'public'"
    assert await database.fetchval(vacuumed) == 0
    await scene.approve()
    await scene.until(breaker="open", within="15m")
    assert await database.fetchval(vacuumed) == 2
    await scene.reset()
    await scene.until(breaker="closed", within="1h")
    assert scene.level("events-database", "dead_ratio", "events") in ("ok", "unknown")
