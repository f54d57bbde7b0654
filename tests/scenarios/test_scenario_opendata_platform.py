"""OpenData Pulse (rows B3, B4, B6, B12, B14): the API's speed, sign-ins, stacks, health, evidence."""

from __future__ import annotations

import json

from opendata_world import ETL, HEALTH, HERE, INGEST, TABLE, changes, pulse

from monitor.demo.emulator.appsync import api_id
from monitor.demo.emulator.child import ACCOUNT
from monitor.demo.emulator.cognito import client_id, pool_id

API = api_id("opendata-pulse")
THERE = {"GRAPHQL_API_ID": API, **HERE}
RESOLVER = {"typeName": "Query", "fieldName": "getAirQualityData", "dataSourceName": "table", "kind": "UNIT"}


async def graphql(scene):
    """The API and its resolver."""
    await pulse(scene)
    client = await scene.aws("appsync")
    await client.create_graphql_api(name="opendata-pulse", authenticationType="API_KEY")
    await client.create_resolver(apiId=API, requestMappingTemplate="{}", **RESOLVER)
    return client


async def resolver(client) -> dict:
    """What is known of it, AWS's own fields aside."""
    found = (await client.get_resolver(apiId=API, typeName="Query", fieldName="getAirQualityData"))["resolver"]
    return {key: value for key, value in found.items() if key != "resolverArn"}


async def test_b3_a_slow_api_gets_capacity_and_a_cache_and_loses_both(stage):
    """Over two seconds: 100/50 units, a cache, one cached resolver with all else as it was; nothing of it stays."""
    scene = await stage("opendata-pulse", breakers=["api-latency"], step=20, **THERE)
    world, client = await pulse(scene), await graphql(scene)
    await world.table()
    before = await resolver(client)
    await scene.meter("AWS/AppSync", "Latency", 400, since="10m", GraphQLAPIId=API)
    await scene.begin()
    await scene.meter("AWS/AppSync", "Latency", 2600, GraphQLAPIId=API)
    await scene.until(breaker="open", within="30m")
    assert (await world.units())[0] == (100, 50)
    cache = (await client.get_api_cache(apiId=API))["apiCache"]
    assert (cache["ttl"], cache["apiCachingBehavior"], cache["type"]) == (3600, "PER_RESOLVER_CACHING", "SMALL")
    caching = {"ttl": 1800, "cachingKeys": ["$context.arguments.suburb"]}
    assert await resolver(client) == {**before, "cachingConfig": caching}  # the runbook's command loses the rest

    await scene.meter("AWS/AppSync", "Latency", 300, GraphQLAPIId=API)
    await scene.until(breaker="closed", within="3h")
    assert (await world.units())[0] == (20, 20)
    assert await resolver(client) == before
    assert "appsync:DeleteApiCache" in [one.name for one in await changes(scene)]


async def test_b4_failing_sign_ins_flush_the_cache_once_and_leave_the_client_alone(stage):
    """Every second sign-in fails: the cache is flushed; flows and passwords stay a person's."""
    ids = {"USER_POOL_ID": pool_id("pulse"), "USER_POOL_CLIENT_ID": client_id("web")}
    scene = await stage(
        "opendata-pulse", breakers=["sign-ins"], checks=["user-pool", "sign-in-client"], step=20, **ids, **THERE
    )
    client, pools = await graphql(scene), await scene.aws("cognito-idp")
    await pools.create_user_pool(PoolName="pulse")
    flows = ["ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH", "ALLOW_USER_PASSWORD_AUTH"]
    await pools.create_user_pool_client(UserPoolId=pool_id("pulse"), ClientName="web", ExplicitAuthFlows=flows)
    await client.create_api_cache(apiId=API, ttl=60, apiCachingBehavior="FULL_REQUEST_CACHING", type="SMALL")
    names = {"UserPool": pool_id("pulse"), "UserPoolClient": client_id("web")}
    await scene.meter("AWS/Cognito", "SignInSuccesses", 1, since="20m", **names)
    await scene.begin()
    assert scene.level("user-pool") == scene.level("sign-in-client") == "ok"
    await pools.update_user_pool_client(  # somebody "fixes" it
        UserPoolId=pool_id("pulse"), ClientId=client_id("web"), ExplicitAuthFlows=flows[1:2]
    )
    await scene.meter("AWS/Cognito", "SignInSuccesses", 0, **names)
    await scene.until(breaker="open", within="30m")
    assert [(one.name, one.status) for one in await changes(scene)] == [("appsync:FlushApiCache", 200)]
    await scene.until(lambda: scene.level("sign-in-client") == "warning", within="10m")
    await scene.meter("AWS/Cognito", "SignInSuccesses", 1, **names)
    await scene.until(breaker="closed", within="3h")
    assert len(await changes(scene)) == 1


