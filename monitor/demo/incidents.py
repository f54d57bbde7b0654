"""What goes wrong in the demo's world, as drivers that run beside the emulator and speak AWS's own API.

A driver plays the workloads: it finishes executions, writes their objects, consumes messages, reports metrics. It
honours what AWS would: a disabled rule starts nothing, a paused mapping reads nothing, a reserved 0 runs nothing. It
never looks at the daemon. `fix` is what a person does about the cause (the corrected pattern, the repaired consumer).
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from monitor.demo.world import (
    BUDGET,
    DEAD,
    INGEST,
    MACHINE,
    MACHINE_NAME,
    PROCESSED,
    QUEUE,
    RAW,
    RULE,
    TABLE,
    TRANSFORM,
    World,
    pattern,
)

#: Between two looks of a driver at its world.
TICK = 0.25


class Driver(Protocol):
    """An incident under way. `run` goes on until it is cancelled."""

    async def run(self) -> None: ...

    async def fix(self) -> str:
        """Remove the cause as a person would; what was done, in a few words."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How the event loop unfolds. Times in seconds."""

    calm: float = 1.0  # before the bad pattern is deployed
    normal: float = 2.0  # between two ordinary files
    generation: float = 1.0  # from an execution's start to its output
    outputs: int = 2  # objects an execution writes: what doubles
    lifetime: float = 60.0  # from start to success
    writes_per_second: float = 50.0  # what the account's concurrency lets through
    total: int = 3000  # executions altogether, for the machine's sake


