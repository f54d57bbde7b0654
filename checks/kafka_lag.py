"""How far consumer groups of Amazon MSK lie behind, and whether the cluster's partitions are well.

Per group and topic (target `GROUP/TOPIC`): `offset_lag` (SumOffsetLag, messages over all partitions), `max_offset_lag`
(the worst partition) and `time_lag` (EstimatedMaxTimeLag, seconds). MSK publishes them only while the group is stable:
a group that rebalances without end, or that nobody is in any more, has *no* lag metrics, exactly when ingestion is
broken. Absence is therefore never zero. A group that reported within the last two weeks and does not now is known to
exist, and its detail says so; one that never reported is said not to be known, mostly because the cluster's monitoring
level is off or the name is wrong. `missing: breach` makes absence itself critical: set it where the group must run.

Per cluster: `offline_partitions`, `under_replicated` (over all brokers) and `active_controllers` (1 is right; read as
the maximum over the brokers, of which only one reports 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from pydantic import Field

from checks.reading import MINUTE, Group, absent, attempt, each_of, observe
from monitor.plugin import (
    Bound,
    Check,
    MetricQuery,
    MetricSeries,
    Observation,
    Params,
    Permission,
    ProbeContext,
    ProbeError,
    Reason,
    Signal,
    SignalSpec,
    need,
)

OFFSET = Signal("offset_lag", "messages", "Messages the group has not read yet, over all partitions of the topic.")
MAX_OFFSET = Signal("max_offset_lag", "messages", "The same for the worst partition.")
TIME = Signal("time_lag", "seconds", "Estimated time the worst partition is behind.")
LAGS = {OFFSET: "SumOffsetLag", MAX_OFFSET: "MaxOffsetLag", TIME: "EstimatedMaxTimeLag"}

OFFLINE = Signal("offline_partitions", "partitions", "Partitions without a leader.")
UNDER = Signal("under_replicated", "partitions", "Partitions with fewer replicas in sync than they should have.")
CONTROLLERS = Signal("active_controllers", "controllers", "1 while the cluster has a controller.")
HEALTH = (OFFLINE, UNDER, CONTROLLERS)
SIGNALS = (*LAGS, *HEALTH)

NAMESPACE, CLUSTER = "AWS/Kafka", "Cluster Name"
#: MSK publishes each minute, some minutes late.
POINTS = 5


class KafkaLag(Params):
    """Which cluster, groups and topics."""

    cluster: str = Field(description="Name of the MSK cluster.", min_length=1)
    groups: tuple[str, ...] = Field((), description="Consumer groups.")
    topics: tuple[str, ...] = Field((), description="Topics these groups read.")
    health: bool = Field(True, description="Also the cluster's partitions and controller (provisioned clusters).")


@dataclass(frozen=True, slots=True)
class Reader:
    """A group on a topic, or (without dimensions beyond its own) the cluster."""

    name: str
    dimensions: tuple[tuple[str, str], ...] = field(default=())


async def probe(params: KafkaLag, ctx: ProbeContext) -> Sequence[Observation]:
    """All groups on all topics, and the cluster."""
    readers = [
        Reader(f"{group}/{topic}", ((CLUSTER, params.cluster), ("Consumer Group", group), ("Topic", topic)))
        for group in params.groups
        for topic in params.topics
    ]

    async def lag(reader: Reader) -> list[Observation]:
        queries = [
            MetricQuery(NAMESPACE, metric, reader.dimensions, "Maximum", MINUTE, POINTS) for metric in LAGS.values()
        ]
        series = dict(zip(LAGS, await ctx.aws.metrics(queries), strict=True))
        silent = await _silence(reader, ctx) if any(one.last is None for one in series.values()) else ("", False)
        return [_point(signal, reader.name, one, silent) for signal, one in series.items()]

    async def health(cluster: Reader) -> list[Observation]:
        return await _health(params.cluster, ctx)

    groups = [Group(readers, lag, tuple(LAGS))]
    if params.health or not readers:
        groups.append(Group([Reader(params.cluster)], health, HEALTH))
    return await each_of(groups)


def _point(signal: Signal, target: str, series: MetricSeries, silent: tuple[str, bool]) -> Observation:
    if series.last is None:
        return absent(signal, target, silent[0], exists=silent[1])
    return observe(signal, target, series.last[1], series.last[0])


async def _silence(reader: Reader, ctx: ProbeContext) -> tuple[str, bool]:
    """Why there may be no lag, and whether the group is known from the last two weeks (what ListMetrics remembers)."""
    filters = [{"Name": name, "Value": value} for name, value in reader.dimensions]
    try:
        reply = await ctx.aws.call(
            "cloudwatch", "ListMetrics", Namespace=NAMESPACE, MetricName="SumOffsetLag", Dimensions=filters
        )
    except ProbeError as error:
        return f"no lag reported; whether the group is known could not be read ({error.detail})", False
    if reply.get("Metrics"):
        return "the group reported lag before and no longer does: it is empty or rebalances without end", True
    return "the group never reported lag: check its name, the topic and the cluster's monitoring level", False


async def _health(cluster: str, ctx: ProbeContext) -> list[Observation]:
    dimension = ((CLUSTER, cluster),)
    whole = [
        MetricQuery(NAMESPACE, metric, dimension, "Maximum", MINUTE, POINTS)
        for metric in ("OfflinePartitionsCount", "ActiveControllerCount")
    ]
    offline, controllers = await ctx.aws.metrics(whole)
    silent = ("no datapoint in the last 5 minutes", False)
    seen = [_point(OFFLINE, cluster, offline, silent), _point(CONTROLLERS, cluster, controllers, silent)]
    under = await attempt(_under_replicated(cluster, ctx))
    if isinstance(under, ProbeError):
        return [*seen, Observation(UNDER.name, cluster, None, UNDER.unit, reason=under.reason, detail=under.detail)]
    return [*seen, under]


async def _under_replicated(cluster: str, ctx: ProbeContext) -> Observation:
    """UnderReplicatedPartitions exists per broker only; one silent broker leaves a lower bound."""
    brokers = await _brokers(cluster, ctx)
    queries = [
        MetricQuery(
            NAMESPACE,
            "UnderReplicatedPartitions",
            ((CLUSTER, cluster), ("Broker ID", broker)),
            "Maximum",
            MINUTE,
            POINTS,
        )
        for broker in brokers
    ]
    newest = [series.last for series in await ctx.aws.metrics(queries)]
    points = [point for point in newest if point is not None]
    if not points:
        return absent(UNDER, cluster, "no broker reported in the last 5 minutes", exists=True)
    total = sum(value for _, value in points)
    at = max(end for end, _ in points)
    return observe(UNDER, cluster, total, at, lower_bound=len(points) < len(brokers))


async def _brokers(cluster: str, ctx: ProbeContext) -> list[str]:
    """The brokers' ids. Raises ProbeError(not_found) if there is no such cluster, or it has no brokers to see."""
    arn = ""
    async for page in ctx.aws.pages("kafka", "ListClustersV2", ClusterNameFilter=cluster):
        for one in page.get("ClusterInfoList") or ():
            if one.get("ClusterName") == cluster:  # the filter is a prefix
                arn = one["ClusterArn"]
    if not arn:
        raise ProbeError(Reason.NOT_FOUND, f"no MSK cluster is called {cluster}")
    ids = []
    async for page in ctx.aws.pages("kafka", "ListNodes", ClusterArn=arn):
        for node in page.get("NodeInfoList") or ():
            number = node.get("BrokerNodeInfo", {}).get("BrokerId")
            if number is not None:
                ids.append(f"{number:g}")
    if not ids:
        raise ProbeError(Reason.NOT_FOUND, f"{cluster} lists no brokers (serverless clusters have none: health: false)")
    return ids


