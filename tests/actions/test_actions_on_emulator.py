"""Actions through the real client against the emulator, in real time."""

import asyncio
import json
import os
import signal
import sys
from dataclasses import replace

import live_action
import pytest
from live_action import LiveContext, run

from monitor.demo.emulator.child import KEYS, ROOT
from monitor.plugin import ActionError

pytestmark = pytest.mark.process
ROLE = "arn:aws:iam::123456789012:role/r"


async def make_machine(aws, name="etl-workflow", **more):
    """A state machine; its ARN."""
    definition = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Wait", "Seconds": 3600, "End": True}}})
    reply = await aws.mutate(
        "stepfunctions", "CreateStateMachine", name=name, definition=definition, roleArn=ROLE, **more
    )
    return reply["stateMachineArn"]


async def start(aws, machine, count):
    """`count` executions, some at a time."""
    for at in range(0, count, 25):
        await asyncio.gather(
            *(
                aws.mutate("stepfunctions", "StartExecution", stateMachineArn=machine, name=f"e{n}", input="{}")
                for n in range(at, min(at + 25, count))
            )
        )


async def test_three_hundred_executions_are_stopped(aws, side, tmp_path):
    """None is left, and AWS keeps the cause."""
    machine = await make_machine(aws)
    await start(aws, machine, 300)
    receipt, context = await run(
        aws, tmp_path / "m", "stop_executions", {"state_machines": ["etl-*"], "cause": "Event loop mitigation"}
    )
    seen = await side.get("executions")
    assert seen["counts"] == {"ABORTED": 300}
    assert receipt.data == {"stopped": 300, "remaining": 0}
    assert receipt.verified
    assert context.steps[0][2] is not None, "the pacer's rate gives an ETA"
    (arn, *_) = (await side.get("executions", arns="1"))["arns"]
    assert (await aws.call("stepfunctions", "DescribeExecution", executionArn=arn))["cause"] == "Event loop mitigation"


async def test_stopping_keeps_to_the_quota_of_a_slow_region(aws, side, tmp_path):
    """500 at once, 25 per second: no stop is lost to throttling, whatever is refused on the way."""
    machine = await make_machine(aws)
    await start(aws, machine, 60)
    await side.post("quotas", quotas={"stepfunctions:StopExecution": [10, 25], "stepfunctions:ListExecutions": [3, 2]})
    receipt, _ = await run(aws, tmp_path / "m", "stop_executions", {"state_machines": [machine]})
    assert (await side.get("executions"))["counts"] == {"ABORTED": 60}
    assert receipt.data["stopped"] == 60


async def test_old_executions_are_rerun_once(aws, side, tmp_path):
    """The young ones go on; a second attempt of the same step starts nothing more."""
    machine = await make_machine(aws)
    await start(aws, machine, 12)
    arns = (await side.get("executions", arns="1"))["arns"][:5]
    await side.post("executions/age", arn=arns, seconds=7200)
    params = {"state_machines": ["etl-workflow"], "older_than": "1h", "rerun": True}
    receipt, _ = await run(aws, tmp_path / "m", "stop_executions", params)
    assert receipt.data["reruns"] == 5
    assert (await side.get("executions"))["counts"] == {"ABORTED": 5, "RUNNING": 12}
    await run(aws, tmp_path / "m", "stop_executions", params)
    assert (await side.get("executions"))["total"] == 17


async def test_an_express_machine_is_refused(aws, tmp_path):
    """With a sentence that says what to do instead."""
    machine = await make_machine(aws, "fast", type="EXPRESS")
    with pytest.raises(ActionError, match="cut its source instead"):
        await run(aws, tmp_path / "m", "stop_executions", {"state_machines": [machine]})


async def make_queues(aws, *, linked):
    """(dead-letter queue's, source's) URLs."""
    dlq = (await aws.mutate("sqs", "CreateQueue", QueueName="orders-dlq"))["QueueUrl"]
    policy = {"deadLetterTargetArn": "arn:aws:sqs:us-east-1:123456789012:orders-dlq", "maxReceiveCount": 3}
    attributes = {"RedrivePolicy": json.dumps(policy)} if linked else {}
    source = (await aws.mutate("sqs", "CreateQueue", QueueName="orders", Attributes=attributes))["QueueUrl"]
    return dlq, source


