"""DataForge (rows C1b, C4): brokers that can't serve, and what is told while an outage lasts."""

from __future__ import annotations

from datetime import timedelta

import pytest
from outside import Outside
from scene import Scene

from monitor.demo.emulator.child import ACCOUNT, REGION
from monitor.demo.emulator.kafka import arn_of

CLUSTER = "dataforge"
ARN = arn_of(ACCOUNT, REGION, CLUSTER)


async def cluster(scene: Scene, offline: float) -> None:
    """Three brokers, a controller, and so many partitions without a leader."""
    kafka = await scene.aws("kafka")
    if not (await kafka.list_clusters_v2())["ClusterInfoList"]:
        group = {"InstanceType": "kafka.m5.large", "ClientSubnets": ["subnet-1", "subnet-2", "subnet-3"]}
        await kafka.create_cluster(
            ClusterName=CLUSTER, KafkaVersion="3.6.0", NumberOfBrokerNodes=3, BrokerNodeGroupInfo=group
        )
    name = {"Cluster Name": CLUSTER}
    await scene.meter("AWS/Kafka", "OfflinePartitionsCount", offline, since="5m", **name)
    await scene.meter("AWS/Kafka", "ActiveControllerCount", 1, since="5m", **name)
    for broker in ("1", "2", "3"):
        await scene.meter(
            "AWS/Kafka", "UnderReplicatedPartitions", offline, since="5m", **name, **{"Broker ID": broker}
        )


@pytest.fixture
async def outside():
    """A broker's port."""
    async with Outside() as port:
        await port.up()
        yield port


async def test_c1b_offline_partitions_propose_brokers_and_a_yes_adds_them(stage, outside):
    """A partition without a leader: six brokers are proposed, added after a yes; what the cluster says is seen too."""
    broker = outside.url.removeprefix("http://").rstrip("/")
    scene = await stage(
        "dataforge", breakers=["brokers"], checks=["broker-port"], step=20, MSK_CLUSTER_ARN=ARN, BROKER=broker
    )
    await cluster(scene, 0)
    await scene.begin()
    assert scene.level("brokers") == scene.level("cluster-state") == scene.level("broker-port", "down") == "ok"

    await cluster(scene, 2)
    await scene.until(lambda: scene.breaker().approval is not None, within="10m")
    kafka = await scene.aws("kafka")
    told = (await kafka.describe_cluster(ClusterArn=ARN))["ClusterInfo"]
    assert told["NumberOfBrokerNodes"] == 3
    await scene.side.post("kafka/state", cluster=CLUSTER, state="HEALING")
    await outside.down()
    await scene.until(lambda: scene.level("cluster-state") == "critical", within="10m")
    await scene.until(lambda: scene.level("broker-port", "down") == "critical", within="10m")
    await scene.side.post("kafka/state", cluster=CLUSTER, state="ACTIVE")
    await outside.up()
    await scene.approve()
    await scene.until(breaker="open", within="30m")
    told = (await kafka.describe_cluster(ClusterArn=ARN))["ClusterInfo"]
    assert told["NumberOfBrokerNodes"] == 6
    await cluster(scene, 0)
    await scene.reset()
    await scene.until(breaker="closed", within="2h")


async def test_c4_an_outage_is_told_every_quarter_of_an_hour_and_leaves_a_timeline(stage):
    """SEV1: the next update is never more than 15 minutes away while it lasts; the timeline has trip and end."""
    scene = await stage("dataforge", breakers=["api-cache"], step=20)
    await scene.meter("AWS/ApiGateway", "5XXError", 0.0, since="10m", ApiName="dataforge-api")
    await scene.side.post("canaries", name="dataforge-api", state="PASSED")
    apis = await scene.aws("apigateway")
    api = (await apis.create_rest_api(name="dataforge-api", tags={"_custom_id_": "dataforge0a"}))["id"]
    root = (await apis.get_resources(restApiId=api))["items"][0]["id"]
    await apis.put_method(restApiId=api, resourceId=root, httpMethod="GET", authorizationType="NONE")
    await apis.put_integration(restApiId=api, resourceId=root, httpMethod="GET", type="MOCK")
    await apis.create_deployment(restApiId=api, stageName="prod")
    await scene.begin()
    await scene.meter("AWS/ApiGateway", "5XXError", 0.3, ApiName="dataforge-api")
    await scene.until(breaker="open", within="10m")
    [incident] = [one for one in scene.incidents() if one.breaker == "api-cache"]
    assert incident.severity == "SEV1"
    first = incident.next_update
    assert first is not None
    assert (first - incident.opened_at).total_seconds() <= 15 * 60 + 1
    await scene.advance("40m")
    [incident] = [one for one in scene.incidents() if one.breaker == "api-cache"]
    assert incident.next_update is not None
    assert incident.next_update > first
    assert (incident.next_update - scene.clock.now()).total_seconds() <= 15 * 60
    await scene.meter("AWS/ApiGateway", "5XXError", 0.0, ApiName="dataforge-api")
    await scene.until(breaker="closed", within="3h")
    [incident] = [one for one in scene.incidents() if one.breaker == "api-cache"]
    assert incident.resolved_at is not None
    assert len(incident.timeline) >= 4
    assert any(one.due <= incident.resolved_at + timedelta(hours=48) for one in incident.follow_ups)
