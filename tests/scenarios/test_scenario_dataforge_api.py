"""DataForge (rows C3 to C4): an API that fails, a release that did it, a throttled table, a dashboard that is down."""

from __future__ import annotations

from typing import Any

import pytest
from fluxa_world import Fluxa
from scene import Scene

API, TABLE, DASHBOARD = "dataforge-api", "dataforge-serving", "dataforge-dashboard"


async def errors(scene: Scene, share: float, since: str | int = 0) -> None:
    """5XXError's average: a share of all answers."""
    await scene.meter("AWS/ApiGateway", "5XXError", share, since=since, ApiName=API)


async def alarm(scene: Scene, state: str) -> None:
    """The runbook's alarm."""
    watch = await scene.aws("cloudwatch")
    await watch.put_metric_alarm(
        AlarmName="5XXErrorRate", Namespace="AWS/ApiGateway", MetricName="5XXError", Statistic="Average", Period=60,
        EvaluationPeriods=1, Threshold=0.01, ComparisonOperator="GreaterThanThreshold",
    )  # fmt: skip
    await watch.set_alarm_state(AlarmName="5XXErrorRate", StateValue=state, StateReason="the scene says so")


async def deploying(scene: Scene) -> str:
    """A CodeDeploy deployment that has not ended; its id."""
    deploy = await scene.aws("codedeploy")
    await deploy.create_application(applicationName=API, computePlatform="Lambda")
    role = "arn:aws:iam::123456789012:role/deploy"
    await deploy.create_deployment_group(applicationName=API, deploymentGroupName="prod", serviceRoleArn=role)
    revision = {"revisionType": "String", "string": {"content": "{}", "sha256": "0"}}
    made = await deploy.create_deployment(applicationName=API, deploymentGroupName="prod", revision=revision)
    return str(made["deploymentId"])


async def test_c3b_a_release_within_half_an_hour_is_stopped_and_taken_back(stage):
    """5xx after a deployment: what CodeDeploy still does is stopped, then the alias goes back; SEV1."""
    scene = await stage("dataforge", breakers=["api-release"], step=20)
    world = Fluxa(scene)
    await world.function(API, releases=1)
    await alarm(scene, "OK")
    await errors(scene, 0.001, since="10m")
    await scene.begin()
    await world.release(API)
    going = await deploying(scene)
    assert await world.version(API) == "2"

    await errors(scene, 0.2)
    await alarm(scene, "ALARM")
    await scene.until(breaker="open", within="10m")
    assert await world.version(API) == "1"
    asked = [one.name for one in await scene.requests()]
    assert asked.index("codedeploy:StopDeployment") < asked.index("lambda:UpdateAlias")
    told = await (await scene.aws("codedeploy")).get_deployment(deploymentId=going)
    assert told["deploymentInfo"]["status"] == "Stopped"
    await errors(scene, 0.0)
    await alarm(scene, "OK")
    await scene.reset()
    await scene.until(breaker="closed", within="1h")


async def test_c3b_an_old_release_is_not_blamed(stage):
    """The same errors a day after the release: an incident, no rollback."""
    scene = await stage("dataforge", breakers=["api-release"], step=20, RECENT="5m")
    world = Fluxa(scene)
    await world.function(API, releases=1)
    await alarm(scene, "OK")
    await scene.begin()
    await scene.advance("10m")
    await errors(scene, 0.2, since="5m")
    await scene.until(lambda: scene.level("api-errors") == "critical", within="10m")
    await scene.advance("5m")
    assert scene.breaker().state == "closed"
    assert await world.version(API) == "1"


@pytest.fixture
async def gateway():
    """Makes a REST API with a stage `prod` in a scene; its id is chosen by API Gateway."""

    async def make(scene: Scene) -> str:
        apis = await scene.aws("apigateway")
        api = (await apis.create_rest_api(name=API, tags={"_custom_id_": "dataforge0a"}))["id"]
        root = (await apis.get_resources(restApiId=api))["items"][0]["id"]
        await apis.put_method(restApiId=api, resourceId=root, httpMethod="GET", authorizationType="NONE")
        await apis.put_integration(restApiId=api, resourceId=root, httpMethod="GET", type="MOCK")
        await apis.create_deployment(restApiId=api, stageName="prod")
        return str(api)

    return make


async def test_c3_a_failing_api_answers_from_its_cache_until_the_synthetic_test_passes(stage, gateway):
    """Above 1 % or a failed canary: the stage's cache on; both green for five minutes: off again, as it was."""
    scene = await stage("dataforge", breakers=["api-cache"], step=20)
    api, apis = await gateway(scene), await scene.aws("apigateway")
    await scene.side.post("canaries", name=API, state="PASSED")
    await errors(scene, 0.001, since="10m")
    await scene.begin()
    assert scene.level("api-synthetic") == "ok"

    await scene.side.post("canaries", name=API, state="FAILED", reason="GET /metrics: 502")
    await errors(scene, 0.2)
    await scene.until(breaker="open", within="10m")
    now = await apis.get_stage(restApiId=api, stageName="prod")
    assert (now["cacheClusterEnabled"], now["cacheClusterSize"]) == (True, "0.5")
    assert now["methodSettings"]["*/*"]["cacheTtlInSeconds"] == 300
    assert {one.severity for one in scene.incidents()} == {"SEV1"}
    await errors(scene, 0.0)
    await scene.advance("30m")
    assert scene.breaker().state != "closed"  # the synthetic test still fails
    await scene.side.post("canaries", name=API, state="PASSED")
    await scene.until(breaker="closed", within="2h")
    now = await apis.get_stage(restApiId=api, stageName="prod")
    assert not now.get("cacheClusterEnabled")
    assert "*/*" not in now.get("methodSettings", {})


