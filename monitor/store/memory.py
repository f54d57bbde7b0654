"""A store that forgets: for tests, `check`, and daemons whose every breaker only observes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from monitor.core.ports import Clock, Conflict, Delete, Fenced, Item, Lease, Put, StoreUnavailable
from monitor.store.documents import check_batch, decode_body, describe_conflict, encode_body, has_expired, written


class MemoryStore:
    """`ports.Store` in a dict. Nothing suspends between check and write, so every commit is atomic on one loop.

    Documents and epochs outlive close() and open() of the same object, as a file would; not the process.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._documents: dict[tuple[str, str], tuple[Item, str]] = {}
        self._leases: dict[str, Lease] = {}
        self._epochs: dict[str, int] = {}
        self._is_open = False

    async def open(self) -> None:
        """Ready at once. Leases of an earlier opening are over, as with a file whose process lock was taken."""
        if not self._is_open:
            self._leases.clear()
        self._is_open = True

    async def close(self) -> None:
        """Idempotent."""
        self._is_open = False

    async def get(self, kind: str, key: str) -> Item | None:
        """One live document."""
        self._require_open()
        return self._read(kind, key)

    async def scan(self, kind: str, prefix: str = "") -> list[Item]:
        """All live documents of a kind whose key starts with `prefix`, by key."""
        self._require_open()
        keys = sorted(key for of, key in self._documents if of == kind and key.startswith(prefix))
        return [item for key in keys if (item := self._read(kind, key)) is not None]

    async def commit(self, writes: Sequence[Put | Delete], lease: Lease | None = None) -> list[Item | None]:
        """All writes or none. Conflict, Fenced; ValueError for a batch that makes no sense."""
        self._require_open()
        check_batch(writes)
        texts = [encode_body(write.body) if isinstance(write, Put) else "" for write in writes]
        if lease is not None:
            self._require_newest(lease)
        for write in writes:
            stored = self._read(write.kind, write.key)
            version = stored.version if stored else 0
            if version != write.version:
                raise Conflict(describe_conflict(write, version))
        answer: list[Item | None] = []
        for write, text in zip(writes, texts, strict=True):
            if isinstance(write, Put):
                item = written(write, text, lease)
                self._documents[write.kind, write.key] = (item, text)
                answer.append(item)
            else:
                del self._documents[write.kind, write.key]
                answer.append(None)
        return answer

    async def acquire(self, pipeline: str, owner: str, ttl: timedelta, now: datetime) -> Lease | None:
        """A lease with a fresh epoch, or None while another owner's lasts."""
        self._require_open()
        held = self._leases.get(pipeline)
        if held is not None and held.owner != owner and held.expires_at > now:
            return None
        self._epochs[pipeline] = self._epochs.get(pipeline, 0) + 1
        lease = Lease(pipeline, owner, self._epochs[pipeline], now + ttl)
        self._leases[pipeline] = lease
        return lease

    async def renew(self, lease: Lease, ttl: timedelta, now: datetime) -> Lease:
        """The lease with a later end, also when it lapsed and nobody took it. Fenced."""
        self._require_open()
        self._require_newest(lease)
        renewed = Lease(lease.pipeline, lease.owner, lease.epoch, now + ttl)
        self._leases[lease.pipeline] = renewed
        return renewed

    async def release(self, lease: Lease) -> None:
        """Give it back; the epoch stays, so that the next owner's is higher."""
        self._require_open()
        held = self._leases.get(lease.pipeline)
        if held is not None and held.epoch == lease.epoch:
            del self._leases[lease.pipeline]

    async def prune(self, now: datetime) -> int:
        """Forget what expired by `now`; how many."""
        self._require_open()
        gone = [name for name, (item, _) in self._documents.items() if has_expired(item.expires_at, now)]
        for name in gone:
            del self._documents[name]
        return len(gone)

    def _require_open(self) -> None:
        if not self._is_open:
            raise StoreUnavailable("the memory store is not open")

    def _require_newest(self, lease: Lease) -> None:
        held = self._leases.get(lease.pipeline)
        if held is None or held.epoch != lease.epoch:
            raise Fenced(f"the lease of {lease.pipeline} with epoch {lease.epoch} is no longer the newest")

    def _read(self, kind: str, key: str) -> Item | None:
        found = self._documents.get((kind, key))
        if found is None or has_expired(found[0].expires_at, self._clock.now()):
            return None
        item, text = found
        # A fresh body each time: a reader that changes its copy must not change the store.
        return Item(item.kind, item.key, item.version, item.epoch, decode_body(text), item.expires_at)
