"""DataForge (rows C1 to C2b): ingestion that fails or falls behind, hours that are missing, Spark that is late."""

from __future__ import annotations

from typing import Any

from fluxa_world import Fluxa
from scene import Scene, Span

from monitor.demo.emulator.child import ACCOUNT, REGION
from monitor.demo.emulator.kafka import arn_of

ARN = arn_of(ACCOUNT, REGION, "dataforge")
INGEST, CURATE, LAKE = "dataforge-ingest", "dataforge-curate", "dataforge-lake"
QUEUE, DEAD = "dataforge-ingest", "dataforge-ingest-dlq"
CHECKPOINT = "checkpoints/curate/metadata"


async def alarm(scene: Scene, name: str, state: str) -> None:
    """The alarm exists and is in that state."""
    watch = await scene.aws("cloudwatch")
    await watch.put_metric_alarm(
        AlarmName=name, Namespace="DataForge", MetricName="m", Statistic="Sum", Period=60, EvaluationPeriods=1,
        Threshold=1, ComparisonOperator="GreaterThanThreshold",
    )  # fmt: skip
    await watch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="the scene says so")


async def lag(scene: Scene, messages: float | None, since: Span = 0) -> None:
    """The group's lag a minute; None: it reports none."""
    dimensions = {"Cluster Name": "dataforge", "Consumer Group": INGEST, "Topic": "events"}
    for metric in ("SumOffsetLag", "MaxOffsetLag", "EstimatedMaxTimeLag"):
        await scene.meter("AWS/Kafka", metric, messages, since=since, **dimensions)


async def flag(scene: Scene, name: str) -> str | None:
    """A flag's value; None: unset."""
    found = await (await scene.aws("ssm")).get_parameters(Names=[f"/dataforge/prod/{name}"])
    return next((one["Value"] for one in found["Parameters"]), None)


async def runs(scene: Scene, job: str) -> list[dict[str, Any]]:
    """A job's runs, newest first."""
    told = await (await scene.aws("glue")).get_job_runs(JobName=job)
    return list(told["JobRuns"])


async def test_c1_lag_raises_concurrency_and_a_silent_group_is_not_a_calm_one(stage):
    """100,000 behind for five minutes: 200 readers; no lag reported at all keeps it open; caught up gives them back."""
    scene = await stage("dataforge", breakers=["ingestion"], step=20)
    world = Fluxa(scene)
    await world.function(INGEST)
    await world.reserve(INGEST, 50)
    await alarm(scene, "IngestionErrorRateHigh", "OK")
    await lag(scene, 500, since="10m")
    await scene.begin()
    assert scene.level("ingest-lag", "offset_lag") == "ok"

    await lag(scene, 250_000)
    await scene.until(breaker="open", within="15m")
    assert scene.clock.tick() >= 300
    assert await world.reserved(INGEST) == 200
    await lag(scene, None)
    await scene.advance("40m")
    assert scene.level("ingest-lag", "offset_lag") == "critical"  # absent is not zero
    assert await world.reserved(INGEST) == 200
    await lag(scene, 500)
    await scene.until(breaker="closed", within="2h")
    assert await world.reserved(INGEST) == 50


async def test_c1_the_runbooks_alarm_is_enough(stage):
    """IngestionErrorRateHigh in ALARM trips by itself."""
    scene = await stage("dataforge", breakers=["ingestion"], step=20)
    world = Fluxa(scene)
    await world.function(INGEST)
    await lag(scene, 500, since="10m")
    await alarm(scene, "IngestionErrorRateHigh", "ALARM")
    await scene.begin()
    await scene.until(breaker="open", within="5m")
    assert await world.reserved(INGEST) == 200
    await alarm(scene, "IngestionErrorRateHigh", "OK")
    await scene.until(breaker="closed", within="2h")
    assert await world.reserved(INGEST) is None


