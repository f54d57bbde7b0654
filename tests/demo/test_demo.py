"""The demo: real processes, and what it says when something is missing."""

import asyncio
import io
import os
import re
import signal
import sys
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from monitor.demo.emulator.child import ROOT, Child
from monitor.demo.incidents import DeadLetters, EventLoop, Pace
from monitor.demo.scenarios import DLQ, SCENARIOS, STUCK, Scene, scenario_list
from monitor.demo.screen import Screen, verdict
from monitor.demo.show import run_demo, run_scenario
from monitor.demo.world import DEAD, MACHINE_NAME, PROCESSED, QUEUE, RAW, RULE, World, pattern

pytestmark = pytest.mark.process


@pytest.fixture
async def world(emulator: Child, side):
    """A healthy pipeline in a fresh emulator."""
    async with World(emulator.url) as made:
        await made.build()
        yield made


async def test_world_is_healthy_and_tagged(world):
    """Every part stands, carries its tag, and an ordinary file starts exactly one execution."""
    assert await world.rule_state() == "ENABLED"
    assert await world.reserved() == 100
    tagging = await world.aws("resourcegroupstaggingapi")
    found = await tagging.get_resources(TagFilters=[{"Key": "pipeline", "Values": ["etl"]}])
    kinds = {item["ResourceARN"].split(":")[2] for item in found["ResourceTagMappingList"]}
    assert {"sqs", "states", "lambda", "dynamodb", "s3"} <= kinds
    s3 = await world.aws("s3")
    await s3.put_object(Bucket=RAW, Key="incoming/a", Body=b"1")
    await s3.put_object(Bucket=PROCESSED, Key="b", Body=b"1")
    assert (await world.executions())["total"] == 1


