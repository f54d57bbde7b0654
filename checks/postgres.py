"""A read-only session with PostgreSQL through asyncpg, which is an extra and imported only when one is wanted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Protocol

from monitor.plugin import ProbeError, Reason

#: SQLSTATE classes and codes (PostgreSQL manual, appendix A) and what they mean to us.
_DENIED = ("28", "42501")
_MISSING = ("3D000", "42P01", "42703", "3F000")
_TIMEOUT = ("57014", "55P03")
_FULL = "53300"
_DOWN = ("08", "53", "57P", "58")


class TooManyConnections(ProbeError):
    """The server has no place left: an observation in itself."""


class Session(Protocol):
    """What a part of a probe may do."""

    async def rows(self, sql: str, *arguments: object, most: int = 1000) -> Sequence[Any]:
        """The rows, at most `most`. Raises ProbeError; the session goes on."""


class _Session:
    def __init__(self, connection: Any, wait: float, failures: tuple[type[Exception], ...]) -> None:
        self._connection = connection
        self._wait = wait
        self._failures = failures

    async def rows(self, sql: str, *arguments: object, most: int = 1000) -> Sequence[Any]:
        """Each statement in a transaction of its own, so that one that fails spoils no other."""
        try:
            async with self._connection.transaction(readonly=True):
                cursor = await self._connection.cursor(sql, *arguments, timeout=self._wait)
                found = await cursor.fetch(most + 1, timeout=self._wait)
        except self._failures as error:
            raise translated(error) from None
        if len(found) > most:
            raise ProbeError(Reason.INVALID, f"the query yields more than {most} rows")
        return list(found)


@asynccontextmanager
async def connected(dsn: str, wait: timedelta) -> AsyncIterator[Session]:
    """A session that can't write. Raises ProbeError, TooManyConnections among them; says nothing of the DSN."""
    try:
        import asyncpg  # noqa: PLC0415 - an extra
    except ImportError:
        raise ProbeError(Reason.INVALID, "the database kind needs asyncpg: install tripswitch[postgres]") from None
    seconds = wait.total_seconds()
    failures: tuple[type[Exception], ...] = (
        asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError, ValueError,
    )  # fmt: skip
    settings = {
        "application_name": "tripswitch",
        "default_transaction_read_only": "on",
        "statement_timeout": f"{int(seconds * 1000)}",
        "lock_timeout": f"{int(min(seconds, 2.0) * 1000)}",
    }
    try:
        # No prepared statements are kept: a pooler between would not know them.
        connection = await asyncpg.connect(dsn, timeout=seconds, server_settings=settings, statement_cache_size=0)
    except failures as error:
        raise translated(error) from None
    try:
        yield _Session(connection, seconds, failures)
    finally:
        connection.terminate()


def translated(error: Exception) -> ProbeError:
    """The ProbeError an error of asyncpg (or of the network) is, without the server's texts: they may quote data."""
    state = str(getattr(error, "sqlstate", "") or "")
    kind = type(error).__name__
    if state == _FULL:
        return TooManyConnections(Reason.UNAVAILABLE, "the server has too many connections")
    for codes, reason, text in (
        (_DENIED, Reason.DENIED, "refused"),
        (_MISSING, Reason.NOT_FOUND, "what the statement names does not exist"),
        (_TIMEOUT, Reason.TIMEOUT, "the statement took too long"),
        (_DOWN, Reason.UNAVAILABLE, "the server gives no answer"),
    ):
        if state.startswith(codes):
            return ProbeError(reason, f"{text} ({kind})")
    if isinstance(error, TimeoutError):
        return ProbeError(Reason.TIMEOUT, "the server did not answer in time")
    if isinstance(error, OSError):
        return ProbeError(Reason.UNAVAILABLE, f"no connection ({error.strerror or kind})")
    return ProbeError(Reason.INVALID, f"the statement or the DSN is not valid ({kind})")
