"""`init` against an emulated account: what it proposes, what it says, and that it only reads."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import aiohttp
import pytest

from monitor import app
from monitor.core.spec import Pipeline
from monitor.demo.daemon import free_port
from monitor.demo.emulator.child import Child
from monitor.demo.world import INGEST, MACHINE, QUEUE, TRANSFORM, World
from monitor.plugin import Registry

pytestmark = pytest.mark.process

Run = Callable[..., CompletedProcess[str]]
ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
REGION, ACCOUNT = "us-east-1", "123456789012"
HOUR = 3600
_READING = re.compile(r"[a-z0-9-]+:(Get|List|Describe)[A-Za-z0-9]+")


async def reads_only(world: World) -> list[str]:
    """The operations that reached the emulator's door since the last reset of its log, none of them a write."""
    asked = sorted((await world.side.get("log"))["counts"])
    assert asked
    assert [name for name in asked if not _READING.fullmatch(name)] == []
    return asked


async def init(tripswitch: Run, *words: str) -> dict[str, Any]:
    """`tripswitch init WORDS --output json` as a document."""
    ended = await asyncio.to_thread(tripswitch, "init", *words, "--output", "json")
    assert ended.returncode == 0, ended.stderr
    told: dict[str, Any] = json.loads(ended.stdout)
    return told


def loaded(folder: Path, registry: Registry) -> dict[str, Pipeline]:
    """The files of a folder, valid."""
    return {pipeline.name: pipeline for pipeline in app.read_config([folder], {}, registry).pipelines}


def written(folder: Path) -> list[str]:
    """The files that `init` wrote by default."""
    return sorted(path.name for path in folder.glob("pipelines/*.yaml"))


async def past(world: World, name: str, dimensions: dict[str, str], hourly: list[float]) -> None:
    """A metric's history, one point an hour, the newest last."""
    namespace, metric = name.split(" ")
    points = [
        {"namespace": namespace, "metric": metric, "dimensions": dimensions, "value": value, "ago": HOUR * (n + 1) + 60}
        for n, value in enumerate(reversed(hourly))
    ]
    await world.side.post("metrics", points=points)


async def test_a_tagged_pipeline_becomes_one_file_with_bounds_from_its_history(
    world: World, tripswitch: Run, tmp_path: Path, registry: Registry
) -> None:
    """The rule that starts the machine is cut, the queue's bound is 1.5 times its highest, and nothing was changed."""
    await world.build()
    depth = {"QueueName": QUEUE}
    await past(world, "AWS/SQS ApproximateNumberOfMessagesVisible", depth, [5.0] * 80 + [37.0] + [5.0] * 15)
    await past(world, "AWS/States ExecutionsStarted", {"StateMachineArn": MACHINE}, [160.0] * 96)
    await past(world, "AWS/Lambda Invocations", {"FunctionName": INGEST}, [100.0] * 96)
    await past(world, "AWS/Lambda Errors", {"FunctionName": INGEST}, [0.0] * 90 + [20.0] + [0.0] * 5)
    await world.side.post("reset-log")
    told = await init(tripswitch)
    await reads_only(world)
    assert [one["file"] for one in told["files"]] == ["etl.yaml"]
    assert told["not_read"] == []
    assert told["aws_calls"] > 10
    assert told["dollars"] > 0
    text = (tmp_path / "pipelines/etl.yaml").read_text()
    assert "highest in 14 days: 37; 1.5 times that, rounded up" in text
    etl = loaded(tmp_path / "pipelines", registry)["etl"]
    visible = etl.checks["queues"].signals["visible"].critical
    started = etl.checks["etl-workflow-rate"].signals["started_per_minute"]
    assert visible is not None
    assert visible.above == 60
    assert started.critical is not None
    assert started.warning is not None
    assert (started.warning.above, started.critical.above) == (200, 250)  # 160 and 240, rounded up
    steps = [step.verb for step in etl.breakers["etl-workflow-loop"].on_trip]
    assert steps == ["disable_rule", "wait", "stop_executions"]
    errors = etl.checks["ingest-handler-errors"].signals["value"].warning
    assert errors is not None
    assert errors.above == 0.3  # 20 of 100 failed in its worst hour
    assert [step.verb for step in etl.breakers["ingest-handler-pause"].on_trip] == ["set_event_source"]
    assert {"what": "errors", "name": TRANSFORM, "why": told["left_out"][0]["why"]} == told["left_out"][0]
    assert etl.checks["dead-letters"].targets == ("etl-ingest-dlq",)
    assert "pipeline.schema.json" in {path.name for path in (tmp_path / "pipelines").iterdir()}


