"""Properties and processes of the second fourteen through the real client against the emulator, in real time."""

import asyncio
import io
import json
import os
import signal
import sys
import zipfile
from dataclasses import replace

import live_action
import pytest
from live_action import LiveContext, run

from monitor.demo.emulator.child import KEYS, ROOT
from monitor.plugin import ActionError, ProbeError

pytestmark = pytest.mark.process
ROLE = "arn:aws:iam::123456789012:role/r"
API = {"FunctionName": "api"}


class Done:
    """One change as the dispatcher makes it: capture, resolve, apply; then undone."""

    def __init__(self, aws, path, name, params):
        self.action = live_action.action(name)
        self.ctx = LiveContext(aws, path, live_action.datetime.now(live_action.UTC))
        self.ctx.progress = self._progress
        self.change = self.action.plan(self.action.params.model_validate(params), self.ctx.now())
        self.prior = self.receipt = None

    async def _progress(self, *args, **more):
        return

    async def apply(self):
        """The value read back."""
        self.prior = await self.action.capture(self.change, self.ctx)
        if self.action.resolve is not None:
            wanted = await self.action.resolve(self.change, self.prior, self.ctx)
            self.change = replace(self.change, wanted=wanted)
        self.receipt = await self.action.apply(self.change, self.ctx)
        assert await self.action.capture(self.change, self.ctx) == self.receipt.applied == self.change.wanted
        assert not (await self.action.apply(self.change, self.ctx)).changed
        return self.receipt.applied

    async def undo(self):
        """Back to what was captured."""
        await self.action.undo(replace(self.receipt, prior=self.prior), self.ctx)
        assert await self.action.capture(self.change, self.ctx) == self.prior


async def deploy(aws, *, versions=2, variables=None):
    """`api`, with published versions, the newest behind LIVE."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("h.py", "def h(event, context):\n    return None\n")
    role = await aws.mutate("iam", "CreateRole", RoleName="r", AssumeRolePolicyDocument="{}")
    await aws.mutate(
        "lambda", "CreateFunction", **API, Runtime="python3.11", Handler="h.h", Role=role["Role"]["Arn"],
        Code={"ZipFile": packed.getvalue()}, Environment={"Variables": variables or {"MODE": "fast"}},
    )  # fmt: skip
    for number in range(versions):
        await aws.mutate("lambda", "UpdateFunctionConfiguration", **API, Timeout=10 + number)
        await aws.mutate("lambda", "PublishVersion", **API)
    await aws.mutate("lambda", "CreateAlias", **API, Name="LIVE", FunctionVersion=str(versions))


async def served(aws):
    """(version, variables) that callers of LIVE get."""
    version = (await aws.call("lambda", "GetAlias", **API, Name="LIVE"))["FunctionVersion"]
    config = await aws.call("lambda", "GetFunctionConfiguration", **API, Qualifier=version)
    return version, config["Environment"]["Variables"]


async def test_a_variable_reaches_live_traffic_and_goes_again(aws, side, tmp_path):
    """Though each update takes a while, and AWS refuses the next one meanwhile."""
    await deploy(aws)
    await side.post("lambda/settings", function_seconds=1.5)
    params = {"function": "api", "variables": {"CIRCUIT_BREAKER": "true"}, "alias": "LIVE"}
    done = Done(aws, tmp_path / "m", "set_environment", params)
    await done.apply()
    assert await served(aws) == ("3", {"MODE": "fast", "CIRCUIT_BREAKER": "true"})
    await done.undo()
    assert await served(aws) == ("2", {"MODE": "fast"})


async def test_the_runbooks_own_command_reaches_nobody(aws, side, tmp_path):
    """A published version never changes: update-function-configuration alone leaves LIVE as it was."""
    await deploy(aws)
    await aws.mutate(
        "lambda", "UpdateFunctionConfiguration", **API, Environment={"Variables": {"CIRCUIT_BREAKER": "1"}}
    )
    assert await served(aws) == ("2", {"MODE": "fast"})
    latest = await aws.call("lambda", "GetFunctionConfiguration", **API)
    assert latest["Environment"]["Variables"] == {"CIRCUIT_BREAKER": "1"}, "and wiped every other variable"


async def test_memory_is_cut_and_restored(aws, side, tmp_path):
    """Behind the alias."""
    await deploy(aws)
    done = Done(aws, tmp_path / "m", "set_memory", {"function": "api", "memory": 512, "alias": "LIVE"})
    assert await done.apply() == {"latest": 512, "served": 512}
    await done.undo()
    assert (await served(aws))[0] == "2"


async def test_an_alias_goes_back_over_sixty_versions_and_forward_again(aws, side, tmp_path):
    """More than a page of them; the canary's weights come back."""
    await deploy(aws, versions=60)
    weights = {"AdditionalVersionWeights": {"59": 0.25}}
    done = Done(aws, tmp_path / "m", "rollback_alias", {"function": "api", "alias": "LIVE"})
    assert await done.apply() == {"version": "59", "routing": {}}
    assert len(done.ctx.told) == 1, "nobody watched: people hear that version 59 may never have been live"
    await done.undo()
    await aws.mutate("lambda", "UpdateAlias", **API, Name="LIVE", FunctionVersion="60", RoutingConfig=weights)
    done = Done(aws, tmp_path / "n", "rollback_alias", {"function": "api", "alias": "LIVE", "to": 7})
    assert await done.apply() == {"version": "7", "routing": {}}
    await done.undo()
    assert (await aws.call("lambda", "GetAlias", **API, Name="LIVE"))["RoutingConfig"] == weights


