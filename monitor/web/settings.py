"""What the composition root decides about the HTTP face."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web

from monitor.core.view import Surface

#: Accept header -> (exposition, content type).
Metrics = Callable[[str], Awaitable[tuple[bytes, str]]]


@dataclass(frozen=True, slots=True)
class WebSettings:
    """`token` None switches every command off. Spans are seconds; the limits keep the daemon bounded (law 13)."""

    token: str | None = field(repr=False)
    version: str
    #: A command that has not answered by then is answered with 504; the journal, not HTTP, knows how it went on.
    command_timeout: float = 30.0
    #: Comment line that keeps idle event streams alive through proxies.
    heartbeat: float = 15.0
    #: An event stream whose client does not read for so long is dropped; it can resume with Last-Event-ID.
    write_timeout: float = 10.0
    max_streams: int = 64
    max_body: int = 64 * 1024

    @property
    def secret(self) -> str:
        """The token without the line end that files and secret stores like to add; empty: commands are off."""
        return (self.token or "").strip()


SURFACE = web.AppKey("surface", Surface)
METRICS: web.AppKey[Metrics] = web.AppKey("metrics")
SETTINGS = web.AppKey("settings", WebSettings)
