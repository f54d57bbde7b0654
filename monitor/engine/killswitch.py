"""The kill switch: may anything be changed at all? Any configured source that says off wins.

Off pauses steps, it never fails them. The remote source (an SSM parameter) is polled every five seconds; a value that
could not be read for thirty counts as off, because a switch nobody can reach must not stay on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from monitor.core.ports import Clock, Item, Put, Store, StoreError
from monitor.plugin import ActionError, ProbeError

log = structlog.get_logger(__name__)

POLL = 5.0
STALE = timedelta(seconds=30)
KEY = "actions"
OFF_WORDS = frozenset({"off", "false", "0", "no", "disabled", "stop"})

#: Reads one SSM parameter; raises on failure.
ReadParameter = Callable[[], Awaitable[str]]


@dataclass(slots=True)
class _Remote:
    name: str
    read: ReadParameter
    value: str | None = None
    #: Monotonic time of the last good read: a clock set back must not keep an old answer fresh.
    at: float | None = None
    failing: bool = False


class KillSwitch:
    """All configured sources in one answer."""

    def __init__(self, clock: Clock, store: Store, *, setting_on: bool, file: Path | None) -> None:
        self._clock = clock
        self._store = store
        self._setting_on = setting_on
        self._file = file
        self._api: tuple[bool, str] = (True, "")
        self._version = 0
        self._remotes: dict[str, _Remote] = {}

    def off(self, now: datetime) -> str | None:
        """Why actions are off, or None. The file is looked at each time: it is the switch that needs nothing else."""
        if not self._setting_on:
            return "actions are off by start-up setting (TRIPSWITCH_ACTIONS=off)"
        enabled, why = self._api
        if not enabled:
            return f"actions were switched off: {why}"
        if self._file is not None and (text := _read_off(self._file)) is not None:
            return text
        for remote in self._remotes.values():
            if remote.at is None or self._clock.tick() - remote.at > STALE.total_seconds():
                return f"the kill switch {remote.name} could not be read for {int(STALE.total_seconds())}s"
            if remote.value is not None and remote.value.strip().lower() in OFF_WORDS:
                return f"the parameter {remote.name} says {remote.value.strip()}"
        return None

    def watch(self, remotes: dict[str, ReadParameter]) -> None:
        """Poll exactly these parameters from now on."""
        kept = {name: replace(self._remotes[name], read=remotes[name]) for name in remotes if name in self._remotes}
        self._remotes = {name: kept.get(name) or _Remote(name, read) for name, read in remotes.items()}

    async def load(self) -> None:
        """Take up what was switched over the API in an earlier life."""
        item = await self._store.get("meta", KEY)
        if item is not None:
            self._take(item)

    async def set(self, enabled: bool, by: str, why: str) -> None:
        """Switch over the API; durable before it returns, but off takes effect at once. Raises StoreError."""
        text = f"by {by}" + (f": {why}" if why else "")
        if not enabled:
            self._api = (False, text)
        body = {"enabled": enabled, "why": text}
        item = await self._store.get("meta", KEY)  # another replica may have switched meanwhile
        items = await self._store.commit([Put("meta", KEY, body, item.version if item is not None else 0)])
        if items[0] is not None:
            self._version = items[0].version
        self._api = (enabled, text)

    async def loop(self) -> None:
        """Poll the remote sources side by side: one that hangs must not make the others look stale."""
        while True:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._poll_shared())
                for remote in list(self._remotes.values()):
                    group.create_task(self._poll(remote))
            await self._clock.sleep(POLL)

    async def _poll_shared(self) -> None:
        """What another replica switched over its API."""
        try:
            item = await self._store.get("meta", KEY)
        except StoreError:
            return  # the journal's own gate holds while the store is away
        if item is not None and item.version != self._version:
            self._take(item)

    async def _poll(self, remote: _Remote) -> None:
        try:
            value = await remote.read()
        except (ProbeError, ActionError) as error:
            if not remote.failing:
                log.warning("kill_switch.unread", parameter=remote.name, detail=str(error))
            remote.failing = True
        else:
            remote.value, remote.at, remote.failing = value, self._clock.tick(), False

    def _take(self, item: Item) -> None:
        self._api = (bool(item.body["enabled"]), str(item.body["why"]))
        self._version = item.version


def _read_off(file: Path) -> str | None:
    """A file that exists switches off unless it says `on`; one that can't be read counts as off."""
    try:
        text = file.read_text(encoding="utf-8", errors="replace")[:100].strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"the kill switch file {file} can't be read ({error.strerror})"
    if text.lower() == "on":
        return None
    return f"the kill switch file {file} exists{f': {text}' if text else ''}"
