"""A scene: one incident, replayed against the emulator and the real engine, with both their clocks in hand.

See docs/scenarios.md for how to write one.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from emulated import Emulated
from scene_clock import SceneClock, Sleeper
from traffic import Request, Wire, mutating

from monitor.app import Boot, Running, alone, registry
from monitor.config import Loaded
from monitor.core.durations import parse_duration
from monitor.core.model import Level, Row
from monitor.core.view import BreakerView, IncidentView, Outcome
from monitor.demo.emulator.child import KEYS, REGION
from monitor.settings import Settings
from monitor.store.memory import MemoryStore
from monitor.telemetry import Redactor

#: Tasks of checks and of the reader; the nap that bounds a run is none of them.
_READS, _DEADLINE = ("check:", "probe:", "aws."), "probe:deadline"
_ACTIONS = "breaker:"
#: Who sleeps no longer than this is paced; who sleeps longer waits for the world.
_PACE = 0.25
#: So many looks (of half a millisecond) without a request under way: whatever is left waits for time.
_IDLE = 40
#: Real seconds after which something hangs.
_PATIENCE = 30.0

Span = str | float | timedelta
Play = Callable[[], Awaitable[None]]
Holds = Callable[[], bool | Awaitable[bool]]


def seconds_of(span: Span) -> float:
    """`5m`, 300 or a timedelta."""
    return float(span) if isinstance(span, (int, float)) else parse_duration(span).total_seconds()


@dataclass(slots=True)
class Stage:
    """What a scene stands on: the emulator, the wire, the pipeline as cut for it, and its time."""

    emulated: Emulated
    wire: Wire
    loaded: Loaded
    environ: Mapping[str, str]
    clock: SceneClock
    step: float


@dataclass(slots=True)
class Scene:
    """Made by the fixture `stage`. Build the world, `begin`, cause the fault, `until` what must happen has happened."""

    stage: Stage
    stack: AsyncExitStack
    log: list[Mapping[str, Any]] = field(default_factory=list)
    _running: Running | None = None
    _session: Any = field(default_factory=get_session)
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict)
    _plays: list[Play] = field(default_factory=list)
    _heard: int = 0

    # --- the world --------------------------------------------------------------------------------------------------

    @property
    def side(self) -> Emulated:
        """The emulator's control door: `post` and `get`."""
        return self.stage.emulated

    @property
    def clock(self) -> SceneClock:
        """The scene's time (read it; `advance` moves it)."""
        return self.stage.clock

    @property
    def url(self) -> str:
        """Where the emulator listens."""
        return self.stage.emulated.url

    async def aws(self, service: str, region: str = REGION) -> Any:
        """An SDK client of the world's own, made once; it tries once."""
        key = (service, region)
        if key not in self._clients:
            making = self._session.create_client(
                service,
                region_name=region,
                endpoint_url=self.url,
                aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
                config=AioConfig(retries={"total_max_attempts": 1}, read_timeout=20),
            )
            self._clients[key] = await self.stack.enter_async_context(making)
        return self._clients[key]

    async def meter(
        self, namespace: str, metric: str, value: float | None, *, since: Span = 0, unit: str = "", **dimensions: str
    ) -> None:
        """From now on the metric has a point of `value` each minute (None: no more points).

        `since` puts the same points into the past as well, one per minute. Calling it again changes the value.
        """
        key = (namespace, metric, *sorted(dimensions.items()))
        if value is None:
            self.side.meters.pop(key, None)
            return
        point = {"namespace": namespace, "metric": metric, "value": value, "dimensions": dimensions}
        if unit:
            point["unit"] = unit
        self.side.meters[key] = point
        past = [{**point, "ago": 60.0 * n} for n in range(int(seconds_of(since) // 60) + 1)]
        await self.side.post("metrics", points=past)

    def play(self, go_on: Play) -> None:
        """Call `go_on()` after every step from now on: what the world does by itself (read `clock` for the time)."""
        self._plays.append(go_on)

    # --- the daemon -------------------------------------------------------------------------------------------------

    async def begin(self) -> None:
        """Start the engine; returns when every check has run once."""
        stage = self.stage
        settings = Settings.from_sources(
            {"store": "sqlite:///unused.db", "endpoint": self.url, "listen": "127.0.0.1:0", "grace": "5s"}
        )
        store = MemoryStore(stage.clock)
        boot = Boot((), settings, stage.environ, registry(), store, stage.clock)
        self._running = await self.stack.enter_async_context(alone(boot, stage.loaded, Redactor()))
        await self.until(self.running.engine.scheduler.first_round_done, within="1m", why="the first round")

    @property
    def running(self) -> Running:
        """The engine; begin first."""
        assert self._running is not None, "await scene.begin() first"
        return self._running

    # --- time -------------------------------------------------------------------------------------------------------

    async def advance(self, span: Span) -> None:
        """Let time pass, in steps; between two of them everything that was due is done."""
        end = self.clock.tick() + seconds_of(span)
        await self._settle()
        while self.clock.tick() < end - 1e-6:
            await self._step(end)

    async def until(
        self,
        holds: Holds | None = None,
        *,
        breaker: str | None = None,
        of: str | None = None,
        within: Span = "1h",
        why: str = "",
    ) -> None:
        """Let time pass until `holds()`, or until the breaker (the scene's only one, or `of`) is in state `breaker`.

        Fails with the scene's story when that takes longer than `within`.
        """
        end = self.clock.tick() + seconds_of(within)
        await self._settle()
        while not await self._holds(holds, breaker, of):
            if self.clock.tick() >= end - 1e-6:
                raise AssertionError(f"not within {within}: {why or breaker or 'what was awaited'}\n{self.story()}")
            await self._step(end)

    async def _holds(self, holds: Holds | None, state: str | None, of: str | None) -> bool:
        if state is not None and self.breaker(of).state != state:
            return False
        found = holds() if holds is not None else True
        return bool(await found) if inspect.isawaitable(found) else bool(found)

    async def _step(self, end: float) -> None:
        """One move: to the next paced call, else a whole step; the beginning of a minute is never jumped over."""
        now = self.clock.tick()
        target = min(end, now + self.stage.step, now + self._to_next_minute())
        exact = self.clock.next_due(lambda one: _is_paced(one) or one.task.startswith(_ACTIONS))
        if exact is not None:
            target = min(target, max(exact, now))
        self._move(target)
        for go_on in self._plays:
            await go_on()
        await self._settle()

    def _move(self, tick: float) -> None:
        self.clock.move(tick)
        self.side.passed()
        if self._running is not None:
            for worker in self._running.engine.workers.values():
                worker.poke()

    def _to_next_minute(self) -> float:
        now = self.clock.now()
        return 60.0 - now.second - now.microsecond / 1e6

    async def _settle(self) -> None:
        """Until nothing is under way but waiting for time."""
        loop = asyncio.get_running_loop()
        deadline, quiet, idle = loop.time() + _PATIENCE, 0, 0
        while quiet < 3:
            for _ in range(5):
                await asyncio.sleep(0)
            reads, actions = self._busy()
            flying = self.stage.wire.flying
            paced = None if flying else self.clock.next_due(_is_paced)
            if paced is None and not flying and idle > _IDLE:
                # What is left sleeps in a task of its own: for a read time goes on, an action is asked again later.
                paced, actions = (self.clock.next_due(_is_nameless) if reads else None), []
            if loop.time() > deadline:
                left = ", ".join(reads + actions)
                raise AssertionError(f"still busy after {_PATIENCE:g} real seconds: {left}\n{self.story()}")
            if paced is not None:
                self._move(paced)
            elif not (reads or actions or flying):
                quiet += 1
                continue
            else:
                idle = 0 if flying else idle + 1
                await asyncio.sleep(0.0005)
                quiet = 0
                continue
            quiet = idle = 0
        self._listen()

    def _busy(self) -> tuple[list[str], list[str]]:
        """Reads that have not ended, and breakers that are at work."""
        reads, actions = [], []
        for task in asyncio.all_tasks():
            name = task.get_name()
            if name.startswith(_READS) and name != _DEADLINE:
                reads.append(name)
            elif name.startswith(_ACTIONS) and not _waits(task):
                actions.append(name)
        return reads, actions

    # --- what is to be seen ----------------------------------------------------------------------------------------

    def breaker(self, name: str | None = None) -> BreakerView:
        """One breaker; the scene's only one without a name."""
        views = self.running.surface.breakers()
        if name is None:
            assert len(views) == 1, f"say which: {[view.name for view in views]}"
            return views[0]
        found = [view for view in views if view.name == name]
        assert found, f"no breaker {name} in this scene: {[view.name for view in views]}"
        return found[0]

    def rows(self, check: str, signal: str | None = None) -> list[Row]:
        """What the check sees now."""
        rows = self.running.surface.rows()
        return [row for row in rows if row.check == check and signal in (None, row.signal)]

    def level(self, check: str, signal: str | None = None, target: str | None = None) -> Level:
        """The worst level of the check's targets (or of one signal, one target). Unknown while nothing was seen."""
        rows = [row for row in self.rows(check, signal) if target in (None, row.target)]
        return max((row.level for row in rows), key=lambda level: level.rank, default=Level.UNKNOWN)

    def value(self, check: str, signal: str, target: str | None = None) -> float | None:
        """The last reading; of several targets the largest."""
        rows = [row for row in self.rows(check, signal) if target in (None, row.target)]
        return max((row.value for row in rows if row.value is not None), default=None)

    def incidents(self) -> Sequence[IncidentView]:
        """Open ones first."""
        return self.running.surface.incidents()

    def events(self, name: str) -> list[str]:
        """The texts of the events of this name, oldest first (`action.applied`, `step.done`, `breaker.tripped`)."""
        return [str(event.get("text", "")) for event in self.log if event["event"] == name]

    async def requests(self, name: str | None = None) -> list[Request]:
        """The mutating requests of the daemon, oldest first; of one operation (`events:DisableRule`) if named."""
        entries = (await self.side.get("log", operation=name or "*"))["entries"]
        return mutating(entries)

    def story(self) -> str:
        """What happened so far, for a failing test's reader."""
        self._listen()
        lines = [f"{str(e['at'])[11:19]} {e['event']} {e.get('check') or ''} {e.get('text', '')}" for e in self.log]
        if self._running is None:
            return "\n".join(lines)
        for view in self.running.surface.breakers():
            lines.append(f"-- breaker {view.name}: {view.state} ({view.reason})")
            lines += [f"--   {s.id} {s.verb}: {s.phase} {s.gate or ''} {s.detail}" for s in view.steps]
        for row in self.running.surface.rows():
            lines.append(f"-- {row.check} {row.target} {row.signal} = {row.value} {row.level} {row.detail}")
        return "\n".join(lines)

    def _listen(self) -> None:
        if self._running is not None:
            self._heard, fresh = self._running.engine.feed.since(self._heard)
            self.log += fresh

    # --- what people do ---------------------------------------------------------------------------------------------

    async def approve(self, breaker: str | None = None, *, by: str = "operator") -> Outcome:
        """Say yes to what waits; fails when nothing does."""
        return await self._ask(self.running.surface.approve(self._key(breaker), by))

    async def reset(self, breaker: str | None = None, *, by: str = "operator", force: bool = False) -> Outcome:
        """Recover and close now."""
        return await self._ask(self.running.surface.reset(self._key(breaker), by, force=force))

    async def trip(self, breaker: str | None = None, *, by: str = "operator", reason: str = "by hand") -> Outcome:
        """Trip by hand."""
        return await self._ask(self.running.surface.trip(self._key(breaker), by, reason))

    def _key(self, breaker: str | None) -> str:
        view = self.breaker(breaker)
        return f"{view.pipeline}/{view.name}"

    async def _ask(self, command: Awaitable[Outcome]) -> Outcome:
        outcome = await command
        assert outcome.ok, f"{outcome.message}\n{self.story()}"
        await self._settle()
        return outcome


def _is_paced(sleeper: Sleeper) -> bool:
    """Part of the work in hand: a read's sleep, or one too short to wait for anything in the world."""
    is_read = sleeper.task.startswith(_READS) and sleeper.task != _DEADLINE
    return is_read or sleeper.seconds <= _PACE


def _is_nameless(sleeper: Sleeper) -> bool:
    return sleeper.task.startswith("Task-")


def _waits(task: asyncio.Task[Any]) -> bool:
    """Whether a breaker's task waits for news or for time, rather than for an answer."""
    step: Any = task.get_coro()
    while inspect.iscoroutine(getattr(step, "cr_await", None)):
        step = step.cr_await
    return getattr(step, "__qualname__", "") in ("Event.wait", "SceneClock.sleep")
