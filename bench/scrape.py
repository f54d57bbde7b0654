"""What does a scrape of 50,000 series take, as Prometheus would see it, and what does the loop feel meanwhile?

The daemon with 10,000 canned targets of five unjudged signals, once with no run in between and once with every row
renewed every 4 s. This process scrapes with gzip as Prometheus does, a dozen times, and asks /healthz every 10 ms: how
late that is answered is what a scrape does to everybody else. The daemon's CPU is its own, with the CPU of the same
time without scrapes taken off. The peer is a server of prometheus_client's generate_latest over as many series.
"""

from __future__ import annotations

import asyncio
import gzip
import time
from statistics import median

import aiohttp
import prometheus_client as prometheus
from aiohttp import web

from bench.process import Process, daemon, endpoint, process, ready
from bench.report import Figure, quantile

SERIES, SCRAPES, PAUSE = 50_000, 12, 2.0
_HEADERS = {"Accept": "application/openmetrics-text;version=1.0.0,*/*;q=0.1", "Accept-Encoding": "gzip"}


async def run() -> list[Figure]:
    """Figures of P11 and P12."""
    async with process("bench.scrape") as peer:
        theirs = await _scrape(peer)
    still, moving = await _ours("1h"), await _ours("4s")
    return [*_told("nothing new", still, theirs), *_told("all rows new", moving, theirs)]


def _told(when: str, ours: dict[str, float], theirs: dict[str, float]) -> list[Figure]:
    beside = "generate_latest"
    size, idle = f"{ours['lines']:,.0f} series, peer {theirs['lines']:,.0f}", f"without: {ours['idle_max']:.0f} ms"
    return [
        Figure(f"scrape, median, {when} (P11)", ours["wall"], "ms", 150, theirs["wall"], beside),
        Figure("  worst", ours["worst"], "ms", None, theirs["worst"], beside),
        Figure("  CPU per scrape (P11)", ours["cpu"], "ms", 60, theirs["cpu"], beside, size),
        Figure("  loop lag p99 meanwhile (P12)", ours["lag_p99"], "ms", 20, theirs["lag_p99"], beside, "at /healthz"),
        Figure("  loop lag max meanwhile (P12)", ours["lag_max"], "ms", 100, theirs["lag_max"], beside, idle),
    ]


async def _ours(interval: str) -> dict[str, float]:
    async with endpoint() as aws, daemon(_pipeline(interval), aws.environ) as measured:
        async with aiohttp.ClientSession() as session:
            await ready(session, measured.url)
        return await _scrape(measured)


def _pipeline(interval: str) -> str:
    """Unjudged signals, so that a target is five series and not more."""
    checks = "\n".join(
        f"  c{number}: {{kind: canned, interval: {interval}, timeout: 4s, prefix: c{number}, targets: 100, signals: 5}}"
        for number in range(SERIES // 500)
    )
    return f"pipeline: fleet\naws: {{region: us-east-1}}\nchecks:\n{checks}\n"


async def _scrape(measured: Process) -> dict[str, float]:
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        body, _ = await _once(session, measured.url)  # texts are kept from the first on
        length = sum(1 for line in gzip.decompress(body).splitlines() if not line.startswith(b"#"))
        lags: list[float] = []
        idle_lags: list[float] = []
        watching = asyncio.ensure_future(_healthy(session, measured.url, idle_lags))
        cpu = measured.cpu()
        await asyncio.sleep(SCRAPES * PAUSE / 2)
        idle = (measured.cpu() - cpu) * 2
        watching.cancel()
        watching = asyncio.ensure_future(_healthy(session, measured.url, lags))
        cpu, walls = measured.cpu(), []
        began = time.monotonic()
        for _ in range(SCRAPES):
            _, wall = await _once(session, measured.url)
            walls.append(wall * 1000)
            await asyncio.sleep(max(0.0, PAUSE - wall))
        spent = measured.cpu() - cpu - idle * (time.monotonic() - began) / (SCRAPES * PAUSE)
        watching.cancel()
    return {
        "wall": median(walls), "worst": max(walls), "cpu": spent / SCRAPES * 1000, "size": len(body) / 1000,
        "lines": float(length), "lag_p99": quantile(lags, 0.99), "lag_max": max(lags), "idle_max": max(idle_lags),
    }  # fmt: skip


async def _once(session: aiohttp.ClientSession, url: str) -> tuple[bytes, float]:
    began = time.perf_counter()
    async with session.get(f"{url}/metrics", headers=_HEADERS) as reply:
        body = await reply.read()
    return body, time.perf_counter() - began


async def _healthy(session: aiohttp.ClientSession, url: str, lags: list[float]) -> None:
    while True:
        began = time.perf_counter()
        async with session.get(f"{url}/healthz") as reply:
            await reply.read()
        lags.append((time.perf_counter() - began) * 1000)
        await asyncio.sleep(0.01)


async def _peer() -> None:
    """A plain exporter: gauges in a registry, rendered in the handler, compressed at level 1."""
    registry = prometheus.CollectorRegistry()
    names = ["pipeline", "check", "kind", "target", "signal"]
    gauge = prometheus.Gauge("tripswitch_observation", "Last value observed.", names, registry=registry)
    for number in range(SERIES):
        check = f"c{number // 500}"
        gauge.labels("fleet", check, "canned", f"{check}-{number // 5 % 100:05}", f"s{number % 5 + 1}").set(number % 10)

    async def metrics(request: web.Request) -> web.Response:
        body = gzip.compress(prometheus.generate_latest(registry), 1)
        return web.Response(body=body, headers={"Content-Encoding": "gzip", "Content-Type": "text/plain"})

    async def healthz(request: web.Request) -> web.Response:
        return web.Response()

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/healthz", healthz)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_peer())