async def ids(side, queue):
    """Bodies of all messages, received or not."""
    return sorted(message["body"] for message in (await side.get("sqs/messages", queue=queue))["messages"])


async def test_a_move_task_redrives_everything(aws, side, tmp_path):
    """By AWS itself, since the queue is one of SQS's dead-letter queues."""
    await make_queues(aws, linked=True)
    await side.post("sqs/fill", queue="orders-dlq", count=80, age=60)
    receipt, _ = await run(aws, tmp_path / "m", "redrive_queue", {"queue": "orders-dlq", "rate": 100})
    assert len(await ids(side, "orders")) == 80
    assert await ids(side, "orders-dlq") == []
    assert (receipt.data["method"], receipt.data["moved"]) == ("move_task", 80)


async def test_a_limited_redrive_goes_by_hand(aws, side, tmp_path):
    """Attributes included."""
    dlq, source = await make_queues(aws, linked=True)
    attributes = {"kind": {"DataType": "String", "StringValue": "order"}}
    for number in range(15):
        await aws.mutate("sqs", "SendMessage", QueueUrl=dlq, MessageBody=f"b{number:02}", MessageAttributes=attributes)
    receipt, _ = await run(aws, tmp_path / "m", "redrive_queue", {"queue": "orders-dlq", "max": 6})
    assert (len(await ids(side, "orders")), len(await ids(side, "orders-dlq"))) == (6, 9)
    reply = await aws.mutate("sqs", "ReceiveMessage", QueueUrl=source, MessageAttributeNames=["All"])
    assert reply["Messages"][0]["MessageAttributes"]["kind"]["StringValue"] == "order"
    assert receipt.data["moved"] == 6


async def test_a_sample_leaves_everything_where_it_was(aws, side, tmp_path):
    """Thirty of forty read and grouped; all forty lie there still and can be received at once."""
    dlq, _ = await make_queues(aws, linked=True)
    body = '{"error": "ConnectionTimeoutError", "event_id": "e-1", "card": "4111"}'
    await side.post("sqs/fill", queue="orders-dlq", count=40, body=body, age=7200)
    before = await ids(side, "orders-dlq")
    receipt, _ = await run(aws, tmp_path / "m", "sample_dlq", {"queue": "orders-dlq", "count": 30})
    assert await ids(side, "orders-dlq") == before
    facts = await aws.call("sqs", "GetQueueAttributes", QueueUrl=dlq, AttributeNames=["All"])
    counts = [facts["Attributes"][f"ApproximateNumberOfMessages{kind}"] for kind in ("", "NotVisible")]
    assert counts == ["40", "0"]
    (group,) = receipt.data["groups"]
    assert (group["error"], group["count"], group["transient"]) == ("ConnectionTimeoutError", 30, True)
    assert receipt.data["expires_in"] == pytest.approx(345_600 - 7200, abs=60)


async def test_a_redrive_killed_half_way_loses_nothing(emulator, aws, side, tmp_path):
    """SIGKILL while messages are in flight; the next owner ends it and names what may be doubled."""
    dlq, _ = await make_queues(aws, linked=False)
    await asyncio.gather(
        *(aws.mutate("sqs", "SendMessage", QueueUrl=dlq, MessageBody=f"b{number:02}") for number in range(40))
    )
    params = {"queue": "orders-dlq", "to": "orders"}
    command = [sys.executable, live_action.__file__, emulator.url, str(tmp_path / "m"), "redrive_queue"]
    environment = {**os.environ, **KEYS, "PYTHONPATH": str(ROOT)}
    process = await asyncio.create_subprocess_exec(*command, json.dumps(params), env=environment)
    async with asyncio.timeout(30):
        while len(await ids(side, "orders")) < 15:
            assert process.returncode is None, "it should not have ended yet"
            await asyncio.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    before = {m["id"]: m["body"] for m in (await side.get("sqs/messages", queue="orders-dlq"))["messages"]}
    assert before, "killed half way"
    receipt, _ = await run(aws, tmp_path / "m", "redrive_queue", params)
    arrived = await ids(side, "orders")
    assert set(arrived) == {f"b{number:02}" for number in range(40)}
    assert await ids(side, "orders-dlq") == []
    twice = {body for body in arrived if arrived.count(body) > 1}
    assert len(arrived) <= 41
    assert twice <= {before[original] for original in receipt.data["maybe_doubled"]}


