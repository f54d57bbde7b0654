"""A canned AWS on loopback, and rooms on it that are checked for leaks when they close."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from aiohttp import web
from aws_doubles import CannedAws, Harness


@pytest.fixture
async def canned() -> AsyncIterator[CannedAws]:
    """A running canned endpoint."""
    answers = CannedAws()
    app = web.Application(client_max_size=2**24)
    app.router.add_route("*", "/{tail:.*}", answers.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    answers.url = f"http://127.0.0.1:{port}"
    yield answers
    await runner.cleanup()


@pytest.fixture(scope="session")
def emulator() -> Iterator[str]:
    """The address of an AWS emulator in a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
async def harness(canned: CannedAws, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Callable[..., Harness]]:
    """Make an Aws on the canned endpoint; closed, and checked for leaked tasks, at the end."""
    for name, value in {"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "hush", "AWS_PROFILE": None}.items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, raising=False)
    made: list[Harness] = []

    def make(**settings: Any) -> Harness:
        made.append(Harness(settings.pop("url", canned.url), **settings))
        return made[-1]

    yield make
    for one in made:
        if one.tasks:
            await asyncio.wait(one.tasks, timeout=2)
        await one.aws.close()
        assert not one.tasks, f"leaked: {one.tasks}"
