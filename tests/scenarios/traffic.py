"""What goes over the wire: how many requests are under way, and which of them the emulator was asked to do."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import pytest
from aiobotocore.httpsession import AIOHTTPSession

from monitor.aws.operations import is_mutating

#: What the daemon's SDK clients add to their User-Agent.
DAEMON = "tripswitch"


@dataclass(slots=True)
class Wire:
    """Counts the SDK's requests under way in this process, the daemon's and the scene's own."""

    flying: int = 0
    #: Awaited before a request leaves.
    before: Callable[[], Awaitable[None]] | None = None

    def tap(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Count from now on, until the test ends."""
        send = AIOHTTPSession.send

        async def counted(session: Any, request: Any) -> Any:
            self.flying += 1
            try:
                if self.before is not None:
                    await self.before()
                return await send(session, request)
            finally:
                self.flying -= 1

        monkeypatch.setattr(AIOHTTPSession, "send", counted)


@dataclass(frozen=True, slots=True)
class Request:
    """A mutating request of the daemon. `params` is what its body and query say; `path` names REST resources."""

    name: str  # events:DisableRule
    at: datetime
    status: int
    params: Mapping[str, Any]
    path: str


def mutating(entries: list[dict[str, Any]]) -> list[Request]:
    """The daemon's requests that may have changed something, oldest first."""
    return [
        _request(entry)
        for entry in entries
        if DAEMON in entry["agent"] and is_mutating(entry["service"], entry["operation"])
    ]


def _request(entry: Mapping[str, Any]) -> Request:
    body = entry.get("body", "")
    try:
        loaded = json.loads(body or "{}")
    except ValueError:
        loaded = dict(parse_qsl(body))
    params = {**entry.get("query", {}), **(loaded if isinstance(loaded, dict) else {})}
    at = datetime.fromtimestamp(entry["at"], UTC)
    return Request(f"{entry['service']}:{entry['operation']}", at, entry["status"], params, entry.get("path", ""))
