"""queue_expiry: retention less age, less what a dead letter lived before it was one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from checks.queue_expiry import CHECK
from monitor.plugin import ProbeError, Reason
from monitor.testing import FakeAws, observed, run_probe

AGE = "AWS/SQS.ApproximateAgeOfOldestMessage[QueueName=orders-dlq]"
DAY = 86_400.0


def sqs(visible: int = 3, fifo: bool = False, origins: tuple[str, ...] = ("orders",)) -> dict[str, Any]:
    """A dead-letter queue with four days of retention; its queues try three times for ten minutes each."""

    def attributes(QueueUrl: str, **_: Any) -> Any:  # noqa: N803 - AWS's own name
        if QueueUrl.endswith("/orders-dlq"):
            counts = {f"ApproximateNumberOfMessages{kind}": "0" for kind in ("NotVisible", "Delayed")}
            kept = {"MessageRetentionPeriod": str(int(4 * DAY)), "FifoQueue": "true" if fifo else "false"}
            return {"Attributes": {**counts, **kept, "ApproximateNumberOfMessages": str(visible)}}
        policy = json.dumps({"deadLetterTargetArn": "arn:aws:sqs:::orders-dlq", "maxReceiveCount": "3"})
        return {"Attributes": {"VisibilityTimeout": "600", "RedrivePolicy": policy}}

    urls = [f"https://sqs/1/{name}" for name in origins]
    return {"sqs.GetQueueAttributes": attributes, "sqs.ListDeadLetterSourceQueues": [{"queueUrls": urls}]}


@pytest.mark.parametrize(
    ("replies", "params", "left"),
    [
        (sqs(), {}, 3 * DAY - 1800),
        (sqs(), {"spent_before": "6h"}, 3 * DAY - 6 * 3600),
        (sqs(fifo=True), {}, 3 * DAY),
        (sqs(origins=()), {}, 3 * DAY),
    ],
    ids=["tries of the source", "told", "FIFO counts anew", "no source"],
)
async def test_time_left(replies: Any, params: dict[str, Any], left: float) -> None:
    """A day old by the metric; what it lived before counts too, unless the queue is FIFO."""
    fake = FakeAws(replies, metrics={AGE: [DAY]})
    assert observed(await run_probe(CHECK, {"queues": "orders-dlq", **params}, fake)) == {
        ("orders-dlq", "expires_in"): left
    }


async def test_an_empty_queue_loses_nothing() -> None:
    """The whole retention, and no metric is paid for."""
    fake = FakeAws(sqs(visible=0))
    assert observed(await run_probe(CHECK, {"queues": "orders-dlq"}, fake))["orders-dlq", "expires_in"] == 4 * DAY
    assert fake.asked == []


async def test_a_full_queue_without_an_age_is_absent() -> None:
    """Never the whole retention: something waits, it is only not known how long."""
    (seen,) = await run_probe(CHECK, {"queues": "orders-dlq"}, FakeAws(sqs()))
    assert (seen.value, seen.reason, seen.exists) == (None, None, True)


async def test_a_failed_read_is_unknown(down: ProbeError) -> None:
    """With its reason."""
    fake = FakeAws({"sqs.GetQueueAttributes": down})
    assert (await run_probe(CHECK, {"queues": "orders-dlq"}, fake))[0].reason is Reason.UNAVAILABLE
