"""Fluxa (rows D1, D3, D5, D9, D14): dead letters, throttles, what waits in the queue, and its settings."""

from __future__ import annotations

import json

import pytest
from fluxa_world import DATABASE, DEAD, INGEST, PAYLOADS, PROCESSOR, QUARANTINE, QUEUE, Fluxa

GOOD = json.dumps({"event_id": "e-1", "correlation_id": "c-1", "error": "ConnectionTimeoutError"})


async def test_d1_dead_letters_are_sampled_archived_if_malformed_and_go_back_at_ten_a_second(stage):
    """One message is enough; what can't be parsed goes to S3, the rest back after a yes; closed when none returns."""
    scene = await stage("fluxa", breakers=["dead-letters"], step=20)
    world = Fluxa(scene)
    await world.queues()
    await world.bucket(QUARANTINE)
    await scene.begin()
    assert scene.level("dead-letters", "visible") == "ok"
    await scene.side.post("sqs/fill", queue=DEAD, count=6, body=GOOD)
    await scene.side.post("sqs/fill", queue=DEAD, count=2, body="{not json")

    await scene.until(lambda: scene.breaker().approval is not None, within="10m")
    assert "ConnectionTimeoutError" in scene.events("action.applied")[0]
    objects = (await (await scene.aws("s3")).list_objects_v2(Bucket=QUARANTINE))["Contents"]
    assert len(objects) == 2
    assert len(await world.messages(DEAD)) == 6
    assert await world.messages(QUEUE) == []  # nothing goes back before the yes
    await scene.approve()
    await scene.until(breaker="open", within="10m")
    assert (len(await world.messages(DEAD)), len(await world.messages(QUEUE))) == (0, 6)
    [asked] = await scene.requests("sqs:StartMessageMoveTask")
    assert asked.params["MaxNumberOfMessagesPerSecond"] == 10
    await scene.until(breaker="closed", within="1h")


async def test_d3_only_mismatched_payloads_are_sent_again_and_only_after_a_yes(stage):
    """A hash mismatch in the log: its message goes back once somebody compared it; the others stay dead."""
    scene = await stage("fluxa", breakers=["hash-mismatch"], step=20)
    world = Fluxa(scene)
    await world.queues()
    await world.logs(PROCESSOR)
    await scene.side.post(
        "sqs/fill", queue=DEAD, count=1, body=json.dumps({"event_id": "e-9", "error": "hash_mismatch"})
    )
    await scene.side.post("sqs/fill", queue=DEAD, count=2, body=GOOD)
    await scene.begin()
    await world.say(PROCESSOR, '{"event_id": "e-9", "error": "hash_mismatch"}')

    await scene.until(lambda: scene.breaker().approval is not None, within="10m")
    await scene.advance("2m")  # a person compares object, version and hash
    assert len(await world.messages(DEAD)) == 3
    await scene.approve()
    await scene.until(breaker="open", within="10m")
    assert [one["event_id"] for one in await world.messages(QUEUE)] == ["e-9"]  # once
    assert len(await world.messages(DEAD)) == 2
    await scene.reset()
    await scene.until(breaker="closed", within="2h")


@pytest.mark.parametrize("short", ["ingest", "processor", "query"])
async def test_d5_throttled_function_gets_more_concurrency_until_it_is_calm(stage, short):
    """Any throttle in five minutes: 20 -> 100; ten calm minutes give the 20 back."""
    function = f"fluxa-{short}"
    scene = await stage("fluxa", breakers=[f"{short}-throttling"], step=20, TRIAL="6m")
    world = Fluxa(scene)
    await world.function(function)
    await world.reserve(function, 20)
    await world.throttled(function, 0, since="10m")
    await scene.begin()
    assert scene.level(f"{short}-throttles", "throttled") == "ok"

    await world.throttled(function, 3)
    await scene.until(breaker="open", within="5m")
    assert await world.reserved(function) == 100
    await world.throttled(function, 0)
    await scene.until(breaker="closed", within="1h")
    assert await world.reserved(function) == 20


async def test_d1_messages_that_are_about_to_expire_are_told_before_they_are_gone(stage):
    """A day before SQS drops them: the dead letters' time is counted from when they were first sent."""
    scene = await stage("fluxa", checks=["dead-letter-expiry"], step=20)
    await Fluxa(scene).queues()
    await scene.begin()
    assert scene.level("dead-letter-expiry") == "ok"
    await scene.side.post("sqs/fill", queue=DEAD, count=2, body=GOOD, age=13.8 * 86_400)
    await scene.meter("AWS/SQS", "ApproximateAgeOfOldestMessage", 13.8 * 86_400, since="10m", QueueName=DEAD)
    await scene.until(lambda: scene.level("dead-letter-expiry") == "critical", within="30m")


async def test_d5_concurrency_is_never_taken_from_the_rest_of_the_account(stage):
    """With 150 in the account, 100 for one function would leave less than AWS's 100 for all others: nothing is sent."""
    scene = await stage("fluxa", breakers=["ingest-throttling"])
    world = Fluxa(scene)
    await world.function(INGEST)
    await scene.side.post("lambda/settings", limit=150)
    await world.throttled(INGEST, 3, since="10m")
    await scene.begin()
    await scene.advance("5m")
    assert scene.level("ingest-throttles", "throttled") == "critical"
    assert await scene.requests("lambda:PutFunctionConcurrency") == []
    assert await world.reserved(INGEST) is None


async def test_d14_settings_that_drifted_are_named_and_the_visibility_is_repaired_after_a_yes(stage):
    """Ten settings off their rule are told with their repair; one is repaired, by approval; none is touched else."""
    scene = await stage("fluxa", breakers=["visibility-timeout"], checks=["settings"], step=20)
    world = Fluxa(scene)
    await world.queues(VisibilityTimeout="30", MessageRetentionPeriod="86400")
    await world.function(PROCESSOR, DB_POOL_SIZE="40")
    await world.reads(batch=50)
    await world.database(backups=1, standby=False)
    await world.bucket(PAYLOADS)
    await scene.begin()

    said = {row.target: (row.value, row.detail) for row in scene.rows("settings")}
    assert said[PROCESSOR][0] == 2  # visibility timeout, batch size
    assert "set VisibilityTimeout to 180" in said[PROCESSOR][1]
    assert "set BatchSize to 10" in said[PROCESSOR][1]
    assert "set MessageRetentionPeriod to 345600" in said[QUEUE][1]
    assert said[DATABASE][0] == 2  # backups, standby
    assert said[PAYLOADS][0] == 2  # versions, replication
    assert said["fluxa-processor-pool"][0] == 1

    assert await scene.requests("sqs:SetQueueAttributes") == []
    await scene.until(lambda: scene.breaker().approval is not None, within="5m")
    await scene.approve()
    await scene.until(breaker="open", within="5m")
    sqs = await scene.aws("sqs")
    url = (await sqs.get_queue_url(QueueName=QUEUE))["QueueUrl"]
    now = (await sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"]))["Attributes"]
    assert now["VisibilityTimeout"] == "180"
    assert now["MessageRetentionPeriod"] == "86400"
    await scene.reset()
    await scene.until(breaker="closed", within="4h")
