"""The embedded store: one SQLite file, one process, durable on return.

WAL with `synchronous=FULL`: in WAL mode NORMAL survives a killed process but may lose the last commits when the machine
loses power (https://www.sqlite.org/pragma.html#pragma_synchronous), and an action whose intent was lost would be done
twice. FULL costs one fsync per commit, about a millisecond, against AWS calls of tens.

One connection and one lock: coroutines take turns, so none ever sees another's half-written transaction. A cancelled
commit happened whole or not at all; its caller can't know which and must read.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sqlite3
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import aiosqlite

from monitor.core.ports import Clock, Conflict, Delete, Fenced, Item, Lease, Put, StoreUnavailable
from monitor.store import schema
from monitor.store.documents import (
    check_batch,
    decode_body,
    describe_conflict,
    encode_body,
    from_micros,
    to_micros,
    written,
)
from monitor.store.process_lock import ProcessLock
from monitor.store.sqlite_errors import explain, explain_os

#: How long to wait for another program's lock (a backup, a shell).
_PATIENCE = timedelta(seconds=5)
#: What the write-ahead log is cut back to after a checkpoint, bytes.
_LOG_BYTES = 4 << 20
#: Expired documents deleted per transaction, so that a commit never waits for a long clean-up.
_PRUNE_ROWS = 1_000

_ITEM = "SELECT kind, key, version, epoch, body, expires_at FROM document"
_GET = _ITEM + " WHERE kind = ? AND key = ? AND (expires_at IS NULL OR expires_at > ?)"
_SCAN = _ITEM + " WHERE kind = ? AND key >= ? AND (expires_at IS NULL OR expires_at > ?) ORDER BY key"
_SCAN_RANGE = _ITEM + " WHERE kind = ? AND key >= ? AND (expires_at IS NULL OR expires_at > ?) AND key < ? ORDER BY key"
_VERSIONS = """SELECT document.kind, document.key, version FROM json_each(?) AS wanted
    JOIN document ON document.kind = wanted.value ->> 0 AND document.key = wanted.value ->> 1
    WHERE expires_at IS NULL OR expires_at > ?"""
_PUT = """INSERT INTO document (kind, key, version, epoch, body, expires_at) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (kind, key) DO UPDATE SET version = excluded.version, epoch = excluded.epoch, body = excluded.body,
    expires_at = excluded.expires_at"""
_LEASE = """INSERT INTO lease (pipeline, owner, epoch, expires_at) VALUES (?, ?, ?, ?)
    ON CONFLICT (pipeline) DO UPDATE SET owner = excluded.owner, epoch = excluded.epoch,
    expires_at = excluded.expires_at"""
_PRUNE = """DELETE FROM document WHERE (kind, key) IN
    (SELECT kind, key FROM document WHERE expires_at <= ? ORDER BY expires_at LIMIT ?) RETURNING 1"""


class SqliteStore:
    """`ports.Store` in a SQLite file, held by this process alone while open (`<path>.lock`)."""

    def __init__(self, path: str, clock: Clock, *, patience: timedelta = _PATIENCE, exclusive: bool = False) -> None:
        self.path = path
        self._exclusive = exclusive
        self._patience = patience
        self._clock = clock
        self._turn = asyncio.Lock()
        # The real path: two names of one file must meet at one lock.
        self._process = ProcessLock(os.path.realpath(path) + ".lock")
        self._connection: aiosqlite.Connection | None = None

    async def open(self) -> None:
        """Lock, check, migrate. Leases of the previous holder end here: with the lock ours, it can't be alive."""
        async with self._turn:
            if self._connection is not None:
                return
            _require_folder(self.path)
            self._process.take()
            try:
                _create_file(self.path)
                self._connection = await _connect(self.path, self._patience, self._exclusive)
            except sqlite3.Error as error:
                raise StoreUnavailable(explain(self.path, error)) from error
            except OSError as error:
                raise StoreUnavailable(explain_os(self.path, error)) from error
            finally:
                if self._connection is None:
                    self._process.drop()

    async def close(self) -> None:
        """Idempotent. The log is folded into the file, so that a copy of the file alone is complete."""
        async with self._turn:
            connection, self._connection = self._connection, None
            try:
                if connection is not None:
                    await connection.close()
            except sqlite3.Error as error:
                raise StoreUnavailable(explain(self.path, error)) from error
            finally:
                self._process.drop()

    async def get(self, kind: str, key: str) -> Item | None:
        """One live document, read after all own writes."""
        async with self._using() as connection:
            rows = list(await connection.execute_fetchall(_GET, (kind, key, self._now())))
        return _item(rows[0]) if rows else None

    async def scan(self, kind: str, prefix: str = "") -> list[Item]:
        """All live documents of a kind whose key starts with `prefix`, by key (code point order)."""
        end = _after_prefix(prefix)
        async with self._using() as connection:
            if end is None:
                rows = await connection.execute_fetchall(_SCAN, (kind, prefix, self._now()))
            else:
                rows = await connection.execute_fetchall(_SCAN_RANGE, (kind, prefix, self._now(), end))
        return [_item(row) for row in rows]

    async def commit(self, writes: Sequence[Put | Delete], lease: Lease | None = None) -> list[Item | None]:
        """All writes or none, on the disk when it returns. Conflict, Fenced; ValueError for a senseless batch."""
        check_batch(writes)
        texts = [encode_body(write.body) if isinstance(write, Put) else "" for write in writes]
        answer = [
            written(write, text, lease) if isinstance(write, Put) else None
            for write, text in zip(writes, texts, strict=True)
        ]
        puts = [
            (item.kind, item.key, item.version, item.epoch, text, _expiry(item.expires_at))
            for item, text in zip(answer, texts, strict=True)
            if item is not None
        ]
        deletes = [(write.kind, write.key) for write in writes if isinstance(write, Delete)]
        async with self._transaction() as connection:
            if lease is not None:
                await _require_newest(connection, lease)
            await self._require_versions(connection, writes)
            if puts:
                await connection.executemany(_PUT, puts)
            if deletes:
                await connection.executemany("DELETE FROM document WHERE kind = ? AND key = ?", deletes)
        return answer

    async def acquire(self, pipeline: str, owner: str, ttl: timedelta, now: datetime) -> Lease | None:
        """A lease with a fresh epoch, or None while one that another owner took since `open` lasts."""
        async with self._transaction() as connection:
            query = "SELECT owner, epoch, expires_at FROM lease WHERE pipeline = ?"
            rows = list(await connection.execute_fetchall(query, (pipeline,)))
            holder, epoch, end = rows[0] if rows else (None, 0, 0)
            if holder is not None and holder != owner and end > to_micros(now):
                return None
            lease = Lease(pipeline, owner, epoch + 1, now + ttl)
            await connection.execute_fetchall(_LEASE, (pipeline, owner, lease.epoch, to_micros(lease.expires_at)))
        return lease

    async def renew(self, lease: Lease, ttl: timedelta, now: datetime) -> Lease:
        """The lease with a later end, also when it lapsed and nobody took it. Fenced."""
        renewed = Lease(lease.pipeline, lease.owner, lease.epoch, now + ttl)
        async with self._transaction() as connection:
            await _require_newest(connection, lease)
            query = "UPDATE lease SET expires_at = ? WHERE pipeline = ?"
            await connection.execute_fetchall(query, (to_micros(renewed.expires_at), lease.pipeline))
        return renewed

    async def release(self, lease: Lease) -> None:
        """Give it back; the row stays without an owner, so that the next epoch is higher."""
        query = "UPDATE lease SET owner = NULL, expires_at = 0 WHERE pipeline = ? AND epoch = ?"
        async with self._transaction() as connection:
            await connection.execute_fetchall(query, (lease.pipeline, lease.epoch))

    async def prune(self, now: datetime) -> int:
        """Delete what expired by `now`, in slices between which commits go through, and give the space back."""
        total = 0
        while True:
            async with self._transaction() as connection:
                gone = len(list(await connection.execute_fetchall(_PRUNE, (to_micros(now), _PRUNE_ROWS))))
            total += gone
            if gone < _PRUNE_ROWS:
                break
        async with self._using() as connection:
            # As a script: run as a statement, this pragma frees a single page and stops.
            await connection.executescript("PRAGMA incremental_vacuum")
            await connection.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
        return total

    def _now(self) -> int:
        return to_micros(self._clock.now())

    @contextlib.asynccontextmanager
    async def _using(self) -> AsyncIterator[aiosqlite.Connection]:
        """The connection, for this coroutine alone; SQLite's errors become StoreUnavailable."""
        async with self._turn:
            if self._connection is None:
                raise StoreUnavailable(f"{self.path} is not open")
            try:
                yield self._connection
            except sqlite3.Error as error:
                raise StoreUnavailable(explain(self.path, error)) from error

    @contextlib.asynccontextmanager
    async def _transaction(self) -> AsyncIterator[aiosqlite.Connection]:
        async with self._using() as connection:
            try:
                # IMMEDIATE: take the write lock before reading, so that what was checked stays true.
                await connection.execute_fetchall("BEGIN IMMEDIATE")
                yield connection
                await connection.execute_fetchall("COMMIT")
            except BaseException:
                # Also on cancellation: the connection's thread works in order, so this runs after whatever was under
                # way and before the next turn; after a COMMIT that went through it does nothing.
                await connection.rollback()
                raise

    async def _require_versions(self, connection: aiosqlite.Connection, writes: Sequence[Put | Delete]) -> None:
        names = json.dumps([(write.kind, write.key) for write in writes])
        rows = await connection.execute_fetchall(_VERSIONS, (names, self._now()))
        stored = {(kind, key): version for kind, key, version in rows}
        for write in writes:
            version = stored.get((write.kind, write.key), 0)
            if version != write.version:
                raise Conflict(describe_conflict(write, version))


