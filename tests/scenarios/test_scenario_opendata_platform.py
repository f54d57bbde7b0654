"""OpenData Pulse (rows B3, B4, B6, B12, B14): the API's speed, sign-ins, stacks, health, evidence."""

from __future__ import annotations

import json

from opendata_world import API as PULSE_API
from opendata_world import ETL, HEALTH, HERE, INGEST, TABLE, changes, pulse
from slack_side import Slack

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


IDS = {"USER_POOL_ID": pool_id("pulse"), "USER_POOL_CLIENT_ID": client_id("web"), "CANARY_SECRET": "env:CANARY"}
FLOWS = ["ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH", "ALLOW_USER_PASSWORD_AUTH"]
PASSWORD = "Tr0ub4dor&3"
OTHERS = {"CallbackURLs": ["https://pulse.example"], "RefreshTokenValidity": 7, "EnableTokenRevocation": False}


async def signed_in(scene, share: float, **more) -> None:
    """The share of sign-ins that succeed."""
    names = {"UserPool": pool_id("pulse"), "UserPoolClient": client_id("web")}
    await scene.meter("AWS/Cognito", "SignInSuccesses", share, **names, **more)


async def user_pool(scene, password: str = PASSWORD):
    """The pool, its client with more settings than flows, and the canary user."""
    pools = await scene.aws("cognito-idp")
    which = {"UserPoolId": pool_id("pulse")}
    await pools.create_user_pool(PoolName="pulse")
    await pools.create_user_pool_client(**which, ClientName="web", ExplicitAuthFlows=FLOWS, **OTHERS)
    await pools.admin_create_user(**which, Username="canary")
    await pools.admin_set_user_password(**which, Username="canary", Password=password, Permanent=True)
    return pools


async def settings_of(pools) -> dict:
    """The client's, AWS's own fields aside."""
    which = {"UserPoolId": pool_id("pulse"), "ClientId": client_id("web")}
    found = (await pools.describe_user_pool_client(**which))["UserPoolClient"]
    return {key: found[key] for key in sorted(found) if key in (*OTHERS, "ExplicitAuthFlows", "ClientName")}


async def test_b4_sign_ins_work_again_once_the_flows_are_back_and_a_canary_has_signed_in(stage):
    """The cache is flushed; after a yes the flows come back and nothing else changes; a real sign-in closes it."""
    scene = await stage(
        "opendata-pulse", breakers=["sign-ins"], checks=["user-pool", "sign-in-client"], step=20,
        CANARY=PASSWORD, **IDS, **THERE,
    )  # fmt: skip
    client, pools = await graphql(scene), await user_pool(scene)
    await client.create_api_cache(apiId=API, ttl=60, apiCachingBehavior="FULL_REQUEST_CACHING", type="SMALL")
    good = await settings_of(pools)
    await signed_in(scene, 1, since="20m")
    await scene.begin()
    assert scene.level("user-pool") == scene.level("sign-in-client") == "ok"
    which = {"UserPoolId": pool_id("pulse"), "ClientId": client_id("web")}
    await pools.update_user_pool_client(**which, ClientName="web", ExplicitAuthFlows=FLOWS[1:2], **OTHERS)
    await signed_in(scene, 0)
    await scene.until(lambda: scene.breaker().approval is not None, within="30m")
    assert [(one.name, one.status) for one in await changes(scene)] == [("appsync:FlushApiCache", 200)]
    await scene.until(lambda: scene.level("sign-in-client") == "warning", within="10m")
    await scene.approve()
    await scene.until(breaker="open", within="10m")
    assert await settings_of(pools) == good  # the runbook's command is refused, and repaired it resets the others
    await signed_in(scene, 1)
    await scene.until(breaker="closed", within="3h")
    asked = [one.name for one in await changes(scene)]
    sign_in = "cognito-idp:AdminInitiateAuth"
    assert asked == ["appsync:FlushApiCache", "cognito-idp:UpdateUserPoolClient", sign_in]
    assert PASSWORD not in scene.story() + str(scene.incidents())


