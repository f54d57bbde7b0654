"""An engine wired whole, on virtual time, over an AWS of named properties and readings."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

from pydantic import Field

from monitor.core.model import Level, Missing, Mode, Risk, Severity
from monitor.core.spec import (
    AwsSpec,
    Bound,
    BreakerSpec,
    CheckSpec,
    Clear,
    LimitsSpec,
    Pipeline,
    RecoverSpec,
    SignalSpec,
    StepSpec,
    Term,
)
from monitor.core.view import BreakerView, Outcome
from monitor.engine.engine import Engine, EngineSettings, Outside
from monitor.engine.scheduler import Pace
from monitor.engine.supervisor import Supervisor
from monitor.engine.surface import EngineSurface
from monitor.plugin import (
    Action,
    ActionContext,
    ActionError,
    Change,
    Check,
    Json,
    Observation,
    Params,
    ProbeContext,
    ProbeError,
    Reason,
    Receipt,
    Registry,
    Signal,
)
from monitor.testing import FakeClock

ACCOUNT, REGION = "123456789012", "us-east-1"
UNSET = None


class Silent:
    """Counts calls by name and otherwise nothing."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name == "lag":
            return lambda *args: None
        return lambda *args: self.seen.append((name, args))


class World:
    """What AWS is in these tests: properties by name, readings by source, and everything that was asked."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.properties: dict[str, Json] = {}
        self.readings: dict[str, Any] = {}
        #: (operation, name, value) of every mutating call that had its effect.
        self.done: list[tuple[str, str, Json]] = []
        #: Called before each mutating call has its effect; may raise or wait.
        self.before: Callable[[str, str], Any] | None = None
        #: Called after the effect, before the reply.
        self.after: Callable[[str, str], Any] | None = None
        self.places: dict[AwsSpec, tuple[str, str] | Exception] = {}
        self.executions = 0

    def sets(self, name: str) -> list[Json]:
        """The values a property was given, in order."""
        return [value for operation, one, value in self.done if operation == "Set" and one == name]


class Hands:
    """Reads and gated writes on a World."""

    region = REGION

    def __init__(self, world: World, guard: Any = None) -> None:
        self.world, self.guard = world, guard

    async def account(self) -> str:
        return ACCOUNT

    async def call(self, aws_service: str, operation: str, **params: Any) -> Mapping[str, Any]:
        if operation == "GetReading":
            told = self.world.readings.get(params["Source"], {})
            told = told() if callable(told) else told
            if asyncio.iscoroutine(told):
                told = await told
            if isinstance(told, BaseException):
                raise told
            return {"Reading": told}
        if operation == "CountExecutions":
            return {"Count": self.world.executions}
        return {"Value": self.world.properties.get(params["Name"])}

    async def mutate(self, aws_service: str, operation: str, *, idempotent: bool = True, **params: Any) -> Any:
        await self.guard(aws_service, operation, 10.0)
        name, value = params["Name"], params.get("Value")
        for hook, effect in ((self.world.before, True), (self.world.after, False)):
            if effect:
                if hook is not None and asyncio.iscoroutine(waiting := hook(operation, name)):
                    await waiting
                self.world.done.append((operation, name, value))
                if operation == "Set":
                    self.world.properties[name] = value
                elif operation == "Stop":
                    self.world.executions -= 1
            elif hook is not None and asyncio.iscoroutine(waiting := hook(operation, name)):
                await waiting
        return {}

    def rate(self, aws_service: str, operation: str) -> float:
        return 10.0


class FakeCloud:
    """services.Cloud on a World."""

    def __init__(self, world: World) -> None:
        self.world = world

    def reads(self, spec: AwsSpec) -> Any:
        return Hands(self.world)

    def writes(self, spec: AwsSpec, guard: Any) -> Any:
        return Hands(self.world, guard)

    async def identity(self, spec: AwsSpec) -> tuple[str, str]:
        place = self.world.places.get(spec, (ACCOUNT, spec.region or REGION))
        if isinstance(place, Exception):
            raise place
        return place


# --- a kind and actions ---------------------------------------------------------------------------------------------


class GaugeParams(Params):
    """Which source."""

    source: str = Field(default="load", description="Name of the source.")


async def probe(params: GaugeParams, ctx: ProbeContext) -> Sequence[Observation]:
    reading = (await ctx.aws.call("test", "GetReading", Source=params.source))["Reading"]
    if not isinstance(reading, Mapping):
        return reading
    seen = []
    for target, value in reading.items():
        if isinstance(value, ProbeError):
            seen.append(Observation("level", target, None, reason=value.reason, detail=value.detail))
        else:
            seen.append(Observation("level", target, value, exists=True))
    return seen


GAUGE = Check(
    kind="gauge",
    summary="A number per target.",
    params=GaugeParams,
    probe=probe,
    signals=(Signal("level", "things", "A number."),),
    defaults={},
    permissions=(),
    cost="nothing",
    example="",
)


class SetParams(Params):
    """A property and its value."""

    name: str = Field(description="Property.")
    value: int | None = Field(default=None, description="Value.")


class NameParams(Params):
    """A thing."""

    name: str = Field(description="Thing.")


class DrainParams(Params):
    """How many at most."""

    limit: int | None = Field(default=None, description="At most.")


def _set_plan(params: SetParams, now: Any) -> Change:
    return Change(
        "cut", params.name, params.value, f"set {params.name} to {params.value}", params.model_dump(), "value"
    )


async def _capture(change: Change, ctx: ActionContext) -> Json:
    return (await ctx.aws.call("test", "GetProperty", Name=change.params["name"]))["Value"]


async def _put(change: Change, value: Json, ctx: ActionContext) -> Receipt:
    live = await _capture(change, ctx)
    if live == value:
        return Receipt(change, applied=live, detail="was so already")
    await ctx.aws.mutate("test", "Set", Name=change.params["name"], Value=value)
    live = await _capture(change, ctx)
    if live != value:
        raise ActionError(Reason.UNAVAILABLE, f"{change.params['name']} reads back as {live}")
    return Receipt(change, applied=live, changed=True)


async def _apply(change: Change, ctx: ActionContext) -> Receipt:
    return await _put(change, change.wanted, ctx)


async def _undo(receipt: Receipt, ctx: ActionContext) -> Receipt:
    return await _put(receipt.change, receipt.prior, ctx)


def _smallest(values: Sequence[Json]) -> Json:
    return min(value for value in values if isinstance(value, int))


def _thing_plan(action: str) -> Callable[[NameParams, Any], Change]:
    return lambda params, now: Change(action, params.name, None, f"{action} {params.name}", params.model_dump())


async def _nothing(change: Change, ctx: ActionContext) -> Json:
    return None


async def _purge(change: Change, ctx: ActionContext) -> Receipt:
    await ctx.aws.mutate("test", change.action.title(), idempotent=False, Name=change.params["name"])
    return Receipt(change, changed=True)


async def _drain(change: Change, ctx: ActionContext) -> Receipt:
    """One execution a second; resumable, because what runs is asked of AWS each time."""
    limit, stopped = change.params["limit"], int(ctx.memory.get("stopped", 0) or 0)
    while True:
        left = (await ctx.aws.call("test", "CountExecutions"))["Count"]
        await ctx.progress(stopped, left)
        if left == 0 or (limit is not None and stopped >= limit):
            return Receipt(change, changed=stopped > 0, data={"stopped": stopped, "remaining": left})
        await ctx.aws.mutate("test", "Stop", Name="execution")
        stopped += 1
        await ctx.remember(stopped=stopped)
        await ctx.sleep(1.0)


async def _say(change: Change, ctx: ActionContext) -> Receipt:
    failed = await ctx.notify([], "said", str(change.params["name"]))
    if failed:
        raise ActionError(Reason.DENIED, failed[0])
    return Receipt(change, changed=True)


def _action(name: str, risk: Risk, params: type[Params], plan: Any, apply: Any, **more: Any) -> Action[Any]:
    told = {"capture": _nothing, "undo": None, **more}
    return Action(
        name=name, summary=name, params=params, risk=risk, plan=plan, apply=apply, permissions=(), example="",
        blast_radius="", **told,
    )  # fmt: skip


ACTIONS = {
    "cut": _action(
        "cut", Risk.REVERSIBLE, SetParams, _set_plan, _apply, capture=_capture, undo=_undo,
        restrictive=_smallest, resource_field="name", cuts_of=lambda change: change.wanted == 0,
        backfill="run it again",
    ),
    "purge": _action("purge", Risk.DESTRUCTIVE, NameParams, _thing_plan("purge"), _purge, resource_field="name"),
    "kick": _action("kick", Risk.DISRUPTIVE, NameParams, _thing_plan("kick"), _purge, resource_field="name"),
    "drain": _action(
        "drain", Risk.DISRUPTIVE, DrainParams,
        lambda params, now: Change("drain", "executions", None, f"drain {params.limit}", params.model_dump()), _drain,
    ),
    "say": _action("say", Risk.NOTIFY, NameParams, _thing_plan("say"), _say),
}  # fmt: skip
REGISTRY = Registry({"gauge": GAUGE}, ACTIONS)


# --- words for specs ------------------------------------------------------------------------------------------------


def step(verb: str, /, id: str | None = None, on_error: str = "hold", approve: str | None = None,
         enforce: bool = False, **params: Any) -> StepSpec:  # fmt: skip
    """`step("cut", name="gate", value=0)`; `step("undo", steps=["cut"])`."""
    return StepSpec(id or verb, verb, params, on_error, approve, enforce)


def check(name: str = "load", pipeline: str = "etl", **more: Any) -> CheckSpec:
    """Critical above 10, every 10 s."""
    told: dict[str, Any] = {
        "interval": timedelta(seconds=10),
        "timeout": timedelta(seconds=5),
        "signals": {"level": SignalSpec(critical=Bound(above=10), missing=Missing.UNKNOWN)},
        "targets": ("a",),
    }
    told |= more
    return CheckSpec(pipeline, name, "gauge", GaugeParams(source=name), units={"level": "things"}, **told)


def holds(seconds: float, clear: float = 0.0) -> dict[str, SignalSpec]:
    """Critical above 10 for `seconds`; clear below 5 for `clear`."""
    bound = Bound(above=10, hold=timedelta(seconds=seconds), clear=Clear(below=5, hold=timedelta(seconds=clear)))
    return {"level": SignalSpec(critical=bound, missing=Missing.UNKNOWN)}


def breaker(name: str = "loop", *on_trip: StepSpec, pipeline: str = "etl", **more: Any) -> BreakerSpec:
    """Auto, trips when `load` is critical, recovers by itself after 60 s with a trial of 60 s."""
    told: dict[str, Any] = {
        "mode": Mode.AUTO,
        "condition": Term("load"),
        "recover": RecoverSpec("auto", timedelta(seconds=60), timedelta(seconds=60)),
        "limits": LimitsSpec(trips_per_day=None),
    }
    told |= more
    return BreakerSpec(pipeline, name, Severity.SEV2, on_trip=on_trip or (step("cut", name="gate", value=0),), **told)


def pipeline(*parts: CheckSpec | BreakerSpec, name: str = "etl", aws: AwsSpec | None = None, **more: Any) -> Pipeline:
    """One pipeline of these checks and breakers."""
    checks = {part.name: part for part in parts if isinstance(part, CheckSpec)}
    breakers = {part.name: part for part in parts if isinstance(part, BreakerSpec)}
    checks = {key: replace(one, pipeline=name) for key, one in (checks or {"load": check()}).items()}
    breakers = {key: replace(one, pipeline=name) for key, one in breakers.items()}
    return Pipeline(name, f"{name}.yaml", aws or AwsSpec(), checks, breakers, **more)


# --- the rig --------------------------------------------------------------------------------------------------------


class Rig:
    """An engine that can be started, stopped, killed and started again over one store and one world."""

    def __init__(self, store: Any, clock: FakeClock, *, pump: float = 0.0, owner: str = "one") -> None:
        self.store, self.clock, self.pump, self.owner = store, clock, pump, owner
        self.world = World(clock)
        self.world.readings["load"] = {"a": 1.0}
        self.world.properties["gate"] = 100
        self.meter = Silent()
        self.posts: list[tuple[str, str, str, str]] = []
        self.notices: list[str] = []
        self.failing_notices: list[str] = []
        self.broken: dict[tuple[str, str], str] = {}
        self.parameters: dict[str, Any] = {}
        self.kill_file: Any = None
        self.engine: Engine
        self.surface: EngineSurface
        self.supervisor: Supervisor | None = None

    async def start(self, *pipelines: Pipeline, actions_on: bool = True) -> None:
        """A new process's engine over what the store holds."""
        await self.store.open()
        self.supervisor = Supervisor()
        outside = Outside(
            clock=self.clock, store=self.store, meter=self.meter, registry=REGISTRY, cloud=FakeCloud(self.world),
            notify=self._notify, post=self._post, broken_places=lambda: self.broken, read_parameter=self._parameter,
        )  # fmt: skip
        settings = EngineSettings(self.owner, "0", actions_on, self.kill_file, True, Pace(64, 1.0))
        self.engine = Engine(outside, self.supervisor, settings)
        self.surface = EngineSurface(self.engine, self.store, self.clock, REGISTRY, self._no_reload)
        self.engine.config.at = self.clock.now()
        await self.engine.start(pipelines)

    async def stop(self) -> None:
        """The shutdown ladder."""
        if self.supervisor is None:
            return
        await self.engine.stop()
        await asyncio.wait_for(self._ladder(), 20)
        await self.engine.released()
        self.supervisor = None

    async def kill(self) -> None:
        """As SIGKILL would: tasks vanish, nothing is written."""
        assert self.supervisor is not None
        tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)
        self.supervisor = None
        await self.store.close()

    async def _ladder(self) -> None:
        assert self.supervisor is not None
        task = asyncio.ensure_future(self.supervisor.shutdown(5.0))
        while not task.done():
            await self.clock.advance(0.5)
            await asyncio.sleep(0.001)
        assert task.result() == []

    async def run(self, seconds: float) -> None:
        """Let virtual time pass."""
        if not self.pump:
            await self.clock.advance(seconds)
            return
        left = seconds
        while left > 0:
            await self.clock.advance(min(0.5, left))
            await asyncio.sleep(self.pump)
            left -= 0.5

    async def until(self, holds: Callable[[], Any], most: float = 600, step: float = 1.0) -> float:
        """Let time pass until `holds()`; the seconds that took. Fails after `most`."""
        passed = 0.0
        while not holds():
            assert passed < most, f"not within {most}s: {self.told()[-12:]}"
            await self.run(step)
            passed += step
        return passed

    async def ask(self, command: Any, most: float = 60) -> Outcome:
        """A person's command, while time goes on."""
        task = asyncio.ensure_future(command)
        passed = 0.0
        await self.run(0.01)
        while not task.done():
            assert passed < most, "the command is not answered"
            await self.run(0.5)
            passed += 0.5
        return task.result()

    def breaker(self, key: str = "etl/loop") -> BreakerView:
        """One breaker as people see it."""
        return next(b for b in self.surface.breakers() if f"{b.pipeline}/{b.name}" == key)

    def is_in(self, state: str, key: str = "etl/loop") -> Callable[[], bool]:
        """For `until`."""
        return lambda: any(f"{b.pipeline}/{b.name}" == key and b.state == state for b in self.surface.breakers())

    def level(self, key: str = "etl/load") -> Level:
        """The worst level of a check."""
        board = self.engine.board.get(key)
        assert board is not None
        return max(board.levels().values(), key=lambda one: one.rank, default=Level.UNKNOWN)

    def told(self, event: str | None = None) -> list[str]:
        """Events of the feed, or the texts of one event."""
        _, events = self.engine.feed.since(0)
        if event is None:
            return [str(e["event"]) for e in events]
        return [str(e.get("text", "")) for e in events if e["event"] == event]

    def load(self, value: Any, source: str = "load") -> None:
        """What the gauge reads from now on: a number on `a`, a mapping, or an error."""
        self.world.readings[source] = {"a": value} if isinstance(value, (int, float)) else value

    async def _notify(self, urls: Sequence[str], title: str, body: str, severity: str) -> list[str]:
        self.notices.append(body)
        return list(self.failing_notices)

    def _post(self, name: str, severity: Severity, key: str, title: str, body: str) -> None:
        self.posts.append((name, severity.value, key, title))

    def _parameter(self, spec: AwsSpec, name: str) -> Any:
        async def read() -> str:
            value = self.parameters[name]
            if isinstance(value, Exception):
                raise value
            return str(value)

        return read

    async def _no_reload(self, by: str) -> Outcome:
        return Outcome(True, "")