async def test_warm_environments_come_and_go(aws, side, tmp_path):
    """Where there were none, none are left to pay for."""
    await deploy(aws)
    await side.post("lambda/settings", provisioned_seconds=0.5)
    params = {"function": "api", "qualifier": "LIVE", "amount": 50}
    done = Done(aws, tmp_path / "m", "set_provisioned_concurrency", params)
    assert await done.apply() == 50
    await done.undo()
    rows = await aws.call("lambda", "ListProvisionedConcurrencyConfigs", **API)
    assert rows["ProvisionedConcurrencyConfigs"] == []
    with pytest.raises(ProbeError):
        await Done(aws, tmp_path / "n", "set_provisioned_concurrency", {**params, "function": "none"}).apply()


async def test_an_event_source_is_scaled_and_restored(aws, side, tmp_path):
    """Its concurrency and batch size."""
    await deploy(aws)
    await aws.mutate("sqs", "CreateQueue", QueueName="q")
    arn = "arn:aws:sqs:us-east-1:123456789012:q"
    mapping = await aws.mutate("lambda", "CreateEventSourceMapping", **API, EventSourceArn=arn, BatchSize=5)
    params = {"function": "api", "batch_size": 10}
    done = Done(aws, tmp_path / "m", "scale_event_source", params)
    assert await done.apply() == {mapping["UUID"]: {"batch_size": 10}}
    await done.undo()


async def test_a_schedule_is_paused_with_everything_else_kept(aws, side, tmp_path):
    """UpdateSchedule replaces the whole of it."""
    target = {"Arn": "arn:aws:lambda:us-east-1:123456789012:function:api", "RoleArn": ROLE, "Input": '{"a": 1}'}
    given = {
        "Name": "nightly", "ScheduleExpression": "cron(0 2 * * ? *)", "ScheduleExpressionTimezone": "Australia/Sydney",
        "FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15}, "Target": target, "Description": "d",
    }  # fmt: skip
    await aws.mutate("scheduler", "CreateSchedule", **given)
    done = Done(aws, tmp_path / "m", "set_schedule", {"schedule": "nightly", "state": "DISABLED"})
    assert await done.apply() == "DISABLED"
    seen = await aws.call("scheduler", "GetSchedule", Name="nightly")
    for name in ("ScheduleExpression", "ScheduleExpressionTimezone", "FlexibleTimeWindow", "Description"):
        assert seen[name] == given[name]
    assert seen["Target"]["Input"] == target["Input"]
    await done.undo()


