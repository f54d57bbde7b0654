"""The command line in a thread of its own, and a daemon behind a fake Surface for it to talk to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

import pytest
from aiohttp.test_utils import TestServer
from click.testing import Result
from fake_surface import TOKEN, FakeSurface, Run
from typer.testing import CliRunner

from monitor.cli.main import build
from monitor.web import WebSettings, make_app


async def _metrics(accept: str) -> tuple[bytes, str]:
    return b"", "text/plain"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the caller's own settings reaches a command."""
    for name in ("URL", "TOKEN", "STORE", "LISTEN", "ACTIONS", "ENDPOINT"):
        monkeypatch.delenv(f"TRIPSWITCH_{name}", raising=False)
    monkeypatch.setenv("ACCOUNT_ID", "123456789012")


@pytest.fixture
def cli() -> Run:
    """Runs a command line in a thread, so that a fake daemon can answer; input is no terminal."""

    async def run(*words: str, env: Mapping[str, str] | None = None) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, build(), list(words), env=env)

    return run


@pytest.fixture
def surface() -> FakeSurface:
    """What the fake daemon shows."""
    return FakeSurface()


@pytest.fixture
async def daemon(surface: FakeSurface, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """The fake daemon's URL, also in TRIPSWITCH_URL, with its token in TRIPSWITCH_TOKEN."""
    app = make_app(surface, _metrics, WebSettings(token=TOKEN, version="0.1.0"))
    server = TestServer(app, host="127.0.0.1")
    await server.start_server()
    url = f"http://127.0.0.1:{server.port}"
    monkeypatch.setenv("TRIPSWITCH_URL", url)
    monkeypatch.setenv("TRIPSWITCH_TOKEN", TOKEN)
    yield url
    await server.close()
