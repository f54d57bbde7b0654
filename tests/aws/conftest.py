"""A canned AWS on loopback, and rooms on it that are checked for leaks when they close."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
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
