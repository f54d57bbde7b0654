"""A fixed grid of runs per key: no drift, a stable phase across restarts and replicas, missed ticks counted.

Tick n lies at `phase + n * interval` in epoch seconds, computed afresh each time; nothing is summed up, so nothing
drifts.
"""

from __future__ import annotations

import math
from hashlib import blake2b


def phase(key: str, interval: float) -> float:
    """A stable offset in [0, interval) seconds. Equal keys share a phase, which is what makes their reads batch."""
    return _share(f"phase {key}") * _positive(interval)


def first_run_offset(key: str, spread: float = 5.0) -> float:
    """Where in the first `spread` seconds after start a check runs first, so that not all run at once."""
    return _share(f"first {key}") * spread


def next_due(now: float, interval: float, phase: float) -> float:
    """The first tick after `now` (both epoch seconds). Asked at a tick, it gives the one after it."""
    step = math.floor((now - phase) / _positive(interval)) + 1
    # The division may round across a whole number when `now` is a tick; the ticks themselves decide.
    while phase + (step - 1) * interval > now:
        step -= 1
    while phase + step * interval <= now:
        step += 1
    return phase + step * interval


def missed(due: float, now: float, interval: float) -> int:
    """Ticks that passed after the one at `due` up to and including `now`, while its run still went on."""
    if now <= due:
        return 0
    # A microsecond: epoch seconds are floats of half that grain, so a tick may be rounded to just before itself.
    return math.floor((now - due + 1e-6) / _positive(interval))


def _share(text: str) -> float:
    """[0, 1), the same in every process (unlike `hash`)."""
    return int.from_bytes(blake2b(text.encode(), digest_size=6).digest()) / 2**48


def _positive(interval: float) -> float:
    if not interval > 0:
        raise ValueError(f"{interval!r} is not an interval in seconds (write for example 10.0)")
    return interval
