"""What survives a killed process, and who gets in beside a living one."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import monitor
from monitor.core.ports import Put, StoreUnavailable
from monitor.store import SqliteStore, open_store

pytestmark = pytest.mark.process

#: A daemon in small: opens the store, takes a lease, then commits pairs for ever, telling each commit that returned.
WRITER = """
import asyncio, sys
from datetime import UTC, datetime, timedelta
from monitor.core.ports import Put
from monitor.store import open_store

class Wall:
    def now(self): return datetime.now(UTC)
    def tick(self): return 0.0
    async def sleep(self, seconds): await asyncio.sleep(seconds)

async def main():
    store = open_store(sys.argv[1], Wall())
    await store.open()
    lease = await store.acquire("etl", "writer", timedelta(days=1), Wall().now())
    number = 0
    while True:
        pair = [Put("pair", f"{side}/{number:06}", {"text": "x" * 500}, 0) for side in ("left", "right")]
        await store.commit(pair, lease)
        print(number, flush=True)
        number += 1

asyncio.run(main())
"""


@contextmanager
def writing(path: Path, options: str = "") -> Iterator[subprocess.Popen[str]]:
    """The writer as a process of its own; killed at the end if it still lives."""
    url = f"sqlite:///{path}{options}"
    root = Path(monitor.__file__).parent.parent
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, url], stdout=subprocess.PIPE, text=True, cwd=root
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def read_line(process: subprocess.Popen[str]) -> str:
    """The next line the writer printed."""
    assert process.stdout is not None
    return process.stdout.readline()


@pytest.mark.parametrize("options", ["", "?locking=exclusive"])
@pytest.mark.parametrize("commits", [1, 7, 40])
async def test_what_was_committed_survives_a_kill(sqlite_path: Path, clock: Any, commits: int, options: str) -> None:
    """SIGKILL at any moment: every commit that returned is there, every pair is whole, the restart owns at once."""
    with writing(sqlite_path, options) as process:
        for _ in range(commits):
            last = await asyncio.to_thread(read_line, process)
        process.send_signal(signal.SIGKILL)
        rest, _ = await asyncio.to_thread(process.communicate)
    told = [int(line) for line in (last + rest).splitlines()]
    store = open_store(f"sqlite:///{sqlite_path}{options}", clock)
    await store.open()
    found = {side: await store.scan("pair", side) for side in ("left", "right")}
    left, right = ([item.key.partition("/")[2] for item in items] for items in found.values())
    assert left == right
    assert int(left[-1]) >= told[-1]
    assert len(left) == int(left[-1]) + 1
    lease = await store.acquire("etl", "another", timedelta(seconds=30), clock.now())
    assert lease is not None
    assert lease.epoch == 2
    await store.close()


async def test_a_second_process_is_refused_until_the_first_dies(sqlite_path: Path, clock: Any) -> None:
    """The refusal names the holder's pid; a kill frees the store at once."""
    store = SqliteStore(str(sqlite_path), clock)
    with writing(sqlite_path) as process:
        await asyncio.to_thread(read_line, process)
        with pytest.raises(StoreUnavailable, match=rf"another tripswitch \(pid {process.pid}\) holds"):
            await store.open()
        process.kill()
        await asyncio.to_thread(process.wait)
        await store.open()
    await store.commit([Put("thing", "a", {}, 0)])
    await store.close()
