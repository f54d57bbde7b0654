"""What does a cold start cost until /readyz first answers 200, with 1,000 targets and a dozen services?

1,000 queues in one check (a call each, the dearest way to read a target) and one read of each of twelve services. CPU
and RSS are the daemon's, from exec to the first 200, median of three starts. The first round is spread over five
seconds on purpose, so the wall time is shown and has no goal. The peer is what every Python tool for AWS pays:
importing aiobotocore and making twelve clients.
"""

from __future__ import annotations

import asyncio
import time
from statistics import median

import aiohttp
from aiobotocore.session import get_session

from bench.kinds import SERVICES
from bench.process import call, daemon, endpoint, ready, resident
from bench.report import Figure

STARTS = 3


async def run() -> list[Figure]:
    """Figures of P15."""
    found = [await _start() for _ in range(STARTS)]
    bare = [await call("bench.start:clients", environ={"AWS_DEFAULT_REGION": "us-east-1"}) for _ in range(STARTS)]

    def of(what: str) -> float:
        return median(one[what] for one in found)

    def peer(what: str) -> float:
        return float(median(one[what] for one in bare))

    beside = "import and 12 clients"
    return [
        Figure("CPU to the first ready (P15)", of("cpu"), "s", 1.5, peer("cpu"), beside, "1,000 targets read once"),
        Figure("RSS at the first ready (P15)", of("rss"), "MB", 100, peer("rss"), beside),
        Figure("wall to listening", of("listening"), "s"),
        Figure("wall to the first ready", of("wall"), "s", note="first round spread over 5 s"),
    ]


async def _start() -> dict[str, float]:
    async with endpoint() as aws:
        began = time.monotonic()
        async with daemon(_pipeline(), aws.environ) as measured, aiohttp.ClientSession() as session:
            listening = time.monotonic() - began
            await ready(session, measured.url)
            wall = time.monotonic() - began
            return {"cpu": measured.cpu(), "rss": measured.rss(), "wall": wall, "listening": listening}


def _pipeline() -> str:
    queues = ", ".join(f"q-{number:04}" for number in range(1000))
    return f"""\
pipeline: bench
aws: {{region: us-east-1}}
checks:
  queues: {{kind: queue_depth, queues: [{queues}]}}
  touch: {{kind: touch}}
"""


async def clients() -> dict[str, float]:
    """An interpreter with a client of each service, nothing asked."""
    session = get_session()
    made = []
    for service, _ in SERVICES:
        made.append(await session.create_client(service).__aenter__())
    cpu = time.process_time()
    rss = resident()
    await asyncio.gather(*(client.__aexit__(None, None, None) for client in made))
    return {"cpu": cpu, "rss": rss}