@asynccontextmanager
async def playing(driver):
    """A driver at work."""
    task = asyncio.ensure_future(driver.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def wait_for(condition, seconds=30):
    """Until it holds."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - another process knows
            await asyncio.sleep(0.1)


async def test_loop_grows_while_enabled_and_stops_when_cut(world):
    """The loop feeds itself through the rule alone; disabled, nothing starts although objects are still written."""

    async def has_grown():
        return (await world.executions())["total"] > 60

    async def has_written_more():
        return await objects(world) > written

    async with playing(EventLoop(world, Pace(calm=0.2, generation=0.3))):
        await wait_for(has_grown)
        await (await world.aws("events")).disable_rule(Name=RULE)
        total, written = (await world.executions())["total"], await objects(world)
        await wait_for(has_written_more)
        assert (await world.executions())["total"] == total


async def objects(world):
    """Objects in the processed bucket."""
    told = await (await world.aws("s3")).list_objects_v2(Bucket=PROCESSED)
    return told["KeyCount"]


async def test_corrected_pattern_stays_disabled(world):
    """The operator's correction tests the pattern and does not enable the rule by accident."""
    driver, events = EventLoop(world), await world.aws("events")
    await events.put_rule(Name=RULE, EventPattern='{"source": ["aws.s3"]}', State="DISABLED")
    await driver.fix()
    assert (await world.rule_state(), await world.rule_pattern()) == ("DISABLED", pattern(RAW))


async def test_paused_consumer_reads_nothing(world):
    """A disabled mapping keeps the messages where they are."""
    functions = await world.aws("lambda")
    await world.side.post("lambda/settings", mapping_seconds=0)
    (mapping,) = (await functions.list_event_source_mappings())["EventSourceMappings"]
    await functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    driver = DeadLetters(world)

    async def all_wait():
        return await world.depth(QUEUE) == DeadLetters.POISON + 10

    async with playing(driver):
        await wait_for(all_wait)
        await asyncio.sleep(1)  # several looks of the consumer
        assert (await world.depth(QUEUE), await world.depth(DEAD), driver.processed) == (35, 0, [])


def test_unknown_scenario_names_the_known_ones():
    """Exit 2 and the list."""
    out = io.StringIO()
    assert asyncio.run(run_demo("nonsense", tty=False, out=out)) == 2
    assert all(name in out.getvalue() for name, _ in scenario_list())


def test_verdict_names_what_is_missing():
    """Stages that were not proven are named with what they mean."""
    text = verdict(STUCK, ["detected"])
    assert "stopped" in text
    assert "detected" not in text


async def test_screen_renders_every_state(emulator):
    """The live screen shows state, chart and steps of a breaker."""
    out = io.StringIO()
    screen = Screen(SCENARIOS["event-loop"], out, tty=False, page="http://127.0.0.1:1/")
    step = {
        "verb": "stop_executions",
        "phase": "running",
        "detail": "",
        "summary": "stop",
        "changes": [{"remaining": 7}],
    }
    for state in ("closed", "tripping", "open", "half_open"):
        screen.show({"state": state, "reason": "why", "steps": [step]}, 250.0, "7 executions running")
        Console(file=out, width=120).print(screen.render())
    text = out.getvalue()
    assert "(7 left)" in text
    assert "250 executions/min (threshold 200)" in text
    assert all(state in text for state in ("closed", "tripping", "open", "half_open"))


async def test_stuck_executions_are_contained():
    """The whole demo of a short scenario: real emulator, real daemon, exit 0."""
    out = io.StringIO()
    assert await run_demo("stuck-execution", tty=False, out=out) == 0, out.getvalue()
    assert "CLOSED" in out.getvalue()


async def test_operator_approves_the_redrive():
    """What the file leaves to a person is given through the API, in the operator's name."""
    out = io.StringIO()
    assert await run_scenario(DLQ, tty=False, out=out) == 0, out.getvalue()
    assert re.search(r"demo operator\s+approve: approved", out.getvalue())


async def test_actions_off_is_missed_not_passed():
    """With the kill switch off nothing is stopped, and the demo says so with exit 1."""
    out = io.StringIO()
    quiet = replace(STUCK, seconds=8, environment={**STUCK.environment, "TRIPSWITCH_ACTIONS": "off"})
    assert await run_scenario(quiet, tty=False, out=out) == 1
    assert "missing: stopped" in out.getvalue()


async def test_dead_daemon_is_shown_with_its_last_words():
    """A daemon that refuses its file ends the demo at once, with the reason."""
    out = io.StringIO()
    broken = replace(STUCK, environment={**STUCK.environment, "WAIT": "nonsense"})
    assert await run_scenario(broken, tty=False, out=out) == 1
    assert "nonsense" in out.getvalue()


async def test_interrupt_leaves_nothing_behind(tmp_path):
    """SIGINT ends the demo, its two children and its temporary folder."""
    code = "import asyncio,sys;from monitor.demo.show import run_demo;" \
           "sys.exit(asyncio.run(run_demo('event-loop',tty=False,out=sys.stdout)))"  # fmt: skip
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, env=environment, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(40):
        async for line in process.stdout:
            if b"answers at" in line:
                break
    children = children_of(process.pid)
    assert len(children) == 2
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(20):
        rest = await process.stdout.read()
        assert await process.wait() == 1
    assert b"missing" in rest
    assert not [pid for pid in children if is_ours(pid)]
    assert list(tmp_path.iterdir()) == []


def children_of(pid):
    """Process ids, whichever thread started them."""
    found = [path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    return [child for part in found for child in part]


def is_ours(pid):
    """Still there, and not somebody else's reused number."""
    line = Path(f"/proc/{pid}/cmdline")
    return line.exists() and b"monitor" in line.read_bytes()


async def test_scene_counts_a_trip_once_seen():
    """A breaker that tripped and closed between two looks is closed again, not closed still."""
    scene = Scene(None, None)
    assert not scene.closed_again()
    scene.breaker = {"state": "open"}
    assert scene.tripped()
    scene.breaker = {"state": "closed"}
    assert scene.closed_again()


async def test_machine_name_is_the_runbooks():
    """Names in the world are those the pipeline file uses."""
    text = (ROOT / "config" / "pipelines" / "etl.yaml").read_text()
    assert all(name in text for name in (MACHINE_NAME, RULE, DEAD, "ingest-handler", "transform-handler"))


async def test_an_emulator_that_does_not_start_is_a_sentence_with_what_to_do(monkeypatch):
    """No traceback of ours: its last words, and where the packages come from."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    out = io.StringIO()
    assert await run_demo("event-loop", tty=False, out=out) == 1
    assert "the emulator ended with 1" in out.getvalue()
    assert "make install" in out.getvalue()
