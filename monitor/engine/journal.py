"""The journal: each breaker's record and the entries of its changes, held in memory and durable before they count.

A `Ledger` has exactly one writer (the breaker's worker). Every save is one transaction of conditional writes under
the pipeline's lease; what it returns from is on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from monitor.core.breaker import Breaker
from monitor.core.change import Claim, Entry
from monitor.core.codec import decode, encode
from monitor.core.model import Json
from monitor.core.ports import Delete, Fenced, Item, Lease, Put, Store, StoreError, StoreUnavailable

BREAKER, CHANGE, CLAIM, GOOD = "breaker", "change", "claim", "good"
#: Values remembered of one property, and how long after they were last confirmed.
MOST_GOOD, GOOD_FOR = 10, timedelta(days=180)
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Health:
    """Whether the store takes writes; a gate looks at it before every mutating call."""

    down: str | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """A claim as read, with the version its next write must name."""

    key: str
    claim: Claim | None
    version: int


@dataclass(frozen=True, slots=True)
class Seen:
    """A value that was live while all was well, and when it was last seen so."""

    value: Any
    at: datetime


@dataclass(frozen=True, slots=True)
class Good:
    """What a property was while all was well, the one seen last at the end; `version` as in `Held`."""

    key: str
    values: tuple[Seen, ...] = ()
    version: int = 0

    def newest_first(self) -> list[Json]:
        """The values alone."""
        return [seen.value for seen in reversed(self.values)]


@dataclass(slots=True)
class Ledger:
    """One breaker's record and entries, as the store has them."""

    record: Breaker
    version: int = 0
    entries: dict[str, Entry] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)

    def of_step(self, trip: str, round_: int, step: str) -> list[Entry]:
        """The entries of one step in one round, in order."""
        prefix = f"{self.record.key}/{trip}/{round_}/{step}/"
        return [entry for key, entry in sorted(self.entries.items()) if key.startswith(prefix)]

    def undoable(self) -> list[Entry]:
        """Entries with an effect of ours to take back, last first: by round and step of this trip, older trips last."""
        ours = [entry for entry in self.entries.values() if entry.undoable]
        return sorted(ours, key=self._made, reverse=True)

    def _made(self, entry: Entry) -> tuple[int, int, datetime, str]:
        """When it was made, by the playbook's order where that is known: a clock may be set back in between."""
        trip, at = self.record.trip, entry.at or LONG_AGO
        if trip is None or not entry.key.startswith(f"{self.record.key}/{trip.id}/"):
            return 0, 0, at, entry.key
        steps = [step.id for step in (*trip.spec.on_trip, *(trip.spec.recover.steps or ()))]
        place = steps.index(entry.step) if entry.step in steps else -1
        return int(entry.key.split("/")[3]), place, at, entry.key

    def of_trip(self, trip: str) -> list[Entry]:
        """The entries of one trip, every round; those of older trips are abandoned ones that stay listed."""
        prefix = f"{self.record.key}/{trip}/"
        return [entry for key, entry in sorted(self.entries.items()) if key.startswith(prefix)]


class Journal:
    """Reads and writes ledgers and claims."""

    def __init__(self, store: Store, lease_of: Callable[[str], Lease | None], health: Health) -> None:
        self._store = store
        self._lease_of = lease_of
        self.health = health

    async def load(self, pipeline: str) -> dict[str, Ledger]:
        """Every ledger of a pipeline by breaker name, whatever the config says now."""
        ledgers = {}
        for item in await self._store.scan(BREAKER, f"{pipeline}/"):
            record = decode(Breaker, item.body)
            ledgers[record.name] = Ledger(record, item.version)
        for item in await self._store.scan(CHANGE, f"{pipeline}/"):
            name = item.key.split("/")[1]
            if name in ledgers:
                ledgers[name].entries[item.key] = decode(Entry, item.body)
                ledgers[name].versions[item.key] = item.version
        return ledgers

    async def claim(self, key: str) -> Held:
        """The claim on a property, or none yet."""
        item = await self._store.get(CLAIM, key)
        return Held(key, decode(Claim, item.body) if item else None, item.version if item else 0)

    async def good(self, key: str) -> Good:
        """What the property was while all was well. Raises StoreError."""
        item = await self._store.get(GOOD, key)
        if item is None:
            return Good(key)
        return Good(key, tuple(decode(Seen, one) for one in item.body["values"]), item.version)

    async def keep_good(self, pipeline: str, known: Good, seen: Seen) -> None:
        """Add a value to what was good. Raises Conflict, Fenced, StoreUnavailable."""
        others = [one for one in known.values if one.value != seen.value]
        body = {"values": [encode(one) for one in [*others, seen][-MOST_GOOD:]]}
        await self._commit([Put(GOOD, known.key, body, known.version, seen.at + GOOD_FOR)], pipeline)

    async def save(
        self,
        ledger: Ledger,
        record: Breaker | None = None,
        *,
        entries: Iterable[Entry] = (),
        drop: Iterable[str] = (),
        claim: tuple[Held, Claim | None] | None = None,
    ) -> None:
        """One transaction. Raises Conflict, Fenced, StoreUnavailable; the ledger changes only if it was written."""
        changed = {entry.key: entry for entry in entries}
        dropped = [key for key in drop if key in ledger.entries and key not in changed]
        writes: list[Put | Delete] = []
        if record is not None:
            writes.append(Put(BREAKER, record.key, encode(record), ledger.version))
        writes += [Put(CHANGE, key, encode(e), ledger.versions.get(key, 0)) for key, e in changed.items()]
        writes += [Delete(CHANGE, key, ledger.versions[key]) for key in dropped]
        if claim is not None:
            writes += _claim_write(*claim)
        if not writes:
            return
        items = await self._commit(writes, ledger.record.pipeline)
        self._take(ledger, record, changed, dropped, items)

    async def _commit(self, writes: list[Put | Delete], pipeline: str) -> list[Item | None]:
        lease = self._lease_of(pipeline)
        if lease is None:
            # Without a lease the store would not fence the write: the next owner may be at work already.
            raise Fenced(f"the lease on {pipeline} has run out")
        try:
            items = await self._store.commit(writes, lease)
        except StoreUnavailable as error:
            self.health.down = str(error)
            raise
        self.health.down = None
        return items

    def _take(
        self,
        ledger: Ledger,
        record: Breaker | None,
        changed: Mapping[str, Entry],
        dropped: list[str],
        items: list[Item | None],
    ) -> None:
        versions = {(item.kind, item.key): item.version for item in items if item is not None}
        if record is not None:
            ledger.record = record
            ledger.version = versions[BREAKER, record.key]
        for key, entry in changed.items():
            ledger.entries[key] = entry
            ledger.versions[key] = versions[CHANGE, key]
        for key in dropped:
            del ledger.entries[key], ledger.versions[key]


def _claim_write(held: Held, claim: Claim | None) -> list[Put | Delete]:
    if claim is not None:
        return [Put(CLAIM, held.key, encode(claim), held.version)]
    return [Delete(CLAIM, held.key, held.version)] if held.version else []


async def probe(store: Store, health: Health, owner: str, now: datetime) -> None:
    """Prove that the store takes writes; otherwise say so in `health`. Never raises StoreError."""
    try:
        item = await store.get("meta", f"writable/{owner}")
        body = {"at": encode(now)}
        expires = now + timedelta(days=1)
        await store.commit([Put("meta", f"writable/{owner}", body, item.version if item else 0, expires)])
    except StoreError as error:
        health.down = str(error) or type(error).__name__
    else:
        health.down = None
