"""An emulator, the real registry, and the command as people start it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from monitor import app
from monitor.demo.emulator import child
from monitor.demo.emulator.child import Child
from monitor.demo.world import World
from monitor.plugin import Registry

ROOT = Path(__file__).resolve().parents[2]
Ended = subprocess.CompletedProcess[str]


@pytest.fixture(scope="session")
def registry() -> Registry:
    """Every shipped kind and action."""
    return app.registry()


@pytest.fixture(scope="session")
def emulator() -> Iterator[Child]:
    """An emulated AWS."""
    with child.start() as running:
        yield running


@pytest.fixture
async def world(emulator: Child) -> AsyncIterator[World]:
    """Clients on an empty emulator; `await world.build()` makes the ETL pipeline in it."""
    async with World(emulator.url) as empty:
        await empty.side.post("reset")
        yield empty


@pytest.fixture
def tripswitch(emulator: Child, tmp_path: Path) -> Callable[..., Ended]:
    """`tripswitch WORDS` in an empty folder, against the emulator, to its end."""

    def run(*words: str, **more: str) -> Ended:
        bare = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "TRIPSWITCH_"))}
        return subprocess.run(
            [sys.executable, "-m", "monitor", *words],
            env=bare | emulator.environment() | {"PYTHONPATH": str(ROOT)} | more,
            cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    return run
