"""IAM at the door: what a policy allows passes, the rest is denied as AWS denies it."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from monitor.demo.emulator.child import ACCOUNT

pytestmark = pytest.mark.process

HERE = f"us-east-1:{ACCOUNT}"


def allow(*actions: str, on: str = "*", **condition: dict[str, object]) -> dict[str, object]:
    """A statement."""
    more = {"Condition": condition} if condition else {}
    return {"Effect": "Allow", "Action": list(actions), "Resource": on, **more}


async def code(call) -> str:
    """`ok`, or the error's code."""
    try:
        await call
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return "ok"


async def test_nothing_is_enforced_until_a_policy_is_set(aws, side):
    """A fresh emulator lets everybody do everything, and so does one whose policy was lifted."""
    sqs = await aws("sqs")
    await side.post("iam", statements=[])
    assert await code(sqs.list_queues()) == "AccessDenied"
    await side.post("iam")
    assert await code(sqs.list_queues()) == "ok"


async def test_an_action_is_allowed_on_its_resources_only(aws, side):
    """One queue, one machine, one object prefix, one rule: the neighbours are denied, and the side door tells."""
    sqs, s3, events = await aws("sqs"), await aws("s3"), await aws("events")
    urls = [(await sqs.create_queue(QueueName=name))["QueueUrl"] for name in ("orders", "other")]
    await s3.create_bucket(Bucket="raw")
    await events.put_rule(Name="mine", EventPattern="{}")
    await side.post("iam", statements=[
        allow("sqs:GetQueueAttributes", "sqs:DeleteMessage", on=f"arn:aws:sqs:{HERE}:orders"),
        allow("s3:PutObject", on="arn:aws:s3:::raw/in/*"),
        allow("s3:ListBucket", on="arn:aws:s3:::raw"),
        allow("events:DescribeRule", on=f"arn:aws:events:{HERE}:rule/mine"),
    ])  # fmt: skip
    assert await code(sqs.get_queue_attributes(QueueUrl=urls[0])) == "ok"
    assert await code(sqs.get_queue_attributes(QueueUrl=urls[1])) == "AccessDenied"
    assert await code(s3.put_object(Bucket="raw", Key="in/a", Body=b"")) == "ok"
    assert await code(s3.put_object(Bucket="raw", Key="out/a", Body=b"")) == "AccessDenied"
    assert await code(s3.list_objects_v2(Bucket="raw")) == "ok"
    assert await code(events.describe_rule(Name="mine")) == "ok"
    assert await code(events.describe_rule(Name="yours")) == "AccessDeniedException"
    told = await side.get("iam")
    assert ["sqs:GetQueueAttributes", f"arn:aws:sqs:{HERE}:orders"] in told["allowed"]
    assert {"action": "s3:PutObject", "resource": "arn:aws:s3:::raw/out/a", "operation": "s3:PutObject"} in told[
        "denied"
    ]


async def test_conditions_are_judged(aws, side):
    """The region that is asked, and the tags of the resource."""
    here, there = await aws("sqs"), await aws("sqs", region="eu-west-1")
    tagged = (await here.create_queue(QueueName="tagged", tags={"pipeline": "etl"}))["QueueUrl"]
    plain = (await here.create_queue(QueueName="plain"))["QueueUrl"]
    await side.post("iam", statements=[
        allow("sqs:ListQueues", StringEquals={"aws:RequestedRegion": "us-east-1"}),
        allow("sqs:GetQueueAttributes", StringEquals={"aws:ResourceTag/pipeline": "etl"}),
    ])  # fmt: skip
    assert await code(here.list_queues()) == "ok"
    assert await code(there.list_queues()) == "AccessDenied"
    assert await code(here.get_queue_attributes(QueueUrl=tagged)) == "ok"
    assert await code(here.get_queue_attributes(QueueUrl=plain)) == "AccessDenied"


async def test_a_move_task_needs_both_queues(aws, side):
    """StartMessageMoveTask alone is not enough: what it does to the messages has to be allowed too."""
    sqs = await aws("sqs")
    dead = (await sqs.create_queue(QueueName="dead"))["QueueUrl"]
    source, back = f"arn:aws:sqs:{HERE}:dead", f"arn:aws:sqs:{HERE}:back"
    await sqs.create_queue(QueueName="back")
    assert dead
    for lacking in ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:SendMessage"):
        own = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:SendMessage"} - {lacking}
        await side.post("iam", statements=[allow("sqs:StartMessageMoveTask", *own)])
        assert await code(sqs.start_message_move_task(SourceArn=source, DestinationArn=back)) == "AccessDenied"
        assert (await side.get("iam"))["denied"][0]["action"] == lacking


async def test_only_the_named_agent_is_held(aws, side):
    """A scene's own clients build its world whatever the daemon may do."""
    sqs = await aws("sqs")
    await side.post("iam", statements=[], agent="some-daemon")
    assert await code(sqs.list_queues()) == "ok"


async def test_paths_and_methods_name_resources(aws, side):
    """REST services: a function with its qualifier, a mapping by its function, an API's stage."""
    functions, gateway = await aws("lambda"), await aws("apigateway")
    await side.post("iam", statements=[
        allow("lambda:GetFunctionConfiguration", on=f"arn:aws:lambda:{HERE}:function:f:live"),
        allow("apigateway:GET", on="arn:aws:apigateway:us-east-1::/restapis/abc/stages/prod"),
    ])  # fmt: skip
    assert await code(functions.get_function_configuration(FunctionName="f")) == "AccessDeniedException"
    found = await code(functions.get_function_configuration(FunctionName="f", Qualifier="live"))
    assert found == "ResourceNotFoundException"  # allowed, but not there
    assert await code(gateway.get_stage(restApiId="abc", stageName="prod")) == "NotFoundException"
    assert await code(gateway.get_stage(restApiId="abc", stageName="test")) == "AccessDeniedException"