async def test_b6_a_stack_stuck_in_its_roll_back_goes_on_after_a_yes(stage):
    """UPDATE_ROLLBACK_FAILED: the call that this state allows, no other; closed when the stack rests."""
    scene = await stage("opendata-pulse", breakers=["stack-failure"], step=20, **HERE)
    await pulse(scene)
    await scene.side.post("stacks", name="OpenDataPulseApiStack", state="UPDATE_COMPLETE")
    await scene.side.post("stacks", name="OpenDataPulseComputeStack", state="UPDATE_COMPLETE")
    await scene.begin()
    assert scene.level("stacks", "unhealthy") == "ok"
    await scene.side.post("stacks", name="OpenDataPulseApiStack", state="UPDATE_ROLLBACK_FAILED", reason="no role")
    await scene.until(lambda: scene.breaker().approval is not None, within="15m")
    assert await changes(scene) == []
    await scene.approve()
    await scene.until(breaker="open", within="15m")
    assert [one.name for one in await changes(scene)] == ["cloudformation:ContinueUpdateRollback"]
    await scene.until(breaker="closed", within="1h")


async def test_b12_health_sweep_is_green_when_all_answers_and_names_what_does_not(stage):
    """Functions, table, buckets and API: green; without the table and a bucket: those two red, the API still green."""
    scene = await stage("opendata-pulse", checks=["parts", "balancer"], step=20, **THERE)
    world = await pulse(scene)
    await world.function(INGEST, ETL, HEALTH)
    await world.table()
    await world.buckets()
    await graphql(scene)
    name = "app/opendata-pulse-alb/50dc6c495c0c9188"
    await scene.meter("AWS/ApplicationELB", "TargetResponseTime", 3, since="20m", LoadBalancer=name)
    await scene.begin()
    assert scene.level("parts") == "ok"  # the runbook asks the API for a status it does not have: always red
    assert scene.level("balancer", "value", name) == "warning"  # found by its name, whatever its id
    await (await scene.aws("dynamodb")).delete_table(TableName=TABLE)
    await (await scene.aws("lambda")).delete_function(FunctionName=HEALTH)
    await scene.advance("3m")
    red = {row.target for row in scene.rows("parts") if row.level == "critical"}
    assert red == {TABLE, HEALTH}
    assert [one.severity for one in scene.incidents()] == ["SEV1"]


async def test_b14_logs_are_kept_and_people_are_told_three_times(stage):
    """Errors: two hours of both logs go to the incident bucket, once; alert and resolution go to the topic."""
    scene = await stage("opendata-pulse", breakers=["evidence"], step=20, **HERE)
    world = await pulse(scene)
    await world.logs(ETL, INGEST)
    await world.buckets(f"incident-logs-{ACCOUNT}")
    for ago in range(1, 8):
        at = world.hours_ago(ago).timestamp() + 1800
        await scene.side.door.post("clock", at=at)
        await world.put(f"opendata-pulse-raw-data-{ACCOUNT}", "raw", str(ago))
    await scene.side.door.post("clock", at=scene.clock.now().timestamp())
    topic = (await (await scene.aws("sns")).create_topic(Name="incident-alerts"))["TopicArn"]
    sqs = await scene.aws("sqs")
    await sqs.create_queue(QueueName="phone")
    arn = f"arn:aws:sqs:us-east-1:{ACCOUNT}:phone"
    await (await scene.aws("sns")).subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    await world.say(ETL, "ERROR boom")
    await scene.meter("AWS/Lambda", "Errors", 0, since="10m", FunctionName=ETL)
    for metric, value in (("4XXError", 0), ("5XXError", 0), ("Requests", 100)):
        await scene.meter("AWS/AppSync", metric, value, since="10m", GraphQLAPIId="opendatapulse")

    async def ingest() -> None:
        if (scene.clock.now().minute, scene.clock.now().second) == (30, 0):
            await world.put(f"opendata-pulse-raw-data-{ACCOUNT}", "raw", f"{scene.clock.now():%H}")

    scene.play(ingest)
    await scene.begin()
    await scene.meter("AWS/Lambda", "Errors", 4, FunctionName=ETL)
    await scene.until(breaker="open", within="20m")
    exports = await scene.requests("logs:CreateExportTask")
    assert [one.params["logGroupName"] for one in exports] == [f"/aws/lambda/{ETL}", f"/aws/lambda/{INGEST}"]
    assert all(one.params["to"] - one.params["from"] >= 2 * 3600 * 1000 for one in exports)
    await scene.advance("35m")
    await scene.meter("AWS/Lambda", "Errors", 0, FunctionName=ETL)
    await scene.until(breaker="closed", within="3h")
    assert len(await scene.requests("logs:CreateExportTask")) == 2
    heard = (await scene.side.get("sqs/messages", queue="phone"))["messages"]
    told = [json.loads(one["body"])["Message"] for one in heard]
    assert "started: 2026-03-04 12:02" in told[0]
    assert "status: investigating" in told[0]
    assert any("still identified after 30m" in text for text in told[1:-1])  # nothing changed: people are told so
    assert "status: resolved" in told[-1]
    assert "duration: 1h" in told[-1]
