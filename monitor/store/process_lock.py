"""One process per store file, by an advisory lock the kernel drops when its holder dies, however it dies."""

from __future__ import annotations

import contextlib
import fcntl
import os

from monitor.core.ports import StoreUnavailable


class ProcessLock:
    """An exclusive `flock` on a file that also names its holder's pid.

    `flock` rather than `fcntl` record locks: those vanish when any descriptor of the file is closed, and don't exclude
    a second holder inside the same process. The file is never removed: unlinking would let two processes hold locks
    on two files of one name.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._descriptor: int | None = None

    def take(self) -> None:
        """Lock or raise StoreUnavailable naming the holder. Never waits."""
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreUnavailable(
                f"can't write the lock file {self.path} ({error.strerror}): give tripswitch a writable folder"
                " or point TRIPSWITCH_STORE elsewhere"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _read_pid(descriptor)
            os.close(descriptor)
            raise StoreUnavailable(
                f"another tripswitch (pid {holder}) holds {self.path}: stop it, talk to it with --url,"
                " or give this one its own TRIPSWITCH_STORE"
            ) from None
        except OSError as error:
            os.close(descriptor)
            raise StoreUnavailable(
                f"can't lock {self.path} ({error.strerror}): the file system must support flock (use a local disk)"
            ) from error
        # The pid is only for people; a full disk must not keep the daemon from starting to say so properly.
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def drop(self) -> None:
        """Unlock. Idempotent."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _read_pid(descriptor: int) -> str:
    try:
        text = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
    except OSError:
        text = ""
    return text if text.isdigit() else "unknown"
