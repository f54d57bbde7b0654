"""The SQLite file's shape: a ladder of migrations, one per `PRAGMA user_version`.

Add a rung, never edit one: files in the field have climbed the old ones.
"""

from __future__ import annotations

import aiosqlite

from monitor.core.ports import StoreUnavailable

#: "trip" in ASCII: lets `file` and us tell our database from anyone's.
APPLICATION_ID = 0x74726970

#: MIGRATIONS[n] climbs from version n to n + 1. Times are integer microseconds since 1970.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE document (
            kind TEXT NOT NULL, key TEXT NOT NULL, version INTEGER NOT NULL, epoch INTEGER NOT NULL,
            body TEXT NOT NULL, expires_at INTEGER, PRIMARY KEY (kind, key)
        ) WITHOUT ROWID""",
        "CREATE INDEX document_expiry ON document (expires_at) WHERE expires_at IS NOT NULL",
        # A released lease keeps its row (owner NULL), because epochs must rise for ever.
        """CREATE TABLE lease (
            pipeline TEXT PRIMARY KEY, owner TEXT, epoch INTEGER NOT NULL, expires_at INTEGER NOT NULL
        ) WITHOUT ROWID""",
    ),
)


async def recognise(connection: aiosqlite.Connection, path: str) -> int:
    """The file's version, 0 when it is new; changes nothing. Raises StoreUnavailable for a file that a newer
    tripswitch or another program wrote."""
    version = await _number(connection, "PRAGMA user_version")
    application = await _number(connection, "PRAGMA application_id")
    tables = await _number(connection, "SELECT count(*) FROM sqlite_schema")
    if application != APPLICATION_ID and (application or version or tables):
        raise StoreUnavailable(f"{path} is another program's database: point TRIPSWITCH_STORE at a file of its own")
    if version > len(MIGRATIONS):
        raise StoreUnavailable(
            f"{path} was written by a newer tripswitch (format {version}, this one knows {len(MIGRATIONS)}):"
            " upgrade, or restore the copy from before"
        )
    return version


async def climb(connection: aiosqlite.Connection, version: int) -> None:
    """From `version` to the newest. A rung is one transaction, so a crash in between leaves a whole version."""
    for rung in range(version, len(MIGRATIONS)):
        await connection.execute_fetchall("BEGIN IMMEDIATE")
        for statement in MIGRATIONS[rung]:
            await connection.execute_fetchall(statement)
        await connection.execute_fetchall(f"PRAGMA application_id = {APPLICATION_ID}")
        await connection.execute_fetchall(f"PRAGMA user_version = {rung + 1}")
        await connection.execute_fetchall("COMMIT")


async def _number(connection: aiosqlite.Connection, query: str) -> int:
    rows = list(await connection.execute_fetchall(query))
    return int(rows[0][0])
