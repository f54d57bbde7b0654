"""The sample daemon, and a client for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from web_sample import TOKEN, FakeSurface, sample_metrics

from monitor.web import WebSettings, make_app

Start = Callable[..., Awaitable["TestClient[web.Request, web.Application]"]]


@pytest.fixture
def surface() -> FakeSurface:
    """The sample daemon."""
    return FakeSurface()


@pytest.fixture
async def start(surface: FakeSurface) -> AsyncIterator[Start]:
    """Starts the application on loopback with the given settings; closes it at the end."""
    clients: list[TestClient[web.Request, web.Application]] = []

    async def starter(token: str | None = TOKEN, metrics: Any = sample_metrics, **settings: Any) -> Any:
        app = make_app(surface, metrics, WebSettings(token=token, version="0.1.0", **settings))
        client = TestClient(TestServer(app, host="127.0.0.1"), auto_decompress=False)
        await client.start_server()
        clients.append(client)
        return client

    yield starter
    for client in clients:
        await client.close()


@pytest.fixture
async def client(start: Start) -> TestClient[web.Request, web.Application]:
    """The application with a token configured."""
    return await start()


@pytest.fixture
def bearer() -> dict[str, str]:
    """The headers of someone who may command."""
    return {"Authorization": f"Bearer {TOKEN}"}
