"""How close to AWS's own limit does a stop of N executions come, and what is left running?

The endpoint enforces the StopExecution token bucket with 20 ms latency. A person trips a breaker of the daemon whose
playbook is `stop_executions`; times are the endpoint's, from the first StopExecution to the last one, over the ideal
max(0, N - burst) / refill. "proved" is when the drain ended, after two empty listings. One run has half the quota that
the daemon assumes. The peer is aiobotocore with `retries=standard`, 32 and 128 in flight, which stops what it listed.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

from bench.process import TOKEN, Endpoint, call, daemon, endpoint, ready
from bench.report import Figure

MACHINE = "arn:aws:states:{region}:123456789012:stateMachine:etl-workflow"
LATENCY = 0.02


async def run() -> list[Figure]:
    """Figures of P1 to P3."""
    figures: list[Figure] = []
    large = await _ours(3000, (1000, 200), "us-east-1")
    peer = await _theirs(3000, (1000, 200), 32)
    wide = await _theirs(3000, (1000, 200), 128)
    figures += _told("1000/200, N=3,000 (P1)", large, 1.05, peer, "aiobotocore standard, 32")
    figures += [
        Figure("  peer at 128 in flight: left running", wide["left"], "", note=f"wall / ideal {wide['ratio']:.2f}"),
    ]
    small = await _ours(1000, (500, 25), "eu-central-1")
    peer = await _theirs(1000, (500, 25), 32)
    figures += _told("500/25, N=1,000 (P2)", small, 1.05, peer, "aiobotocore standard, 32")
    half = await _ours(2000, (500, 100), "us-east-1")
    figures += _told("500/100 where 1000/200 is assumed, N=2,000 (P2)", half, 1.15, None, "")
    return figures


def _told(name: str, ours: dict[str, float], goal: float, peer: dict[str, float] | None, beside: str) -> list[Figure]:
    def of(what: str) -> float | None:
        return peer[what] if peer else None

    return [
        Figure(f"{name}: wall / ideal", ours["ratio"], "", goal, of("ratio"), beside, f"{ours['wall']:.2f} s"),
        Figure("  until proved empty, after the last stop", ours["proof"], "s"),
        Figure("  refusals per stop (P3)", ours["refused"], "", 0.02, of("refused"), beside),
        Figure("  left running", ours["left"], "", 0, of("left"), beside),
        Figure("  CPU per stop", ours["cpu"], "ms", None, of("cpu"), beside),
    ]


def _settings(count: int, limits: tuple[float, float]) -> dict[str, Any]:
    return {"latency": LATENCY, "executions": count, "buckets": {"StopExecution": limits, "ListExecutions": (200, 5)}}


async def _ours(count: int, limits: tuple[float, float], region: str) -> dict[str, float]:
    text = f"""\
pipeline: etl
aws: {{region: {region}}}
checks:
  unused: {{kind: canned, interval: 1h, thresholds: {{s1: {{critical: {{above: 1000}}}}}}}}
breakers:
  loop:
    severity: SEV1
    mode: auto
    trip_when: unused.s1
    on_trip: [{{stop_executions: {{state_machines: ["{MACHINE.format(region=region)}"]}}}}]
"""
    async with (
        endpoint(**_settings(count, limits)) as aws,
        daemon(text, aws.environ, store="sqlite:///FOLDER/state.db") as measured,
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as session,
    ):
        await ready(session, measured.url)
        await asyncio.sleep(1)
        cpu = measured.cpu()
        command = {"by": "bench", "reason": "bench"}
        async with session.post(f"{measured.url}/api/v1/breakers/etl/loop/trip", json=command) as reply:
            assert reply.status < 300, await reply.text()
        while True:
            async with session.get(f"{measured.url}/api/v1/breakers/etl/loop") as reply:
                told = await reply.json()
            if told["state"] == "open":
                break
            await asyncio.sleep(0.1)
        return await _outcome(aws, count, limits, measured.cpu() - cpu)


async def _theirs(count: int, limits: tuple[float, float], flying: int) -> dict[str, float]:
    async with endpoint(**_settings(count, limits)) as aws:
        told = await call("bench.drain:standard", environ=aws.environ, flying=flying)
        return await _outcome(aws, count, limits, told["cpu"], told["wall"])


async def _outcome(
    aws: Endpoint, count: int, limits: tuple[float, float], cpu: float, wall: float | None = None
) -> dict[str, float]:
    counts, marks, left = await aws.told("counts"), await aws.told("marks"), await aws.told("executions")
    ideal = (count - limits[0]) / limits[1]
    ends = [at for at, what, _ in marks if what == "last"]
    first = next(at for at, what, _ in marks if what == "StopExecution")
    wall = ends[0] - first if ends else (wall or counts["now"] - first)
    return {
        "wall": wall,
        "ratio": wall / ideal,
        "proof": counts["now"] - ends[0] if ends else 0.0,
        "refused": counts["refused"].get("StopExecution", 0) / count,
        "left": float(left),
        "cpu": cpu / count * 1000,
    }


async def standard(flying: int) -> dict[str, float]:
    """List all, stop all, with the SDK's own retries; how many calls it gave up is what the endpoint has left."""
    config = AioConfig(retries={"mode": "standard"}, max_pool_connections=flying)
    machine = MACHINE.format(region="us-east-1")
    async with get_session().create_client("stepfunctions", config=config) as client:
        arns: list[str] = []
        pages = client.get_paginator("list_executions").paginate(
            stateMachineArn=machine, statusFilter="RUNNING", maxResults=1000
        )
        async for page in pages:
            arns += [execution["executionArn"] for execution in page["executions"]]
        slots = asyncio.Semaphore(flying)

        async def stop(arn: str) -> None:
            async with slots:
                try:
                    await client.stop_execution(executionArn=arn)
                except client.exceptions.ClientError:
                    return

        began, cpu = time.monotonic(), time.process_time()
        await asyncio.gather(*(stop(arn) for arn in arns))
        return {"cpu": time.process_time() - cpu, "wall": time.monotonic() - began}
