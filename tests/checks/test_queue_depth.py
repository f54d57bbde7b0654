"""queue_depth: counts from one direct read, age from a metric, dead-letter queues through redrive policies."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from checks.queue_depth import CHECK
from monitor.plugin import ProbeError, Reason, Resource, ResourceKind
from monitor.testing import EPOCH, FakeAws, observed, run_probe

AGE = "AWS/SQS.ApproximateAgeOfOldestMessage[QueueName={}]"


def queue(name: str) -> Resource:
    """A queue that discovery finds."""
    return Resource(ResourceKind.QUEUE, name, f"arn:aws:sqs:us-east-1:1:{name}", {"url": f"https://sqs/1/{name}"})


def attributes(visible: int = 0, in_flight: int = 0, delayed: int = 0, dlq: str | None = None) -> dict[str, Any]:
    """A GetQueueAttributes reply."""
    counts = {"": visible, "NotVisible": in_flight, "Delayed": delayed}
    reply = {f"ApproximateNumberOfMessages{name}": str(count) for name, count in counts.items()}
    if dlq is not None:
        policy = {"deadLetterTargetArn": f"arn:aws:sqs:us-east-1:1:{dlq}", "maxReceiveCount": 3}
        reply["RedrivePolicy"] = json.dumps(policy)
    return {"Attributes": reply}


def by_queue(**replies: Any) -> Callable[..., Any]:
    """Replies by the queue in the URL."""
    return lambda QueueUrl, **_: replies[QueueUrl.rsplit("/", 1)[-1]]  # noqa: N803 - AWS's own name


async def test_all_counts_come_from_one_read() -> None:
    """visible, in_flight and delayed are one GetQueueAttributes; the age is the newest datapoint, at its time."""
    aws = FakeAws({"sqs.GetQueueAttributes": attributes(12, 3, 4)}, metrics={AGE.format("orders"): [50, 90, None]})
    seen = await run_probe(CHECK, {"queues": "orders"}, aws)
    assert observed(seen) == {
        ("orders", "visible"): 12.0,
        ("orders", "in_flight"): 3.0,
        ("orders", "delayed"): 4.0,
        ("orders", "oldest_age"): 90.0,
    }
    assert aws.count("sqs.GetQueueAttributes") == 1
    assert next(one.at for one in seen if one.signal == "oldest_age") == EPOCH - timedelta(minutes=1)


async def test_an_empty_queue_has_age_zero_and_asks_no_metric() -> None:
    """An empty queue's age is a fact, so no metric is paid for."""
    aws = FakeAws({"sqs.GetQueueAttributes": attributes()})
    assert observed(await run_probe(CHECK, {"queues": "orders"}, aws))["orders", "oldest_age"] == 0.0
    assert aws.asked == []


async def test_a_missing_age_of_a_full_queue_is_absent_not_zero() -> None:
    """No datapoint while messages wait: the point is absent, and the queue was seen."""
    seen = await run_probe(CHECK, {"queues": "orders"}, FakeAws({"sqs.GetQueueAttributes": attributes(in_flight=1)}))
    age = next(one for one in seen if one.signal == "oldest_age")
    assert (age.value, age.reason, age.exists) == (None, None, True)


async def test_a_failed_metric_leaves_the_counts_alone(down: ProbeError) -> None:
    """CloudWatch being down makes the age unknown and nothing else."""
    aws = FakeAws({"sqs.GetQueueAttributes": attributes(12)}, metrics={AGE.format("orders"): down})
    seen = observed(await run_probe(CHECK, {"queues": "orders"}, aws))
    assert (seen["orders", "visible"], seen["orders", "oldest_age"]) == (12.0, Reason.UNAVAILABLE)


async def test_a_queue_that_is_gone_is_unknown_and_disturbs_no_other(gone: ProbeError) -> None:
    """An explicit queue that doesn't exist is unknown(not_found) on all signals; its neighbour is observed."""
    aws = FakeAws({"sqs.GetQueueAttributes": by_queue(orders=attributes(), lost=gone)})
    seen = observed(await run_probe(CHECK, {"queues": ["orders", "lost"]}, aws))
    assert {seen["lost", name] for name in ("visible", "in_flight", "delayed", "oldest_age")} == {Reason.NOT_FOUND}
    assert seen["orders", "visible"] == 0.0


async def test_a_glob_that_matches_nothing_observes_nothing() -> None:
    """Discovery that finds no queue is an empty result, not a failure."""
    assert await run_probe(CHECK, {"queues": "etl-*"}, FakeAws()) == []


@pytest.mark.parametrize(
    ("queues", "include", "targets"),
    [
        ("orders", False, {"orders"}),
        ("orders", True, {"orders", "orders-dlq"}),
        (["orders", "orders-dlq"], True, {"orders", "orders-dlq"}),
        (["orders", "returns"], True, {"orders", "returns", "orders-dlq"}),
        ("orders-dlq", True, {"orders-dlq"}),
    ],
)
async def test_dead_letter_queues_are_found_through_redrive_policies(
    queues: Any, include: bool, targets: set[str]
) -> None:
    """With include_dlqs each dead-letter queue is observed once, also when several queues share it."""
    replies = by_queue(
        orders=attributes(dlq="orders-dlq"), returns=attributes(dlq="orders-dlq"), **{"orders-dlq": attributes(11)}
    )
    aws = FakeAws({"sqs.GetQueueAttributes": replies}, resources=[queue("orders"), queue("orders-dlq")])
    seen = observed(await run_probe(CHECK, {"queues": queues, "include_dlqs": include}, aws))
    assert {target for target, _ in seen} == targets
    assert ("orders-dlq", "visible") not in seen or seen["orders-dlq", "visible"] == 11.0


async def test_counts_that_are_missing_from_the_reply_are_unknown() -> None:
    """A reply without counts is unknown(invalid), never 0."""
    seen = await run_probe(CHECK, {"queues": "orders"}, FakeAws({"sqs.GetQueueAttributes": {"Attributes": {}}}))
    assert {one.reason for one in seen} == {Reason.INVALID}
