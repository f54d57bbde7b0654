"""MSK clusters: their brokers, and more of them."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from monitor.demo.emulator.kafka import arn_of

pytestmark = pytest.mark.process


async def test_a_cluster_lists_its_brokers_and_grows(aws, side):
    """Three brokers become six for the right version, while the cluster is ACTIVE; its ARN follows from its name."""
    kafka = await aws("kafka")
    group = {"InstanceType": "kafka.m5.large", "ClientSubnets": ["subnet-1", "subnet-2", "subnet-3"]}
    made = await kafka.create_cluster(
        ClusterName="lake", KafkaVersion="3.6.0", NumberOfBrokerNodes=3, BrokerNodeGroupInfo=group
    )
    arn = made["ClusterArn"]
    assert arn == arn_of("123456789012", "us-east-1", "lake")
    ids = [one["BrokerNodeInfo"]["BrokerId"] for one in (await kafka.list_nodes(ClusterArn=arn))["NodeInfoList"]]
    assert ids == [1, 2, 3]
    version = (await kafka.describe_cluster(ClusterArn=arn))["ClusterInfo"]["CurrentVersion"]
    asked = {"ClusterArn": arn, "CurrentVersion": version, "TargetNumberOfBrokerNodes": 6}
    await side.post("kafka/state", cluster="lake", state="UPDATING")
    with pytest.raises(ClientError, match="not ACTIVE"):
        await kafka.update_broker_count(**asked)
    await side.post("kafka/state", cluster="lake", state="ACTIVE")
    await kafka.update_broker_count(**asked)
    assert (await kafka.describe_cluster(ClusterArn=arn))["ClusterInfo"]["NumberOfBrokerNodes"] == 6
    with pytest.raises(ClientError, match="another version"):
        await kafka.update_broker_count(**asked)
