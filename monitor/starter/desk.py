"""One group's desk: what its checks are drafted with, and how resources with the same bounds share a check."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from monitor.core.durations import format_duration
from monitor.plugin import Registry
from monitor.starter.bounds import ROOM, Given, Limit, Unit, bound
from monitor.starter.grouping import Group
from monitor.starter.history import Past
from monitor.starter.inventory import Inventory, Thing
from monitor.starter.naming import Names
from monitor.starter.writing import Entry, Flow

#: Names shown in a comment before "and 12 more".
_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Watch:
    """A proposed check. `role` says to the breakers what it is for; `things` are what it watches."""

    name: str
    role: str
    things: tuple[Thing, ...]
    entry: Entry
    #: What the breakers take over from it: the age of a stuck execution, the SLA of a job (seconds).
    seconds: float = 0.0


@dataclass(slots=True)
class Desk:
    """What the drafting of one group's checks works with."""

    group: Group
    found: Inventory
    past: Past
    registry: Registry
    fresh: Sequence[str] = ()
    names: Names = field(default_factory=Names)

    def shipped(self, kind: str, signal: str, level: str = "critical") -> Given:
        """The kind's own bound."""
        given = getattr(self.registry.kinds[kind].defaults[signal], level)
        assert given is not None, f"{kind}.{signal} ships no {level} bound"
        return Given(float(given.above))

    def limit(self, thing: Thing, what: str, least: Given, unit: Unit, room: float = ROOM) -> Limit:
        """A bound from the past, at least `least`."""
        return bound(self.past, thing, what, least, unit, room)

    def starters(self, thing: Thing) -> list[Thing]:
        """What sets this off or names it, directly."""
        links = sorted(link for link in self.found.links if link.target == thing.arn)
        return [self.found.things[link.source] for link in links]

    def letters_of(self, queue: Thing) -> list[Thing]:
        """Whose dead letters land in this queue; nobody's: it is no dead-letter queue."""
        links = sorted(link for link in self.found.links if link.target == queue.arn and link.why == "dead letters")
        return [self.found.things[link.source] for link in links]


def merged(
    desk: Desk,
    things: Sequence[Thing],
    limits: Callable[[Thing], tuple[Limit, ...]],
    body: Callable[[Sequence[Thing], Sequence[Limit]], tuple[Entry, ...]],
    words: tuple[str, str, str],
) -> list[Watch]:
    """One check for all resources with the same bounds; the largest lot takes the plain name.

    `words`: that name, the role, what the check is for.
    """
    base, role, what = words
    lots: dict[tuple[float, ...], list[tuple[Thing, tuple[Limit, ...]]]] = {}
    for thing in things:
        given = limits(thing)
        lots.setdefault(tuple(one.value for one in given), []).append((thing, given))
    drafted = []
    ordered = sorted(lots.values(), key=lambda lot: (-len(lot), lot[0][0].name))
    for n, lot in enumerate(ordered):
        chosen = [thing for thing, _ in lot]
        name = base if not n else f"{base}-{chosen[0].name}"
        whys = [f"{thing.name}: {'; '.join(_told(given))}." for thing, given in lot]
        if set(_told(lot[0][1])) and len({tuple(_told(given)) for _, given in lot}) == 1 and len(lot) > 1:
            whys = [f"All of them: {'; '.join(_told(lot[0][1]))}."]
        more = [f"And {len(whys) - _SHOWN} more like these."] if len(whys) > _SHOWN else []
        drafted.append(drafted_watch(desk, name, role, chosen, body(chosen, lot[0][1]), (what, *whys[:_SHOWN], *more)))
    return drafted


def _told(given: Iterable[Limit]) -> list[str]:
    return list(dict.fromkeys(one.why for one in given if one.why))


def drafted_watch(
    desk: Desk,
    name: str,
    role: str,
    things: Sequence[Thing],
    body: tuple[Entry, ...],
    notes: Iterable[str],
    seconds: float = 0.0,
) -> Watch:
    """A check under a name of its own; empty notes are dropped."""
    taken = desk.names.take(name)
    return Watch(taken, role, tuple(things), Entry(taken, body, tuple(note for note in notes if note)), seconds)


def body_of(kind: str, selects: dict[str, Flow], thresholds: dict[str, Flow]) -> tuple[Entry, ...]:
    """A check's entries."""
    entries = [Entry("kind", kind), *(Entry(key, value) for key, value in selects.items())]
    if thresholds:
        entries.append(Entry("thresholds", tuple(Entry(signal, levels) for signal, levels in thresholds.items())))
    return tuple(entries)


def names_of(things: Iterable[Thing]) -> list[Flow]:
    """Their names."""
    return [thing.name for thing in things]


def listed(names: Sequence[str]) -> str:
    """A few of the names, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def number(value: float) -> int | float:
    """As people write it."""
    return int(value) if value == int(value) else value


def spelled(seconds: float) -> str:
    """A duration as it is written in a file."""
    return format_duration(seconds)
