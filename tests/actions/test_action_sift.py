"""Going through a queue: delete_messages, quarantine_messages, and redriving some."""
# ruff: noqa: N803 - the fakes take AWS's own parameter names

import json

import pytest

from monitor.actions.delete_messages import ACTION as DELETE
from monitor.actions.quarantine_messages import ACTION as QUARANTINE
from monitor.actions.redrive_queue import ACTION as REDRIVE
from monitor.plugin import ActionError, Reason
from monitor.testing import EPOCH, FakeActionContext, FakeAws, run_action

BAD, LATE = json.dumps({"errorType": "ValidationError"}), json.dumps({"errorType": "ReadTimeout"})


class Queue:
    """A dead-letter queue whose received messages are hidden on the fake's clock."""

    def __init__(self, *bodies, fifo=False):
        self.messages = {
            f"m-{n}": {"body": body, "hidden": 0.0, "count": 0, "sent": EPOCH.timestamp() - 3600}
            for n, body in enumerate(bodies)
        }
        self.sent, self.objects, self.given_back = [], {}, []
        self.clock, self.fail_delete = None, 0

    def aws(self, fake=FakeAws, **more):
        """The AWS around it."""
        replies = {
            "sqs.GetQueueUrl": lambda QueueName: {"QueueUrl": f"https://sqs/1/{QueueName}"},
            "sqs.GetQueueAttributes": lambda **p: {"Attributes": {
                "QueueArn": "arn:aws:sqs:us-east-1:1:" + p["QueueUrl"].rsplit("/", 1)[-1],
                "ApproximateNumberOfMessages": str(len(self.messages)), "ApproximateNumberOfMessagesNotVisible": "0",
            }},
            "sqs.ListDeadLetterSourceQueues": {"queueUrls": ["https://sqs/1/orders"]},
            "sqs.ReceiveMessage": self.receive, "sqs.DeleteMessage": self.delete, "sqs.SendMessage": self.send,
            "sqs.ChangeMessageVisibilityBatch": self.give_back, "s3.PutObject": self.keep,
        }  # fmt: skip
        aws = fake(replies, **more)
        self.clock = aws.clock
        return aws

    def receive(self, MaxNumberOfMessages, VisibilityTimeout, **more):
        now, found = self.clock.now().timestamp(), []
        for name, one in self.messages.items():
            if one["hidden"] <= now and len(found) < MaxNumberOfMessages:
                one["hidden"], one["count"] = now + VisibilityTimeout, one["count"] + 1
                found.append({
                    "MessageId": name, "Body": one["body"], "ReceiptHandle": f"{name}#{one['count']}",
                    "Attributes": {"SentTimestamp": str(round(one["sent"] * 1000))},
                })  # fmt: skip
        return {"Messages": found} if found else {}

    def delete(self, QueueUrl, ReceiptHandle):
        if self.fail_delete:
            self.fail_delete -= 1
            raise ActionError(Reason.UNAVAILABLE, "no")
        self.messages.pop(ReceiptHandle.split("#")[0], None)
        return {}

    def give_back(self, QueueUrl, Entries):
        for entry in Entries:
            name = entry["ReceiptHandle"].split("#")[0]
            self.messages[name]["hidden"] = 0.0
            self.given_back.append(name)
        return {}

    def send(self, QueueUrl, MessageBody, **more):
        self.sent.append(MessageBody)
        return {"MessageId": f"copy-{len(self.sent)}"}

    def keep(self, Bucket, Key, Body, **more):
        self.objects[Key] = json.loads(Body)
        return {}


@pytest.mark.parametrize("where", ["ValidationError", "validationerror"])
async def test_one_kind_is_deleted_and_the_others_given_back(fake, where):
    """By error class, whatever its case; the others are visible again before the step ends."""
    queue = Queue(*[BAD, LATE] * 12)
    run = await run_action(DELETE, {"queue": "dlq", "where": where}, queue.aws(fake))
    assert {one["body"] for one in queue.messages.values()} == {LATE}
    assert run.receipt.data == {"done": 12, "passed_over": 12}
    assert sorted(queue.given_back) == sorted(queue.messages)


def test_deleting_needs_to_be_told_what():
    """A queue is emptied by purge_queue only."""
    with pytest.raises(ValueError, match="say which"):
        DELETE.params(queue="dlq")


async def test_no_more_than_max_are_touched(fake):
    """What was received beyond it is given back."""
    queue = Queue(*[BAD] * 30)
    run = await run_action(DELETE, {"queue": "dlq", "where": "ValidationError", "max": 4}, queue.aws(fake))
    assert (len(queue.messages), run.receipt.data["done"]) == (26, 4)
    assert all(one["hidden"] == 0.0 for one in queue.messages.values())


async def test_a_message_is_an_object_before_it_leaves_the_queue(fake):
    """A failure in between leaves it in both places; again, everything is in S3 once and no body is in the journal."""
    queue = Queue(*[BAD] * 5)
    queue.fail_delete = 1
    aws = queue.aws(fake)
    context = FakeActionContext(aws)
    params = {"queue": "dlq", "bucket": "evidence"}
    with pytest.raises(ActionError):
        await run_action(QUARANTINE, params, aws, context)
    assert (len(queue.objects), len(queue.messages)) == (1, 5)
    await aws.clock.sleep(120)
    run = await run_action(QUARANTINE, params, aws, context)
    assert queue.messages == {}
    assert sorted(queue.objects) == [f"quarantine/dlq/m-{n}.json" for n in range(5)]
    assert queue.objects["quarantine/dlq/m-0.json"]["Body"] == BAD
    assert "ValidationError" not in json.dumps([dict(context.memory), dict(run.receipt.data), run.receipt.detail])


async def test_chosen_messages_are_redriven_and_a_possible_double_is_named(fake):
    """Sent, then the delete fails: the next attempt sends it again and says so; the others are left."""
    queue = Queue(BAD, LATE, BAD)
    queue.fail_delete = 1
    aws = queue.aws(fake)
    context = FakeActionContext(aws)
    params = {"queue": "dlq", "messages": ["m-0", "m-2"]}
    with pytest.raises(ActionError):
        await run_action(REDRIVE, params, aws, context)
    assert context.memory["in_flight"] == "m-0"
    await aws.clock.sleep(120)
    run = await run_action(REDRIVE, params, aws, context)
    assert list(queue.messages) == ["m-1"]
    assert queue.sent == [BAD, BAD, BAD]
    assert run.receipt.data["maybe_doubled"] == ["m-0"]
    assert "one may be doubled" in run.receipt.detail
    assert context.memory["in_flight"] is None


async def test_the_pace_of_a_redrive_of_one_kind_is_kept(fake):
    """Two a second: ten messages take five seconds at least."""
    queue = Queue(*[BAD] * 10)
    aws = queue.aws(fake)
    began = aws.clock.now()
    await run_action(REDRIVE, {"queue": "dlq", "where": "ValidationError", "rate": 2}, aws)
    assert 5 <= (aws.clock.now() - began).total_seconds() < 8
