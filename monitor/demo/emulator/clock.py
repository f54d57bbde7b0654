"""The emulator's time: the machine's own, or wherever an operator set it (`POST /_emulator/clock`).

A set clock stands still until it is set again. Everything in the process that asks for the wall time sees it, moto
included (time-machine patches the interpreter's own functions); what waits or fills up by itself (message moves,
quotas, event source mappings) goes by `tick`. Needs the package `time-machine`, and only once a clock is set.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


class EmulatedClock:
    """Wall time comes from `time.time()` as always; this holds the hand that turns it."""

    def __init__(self) -> None:
        self._traveller: Any = None
        self._journey: Any = None
        self._at = 0.0
        self._followers: list[Callable[[], None]] = []

    @property
    def is_set(self) -> bool:
        """Whether the time stands where an operator put it."""
        return self._journey is not None

    def tick(self) -> float:
        """Seconds for measuring spans: monotonic, or the set time. Starts anew when the clock is set or let go."""
        return self._at if self.is_set else time.monotonic()

    def follow(self, moved: Callable[[], None]) -> None:
        """Call `moved` after every change of a set clock, before the operator gets an answer."""
        self._followers.append(moved)

    def set(self, at: float) -> None:
        """Stand still at `at` (epoch seconds). Raises ValueError where time-machine is not installed."""
        if self._journey is None:
            try:
                import time_machine  # noqa: PLC0415 - for tests with moved clocks only, no need of the demo
            except ImportError:
                raise ValueError("setting the clock needs the package time-machine") from None
            self._journey = time_machine.travel(at, tick=False)
            self._traveller = self._journey.start()
        self._traveller.move_to(at, tick=False)
        self._at = at
        for moved in self._followers:
            moved()

    def release(self) -> None:
        """The machine's time again. Idempotent."""
        if self._journey is not None:
            self._journey.stop()
            self._journey = self._traveller = None
