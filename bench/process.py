"""Measured processes: the daemon, the canned endpoint, and functions that run in an interpreter of their own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

TICKS = os.sysconf("SC_CLK_TCK")
TOKEN = "bench"
#: Identity for the loopback endpoint, and nothing that leads anywhere else.
AWS = {
    "AWS_ACCESS_KEY_ID": "bench",
    "AWS_SECRET_ACCESS_KEY": "bench",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


class Process:
    """A child that said where it listens."""

    def __init__(self, child: asyncio.subprocess.Process, url: str) -> None:
        self.child = child
        self.url = url

    def cpu(self) -> float:
        """User plus system seconds so far, in steps of a clock tick (10 ms)."""
        fields = Path(f"/proc/{self.child.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def rss(self) -> float:
        """Resident megabytes now."""
        return resident(self.child.pid)


@asynccontextmanager
async def process(*argv: str, environ: Mapping[str, str] | None = None) -> AsyncIterator[Process]:
    """`python -m ARGV...`, once it printed its address; SIGTERM at the end."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *argv, env=_environment(environ), stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    drained: asyncio.Task[bytes] | None = None
    try:
        line = (await child.stdout.readline()).decode().strip()
        if not line.startswith("http"):
            raise RuntimeError(f"{argv[0]} did not start: {line!r}")
        drained = asyncio.ensure_future(child.stdout.read())
        yield Process(child, line)
    finally:
        if child.returncode is None:
            child.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(child.wait(), 30)
            except TimeoutError:
                child.kill()
                await child.wait()
        if drained is not None:
            await drained


async def call(function: str, *, environ: Mapping[str, str] | None = None, **arguments: Any) -> dict[str, Any]:
    """The JSON that `module:function` returns in a fresh interpreter."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.child", function, json.dumps(arguments),
        env=_environment(environ), stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await child.communicate()
    if child.returncode != 0:
        raise RuntimeError(f"{function} failed")
    found: dict[str, Any] = json.loads(out.decode().strip().rsplit("\n", 1)[-1])
    return found


class Endpoint(Process):
    """The canned AWS of `bench.endpoint`, with its side door."""

    def __init__(self, inner: Process, session: aiohttp.ClientSession) -> None:
        super().__init__(inner.child, inner.url)
        self._session = session

    async def told(self, what: str) -> Any:
        """`counts`, `marks` or `executions`."""
        async with self._session.get(f"{self.url}/bench/{what}") as reply:
            return await reply.json()

    async def set(self, **settings: Any) -> None:
        """Change how it answers; see `bench.endpoint.State`."""
        async with self._session.post(f"{self.url}/bench/set", json=settings) as reply:
            reply.raise_for_status()

    @property
    def environ(self) -> dict[str, str]:
        """What makes the SDK talk to it."""
        return {**AWS, "AWS_ENDPOINT_URL": self.url, "AWS_DEFAULT_REGION": "us-east-1", "AWS_REGION": "us-east-1"}


@asynccontextmanager
async def endpoint(**settings: Any) -> AsyncIterator[Endpoint]:
    """A fresh endpoint in a process of its own."""
    async with process("bench.endpoint") as inner, aiohttp.ClientSession() as session:
        found = Endpoint(inner, session)
        await found.set(**settings)
        yield found


@asynccontextmanager
async def daemon(
    text: str, environ: Mapping[str, str], *, store: str = "memory:", **extra: str
) -> AsyncIterator[Process]:
    """The daemon on one pipeline file (or several, split by a line of ---), with the bench's kinds besides its own."""
    with tempfile.TemporaryDirectory(prefix="tripswitch-bench-") as folder:
        for index, part in enumerate(text.split("\n---\n")):
            (Path(folder) / f"p{index}.yaml").write_text(part)
        settings = {
            "TRIPSWITCH_LISTEN": "127.0.0.1:0",
            "TRIPSWITCH_STORE": store.replace("FOLDER", folder),
            "TRIPSWITCH_TOKEN": TOKEN,
            "TRIPSWITCH_LOG_LEVEL": "error",
            "TRIPSWITCH_GRACE": "5s",
            **{f"TRIPSWITCH_{name.upper()}": value for name, value in extra.items()},
        }
        async with process("bench.daemon", folder, environ={**environ, **settings}) as running:
            yield running


def resident(pid: int | str = "self") -> float:
    """Resident megabytes of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))


async def ready(session: aiohttp.ClientSession, url: str, seconds: float = 120.0) -> float:
    """Seconds until /readyz answered 200."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        try:
            async with session.get(f"{url}/readyz") as reply:
                if reply.status == 200:
                    return time.monotonic() - began
        except aiohttp.ClientError:
            pass
        await asyncio.sleep(0.05)
    raise RuntimeError(f"{url} was not ready within {seconds:g}s")


def _environment(extra: Mapping[str, str] | None) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TRIPSWITCH_"))}
    return {**kept, **AWS, **(extra or {})}
