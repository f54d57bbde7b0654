"""Daemons by fork: imports everything once, then each line of JSON on stdin starts one real daemon process.

A line: {"path", "folder", "env", "kill": [number, "before" | "after"] or null}; the answer: the pid. The daemon writes
its URL to FOLDER/url, its log to FOLDER/log, and a byte to FOLDER/commits for every commit of its journal; `kill` ends
it with SIGKILL just before or just after that commit.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import traceback
from pathlib import Path

from monitor import app
from monitor.config import ConfigError
from monitor.core.ports import StoreError
from monitor.engine.clock import SystemClock
from monitor.settings import Settings
from monitor.store.sqlite import SqliteStore

JOURNAL = {"breaker", "change", "claim"}


class MortalStore(SqliteStore):
    """SQLite that may take the process with it."""

    def __init__(self, folder: Path, clock, kill) -> None:
        super().__init__(str(folder / "state.db"), clock)
        self._count = os.open(folder / "commits", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._number, self._moment = kill or (0, "")
        self._seen = 0

    async def commit(self, writes, lease=None):
        ours = any(write.kind in JOURNAL for write in writes)
        self._seen += ours
        if ours and self._seen == self._number and self._moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        answer = await super().commit(writes, lease)
        if ours:
            os.write(self._count, b".")
            if self._seen == self._number:
                os.kill(os.getpid(), signal.SIGKILL)
        return answer


async def daemon(order) -> int:
    folder, clock = Path(order["folder"]), SystemClock()
    store = MortalStore(folder, clock, order.get("kill"))
    boot = app.Boot((Path(order["path"]),), Settings.from_sources(), dict(os.environ), app.registry(), store, clock)

    async def ready(url: str) -> None:
        (folder / "url.part").write_text(url)
        (folder / "url.part").rename(folder / "url")

    return await app.serve(boot, ready)


def child(order) -> int:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.environ.update(order["env"])
    log = os.open(Path(order["folder"]) / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    try:
        return asyncio.run(daemon(order))
    except (app.StartError, ConfigError, StoreError) as error:
        sys.stdout.write(f"refused: {error}\n")
        sys.stdout.flush()
        return 78
    except BaseException:  # noqa: BLE001 (the last words of a process)
        traceback.print_exc()
        return 1


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        order = json.loads(line)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(Path(order["folder"]) / "url")
        pid = os.fork()
        if pid == 0:
            os._exit(child(order))
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
