"""Notices that configuration files changed: by events where the system gives them, by polling where it does not.

Whole folders are watched, because editors and ConfigMaps replace files (or the symlink above them) instead of writing
into them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from watchfiles import awatch

from monitor.core.view import Outcome

#: Changes within this many milliseconds are one reload.
DEBOUNCE = 800


async def watch_files(paths: Sequence[Path], reload: Callable[[], Awaitable[Outcome]]) -> None:
    """Reload whenever the content of the configuration really changed. Runs until cancelled."""
    seen = _content(paths)
    folders = {path if path.is_dir() else path.parent for path in paths}
    async for _ in awatch(
        *folders, debounce=DEBOUNCE, recursive=False, step=200, rust_timeout=5_000, yield_on_timeout=True
    ):
        now = _content(paths)
        if now != seen:
            seen = now
            await reload()


def _content(paths: Sequence[Path]) -> dict[str, bytes]:
    """File name to bytes; a file that can't be read right now counts as absent."""
    found = {}
    for path in paths:
        for file in sorted(path.glob("*.y*ml")) if path.is_dir() else [path]:
            try:
                found[str(file)] = file.read_bytes()
            except OSError:
                continue
    return found
