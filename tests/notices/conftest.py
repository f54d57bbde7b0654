"""A webhook receiver on the loopback, secrets in a dict, a clock that never waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from monitor.core.model import Reason
from monitor.notices import Channels, Limits
from monitor.plugin import ActionError


class JumpingClock:
    """`ports.Clock` whose sleeps are over at once and recorded."""

    def __init__(self) -> None:
        self.at = datetime(2026, 3, 1, 12, tzinfo=UTC)
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self.at

    def tick(self) -> float:
        return self.at.timestamp()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += timedelta(seconds=seconds)
        await asyncio.sleep(0)


class DictSecrets:
    """`ports.Secrets` from a mapping; what it lacks is not found."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = dict(values)

    async def resolve(self, reference: str) -> str:
        if reference not in self.values:
            raise ActionError(Reason.NOT_FOUND, f"{reference} is not set")
        return self.values[reference]


class Receiver:
    """A webhook that answers with `statuses` in turn, then 200, and keeps what it got."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.headers: dict[str, str] = {}
        self.got: list[Any] = []
        self.hang = False
        self.busy = 0
        self.busiest = 0
        self.base = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        try:
            if self.hang:
                await asyncio.Event().wait()
            await asyncio.sleep(0)
            self.got.append(await request.json())
        finally:
            self.busy -= 1
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200, headers=self.headers)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    app = web.Application()
    app.router.add_post("/{path:.*}", made.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@pytest.fixture
def clock() -> JumpingClock:
    return JumpingClock()


@pytest.fixture
def secrets() -> DictSecrets:
    return DictSecrets({})


@pytest.fixture
def make_channels(clock: JumpingClock, secrets: DictSecrets) -> Callable[..., Channels]:
    def make(publish: Callable[[str, str, str], Awaitable[None]] | None = None, **limits: Any) -> Channels:
        return Channels(secrets, aiohttp.ClientSession, publish, clock, Limits(**limits))

    return make
