"""The emulator as a scene holds it: its clock follows the scene's whenever something is asked of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from scene_clock import SceneClock

from monitor.demo.emulator.child import Side

#: The emulator may lag behind by this much (paced calls are milliseconds apart).
_DRIFT = 0.05


@dataclass(slots=True)
class Emulated:
    """`post` and `get` are the control door's (docs/scenarios.md lists the routes), at the scene's time."""

    url: str
    door: Side
    clock: SceneClock
    #: A point of each is put every minute, by (namespace, metric, dimensions).
    meters: dict[tuple[Any, ...], dict[str, Any]] = field(default_factory=dict)
    _points: list[tuple[datetime, dict[str, Any]]] = field(default_factory=list)
    _metered: datetime | None = None
    _synced: float = float("-inf")
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def post(self, route: str, **body: Any) -> dict[str, Any]:
        """POST; raises RuntimeError with the door's words when refused."""
        await self.sync()
        return await self.door.post(route, **body)

    async def get(self, route: str, **query: str) -> dict[str, Any]:
        """GET; raises RuntimeError with the door's words when refused."""
        await self.sync()
        return await self.door.get(route, **query)

    def passed(self) -> None:
        """The scene's clock was moved: note the points of the minutes that began."""
        now = self.clock.now()
        minute = (self._metered or now).replace(second=0, microsecond=0) + timedelta(minutes=1)
        while minute <= now:
            self._points += [(minute, point) for point in self.meters.values()]
            self._metered = minute
            minute += timedelta(minutes=1)
        self._metered = self._metered or now

    async def sync(self) -> None:
        """Bring the emulator to the scene's time, and the metrics with it."""
        async with self._one_at_a_time:
            now, tick = self.clock.now(), self.clock.tick()
            if tick - self._synced >= _DRIFT:
                self._synced = tick
                await self.door.post("clock", at=now.timestamp())
            points, self._points = self._points, []
            if points:
                old = [{**point, "ago": (now - at).total_seconds()} for at, point in points]
                await self.door.post("metrics", points=old)
