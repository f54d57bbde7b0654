"""What `tripswitch demo` can show: incidents, their breakers, and what proves each stage.

A stage is proven by looking into the emulator, not by believing the daemon: the rule's state, the executions, the
queues. `Stage.look` may be asked many times; once it was true it stays so.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from monitor.demo.incidents import (
    CostSpike,
    DeadLetters,
    Driver,
    EventLoop,
    StuckExecutions,
    Throttling,
)
from monitor.demo.world import DEAD, RAW, RESERVED, World, pattern

#: A looping workflow, and a calm one, in executions per minute (the runbook's numbers).
LOOPING, CALM = 200, 100


@dataclass(slots=True)
class Scene:
    """What is known while the demo runs: the world, and the breaker as the daemon last showed it."""

    world: World
    driver: Any
    breaker: Mapping[str, Any] = field(default_factory=dict)
    memory: dict[str, Any] = field(default_factory=dict)
    #: (event, text) of the breaker, as the daemon told them.
    events: list[tuple[str, str]] = field(default_factory=list)

    @property
    def state(self) -> str:
        """Of the breaker; closed before the daemon said anything."""
        return str(self.breaker.get("state", "closed"))

    def tripped(self) -> bool:
        """It is, or has been."""
        if self.state != "closed":
            self.memory["tripped"] = True
        return bool(self.memory.get("tripped"))

    def closed_again(self) -> bool:
        """After a trip."""
        return self.tripped() and self.state == "closed"

    def verified(self) -> bool:
        """The recovery's verify step is done: said by the event feed, since the steps are gone once it closed."""
        return any(name == "step.done" and text.startswith("verify") for name, text in self.events)


