"""SQLite's and the operating system's refusals, as sentences an operator can act on."""

from __future__ import annotations

import errno
import sqlite3

_DAMAGED = (
    "is damaged: stop tripswitch, restore a backup (or try `sqlite3 FILE .recover`); moving it away starts empty,"
    " but what open breakers changed can then not be undone"
)
_FULL = "can't grow, the disk is full: nothing was written; free space and it goes on by itself"
_READONLY = "can't be written: the file or its file system is read-only (check the mount and its owner)"

#: Primary result codes (https://www.sqlite.org/rescode.html).
_SENTENCES = {
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_READONLY: _READONLY,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    sqlite3.SQLITE_BUSY: "is locked by another program (a backup, a sqlite3 shell): nothing was written; end it",
    sqlite3.SQLITE_LOCKED: "is locked by another program (a backup, a sqlite3 shell): nothing was written; end it",
    sqlite3.SQLITE_IOERR: "can't be read or written, the disk reports an error: check the volume",
    sqlite3.SQLITE_CANTOPEN: "can't be opened: check that the path is a file and its folder is writable",
}


def explain(path: str, error: sqlite3.Error) -> str:
    """What is wrong with the file and what to do."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        # Raised by our own integrity check, which has a text but no code.
        sentence = _DAMAGED if type(error) is sqlite3.DatabaseError else "failed"
    else:
        sentence = _SENTENCES.get(code & 0xFF, "failed")
    return f"{path} {sentence} ({error})"


def explain_os(path: str, error: OSError) -> str:
    """The same for a file that could not even be created."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        sentence = _FULL
    elif error.errno in {errno.EROFS, errno.EACCES, errno.EPERM}:
        sentence = _READONLY
    elif error.errno == errno.EISDIR:
        sentence = "is a folder: name a file in it"
    else:
        sentence = "can't be opened"
    return f"{path} {sentence} ({error.strerror})"
