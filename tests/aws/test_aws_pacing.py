"""Pacing against a token bucket like AWS's, on virtual time."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass

import pytest
from aws_doubles import LoopClock, VirtualLoop

from monitor.aws.pacing import Bucket, Pacer
from monitor.aws.quotas import Quota, quota


@dataclass
class Server:
    """AWS's side: a bucket that starts full."""

    burst: float
    refill: float
    latency: float = 0.02
    accepted: int = 0
    refused: int = 0

    def __post_init__(self) -> None:
        self.tokens, self.at = self.burst, 0.0
        self.random = random.Random(7)

    async def call(self) -> bool:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self.latency * self.random.uniform(0.3, 0.7))
        now = loop.time()
        self.tokens = min(self.burst, self.tokens + (now - self.at) * self.refill)
        self.at = now
        good = self.tokens >= 1
        if good:
            self.tokens -= 1
            self.accepted += 1
        else:
            self.refused += 1
        await asyncio.sleep(self.latency * self.random.uniform(0.3, 0.7))
        return good


async def drain(server: Server, bucket: Bucket, calls: int, workers: int) -> float:
    """Seconds until `calls` succeeded, retried with full jitter as the retry layer does."""
    loop = asyncio.get_running_loop()
    todo = iter(range(calls))
    chance = random.Random(1)

    async def work() -> None:
        for _ in todo:
            for attempt in range(1000):
                await bucket.take(read=False)
                if await server.call():
                    bucket.accepted()
                    break
                bucket.refused()
                await asyncio.sleep(chance.uniform(0, min(4, 0.2 * 2**attempt)))

    began = loop.time()
    async with asyncio.TaskGroup() as group:
        for _ in range(workers):
            group.create_task(work())
    return loop.time() - began


def simulate(server: Server, assumed: Quota, calls: int, workers: int) -> tuple[float, float]:
    """(wall time over the least that the quota and the workers allow, refusals per call)."""

    async def main() -> float:
        return await drain(server, Bucket(LoopClock(), assumed, 0.5), calls, workers)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        wall = runner.run(main())
    assert server.accepted == calls
    least = max((calls - server.burst) / server.refill, calls * server.latency / workers)
    return wall / least, server.refused / calls


@pytest.mark.parametrize("workers", [8, 32, 256])
def test_a_known_quota_is_drained_at_its_pace(workers: int) -> None:
    """10,000 stops take at most 1.05 times what the quota allows, with at most 0.02 refusals each."""
    ratio, refusals = simulate(Server(1000, 200), Quota("s:S", 1000, 200), 10_000, workers)
    assert ratio <= 1.05
    assert refusals <= 0.02


@pytest.mark.parametrize("workers", [32, 256])
def test_a_small_region_is_drained_at_its_pace(workers: int) -> None:
    """The 500/25 bucket of most regions is used just as well."""
    ratio, refusals = simulate(Server(500, 25), Quota("s:S", 500, 25), 1500, workers)
    assert ratio <= 1.05
    assert refusals <= 0.02


@pytest.mark.parametrize("workers", [32, 256])
@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_quota_other_than_assumed_is_learned(factor: float, workers: int) -> None:
    """Half or double the published quota costs at most 15 % over the best possible."""
    server = Server(1000 * factor, 200 * factor)
    ratio, refusals = simulate(server, Quota("s:S", 1000, 200), 10_000, workers)
    assert ratio <= 1.15
    assert refusals <= 0.05


@pytest.mark.parametrize("latency", [0.005, 0.1])
def test_latency_does_not_break_the_pace(latency: float) -> None:
    """Near and far regions drain alike."""
    ratio, refusals = simulate(Server(1000, 200, latency), Quota("s:S", 1000, 200), 6000, 128)
    assert ratio <= 1.05
    assert refusals <= 0.02


def test_reads_stay_under_their_share() -> None:
    """Ten seconds of hungry reads take half the burst and half the refill, no more."""

    async def main() -> int:
        bucket = Bucket(LoopClock(), Quota("s:S", 100, 20), 0.5)
        count = 0
        try:
            async with asyncio.timeout(10):
                while True:
                    await bucket.take(read=True)
                    bucket.accepted()
                    count += 1
        except TimeoutError:
            return count

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert 145 <= runner.run(main()) <= 151


