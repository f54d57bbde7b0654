"""The door: faults, quotas, the log, what is not there."""

import asyncio
import time

import pytest
from botocore.exceptions import ClientError, HTTPClientError

pytestmark = pytest.mark.process


async def test_fault_refuses_exactly_as_often_as_asked(aws, side):
    """A fault with count 2 refuses two calls; the third succeeds."""
    sqs = await aws("sqs")
    await side.post("faults", faults=[{"target": "AmazonSQS.ListQueues", "count": 2, "status": 400, "code": "Slow"}])
    codes = []
    for _ in range(3):
        try:
            await sqs.list_queues()
            codes.append("ok")
        except ClientError as error:
            codes.append(error.response["Error"]["Code"])
    assert codes == ["Slow", "Slow", "ok"]


@pytest.mark.parametrize(
    ("service", "method", "target"),
    [
        ("lambda", "list_functions", "lambda:GET /2015-03-31/functions*"),
        ("sns", "list_topics", "sns:ListTopics"),
        ("s3", "list_buckets", "s3:ListBuckets"),
        ("stepfunctions", "list_state_machines", "stepfunctions:ListStateMachines"),
        ("cloudwatch", "list_metrics", "cloudwatch:*"),
    ],
)
async def test_fault_speaks_every_protocol(aws, side, service, method, target):
    """A refusal reaches the client with its code whatever the service's protocol."""
    client = await aws(service)
    await side.post("faults", faults=[{"target": target, "status": 403, "code": "AccessDenied", "message": "no"}])
    with pytest.raises(ClientError) as error:
        await getattr(client, method)()
    assert error.value.response["Error"]["Code"] == "AccessDenied"


async def test_slow_call_delays_no_other(aws, side):
    """A delayed answer waits outside the lock."""
    sqs, events = await aws("sqs"), await aws("events")
    await side.post("faults", faults=[{"target": "sqs:ListQueues", "delay": 1.5}])
    slow = asyncio.ensure_future(sqs.list_queues())
    await asyncio.sleep(0.2)
    began = time.monotonic()
    await events.list_rules()
    assert time.monotonic() - began < 1
    await slow


@pytest.mark.parametrize("fault", [{"drop": True}, {"hang": 0.2}])
async def test_dropped_connections_are_errors(aws, side, fault):
    """An answer dropped half way, or never finished, is an error to the client."""
    sqs = await aws("sqs")
    await sqs.create_queue(QueueName="here")
    await side.post("faults", faults=[{"target": "sqs:ListQueues", **fault}])
    with pytest.raises(HTTPClientError):
        await sqs.list_queues()


async def test_truncated_body_parses_as_nothing(aws, side):
    """A body cut short but properly ended reaches the caller as a reply without its fields: a trap worth testing."""
    sqs = await aws("sqs")
    await sqs.create_queue(QueueName="here")
    await side.post("faults", faults=[{"target": "sqs:ListQueues", "truncate": True}])
    assert "QueueUrls" not in await sqs.list_queues()
    assert len((await sqs.list_queues())["QueueUrls"]) == 1


async def test_quota_throttles_and_refills(aws, side):
    """A bucket of two lets two calls through at once, then refuses until it refilled."""
    machines = await aws("stepfunctions")
    await side.post("quotas", quotas={"stepfunctions:ListStateMachines": [2, 0.7]})
    outcomes = []
    for _ in range(3):
        try:
            await machines.list_state_machines()
            outcomes.append("ok")
        except ClientError as error:
            outcomes.append(error.response["Error"]["Code"])
    assert outcomes == ["ok", "ok", "ThrottlingException"]
    await asyncio.sleep(1.6)
    await machines.list_state_machines()


async def test_quota_is_per_region(aws, side):
    """One region's calls take nothing from another's bucket."""
    here, there = await aws("stepfunctions"), await aws("stepfunctions", region="eu-west-1")
    await side.post("quotas", quotas={"stepfunctions:ListStateMachines": [1, 0]})
    await here.list_state_machines()
    await there.list_state_machines()
    with pytest.raises(ClientError):
        await here.list_state_machines()


async def test_log_counts_by_operation(aws, side):
    """The log knows how often and when; reset-log forgets."""
    sqs, functions = await aws("sqs"), await aws("lambda")
    before = time.time()
    await sqs.list_queues()
    await sqs.list_queues()
    with pytest.raises(ClientError):
        await functions.get_function(FunctionName="nobody")
    log = await side.get("log", operation="sqs:ListQueues")
    assert log["counts"] == {"sqs:ListQueues": 2, "lambda:GetFunction": 1}
    assert log["refused"] == {"lambda:GetFunction": 1}
    assert len(log["entries"]) == 2
    assert all(before - 1 < entry["at"] < time.time() + 1 for entry in log["entries"])
    await side.post("reset-log")
    assert (await side.get("log"))["counts"] == {}


async def test_unimplemented_is_said_and_not_retryable(aws, side):
    """What moto lacks is a plain client error, not a server fault that clients retry."""
    machines = await aws("stepfunctions")
    with pytest.raises(ClientError) as error:
        await machines.validate_state_machine_definition(definition="{}")
    assert error.value.response["Error"]["Code"] == "UnknownOperationException"
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


async def test_access_key_of_twelve_digits_names_its_account(aws, side):
    """Accounts are kept apart, at moto's backends and at the door alike."""
    mine, theirs = await aws("sqs", account="111111111111"), await aws("sqs", account="222222222222")
    await mine.create_queue(QueueName="mine")
    assert "QueueUrls" not in await theirs.list_queues()
    identity = await (await aws("sts", account="111111111111")).get_caller_identity()
    assert identity["Account"] == "111111111111"


async def test_unknown_side_route_is_told(side):
    """The side door names its routes instead of doing nothing."""
    with pytest.raises(RuntimeError, match="there are"):
        await side.post("nonsense")
    with pytest.raises(RuntimeError, match="KeyError"):
        await side.post("faults")


async def test_operations_that_share_a_route_are_told_apart(aws, side):
    """PutObject, CopyObject and UploadPart differ by a header and a query key only."""
    s3 = await aws("s3")
    await s3.create_bucket(Bucket="parts")
    await s3.put_object(Bucket="parts", Key="a", Body=b"1")
    await s3.copy_object(Bucket="parts", Key="b", CopySource="parts/a")
    begun = await s3.create_multipart_upload(Bucket="parts", Key="c")
    await s3.upload_part(Bucket="parts", Key="c", PartNumber=1, UploadId=begun["UploadId"], Body=b"1")
    counts = (await side.get("log"))["counts"]
    assert {name: counts.get(f"s3:{name}") for name in ("PutObject", "CopyObject", "UploadPart")} == {
        "PutObject": 1, "CopyObject": 1, "UploadPart": 1,
    }  # fmt: skip
