"""What does reading AWS cost per target and per metric, and how many calls does it take?

Direct API: the daemon watches 1,000 queues with `queue_depth` every 5 s against the canned endpoint; its CPU over
three rounds divided by the calls the endpoint counted. Metrics: 2,750 metrics of three namespaces, spread over ten
checks of one interval; the endpoint counts calls per round (there with two periods mixed), CPU is divided by metrics.
The peer, in the same minutes and at the same pace: aiobotocore with its defaults making the same calls, 32 in flight.
The daemon's idle CPU is inside its figures.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from math import ceil
from statistics import median
from typing import Any

import aiohttp
from aiobotocore.session import get_session

from bench.kinds import queries
from bench.process import Endpoint, Process, call, daemon, endpoint, ready
from bench.report import Figure

QUEUES, METRICS, CHECKS, ROUND, ROUNDS = 1000, 2750, 10, 5.0, 3
_NAMES = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"]


async def run() -> list[Figure]:
    """Figures of P6 to P8."""
    empty = await _measured(_queues(), 0, "bench.aws:bare_sqs", QUEUES)
    full = await _measured(_queues(), 3, "", 0)
    mixed = await _measured(_metrics(mixed=True), 0, "", 0)
    plain = await _measured(_metrics(mixed=False), 0, "bench.aws:bare_metrics", METRICS)
    beside, best = "bare aiobotocore", ceil(METRICS / 500)
    goal = "goal: 1.2 x the peer"
    deep = "GetMetricData per round, 1,000 queues with messages"
    return [
        Figure("CPU per direct-API target (P8)", empty["us"], "us", empty["bare"] * 1.2, empty["bare"], beside, goal),
        Figure("calls per target, empty queues", empty["calls"], "", 1),
        Figure("CPU per queue with messages (a call and a metric)", full["us"], "us"),
        Figure(deep, full["data_calls"], "", 2, 2, "ceil(N/500)"),
        Figure(
            f"GetMetricData per round, {METRICS:,} metrics (P6)", mixed["data_calls"], "", best, best, "ceil(N/500)"
        ),
        Figure("CPU per metric (P7)", plain["us_metric"], "us", 25, plain["bare"], beside, "asked, judged, kept"),
    ]


def _queues() -> str:
    names = ", ".join(f"q-{number:04}" for number in range(QUEUES))
    check = f"{{kind: queue_depth, interval: {ROUND:g}s, timeout: {ROUND:g}s, queues: [{names}]}}"
    return f"pipeline: bench\naws: {{region: us-east-1}}\nchecks:\n  depth: {check}\n"


def _metrics(*, mixed: bool) -> str:
    each = METRICS // CHECKS
    shared = f"kind: canned_metrics, interval: {ROUND:g}s, timeout: {ROUND:g}s, mixed: {str(mixed).lower()}"
    checks = "\n".join(f"  m{number}: {{{shared}, first: {number * each}, count: {each}}}" for number in range(CHECKS))
    return f"pipeline: bench\naws: {{region: us-east-1}}\nchecks:\n{checks}\n"


async def _measured(text: str, depth: int, peer: str, count: int) -> dict[str, float]:
    """The daemon over some rounds, and the peer in the same minutes against an endpoint of its own."""
    async with (
        endpoint(depth=depth) as aws,
        endpoint() as other,
        daemon(text, aws.environ) as measured,
        aiohttp.ClientSession() as session,
    ):
        await ready(session, measured.url)
        await asyncio.sleep(2 * ROUND)
        if not peer:
            return await _measure(aws, measured)
        bare = asyncio.ensure_future(call(peer, environ=other.environ, count=count))
        found = await _measure(aws, measured)
        return {**found, "bare": (await bare)["us"]}


async def _measure(aws: Endpoint, measured: Process) -> dict[str, float]:
    """Whole rounds, begun and ended between two of them."""
    await _lull(aws)
    await aws.set(forget=True)
    cpu = measured.cpu()
    await asyncio.sleep(ROUNDS * ROUND - ROUND / 2)
    await _lull(aws)
    spent, told = measured.cpu() - cpu, await aws.told("counts")
    direct = told["calls"].get("GetQueueAttributes", 0)
    # Not by time: on a busy machine a round may take longer than its interval, and the next is skipped.
    rounds = direct / QUEUES or told["queries"] / METRICS
    return {
        "us": spent / direct * 1e6 if direct else 0.0,
        "calls": sum(told["calls"].values()) / (QUEUES * rounds),
        "data_calls": told["calls"].get("GetMetricData", 0) / rounds,
        "us_metric": spent / told["queries"] * 1e6 if told["queries"] else 0.0,
    }


async def _lull(aws: Endpoint) -> None:
    """Until a round ended: calls came, then none for a while."""
    last, quiet, moved = -1, 0, False
    for _ in range(400):
        told = sum((await aws.told("counts"))["calls"].values())
        moved = moved or last not in (-1, told)
        quiet = quiet + 1 if told == last else 0
        if moved and quiet >= 8:
            return
        last = told
        await asyncio.sleep(0.05)


async def bare_sqs(count: int) -> dict[str, float]:
    """GetQueueAttributes of every queue, 32 in flight."""
    async with get_session().create_client("sqs") as client:
        slots = asyncio.Semaphore(32)

        async def one(number: int) -> None:
            async with slots:
                url = f"{client.meta.endpoint_url}/123456789012/q-{number:04}"
                await client.get_queue_attributes(QueueUrl=url, AttributeNames=_NAMES)

        async def all_of_them() -> None:
            await asyncio.gather(*(one(number) for number in range(count)))

        return {"us": await _median_us(all_of_them, count)}


async def bare_metrics(count: int) -> dict[str, float]:
    """GetMetricData, 500 at a time."""
    asked: list[dict[str, Any]] = [
        {
            "Id": f"q{number}",
            "MetricStat": {
                "Metric": {
                    "Namespace": query.namespace,
                    "MetricName": query.metric,
                    "Dimensions": [{"Name": name, "Value": value} for name, value in query.dimensions],
                },
                "Period": int(query.period.total_seconds()),
                "Stat": query.stat,
            },
        }
        for number, query in enumerate(queries(0, count))
    ]
    async with get_session().create_client("cloudwatch") as client:

        async def all_of_them() -> None:
            end = datetime.now(UTC).replace(second=0, microsecond=0)
            for at in range(0, count, 500):
                await client.get_metric_data(
                    MetricDataQueries=asked[at : at + 500], StartTime=end - timedelta(minutes=1), EndTime=end
                )

        return {"us": await _median_us(all_of_them, count)}


async def _median_us(work: Any, count: int) -> float:
    """At the daemon's own pace, so that both see the same machine."""
    await work()
    costs = []
    for _ in range(ROUNDS):
        await asyncio.sleep(ROUND - 1)
        cpu = time.process_time()
        await work()
        costs.append((time.process_time() - cpu) / count * 1e6)
    return median(costs)