async def make_table(aws):
    """`t` with one index, provisioned."""
    units = {"ReadCapacityUnits": 10, "WriteCapacityUnits": 5}
    await aws.mutate(
        "dynamodb", "CreateTable", TableName="t", KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("k", "g")],
        GlobalSecondaryIndexes=[{
            "IndexName": "geo", "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"}, "ProvisionedThroughput": units,
        }],
        ProvisionedThroughput=units,
    )  # fmt: skip


@pytest.mark.parametrize("index", [None, "geo"])
async def test_capacity_is_raised_and_restored_through_updating(aws, side, tmp_path, index):
    """The table is UPDATING for a while after each change."""
    await make_table(aws)
    await side.post("lambda/settings", table_seconds=1.0)
    done = Done(aws, tmp_path / "m", "scale_table", {"table": "t", "index": index, "read": 200, "write": 100})
    assert await done.apply() == {"read": 200, "write": 100}
    await done.undo()


async def test_billing_goes_on_demand_and_back_with_all_units(aws, side, tmp_path):
    """And while it is on demand, raising units fails with words."""
    await make_table(aws)
    done = Done(aws, tmp_path / "m", "set_billing_mode", {"table": "t", "mode": "PAY_PER_REQUEST"})
    assert await done.apply() == {"mode": "PAY_PER_REQUEST"}
    with pytest.raises(ActionError, match="is on demand"):
        await Done(aws, tmp_path / "n", "scale_table", {"table": "t", "read": 200}).apply()
    done_too = Done(aws, tmp_path / "o", "scale_table", {"table": "t", "read": 200, "on_demand": {"read": 500}})
    assert await done_too.apply() == {"max_read": 500, "max_write": None}
    await done_too.undo()
    await done.undo()
    table = (await aws.call("dynamodb", "DescribeTable", TableName="t"))["Table"]
    assert table["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"]["ReadCapacityUnits"] == 10


async def test_scaling_is_set_up_and_taken_down(aws, side, tmp_path):
    """Target and policy for reads and writes; nothing is left."""
    await make_table(aws)
    done = Done(aws, tmp_path / "m", "autoscale_table", {"table": "t", "min": 5, "max": 1000})
    await done.apply()
    policies = await aws.call("application-autoscaling", "DescribeScalingPolicies", ServiceNamespace="dynamodb")
    assert len(policies["ScalingPolicies"]) == 2
    await done.undo()
    targets = await aws.call("application-autoscaling", "DescribeScalableTargets", ServiceNamespace="dynamodb")
    assert targets["ScalableTargets"] == []


async def test_a_table_is_backed_up_once(aws, side, tmp_path):
    """A second attempt of the same trip finds it."""
    await make_table(aws)
    began = live_action.datetime.now(live_action.UTC)
    for changed in (True, False):
        receipt, _ = await run(aws, tmp_path / "m", "backup_table", {"table": "t"}, began)
        assert receipt.changed is changed
    rows = (await aws.call("dynamodb", "ListBackups", TableName="t"))["BackupSummaries"]
    assert [row["BackupName"] for row in rows] == ["tripswitch-t"]


async def invocations(side):
    """Payloads, in order."""
    entries = (await side.get("log", operation="lambda:Invoke"))["entries"]
    return [json.loads(entry["body"]) for entry in entries if entry["status"] < 300]


