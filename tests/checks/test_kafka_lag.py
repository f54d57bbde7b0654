"""kafka_lag: absence is not zero, and a cluster's partitions over all brokers."""

from __future__ import annotations

from typing import Any

import pytest

from checks.kafka_lag import CHECK
from monitor.core.model import Level
from monitor.core.spec import Bound, SignalSpec
from monitor.core.threshold import SignalState, judge
from monitor.plugin import Missing, Observation, ProbeError, Reason
from monitor.testing import EPOCH, FakeAws, observed, run_probe

LAG = "AWS/Kafka.{}[Cluster Name=dataforge,Consumer Group=ingest,Topic=events]"
WHOLE = "AWS/Kafka.{}[Cluster Name=dataforge]"
BROKER = "AWS/Kafka.UnderReplicatedPartitions[Broker ID={},Cluster Name=dataforge]"
GROUPS = {"cluster": "dataforge", "groups": ["ingest"], "topics": ["events"], "health": False}
TARGET = "ingest/events"


def kafka(metrics: dict[str, Any], known: bool = True, brokers: int = 3) -> FakeAws:
    """A cluster of that many brokers; `known`: the group reported within two weeks."""
    nodes = [{"BrokerNodeInfo": {"BrokerId": float(number + 1)}} for number in range(brokers)]
    clusters = [{"ClusterName": name, "ClusterArn": f"arn:{name}"} for name in ("dataforge-old", "dataforge")]
    return FakeAws(
        {
            "cloudwatch.ListMetrics": {"Metrics": [{"MetricName": "SumOffsetLag"}] if known else []},
            "kafka.ListClustersV2": {"ClusterInfoList": clusters},
            "kafka.ListNodes": {"NodeInfoList": nodes},
        },
        metrics=metrics,
    )


async def test_lag_of_a_group() -> None:
    """Three numbers per group and topic, and nothing else is asked while they are there."""
    metrics = {LAG.format(name): [value] for name, value in
               (("SumOffsetLag", 900), ("MaxOffsetLag", 400), ("EstimatedMaxTimeLag", 30))}  # fmt: skip
    fake = kafka(metrics)
    assert observed(await run_probe(CHECK, GROUPS, fake)) == {
        (TARGET, "offset_lag"): 900.0, (TARGET, "max_offset_lag"): 400.0, (TARGET, "time_lag"): 30.0,
    }  # fmt: skip
    assert fake.calls == []


@pytest.mark.parametrize(("known", "said"), [(True, "no longer does"), (False, "never reported")])
async def test_absence_is_not_zero(known: bool, said: str) -> None:
    """A group that stopped reporting is known to exist; one that never did is not. Neither has lag 0."""
    seen = await run_probe(CHECK, GROUPS, kafka({}, known))
    assert {(one.value, one.reason, one.exists) for one in seen} == {(None, None, known)}
    assert all(said in one.detail for one in seen)


@pytest.mark.parametrize(("missing", "level"), [(Missing.UNKNOWN, Level.UNKNOWN), (Missing.BREACH, Level.CRITICAL)])
async def test_what_absence_is_judged_as(missing: Missing, level: Level) -> None:
    """Unknown by default; critical where the group must run."""
    spec = SignalSpec(critical=Bound(above=1000), missing=missing)
    absent: Observation = (await run_probe(CHECK, GROUPS, kafka({})))[0]
    assert judge(spec, SignalState(), absent, EPOCH, None, 60.0)[1].level is level


async def test_health_of_the_cluster() -> None:
    """Offline partitions and the controller by cluster, under-replicated ones over all brokers."""
    metrics = {WHOLE.format("OfflinePartitionsCount"): [2], WHOLE.format("ActiveControllerCount"): [1]}
    metrics |= {BROKER.format(number): [number] for number in (1, 2, 3)}
    assert observed(await run_probe(CHECK, {"cluster": "dataforge"}, kafka(metrics))) == {
        ("dataforge", "offline_partitions"): 2.0,
        ("dataforge", "active_controllers"): 1.0,
        ("dataforge", "under_replicated"): 6.0,
    }


async def test_a_silent_broker_leaves_a_lower_bound() -> None:
    """What it would have said can only add."""
    seen = await run_probe(CHECK, {"cluster": "dataforge"}, kafka({BROKER.format(1): [4]}))
    under = next(one for one in seen if one.signal == "under_replicated")
    assert (under.value, under.lower_bound) == (4.0, True)


async def test_a_cluster_that_is_not_there(down: ProbeError) -> None:
    """Its brokers can't be listed: that signal is not_found, the metrics absent."""
    seen = observed(await run_probe(CHECK, {"cluster": "lost"}, kafka({})))
    assert (seen["lost", "under_replicated"], seen["lost", "offline_partitions"]) == (Reason.NOT_FOUND, None)
