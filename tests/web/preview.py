"""Serves the sample daemon on loopback: `PYTHONPATH=. python tests/web/preview.py [PORT] [full|calm|storm|empty]`."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from datetime import UTC, datetime

from aiohttp import web
from web_sample import NOW, TOKEN, FakeSurface, sample_metrics

from monitor.core.model import Level, State
from monitor.core.view import Outcome, StatusView
from monitor.web import WebSettings, make_app


class Preview(FakeSurface):
    """The sample daemon, whose commands show on the page."""

    def status(self) -> StatusView:
        """The time goes on."""
        drift = datetime.now(UTC) - self.began
        return replace(self.view_status, now=NOW + drift)

    def __init__(self, variant: str) -> None:
        super().__init__()
        self.began = datetime.now(UTC)
        if variant == "calm":
            self.view_checks = [replace(c, level=Level.OK, reason=None, detail="") for c in self.view_checks]
            self.view_rows = [replace(r, level=Level.OK, reason=None) for r in self.view_rows]
            self.view_breakers = [b for b in self.view_breakers if b.state == State.CLOSED]
            self.view_incidents, self.view_silences = self.view_incidents[2:], []
        if variant == "storm":
            self.change_status(
                storm="4 of 5 pipelines in us-east-1 trip", actions_enabled=False, actions_reason="drill, by ana",
                config_ok=False, config_error="etl.yaml:14:5: checks.dlq.intervall: unknown key (interval?)",
                ready=False, not_ready=("the store can't be written: disk full",),
            )  # fmt: skip
        if variant == "empty":
            self.view_checks, self.view_rows, self.view_breakers = [], [], []
            self.view_incidents, self.view_silences = [], []

    async def trip(self, breaker: str, by: str, reason: str) -> Outcome:
        """Opens it at once."""
        self.view_breakers = [
            replace(b, state=State.OPEN, reason=f"tripped by {by}: {reason}")
            if f"{b.pipeline}/{b.name}" == breaker
            else b
            for b in self.view_breakers
        ]
        self.emit({"event": "breaker.tripped", "breaker": breaker})
        return Outcome(True, f"{breaker} trips")


async def main(port: int, variant: str) -> None:
    """Serves until interrupted."""
    runner = web.AppRunner(make_app(Preview(variant), sample_metrics, WebSettings(token=TOKEN, version="0.1.0")))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int((sys.argv[1:2] or ["9119"])[0]), (sys.argv[2:3] or ["full"])[0]))