Look = Callable[[Scene], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Stage:
    """One thing that must come true, in order."""

    name: str
    text: str
    look: Look


@dataclass(frozen=True, slots=True)
class Watch:
    """The reading the screen shows against its threshold."""

    check: str
    signal: str
    threshold: float
    unit: str


@dataclass(frozen=True, slots=True)
class Scenario:
    """One incident. `seconds` is how long it may take; `environment` shortens the pipeline file's timings."""

    name: str
    title: str
    breaker: str
    make: Callable[[World], Driver]
    watch: Watch
    stages: tuple[Stage, ...]
    seconds: float = 150
    environment: Mapping[str, str] = field(default_factory=dict)


_FAST = {"INTERVAL": "2s", "WAIT": "5s", "HOLD": "3s", "VERIFY": "2s", "TRIAL": "4s"}


# --- the event loop ---------------------------------------------------------------------------------------------------


async def _loop_detected(scene: Scene) -> bool:
    seen = await scene.world.executions()
    scene.memory["peak"] = max(scene.memory.get("peak", 0), seen["recent"])
    return scene.tripped() and bool(scene.memory["peak"] > LOOPING)


async def _loop_cut(scene: Scene) -> bool:
    """Disabled, and nothing started between two looks."""
    if await scene.world.rule_state() != "DISABLED":
        return False
    total = (await scene.world.executions())["total"]
    before = scene.memory.get("total")
    scene.memory["total"] = total
    return bool(before == total)


async def _loop_drained(scene: Scene) -> bool:
    seen = await scene.world.executions()
    return seen["RUNNING"] == 0 and seen.get("ABORTED", 0) > 0 and await scene.world.rule_state() == "DISABLED"


async def _loop_verified(scene: Scene) -> bool:
    return scene.verified() and (await scene.world.executions())["recent"] < CALM


async def _loop_restored(scene: Scene) -> bool:
    """Enabled with the corrected pattern; ordinary files start executions again, and nothing else does."""
    if await scene.world.rule_state() != "ENABLED" or await scene.world.rule_pattern() != pattern(RAW):
        return False
    seen = await scene.world.executions()
    return seen["total"] > scene.memory["total"] and seen["recent"] < CALM


EVENT_LOOP = Scenario(
    name="event-loop",
    title="An S3 event loop: every output of the workflow starts it again",
    breaker="s3-event-loop",
    make=EventLoop,
    watch=Watch("execution-rate", "started_per_minute", LOOPING, "executions/min"),
    stages=(
        Stage("detected", "more than 200 executions a minute were seen, and the breaker tripped", _loop_detected),
        Stage("cut", "the rule is DISABLED and nothing starts any more", _loop_cut),
        Stage("drained", "no execution is RUNNING", _loop_drained),
        Stage("verified", "the rate is back below 100 a minute", _loop_verified),
        Stage("restored", "the rule is ENABLED with the corrected pattern, and ordinary files run", _loop_restored),
    ),
    environment={**_FAST, "SURGE_FOR": "2s", "RATE_CLEAR": "1s", "VERIFY": "1s"},
)


# --- stuck executions -------------------------------------------------------------------------------------------------


async def _hung(scene: Scene) -> list[Mapping[str, Any]]:
    client = await scene.world.aws("stepfunctions")
    arns = sorted(scene.driver.workflow.hung)
    return [await client.describe_execution(executionArn=arn) for arn in arns]


async def _stuck_detected(scene: Scene) -> bool:
    return scene.tripped() and len(await _hung(scene)) == StuckExecutions.COUNT


async def _stuck_stopped(scene: Scene) -> bool:
    return all(one["status"] == "ABORTED" and one.get("cause") for one in await _hung(scene))


async def _stuck_rerun(scene: Scene) -> bool:
    """Each hung execution was started once more, with its input, and succeeded."""
    client = await scene.world.aws("stepfunctions")
    told = await scene.world.side.get("executions", status="SUCCEEDED", arns="1")
    again = [arn for arn in told["arns"] if ":retry-" in arn]
    if len(again) != StuckExecutions.COUNT:
        return False
    inputs = sorted([(await client.describe_execution(executionArn=arn))["input"] for arn in again])
    return inputs == sorted(one["input"] for one in await _hung(scene))


async def _verified(scene: Scene) -> bool:
    return scene.verified()


async def _closed(scene: Scene) -> bool:
    return scene.closed_again()


STUCK = Scenario(
    name="stuck-execution",
    title="Executions that have hung for two hours",
    breaker="stuck-execution",
    make=StuckExecutions,
    watch=Watch("stuck-executions", "stuck", 0, "executions"),
    stages=(
        Stage("detected", "four executions have been RUNNING for two hours, and the breaker tripped", _stuck_detected),
        Stage("stopped", "each is ABORTED, with a cause", _stuck_stopped),
        Stage("rerun", "each ran once more with its input and succeeded", _stuck_rerun),
        Stage("verified", "nothing is stuck", _verified),
        Stage("closed", "the breaker is closed again", _closed),
    ),
    environment=_FAST,
)


# --- throttling -------------------------------------------------------------------------------------------------------


async def _throttle_detected(scene: Scene) -> bool:
    return scene.tripped()


async def _throttle_raised(scene: Scene) -> bool:
    if await scene.world.reserved() == 200:
        scene.memory["raised"] = True
    return bool(scene.memory.get("raised"))


async def _throttle_relieved(scene: Scene) -> bool:
    """The same load, and nothing is refused any more."""
    return bool(scene.driver.needed > RESERVED and scene.driver.throttled == 0)


async def _throttle_restored(scene: Scene) -> bool:
    return bool(scene.memory.get("raised")) and await scene.world.reserved() == RESERVED


THROTTLING = Scenario(
    name="throttling",
    title="A function throttled at its reserved concurrency",
    breaker="ingest-throttling",
    make=Throttling,
    watch=Watch("ingest-throttles", "throttled", 0, "requests"),
    stages=(
        Stage("detected", "ingest-handler is throttled, and the breaker tripped", _throttle_detected),
        Stage("raised", "its reserved concurrency is 200", _throttle_raised),
        Stage("relieved", "the same load is refused no more", _throttle_relieved),
        Stage("verified", "a whole window passed without a throttle", _verified),
        Stage("restored", "its reserved concurrency is 100 again", _throttle_restored),
        Stage("closed", "the breaker is closed again", _closed),
    ),
    seconds=300,
    environment={**_FAST, "THROTTLE_WINDOW": "1m", "THROTTLE_FOR": "4s"},
)


# --- dead letters -----------------------------------------------------------------------------------------------------


async def _dead_detected(scene: Scene) -> bool:
    return scene.tripped() and await scene.world.depth(DEAD) > 10


async def _dead_redriven(scene: Scene) -> bool:
    return bool(scene.driver.repaired) and await scene.world.depth(DEAD) == 0


async def _dead_processed(scene: Scene) -> bool:
    """Conservation: every message that was ever sent was processed, and none twice."""
    return sorted(scene.driver.processed) == sorted(scene.driver.sent)


DLQ = Scenario(
    name="dlq-buildup",
    title="A batch the consumer can't read fills the dead-letter queue",
    breaker="ingest-dead-letters",
    make=DeadLetters,
    watch=Watch("ingest-dead-letters", "visible", 10, "messages"),
    stages=(
        Stage("detected", "more than ten dead letters, and the breaker tripped", _dead_detected),
        Stage("redriven", "the repaired consumer got them back: the dead-letter queue is empty", _dead_redriven),
        Stage("processed", "every message was processed exactly once", _dead_processed),
        Stage("verified", "none came back", _verified),
        Stage("closed", "the breaker is closed again", _closed),
    ),
    environment={**_FAST, "DLQ_FOR": "4s"},
)


# --- cost -------------------------------------------------------------------------------------------------------------


async def _flag_set(scene: Scene) -> bool:
    if await scene.world.flag() == "economy":
        scene.memory["economy"] = True
    return bool(scene.memory.get("economy"))


async def _economies(scene: Scene) -> bool:
    """The lasting cuts, each approved by a person."""
    return await scene.world.economies() == {"memory": 512, "billing": "PAY_PER_REQUEST", "retention": 7}


async def _all_verified(scene: Scene) -> bool:
    return sum(name == "step.done" and text.startswith("verify") for name, text in scene.events) >= 2


async def _flag_back(scene: Scene) -> bool:
    return bool(scene.memory.get("economy")) and await scene.world.flag() == "normal"


COST = Scenario(
    name="cost-spike",
    title="The month's budget is past 80 % and the last days cost many times the usual",
    breaker="cost-spike",
    make=CostSpike,
    watch=Watch("cost", "budget_used", 0.8, "of the budget"),
    stages=(
        Stage("detected", "the budget is past 80 %, and the breaker tripped", _throttle_detected),
        Stage("contained", "the pipeline's flag says economy", _flag_set),
        Stage("cut", "smaller memory, on-demand table, shorter logs: each after an approval", _economies),
        Stage("verified", "the budget's use and the dollars per hour are back in bounds", _all_verified),
        Stage("restored", "the flag says normal again", _flag_back),
        Stage("closed", "the breaker is closed again", _closed),
    ),
    seconds=300,
    environment={**_FAST, "COST_INTERVAL": "2s", "COST_FOR": "4s", "COST_WINDOW": "1m"},
)

SCENARIOS: Mapping[str, Scenario] = {one.name: one for one in (EVENT_LOOP, STUCK, THROTTLING, DLQ, COST)}


def scenario_list() -> list[tuple[str, str]]:
    """(name, one line) of every scenario, the best first."""
    return [(one.name, one.title) for one in SCENARIOS.values()]
