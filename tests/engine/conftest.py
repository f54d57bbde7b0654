"""The rig on a memory store (fast, whole virtual time) and on SQLite (threads, so time is pumped)."""

from collections.abc import AsyncIterator

import pytest
from engine_rig import Rig

from monitor.store.memory import MemoryStore
from monitor.store.sqlite import SqliteStore
from monitor.testing import FakeClock


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """Not started yet; stopped at the end, whatever happened."""
    clock = FakeClock()
    made = Rig(MemoryStore(clock), clock)
    yield made
    await made.stop()


@pytest.fixture(params=["memory", "sqlite"])
async def any_rig(request: pytest.FixtureRequest, tmp_path) -> AsyncIterator[Rig]:
    """The same over either store."""
    clock = FakeClock()
    if request.param == "memory":
        made = Rig(MemoryStore(clock), clock)
    else:
        made = Rig(SqliteStore(str(tmp_path / "s.db"), clock), clock, pump=0.004)
    yield made
    await made.stop()
    await made.store.close()