@dataclass(slots=True)
class Workflow:
    """Plays the state machine: every execution writes its objects after a while and succeeds later."""

    world: World
    pace: Pace
    #: ARNs whose execution never goes on.
    hung: frozenset[str] = frozenset()
    seen: int = 0
    files: int = 0
    #: Writes allowed now, one token each.
    tokens: float = 0.0
    writing: list[tuple[float, str]] = field(default_factory=list)
    ending: list[tuple[float, str]] = field(default_factory=list)

    async def feed(self, count: int = 1) -> None:
        """Ordinary files arrive."""
        s3 = await self.world.aws("s3")
        for _ in range(count):
            self.files += 1
            await s3.put_object(Bucket=RAW, Key=f"incoming/file-{self.files:05}.csv", Body=b"a,b\n1,2\n")

    async def step(self, seconds: float) -> None:
        """Play what happens in this much time."""
        now, side = time.monotonic(), self.world.side
        fresh = (await side.get("executions", state_machine=MACHINE_NAME, arns="1", skip=str(self.seen)))["arns"]
        self.seen += len(fresh)
        self.writing += [(now + self.pace.generation, arn) for arn in fresh if arn not in self.hung]
        self.tokens = min(self.tokens + seconds * self.pace.writes_per_second, self.pace.writes_per_second)
        await self._write(now)
        done = [arn for at, arn in self.ending if at <= now]
        if done:
            self.ending = [(at, arn) for at, arn in self.ending if at > now]
            await side.post("executions/finish", arn=done, output='{"status": "processed"}')

    async def _write(self, now: float) -> None:
        outputs = self.pace.outputs
        room = int(self.tokens // outputs) if self.seen < self.pace.total else len(self.writing)
        due = [arn for at, arn in self.writing if at <= now][: max(0, room)]
        if not due:
            return
        chosen = frozenset(due)
        self.writing = [pair for pair in self.writing if pair[1] not in chosen]
        self.tokens -= len(due) * outputs
        ends = now + self.pace.lifetime - self.pace.generation
        self.ending += [(ends, arn) for arn in due]
        await self.world.side.post("executions/enter", arn=due, state="Catalog")
        if self.seen < self.pace.total:
            names = [f"{arn.rsplit(':', 1)[-1]}/part-{part}.parquet" for arn in due for part in range(outputs)]
            await _in_parallel(self._put, names)

    async def _put(self, name: str) -> None:
        s3 = await self.world.aws("s3")
        await s3.put_object(Bucket=PROCESSED, Key=name, Body=b"parquet")


class EventLoop:
    """A deploy adds the processed bucket to the rule's pattern: every output starts the next execution.

    The doubling needs no help: each execution writes two objects, S3 tells EventBridge, and the emulator starts what
    the rule, while it is enabled, asks for. Runbook: S3 Event Loop (Infinite Triggering).
    """

    def __init__(self, world: World, pace: Pace | None = None) -> None:
        self._world = world
        self.workflow = Workflow(world, pace or Pace())

    async def run(self) -> None:
        """A little calm, the deploy, and then whatever happens."""
        pace, began, next_file, broken = self.workflow.pace, time.monotonic(), 0.0, False
        last = began
        while True:
            now = time.monotonic()
            if now >= next_file:
                await self.workflow.feed()
                next_file = now + pace.normal
            if not broken and now >= began + pace.calm:
                await self._deploy(pattern(RAW, PROCESSED), "ENABLED")
                await self.workflow.feed(3)
                broken = True
            await self.workflow.step(now - last)
            last = now
            await asyncio.sleep(TICK)

    async def fix(self) -> str:
        """The runbook's corrected pattern, tested first, without enabling the rule (PutRule would by default)."""
        events, fixed = await self._world.aws("events"), json.dumps(pattern(RAW))
        matches = []
        for bucket in (RAW, PROCESSED):
            event = {
                "id": "1", "account": "1", "time": "2026-01-01T00:00:00Z", "region": "us-east-1", "resources": [],
                "source": "aws.s3", "detail-type": "Object Created", "detail": {"bucket": {"name": bucket}},
            }  # fmt: skip
            answer = await events.test_event_pattern(EventPattern=fixed, Event=json.dumps(event))
            matches.append(answer["Result"])
        if matches != [True, False]:
            raise RuntimeError(f"the corrected pattern matches {matches}, not the raw bucket alone")
        state = await self._world.rule_state()
        await self._deploy(pattern(RAW), state)
        return f"corrected the pattern of {RULE} to {RAW} alone (tested, left {state})"

    async def _deploy(self, wanted: dict[str, Any], state: str) -> None:
        await (await self._world.aws("events")).put_rule(Name=RULE, EventPattern=json.dumps(wanted), State=state)


class StuckExecutions:
    """Some executions have hung in Transform for two hours; everything started since succeeds, reruns too."""

    COUNT, HOURS = 4, 2

    def __init__(self, world: World) -> None:
        self._world = world
        calm = Pace(outputs=1, generation=1.0, lifetime=2.5, normal=3.0)
        self.workflow = Workflow(world, calm)

    async def run(self) -> None:
        """Hang some, then ordinary work."""
        client = await self._world.aws("stepfunctions")
        hung = []
        for number in range(self.COUNT):
            key = f"incoming/hung-{number}.csv"
            given = json.dumps({"detail": {"bucket": {"name": RAW}, "object": {"key": key}}})
            started = await client.start_execution(stateMachineArn=MACHINE, name=f"hung-{number}", input=given)
            hung.append(started["executionArn"])
        await self._world.side.post("executions/enter", arn=hung, state="Transform")
        await self._world.side.post("executions/age", arn=hung, seconds=self.HOURS * 3600)
        self.workflow.hung = frozenset(hung)
        last, next_file = time.monotonic(), 0.0
        while True:
            now = time.monotonic()
            if now >= next_file:
                await self.workflow.feed()
                next_file = now + self.workflow.pace.normal
            await self.workflow.step(now - last)
            last = now
            await asyncio.sleep(TICK)

    async def fix(self) -> str:
        """The cause (a call without a timeout) is repaired before the demo begins: reruns succeed."""
        return "added the missing timeout to transform-handler"


class Throttling:
    """More work than ingest-handler's reserved concurrency takes: throttles until it is raised. Runbook E1."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.needed = 140  # concurrent executions the work asks for
        self.throttled = 0  # a minute, at present

    async def run(self) -> None:
        """Six bad minutes behind, then as the reserved concurrency goes."""
        await self._report([60.0 * n for n in range(1, 7)], 60)
        while True:
            await asyncio.sleep(5)
            await self._report([0.0], 5)

    async def _report(self, agos: Sequence[float], seconds: float) -> None:
        """Metric points that each stand for so many seconds."""
        reserved = await self._world.reserved()
        limit = self.needed if reserved is None else reserved
        names = {"FunctionName": INGEST}
        self.throttled = max(0, self.needed - limit)
        values = {
            "Throttles": self.throttled * seconds / 60,
            "ConcurrentExecutions": float(min(self.needed, limit)),
            "Invocations": min(self.needed, limit) * seconds,
        }
        points = [
            {"namespace": "AWS/Lambda", "metric": metric, "value": value, "dimensions": names, "ago": ago}
            for metric, value in values.items()
            for ago in agos
        ]
        await self._world.side.post("metrics", points=points)

    async def fix(self) -> str:
        """The work calms down: 60 concurrent executions suffice."""
        self.needed = 60
        return "spread the backfill: 60 concurrent executions suffice again"


class DeadLetters:
    """A batch the consumer can't read ends in the dead-letter queue; repaired, it takes every message. Runbook A1."""

    POISON = 25

    def __init__(self, world: World) -> None:
        self._world = world
        self.repaired = False
        self.sent: set[str] = set()
        self.processed: list[str] = []

    async def run(self) -> None:
        """Send the batch and good messages after it; consume for ever."""
        sqs, url = await self._world.aws("sqs"), await self._world.queue_url(QUEUE)
        for number in range(self.POISON):
            await self._send(sqs, url, f"bad-{number}")
        good, queue = 0, {"QueueName": DEAD}
        while True:
            age = {"namespace": "AWS/SQS", "metric": "ApproximateAgeOfOldestMessage", "value": 30, "dimensions": queue}
            await self._world.side.post("metrics", points=[age])
            if good < 10:
                await self._send(sqs, url, f"good-{good}")
                good += 1
            if await self._reads():
                await self._consume(sqs, url)
            await asyncio.sleep(TICK)

    async def _send(self, sqs: Any, url: str, name: str) -> None:
        self.sent.add(name)
        await sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"file": name}))

    async def _reads(self) -> bool:
        """The mapping is on and the function may run."""
        told = await (await self._world.aws("lambda")).list_event_source_mappings(FunctionName=INGEST)
        states = [mapping["State"] for mapping in told["EventSourceMappings"]]
        return "Enabled" in states and await self._world.reserved() != 0

    async def _consume(self, sqs: Any, url: str) -> None:
        got = await sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=5)
        for message in got.get("Messages", []):
            name = json.loads(message["Body"])["file"]
            handle = message["ReceiptHandle"]
            if name.startswith("bad-") and not self.repaired:
                await sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0)
            else:
                tables = await self._world.aws("dynamodb")
                await tables.put_item(TableName=TABLE, Item={"key": {"S": name}})
                await sqs.delete_message(QueueUrl=url, ReceiptHandle=handle)
                self.processed.append(name)

    async def fix(self) -> str:
        """The consumer learns the new format."""
        self.repaired = True
        return f"deployed {INGEST} with support for the batch's format"


