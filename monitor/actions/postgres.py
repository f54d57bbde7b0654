"""A session with PostgreSQL for the few statements that actions may send; asyncpg is an extra, imported when wanted.

Names are checked and quoted here and values are never spelled into a statement, so no other SQL than the actions' own
shapes can be sent. Errors are told by their SQLSTATE: the server's texts may quote data.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Annotated, Any

from pydantic import Field

from monitor.actions.secret_reference import SecretReference
from monitor.plugin import ActionContext, ActionError, Reason

#: An unquoted name as PostgreSQL takes it, with its schema where it is a table's.
NAME = r"[A-Za-z_][A-Za-z0-9_$]{0,62}"
#: Seconds within which the server must have taken a statement: what the lease has to outlast.
_TAKEN = 5.0

#: SQLSTATE classes and codes (PostgreSQL manual, appendix A), what they are to us, and what to do.
_STATES = (
    (("28", "42501"), Reason.DENIED, "refused: give the role the right (owner of the table, or MAINTAIN)"),
    (("3D000", "42P01", "42703", "3F000"), Reason.NOT_FOUND, "what the statement names does not exist"),
    (("57014", "55P03"), Reason.TIMEOUT, "the statement took longer than `wait`"),
    (("08", "53", "57P", "58"), Reason.UNAVAILABLE, "the server gives no answer, or has no place left"),
)


Dsn = Annotated[
    SecretReference,
    Field(description="Secret reference (`env:`, `file:`, `ssm:`, `secretsmanager:`) to a postgresql:// URL."),
]
Table = Annotated[str, Field(pattern=f"^{NAME}(\\.{NAME})?$", description="Table, with its schema where needed.")]


def quoted(name: str) -> str:
    """A checked name as an identifier; PostgreSQL folds unquoted names to lower case, and so does this."""
    return ".".join(f'"{part.lower()}"' for part in name.split("."))


class Session:
    """What an action may do: read rows, and run a statement of its own making past the gates."""

    def __init__(self, connection: Any, failures: tuple[type[Exception], ...], ctx: ActionContext) -> None:
        self._connection, self._failures, self._ctx = connection, failures, ctx

    async def rows(self, sql: str, *arguments: object) -> Sequence[Any]:
        """A read. Raises ActionError."""
        try:
            return list(await self._connection.fetch(sql, *arguments))
        except self._failures as error:
            raise translated(error) from None

    async def run(self, verb: str, sql: str) -> None:
        """A statement that changes something, outside a transaction. Raises Held, ActionError."""
        await self._ctx.permit("postgresql", verb, _TAKEN)
        try:
            await self._connection.execute(sql)
        except self._failures as error:
            raise translated(error) from None


@asynccontextmanager
async def connected(reference: str, wait: timedelta, ctx: ActionContext) -> AsyncIterator[Session]:
    """A session whose statements the server ends after `wait`. Raises ActionError; says nothing of the DSN."""
    try:
        import asyncpg  # noqa: PLC0415 - an extra
    except ImportError:
        raise ActionError(Reason.INVALID, "this needs asyncpg: install tripswitch[postgres]") from None
    failures: tuple[type[Exception], ...] = (
        asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError, ValueError,
    )  # fmt: skip
    settings = {"application_name": "tripswitch", "statement_timeout": str(int(wait.total_seconds() * 1000))}
    dsn = await ctx.secret(reference)
    try:
        connection = await asyncpg.connect(dsn, timeout=10, server_settings=settings, statement_cache_size=0)
    except failures as error:
        raise translated(error) from None
    try:
        yield Session(connection, failures, ctx)
    finally:
        connection.terminate()


def translated(error: Exception) -> ActionError:
    """The ActionError that an error of asyncpg or of the network is."""
    state, kind = str(getattr(error, "sqlstate", "") or ""), type(error).__name__
    for codes, reason, text in _STATES:
        if state.startswith(codes):
            return ActionError(reason, f"{text} ({kind})")
    if isinstance(error, TimeoutError):
        return ActionError(Reason.TIMEOUT, "the server did not answer in time")
    if isinstance(error, OSError):
        return ActionError(Reason.UNAVAILABLE, f"no connection ({error.strerror or kind})")
    return ActionError(Reason.INVALID, f"the statement or the DSN is not valid ({kind})")