def needs(params: KafkaLag) -> list[Permission]:
    """For IAM: what one configuration asks."""
    found = [need("cloudwatch:GetMetricData", "cloudwatch:ListMetrics")]
    if params.health:
        found += [need("kafka:ListClustersV2"), need("kafka:ListNodes", cluster=params.cluster)]
    return found


CHECK: Check[KafkaLag] = Check(
    kind="kafka_lag",
    summary="Lag of MSK consumer groups, where absence is not zero, and the health of the cluster's partitions.",
    params=KafkaLag,
    probe=probe,
    signals=SIGNALS,
    defaults={
        "offline_partitions": SignalSpec(critical=Bound(above=0)),
        "under_replicated": SignalSpec(warning=Bound(above=0, hold=timedelta(minutes=5))),
        "active_controllers": SignalSpec(critical=Bound(below=1, hold=timedelta(minutes=2))),
    },
    permissions=("cloudwatch:GetMetricData", "cloudwatch:ListMetrics", "kafka:ListClustersV2", "kafka:ListNodes"),
    cost="Per group and topic 3 metrics, per cluster 2 and one per broker ($0.01 per 1,000); two free MSK calls.",
    example="""\
ingest-lag:
  kind: kafka_lag
  cluster: dataforge
  groups: [ingest]
  topics: [events]
  thresholds:
    offset_lag: {critical: {above: 100000, for: 5m}, missing: breach}
""",
    needs=needs,
)
