"""Fluxa (rows D2, D9, D11, D12, D13, D15): a database that is away, full, slow, failing over, or lost."""

from __future__ import annotations

import pytest
from fluxa_world import DATABASE, PROCESSOR, QUEUE, Fluxa
from outside import Outside


@pytest.fixture
async def outside():
    """The database's port: whether it takes connections."""
    async with Outside() as port:
        await port.up()
        yield port


def address(outside: Outside) -> str:
    """HOST:PORT of it."""
    return outside.url.removeprefix("http://").rstrip("/")


async def test_d2_messages_wait_while_the_database_is_away_and_come_back_by_rungs(stage, outside):
    """A refused port for two minutes pauses the processor; when it answers: two at once, then 5, 10, then as before."""
    scene = await stage("fluxa", breakers=["database-connections"], step=20, TRIAL="6m", DB_ADDRESS=address(outside))
    world = Fluxa(scene)
    await world.queues()
    await world.function()
    mapping = await world.reads()
    await world.database()
    await world.logs(PROCESSOR)
    await scene.begin()
    assert scene.level("database-state") == "ok"

    await outside.down()
    await scene.until(breaker="open", within="10m")
    assert scene.clock.tick() >= 120
    assert not await world.reading(mapping)
    assert await world.reserved(PROCESSOR) == 2
    assert scene.incidents()[0].severity == "SEV1"
    await scene.side.post("sqs/fill", queue=QUEUE, count=3, body='{"event_id": "e-1"}')
    await scene.advance("10m")
    assert len(await world.messages(QUEUE)) == 3  # kept
    assert not await world.reading(mapping)

    await outside.up()
    await scene.until(breaker="closed", within="3h")
    assert await world.reading(mapping)
    assert await world.reserved(PROCESSOR) is None
    asked = await scene.requests("lambda:PutFunctionConcurrency")
    assert [one.params["ReservedConcurrentExecutions"] for one in asked] == [2, 5, 10]


async def test_d2_an_instance_that_is_not_available_pauses_the_processor(stage, outside):
    """RDS says stopped, the logs say refused: no waiting for a port."""
    scene = await stage("fluxa", breakers=["database-connections"], step=20, DB_ADDRESS=address(outside))
    world = Fluxa(scene)
    await world.function()
    await world.queues()
    mapping = await world.reads()
    await world.database()
    await world.logs(PROCESSOR)
    await scene.begin()
    await (await scene.aws("rds")).stop_db_instance(DBInstanceIdentifier=DATABASE)
    await scene.until(breaker="open", within="5m")
    assert not await world.reading(mapping)


async def test_d11_a_full_database_caps_the_processor_and_lets_it_back(stage):
    """Above 90 of 100 connections: four at once; five calm minutes lift the cap."""
    scene = await stage("fluxa", breakers=["connection-pool"], step=20, TRIAL="6m")
    world = Fluxa(scene)
    await world.function()
    await world.logs(PROCESSOR, "fluxa-query")
    await scene.meter("AWS/RDS", "DatabaseConnections", 40, since="10m", DBInstanceIdentifier=DATABASE)
    await scene.begin()
    assert scene.level("connections") == "ok"

    await scene.meter("AWS/RDS", "DatabaseConnections", 97, DBInstanceIdentifier=DATABASE)
    await scene.until(breaker="open", within="10m")
    assert await world.reserved(PROCESSOR) == 4
    await scene.meter("AWS/RDS", "DatabaseConnections", 40, DBInstanceIdentifier=DATABASE)
    await scene.until(breaker="closed", within="2h")
    assert await world.reserved(PROCESSOR) is None


async def test_d11_more_connections_are_bought_only_with_a_yes(stage):
    """Half an hour at the limit proposes a larger max_connections; nothing changes before the yes."""
    scene = await stage("fluxa", breakers=["max-connections"], step=20)
    rds = await scene.aws("rds")
    await rds.create_db_parameter_group(
        DBParameterGroupName="fluxa", DBParameterGroupFamily="postgres16", Description="fluxa"
    )
    await scene.meter("AWS/RDS", "DatabaseConnections", 97, since="10m", DBInstanceIdentifier=DATABASE)
    await scene.begin()
    await scene.advance("20m")
    assert scene.breaker().approval is None
    await scene.until(lambda: scene.breaker().approval is not None, within="1h")
    assert await scene.requests() == []
    await scene.approve()
    await scene.until(breaker="open", within="5m")
    found = (await rds.describe_db_parameters(DBParameterGroupName="fluxa"))["Parameters"]
    assert {one["ParameterName"]: one["ParameterValue"] for one in found}["max_connections"] == "200"
    await scene.reset()  # what was bought stays: a person takes it back, with another restart
    await scene.until(breaker="closed", within="1h")
    found = (await rds.describe_db_parameters(DBParameterGroupName="fluxa"))["Parameters"]
    assert {one["ParameterName"]: one["ParameterValue"] for one in found}["max_connections"] == "200"


