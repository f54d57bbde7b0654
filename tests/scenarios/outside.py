"""An HTTP server on loopback that stands for an API outside AWS."""

from __future__ import annotations

import socket
from types import TracebackType

from aiohttp import web


class Outside:
    """Use as a context manager: `url` is known from the start; it answers after `up`, refuses after `down`."""

    def __init__(self) -> None:
        self._status = 200
        self._runner: web.AppRunner | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}/"

    async def up(self, status: int = 200) -> None:
        """Answer everything with this status."""
        self._status = status
        if self._runner is None:
            app = web.Application()
            app.router.add_route("*", "/{path:.*}", self._answer)
            self._runner = web.AppRunner(app)
            await self._runner.setup()
            await web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True).start()

    async def down(self) -> None:
        """Refuse connections."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        return web.Response(status=self._status)

    async def __aenter__(self) -> Outside:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.down()
