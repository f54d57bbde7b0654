"""Stores under test, and a clock that only moves when told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from monitor.core.ports import Store
from monitor.store import open_store


class HandClock:
    """`ports.Clock`, moved by hand."""

    def __init__(self) -> None:
        self.at = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def tick(self) -> float:
        return self.at.timestamp()

    async def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        await asyncio.sleep(0)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def sqlite_path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture(params=["memory", "sqlite", "exclusive"])
async def store(request: pytest.FixtureRequest, sqlite_path: Path, clock: HandClock) -> AsyncIterator[Store]:
    """Every store there is, open; each conformance test runs on each."""
    urls = {
        "memory": "memory:",
        "sqlite": f"sqlite:///{sqlite_path}",
        "exclusive": f"sqlite:///{sqlite_path}?locking=exclusive",
    }
    url = urls[request.param]
    made = open_store(url, clock)
    await made.open()
    yield made
    await made.close()
