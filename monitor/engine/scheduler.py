"""When checks run: a fixed grid with a stable phase per check, no drift, no overlap, bounded concurrency.

A tick that comes while the previous run still goes is skipped and counted, never queued up. The first round starts
within five seconds, spread; the grid begins after it.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from monitor.core import schedule
from monitor.core.ports import Clock, Meter
from monitor.core.spec import CheckSpec
from monitor.engine.supervisor import Supervisor

SPREAD = 5.0
#: The loop never sleeps longer, so that a changed set of checks is picked up soon whatever happens.
LONGEST_SLEEP = 30.0
#: Runs started between two turns of the event loop: checks of one pipeline share a tick, and there may be thousands.
_TURN = 100


@dataclass(slots=True)
class Slot:
    """One scheduled check."""

    spec: CheckSpec
    phase: float
    due: float
    running: asyncio.Task[None] | None = None
    gone: bool = False
    runs: int = 0
    skipped: int = 0
    ended_once: bool = False


@dataclass(frozen=True, slots=True)
class Pace:
    """How many probes run at once and over how many seconds the first round is spread."""

    concurrency: int = 64
    spread: float = SPREAD


@dataclass(order=True, slots=True)
class _Due:
    at: float
    order: int
    slot: Slot = field(compare=False)


class Scheduler:
    """Calls `run(spec, lateness_seconds)` for every check, on its grid."""

    def __init__(
        self,
        clock: Clock,
        supervisor: Supervisor,
        meter: Meter,
        run: Callable[[CheckSpec, float], Awaitable[None]],
        pace: Pace = Pace(),
    ) -> None:
        self._clock = clock
        self._supervisor = supervisor
        self._meter = meter
        self._run = run
        self._pace = pace
        self._places = asyncio.Semaphore(pace.concurrency)
        self._slots: dict[str, Slot] = {}
        self._heap: list[_Due] = []
        self._order = 0
        self._changed = asyncio.Event()

    @property
    def slots(self) -> Mapping[str, Slot]:
        """By `PIPELINE/CHECK`."""
        return self._slots

    def first_round_done(self) -> bool:
        """True once every check ended once, with any outcome."""
        return all(slot.ended_once for slot in self._slots.values())

    def update(self, specs: Mapping[str, CheckSpec]) -> None:
        """Schedule exactly `specs`. A check whose interval and phase stay keeps its place on the grid."""
        for key in [key for key in self._slots if key not in specs]:
            self._slots.pop(key).gone = True
        for key, spec in specs.items():
            slot = self._slots.get(key)
            if slot is not None and slot.spec.interval == spec.interval:
                slot.spec = spec
                continue
            if slot is not None:
                slot.gone = True
            self._add(key, spec)
        self._changed.set()

    async def loop(self) -> None:
        """Until the supervisor stops."""
        while not self._supervisor.stopping.is_set():
            self._changed.clear()
            now = self._clock.tick()
            started = 0
            while self._heap and self._heap[0].at <= now:
                self._start(heapq.heappop(self._heap).slot, now)
                started += 1
                if started % _TURN == 0:
                    await asyncio.sleep(0)
            pause = min(LONGEST_SLEEP, self._heap[0].at - self._clock.tick()) if self._heap else LONGEST_SLEEP
            await self._sleep(max(0.0, pause))

    async def _sleep(self, seconds: float) -> None:
        """Until the next tick, or until the set of checks changed."""
        if seconds < 0.05:
            await self._clock.sleep(seconds)
            return
        nap = self._supervisor.spawn("scheduler:nap", self._clock.sleep(seconds))
        change = self._supervisor.spawn("scheduler:change", self._changed.wait())
        try:
            await asyncio.wait({nap, change}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            nap.cancel()
            change.cancel()

    def _add(self, key: str, spec: CheckSpec) -> None:
        interval = spec.interval.total_seconds()
        spread = min(self._pace.spread, interval)
        first = self._clock.tick() + schedule.first_run_offset(key, spread)
        slot = Slot(spec, schedule.phase(_source(spec), interval), first)
        self._slots[key] = slot
        self._push(slot)

    def _push(self, slot: Slot) -> None:
        self._order += 1
        heapq.heappush(self._heap, _Due(slot.due, self._order, slot))

    def _start(self, slot: Slot, now: float) -> None:
        if slot.gone:
            return
        interval = slot.spec.interval.total_seconds()
        due = slot.due
        slot.due = schedule.next_due(now, interval, slot.phase)
        self._push(slot)
        missed = schedule.missed(due, now, interval)
        if slot.running is not None:
            missed += 1
        else:
            slot.running = self._supervisor.spawn(f"check:{slot.spec.key}", self._once(slot, due))
        if missed:
            slot.skipped += missed
            self._meter.ticks_skipped(slot.spec.pipeline, slot.spec.name, missed)

    async def _once(self, slot: Slot, due: float) -> None:
        try:
            async with self._places:
                await self._run(slot.spec, max(0.0, self._clock.tick() - due))
        finally:
            slot.running = None
            slot.runs += 1
            slot.ended_once = True


def _source(spec: CheckSpec) -> str:
    """Checks of one kind in one pipeline and interval share a phase, so that their reads fall into one batch."""
    return f"{spec.pipeline}/{spec.interval // timedelta(milliseconds=1)}"