async def test_a_backfill_killed_half_way_starts_no_window_twice(emulator, aws, side, tmp_path):
    """SIGKILL between two windows or in the middle of one; the next owner ends it and names what is in doubt."""
    await deploy(aws)
    params = {
        "function": "api:LIVE", "payload": {"backfill": True, "timestamp": "${window.start}"},
        "windows": {"from": "2026-01-01T00:00Z", "to": "2026-01-02T16:00Z"}, "pace": "10ms",
    }  # fmt: skip
    await side.post("reset-log")
    command = [sys.executable, live_action.__file__, emulator.url, str(tmp_path / "m"), "backfill", json.dumps(params)]
    process = await asyncio.create_subprocess_exec(*command, env={**os.environ, **KEYS, "PYTHONPATH": str(ROOT)})
    async with asyncio.timeout(30):
        while len(await invocations(side)) < 10:
            assert process.returncode is None, "it should not have ended yet"
            await asyncio.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    before = await invocations(side)
    assert len(before) < 40, "killed half way"
    receipt, _ = await run(aws, tmp_path / "m", "backfill", params)
    starts = [payload["timestamp"] for payload in await invocations(side)]
    assert len(starts) == len(set(starts))
    missing = 40 - len(starts)
    assert missing <= len(receipt.data["unclear"]) <= 1
    assert receipt.data["started"] + len(receipt.data["unclear"]) == 40


async def test_a_lost_answer_is_not_invoked_again(aws, side, tmp_path):
    """The connection drops after the function was called: in doubt, for a person."""
    await deploy(aws)
    await side.post("reset-log")
    await side.post("faults", faults=[{"target": "lambda:Invoke", "drop": True}])
    for _ in range(2):
        with pytest.raises(ActionError) as caught:
            await run(aws, tmp_path / "m", "invoke", {"function": "api", "type": "RequestResponse"})
        assert caught.value.ambiguous
    assert (await side.get("log"))["counts"]["lambda:Invoke"] == 1


async def test_missed_objects_are_sent_once(aws, side, tmp_path):
    """Listed in the real bucket; the processed one is left out."""
    await deploy(aws)
    for bucket, keys in {"raw": ["in/a.json", "in/b c.json"], "curated": ["out/a.parquet"]}.items():
        await aws.mutate("s3", "CreateBucket", Bucket=bucket)
        for key in keys:
            await aws.mutate("s3", "PutObject", Bucket=bucket, Key=key, Body=b"x")
    await side.post("reset-log")
    params = {
        "function": "api", "source": {"bucket": "raw", "prefix": "in/"}, "older_than": "0s", "pace": "1ms",
        "processed": {"bucket": "curated", "prefix": "out/"},
    }  # fmt: skip
    await asyncio.sleep(1.1)
    receipt, _ = await run(aws, tmp_path / "m", "reprocess_objects", params)
    (event,) = await invocations(side)
    assert event["Records"][0]["s3"]["object"]["key"] == "in/b+c.json"
    assert receipt.data["sent"] == 1


async def test_a_canary_is_started_once_and_judged(aws, side, tmp_path):
    """Succeeded, or failed for good, whatever attempts there are."""
    definition = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Wait", "Seconds": 3600, "End": True}}})
    for name, ending in (("good", "SUCCEEDED"), ("bad", "FAILED")):
        await aws.mutate("stepfunctions", "CreateStateMachine", name=name, definition=definition, roleArn=ROLE)
        canary = asyncio.ensure_future(run(aws, tmp_path / name, "canary", {"state_machine": name, "within": "1m"}))
        async with asyncio.timeout(20):
            while (await side.get("executions", state_machine=name))["total"] == 0:
                assert not canary.done(), "it should be waiting for its execution"
                await asyncio.sleep(0.02)
        await side.post("executions/finish", state_machine=name, ending=ending, error="Boom")
        if ending == "SUCCEEDED":
            assert (await canary)[0].changed
            continue
        with pytest.raises(ActionError, match=r"ended as FAILED \(Boom\)"):
            await canary
        with pytest.raises(ActionError, match=r"ended as FAILED \(Boom\)"):
            await run(aws, tmp_path / name, "canary", {"state_machine": name, "within": "1m"})
    assert (await side.get("executions"))["total"] == 2


async def test_a_long_answer_is_read_to_its_end(aws, side, tmp_path):
    """It arrives in pieces; a piece is not the answer."""
    await aws.mutate("s3", "CreateBucket", Bucket="raw")
    await aws.mutate("s3", "PutObject", Bucket="raw", Key="big", Body=b"x" * 3_000_000)
    assert len((await aws.call("s3", "GetObject", Bucket="raw", Key="big"))["Body"]) == 3_000_000
