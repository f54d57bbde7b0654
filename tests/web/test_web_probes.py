"""Health, readiness, metrics."""

from __future__ import annotations

import asyncio
import gzip
from typing import Any

import pytest

from monitor.web.probes import accepts_gzip


async def test_health_looks_at_nothing(client: Any, surface: Any) -> None:
    """A surface that fails at everything leaves liveness alone."""
    surface.status = None
    answer = await client.get("/healthz")
    assert (answer.status, await answer.json()) == (200, {"status": "ok"})


async def test_head_is_answered(client: Any) -> None:
    """Load balancers ask with HEAD."""
    assert (await client.head("/healthz")).status == 200


async def test_ready_is_200(client: Any) -> None:
    """Ready has no reasons."""
    answer = await client.get("/readyz")
    assert (answer.status, await answer.json()) == (200, {"ready": True, "reasons": []})


async def test_not_ready_is_503_with_the_reasons(client: Any, surface: Any) -> None:
    """The reasons come from the engine's status."""
    surface.change_status(ready=False, not_ready=("first round is not done", "store is not reachable"))
    answer = await client.get("/readyz")
    assert answer.status == 503
    assert (await answer.json())["reasons"] == ["first round is not done", "store is not reachable"]


async def test_metrics_follow_the_accept_header(client: Any) -> None:
    """Prometheus or OpenMetrics, as the scraper asks."""
    plain = await client.get("/metrics")
    asked = {"Accept": "application/openmetrics-text; version=1.0.0", "Accept-Encoding": "identity"}
    modern = await client.get("/metrics", headers=asked)
    assert plain.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert modern.headers["Content-Type"].startswith("application/openmetrics-text")
    assert (await modern.read()).endswith(b"# EOF\n")
    assert "Accept" in plain.headers["Vary"]


@pytest.mark.parametrize("lines", [40, 20_000])
async def test_metrics_are_compressed_when_accepted(start: Any, lines: int) -> None:
    """Small ones at once, large ones in a thread; both unpack to the same bytes."""

    async def metrics(_accept: str) -> tuple[bytes, str]:
        return b"tripswitch_up 1\n" * lines, "text/plain"

    client = await start(metrics=metrics)
    packed = await client.get("/metrics", headers={"Accept-Encoding": "gzip"})
    plain = await client.get("/metrics", headers={"Accept-Encoding": "identity"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert gzip.decompress(await packed.read()) == await plain.read() == b"tripswitch_up 1\n" * lines


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("", False), ("gzip", True), ("GZIP;q=0.5", True), ("gzip;q=0", False), ("gzip; q=0.0", False),
        ("deflate, *", True), ("*;q=0", False), ("*, gzip;q=0", False), ("identity", False), ("gzip;q=x", True),
    ],
)  # fmt: skip
def test_accept_encoding_is_read_with_its_weights(header: str, accepted: bool) -> None:
    """A weight of zero forbids."""
    assert accepts_gzip(header) is accepted


async def test_a_slow_scrape_holds_up_nothing(start: Any) -> None:
    """Health answers while a scrape waits; a failing scrape is 500 without internals."""
    gate = asyncio.Event()

    async def metrics(_accept: str) -> tuple[bytes, str]:
        await gate.wait()
        raise RuntimeError("collector broke")

    client = await start(metrics=metrics)
    async with asyncio.TaskGroup() as group:
        scrape = group.create_task(client.get("/metrics"))
        assert (await client.get("/healthz")).status == 200
        assert not scrape.done()
        gate.set()
    assert scrape.result().status == 500
    assert "collector" not in await scrape.result().text()
