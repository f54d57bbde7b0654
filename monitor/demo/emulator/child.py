"""Starting the emulator as a child process, and talking to its side door."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp

#: Credentials of nobody; the emulator accepts any. A 12-digit access key would name its account.
KEYS = {"AWS_ACCESS_KEY_ID": "tripswitch", "AWS_SECRET_ACCESS_KEY": "demo", "AWS_DEFAULT_REGION": "us-east-1"}
#: Where `monitor` lies, so that a child finds it from any working directory.
ROOT = Path(__file__).resolve().parents[3]
ACCOUNT = "123456789012"
REGION = "us-east-1"


@dataclass(slots=True)
class Child:
    """A running emulator. Use as a context manager, or call `stop`."""

    url: str
    process: subprocess.Popen[bytes]

    def stop(self) -> None:
        """End it; idempotent."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def environment(self) -> dict[str, str]:
        """What a client's environment needs to reach it."""
        return {**KEYS, "AWS_ENDPOINT_URL": self.url, "AWS_EC2_METADATA_DISABLED": "true"}

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start(*, port: int = 0, seconds: float = 120) -> Child:
    """Start an emulator on loopback and wait until it listens. Raises RuntimeError with its last words."""
    with tempfile.TemporaryDirectory() as folder:
        told, words = Path(folder, "port"), Path(folder, "log")
        command = [sys.executable, "-m", "monitor.demo.emulator", "--port", str(port), "--port-file", str(told)]
        bare = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        bare["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), bare.get("PYTHONPATH"))))
        with words.open("wb") as log:
            process = subprocess.Popen([*command, "--with-parent"], stdout=log, stderr=log, env=bare)
        until = time.monotonic() + seconds
        while time.monotonic() < until and process.poll() is None:
            if told.exists():
                return Child(f"http://127.0.0.1:{told.read_text()}", process)
            time.sleep(0.02)
        ended = process.poll()
        process.kill()
        process.wait()
        why = f"did not answer within {seconds:g} s" if ended is None else f"ended with {ended}"
        raise RuntimeError(
            f"the emulator {why}; what it needs comes with `make install` or pip install 'tripswitch[demo]'. "
            f"Its last words:\n{words.read_text()[-2000:]}"
        )


class Side:
    """The side door as an async client; `async with Side(url) as side: await side.post("reset")`."""

    def __init__(self, url: str) -> None:
        self._base = f"{url}/_emulator/"
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Side:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def post(self, route: str, **body: Any) -> dict[str, Any]:
        """POST; raises RuntimeError with the door's words when refused."""
        return await self._ask("POST", route, json=body)

    async def get(self, route: str, **query: str) -> dict[str, Any]:
        """GET; raises RuntimeError with the door's words when refused."""
        return await self._ask("GET", route, params=query)

    async def _ask(self, method: str, route: str, **more: Any) -> dict[str, Any]:
        assert self._session is not None, "use it as a context manager"
        async with self._session.request(method, self._base + route, **more) as reply:
            answer: dict[str, Any] = await reply.json()
            if reply.status != 200:
                raise RuntimeError(f"{method} {route}: {answer.get('error')}")
            return answer