@pytest.mark.parametrize("prior", [None, 100])
async def test_concurrency_is_cut_and_restored(aws, side, tmp_path, prior):
    """Unset comes back as unset, a hundred as a hundred."""
    await make_function(aws)
    named = {"FunctionName": "ingest-handler"}
    if prior is not None:
        await aws.mutate("lambda", "PutFunctionConcurrency", **named, ReservedConcurrentExecutions=prior)
    action = live_action.action("set_lambda_concurrency")
    context = LiveContext(aws, tmp_path / "m", None)
    change = action.plan(action.params(function="ingest-handler", reserved=0), context.now())
    assert await action.capture(change, context) == prior
    receipt = await action.apply(change, context)
    assert (await aws.call("lambda", "GetFunctionConcurrency", **named))["ReservedConcurrentExecutions"] == 0
    undone = await action.undo(replace(receipt, prior=prior), context)
    reply = await aws.call("lambda", "GetFunctionConcurrency", **named)
    assert reply.get("ReservedConcurrentExecutions") == undone.applied == prior


async def test_a_rise_beyond_the_account_is_refused_before_it_is_sent(aws, side, tmp_path):
    """The account has 1000: 950 would leave 50 unreserved."""
    await make_function(aws)
    await side.post("reset-log")
    with pytest.raises(ActionError, match="AWS keeps 100 free"):
        await run(aws, tmp_path / "m", "set_lambda_concurrency", {"function": "ingest-handler", "reserved": 950})
    assert "lambda:PutFunctionConcurrency" not in (await side.get("log"))["counts"]


async def test_an_event_source_is_paused_until_it_is_disabled_and_resumed(aws, side, tmp_path):
    """The mapping passes through Disabling, as AWS's do."""
    await make_function(aws)
    await make_queues(aws, linked=False)
    mapping = await aws.mutate(
        "lambda",
        "CreateEventSourceMapping",
        FunctionName="ingest-handler",
        EventSourceArn="arn:aws:sqs:us-east-1:123456789012:orders",
    )
    named = {"UUID": mapping["UUID"]}
    action = live_action.action("set_event_source")
    context = LiveContext(aws, tmp_path / "m", None)
    change = action.plan(action.params(function="ingest-handler", enabled=False), context.now())
    prior = await action.capture(change, context)
    receipt = await action.apply(change, context)
    assert (prior, receipt.applied) == ([mapping["UUID"]], [])
    assert (await aws.call("lambda", "GetEventSourceMapping", **named))["State"] == "Disabled"
    await action.undo(replace(receipt, prior=prior), context)
    assert (await aws.call("lambda", "GetEventSourceMapping", **named))["State"] == "Enabled"


async def test_a_rule_and_a_flag_are_set_and_restored(aws, tmp_path):
    """Both properties through the real client."""
    await aws.mutate("events", "PutRule", Name="etl-s3-events", EventPattern='{"source": ["aws.s3"]}')
    cases = [
        ("disable_rule", {"rule": "etl-s3-events"}, "ENABLED", "DISABLED"),
        ("set_parameter", {"name": "/etl/connector", "value": "mock"}, None, "mock"),
    ]
    for name, params, prior, wanted in cases:
        action = live_action.action(name)
        context = LiveContext(aws, tmp_path / name, None)
        change = action.plan(action.params(**params), context.now())
        assert await action.capture(change, context) == prior
        receipt = await action.apply(change, context)
        assert (receipt.applied, receipt.changed) == (wanted, True)
        undone = await action.undo(replace(receipt, prior=prior), context)
        assert undone.applied == prior
        assert await action.capture(change, context) == prior


async def make_function(aws):
    """ingest-handler."""
    role = await aws.mutate("iam", "CreateRole", RoleName="r", AssumeRolePolicyDocument="{}")
    await aws.mutate(
        "lambda", "CreateFunction", FunctionName="ingest-handler", Runtime="python3.11", Handler="h.h",
        Role=role["Role"]["Arn"], Code={"ZipFile": b"never run"},
    )  # fmt: skip
