"""`tripswitch demo`: an emulator, a broken pipeline, the real daemon, and the loop from detection to restoration.

Children are two processes (emulator, daemon), ended whatever happens here. What the pipeline file leaves to a person,
approvals and resets, the demo gives through the daemon's own API as "demo operator".
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import aiohttp

from monitor.demo.daemon import OPERATOR, Daemon, DaemonDied, free_port, pipeline_file
from monitor.demo.emulator import child
from monitor.demo.scenarios import SCENARIOS, Scenario, Scene, scenario_list
from monitor.demo.screen import Screen, verdict
from monitor.demo.world import World

__all__ = ["run_demo", "scenario_list"]

_TICK = 1.0


async def run_demo(scenario: str, *, port: int = 0, tty: bool, out: TextIO) -> int:
    """Show a scenario. `port` is the daemon's (0: any free one).

    On a terminal it stays until Ctrl-C; elsewhere it ends after the last stage. 0 if every stage was proven, 1 with
    what was missing, 2 for an unknown scenario.
    """
    chosen = SCENARIOS.get(scenario)
    if chosen is None:
        print(f"there is no scenario '{scenario}'; there are: {', '.join(SCENARIOS)}", file=out)
        return 2
    return await run_scenario(chosen, port=port, tty=tty, out=out)


async def run_scenario(chosen: Scenario, *, port: int = 0, tty: bool, out: TextIO) -> int:
    """`run_demo` for a scenario in hand."""
    screen = Screen(chosen, out, tty)
    stop = asyncio.Event()
    with tempfile.TemporaryDirectory(prefix="tripswitch-demo-") as folder, _signals(stop), screen:
        screen.say("demo", f"{chosen.title}; starting the emulator")
        try:
            emulator = await asyncio.to_thread(child.start)
        except RuntimeError as failure:
            screen.say("demo", str(failure))
            return 1
        try:
            async with World(emulator.url) as world:
                await world.build()
                await world.side.post("quotas", preset="us-east-1")
                screen.say("demo", "the pipeline stands; starting the daemon")
                environment = {**emulator.environment(), **chosen.environment}
                daemon = Daemon(Path(folder), port or free_port(), pipeline_file("etl.yaml"), environment)
                async with daemon:
                    play = Play(chosen, world, daemon, screen, stop)
                    await play.run()
        except* (DaemonDied, TimeoutError) as group:
            for error in leaves(group):
                screen.say("demo", str(error) or f"the daemon does not answer:\n{daemon.last_words()}")
        finally:
            emulator.stop()
        screen.say("demo", verdict(chosen, screen.proven))
    return 0 if len(screen.proven) == len(chosen.stages) else 1


def leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    """The exceptions inside, however deeply grouped."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from leaves(error)
        else:
            yield error


@contextlib.contextmanager
def _signals(stop: asyncio.Event) -> Iterator[None]:
    """SIGINT and SIGTERM end the demo in order (outside the main thread: they don't reach us)."""
    loop, taken = asyncio.get_running_loop(), []
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(number, stop.set)
            taken.append(number)
    try:
        yield
    finally:
        for number in taken:
            loop.remove_signal_handler(number)


@dataclass(slots=True)
class Play:
    """One showing: the incident, the follower of the daemon, the operator, the proofs."""

    scenario: Scenario
    world: World
    daemon: Daemon
    screen: Screen
    stop: asyncio.Event
    answered: set[str] = field(default_factory=set)

    async def run(self) -> None:
        """Until every stage is proven (on a terminal: until told to stop), the time is over, or the daemon died."""
        driver = self.scenario.make(self.world)
        scene = Scene(self.world, driver)
        self.screen.page = self.daemon.url
        async with asyncio.TaskGroup() as group:
            incident = group.create_task(driver.run())
            await self._or_stop(self.daemon.wait_until_ready())
            if not self.stop.is_set():
                self.screen.say("demo", f"the daemon answers at {self.daemon.url}")
                timeline = group.create_task(self._timeline(scene))
                try:
                    await self._follow(scene)
                finally:
                    timeline.cancel()
            incident.cancel()

    async def _or_stop(self, work: Any) -> None:
        """Await `work`, or give it up when told to stop."""
        async with asyncio.TaskGroup() as group:
            task, stopping = group.create_task(work), group.create_task(self.stop.wait())
            await asyncio.wait((task, stopping), return_when=asyncio.FIRST_COMPLETED)
            task.cancel()
            stopping.cancel()

    async def _follow(self, scene: Scene) -> None:
        until = time.monotonic() + self.scenario.seconds
        while not self.stop.is_set():
            self.daemon.check_alive()
            await self._look(scene)
            proven = len(self.screen.proven) == len(self.scenario.stages)
            if not self.screen.tty and (proven or time.monotonic() > until):
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stop.wait(), _TICK)

    async def _look(self, scene: Scene) -> None:
        try:
            shown = await self.daemon.get("api/v1/breakers", pipeline="etl")
            readings = await self.daemon.get("api/v1/observations", check=self.scenario.watch.check)
        except aiohttp.ClientError:
            return  # it may be busy or gone; check_alive tells which
        scene.breaker = next((b for b in shown["breakers"] if b["name"] == self.scenario.breaker), {})
        found = [o for o in readings["observations"] if o["signal"] == self.scenario.watch.signal]
        value = next((o["value"] for o in found if o["value"] is not None), None)
        executions = await self.world.executions()
        self.screen.show(scene.breaker, value, f"{executions['RUNNING']} executions running")
        await self._prove(scene)
        await self._operate(scene)

    async def _prove(self, scene: Scene) -> None:
        for stage in self.scenario.stages[len(self.screen.proven) :]:
            if not await stage.look(scene):
                return
            self.screen.proven.append(stage.name)
            self.screen.say(stage.name.upper(), stage.text)

    async def _operate(self, scene: Scene) -> None:
        """What the file leaves to a person; each question is answered once."""
        name, waiting = self.scenario.breaker, scene.breaker.get("approval")
        if waiting and waiting not in self.answered:
            self.answered.add(waiting)
            await self._fix(scene)
            accepted, words = await self.daemon.command(name, "approve", plan=waiting)
            self.screen.say(OPERATOR, f"approve: {words}" if accepted else f"approve refused: {words}")
        elif self._contained(scene) and scene.breaker.get("recovery") == "manual" and "reset" not in self.answered:
            self.answered.add("reset")
            await self._fix(scene)
            accepted, words = await self.daemon.command(name, "reset")
            self.screen.say(OPERATOR, f"reset: {words}" if accepted else f"reset refused: {words}")

    def _contained(self, scene: Scene) -> bool:
        """Open, and everything that comes before the recovery is proven."""
        names = [stage.name for stage in self.scenario.stages]
        return scene.state == "open" and len(self.screen.proven) >= names.index("verified")

    async def _fix(self, scene: Scene) -> None:
        """The cause, once, before anything is put back."""
        if "fixed" not in self.answered:
            self.answered.add("fixed")
            self.screen.say(OPERATOR, await scene.driver.fix())

    async def _timeline(self, scene: Scene) -> None:
        """The daemon's own events, as they come."""
        with contextlib.suppress(aiohttp.ClientError):
            async for event in self.daemon.events():
                name, text = str(event.get("event", "")), str(event.get("text") or "")
                if event.get("breaker") == self.scenario.breaker:
                    scene.events.append((name, text))
                elif name != "level.changed" or event.get("check") != self.scenario.watch.check:
                    continue
                if text:
                    level = f"{event.get('check')} is {event.get('now')}: " if name == "level.changed" else ""
                    self.screen.say("tripswitch", f"{name}  {level}{text}")