async def test_c1_dead_letters_are_replayed_after_a_yes(stage):
    """More than ten: a sample, a yes, and they go back one by one: a task refuses a function's dead letters."""
    scene = await stage("dataforge", breakers=["dead-letters"], step=20)
    sqs, world = await scene.aws("sqs"), Fluxa(scene)
    await sqs.create_queue(QueueName=DEAD)
    await sqs.create_queue(QueueName=QUEUE)  # no queue's dead letters: a function's
    await scene.begin()
    await scene.side.post("sqs/fill", queue=DEAD, count=15, body='{"error": "ReadTimeout"}')
    await scene.until(lambda: scene.breaker().approval is not None, within="10m")
    assert len(await world.messages(DEAD)) == 15
    await scene.approve()
    await scene.until(breaker="open", within="10m")
    assert (len(await world.messages(DEAD)), len(await world.messages(QUEUE))) == (0, 15)
    assert await scene.requests("sqs:StartMessageMoveTask") == []
    await scene.until(breaker="closed", within="2h")


async def test_c1c_the_schema_is_loosened_only_with_a_yes_and_tightened_again(stage):
    """Ten refused messages propose the override; approved it stands until none is refused."""
    scene = await stage("dataforge", breakers=["schema-override"], step=20)
    world = Fluxa(scene)
    await world.logs(INGEST)
    await scene.begin()
    await world.say(INGEST, *["ERROR SchemaValidationError: field amount is missing"] * 12)
    await scene.until(lambda: scene.breaker().approval is not None, within="5m")
    assert await flag(scene, "schema-mode") is None
    await scene.approve()
    await scene.until(breaker="open", within="5m")
    assert await flag(scene, "schema-mode") == "permissive"
    await scene.reset()
    await scene.until(breaker="closed", within="2h")
    assert await flag(scene, "schema-mode") is None


async def test_c1d_hours_without_a_file_are_loaded_again_one_run_each(stage):
    """The newest file is more than two hours old: a run of the backfill job for each empty hour alone."""
    scene = await stage("dataforge", breakers=["missing-data"], step=20)
    world, s3 = Fluxa(scene), await scene.aws("s3")
    await world.bucket(LAKE)
    for hour in (6, 7, 8, 9):
        await s3.put_object(Bucket=LAKE, Key=f"raw/events/2026/03/04/{hour:02d}/part.json", Body=b"{}")
    await scene.side.post("s3/age", bucket=LAKE, seconds=9000)
    await scene.begin()
    await scene.until(breaker="open", within="15m")
    started = await runs(scene, "dataforge-backfill")
    hours = sorted(run["Arguments"]["--window-start"][11:13] for run in started)
    assert hours == ["10", "11"]
    for hour in (10, 11, 12):
        await s3.put_object(Bucket=LAKE, Key=f"raw/events/2026/03/04/{hour:02d}/part.json", Body=b"{}")
    await scene.until(lambda: scene.level("raw-files", "age") == "ok", within="1h")

    async def write() -> None:
        now = scene.clock.now()
        if now.minute % 10 == 0 and now.second == 0:
            await s3.put_object(Bucket=LAKE, Key=f"raw/events/{now:%Y/%m/%d/%H}/{now:%M}.json", Body=b"{}")

    scene.play(write)
    await scene.until(breaker="closed", within="3h")
    assert len(await runs(scene, "dataforge-backfill")) == 2


async def test_c2_a_late_job_gets_help_and_optional_work_waits(stage):
    """45 minutes over: optional transforms off, one more run on 20 workers; done, they come back on."""
    scene = await stage("dataforge", breakers=["processing-latency"], step=20)
    await alarm(scene, "SparkProcessingLatencyHigh", "OK")
    glue = await scene.aws("glue")
    await glue.start_job_run(JobName=CURATE)
    await scene.begin()
    await scene.advance("40m")
    assert scene.breaker().state == "closed"
    await scene.until(breaker="open", within="15m")
    assert await flag(scene, "optional-transforms") == "off"
    helper, _ = await runs(scene, CURATE)
    assert (helper["NumberOfWorkers"], helper["WorkerType"], helper["Arguments"]["--scope"]) == (20, "G.1X", "backlog")
    await scene.advance("10m")
    await scene.side.post("glue/finish", job=CURATE, state="SUCCEEDED")
    await scene.until(breaker="closed", within="3h")
    assert await flag(scene, "optional-transforms") is None
    assert len(await runs(scene, CURATE)) == 2


