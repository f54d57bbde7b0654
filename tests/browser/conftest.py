"""One browser for the folder, a page per test, and a sample daemon whose commands take effect."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from chromium_client import Browser, Page, connected, installed, started

from monitor.core.model import State
from monitor.core.view import BreakerView, Outcome, PlannedStep, SilenceView, StatusView
from monitor.web import WebSettings, make_app

for _folder in ("web", "faults"):
    sys.path.append(str(Path(__file__).parents[1] / _folder))

from web_sample import NOW, TOKEN, FakeSurface, sample_metrics  # noqa: E402  (found through the line above)

PLANNED = (
    PlannedStep("disable rule etl-s3-events", "reversible", True, True, "everything that the rule starts"),
    PlannedStep("wait 30s"),
    PlannedStep("stop running executions of etl-workflow (1,841)", "disruptive", False, False, "all that run"),
)


class LiveSurface(FakeSurface):
    """The sample daemon, in which time passes and commands change what is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.began = datetime.now(UTC)
        self.view_breakers = [
            replace(b, planned=PLANNED, plan=tuple(p.summary for p in PLANNED)) if b.name != "dlq-flood" else b
            for b in self.view_breakers
        ]

    def status(self) -> StatusView:
        return replace(self.view_status, now=NOW + (datetime.now(UTC) - self.began))

    def breaker_named(self, name: str) -> BreakerView:
        """By PIPELINE/BREAKER."""
        return next(b for b in self.view_breakers if f"{b.pipeline}/{b.name}" == name)

    def change(self, name: str, **changes: Any) -> None:
        """Replace fields of a breaker and say so."""
        self.view_breakers = [
            replace(b, **changes) if f"{b.pipeline}/{b.name}" == name else b for b in self.view_breakers
        ]
        self.emit({"event": "breaker.changed", "breaker": name})

    async def trip(self, breaker: str, by: str, reason: str) -> Outcome:
        self.calls.append(("trip", breaker, by, reason))
        self.change(breaker, state=State.OPEN, reason=f"tripped by {by}: {reason}")
        return Outcome(True, f"{breaker} trips")

    async def reset(self, breaker: str, by: str, *, force: bool = False) -> Outcome:
        self.calls.append(("reset", breaker, by, force))
        self.change(breaker, state=State.CLOSED, reason="", steps=(), phase="", approval=None, latched=False)
        return Outcome(True, f"{breaker} recovers")

    async def approve(self, breaker: str, by: str, plan: str | None = None) -> Outcome:
        self.calls.append(("approve", breaker, by, plan))
        if plan != self.breaker_named(breaker).approval:
            return Outcome(False, "the plan changed meanwhile", {"hint": "look at it again"})
        self.change(breaker, approval=None)
        return Outcome(True, f"{breaker} goes on")

    async def add_silence(
        self, matchers: Mapping[str, str], seconds: float, by: str, comment: str, *, hold_actions: bool = False
    ) -> Outcome:
        self.calls.append(("add_silence", dict(matchers), seconds, by, comment, hold_actions))
        until = NOW + timedelta(seconds=seconds)
        self.view_silences = [*self.view_silences, SilenceView("sil-9", matchers, until, by, comment, hold_actions)]
        self.emit({"event": "silence.added"})
        return Outcome(True, "silence sil-9")


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """The browser process."""
    program = installed()
    if program is None:
        pytest.skip("Chromium is not installed (apt-get install chromium)")
    with started(program) as running:
        yield running


@pytest.fixture
async def browser(address: str) -> AsyncIterator[Browser]:
    """A connection to it."""
    async with connected(address) as made:
        yield made


@pytest.fixture
async def tab(browser: Browser) -> AsyncIterator[Page]:
    """A desktop tab; what it complained about is asserted by the test."""
    async with browser.page() as page:
        yield page


@pytest.fixture
def surface() -> LiveSurface:
    """The sample daemon."""
    return LiveSurface()


Serve = Callable[..., Awaitable[str]]


@pytest.fixture
async def serve(surface: LiveSurface) -> AsyncIterator[Serve]:
    """Serves it; gives the address."""
    runners: list[web.AppRunner] = []

    async def start(token: str | None = TOKEN, port: int = 0) -> str:
        app = make_app(surface, sample_metrics, WebSettings(token=token, version="0.1.0"))
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        runners.append(runner)
        await web.TCPSite(runner, "127.0.0.1", port).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    yield start
    for runner in runners:
        await runner.cleanup()


@pytest.fixture
async def url(serve: Serve) -> str:
    """The sample daemon's page."""
    return await serve()
