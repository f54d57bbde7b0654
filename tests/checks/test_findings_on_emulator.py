"""Kinds that find things (objects, log lines, denials, loops, gaps) against the emulator through the real reader."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from checks import KINDS
from monitor.demo import world as etl
from monitor.demo.world import World
from monitor.plugin import Reads, Reason, gaps_in

pytestmark = pytest.mark.process
HOUR = timedelta(hours=1)

#: One run of a kind now: what was observed.
Run = Callable[[str, Mapping[str, Any]], Awaitable[dict[tuple[str, str], Any]]]


@dataclass
class Context:
    """What a probe gets that neither waits nor connects."""

    aws: Reads
    now: datetime


async def put(world: World, *keys: str, bucket: str = etl.RAW) -> None:
    """Objects, written now."""
    s3 = await world.aws("s3")
    for key in keys:
        await s3.put_object(Bucket=bucket, Key=key, Body=b"1")


async def log(world: World, function: str, *messages: str) -> str:
    """Lines of a function, now; its group."""
    logs, group = await world.aws("logs"), f"/aws/lambda/{function}"
    await logs.create_log_stream(logGroupName=group, logStreamName="s")
    now = int(time.time() * 1000)
    events = [{"timestamp": now - 1000, "message": text} for text in messages]
    await logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=events)
    return group


async def test_object_freshness(world: World, run: Run) -> None:
    """Two objects of today, an hour old; a bucket that is not there."""
    today = f"{datetime.now(UTC):%Y/%m/%d}"
    await put(world, f"fuel/{today}/a", f"fuel/{today}/b")
    await world.side.post("s3/age", bucket=etl.RAW, prefix="fuel/", seconds=3600)
    params = {"bucket": etl.RAW, "prefix": "fuel/{yyyy}/{mm}/{dd}/", "target": "fuel"}
    seen = await run("object_freshness", params)
    assert seen["fuel", "age"] == pytest.approx(3600, abs=60)
    assert seen["fuel", "count"] == 2.0
    lost = await run("object_freshness", {"bucket": "nowhere-bucket", "target": "lost"})
    assert lost["lost", "age"] is Reason.NOT_FOUND


async def test_stage_lag(world: World, run: Run) -> None:
    """A file that was curated an hour ago, and one that waits since half an hour."""
    await put(world, "raw/old")
    await put(world, "curated/old", bucket=etl.PROCESSED)
    for bucket in (etl.RAW, etl.PROCESSED):
        await world.side.post("s3/age", bucket=bucket, seconds=3600)
    await put(world, "raw/new")
    await world.side.post("s3/age", bucket=etl.RAW, prefix="raw/new", seconds=1800)
    params = {"raw": {"bucket": etl.RAW, "prefix": "raw/"}, "curated": {"bucket": etl.PROCESSED, "prefix": "curated/"}}
    seen = await run("stage_lag", {**params, "target": "t"})
    assert seen["t", "unprocessed"] == 1.0
    assert seen["t", "lag"] == pytest.approx(1800, abs=5)
    assert seen["t", "waiting"] == pytest.approx(1800, abs=60)


async def test_missing_cycles(world: World, run: Run, reads: Reads) -> None:
    """An hourly function that ran in some of the last hours: the others are named."""
    now = datetime.now(UTC)
    marks = [number for number in range(7) if number != 3]
    hour = now.replace(minute=0, second=0, microsecond=0)
    points = [
        {"namespace": "AWS/Lambda", "metric": "Invocations", "value": 1, "dimensions": {"FunctionName": etl.INGEST},
         "ago": (now - (hour - HOUR * number + timedelta(minutes=1))).total_seconds()}
        for number in marks if hour - HOUR * number + timedelta(minutes=1) < now
    ]  # fmt: skip
    await world.side.post("metrics", points=points)
    check = await _probe("missing_cycles", {"function": etl.INGEST, "look_back": "5h", "grace": "0s"}, reads)
    assert check.value == 1.0
    assert [gap.start for gap in gaps_in(check.detail)] == [hour - 3 * HOUR]
    seen = await run("missing_cycles", {"function": "nowhere"})
    assert seen["nowhere", "missing"] is Reason.NOT_FOUND


async def _probe(kind: str, params: dict[str, Any], reads: Reads) -> Any:
    """The first observation, whole."""
    check = next(check for check in KINDS if check.kind == kind)
    return (await check.probe(check.params.model_validate(params), Context(reads, datetime.now(UTC))))[0]


@pytest.mark.parametrize("more", [{}, {"insights": True}], ids=["filter", "insights"])
async def test_log_pattern(world: World, run: Run, more: dict[str, Any]) -> None:
    """The same lines are found both ways, by field too."""
    lines = [json.dumps({"level": "ERROR", "connector": name}) for name in ("google", "google", "tavily")]
    group = await log(world, etl.INGEST, *lines, "fine")
    params = {"groups": [group], "pattern": "ERROR", "group_by": "connector", "target": "errors", **more}
    assert await run("log_pattern", params) == {
        ("errors", "matches"): 3.0, ("google", "matches"): 2.0, ("tavily", "matches"): 1.0,
    }  # fmt: skip
    lost = await run("log_pattern", {"groups": ["/nowhere"], "pattern": "ERROR", "target": "lost", **more})
    assert lost["lost", "matches"] is Reason.NOT_FOUND


async def test_denied_calls(world: World, run: Run) -> None:
    """From a log line, from a failed execution and from CloudTrail."""
    role = "arn:aws:sts::123456789012:assumed-role/etl/f"
    said = f"User: {role} is not authorized to perform: "
    group = await log(
        world, etl.TRANSFORM, f"{said}s3:PutObject on resource: arn:aws:s3:::{etl.PROCESSED}/out/a", "fine"
    )
    machines = await world.aws("stepfunctions")
    await machines.start_execution(stateMachineArn=etl.MACHINE, name="run-0", input="{}")
    cause = f"{said}lambda:InvokeFunction on resource: arn:aws:lambda:us-east-1:1:function:f"
    await world.side.post("executions/finish", ending="FAILED", error="Lambda.AWSLambdaException", cause=cause)
    record = {"eventName": "StartJobRun", "eventSource": "glue.amazonaws.com", "errorCode": "AccessDeniedException"}
    await world.side.post("cloudtrail", records=[{**record, "ago": 60}, {"eventName": "ListBuckets", "ago": 50}])
    params = {"log_groups": [group], "state_machines": etl.MACHINE_NAME, "cloudtrail": True}
    assert await run("denied_calls", params) == {
        ("denied", "denied"): 3.0,
        (f"s3:PutObject on {etl.PROCESSED}/out/*", "denied"): 1.0,
        ("lambda:InvokeFunction on function:f", "denied"): 1.0,
        ("glue:StartJobRun", "denied"): 1.0,
    }


async def test_trigger_loops(world: World, run: Run, reads: Reads) -> None:
    """The healthy pipeline has none; with the processed bucket in the rule's pattern it has the runbook's."""
    params = {"writes": {etl.TRANSFORM: [f"s3://{etl.PROCESSED}/"], etl.INGEST: []}}
    assert await run("trigger_loops", params) == {("default", "cycles"): 0.0}
    events, s3 = await world.aws("events"), await world.aws("s3")
    setting = {"EventBridgeConfiguration": {}}
    await s3.put_bucket_notification_configuration(Bucket=etl.PROCESSED, NotificationConfiguration=setting)
    await events.put_rule(Name=etl.RULE, EventPattern=json.dumps(etl.pattern(etl.RAW, etl.PROCESSED)))
    found = await _probe("trigger_loops", params, reads)
    assert found.value == 1.0
    assert f"s3://{etl.PROCESSED}/* -> rule {etl.RULE} -> machine {etl.MACHINE_NAME}" in found.detail


async def test_queue_expiry(world: World, run: Run) -> None:
    """An empty queue has its whole retention; a full one without an age is absent."""
    seen = await run("queue_expiry", {"queues": etl.DEAD})
    assert seen[etl.DEAD, "expires_in"] == 345_600.0
    await world.side.post("sqs/fill", queue=etl.DEAD, count=2)
    assert (await run("queue_expiry", {"queues": etl.DEAD}))[etl.DEAD, "expires_in"] is None
    age = {"namespace": "AWS/SQS", "metric": "ApproximateAgeOfOldestMessage", "value": 1000, "ago": 90}
    await world.side.post("metrics", points=[{**age, "dimensions": {"QueueName": etl.DEAD}}])
    seen = await run("queue_expiry", {"queues": etl.DEAD})
    assert seen[etl.DEAD, "expires_in"] == 345_600 - 1000 - 3 * 30
