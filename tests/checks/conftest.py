"""What the tests of kinds share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from checks import KINDS
from monitor.aws import Aws, AwsSettings
from monitor.core.spec import AwsSpec
from monitor.demo.emulator import child
from monitor.demo.emulator.child import Child
from monitor.demo.world import World
from monitor.plugin import ProbeError, Reads, Reason
from monitor.testing import EPOCH, observed


@pytest.fixture
def now() -> datetime:
    """When the runs of these tests start: a Wednesday noon."""
    return EPOCH


@pytest.fixture
def gone() -> ProbeError:
    """What the reader raises for a resource that isn't there."""
    return ProbeError(Reason.NOT_FOUND, "no such resource")


@pytest.fixture
def down() -> ProbeError:
    """What the reader raises when AWS gives no proper answer."""
    return ProbeError(Reason.UNAVAILABLE, "no answer")


class WallClock:
    """Real time."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def tick(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class NoMeter:
    """Counts nothing."""

    def aws_request(self, *seen: Any) -> None: ...

    def aws_metrics_requested(self, count: int) -> None: ...

    def aws_cost(self, aws_service: str, dollars: float) -> None: ...

    def aws_quota(self, *seen: Any) -> None: ...

    def aws_up(self, *seen: Any) -> None: ...


@dataclass
class Context:
    """What a probe gets."""

    aws: Reads
    now: datetime

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def secret(self, reference: str) -> str:
        return reference


@pytest.fixture(scope="session")
def emulator() -> Iterator[Child]:
    """The process."""
    with child.start() as running:
        yield running


@pytest.fixture
async def world(emulator: Child) -> AsyncIterator[World]:
    """The ETL pipeline, freshly built."""
    async with World(emulator.url) as built:
        await built.side.post("reset")
        await built.build()
        yield built


@pytest.fixture
async def reads(emulator: Child, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Reads]:
    """The real reader on it."""
    for name, value in emulator.environment().items():
        monkeypatch.setenv(name, value)
    tasks: set[asyncio.Task[None]] = set()

    def spawn(name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        return task

    aws = Aws(AwsSettings(endpoint_url=emulator.url, freshness=timedelta(0)), WallClock(), NoMeter(), spawn)
    yield aws.reads(AwsSpec(region="us-east-1"))
    await aws.close()
    for task in list(tasks):
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def run(reads: Reads) -> Callable[[str, Mapping[str, Any]], Awaitable[dict[tuple[str, str], Any]]]:
    """`await run(kind, params)`: one run now, through the real reader on the emulator."""
    kinds = {check.kind: check for check in KINDS}

    async def run(kind: str, params: Mapping[str, Any]) -> dict[tuple[str, str], Any]:
        check = kinds[kind]
        context = Context(reads, datetime.now(UTC))
        return dict(observed(list(await check.probe(check.params.model_validate(params), context))))

    return run