async def test_an_existing_file_is_kept_without_force(world: World, tripswitch: Run, tmp_path: Path) -> None:
    """Kept, named, exit 4; --force replaces it."""
    await world.build()
    file = tmp_path / "pipelines/etl.yaml"
    file.parent.mkdir()
    file.write_text("mine\n")
    ended = await asyncio.to_thread(tripswitch, "init")
    assert ended.returncode == 4
    assert "kept as they are: etl.yaml" in ended.stderr
    assert file.read_text() == "mine\n"
    ended = await asyncio.to_thread(tripswitch, "init", "--force")
    assert ended.returncode == 0, ended.stderr
    assert file.read_text().startswith("# yaml-language-server")


async def test_an_empty_account_is_said_to_be_empty(world: World, tripswitch: Run, tmp_path: Path) -> None:
    """Exit 1, a sentence, no file."""
    ended = await asyncio.to_thread(tripswitch, "init")
    assert ended.returncode == 1
    assert "nothing to propose" in ended.stderr
    assert written(tmp_path) == []


async def test_refused_reads_are_named_and_the_rest_goes_on(world: World, tripswitch: Run, tmp_path: Path) -> None:
    """Each refusal says the IAM action; what could be read is proposed, without repeated calls that can't succeed."""
    await world.build()
    refused = ["events:ListRules", "lambda:ListFunctions", "sqs:GetQueueAttributes", "cloudwatch:GetMetricData"]
    faults = [{"target": name, "count": 99, "status": 403, "code": "AccessDeniedException"} for name in refused]
    await world.side.post("faults", faults=faults)
    ended = await asyncio.to_thread(tripswitch, "init")
    assert ended.returncode == 0, ended.stderr
    for name in refused:
        assert f"the role lacks {name}" in ended.stderr
    text = (tmp_path / "pipelines/etl.yaml").read_text()
    assert "history could not be read: the shipped default" in text
    assert "execution_rate" in text


async def test_a_tag_chooses_and_a_name_joins(world: World, tripswitch: Run, tmp_path: Path) -> None:
    """Only the tag's resources and what hangs on them; an unknown tag proposes nothing."""
    await world.build()
    sqs = await world.aws("sqs")
    await sqs.create_queue(QueueName="elsewhere", tags={"pipeline": "other"})
    told = await init(tripswitch, "--tag", "pipeline=etl", "--name", "mine", "--freshness", "raw-data-bucket/incoming/")
    (file,) = told["files"]
    assert file["pipeline"] == "mine"
    assert "elsewhere" not in file["text"]
    assert "prefix: incoming/" in file["text"]
    ended = await asyncio.to_thread(tripswitch, "init", "--tag", "pipeline=nobody")
    assert ended.returncode == 1
    assert "nothing carries these tags" in ended.stderr


async def test_a_large_account_is_bounded_and_says_so(world: World, tripswitch: Run) -> None:
    """--limit ends a listing with a sentence that says how to read more."""
    sqs = await world.aws("sqs")
    for n in range(6):
        await sqs.create_queue(QueueName=f"work-{n}")
    told = await init(tripswitch, "--limit", "4")
    assert told["bounded"] == ["queues: read 4 and left the rest unread; --limit 20 reads more"]
    assert told["found"]["queue"] == 4


