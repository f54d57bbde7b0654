"""SQS: move tasks and deep queues."""

import asyncio
import json
import time

import pytest
from botocore.exceptions import ClientError

pytestmark = pytest.mark.process


async def make_queues(sqs, *, redrive=True):
    """(work URL, DLQ URL, DLQ ARN)."""
    dead = (await sqs.create_queue(QueueName="work-dlq"))["QueueUrl"]
    arn = (await sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"]))["Attributes"]["QueueArn"]
    policy = {"RedrivePolicy": json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 3})} if redrive else {}
    work = (await sqs.create_queue(QueueName="work", Attributes=policy))["QueueUrl"]
    return work, dead, arn


async def depth(sqs, url):
    """Visible messages."""
    names = ["ApproximateNumberOfMessages"]
    return int((await sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names))["Attributes"][names[0]])


async def wait_done(sqs, arn):
    """The newest task once it no longer runs."""
    async with asyncio.timeout(10):
        while True:
            task = (await sqs.list_message_move_tasks(SourceArn=arn))["Results"][0]
            if task["Status"] != "RUNNING":
                return task
            await asyncio.sleep(0.05)


async def test_move_conserves_and_renews(aws, side):
    """Every message arrives once, at the queue it came from, as a new message."""
    sqs = await aws("sqs")
    _, dead, arn = await make_queues(sqs)
    await side.post("sqs/fill", queue="work-dlq", count=40, body="poison", age=3600)
    before = {m["id"] for m in (await side.get("sqs/messages", queue="work-dlq"))["messages"]}
    await sqs.start_message_move_task(SourceArn=arn)
    task = await wait_done(sqs, arn)
    assert (task["Status"], task["ApproximateNumberOfMessagesMoved"]) == ("COMPLETED", 40)
    assert "TaskHandle" not in task
    after = (await side.get("sqs/messages", queue="work"))["messages"]
    assert len({m["id"] for m in after} - before) == 40
    assert min(m["sent"] for m in after) > (time.time() - 60) * 1000
    assert await depth(sqs, dead) == 0


async def test_move_rate_is_kept(aws, side):
    """Ten a second moves ten a second."""
    sqs = await aws("sqs")
    work, _, arn = await make_queues(sqs)
    await side.post("sqs/fill", queue="work-dlq", count=100)
    began = time.monotonic()
    await sqs.start_message_move_task(SourceArn=arn, MaxNumberOfMessagesPerSecond=10)
    await asyncio.sleep(1.5)
    moved = await depth(sqs, work)
    assert 5 <= moved <= 10 * (time.monotonic() - began) + 2


async def test_one_task_per_queue_and_cancel(aws, side):
    """A second task is refused while one runs; a cancelled one leaves what it moved and stops."""
    sqs = await aws("sqs")
    work, dead, arn = await make_queues(sqs)
    await side.post("sqs/fill", queue="work-dlq", count=200)
    handle = (await sqs.start_message_move_task(SourceArn=arn, MaxNumberOfMessagesPerSecond=20))["TaskHandle"]
    with pytest.raises(ClientError, match="already a task running"):
        await sqs.start_message_move_task(SourceArn=arn)
    await asyncio.sleep(0.5)
    moved = (await sqs.cancel_message_move_task(TaskHandle=handle))["ApproximateNumberOfMessagesMoved"]
    await asyncio.sleep(0.3)
    assert 0 < await depth(sqs, work) == moved < 200
    assert await depth(sqs, dead) == 200 - moved
    assert (await sqs.list_message_move_tasks(SourceArn=arn))["Results"][0]["Status"] == "CANCELLED"


async def test_source_must_be_a_dead_letter_queue(aws, side):
    """A queue that no queue redrives into (a Lambda's or a topic's DLQ) is refused, as is one that does not exist."""
    sqs = await aws("sqs")
    _, _, arn = await make_queues(sqs, redrive=False)
    with pytest.raises(ClientError, match="must be configured as a Dead Letter Queue"):
        await sqs.start_message_move_task(SourceArn=arn)
    with pytest.raises(ClientError) as error:
        await sqs.start_message_move_task(SourceArn=arn + "x")
    assert error.value.response["Error"]["Code"] == "ResourceNotFoundException"


async def test_nothing_lost_or_doubled_between_movers_and_consumers(aws, side):
    """A move task, eight consumers of the work queue and two of the DLQ: every body is consumed exactly once."""
    sqs = await aws("sqs")
    work, dead, arn = await make_queues(sqs)
    for number in range(120):
        await side.post("sqs/fill", queue="work-dlq", count=1, body=f"m{number}")
    taken = []

    async def consume(url):
        idle = 0
        while idle < 15:
            got = (await sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=5)).get("Messages", [])
            idle = 0 if got else idle + 1
            for message in got:
                taken.append(message["Body"])
                await sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            await asyncio.sleep(0.02)

    await sqs.start_message_move_task(SourceArn=arn, MaxNumberOfMessagesPerSecond=200)
    async with asyncio.TaskGroup() as group:
        for url in [work] * 8 + [dead] * 2:
            group.create_task(consume(url))
    assert sorted(taken) == sorted(f"m{number}" for number in range(120))
    assert (await depth(sqs, work), await depth(sqs, dead)) == (0, 0)


async def test_in_flight_messages_stay_behind(aws, side):
    """A received message is not moved; it counts as in flight."""
    sqs = await aws("sqs")
    work, dead, arn = await make_queues(sqs)
    await side.post("sqs/fill", queue="work-dlq", count=3)
    await sqs.receive_message(QueueUrl=dead, MaxNumberOfMessages=1, VisibilityTimeout=60)
    await sqs.start_message_move_task(SourceArn=arn)
    await wait_done(sqs, arn)
    attributes = await sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["All"])
    assert attributes["Attributes"]["ApproximateNumberOfMessagesNotVisible"] == "1"
    assert await depth(sqs, work) == 2


async def test_deep_queue_is_read_fast(aws, side):
    """20,000 deep costs milliseconds, not the two seconds of plain moto."""
    sqs = await aws("sqs")
    _, dead, _ = await make_queues(sqs)
    await side.post("sqs/fill", queue="work-dlq", count=20_000)
    began = time.monotonic()
    for _ in range(5):
        assert await depth(sqs, dead) == 20_000
    assert (time.monotonic() - began) / 5 < 0.3


async def test_long_poll_holds_nobody_up(aws, side):
    """A long poll answers at once, so the lock is free."""
    sqs = await aws("sqs")
    work, _, _ = await make_queues(sqs)
    began = time.monotonic()
    assert "Messages" not in await sqs.receive_message(QueueUrl=work, WaitTimeSeconds=10)
    assert time.monotonic() - began < 3
