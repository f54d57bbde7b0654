"""MSK clusters that get ready, and states that the control door sets.

Source: MSK developer guide, cluster states: CREATING until the brokers run, then ACTIVE; here that takes no time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moto.kafka.models import FakeKafkaCluster, kafka_backends

from monitor.demo.emulator.state import Answerer, Emulator, patch


def install(emulator: Emulator) -> Mapping[str, Answerer]:
    """Mend moto's clusters, which stay CREATING for ever; nothing is answered at the door."""
    patch(FakeKafkaCluster, "__init__", _ready)
    return {}


def _ready(original: Any) -> Any:
    def init(cluster: Any, *args: Any, **more: Any) -> None:
        original(cluster, *args, **more)
        if cluster.state == "CREATING":
            cluster.state = "ACTIVE"

    return init


def set_state(account: str, region: str, name: str, state: str) -> int:
    """How many clusters of that name there are; they are in `state` from now on."""
    found = [one for one in kafka_backends[account][region].clusters.values() if one.cluster_name == name]
    for cluster in found:
        cluster.state = state
    return len(found)