async def test_d12_slow_queries_are_told_with_what_to_look_at(stage):
    """Ten minutes above half a second: a notice with the statement to explain and the indexes; nothing is changed."""
    scene = await stage("fluxa", breakers=["slow-queries"], step=20)
    await Fluxa(scene).count("db_latency_ms", 40, since="10m")
    await scene.begin()
    await Fluxa(scene).count("db_latency_ms", 900)
    await scene.advance("9m")
    assert scene.breaker().state == "closed"
    await scene.until(breaker="open", within="15m")
    assert await scene.requests() == []
    await Fluxa(scene).count("db_latency_ms", 40)
    await scene.until(breaker="closed", within="2h")


async def test_d13_a_failover_holds_the_processor_until_the_standby_serves(stage, outside):
    """An RDS event of the kind failover pauses reading; available and answering for two minutes resumes it."""
    scene = await stage("fluxa", breakers=["failover"], step=20, TRIAL="5m", DB_ADDRESS=address(outside))
    world = Fluxa(scene)
    await world.queues()
    await world.function()
    mapping = await world.reads()
    await world.database()
    await scene.begin()
    assert scene.level("failover") == "ok"
    rds = await scene.aws("rds")
    await rds.reboot_db_instance(DBInstanceIdentifier=DATABASE, ForceFailover=True)
    await scene.until(breaker="open", within="5m")
    assert not await world.reading(mapping)
    await scene.until(breaker="closed", within="2h")
    assert await world.reading(mapping)


async def test_d15_a_lost_database_is_restored_beside_itself_only_when_declared_and_approved(stage):
    """The parameter says that data is lost: a plan; a yes makes a second instance; the first is never touched."""
    scene = await stage("fluxa", breakers=["restore"], checks=["restorable"], step=20)
    world, parameters, rds = Fluxa(scene), await scene.aws("ssm"), await scene.aws("rds")
    await world.database()
    await parameters.put_parameter(Name="/fluxa/dev/data-lost", Value="no", Type="String")
    await scene.begin()
    await parameters.put_parameter(Name="/fluxa/dev/data-lost", Value="yes", Type="String", Overwrite=True)
    await scene.until(lambda: scene.breaker().approval is not None, within="10m")
    assert await scene.requests() == []
    await scene.approve()
    await scene.until(breaker="open", within="10m")
    names = {one["DBInstanceIdentifier"] for one in (await rds.describe_db_instances())["DBInstances"]}
    assert names == {DATABASE, f"{DATABASE}-restored"}
    await parameters.put_parameter(Name="/fluxa/dev/data-lost", Value="no", Type="String", Overwrite=True)
    await scene.reset()
    await scene.until(lambda: scene.breaker().approval is not None, within="5m")
    await scene.approve()
    await scene.until(breaker="closed", within="2h")


async def test_d2_refused_connections_and_failures_together_pause_the_processor(stage, outside):
    """Either alone is no proof: the log says refused, and ten events failed in five minutes."""
    scene = await stage("fluxa", breakers=["database-connections"], step=20, DB_ADDRESS=address(outside))
    world = Fluxa(scene)
    await world.function()
    await world.queues()
    mapping = await world.reads()
    await world.database()
    await world.logs(PROCESSOR)
    await world.count("processed_failure", 0, since="10m")
    await scene.begin()
    await world.say(PROCESSOR, "could not connect to server: connection refused")
    await scene.until(lambda: scene.level("connection-errors") == "critical", within="5m")
    assert scene.breaker().state == "closed"
    await world.count("processed_failure", 12)
    await scene.until(breaker="open", within="5m")
    assert not await world.reading(mapping)


async def test_d11_a_refused_session_is_enough(stage):
    """The database says that it is full: no waiting for its metric."""
    scene = await stage("fluxa", breakers=["connection-pool"], step=20, TRIAL="6m")
    world = Fluxa(scene)
    await world.function()
    await world.logs(PROCESSOR, "fluxa-query")
    await scene.meter("AWS/RDS", "DatabaseConnections", 40, since="10m", DBInstanceIdentifier=DATABASE)
    await scene.begin()
    await world.say("fluxa-query", "FATAL: sorry, too many connections already")
    await scene.until(breaker="open", within="5m")
    assert scene.level("too-many-connections") == "critical"
    assert await world.reserved(PROCESSOR) == 4
    await scene.until(breaker="closed", within="2h")
    assert await world.reserved(PROCESSOR) is None


async def test_d15_backups_that_stopped_are_told(stage):
    """The newest moment to restore falls behind: ten minutes are a warning, an hour is critical."""
    scene = await stage("fluxa", checks=["restorable"], step=20)
    await Fluxa(scene).database()
    await scene.begin()
    await scene.advance("20m")
    assert scene.level("restorable") == "ok"
    await scene.side.post("rds/backups/stop", database=DATABASE)
    await scene.until(lambda: scene.level("restorable") == "warning", within="30m")
    await scene.until(lambda: scene.level("restorable") == "critical", within="2h")
    assert scene.incidents()[0].severity == "SEV2"
