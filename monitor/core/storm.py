"""The storm brake (law 8): when much of a place wants to trip at once, doubt the observer before acting on it.

What suspicion holds: disruptive and destructive actions. It never withholds a reversible cut, and a person lifts it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from monitor.core.model import Json

#: (account id, region)
Place = tuple[str, str]

WINDOW = timedelta(seconds=60)
LIFTED_FOR = timedelta(hours=1)
_MOST_WISHES = 4096


@dataclass(frozen=True, slots=True)
class Wish:
    """A breaker of `pipeline` wants to trip (or would, if it were allowed to). Shadow breakers make no wishes."""

    at: datetime
    pipeline: str
    place: Place


@dataclass(frozen=True, slots=True)
class Storm:
    """Wishes of the last window, one per pipeline and place, and until when a person said to go on."""

    wishes: tuple[Wish, ...] = ()
    lifted_until: datetime | None = None
    lifted_by: str = ""

    def to_json(self) -> dict[str, Json]:
        """What must outlast a restart: the lifting. Wishes are made anew."""
        return {"lifted_until": self.lifted_until.isoformat() if self.lifted_until else None, "by": self.lifted_by}

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Storm:
        """The value `to_json` described. Raises KeyError or ValueError for anything else."""
        until = body["lifted_until"]
        return cls((), datetime.fromisoformat(until) if until else None, body["by"])


def record(storm: Storm, wish: Wish, window: timedelta = WINDOW) -> Storm:
    """With this wish, without those older than the window or from the future (the clock was set back).

    Repeat a wish at every judgement while the breaker still wants to trip: the storm lasts as long as its wishes.
    """
    kept = tuple(
        old
        for old in storm.wishes
        if abs(wish.at - old.at) <= window and (old.pipeline, old.place) != (wish.pipeline, wish.place)
    )
    return replace(storm, wishes=(*kept, wish)[-_MOST_WISHES:])


def lift(storm: Storm, by: str, now: datetime, lasting: timedelta = LIFTED_FOR) -> Storm:
    """A person says that it is real: no suspicion until `now + lasting`."""
    return replace(storm, lifted_until=now + lasting, lifted_by=by)


def lifted(storm: Storm, now: datetime) -> bool:
    """Whether a person's word holds at `now`."""
    return storm.lifted_until is not None and now < storm.lifted_until


def suspect(
    storm: Storm,
    pipelines: Mapping[Place, int],
    broken: Mapping[Place, str],
    now: datetime,
    window: timedelta = WINDOW,
) -> str | None:
    """Why the observer is doubted, or None.

    `pipelines`: how many are watched in each place. `broken`: places where the daemon's identity or the region itself
    looks broken, with the reason. A storm is at least three pipelines and more than half of their place.
    """
    if lifted(storm, now):
        return None
    reasons = [f"{_name(place)}: {why}" for place, why in sorted(broken.items())]
    wanting: dict[Place, set[str]] = {}
    for wish in storm.wishes:
        if abs(now - wish.at) <= window:
            wanting.setdefault(wish.place, set()).add(wish.pipeline)
    for place, names in sorted(wanting.items()):
        of = max(pipelines.get(place, 0), len(names))
        if len(names) >= 3 and 2 * len(names) > of:
            seconds = int(window.total_seconds())
            reasons.append(f"{len(names)} of {of} pipelines in {_name(place)} want to trip within {seconds} s")
    return "; ".join(reasons) or None


def _name(place: Place) -> str:
    return "/".join(part for part in place if part) or "an unknown account"
