"""The emulator's clock in an operator's hand."""

import json
from datetime import UTC, datetime

import pytest

pytestmark = pytest.mark.process

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC).timestamp()


async def test_set_clock_stands_still_for_everything(aws, side):
    """What AWS stamps carries the set time; the log does too."""
    assert (await side.post("clock", at=NOON))["now"] == NOON
    sqs = await aws("sqs")
    url = (await sqs.create_queue(QueueName="q"))["QueueUrl"]
    told = await sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["CreatedTimestamp"])
    assert int(float(told["Attributes"]["CreatedTimestamp"])) == int(NOON)
    (entry,) = (await side.get("log", operation="sqs:CreateQueue"))["entries"]
    assert entry["at"] == NOON


async def test_offset_moves_the_set_clock_on(side):
    """Without `at` the offset counts from the present time."""
    await side.post("clock", at=NOON)
    assert (await side.post("clock", offset=90))["now"] == NOON + 90


async def test_released_clock_is_real_again(side):
    """An empty body, and a reset, let go of it."""
    await side.post("clock", at=NOON)
    assert abs((await side.post("clock"))["now"] - datetime.now(UTC).timestamp()) < 60
    await side.post("clock", at=NOON)
    await side.post("reset")
    first, second = (await side.get("log"))["now"], (await side.get("log"))["now"]
    assert second > first


async def test_hidden_message_comes_back_when_its_time_is_over(aws, side):
    """The visibility timeout runs on the set clock."""
    await side.post("clock", at=NOON)
    sqs = await aws("sqs")
    url = (await sqs.create_queue(QueueName="q", Attributes={"VisibilityTimeout": "30"}))["QueueUrl"]
    await sqs.send_message(QueueUrl=url, MessageBody="m")
    await side.post("clock", offset=1)
    assert (await sqs.receive_message(QueueUrl=url)).get("Messages")
    await side.post("clock", offset=29)
    assert not (await sqs.receive_message(QueueUrl=url)).get("Messages")
    await side.post("clock", offset=2)
    assert (await sqs.receive_message(QueueUrl=url)).get("Messages")


async def test_message_move_goes_as_far_as_the_clock_went(aws, side):
    """Ten a second, and not one more while the time stands."""
    await side.post("clock", at=NOON)
    sqs = await aws("sqs")
    dead = (await sqs.create_queue(QueueName="dead"))["QueueUrl"]
    arn = "arn:aws:sqs:us-east-1:123456789012:dead"
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 3})
    await sqs.create_queue(QueueName="live", Attributes={"RedrivePolicy": policy})
    await side.post("sqs/fill", queue="dead", count=50)
    await side.post("clock", offset=1)
    await sqs.start_message_move_task(SourceArn=arn, MaxNumberOfMessagesPerSecond=10)
    await side.post("clock", offset=2)
    (task,) = (await sqs.list_message_move_tasks(SourceArn=arn))["Results"]
    assert (task["Status"], task["ApproximateNumberOfMessagesMoved"]) == ("RUNNING", 21)
    await side.post("clock", offset=10)
    (task,) = (await sqs.list_message_move_tasks(SourceArn=arn))["Results"]
    assert (task["Status"], task["ApproximateNumberOfMessagesMoved"]) == ("COMPLETED", 50)
    told = await sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["ApproximateNumberOfMessages"])
    assert told["Attributes"]["ApproximateNumberOfMessages"] == "0"


async def test_quota_fills_with_the_set_clock(aws, side):
    """A bucket of one refills only when time passes."""
    await side.post("clock", at=NOON)
    await side.post("quotas", quotas={"sqs:ListQueues": [1, 1]})
    sqs = await aws("sqs")
    await sqs.list_queues()
    with pytest.raises(sqs.exceptions.ClientError, match="Rate exceeded"):
        await sqs.list_queues()
    await side.post("clock", offset=1)
    await sqs.list_queues()


async def test_log_tells_what_was_asked_and_by_whom(aws, side):
    """Of calls that change something: agent, path and body; of reads nothing of the sort."""
    sqs = await aws("sqs")
    await sqs.create_queue(QueueName="asked")
    await sqs.list_queues()
    (made,) = (await side.get("log", operation="sqs:CreateQueue"))["entries"]
    assert json.loads(made["body"])["QueueName"] == "asked"
    assert "aiobotocore" in made["agent"].lower()
    (read,) = (await side.get("log", operation="sqs:ListQueues"))["entries"]
    assert "body" not in read


async def test_message_given_back_is_there_at_once(aws, side):
    """A visibility of zero ends now, not a moment later: on a set clock there is no later."""
    await side.post("clock", at=NOON)
    sqs = await aws("sqs")
    url = (await sqs.create_queue(QueueName="q"))["QueueUrl"]
    await sqs.send_message(QueueUrl=url, MessageBody="m")
    (message,) = (await sqs.receive_message(QueueUrl=url))["Messages"]
    await sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
    assert len((await sqs.receive_message(QueueUrl=url)).get("Messages", [])) == 1