async def test_a_strange_account_still_gives_valid_files(
    world: World, tripswitch: Run, tmp_path: Path, registry: Registry
) -> None:
    """FIFO queues, Express machines, foreign targets, custom buses, disabled rules, unicode tags, odd names."""
    await _strange(world)
    await world.side.post("reset-log")
    told = await init(tripswitch)
    await reads_only(world)
    pipelines = loaded(tmp_path / "pipelines", registry)
    orders = pipelines["Pay-Ship"]
    assert orders.checks["dead-letters"].targets == ("orders-dlq.fifo",)
    loop = orders.breakers["orders-quick-loop"]
    assert [step.verb for step in loop.on_trip] == ["disable_rule"]
    assert dict(loop.on_trip[0].params) == {"rule": "orders-new", "event_bus": "orders"}
    assert "orders-quick" not in {name for check in orders.checks.values() if check.kind == "stuck_executions"
                                  for name in check.targets}  # fmt: skip
    (glob,) = orders.checks["alarms"].params.model_dump()["alarms"]["names"]
    assert fnmatchcase("orders [deep] *", glob)
    assert not fnmatchcase("orders d and more", glob)
    night = pipelines["nightly-load"]
    assert next(step.verb for step in night.breakers["nightly-load-loop"].on_trip) == "set_schedule"
    assert "curate-runs" in night.checks
    assert "lonely" in pipelines["unconnected"].checks["queues"].targets
    left = {(one["what"], one["name"]): one["why"] for one in told["left_out"]}
    assert "another account" in left["sqs", f"arn:aws:sqs:{REGION}:999999999999:theirs"]
    assert "tag it" in left["function", "odd-job"]


async def _strange(world: World) -> None:
    sqs, sfn, events = await world.aws("sqs"), await world.aws("stepfunctions"), await world.aws("events")
    tag = "Påy & Ship / 支払い"
    fifo = {"FifoQueue": "true"}
    await sqs.create_queue(QueueName="orders-dlq.fifo", Attributes=fifo)
    redrive = json.dumps(
        {"deadLetterTargetArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:orders-dlq.fifo", "maxReceiveCount": 3}
    )
    await sqs.create_queue(
        QueueName="orders.fifo", Attributes={**fifo, "RedrivePolicy": redrive}, tags={"Application": tag}
    )
    await sqs.create_queue(QueueName="lonely")
    send = {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "End": True,
            "Parameters": {"QueueUrl": await world.queue_url("orders.fifo"), "MessageBody": "x"}}  # fmt: skip
    glue = {"Type": "Task", "Resource": "arn:aws:states:::glue:startJobRun.sync", "End": True,
            "Parameters": {"JobName": "curate"}}  # fmt: skip
    machines = {"orders-quick": ("EXPRESS", send), "nightly-load": ("STANDARD", glue)}
    role = f"arn:aws:iam::{ACCOUNT}:role/r"
    for name, (kind, state) in machines.items():
        definition = json.dumps({"StartAt": "S", "States": {"S": state}})
        await sfn.create_state_machine(name=name, definition=definition, roleArn=role, type=kind)
    await events.create_event_bus(Name="orders")
    quick = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:orders-quick"
    for name, state in (("orders-new", "ENABLED"), ("orders-old", "DISABLED")):
        pattern = json.dumps({"source": ["shop"]})
        await events.put_rule(Name=name, EventBusName="orders", EventPattern=pattern, State=state)
        targets = [{"Id": "1", "Arn": quick, "RoleArn": role}]
        if name == "orders-new":
            targets.append({"Id": "2", "Arn": f"arn:aws:sqs:{REGION}:999999999999:theirs"})
        await events.put_targets(Rule=name, EventBusName="orders", Targets=targets)
    alarms = await world.aws("cloudwatch")
    await alarms.put_metric_alarm(
        AlarmName="orders [deep] *", Namespace="AWS/SQS", MetricName="ApproximateNumberOfMessagesVisible",
        Dimensions=[{"Name": "QueueName", "Value": "orders.fifo"}], Period=60, EvaluationPeriods=1, Threshold=1,
        ComparisonOperator="GreaterThanThreshold", Statistic="Maximum",
    )  # fmt: skip
    await (await world.aws("glue")).create_job(Name="curate", Role=role, Command={"Name": "glueetl"})
    await (await world.aws("scheduler")).create_schedule(
        Name="nightly", ScheduleExpression="rate(1 day)", FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:nightly-load", "RoleArn": role},
    )  # fmt: skip
    await _lone_function(world)


