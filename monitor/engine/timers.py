"""Pending timers of checks in the store, so that a `for:` half over is not begun anew by a restart."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import structlog

from monitor.core.ports import Conflict, Delete, Lease, Put, Store, StoreError
from monitor.engine.board import Board
from monitor.engine.turns import Turns

log = structlog.get_logger(__name__)

KIND = "timers"


class Timers:
    """One document per check that has something to remember; a check at rest is written once and then left alone."""

    def __init__(self, store: Store, board: Board, lease_of: Callable[[str], Lease | None], turns: Turns) -> None:
        self._turns = turns
        self._store = store
        self._board = board
        self._lease_of = lease_of
        self._written: dict[str, tuple[int, Any]] = {}

    async def load(self, pipeline: str, checks: Collection[str]) -> None:
        """Take up what the last owner left of `checks` (`PIPELINE/CHECK`). Raises StoreError."""
        self.forget(pipeline)
        for item in await self._store.scan(KIND, f"{pipeline}/"):
            self._written[item.key] = (item.version, item.body)
            if item.key in checks:
                self._board.load(item.key, item.body)
            else:
                await self._write(item.key, None)

    def forget(self, pipeline: str) -> None:
        """Another replica writes them from now on."""
        for key in [key for key in self._written if key.startswith(f"{pipeline}/")]:
            del self._written[key]

    async def save(self, check: str) -> None:
        """Write what changed. A store that fails costs a fresh start of the timers after a crash, no more."""
        await self._write(check, await self._turns.take(self._board.dumping(check)))

    async def _write(self, check: str, body: dict[str, Any] | None) -> None:
        version, written = self._written.get(check, (0, None))
        lease = self._lease_of(check.split("/", 1)[0])
        if body == written or (body is None and version == 0) or lease is None:
            return
        write = Put(KIND, check, body, version) if body is not None else Delete(KIND, check, version)
        try:
            items = await self._store.commit([write], lease)
        except Conflict:
            item = await self._store.get(KIND, check)
            self._written[check] = (item.version, item.body) if item is not None else (0, None)
        except StoreError as error:
            log.warning("timers.unwritten", check=check, detail=str(error))
        else:
            item = items[0]
            self._written[check] = (item.version if item is not None else 0, body)
