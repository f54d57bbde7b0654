"""From an inventory to pipeline files: groups, their past, their checks and breakers, as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from monitor.plugin import Reads, Registry
from monitor.starter.containing import contain
from monitor.starter.desk import Desk
from monitor.starter.grouping import Group, groups_of
from monitor.starter.history import Past, read_past, words
from monitor.starter.inventory import Inventory, Kind, Left, Thing, by_name
from monitor.starter.naming import Names
from monitor.starter.watching import watch
from monitor.starter.writing import Entry, Flow, comment, write

#: The schema that lies beside the files (`tripswitch schema` prints it).
SCHEMA = "pipeline.schema.json"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the person asked for. `tags`: (key, value or None for any); `name`: everything into one pipeline."""

    tags: tuple[tuple[str, str | None], ...] = ()
    name: str | None = None
    profile: str | None = None
    history: timedelta = timedelta(days=14)
    fresh: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    """One proposed file: its pipeline's name, its text, and what is in it."""

    name: str
    text: str
    why: str
    things: Mapping[Kind, int]
    checks: tuple[str, ...]
    breakers: tuple[str, ...]

    @property
    def file(self) -> str:
        """The name of the file."""
        return f"{self.name}.yaml"


@dataclass(frozen=True, slots=True)
class Drafts:
    """All proposed files, and the survey they came from (with gaps and what was left out)."""

    files: tuple[Draft, ...]
    found: Inventory
    counted: Mapping[Kind, int] = field(default_factory=dict)


async def draft(aws: Reads, found: Inventory, wishes: Wishes, registry: Registry, now: datetime) -> Drafts:
    """Files for what was found; reads histories (GetMetricData, GetJobRuns) and nothing else."""
    groups = groups_of(found, wishes.tags)
    if wishes.name is not None and groups:
        whole = {thing.arn: thing for group in groups for thing in group.things}
        groups = [Group(wishes.name, "; ".join(dict.fromkeys(g.why for g in groups)), tuple(by_name(whole.values())))]
    chosen = [thing for group in groups for thing in group.things]
    past = await read_past(aws, found, chosen, wishes.history, now)
    _unasked(found, chosen, wishes)
    names = Names()
    files = [
        one
        for group in groups
        if (one := _file(Desk(group, found, past, registry, wishes.fresh), names, wishes, now)) is not None
    ]
    counted = {kind: len(found.of(kind)) for kind in Kind}
    return Drafts(tuple(files), found, {kind: number for kind, number in counted.items() if number})


def _unasked(found: Inventory, chosen: Sequence[Thing], wishes: Wishes) -> None:
    """Buckets whose freshness was asked for and that are in no group."""
    known = {thing.name for thing in chosen if thing.kind is Kind.BUCKET}
    for place in wishes.fresh:
        bucket = place.removeprefix("s3://").partition("/")[0]
        if bucket not in known:
            found.left.add(
                Left("freshness", place, "no proposed pipeline has this bucket; link or tag it, or use --name")
            )


def _file(desk: Desk, names: Names, wishes: Wishes, now: datetime) -> Draft | None:
    """None if there is nothing in the group that a check could watch."""
    watches = watch(desk)
    if not watches:
        for thing in desk.group.things:
            desk.found.left.add(Left(thing.kind, thing.name, "nothing it is linked to can be watched by a check"))
        return None
    breakers = contain(desk, watches)
    name = names.take(desk.group.name)
    checks = [one.entry for one in watches]
    place: dict[str, Flow] = {"region": desk.found.region}
    if wishes.profile:
        place["profile"] = wishes.profile
    top = [Entry("pipeline", name), Entry("aws", place), Entry("defaults", {"interval": "60s"})]
    lines = [f"# yaml-language-server: $schema={SCHEMA}", "#", *_heading(desk, name, desk.past, now), *write(top)]
    lines += ["", "checks:", *_apart(checks)]
    if breakers:
        lines += ["", "# What would be done. observe: it is only written down. Then approve, then auto."]
        lines += ["breakers:", *_apart(breakers)]
    lines += ["", *comment("Where notices go: any Apprise URL or sns://TOPIC-ARN, as a reference to a secret."),
              "# notify:", '#   - {url: "env:SLACK_URL", min_severity: SEV3}']  # fmt: skip
    counts = {kind: len(desk.group.of(kind)) for kind in Kind}
    return Draft(
        name, "\n".join(lines) + "\n", desk.group.why, {kind: n for kind, n in counts.items() if n},
        tuple(one.key for one in checks), tuple(one.key for one in breakers),
    )  # fmt: skip


def _heading(desk: Desk, name: str, past: Past, now: datetime) -> list[str]:
    found = desk.found
    counts = [(len(desk.group.of(kind)), kind) for kind in Kind]
    held = ", ".join(f"{n} {kind if n == 1 else kind.plural}" for n, kind in counts if n)
    said = [
        f"{name}: drafted by `tripswitch init` on {now:%Y-%m-%d} from account {found.account}, {found.region}.",
        f"It holds {held}; together because: {desk.group.why}.",
        f"Bounds are the shipped ones or one and a half times the highest of {words(past.length)}, whichever is more.",
        "Nothing here changes anything: every breaker observes. Read it, correct it, make it yours.",
    ]
    return [line for text in said for line in comment(text)]


def _apart(entries: Sequence[Entry]) -> list[str]:
    """Block entries with an empty line between them."""
    lines: list[str] = []
    for n, entry in enumerate(entries):
        lines += ([""] if n else []) + write([entry], 2)
    return lines


def parse_tag(text: str) -> tuple[str, str | None]:
    """`K=V` or `K` (any value). Raises ValueError."""
    key, equals, value = text.partition("=")
    if not key.strip() or (equals and not value):
        raise ValueError(f"{text!r} is not a tag: write KEY=VALUE, or KEY for any value")
    return key, value if equals else None
