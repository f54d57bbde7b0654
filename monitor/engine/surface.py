"""The engine's outside (view.Surface): reads are instant copies, commands go to the breakers' own workers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import timedelta

from monitor.core import storm
from monitor.core.breaker import plan_hash
from monitor.core.model import Json, Row
from monitor.core.ports import Clock, Delete, Put, Store, StoreError
from monitor.core.silence import Silence
from monitor.core.view import BreakerView, CheckView, IncidentView, Outcome, SilenceView, StatusView
from monitor.engine.control import Control
from monitor.engine.engine import Engine
from monitor.engine.sketches import Sketches
from monitor.engine.views import breaker_view
from monitor.plugin import Registry

#: How long a command may wait for the worker's safe point (a call in flight ends by its own deadline).
PATIENCE = 25.0

Reload = Callable[[str], Awaitable[Outcome]]


class EngineSurface:
    """What the API, the page and the metrics see."""

    def __init__(self, engine: Engine, store: Store, clock: Clock, registry: Registry, reload: Reload) -> None:
        self._engine = engine
        self._store = store
        self._clock = clock
        self._sketches = Sketches(registry)
        self._reload = reload

    # --- reads --------------------------------------------------------------------------------------------------

    def status(self) -> StatusView:
        """The daemon in one look."""
        engine, now = self._engine, self._clock.now()
        off = engine.switch.off(now)
        missing = self._not_ready()
        return StatusView(
            version=engine.settings.version,
            started_at=engine.started_at,
            now=now,
            ready=not missing,
            not_ready=missing,
            actions_enabled=off is None,
            actions_reason=off or "",
            storm=engine.surroundings.any_storm(now),
            pipelines=tuple(sorted(engine.pipelines)),
            leases=engine.ownership.leases(),
            mutations_enabled=engine.settings.mutations_enabled,
            config_ok=engine.config.ok,
            config_error=engine.config.error,
            config_at=engine.config.at,
            levels=engine.board.level_counts(),
        )

    def rows(self) -> Iterable[Row]:
        """Everything observed."""
        return self._engine.board.rows()

    def checks(self) -> list[CheckView]:
        """Every check."""
        return self._engine.board.check_views(self._engine.due())

    def breakers(self) -> list[BreakerView]:
        """Every breaker, orphaned ones included."""
        now = self._clock.now()
        workers = self._engine.workers
        self._sketches.keep(workers)
        return [breaker_view(worker, self._sketches, now) for _, worker in sorted(workers.items())]

    def incidents(self) -> list[IncidentView]:
        """Open ones first."""
        return self._engine.incidents.views()

    def silences(self) -> list[SilenceView]:
        """Those that have not ended."""
        now = self._clock.now()
        return [s.to_view() for s in self._engine.surroundings.silences.values() if s.until > now]

    def config(self) -> Mapping[str, Json]:
        """The resolved configuration, secrets masked."""
        return dict(self._engine.config.documents)

    def events_since(self, sequence: int) -> tuple[int, list[Mapping[str, Json]]]:
        """The event feed."""
        return self._engine.feed.since(sequence)

    async def wait_event(self, sequence: int, seconds: float) -> None:
        """Until there is news."""
        await self._engine.feed.wait(sequence, seconds)

    # --- commands -----------------------------------------------------------------------------------------------

    async def trip(self, breaker: str, by: str, reason: str) -> Outcome:
        """Trip a breaker now."""
        return await self._ask(breaker, lambda control: control.trip(by, reason))

    async def reset(self, breaker: str, by: str, *, force: bool = False) -> Outcome:
        """Recover and close now."""
        return await self._ask(breaker, lambda control: control.reset(by, force=force))

    async def approve(self, breaker: str, by: str, plan: str | None = None) -> Outcome:
        """Say yes to the waiting plan."""
        return await self._ask(breaker, lambda control: control.approve(by, plan))

    async def disable(self, breaker: str, by: str, reason: str) -> Outcome:
        """Hold a breaker."""
        return await self._ask(breaker, lambda control: control.disable(by, reason))

    async def enable(self, breaker: str, by: str) -> Outcome:
        """Release a breaker."""
        return await self._ask(breaker, lambda control: control.enable(by))

    async def add_silence(
        self, matchers: Mapping[str, str], seconds: float, by: str, comment: str, *, hold_actions: bool = False
    ) -> Outcome:
        """Mute notices (and hold actions, if asked) for `seconds`."""
        if hold_actions and "target" in matchers:
            return Outcome(False, "actions are held for whole breakers: match pipeline, breaker, check or severity")
        now = self._clock.now()
        name = f"s{now:%m%d%H%M%S}-{plan_hash(now.isoformat(), dict(matchers), by)[:4]}"
        try:
            silence = Silence(name, dict(matchers), now, now + timedelta(seconds=seconds), by, comment, hold_actions)
        except (ValueError, OverflowError) as error:
            return Outcome(False, str(error))
        failed = await self._write(Put("silence", name, silence.to_json(), 0, silence.until))
        if failed is not None:
            return failed
        self._engine.surroundings.silences[name] = silence
        self._engine.feed.say("silence.added", silence=name, by=by, matchers=dict(matchers), hold_actions=hold_actions)
        return Outcome(True, f"silence {name} until {silence.until:%Y-%m-%d %H:%M} UTC", {"id": name})

    async def remove_silence(self, silence: str, by: str) -> Outcome:
        """End a silence early."""
        try:
            item = await self._store.get("silence", silence)
        except StoreError as error:
            return _unwritable(error)
        if item is None or silence not in self._engine.surroundings.silences:
            return Outcome(False, f"there is no silence {silence}", {"not_found": True})
        failed = await self._write(Delete("silence", silence, item.version))
        if failed is not None:
            return failed
        self._engine.surroundings.silences.pop(silence, None)
        self._engine.feed.say("silence.removed", silence=silence, by=by)
        return Outcome(True, f"silence {silence} ended")

    async def note(self, incident: str, by: str, text: str) -> Outcome:
        """A person's line in the timeline."""
        if self._engine.incidents.get(incident) is None:
            return Outcome(False, f"there is no incident {incident}", {"not_found": True})
        self._engine.incidents.noted(incident, by, text)
        return Outcome(True, "noted")

    async def acknowledge(self, incident: str, by: str) -> Outcome:
        """`by` commands it from now on."""
        found = self._engine.incidents.get(incident)
        if found is None:
            return Outcome(False, f"there is no incident {incident}", {"not_found": True})
        if not found.is_open:
            return Outcome(False, f"{incident} is resolved: nothing to take command of")
        await self._engine.incidents.acknowledge(incident, by)
        return Outcome(True, f"{by} commands {incident}")

    async def set_actions(self, enabled: bool, by: str, reason: str) -> Outcome:
        """The kill switch over the API."""
        try:
            await self._engine.switch.set(enabled, by, reason)
        except StoreError as error:
            now = "off until the daemon restarts" if not enabled else "unchanged"
            return Outcome(False, f"it can't be written ({error}); actions are {now}")
        self._engine.feed.say("actions.switched", level="warning", enabled=enabled, by=by, text=reason)
        off = self._engine.switch.off(self._clock.now())
        return Outcome(True, f"actions are {'on' if off is None else f'off: {off}'}")

    async def lift_storm(self, by: str) -> Outcome:
        """A person says that it is real."""
        around, now = self._engine.surroundings, self._clock.now()
        lifted = storm.lift(around.storms, by, now)
        try:
            item = await self._store.get("meta", "storm")
        except StoreError as error:
            return _unwritable(error)
        failed = await self._write(Put("meta", "storm", lifted.to_json(), item.version if item else 0))
        if failed is not None:
            return failed
        around.lifted(lifted.lifted_until, by)
        self._engine.feed.say("storm.lifted", level="warning", by=by)
        return Outcome(True, f"the storm brake is lifted until {lifted.lifted_until:%H:%M} UTC")

    async def reload(self, by: str) -> Outcome:
        """Read the configuration again."""
        return await self._reload(by)

    # --- inside -------------------------------------------------------------------------------------------------

    def _not_ready(self) -> tuple[str, ...]:
        engine = self._engine
        missing = []
        if engine.config.at is None:
            missing.append("the configuration is not loaded")
        if not engine.scheduler.first_round_done():
            missing.append("the first round of checks has not ended")
        if engine.health.down:
            missing.append(f"the store can't be written: {engine.health.down}")
        return tuple(missing)

    async def _ask(self, breaker: str, command: Callable[[Control], Awaitable[Outcome]]) -> Outcome:
        worker = self._engine.workers.get(breaker)
        if worker is None:
            known = ", ".join(sorted(self._engine.workers)) or "none"
            return Outcome(False, f"there is no breaker {breaker} here (known: {known})", {"not_found": True})
        try:
            async with asyncio.timeout(PATIENCE):
                return await command(Control(self._engine.services, worker))
        except TimeoutError:
            return Outcome(False, f"{breaker} is busy with a call that hangs; the command was not taken, try again")

    async def _write(self, write: Put | Delete) -> Outcome | None:
        try:
            await self._store.commit([write])
        except StoreError as error:
            return _unwritable(error)
        return None


def _unwritable(error: StoreError) -> Outcome:
    return Outcome(False, f"nothing was changed, the state can't be written: {error}")
