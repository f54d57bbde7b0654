"""Which things are one pipeline: those of one tag value, and what hangs on them; else what hangs together."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from monitor.starter.inventory import Inventory, Kind, Left, Thing, by_name
from monitor.starter.naming import common

#: Tags that say what a resource is part of, the most telling first; compared without case, `-` and `_`.
TELLING = (
    "pipeline", "datapipeline", "app", "application", "appname", "service", "project", "stack",
    "aws:cloudformation:stackname",
)  # fmt: skip
#: What a pipeline is named after when its names share no beginning.
_CENTRAL = (Kind.MACHINE, Kind.JOB, Kind.CLUSTER, Kind.QUEUE, Kind.FUNCTION, Kind.TABLE)
#: What is worth a file of its own although nothing leads to it or from it.
_ALONE = (Kind.MACHINE, Kind.JOB, Kind.CLUSTER, Kind.QUEUE)
#: Alone they say nothing.
_IDLE = (Kind.RULE, Kind.SCHEDULE, Kind.TOPIC, Kind.BUCKET)
_LONE = "nothing was found that leads to it or from it; tag it (pipeline=NAME) to have it watched"

UNCONNECTED = "unconnected"


@dataclass(frozen=True, slots=True)
class Group:
    """One pipeline to be: its name, why these things are together, and the things."""

    name: str
    why: str
    things: tuple[Thing, ...]

    def of(self, *kinds: Kind) -> list[Thing]:
        """Things of these kinds, by name."""
        return [thing for thing in self.things if thing.kind in kinds]


def groups_of(found: Inventory, wanted: Sequence[tuple[str, str | None]] = ()) -> list[Group]:
    """The groups by name; what belongs to none is noted in `found.left`.

    `wanted`: tags that a resource must have (a value of None: any). With several, all of them; the first one's value
    names the group. What hangs on a tagged thing and carries no such tag itself belongs to the nearest one.
    """
    labels = {arn: label for arn, thing in found.things.items() if (label := _label(thing, wanted))}
    _spread(labels, found, {arn for arn, thing in found.things.items() if wanted and _refused(thing, wanted)})
    tagged: dict[str, list[Thing]] = {}
    for arn, label in labels.items():
        tagged.setdefault(label[1], []).append(found.things[arn])
    sources = {label[1]: label[0] for label in sorted(labels.values(), reverse=True)}
    groups = [Group(value, f"tag {sources[value]}={value}", _sorted(things)) for value, things in tagged.items()]
    rest = [thing for arn, thing in found.things.items() if arn not in labels]
    if wanted:
        return sorted(groups, key=lambda group: group.name)
    connected, alone = _components(rest, found)
    groups += [Group(_name(things), "they are linked", _sorted(things)) for things in connected]
    groups += _unconnected(alone, found)
    return sorted(groups, key=lambda group: group.name)


def _label(thing: Thing, wanted: Sequence[tuple[str, str | None]]) -> tuple[str, str] | None:
    """(key, value) of the tag that says what it is part of."""
    if wanted:
        values = [thing.tags.get(key) for key, _ in wanted]
        fits = all(
            have is not None and have != "" and want in (None, have)
            for have, (_, want) in zip(values, wanted, strict=True)
        )
        return (wanted[0][0], str(values[0])) if fits else None
    plain = {_plain(key): (key, value) for key, value in thing.tags.items() if value.strip()}
    return next((plain[key] for key in TELLING if key in plain), None)


def _refused(thing: Thing, wanted: Sequence[tuple[str, str | None]]) -> bool:
    """Carries the tag with another value: it is part of something else."""
    return any(key in thing.tags and want not in (None, thing.tags[key]) for key, want in wanted)


def _plain(key: str) -> str:
    return key.casefold().replace("-", "").replace("_", "")


def _spread(labels: dict[str, tuple[str, str]], found: Inventory, closed: set[str]) -> None:
    """Every unlabelled thing takes the label of the nearest labelled one; between equals the first by name."""
    beside = _beside(found)
    waiting = deque(sorted(labels, key=lambda arn: (labels[arn][1], arn)))
    while waiting:
        arn = waiting.popleft()
        for other in sorted(beside.get(arn, ())):
            if other not in labels and other not in closed:
                labels[other] = labels[arn]
                waiting.append(other)


def _beside(found: Inventory) -> Mapping[str, set[str]]:
    beside: dict[str, set[str]] = {}
    for link in found.links:
        beside.setdefault(link.source, set()).add(link.target)
        beside.setdefault(link.target, set()).add(link.source)
    return beside


def _components(things: Iterable[Thing], found: Inventory) -> tuple[list[list[Thing]], list[Thing]]:
    """(what hangs together, what hangs alone)."""
    beside = _beside(found)
    left = {thing.arn: thing for thing in things}
    connected: list[list[Thing]] = []
    alone: list[Thing] = []
    for arn in sorted(left):
        if arn not in left:
            continue
        members, waiting = [left.pop(arn)], [arn]
        while waiting:
            for other in sorted(beside.get(waiting.pop(), ())):
                if other in left:
                    members.append(left.pop(other))
                    waiting.append(other)
        if len(members) > 1:
            connected.append(members)
        else:
            alone += members
    return connected, alone


def _unconnected(alone: Sequence[Thing], found: Inventory) -> list[Group]:
    """One file for lone queues, machines, jobs and clusters; the rest is left out."""
    kept = [thing for thing in alone if thing.kind in _ALONE]
    for thing in alone:
        if thing.kind not in _ALONE:
            why = "it leads nowhere that was read" if thing.kind in _IDLE else _LONE
            found.left.add(Left(thing.kind, thing.name, why))
    return [Group(UNCONNECTED, "nothing leads to them or from them", _sorted(kept))] if kept else []


def _name(things: Sequence[Thing]) -> str:
    shared = common(thing.name for thing in things if thing.kind in _CENTRAL)
    if len(shared) >= 2:
        return shared
    for kind in (*_CENTRAL, *_IDLE):
        named = sorted(thing.name for thing in things if thing.kind is kind)
        if named:
            return named[0]
    return things[0].name


def _sorted(things: Iterable[Thing]) -> tuple[Thing, ...]:
    return tuple(by_name(things))
