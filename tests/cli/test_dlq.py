"""`tripswitch dlq` as processes against the emulator: nothing lost, doubles named, dry runs that change nothing."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import closing

import pytest

from monitor.demo.emulator import child
from monitor.demo.emulator.child import KEYS, ROOT, Side

pytestmark = pytest.mark.process
BAD, TIMED_OUT = json.dumps({"errorType": "ValidationError", "id": "e-1"}), json.dumps({"errorType": "ReadTimeout"})


@pytest.fixture(scope="module")
def emulator():
    """The process."""
    with child.start() as running:
        yield running


@pytest.fixture
async def world(emulator, tmp_path):
    """Queues `orders` with dead letters in `orders-dlq`, and a way to run commands."""
    async with Side(emulator.url) as side:
        await side.post("reset")
        made = World(emulator.url, side, tmp_path)
        made.aws("sqs", "create-queue", "--queue-name", "orders-dlq")
        policy = json.dumps(
            {"deadLetterTargetArn": "arn:aws:sqs:us-east-1:123456789012:orders-dlq", "maxReceiveCount": 3}
        )
        made.aws("sqs", "create-queue", "--queue-name", "orders", "--attributes", json.dumps({"RedrivePolicy": policy}))
        yield made


class World:
    """Commands on an emulator, with a home of their own."""

    def __init__(self, url, side, home):
        self.url, self.side = url, side
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "TRIPSWITCH_"))}
        self.environ = {**kept, **KEYS, "AWS_ENDPOINT_URL": url, "AWS_REGION": "us-east-1", "HOME": str(home)}
        self.environ["XDG_CONFIG_HOME"] = str(home)

    def aws(self, service, operation, *options):
        """An SDK call with the AWS CLI's words."""
        import botocore.session

        client = botocore.session.get_session().create_client(
            service, "us-east-1", endpoint_url=self.url,
            aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"], aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
        )  # fmt: skip
        names = ["".join(part.title() for part in option[2:].split("-")) for option in options[::2]]
        values = [json.loads(v) if v.startswith("{") else v for v in options[1::2]]
        with closing(client):
            return getattr(client, operation.replace("-", "_"))(**dict(zip(names, values, strict=True)))

    def start(self, *words):
        """A command under way."""
        return subprocess.Popen(
            [sys.executable, "-m", "monitor", "dlq", *words], cwd=ROOT, env=self.environ, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, *words):
        """(exit code, stdout, stderr)."""
        process = self.start(*words)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    async def fill(self, count, body=BAD, queue="orders-dlq"):
        """Dead letters."""
        await self.side.post("sqs/fill", queue=queue, count=count, body=body, age=60)

    async def messages(self, queue):
        """What lies in a queue."""
        return (await self.side.get("sqs/messages", queue=queue))["messages"]


async def test_list_finds_dead_letter_queues_through_redrive_policies(world):
    """A queue is one because another names it, whatever it is called; the age comes from CloudWatch."""
    await world.fill(7)
    point = {"namespace": "AWS/SQS", "metric": "ApproximateAgeOfOldestMessage", "value": 3600,
             "dimensions": {"QueueName": "orders-dlq"}}  # fmt: skip
    await world.side.post("metrics", points=[{**point, "ago": ago} for ago in (60, 120, 180)])
    code, out, _ = world.run("list", "--output", "json")
    assert code == 0
    (row,) = json.loads(out)
    assert (row["queue"], row["sources"], row["visible"]) == ("orders-dlq", ["orders"], 7)
    assert row["oldest_age_seconds"] == 3600
    assert row["expires_in_seconds_at_most"] == 345600 - 3600
    code, out, _ = world.run("list", "nothing-*", "-o", "json")
    assert json.loads(out) == []


async def test_inspect_groups_by_kind_and_leaves_everything_there(world):
    """Kinds with counts and ids, never a body; all messages are visible again."""
    await world.fill(3, BAD)
    await world.fill(2, TIMED_OUT)
    code, out, _ = world.run("inspect", "orders-dlq", "-o", "json")
    assert code == 0
    groups = {g["error"]: g for g in json.loads(out)["groups"]}
    assert {name: g["count"] for name, g in groups.items()} == {"ValidationError": 3, "ReadTimeout": 2}
    assert "errorType" not in out
    known = {m["id"] for m in await world.messages("orders-dlq")}
    assert set(groups["ReadTimeout"]["message_ids"]) < known
    assert len(known) == 5


