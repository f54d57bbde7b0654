"""Actions on queues, sources, logs, buckets and caches through the real client against the emulator, in real time."""

import json
from dataclasses import replace

import pytest
from live_action import LiveContext, action, run

from monitor.plugin import Held
from monitor.testing import EPOCH

pytestmark = pytest.mark.process
ROLE = "arn:aws:iam::123456789012:role/r"


async def there_and_back(aws, path, name, params):
    """(captured before, applied, captured after the undo) of a property's action."""
    context = LiveContext(aws, path, EPOCH)
    chosen = action(name)
    change = chosen.plan(chosen.params.model_validate(params), context.now())
    prior = await chosen.capture(change, context)
    receipt = await chosen.apply(change, context)
    await chosen.undo(replace(receipt, prior=prior), context)
    return prior, receipt.applied, await chosen.capture(change, context)


async def fill(side, count, body, queue="orders-dlq"):
    """Dead letters."""
    await side.post("sqs/fill", queue=queue, count=count, body=body, age=60)


BAD, LATE = json.dumps({"errorType": "ValidationError"}), json.dumps({"errorType": "ReadTimeout", "n": 1})


async def test_one_kind_is_quarantined_and_the_rest_is_given_back(aws, side, tmp_path):
    """Each message is an object before it leaves the queue; what is left can be received at once."""
    await aws.mutate("sqs", "CreateQueue", QueueName="orders-dlq")
    await aws.mutate("s3", "CreateBucket", Bucket="evidence")
    await fill(side, 12, BAD)
    await fill(side, 5, LATE)
    params = {"queue": "orders-dlq", "bucket": "evidence", "where": "ValidationError"}
    receipt, _ = await run(aws, tmp_path / "m", "quarantine_messages", params)
    assert (receipt.data["done"], receipt.data["passed_over"]) == (12, 5)
    objects = (await aws.call("s3", "ListObjectsV2", Bucket="evidence", Prefix="quarantine/orders-dlq/"))["Contents"]
    assert len(objects) == 12
    left = (await side.get("sqs/messages", queue="orders-dlq"))["messages"]
    assert [m["body"] for m in left] == [LATE] * 5
    counts = await aws.call("sqs", "GetQueueAttributes", QueueUrl=await url(aws), AttributeNames=["All"])
    assert counts["Attributes"]["ApproximateNumberOfMessages"] == "5"


async def url(aws, queue="orders-dlq"):
    """Of a queue."""
    return (await aws.call("sqs", "GetQueueUrl", QueueName=queue))["QueueUrl"]


async def test_a_gate_that_closes_in_the_middle_loses_nothing(emulator, aws, side, tmp_path):
    """Between the object and the delete: the message is in both places, and the next attempt ends it."""
    await aws.mutate("sqs", "CreateQueue", QueueName="orders-dlq")
    await aws.mutate("s3", "CreateBucket", Bucket="evidence")
    await fill(side, 6, BAD)

    class Shut:
        """Lets three deletes pass."""

        def __init__(self, inner):
            self.inner, self.left = inner, 3

        def __getattr__(self, name):
            return getattr(self.inner, name)

        async def mutate(self, service, operation, **params):
            if operation == "DeleteMessage":
                self.left -= 1
                if self.left < 0:
                    raise Held("kill_switch", "off")
            return await self.inner.mutate(service, operation, **params)

    params = {"queue": "orders-dlq", "bucket": "evidence"}
    with pytest.raises(Held):
        await run(Shut(aws), tmp_path / "m", "quarantine_messages", params)
    objects = (await aws.call("s3", "ListObjectsV2", Bucket="evidence"))["Contents"]
    assert (len(objects), len((await side.get("sqs/messages", queue="orders-dlq"))["messages"])) == (4, 3)
    await side.post("clock", offset=90)
    receipt, _ = await run(aws, tmp_path / "m", "quarantine_messages", params)
    assert receipt.data["done"] == 6
    assert (await side.get("sqs/messages", queue="orders-dlq"))["messages"] == []
    assert len((await aws.call("s3", "ListObjectsV2", Bucket="evidence"))["Contents"]) == 6


async def test_ids_are_deleted_and_a_queue_is_purged(aws, side, tmp_path):
    """By id only those; the purge leaves nothing and says what was there."""
    await aws.mutate("sqs", "CreateQueue", QueueName="orders-dlq")
    await fill(side, 30, BAD)
    chosen = [m["id"] for m in (await side.get("sqs/messages", queue="orders-dlq"))["messages"]][3:5]
    receipt, _ = await run(aws, tmp_path / "a", "delete_messages", {"queue": "orders-dlq", "messages": chosen})
    assert receipt.data["done"] == 2
    left = {m["id"] for m in (await side.get("sqs/messages", queue="orders-dlq"))["messages"]}
    assert (len(left), left & set(chosen)) == (28, set())
    receipt, _ = await run(aws, tmp_path / "b", "purge_queue", {"queue": "orders-dlq"})
    assert (receipt.data["before"]["visible"], receipt.verified) == (28, True)
    assert (await side.get("sqs/messages", queue="orders-dlq"))["messages"] == []


