"""MSK clusters that get ready, grow and list their brokers, and states that the control door sets.

Sources: MSK developer guide, cluster states (CREATING until the brokers run, then ACTIVE; here that takes no time) and
ARNs (`cluster/NAME/UUID-N`; here always the same for a name); MSK API reference, ListNodes and UpdateBrokerCount
(refused unless ACTIVE and for another version; here the new brokers run at once), CreateTopic, DescribeTopic and
UpdateTopic (partitions can be added, never taken away).
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from moto.kafka.models import FakeKafkaCluster, kafka_backends

from monitor.demo.emulator.calls import Call, Reply, answer, refuse
from monitor.demo.emulator.state import Answerer, Emulator, patch


def install(emulator: Emulator) -> Mapping[str, Answerer]:
    """Mend moto's clusters, which stay CREATING for ever; the operations answered here."""
    patch(FakeKafkaCluster, "__init__", _ready)
    return {
        "kafka:ListNodes": nodes, "kafka:UpdateBrokerCount": grow, "kafka:CreateTopic": create_topic,
        "kafka:DescribeTopic": topic, "kafka:UpdateTopic": widen,
    }  # fmt: skip


def arn_of(account: str, region: str, name: str) -> str:
    """The ARN that the cluster of this name gets here."""
    return f"arn:aws:kafka:{region}:{account}:cluster/{name}/{uuid.uuid5(uuid.NAMESPACE_DNS, name)}-1"


def _ready(original: Any) -> Any:
    def init(cluster: Any, *args: Any, **more: Any) -> None:
        original(cluster, *args, **more)
        if cluster.cluster_type == "PROVISIONED":
            cluster.arn = arn_of(cluster.account_id, cluster.region_name, cluster.cluster_name)
        if cluster.state == "CREATING":
            cluster.state = "ACTIVE"

    return init


def _cluster(call: Call) -> Any:
    """The one that the path names; None: there is no such cluster."""
    arn = unquote(call.path.split("/clusters/", 1)[1]).split("/nodes", 1)[0]
    return kafka_backends[call.account][call.region].clusters.get(arn)


def nodes(call: Call) -> Reply | None:
    """ListNodes: the brokers, numbered from 1."""
    cluster = _cluster(call)
    if cluster is None:
        return refuse(call, "NotFoundException", "The specified cluster is not found.", 404)
    count = int(cluster.number_of_broker_nodes or 0)
    rows = [{"nodeType": "BROKER", "brokerNodeInfo": {"brokerId": float(one)}} for one in range(1, count + 1)]
    return answer(call, {"nodeInfoList": rows})


def grow(call: Call) -> Reply | None:
    """UpdateBrokerCount."""
    cluster, asked = _cluster(call), call.json()
    if cluster is None:
        return refuse(call, "NotFoundException", "The specified cluster is not found.", 404)
    if cluster.state != "ACTIVE" or asked["currentVersion"] != cluster.current_version:
        return refuse(call, "BadRequestException", "The cluster is not ACTIVE, or of another version.", 400)
    cluster.number_of_broker_nodes = int(asked["targetNumberOfBrokerNodes"])
    cluster.current_version += "1"
    operation = f"{cluster.arn.replace(':cluster/', ':cluster-operation/')}/{uuid.uuid4()}"
    return answer(call, {"clusterArn": cluster.arn, "clusterOperationArn": operation})


def _topics(cluster: Any) -> dict[str, dict[str, Any]]:
    if not hasattr(cluster, "emulated_topics"):
        cluster.emulated_topics = {}
    found: dict[str, dict[str, Any]] = cluster.emulated_topics
    return found


def _named(call: Call) -> tuple[Any, str]:
    """(cluster or None, topic) that the path names."""
    arn, _, name = unquote(call.path.split("/clusters/", 1)[1]).partition("/topics")
    return kafka_backends[call.account][call.region].clusters.get(arn), name.strip("/")


def create_topic(call: Call) -> Reply | None:
    """CreateTopic."""
    (cluster, _), asked = _named(call), call.json()
    if cluster is None:
        return refuse(call, "NotFoundException", "The specified cluster is not found.", 404)
    name = asked["topicName"]
    made = {"topicName": name, "partitionCount": asked["partitionCount"],
            "replicationFactor": asked["replicationFactor"],
            "topicArn": f"{cluster.arn.replace(':cluster/', ':topic/')}/{name}", "status": "ACTIVE"}  # fmt: skip
    _topics(cluster)[name] = made
    return answer(call, {key: made[key] for key in ("topicArn", "topicName", "status")})


def topic(call: Call) -> Reply | None:
    """DescribeTopic."""
    cluster, name = _named(call)
    if cluster is None or name not in _topics(cluster):
        return refuse(call, "NotFoundException", "The specified topic is not found.", 404)
    return answer(call, _topics(cluster)[name])


def widen(call: Call) -> Reply | None:
    """UpdateTopic: partitions can only become more."""
    (cluster, name), asked = _named(call), call.json()
    if cluster is None or name not in _topics(cluster):
        return refuse(call, "NotFoundException", "The specified topic is not found.", 404)
    found = _topics(cluster)[name]
    if int(asked.get("partitionCount", found["partitionCount"])) < found["partitionCount"]:
        return refuse(call, "BadRequestException", "The number of partitions can't be decreased.", 400)
    found.update({key: asked[key] for key in ("partitionCount", "configs") if key in asked})
    return answer(call, {key: found[key] for key in ("topicArn", "topicName", "status")})


def set_state(account: str, region: str, name: str, state: str) -> int:
    """How many clusters of that name there are; they are in `state` from now on."""
    found = [one for one in kafka_backends[account][region].clusters.values() if one.cluster_name == name]
    for cluster in found:
        cluster.state = state
    return len(found)
