"""How long from the reply that breaches to the first call that changes something?

Both are timed where they happen, in the endpoint's process: the moment its SQS reply first says that a queue is deep,
and the moment DisableRule for that queue's rule arrives. In between lie judging, the breaker, five durable commits in
SQLite, two DescribeRule for the prior state, the gates. 100 breakers in ten pipelines breach one after the other; once
on a daemon with nothing else to do, once beside 10,000 canned targets of five signals every 10 s and a scrape of 50,000
series every 5 s.
"""

from __future__ import annotations

import asyncio

import aiohttp

from bench.memory import pipeline
from bench.process import Endpoint, Process, daemon, endpoint, ready
from bench.report import Figure, quantile

PIPELINES, BREAKERS, GAP = 10, 10, 0.35


async def run() -> list[Figure]:
    """Figures of P13."""
    quiet, loaded = await _breach(None), await _breach(pipeline(10_000, interval=10))
    count = f"{len(quiet)} of {PIPELINES * BREAKERS} tripped"
    under = f"{len(loaded)} of {PIPELINES * BREAKERS} tripped"
    return [
        Figure("breach to first mutating call p50 (P13)", quantile(quiet, 0.5), "ms", 3, note=count),
        Figure("p99 (P13)", quantile(quiet, 0.99), "ms", 40),
        Figure("max (P13)", max(quiet), "ms", 250),
        Figure("p50 under load (P13)", quantile(loaded, 0.5), "ms", 3, note=under),
        Figure("p99 under load (P13)", quantile(loaded, 0.99), "ms", 40),
        Figure("max under load (P13)", max(loaded), "ms", 250),
    ]


async def _breach(load: str | None) -> list[float]:
    """Milliseconds, one per breaker that acted."""
    text = "\n---\n".join([*(_guarded(number) for number in range(PIPELINES)), *([load] if load else [])])
    async with (
        endpoint() as aws,
        daemon(text, aws.environ, store="sqlite:///FOLDER/state.db") as measured,
        aiohttp.ClientSession() as session,
    ):
        await ready(session, measured.url)
        scraping = asyncio.ensure_future(_scrapes(session, measured)) if load else None
        await asyncio.sleep(12 if load else 2)
        for breaker in range(BREAKERS):
            for number in range(PIPELINES):
                await aws.set(deep={f"q-{number}-{breaker}": 500})
                await asyncio.sleep(GAP)
        await asyncio.sleep(3)
        if scraping is not None:
            scraping.cancel()
        return await _latencies(aws)


async def _latencies(aws: Endpoint) -> list[float]:
    said: dict[str, float] = {}
    acted: dict[str, float] = {}
    for at, what, name in await aws.told("marks"):
        (said if what == "breach" else acted).setdefault(name, at)
    return [(acted[name] - at) * 1000 for name, at in said.items() if name in acted]


async def _scrapes(session: aiohttp.ClientSession, measured: Process) -> None:
    while True:
        async with session.get(f"{measured.url}/metrics") as reply:
            await reply.read()
        await asyncio.sleep(5)


def _guarded(number: int) -> str:
    """Ten queues, a check and a breaker each; a breaker's rule is called like its queue."""
    names = [f"q-{number}-{breaker}" for breaker in range(BREAKERS)]
    checks = "\n".join(
        f"  {name}: {{kind: aws_query, interval: 1s, timeout: 1s, service: sqs, operation: get-queue-attributes,"
        f' parameters: {{QueueUrl: "http://127.0.0.1/1/{name}", AttributeNames: [All]}},'
        ' query: "to_number(Attributes.ApproximateNumberOfMessages)", thresholds: {value: {critical: {above: 100}}}}'
        for name in names
    )
    breakers = "\n".join(
        f"  {name}:\n    severity: SEV3\n    mode: auto\n    trip_when: {name}.value\n"
        f"    on_trip: [{{disable_rule: {{rule: {name}}}}}]"
        for name in names
    )
    return f"pipeline: p{number}\naws: {{region: us-east-1}}\nchecks:\n{checks}\nbreakers:\n{breakers}\n"