async def test_the_60_seconds_between_two_purges_are_waited_out(aws, side, tmp_path):
    """AWS refuses the second; the action waits and asks once more."""
    await aws.mutate("sqs", "CreateQueue", QueueName="orders-dlq")
    await aws.mutate("sqs", "PurgeQueue", QueueUrl=await url(aws))
    await fill(side, 3, BAD)
    slept = []

    async def hurry(seconds):
        slept.append(seconds)
        await side.post("clock", offset=seconds + 1)

    context = LiveContext(aws, tmp_path / "m", EPOCH)
    context.sleep = hurry
    chosen = action("purge_queue")
    change = chosen.plan(chosen.params(queue="orders-dlq"), context.now())
    receipt = await chosen.apply(change, context)
    assert slept[0] == 60
    assert (receipt.verified, receipt.data["visible"]) == (True, 0)


async def test_every_source_of_a_machine_is_found(aws, side, tmp_path):
    """A rule on the default bus and a schedule; then disable_rule and set_schedule cut them and put them back."""
    definition = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}})
    made = {}
    for name in ("jaunt-sydney", "billing"):
        reply = await aws.mutate("stepfunctions", "CreateStateMachine", name=name, definition=definition, roleArn=ROLE)
        made[name] = reply["stateMachineArn"]
        await aws.mutate("events", "PutRule", Name=f"{name}-hourly", ScheduleExpression="rate(1 hour)")
        await aws.mutate("events", "PutTargets", Rule=f"{name}-hourly", Targets=[{"Id": "1", "Arn": made[name]}])
        await aws.mutate(
            "scheduler", "CreateSchedule", Name=f"{name}-nightly", ScheduleExpression="rate(1 day)",
            FlexibleTimeWindow={"Mode": "OFF"}, Target={"Arn": made[name], "RoleArn": ROLE},
        )  # fmt: skip
    cut, context = action("cut_sources"), LiveContext(aws, tmp_path / "m", EPOCH)
    changes = await cut.expand(cut.params(state_machines="*jaunt*"), context.now(), aws)
    assert [c.resource for c in changes] == [
        "events/default/jaunt-sydney-hourly",
        "scheduler/default/jaunt-sydney-nightly",
    ]
    for change in changes:
        chosen = action(change.action)
        prior = await chosen.capture(change, context)
        receipt = await chosen.apply(change, context)
        assert (prior, receipt.applied) == ("ENABLED", "DISABLED")
    assert (await aws.call("events", "DescribeRule", Name="billing-hourly"))["State"] == "ENABLED"


async def test_retention_of_groups_under_a_prefix(aws, side, tmp_path):
    """Each group is a change of its own; "never" comes back as never."""
    for name in ("/aws/lambda/etl-a", "/aws/lambda/etl-b", "/aws/lambda/other"):
        await aws.mutate("logs", "CreateLogGroup", logGroupName=name)
    await aws.mutate("logs", "PutRetentionPolicy", logGroupName="/aws/lambda/etl-b", retentionInDays=30)
    chosen = action("set_log_retention")
    params = chosen.params(prefix="/aws/lambda/etl-", days=7)
    changes = await chosen.expand(params, None, aws)
    assert [change.params["log_group"] for change in changes] == ["/aws/lambda/etl-a", "/aws/lambda/etl-b"]
    seen = [
        await there_and_back(aws, tmp_path / "m", "set_log_retention", {"log_group": c.params["log_group"], "days": 7})
        for c in changes
    ]
    assert seen == [(None, 7, None), (30, 7, 30)]


async def test_a_lifecycle_rule_comes_and_goes(aws, side, tmp_path):
    """Beside another rule, which stays; and where there was none, none is left."""
    wanted = {"prefix": "done/", "days": 0, "storage_class": "INTELLIGENT_TIERING"}
    for bucket in ("bare", "ruled"):
        await aws.mutate("s3", "CreateBucket", Bucket=bucket)
    rule = {"ID": "expire", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 1}}
    await aws.mutate("s3", "PutBucketLifecycleConfiguration", Bucket="ruled", LifecycleConfiguration={"Rules": [rule]})
    for bucket in ("bare", "ruled"):
        params = {"bucket": bucket, "prefix": "done/"}
        assert await there_and_back(aws, tmp_path / "m", "tier_bucket", params) == (None, wanted, None)
    kept = (await aws.call("s3", "GetBucketLifecycleConfiguration", Bucket="ruled"))["Rules"]
    assert [one["ID"] for one in kept] == ["expire"]


async def test_an_api_gets_a_cache_and_loses_it_again(aws, side, tmp_path):
    """Created, read back, deleted."""
    api = (await aws.mutate("appsync", "CreateGraphqlApi", name="pulse", authenticationType="API_KEY"))["graphqlApi"]
    params = {"api": api["apiId"], "ttl": 600}
    prior, applied, after = await there_and_back(aws, tmp_path / "m", "set_api_cache", params)
    assert (prior, after) == (None, None)
    assert applied == {"ttl": 600, "behavior": "FULL_REQUEST_CACHING", "size": "SMALL"}
