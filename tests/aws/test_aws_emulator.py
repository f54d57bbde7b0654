"""The room against an AWS emulator in its own process: the shapes of real replies."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from aws_doubles import Harness

from monitor.core.model import Reason
from monitor.core.spec import AwsSpec
from monitor.plugin import MetricQuery, ProbeError, ResourceKind, Selector

pytestmark = pytest.mark.process

Make = Callable[..., Harness]


async def test_a_role_acts_in_its_own_account(emulator: str, harness: Make) -> None:
    """Two identities see two accounts, each with refreshing credentials of its own."""
    made = harness(url=emulator)
    role = AwsSpec(role_arn="arn:aws:iam::210987654321:role/watcher", external_id="xyz")
    await made.aws.writes(role, made.guard).mutate("sqs", "CreateQueue", QueueName="theirs")
    await made.writes.mutate("sqs", "CreateQueue", QueueName="ours")
    assert await made.aws.identity(role) == ("210987654321", "us-east-1")
    assert await made.aws.identity(AwsSpec()) == ("123456789012", "us-east-1")
    theirs = await made.aws.reads(role).find(ResourceKind.QUEUE, Selector(names=("*s",)))
    assert [queue.name for queue in theirs] == ["theirs"]


async def test_regions_are_apart(emulator: str, harness: Make) -> None:
    """A read may go to another region than the pipeline's."""
    made = harness(url=emulator)
    await made.writes.mutate("sqs", "CreateQueue", QueueName="here")
    reply = await made.reads.call("sqs", "ListQueues", region="eu-west-1")
    assert reply.get("QueueUrls", []) == []


async def test_metrics_come_back_by_period(emulator: str, harness: Make) -> None:
    """Values put into two minutes are two points at the ends of those minutes."""
    made = harness(url=emulator)
    made.clock.at = datetime.now(UTC)
    minute = made.clock.at.replace(second=0, microsecond=0)
    data = [
        {
            "MetricName": "depth",
            "Value": value,
            "Timestamp": minute - timedelta(seconds=60 * back - 5),
            "Dimensions": [{"Name": "q", "Value": "a"}],
        }
        for back, value in ((3, 7.0), (2, 9.0), (0, 100.0))
    ]
    await made.writes.mutate("cloudwatch", "PutMetricData", Namespace="N", MetricData=data)
    query = MetricQuery("N", "depth", (("q", "a"),), points=5)
    (series,) = await made.reads.metrics([query])
    assert series.points == ((minute - timedelta(minutes=2), 7.0), (minute - timedelta(minutes=1), 9.0))


async def test_queues_and_tables_are_found_by_tag(emulator: str, harness: Make) -> None:
    """The tagging API's answer becomes resources that calls can use."""
    made = harness(url=emulator)
    for name, tags in (("tagged", {"team": "x"}), ("other", {"team": "y"})):
        await made.writes.mutate("sqs", "CreateQueue", QueueName=name, tags=tags)
    (queue,) = await made.reads.find(ResourceKind.QUEUE, Selector(tags={"team": "x"}))
    assert queue.name == "tagged"
    reply = await made.reads.call("sqs", "GetQueueAttributes", QueueUrl=queue.facts["url"], AttributeNames=["All"])
    assert reply["Attributes"]["QueueArn"] == queue.arn


async def test_rules_are_found_by_their_own_tags(emulator: str, harness: Make) -> None:
    """Also where the tagging API knows none."""
    made = harness(url=emulator)
    tags = [{"Key": "team", "Value": "x"}]
    await made.writes.mutate("events", "PutRule", Name="nightly", ScheduleExpression="rate(1 day)", Tags=tags)
    found = await made.reads.find(ResourceKind.RULE, Selector(tags={"team": "x"}))
    assert [(rule.name, rule.facts["event_bus"]) for rule in found] == [("nightly", "default")]


@pytest.mark.parametrize(
    ("service", "operation", "params", "reason"),
    [
        ("sqs", "GetQueueAttributes", {"QueueUrl": "http://x/123456789012/none"}, Reason.NOT_FOUND),
        (
            "stepfunctions",
            "ListExecutions",
            {"stateMachineArn": "arn:aws:states:us-east-1:123456789012:stateMachine:none"},
            Reason.NOT_FOUND,
        ),
        ("lambda", "GetFunction", {"FunctionName": "none"}, Reason.NOT_FOUND),
        ("events", "DescribeRule", {"Name": "none"}, Reason.NOT_FOUND),
        ("dynamodb", "DescribeTable", {"TableName": "none"}, Reason.NOT_FOUND),
        ("s3", "HeadBucket", {"Bucket": "none"}, Reason.NOT_FOUND),
        ("s3", "ListObjectsV2", {"Bucket": "none"}, Reason.NOT_FOUND),
        ("ssm", "GetParameter", {"Name": "none"}, Reason.NOT_FOUND),
        ("health", "DescribeEvents", {}, Reason.UNAVAILABLE),
    ],
)
async def test_what_is_missing_is_not_found(
    emulator: str, harness: Make, service: str, operation: str, params: dict[str, str], reason: Reason
) -> None:
    """Each service has its own word for it, and what the emulator lacks is a web page."""
    with pytest.raises(ProbeError) as caught:
        await harness(url=emulator).reads.call(service, operation, **params)
    assert caught.value.reason is reason
