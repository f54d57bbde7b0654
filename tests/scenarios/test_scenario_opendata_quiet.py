"""Both files whole, on healthy worlds: nothing trips, nothing is changed, no incident is raised."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cutting import shipped
from jaunt_world import Jaunt
from opendata_world import API, CURATED, DLQ, ETL, HEALTH, HERE, INGEST, RAW, changes, pulse
from outside import Outside

from monitor.demo.emulator.appsync import api_id
from monitor.demo.emulator.child import ACCOUNT
from monitor.demo.emulator.cognito import pool_id

#: Just after a full hour, so that a quarter of an hour needs no new cycle.
AT = datetime(2026, 3, 4, 12, 20, tzinfo=UTC)


@pytest.fixture
async def outside():
    """Every API outside AWS, up."""
    async with Outside() as api:
        await api.up()
        yield api


def everything(name: str) -> dict:
    """All of the file."""
    whole = shipped(name, {"ACCOUNT_ID": ACCOUNT}).pipelines[0]
    return {"breakers": list(whole.breakers), "checks": list(whole.checks), "at": AT, "INTERVAL": "5m"}


async def test_b12_a_quiet_hour_of_the_pulse_changes_nothing(stage, outside):
    """All checks read something but what has no data yet; none is critical."""
    variables = {"GRAPHQL_API_ID": api_id("opendata-pulse"), "UPSTREAM": outside.url, **HERE}
    variables |= {"USER_POOL_ID": pool_id("pulse")}
    scene = await stage("opendata-pulse", step=20, **everything("opendata-pulse"), **variables)
    world = await pulse(scene)
    await world.function(INGEST, ETL, API, HEALTH, alias="LIVE")
    await world.table()
    await world.buckets()
    await world.logs(INGEST, ETL, API)
    await world.rule()
    await (await scene.aws("sqs")).create_queue(QueueName=DLQ)
    await (await scene.aws("cognito-idp")).create_user_pool(PoolName="pulse")
    await (await scene.aws("appsync")).create_graphql_api(name="opendata-pulse", authenticationType="API_KEY")
    for name in ("OpenDataPulseApiStack", "OpenDataPulseComputeStack"):
        await scene.side.post("stacks", name=name, state="UPDATE_COMPLETE")
    for ago in range(1, 8):
        await scene.side.door.post("clock", at=world.hours_ago(ago).timestamp() + 1800)
        await world.put(RAW, "raw", str(ago))
        await world.put(CURATED, "curated", str(ago))
    await scene.side.door.post("clock", at=scene.clock.now().timestamp())
    for name, value in (("Requests", 100), ("4XXError", 0), ("5XXError", 0), ("Latency", 200)):
        await scene.meter("AWS/AppSync", name, value, since="20m", GraphQLAPIId=api_id("opendata-pulse"))
    await scene.meter("AWS/Lambda", "Invocations", 1, since="8h", FunctionName=INGEST)
    await scene.begin()
    await scene.advance("15m")
    assert {row.check for row in scene.running.surface.rows() if row.level == "critical"} == set()
    assert not list(scene.incidents())
    assert await changes(scene) == []
    unread = {row.check for row in scene.running.surface.rows() if row.level == "unknown"}
    assert unread <= {
        "balancer",
        "sign-ins",
        "sign-in-client",
        "table-capacity",
        "table-writes",
        "etl-errors",
        "processing-dead-letters",
    }


async def test_a8_a_quiet_hour_of_the_city_jobs_changes_nothing(stage, outside):
    """The same for the other file."""
    urls = {"GOOGLE_URL": outside.url, "TAVILY_URL": outside.url}
    scene = await stage("jaunt-data-scout", step=20, **everything("jaunt-data-scout"), **urls)
    world = Jaunt(scene)
    for build in (world.queues, world.functions, world.logs, world.machine, world.rule):
        await build()
    logs = await scene.aws("logs")
    await logs.create_log_group(logGroupName="/aws/vendedlogs/states/jaunt-city-discovery")
    for name in ("google", "tavily"):
        await world.connector(name, 100, 1, since="30m")
    await scene.begin()
    await scene.advance("15m")
    assert {row.check for row in scene.running.surface.rows() if row.level == "critical"} == set()
    assert not list(scene.incidents())
    assert await changes(scene) == []
    unread = {row.check for row in scene.running.surface.rows() if row.level == "unknown"}
    assert unread <= {"alarms", "budget", "duration", "llm-budget", "llm-emergency"}  # none of that exists there
