"""How much memory does a daemon hold at 1,000 and 10,000 targets of five signals each?

The daemon in a process of its own, with a client for each of twelve services, checks of 100 canned targets each. RSS
after the first rounds, and once every signal has a full history. The slope is between
the two sizes. The peer is a Prometheus registry that holds the same number of labelled gauges and nothing else.
"""

from __future__ import annotations

import asyncio
import re

import aiohttp
import prometheus_client as prometheus

from bench.process import Process, call, daemon, endpoint, ready, resident
from bench.report import Figure

SMALL, LARGE, SIGNALS, EACH = 1_000, 10_000, 5, 100
#: (seconds between runs, runs until the page's charts are full). A large fleet gets shorter charts.
PACES = {SMALL: (1.0, 125), LARGE: (5.0, 25)}


async def run() -> list[Figure]:
    """Figures of P10."""
    (small, small_full), (large, large_full) = await asyncio.gather(_daemon(SMALL), _daemon(LARGE))
    held = await call("bench.memory:registry", count=LARGE * SIGNALS)
    peer = (held["mb"], "bare registry")
    slope = (large - small) / (LARGE - SMALL) * 1024
    slope_full = (large_full - small_full) / (LARGE - SMALL) * 1024
    return [
        Figure(f"RSS, {SMALL:,} targets x {SIGNALS}, first rounds", small, "MB"),
        Figure(f"RSS, {SMALL:,} targets x {SIGNALS}, histories full", small_full, "MB"),
        Figure(f"RSS, {LARGE:,} targets x {SIGNALS}, first rounds", large, "MB", 160, *peer),
        Figure(f"RSS, {LARGE:,} targets x {SIGNALS}, histories full (P10)", large_full, "MB", 160, *peer),
        Figure("slope per target, first rounds", slope, "kB", 6),
        Figure("slope per target, histories full (P10)", slope_full, "kB", 6),
    ]


def pipeline(targets: int, interval: float, signals: int = SIGNALS, name: str = "fleet") -> str:
    """Checks of EACH canned targets; the first signal is judged, as in most configurations."""
    checks = "\n".join(
        f"  c{number}: {{kind: canned, interval: {interval:g}s, timeout: {interval:g}s, prefix: c{number},"
        f" targets: {EACH}, signals: {signals}, thresholds: {{s1: {{critical: {{above: 1000}}}}}}}}"
        for number in range(targets // EACH)
    )
    return f"pipeline: {name}\naws: {{region: us-east-1}}\nchecks:\n  touch: {{kind: touch}}\n{checks}\n"


async def _daemon(targets: int) -> tuple[float, float]:
    """(RSS after a few rounds, RSS with full histories), both with a scrape before, since Prometheus scrapes."""
    interval, full = PACES[targets]
    async with (
        endpoint() as aws,
        daemon(pipeline(targets, interval), aws.environ) as measured,
        aiohttp.ClientSession() as session,
    ):
        await ready(session, measured.url)
        await _runs(session, measured, 3)
        first = measured.rss()
        await _runs(session, measured, full)
        return first, measured.rss()


async def _runs(session: aiohttp.ClientSession, measured: Process, count: int) -> None:
    while True:
        async with session.get(f"{measured.url}/metrics") as reply:
            text = await reply.text()
        found = re.search(r'tripswitch_check_runs_total\{[^}]*check="c1",[^}]*\} (\S+)', text)
        if found and float(found[1]) >= count:
            return
        await asyncio.sleep(5.0)


async def registry(count: int) -> dict[str, float]:
    """RSS of an interpreter that holds `count` labelled gauges."""
    gauge = prometheus.Gauge("observation", "x", ["pipeline", "check", "kind", "target", "signal"])
    for number in range(count):
        gauge.labels("fleet", f"c{number // 500}", "canned", f"target-{number // 5:05}", f"s{number % 5}").set(number)
    return {"mb": resident()}