def test_reads_slow_down_when_refused() -> None:
    """A refusal lowers the pace of reads below their share of what was published."""

    async def main() -> float:
        server = Server(10, 2)
        bucket = Bucket(LoopClock(), Quota("s:S", 100, 20), 0.5)
        async with asyncio.timeout(600):
            while server.accepted < 300:
                await bucket.take(read=True)
                bucket.accepted() if await server.call() else bucket.refused()
        return server.refused / server.accepted

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert runner.run(main()) <= 0.35


def test_an_old_refusal_is_forgotten() -> None:
    """When whoever used the quota up is gone, the published pace returns, for reads and for ETAs."""

    async def main() -> None:
        clock = LoopClock()
        bucket = Bucket(clock, Quota("s:S", 100, 20), 0.5)
        for _ in range(20):
            bucket.refused()
            await clock.sleep(1)
        assert bucket.rate < 5
        await clock.sleep(400)
        await bucket.take(read=True)
        bucket.accepted()
        assert bucket.rate == pytest.approx(20, rel=0.02)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main())


def test_busy_reads_do_not_inflate_the_rate() -> None:
    """An hour of reads at their share says nothing about what mutations may do."""

    async def main() -> None:
        bucket = Bucket(LoopClock(), Quota("s:S", 10, 20), 0.5)
        for _ in range(20_000):
            await bucket.take(read=True)
            bucket.accepted()
        assert bucket.rate <= 20
        assert bucket.used == pytest.approx(0.5, abs=0.05)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main())


def test_a_cancelled_waiter_takes_no_token() -> None:
    """Its place in the queue goes to the next one."""

    async def main() -> None:
        bucket = Bucket(LoopClock(), Quota("s:S", 2, 1), 0.5)
        await bucket.take(read=False)
        first, second = (asyncio.ensure_future(bucket.take(read=False)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        began = asyncio.get_running_loop().time()
        await second
        assert asyncio.get_running_loop().time() - began < 1.1

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main())


def test_what_was_learned_survives_learning_the_account() -> None:
    """The bucket of an identity becomes its account's."""

    async def main() -> None:
        pacer = Pacer(LoopClock(), 0.5, {})
        bucket = pacer.bucket("default", "us-east-1", "sqs", "ListQueues")
        pacer.rename("default", "123456789012")
        assert pacer.bucket("123456789012", "us-east-1", "sqs", "ListQueues") is bucket

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main())


def test_operations_share_the_bucket_aws_makes_them_share() -> None:
    """Lambda's control plane is one bucket, GetFunction and Invoke have their own."""
    pacer = Pacer(LoopClock(), 0.5, {})

    async def main() -> None:
        listing = pacer.bucket("1", "eu-west-1", "lambda", "ListFunctions")
        assert listing is pacer.bucket("1", "eu-west-1", "lambda", "PutFunctionConcurrency")
        assert listing is not pacer.bucket("1", "eu-west-1", "lambda", "GetFunction")
        assert listing is not pacer.bucket("2", "eu-west-1", "lambda", "ListFunctions")

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main())


@pytest.mark.parametrize(
    ("service", "operation", "region", "burst", "refill"),
    [
        ("states", "StopExecution", "us-east-1", 1000, 200),
        ("stepfunctions", "StopExecution", "eu-central-1", 500, 25),
        ("stepfunctions", "ListExecutions", "eu-west-1", 200, 5),
        ("stepfunctions", "ListExecutions", "ap-southeast-2", 100, 2),
        ("lambda", "PutFunctionConcurrency", "us-east-1", 15, 15),
        ("cloudwatch", "DescribeAlarms", "us-east-1", 9, 9),
    ],
)
def test_published_quotas_are_the_defaults(
    service: str, operation: str, region: str, burst: float, refill: float
) -> None:
    """Buckets start from what AWS publishes for the region."""
    found = quota(service, operation, region, {})
    assert (found.burst, found.refill) == (burst, refill)


def test_settings_replace_quotas() -> None:
    """An override of an operation wins over one of its service."""
    given = {"states:StopExecution": (7.0, 3.0), "sqs": (5.0, 1.0)}
    assert quota("stepfunctions", "StopExecution", "us-east-1", given).refill == 3
    assert quota("sqs", "GetQueueAttributes", "us-east-1", given).burst == 5