async def _require_newest(connection: aiosqlite.Connection, lease: Lease) -> None:
    query = "SELECT 1 FROM lease WHERE pipeline = ? AND epoch = ? AND owner IS NOT NULL"
    if not list(await connection.execute_fetchall(query, (lease.pipeline, lease.epoch))):
        raise Fenced(f"the lease of {lease.pipeline} with epoch {lease.epoch} is no longer the newest")


def _require_folder(path: str) -> None:
    # Not created: a mistyped mount would put the journal on a container's own layer, which a restart wipes.
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise StoreUnavailable(f"the store's folder {folder} doesn't exist: create it (in a container: mount it)")


def _create_file(path: str) -> None:
    """Exists, readable by its owner only (receipts tell what production looks like), and its name is on the disk."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)
    folder = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


async def _connect(path: str, patience: timedelta, exclusive: bool) -> aiosqlite.Connection:
    connection = await aiosqlite.connect(path, isolation_level=None)
    try:
        await connection.execute_fetchall(f"PRAGMA busy_timeout = {patience // timedelta(milliseconds=1)}")
        if exclusive:
            # Before the first read: the log's index then lives in this process instead of in a shared mapping, which
            # network file systems don't have (https://www.sqlite.org/wal.html, "Use of WAL Without Shared-Memory").
            await connection.execute_fetchall("PRAGMA locking_mode = EXCLUSIVE")
        version = await schema.recognise(connection, path)
        # Only effective before anything else is written to a new file, the change to WAL included.
        await connection.execute_fetchall("PRAGMA auto_vacuum = INCREMENTAL")
        rows = list(await connection.execute_fetchall("PRAGMA journal_mode = WAL"))
        if rows[0][0] != "wal":
            raise StoreUnavailable(
                f"{path}: this file system can't hold a write-ahead log; use a local disk, or on a network file system"
                " end the store's URL with ?locking=exclusive"
            )
        await connection.execute_fetchall("PRAGMA synchronous = FULL")
        await connection.execute_fetchall(f"PRAGMA journal_size_limit = {_LOG_BYTES}")
        rows = list(await connection.execute_fetchall("PRAGMA integrity_check(1)"))
        if rows[0][0] != "ok":
            raise sqlite3.DatabaseError(str(rows[0][0]))
        await schema.climb(connection, version)
        await connection.execute_fetchall("UPDATE lease SET owner = NULL, expires_at = 0 WHERE owner IS NOT NULL")
    except BaseException:
        await connection.close()
        raise
    return connection


def _after_prefix(prefix: str) -> str | None:
    """The least string after all that start with `prefix`; None when there is none."""
    for at in range(len(prefix) - 1, -1, -1):
        code = ord(prefix[at])
        if code < 0x10FFFF:
            # Surrogates are no text, so the successor of the last code point below them is the first above.
            return prefix[:at] + chr(0xE000 if code == 0xD7FF else code + 1)
    return None


def _expiry(at: datetime | None) -> int | None:
    return None if at is None else to_micros(at)


def _item(row: Any) -> Item:
    kind, key, version, epoch, body, expires_at = row
    return Item(kind, key, version, epoch, decode_body(body), None if expires_at is None else from_micros(expires_at))
