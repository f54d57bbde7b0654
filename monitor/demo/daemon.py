"""The daemon as a child process of the demo, and its HTTP API as a client."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp

import monitor
from monitor.demo.emulator.child import ACCOUNT, ROOT

#: Whose name stands in the timeline beside approvals.
OPERATOR = "demo operator"


class DaemonDied(Exception):
    """The daemon ended by itself; the message holds its last log lines."""


def pipeline_file(name: str) -> Path:
    """A shipped pipeline file: beside the package when installed, in `config/` in a source tree."""
    shipped = Path(monitor.__file__).parent / "shipped" / "pipelines" / name
    return shipped if shipped.exists() else ROOT / "config" / "pipelines" / name


def free_port() -> int:
    """A port nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(slots=True)
class Daemon:
    """`tripswitch run` on a folder of its own, and an authorised client. Use as an async context manager."""

    folder: Path
    port: int
    pipeline: Path
    environment: Mapping[str, str]
    token: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    process: subprocess.Popen[bytes] | None = None
    session: aiohttp.ClientSession | None = None

    @property
    def url(self) -> str:
        """The status page."""
        return f"http://127.0.0.1:{self.port}/"

    @property
    def _log(self) -> Path:
        return self.folder / "daemon.log"

    async def __aenter__(self) -> Daemon:
        self._spawn()
        headers = {"Authorization": f"Bearer {self.token}"}
        self.session = aiohttp.ClientSession(self.url, headers=headers, timeout=aiohttp.ClientTimeout(total=15))
        return self

    def _spawn(self) -> None:
        bare = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TRIPSWITCH_"))}
        path = os.pathsep.join(filter(None, (str(ROOT), bare.get("PYTHONPATH"))))
        given = {**bare, **self.environment, "PYTHONPATH": path, "ACCOUNT_ID": ACCOUNT, "TRIPSWITCH_TOKEN": self.token}
        listen, store = f"127.0.0.1:{self.port}", f"sqlite:///{self.folder / 'state.db'}"
        command = [sys.executable, "-m", "monitor", "run", str(self.pipeline), "--listen", listen, "--store", store]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=given, cwd=self.folder)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if self.session is not None:
            await self.session.close()

    def stop(self) -> None:
        """SIGTERM, a moment, SIGKILL."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(8)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def check_alive(self) -> None:
        """Raises DaemonDied if it is gone."""
        if self.process is not None and self.process.poll() is not None:
            raise DaemonDied(f"the daemon ended with {self.process.returncode}; its last words:\n{self.last_words()}")

    def last_words(self, lines: int = 25) -> str:
        """The end of its log."""
        text = self._log.read_text(errors="replace") if self._log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    async def wait_until_ready(self, seconds: float = 30) -> None:
        """Until it answers. Raises DaemonDied, or TimeoutError with what it waits for in the log."""
        async with asyncio.timeout(seconds):
            while True:
                self.check_alive()
                try:
                    await self.get("api/v1/status")
                    return
                except aiohttp.ClientConnectorError:
                    await asyncio.sleep(0.1)

    async def get(self, path: str, **query: str) -> dict[str, Any]:
        """A GET of the API."""
        assert self.session is not None, "use it as a context manager"
        async with self.session.get(f"/{path}", params=query) as reply:
            reply.raise_for_status()
            answer: dict[str, Any] = await reply.json()
            return answer

    async def command(self, breaker: str, verb: str, **body: Any) -> tuple[bool, str]:
        """POST a breaker's verb as the demo's operator: (accepted, the daemon's words)."""
        assert self.session is not None, "use it as a context manager"
        given = {"by": OPERATOR, **body}
        async with self.session.post(f"/api/v1/breakers/etl/{breaker}/{verb}", json=given) as reply:
            answer = await reply.json()
            return reply.status == 200, str(answer.get("message") or answer.get("error"))

    async def events(self) -> AsyncIterator[dict[str, Any]]:
        """The event stream until the connection ends."""
        assert self.session is not None, "use it as a context manager"
        headers = {"Last-Event-ID": "0"}
        endless = aiohttp.ClientTimeout(total=None)
        async with self.session.get("/api/v1/events", headers=headers, timeout=endless) as reply:
            async for raw in reply.content:
                line = raw.decode().rstrip("\n")
                if line.startswith("data: "):
                    yield json.loads(line.removeprefix("data: "))