async def test_c3c_a_throttled_table_gets_capacity_and_gives_it_back(stage):
    """Five minutes of throttles: 200 and 100 units; ten without: what it had."""
    scene = await stage("dataforge", breakers=["table-capacity"], step=20)
    tables = await scene.aws("dynamodb")
    await tables.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        ProvisionedThroughput={"ReadCapacityUnits": 20, "WriteCapacityUnits": 10},
    )

    async def units() -> tuple[int, int]:
        told = (await tables.describe_table(TableName=TABLE))["Table"]["ProvisionedThroughput"]
        return told["ReadCapacityUnits"], told["WriteCapacityUnits"]

    await scene.begin()
    await scene.meter("AWS/DynamoDB", "ReadThrottleEvents", 40, TableName=TABLE)
    await scene.until(breaker="open", within="15m")
    assert await units() == (200, 100)
    await scene.meter("AWS/DynamoDB", "ReadThrottleEvents", 0, TableName=TABLE)
    await scene.until(breaker="closed", within="2h")
    assert await units() == (20, 10)


#: What stands there besides, and has to stand there afterwards.
NOT_FOUND = {"ErrorCode": 404, "ResponsePagePath": "/404.html", "ResponseCode": "404", "ErrorCachingMinTTL": 300}
PAGE = "maintenance/index.html"


async def distribution(scene: Scene) -> dict[str, Any]:
    """The dashboard's distribution exists, with an error page of its own for 404; its configuration."""
    front = await scene.aws("cloudfront")
    origin = {
        "Id": "site",
        "DomainName": f"{DASHBOARD}.s3.amazonaws.com",
        "S3OriginConfig": {"OriginAccessIdentity": ""},
    }
    made = await front.create_distribution(
        DistributionConfig={
            "CallerReference": "id:EDATAFORGE", "Comment": "the dashboard", "Enabled": True,
            "Origins": {"Quantity": 1, "Items": [origin]},
            "DefaultCacheBehavior": {"TargetOriginId": "site", "ViewerProtocolPolicy": "https-only"},
            "CustomErrorResponses": {"Quantity": 1, "Items": [NOT_FOUND]},
        }
    )  # fmt: skip
    return dict(made["Distribution"]["DistributionConfig"])


async def test_c3d_a_dashboard_that_fails_shows_a_maintenance_page_while_it_does(stage):
    """Above 5 percent: flag, page, and the distribution shows it; below for five minutes: all as it was before."""
    scene = await stage("dataforge", breakers=["maintenance-page"], step=20)
    world, s3, flags = Fluxa(scene), await scene.aws("s3"), await scene.aws("ssm")
    front_door = await scene.aws("cloudfront")
    await world.bucket(DASHBOARD)
    before = await distribution(scene)
    front = {"DistributionId": "EDATAFORGE", "Region": "Global"}
    await scene.meter("AWS/CloudFront", "5xxErrorRate", 0.1, since="10m", **front)
    await scene.begin()
    assert scene.level("dashboard-bucket") == "ok"

    async def shown() -> tuple[int, int, dict[int, str]]:
        objects = (await s3.list_objects_v2(Bucket=DASHBOARD)).get("Contents", ())
        found = (await flags.get_parameters(Names=["/dataforge/prod/dashboard"]))["Parameters"]
        config = (await front_door.get_distribution_config(Id="EDATAFORGE"))["DistributionConfig"]
        pages = {one["ErrorCode"]: one["ResponsePagePath"] for one in config["CustomErrorResponses"]["Items"]}
        return len(objects), len(found), pages

    await scene.meter("AWS/CloudFront", "5xxErrorRate", 30, **front)
    await scene.until(breaker="open", within="10m")
    assert await shown() == (1, 1, {404: "/404.html", **dict.fromkeys((500, 502, 503, 504), f"/{PAGE}")})
    page = await s3.get_object(Bucket=DASHBOARD, Key=PAGE)
    assert page["ContentType"].startswith("text/html")
    asked = [one.name for one in await scene.requests()]
    assert asked.index("s3:PutObject") < asked.index("cloudfront:UpdateDistribution")

    config = await front_door.get_distribution_config(Id="EDATAFORGE")  # somebody edits something else meanwhile
    edited = {**config["DistributionConfig"], "Comment": "edited"}
    await front_door.update_distribution(Id="EDATAFORGE", IfMatch=config["ETag"], DistributionConfig=edited)
    await scene.meter("AWS/CloudFront", "5xxErrorRate", 0.1, **front)
    await scene.until(breaker="closed", within="2h")
    assert await shown() == (0, 0, {404: "/404.html"})
    after = (await front_door.get_distribution_config(Id="EDATAFORGE"))["DistributionConfig"]
    assert after == {**before, "Comment": "edited"}


async def test_c3d_a_bucket_that_is_gone_is_named(stage):
    """The dashboard's files are gone: critical, and a person; an error page would not help."""
    scene = await stage("dataforge", checks=["dashboard-bucket"], step=20)
    world, s3 = Fluxa(scene), await scene.aws("s3")
    await world.bucket(DASHBOARD)
    await scene.begin()
    assert scene.level("dashboard-bucket") == "ok"
    await s3.delete_bucket(Bucket=DASHBOARD)
    await scene.until(lambda: scene.level("dashboard-bucket") == "critical", within="10m")
    assert scene.incidents()[0].severity == "SEV2"
    await world.bucket(DASHBOARD)
    await scene.until(lambda: scene.level("dashboard-bucket") == "ok", within="10m")
