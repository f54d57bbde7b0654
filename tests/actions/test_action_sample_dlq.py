"""sample_dlq: what lies in a dead-letter queue, without anything missing from it afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from monitor.actions.sample_dlq import ACTION, SampleParams
from monitor.plugin import ActionError, Reason
from monitor.testing import EPOCH, FakeAws, run_action

SECRET = "4111-1111-1111-1111"


class Queue:
    """An SQS queue that hides what is received until it is given back."""

    def __init__(self, bodies: list[str], policy: str | None = None) -> None:
        self.messages = [
            {
                "MessageId": f"m{number}", "ReceiptHandle": f"r{number}", "Body": body,
                "Attributes": {"SentTimestamp": str(int((EPOCH - timedelta(hours=number + 1)).timestamp() * 1000))},
            }
            for number, body in enumerate(bodies)
        ]  # fmt: skip
        self.hidden: set[str] = set()
        self.policy = policy

    def attributes(self, **_: Any) -> Any:
        """Four days of retention."""
        facts = {"MessageRetentionPeriod": "345600", "ApproximateNumberOfMessages": str(len(self.messages))}
        return {"Attributes": facts | ({"RedrivePolicy": self.policy} if self.policy else {})}

    def receive(self, MaxNumberOfMessages: int, VisibilityTimeout: int, **_: Any) -> Any:  # noqa: N803 - AWS's names
        """The first visible ones."""
        assert 0 < VisibilityTimeout <= 5
        found = [one for one in self.messages if one["ReceiptHandle"] not in self.hidden][:MaxNumberOfMessages]
        self.hidden |= {str(one["ReceiptHandle"]) for one in found}
        return {"Messages": found} if found else {}

    def give_back(self, Entries: list[dict[str, Any]], **_: Any) -> Any:  # noqa: N803 - AWS's own name
        """Visible at once."""
        assert len(Entries) <= 10
        for entry in Entries:
            assert entry["VisibilityTimeout"] == 0
            self.hidden.discard(entry["ReceiptHandle"])
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries], "Failed": []}

    def aws(self, fake: Callable[..., FakeAws]) -> FakeAws:
        """AWS with this queue in it."""
        return fake({
            "sqs.GetQueueUrl": {"QueueUrl": "https://sqs/1/orders-dlq"},
            "sqs.GetQueueAttributes": self.attributes,
            "sqs.ReceiveMessage": self.receive,
            "sqs.ChangeMessageVisibilityBatch": self.give_back,
        })  # fmt: skip


def bodies(*counts: tuple[str, int]) -> list[str]:
    """So many letters per error."""
    return [
        json.dumps({"error": error, "event_id": f"{error}-{number}", "card": SECRET})
        for error, count in counts
        for number in range(count)
    ]


async def test_groups_by_error(fake: Callable[..., FakeAws]) -> None:
    """Most frequent first, transient told from permanent, with a few ids and the times."""
    queue = Queue([*bodies(("TimeoutError", 3), ("ValidationError", 5)), "{broken"])
    receipt = (await run_action(ACTION, {"queue": "orders-dlq", "count": 50}, queue.aws(fake))).receipt
    groups = [(group["error"], group["count"], group["transient"]) for group in receipt.data["groups"]]
    assert groups == [("ValidationError", 5, False), ("TimeoutError", 3, True), ("malformed", 1, False)]
    assert receipt.data["groups"][1]["event_ids"] == ["TimeoutError-0", "TimeoutError-1", "TimeoutError-2"]
    assert receipt.detail.startswith("9 messages: 5 x ValidationError, 3 x TimeoutError, 1 x malformed")


async def test_everything_is_visible_again_and_nothing_else_was_called(fake: Callable[..., FakeAws]) -> None:
    """No delete, no send, no move; what was read is given back in tens."""
    queue = Queue(bodies(("TimeoutError", 35)))
    aws = queue.aws(fake)
    receipt = (await run_action(ACTION, {"queue": "orders-dlq", "count": 25}, aws)).receipt
    assert receipt.data["sampled"] == 25
    assert queue.hidden == set()
    assert {call.name for call in aws.mutations} == {"sqs.ReceiveMessage", "sqs.ChangeMessageVisibilityBatch"}
    assert not receipt.changed


async def test_no_body_reaches_the_receipt(fake: Callable[..., FakeAws]) -> None:
    """Error names and ids only: law 12."""
    receipt = (await run_action(ACTION, {"queue": "orders-dlq"}, Queue(bodies(("E1Error", 4))).aws(fake))).receipt
    assert SECRET not in json.dumps([receipt.detail, dict(receipt.data)])


async def test_when_the_oldest_expires(fake: Callable[..., FakeAws]) -> None:
    """First sent plus retention: a dead letter's clock began before it was one."""
    data = (await run_action(ACTION, {"queue": "orders-dlq"}, Queue(bodies(("E1Error", 4))).aws(fake))).receipt.data
    assert data["oldest_sent"] == (EPOCH - timedelta(hours=4)).isoformat()
    assert data["expires_in"] == timedelta(days=4, hours=-4).total_seconds()


async def test_an_empty_queue_is_said_to_be_empty(fake: Callable[..., FakeAws]) -> None:
    """Two empty receives in a row end the sample."""
    aws = Queue([]).aws(fake)
    receipt = (await run_action(ACTION, {"queue": "orders-dlq"}, aws)).receipt
    assert (receipt.data["sampled"], receipt.data["expires_at"]) == (0, None)
    assert aws.count("sqs.ReceiveMessage") == 2


async def test_a_queue_that_passes_messages_on_is_refused(fake: Callable[..., FakeAws]) -> None:
    """There a receive brings each message nearer to leaving: harm."""
    queue = Queue(bodies(("E1Error", 4)), policy='{"maxReceiveCount": 3}')
    aws = queue.aws(fake)
    with pytest.raises(ActionError) as refused:
        await run_action(ACTION, {"queue": "orders"}, aws)
    assert refused.value.reason is Reason.INVALID
    assert aws.mutations == []


async def test_its_undo_has_nothing_to_do(fake: Callable[..., FakeAws]) -> None:
    """Everything was given back when it was read."""
    aws = Queue(bodies(("E1Error", 1))).aws(fake)
    run = await run_action(ACTION, {"queue": "orders-dlq"}, aws)
    before = len(aws.calls)
    assert not (await run.undo(ACTION)).changed
    assert len(aws.calls) == before


@pytest.mark.parametrize("count", [0, 51])
def test_a_sample_is_small(count: int) -> None:
    """At most fifty, as in the runbook."""
    with pytest.raises(ValueError, match="count"):
        SampleParams(queue="orders-dlq", count=count)
