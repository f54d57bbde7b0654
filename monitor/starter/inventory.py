"""What an account holds, as far as it could be read: things, who leads to whom, and what could not be seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What is looked for; the value is the word for people."""

    QUEUE = "queue"
    FUNCTION = "function"
    MACHINE = "state machine"
    RULE = "rule"
    SCHEDULE = "schedule"
    BUCKET = "bucket"
    TABLE = "table"
    TOPIC = "topic"
    JOB = "Glue job"
    CLUSTER = "Kafka cluster"

    @property
    def plural(self) -> str:
        """`2 queues`."""
        return f"{self.value}s"


@dataclass(frozen=True, slots=True)
class Thing:
    """A resource. `facts` are what listing and describing it told that a proposal needs."""

    kind: Kind
    name: str
    arn: str
    facts: Mapping[str, Any] = field(default_factory=dict, hash=False, compare=False)
    tags: Mapping[str, str] = field(default_factory=dict, hash=False, compare=False)


@dataclass(frozen=True, order=True, slots=True)
class Link:
    """`source` (an ARN) sets off, feeds or fails into `target`; `why` is a verb: `starts`, `reads`, `dead letters`."""

    source: str
    target: str
    why: str


@dataclass(frozen=True, slots=True)
class Alarm:
    """A metric alarm of CloudWatch and the dimensions it looks at."""

    name: str
    values: frozenset[str]
    state: str


@dataclass(frozen=True, order=True, slots=True)
class Gap:
    """Something that could not be read: `what`, the IAM action it needs, and why (denied, or the failure's words)."""

    what: str
    action: str
    why: str
    denied: bool = False


@dataclass(frozen=True, order=True, slots=True)
class Left:
    """Found and left out, with the reason."""

    what: str
    name: str
    why: str


@dataclass(slots=True)
class Inventory:
    """Everything one survey saw in one account and region. Filled by the survey, then only read."""

    account: str
    region: str
    partition: str
    things: dict[str, Thing] = field(default_factory=dict)
    links: set[Link] = field(default_factory=set)
    alarms: list[Alarm] = field(default_factory=list)
    gaps: set[Gap] = field(default_factory=set)
    left: set[Left] = field(default_factory=set)
    #: Listings that ended at the limit, as sentences.
    bounded: list[str] = field(default_factory=list)

    def add(self, kind: Kind, name: str, arn: str, **facts: Any) -> Thing:
        """Remember a resource."""
        thing = self.things[arn] = Thing(kind, name, arn, facts)
        return thing

    def link(self, source: str, target: str, why: str) -> None:
        """Remember who leads to whom; ARNs are brought into their plain form first."""
        source, target = plain_arn(source), plain_arn(target)
        if source != target:
            self.links.add(Link(source, target, why))

    def arn(self, service: str, path: str) -> str:
        """An ARN in this account and region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{path}"

    def of(self, *kinds: Kind) -> list[Thing]:
        """Things of these kinds, by name."""
        return by_name(thing for thing in self.things.values() if thing.kind in kinds)


def by_name(things: Iterable[Thing]) -> list[Thing]:
    """In a stable order."""
    return sorted(things, key=lambda thing: (thing.kind, thing.name, thing.arn))


def plain_arn(arn: str) -> str:
    """Without what points inside a resource: a function's or a machine's version or alias, a table's stream."""
    parts = arn.split(":")
    service = parts[2] if len(parts) > 5 else ""
    if service in ("lambda", "states") and len(parts) > 7:
        return ":".join(parts[:7])
    if service == "dynamodb" and "/stream/" in arn:
        return arn.split("/stream/", maxsplit=1)[0]
    if service == "s3":
        return arn.split("/", maxsplit=1)[0]
    return arn
