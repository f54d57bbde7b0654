"""EventBridge: who gets what, and who gets nothing."""

import json

import pytest

pytestmark = pytest.mark.process
MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:m"
PATTERN = {"source": ["aws.s3"], "detail-type": ["Object Created"], "detail": {"bucket": {"name": ["raw", "done"]}}}


async def make_rule(aws):
    """A rule on `raw` and `done` with a machine and a queue as targets; (events client, s3 client)."""
    events, sqs, s3, machines = await aws("events"), await aws("sqs"), await aws("s3"), await aws("stepfunctions")
    role = "arn:aws:iam::123456789012:role/run"
    await machines.create_state_machine(name="m", definition='{"StartAt":"A","States":{}}', roleArn=role)
    await sqs.create_queue(QueueName="copy")
    await events.put_rule(Name="r", EventPattern=json.dumps(PATTERN))
    targets = [{"Id": "1", "Arn": MACHINE}, {"Id": "2", "Arn": "arn:aws:sqs:us-east-1:123456789012:copy"}]
    await events.put_targets(Rule="r", Targets=targets)
    for bucket in ("raw", "done"):
        await s3.create_bucket(Bucket=bucket)
        setting = {"EventBridgeConfiguration": {}}
        await s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=setting)
    return events, s3


async def counts(side):
    """(executions, copies in the queue)."""
    executions = (await side.get("executions", state_machine="m"))["total"]
    return executions, len((await side.get("sqs/messages", queue="copy"))["messages"])


async def test_object_starts_an_execution(aws, side):
    """A new object in a watched bucket starts the machine with the event as its input, and is copied to the queue."""
    _, s3 = await make_rule(aws)
    await s3.put_object(Bucket="raw", Key="incoming/a.csv", Body=b"1")
    assert await counts(side) == (1, 1)
    arn = (await side.get("executions", arns="1"))["arns"][0]
    shown = await (await aws("stepfunctions")).describe_execution(executionArn=arn)
    assert json.loads(shown["input"])["detail"]["object"]["key"] == "incoming/a.csv"


async def test_disabled_rule_delivers_nothing(aws, side):
    """Disabled: no execution, no message, no failure of the put; enabled again: both."""
    events, s3 = await make_rule(aws)
    await events.disable_rule(Name="r")
    await s3.put_object(Bucket="done", Key="a", Body=b"1")
    entry = {"Source": "aws.s3", "DetailType": "Object Created", "Detail": json.dumps({"bucket": {"name": "raw"}})}
    assert (await events.put_events(Entries=[entry]))["FailedEntryCount"] == 0
    assert await counts(side) == (0, 0)
    assert (await side.get("deliveries"))["deliveries"] == {}
    await events.enable_rule(Name="r")
    await s3.put_object(Bucket="done", Key="b", Body=b"1")
    await events.put_events(Entries=[entry])
    assert await counts(side) == (2, 2)


async def test_other_buckets_and_scheduled_rules_get_nothing(aws, side):
    """What the pattern does not name starts nothing; a schedule matches no event."""
    events, s3 = await make_rule(aws)
    await s3.create_bucket(Bucket="elsewhere")
    setting = {"EventBridgeConfiguration": {}}
    await s3.put_bucket_notification_configuration(Bucket="elsewhere", NotificationConfiguration=setting)
    await events.put_rule(Name="nightly", ScheduleExpression="rate(1 day)")
    await events.put_targets(Rule="nightly", Targets=[{"Id": "1", "Arn": MACHINE}])
    await s3.put_object(Bucket="elsewhere", Key="a", Body=b"1")
    assert await counts(side) == (0, 0)


async def test_pattern_can_be_tested(aws, side):
    """TestEventPattern answers from the same matcher."""
    events, _ = await make_rule(aws)
    event = {"id": "1", "account": "1", "time": "2026-01-01T00:00:00Z", "region": "us-east-1", "resources": []}
    event.update({"source": "aws.s3", "detail-type": "Object Created", "detail": {"bucket": {"name": "done"}}})
    fixed = {**PATTERN, "detail": {"bucket": {"name": ["raw"]}}}
    answers = [
        (await events.test_event_pattern(EventPattern=json.dumps(pattern), Event=json.dumps(event)))["Result"]
        for pattern in (PATTERN, fixed)
    ]
    assert answers == [True, False]


async def test_bucket_notification_reads_back(aws, side):
    """The EventBridge switch of a bucket can be read again."""
    _, s3 = await make_rule(aws)
    shown = await s3.get_bucket_notification_configuration(Bucket="done")
    assert "EventBridgeConfiguration" in shown