async def test_c2b_a_stuck_run_is_stopped_and_its_checkpoint_copied_before_it_is_deleted(stage):
    """Ninety minutes: stopped, the checkpoint kept elsewhere, deleted after a yes, and one more run that commits."""
    scene = await stage("dataforge", breakers=["stuck-run"], step=20)
    world, s3, glue = Fluxa(scene), await scene.aws("s3"), await scene.aws("glue")
    await world.bucket(LAKE)
    await s3.put_object(Bucket=LAKE, Key=CHECKPOINT, Body=b"torn")
    stuck = (await glue.start_job_run(JobName=CURATE))["JobRunId"]
    await scene.begin()
    await scene.until(lambda: scene.breaker().approval is not None, within="2h")
    assert scene.clock.tick() >= 5400
    assert (await glue.get_job_run(JobName=CURATE, RunId=stuck))["JobRun"]["JobRunState"] == "STOPPED"
    assert await keys(s3) == {CHECKPOINT, f"incidents/{CHECKPOINT}"}  # nothing is gone before the yes
    await scene.approve()
    await scene.until(breaker="open", within="10m")
    assert await keys(s3) == {f"incidents/{CHECKPOINT}"}
    assert [run["JobRunState"] for run in await runs(scene, CURATE)] == ["RUNNING", "STOPPED"]
    await scene.side.post("glue/finish", job=CURATE, state="SUCCEEDED")
    await scene.reset()
    await scene.until(breaker="closed", within="2h")


async def keys(s3: Any) -> set[str]:
    """What the lake holds."""
    return {one["Key"] for one in (await s3.list_objects_v2(Bucket=LAKE)).get("Contents", ())}


async def test_c1_partitions_are_added_only_with_a_yes_for_they_stay(stage):
    """Half an hour behind: 24 partitions are proposed; nothing changes before the yes, and nothing takes them back."""
    scene = await stage("dataforge", breakers=["partitions"], step=20, MSK_CLUSTER_ARN=ARN)
    kafka = await scene.aws("kafka")
    group = {"InstanceType": "kafka.m5.large", "ClientSubnets": ["subnet-1", "subnet-2", "subnet-3"]}
    await kafka.create_cluster(
        ClusterName="dataforge", KafkaVersion="3.6.0", NumberOfBrokerNodes=3, BrokerNodeGroupInfo=group
    )
    await kafka.create_topic(ClusterArn=ARN, TopicName="events", PartitionCount=12, ReplicationFactor=3)

    async def partitions() -> int:
        told = await kafka.describe_topic(ClusterArn=ARN, TopicName="events")
        return int(told["PartitionCount"])

    await lag(scene, 250_000, since="10m")
    await scene.begin()
    await scene.advance("25m")
    assert scene.breaker().approval is None
    await scene.until(lambda: scene.breaker().approval is not None, within="20m")
    assert await partitions() == 12
    await scene.approve()
    await scene.until(breaker="open", within="5m")
    assert await partitions() == 24
    [asked] = await scene.requests()
    assert (asked.name, asked.params["partitionCount"]) == ("kafka:UpdateTopic", 24)
    await lag(scene, 500)
    await scene.reset()
    await scene.until(breaker="closed", within="1h")
    assert await partitions() == 24


async def test_c2_the_runbooks_alarm_is_enough(stage):
    """SparkProcessingLatencyHigh in ALARM brings help by itself."""
    scene = await stage("dataforge", breakers=["processing-latency"], step=20)
    await alarm(scene, "SparkProcessingLatencyHigh", "ALARM")
    await scene.begin()
    await scene.until(breaker="open", within="5m")
    assert await flag(scene, "optional-transforms") == "off"
    await alarm(scene, "SparkProcessingLatencyHigh", "OK")
    await scene.side.post("glue/finish", job=CURATE, state="SUCCEEDED")
    await scene.until(breaker="closed", within="3h")
    assert await flag(scene, "optional-transforms") is None