async def test_a_dry_run_changes_nothing_and_says_what_would_be(world):
    """Counts, destination, and how many messages are of that kind; no message moved, deleted or left hidden."""
    await world.fill(3, BAD)
    await world.fill(2, TIMED_OUT)
    before = await world.messages("orders-dlq")
    _, out, _ = world.run("redrive-all", "orders-dlq", "--where", "ReadTimeout", "--dry-run", "-o", "json")
    seen = json.loads(out)
    assert (seen["visible"], seen["to"], seen["matching"]) == (5, "orders", 2)
    code, _, err = world.run("delete", "orders-dlq", "--where", "validationerror", "--dry-run")
    assert code == 0
    assert "nothing was changed" in err
    assert "matching: 3" in err
    assert await world.messages("orders-dlq") == before
    code, _, _ = world.run("inspect", "orders-dlq", "-o", "json")
    assert code == 0


async def test_without_a_yes_nothing_is_done(world):
    """No terminal, no --yes: refused, with the plan."""
    await world.fill(3)
    for words in (["redrive-all", "orders-dlq"], ["delete", "orders-dlq", "--where", "ValidationError"]):
        code, _, err = world.run(*words)
        assert code == 2
        assert "--yes" in err
    assert len(await world.messages("orders-dlq")) == 3
    world.environ["TRIPSWITCH_ACTIONS"] = "off"
    code, _, err = world.run("redrive-all", "orders-dlq", "--yes")
    assert (code, "actions are off" in err) == (4, True)


async def test_one_message_is_redriven_by_its_id(world):
    """The others stay, visible."""
    await world.fill(4)
    chosen = (await world.messages("orders-dlq"))[2]
    code, _, err = world.run("redrive", "orders-dlq", chosen["id"], "--yes")
    assert (code, "1 messages moved, 3 others given back" in err) == (0, True), err
    assert chosen["id"] not in {m["id"] for m in await world.messages("orders-dlq")}
    assert [m["body"] for m in await world.messages("orders")] == [BAD]


async def test_all_are_redriven_by_a_move_task_and_one_kind_by_hand(world):
    """`--where` takes some; without it AWS's own task takes the rest."""
    await world.fill(30, BAD)
    await world.fill(5, TIMED_OUT)
    code, out, _ = world.run("redrive-all", "orders-dlq", "--where", "ReadTimeout", "--yes", "-o", "json")
    assert (code, json.loads(out)["moved"]) == (0, 5)
    assert {m["body"] for m in await world.messages("orders")} == {TIMED_OUT}
    code, out, _ = world.run("redrive-all", "orders-dlq", "--yes", "-o", "json")
    assert (json.loads(out)["method"], json.loads(out)["moved"]) == ("move_task", 30)
    assert await world.messages("orders-dlq") == []
    assert len(await world.messages("orders")) == 35


async def test_delete_takes_only_what_is_meant(world):
    """Malformed letters go, the others stay."""
    await world.fill(3, '{"broken": ')
    await world.fill(2, TIMED_OUT)
    code, out, _ = world.run("delete", "orders-dlq", "--where", "malformed", "--yes", "-o", "json")
    assert (code, json.loads(out)["done"]) == (0, 3)
    assert {m["body"] for m in await world.messages("orders-dlq")} == {TIMED_OUT}
    assert world.run("delete", "orders-dlq", "--yes")[0] == 2


async def test_a_kill_in_the_middle_loses_nothing_and_the_double_is_named(world):
    """SIGKILL again and again between sends: repeated to its end, each body is there, extras are those it names."""
    bodies = {json.dumps({"errorType": "ValidationError", "n": n}) for n in range(40)}
    for body in bodies:
        await world.fill(1, body)
    words = ("redrive-all", "orders-dlq", "--where", "ValidationError", "--rate", "50", "--yes", "-o", "json")
    await world.side.post("faults", faults=[{"target": "sqs:DeleteMessage", "count": 1, "delay": 3.0}])
    for round_ in range(2):
        process = world.start(*words)
        began = time.monotonic()
        while len(await world.messages("orders")) < (1, 9)[round_] and time.monotonic() - began < 30:  # noqa: ASYNC110 (another process is watched)
            await asyncio.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=10)
        await world.side.post("clock", offset=90 * (round_ + 1))
    code, out, err = world.run(*words)
    assert code == 0, err
    there = [m["body"] for m in await world.messages("orders")]
    left = [m["body"] for m in await world.messages("orders-dlq")]
    assert bodies == {*there, *left}, "none is lost"
    assert left == []
    assert "went on with it" in err
    extra = len(there) - len(bodies)
    named = json.loads(out)["maybe_doubled"]
    assert 1 <= extra <= len(named) <= 2
    assert re.fullmatch(r"[0-9a-f-]{36}", named[0])
