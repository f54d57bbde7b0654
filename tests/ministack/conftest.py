"""One MiniStack per worker, emptied before each test; without its environment the tests are skipped."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import mini_rig
import pytest
from mini_rig import Mini


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its URL."""
    if not mini_rig.READY.exists():
        pytest.skip("MiniStack is not installed: run `make ministack`")
    url, process = mini_rig.start(tmp_path_factory.mktemp("ministack"))
    yield url
    mini_rig.stop(process)


@pytest.fixture
async def mini(ministack: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Mini]:
    """An empty AWS; what was started on it ends with the test."""
    for name, value in {**mini_rig.KEYS, "AWS_EC2_METADATA_DISABLED": "true"}.items():
        monkeypatch.setenv(name, value)
    async with aiohttp.ClientSession() as session, session.post(f"{ministack}/_ministack/reset") as reply:
        assert reply.status == 200
    async with AsyncExitStack() as stack:
        yield Mini(ministack, tmp_path, stack)