async def test_b4_while_the_canary_cannot_sign_in_nothing_closes(stage):
    """The metric looks well again, but the canary is refused: open, and the step says why without the password."""
    scene = await stage("opendata-pulse", breakers=["sign-ins"], step=20, CANARY=PASSWORD, **IDS, **THERE)
    client = await graphql(scene)
    await user_pool(scene, "another")
    await client.create_api_cache(apiId=API, ttl=60, apiCachingBehavior="FULL_REQUEST_CACHING", type="SMALL")
    await signed_in(scene, 0, since="20m")
    await scene.begin()
    await scene.until(lambda: scene.breaker().approval is not None, within="10m")
    await scene.approve()
    await scene.until(breaker="open", within="10m")
    await signed_in(scene, 1)
    await scene.advance("50m")
    assert scene.breaker().state != "closed"
    failed = " ".join(scene.events("action.failed"))
    assert "Incorrect username or password" in failed
    assert PASSWORD not in scene.story()


async def test_b4_the_canarys_password_is_set_again_only_after_a_yes_and_works(stage):
    """Sign-ins fail and tokens are refused for half an hour: proposed; set from its reference, tried at once."""
    scene = await stage("opendata-pulse", breakers=["canary-password"], step=20, CANARY=PASSWORD, **IDS, **THERE)
    world = await pulse(scene)
    await world.logs(PULSE_API)
    pools = await user_pool(scene, "forgotten")
    await signed_in(scene, 0, since="40m")

    async def refuse() -> None:
        if (scene.clock.now().minute % 10, scene.clock.now().second) == (0, 0):
            await world.say(PULSE_API, *["UnauthorizedException: JWT expired"] * 6)

    scene.play(refuse)
    await world.say(PULSE_API, *["UnauthorizedException: JWT expired"] * 6)
    await scene.begin()
    await scene.until(lambda: scene.breaker().approval is not None, within="40m")
    assert scene.level("token-errors", "matches") == "warning"
    assert await changes(scene) == []
    await scene.approve()
    await scene.until(breaker="open", within="10m")
    asked = [one.name for one in await changes(scene)]
    assert asked == ["cognito-idp:AdminSetUserPassword", "cognito-idp:AdminInitiateAuth"]
    told = await pools.admin_get_user(UserPoolId=pool_id("pulse"), Username="canary")
    assert told["UserStatus"] == "CONFIRMED"
    assert PASSWORD not in scene.story() + str(scene.incidents())


async def test_b4_a_user_pool_that_is_gone_is_told(stage):
    """Nobody can sign in to it."""
    scene = await stage("opendata-pulse", checks=["user-pool"], **IDS, **THERE)
    await pulse(scene)
    await scene.begin()
    await scene.until(lambda: scene.level("user-pool") == "critical", within="15m")


async def test_b3_the_slowest_answer_is_told_before_the_average_is_slow(stage):
    """One answer took three seconds, the average is well."""
    scene = await stage("opendata-pulse", checks=["api-slowest", "api-latency"], **THERE)
    await pulse(scene)
    await scene.meter("AWS/AppSync", "Latency", 200, since="10m", GraphQLAPIId=API)
    point = {"namespace": "AWS/AppSync", "metric": "Latency", "dimensions": {"GraphQLAPIId": API}}
    await scene.side.post("metrics", points=[{**point, "value": 3000, "ago": 120}])
    await scene.begin()
    assert scene.level("api-slowest", "value") == "warning"
    assert scene.level("api-latency", "value") == "ok"


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


async def test_b14_each_incident_gets_a_slack_channel_that_hears_all_of_it(stage):
    """Named after its minute; alert, update and resolution are posted there with a mention; archived at the end."""
    async with Slack("xoxb-scene") as slack:
        scene = await stage(
            "opendata-pulse", breakers=["hourly-rule"], step=20, SLACK="xoxb-scene",
            SLACK_ROOM=f"slack-channel://env:SLACK?mention=here&archive=yes&api={slack.base}", **HERE,
        )  # fmt: skip
        world = await pulse(scene)
        await world.rule("DISABLED")
        await scene.begin()
        await scene.until(breaker="open", within="15m")
        await scene.until(breaker="closed", within="1h")
        await scene.until(lambda: _archived(slack), within="5m")
        [incident] = scene.incidents()
    [(name, channel)] = slack.channels.items()
    assert name == f"incident-{incident.opened_at:%Y%m%d-%H%M}"
    assert channel["topic"] == {"value": incident.id}
    texts = [text for _, text in slack.posted]
    assert texts[0].startswith("<!here> *[SEV2] ")
    assert "status: investigating" in texts[0]
    assert texts[-1].startswith("<!here> ")
    assert "status: resolved" in texts[-1]
    assert len(texts) >= 3
    assert "xoxb" not in scene.story() + str(scene.incidents())


def _archived(slack: Slack) -> bool:
    return bool(slack.channels) and all(one["is_archived"] for one in slack.channels.values())