async def _lone_function(world: World) -> None:
    from monitor.demo.world import _bundle

    iam = await world.aws("iam")
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    role = (await iam.create_role(RoleName="r", AssumeRolePolicyDocument=trust))["Role"]["Arn"]
    await (await world.aws("lambda")).create_function(
        FunctionName="odd-job", Runtime="python3.11", Role=role, Handler="h.m", Code={"ZipFile": _bundle()}
    )


def test_no_region_and_wrong_words_are_said(tripswitch: Run) -> None:
    """Wrong usage is exit 2 with what to write, before AWS is asked."""
    for words, said in (
        (("--history", "5 days"), "--history"),
        (("--history", "1m"), "from 1h to 455d"),
        (("--tag", "=x"), "KEY=VALUE"),
        (("--name", "a b"), "try a-b"),
    ):
        ended = tripswitch("init", *words)
        assert (ended.returncode, said in ended.stderr) == (2, True), ended.stderr


def walk() -> list[list[str]]:
    """The commands of the README's walk, as words."""
    section = README.read_text(encoding="utf-8").split("## Five minutes to your own account", 1)[1].split("\n## ", 1)[0]
    block = section.split("```console\n", 1)[1].split("```", 1)[0]
    return [shlex.split(line[2:], comments=True) for line in block.splitlines() if line.startswith("$ ")]


async def test_the_five_minutes_walk_of_the_readme(
    emulator: Child, world: World, tripswitch: Run, tmp_path: Path
) -> None:
    """Five commands at most, from the install to a daemon that is ready; nothing but reads reaches AWS."""
    await world.build()
    await world.side.post("reset-log")
    install, *commands = walk()
    assert install == ["make", "install"]  # that is the environment this runs in
    assert len(commands) <= 4
    began = time.monotonic()
    *rounds, run = [words[1:] for words in commands if words[0].endswith("tripswitch")]
    assert [words[0] for words in (*rounds, run)] == ["init", "validate", "check", "run"]
    for words in rounds:
        ended = await asyncio.to_thread(tripswitch, *words)
        assert ended.returncode == 0, f"{words}: {ended.stdout}{ended.stderr}"
    async with daemon(run, emulator, tmp_path) as url, aiohttp.ClientSession() as client:
        await until(client, f"{url}/readyz", 200)
        async with client.get(f"{url}/api/v1/checks") as reply:
            checks = (await reply.json())["checks"]
    assert time.monotonic() - began < 300
    assert {one["level"] for one in checks} <= {"ok", "unknown"}
    assert sum(one["level"] == "ok" for one in checks) > len(checks) / 2
    await reads_only(world)


@asynccontextmanager
async def daemon(words: list[str], emulator: Child, folder: Path) -> AsyncIterator[str]:
    """`tripswitch run ...` in the folder, on a free port; ended by SIGTERM, which has to end well."""
    port = free_port()
    mine = {"TRIPSWITCH_LISTEN": f"127.0.0.1:{port}", "TRIPSWITCH_STORE": "memory:", "PYTHONPATH": str(ROOT)}
    bare = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "TRIPSWITCH_"))}
    with (folder / "daemon.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "monitor", *words, cwd=folder, env=bare | emulator.environment() | mine,
            stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield f"http://127.0.0.1:{port}"
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 30) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def until(client: aiohttp.ClientSession, url: str, status: int) -> None:
    """Ask until the answer is this one."""
    async with asyncio.timeout(60):
        while True:
            with suppress(aiohttp.ClientError):
                async with client.get(url) as reply:
                    if reply.status == status:
                        return
            await asyncio.sleep(0.1)