class CostSpike:
    """The last two days cost many times the usual, the budget is past 80 %, and the meters still run. Runbook E4."""

    DAYS, USUAL, SPIKE = 42, 3.0, 41.0

    def __init__(self, world: World) -> None:
        self._world = world
        self.runaway = True

    async def run(self) -> None:
        """The books are set once, the meters go on."""
        today, rows = datetime.now(UTC).date(), []
        for ago in range(1, self.DAYS + 1):
            date = (today - timedelta(days=ago)).isoformat()
            for service, share in (("AWS Lambda", 0.6), ("AWS Step Functions", 0.3), ("Amazon DynamoDB", 0.1)):
                amount = (self.SPIKE if ago <= 2 else self.USUAL) * share
                rows.append({"date": date, "service": service, "amount": amount, "tags": {"pipeline": "etl"}})
        await self._world.side.post("cost", rows=rows)
        await self._world.side.post("budgets", budget=BUDGET, actual=86.0, forecasted=171.0)
        await self._meter([60.0 * n for n in range(1, 16)], 60)
        while True:
            await asyncio.sleep(10)
            await self._meter([0.0], 10)

    async def _meter(self, agos: Sequence[float], seconds: float) -> None:
        """Metric points that each stand for so many seconds."""
        factor = (50.0 if self.runaway else 1.0) * seconds / 60
        function, machine = {"FunctionName": TRANSFORM}, {"StateMachineArn": MACHINE}
        values = [
            ("AWS/Lambda", "Invocations", 200 * factor, function),
            ("AWS/Lambda", "Duration", 200 * factor * 2500.0, function),
            ("AWS/States", "ExecutionsStarted", 40 * factor, machine),
        ]
        points = [
            {"namespace": space, "metric": metric, "value": value, "dimensions": dimensions, "ago": ago}
            for space, metric, value, dimensions in values
            for ago in agos
        ]
        await self._world.side.post("metrics", points=points)

    async def fix(self) -> str:
        """The runaway ends and finance raises the month's budget."""
        self.runaway = False
        await self._world.side.post("budgets", budget=BUDGET, actual=61.0, forecasted=78.0)
        return "stopped the runaway backfill; spend is back below 80 % of the budget"


async def _in_parallel(call: Callable[[str], Awaitable[None]], names: Sequence[str], width: int = 8) -> None:
    """At most `width` calls at once."""
    waiting = list(reversed(names))

    async def work() -> None:
        while waiting:
            await call(waiting.pop())

    async with asyncio.TaskGroup() as group:
        for _ in range(min(width, len(names))):
            group.create_task(work())
