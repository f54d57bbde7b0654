"""Where state lives: the implementations of `monitor.core.ports.Store`, and the choice between them by URL.

Here belongs how documents and leases are kept safe; what the documents mean does not. Every implementation passes the
same conformance suite (`tests/store`).
"""

from __future__ import annotations

from monitor.core.ports import Clock, Store
from monitor.store.memory import MemoryStore
from monitor.store.sqlite import SqliteStore

__all__ = ["MemoryStore", "SqliteStore", "open_store"]

_FORMS = "write memory:, sqlite:///relative/path or sqlite:////absolute/path"
#: For a network file system: SQLite keeps its index in memory instead of mapping a file that such systems can't share.
_EXCLUSIVE = "?locking=exclusive"


def open_store(url: str, clock: Clock) -> Store:
    """The store a URL names, not yet opened (`await store.open()` does). SQLite URLs mean what SQLAlchemy's mean.

    `?locking=exclusive` is for a network file system (EFS, NFS): nobody else can look into the file meanwhile.

    Raises ValueError, with the forms that are accepted, for anything else.
    """
    scheme, colon, rest = url.partition(":")
    if not colon:
        raise ValueError(f"store {url!r} is not a URL: {_FORMS}")
    if scheme == "memory":
        if rest:
            raise ValueError(f"store {url!r}: memory: takes nothing after the colon")
        return MemoryStore(clock)
    if scheme == "dynamodb":
        raise ValueError("store dynamodb:// (several replicas) comes in a later version; " + _FORMS)
    if scheme != "sqlite":
        raise ValueError(f"store scheme {scheme!r} is unknown: {_FORMS}")
    exclusive = rest.endswith(_EXCLUSIVE)
    return SqliteStore(_sqlite_path(url, rest.removesuffix(_EXCLUSIVE)), clock, exclusive=exclusive)


def _sqlite_path(url: str, rest: str) -> str:
    if not rest.startswith("///"):
        raise ValueError(f"store {url!r} has a host or too few slashes: {_FORMS}")
    path = rest[3:]
    if not path.strip("/") or path.endswith("/"):
        raise ValueError(f"store {url!r} names no file: {_FORMS}")
    if path == ":memory:" or "?" in path:
        raise ValueError(
            f"store {url!r}: the only SQLite option is {_EXCLUSIVE[1:]}, and :memory: is not supported; {_FORMS}"
        )
    return path
