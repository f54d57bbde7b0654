"""One round of checks without a daemon: the real runner and the real board, no store, no actions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from monitor import __version__
from monitor.app import Boot, aws_settings
from monitor.aws.cloud import Aws
from monitor.aws.secrets import SecretResolver
from monitor.core.model import Row
from monitor.core.ports import Clock
from monitor.core.spec import AwsSpec, CheckSpec
from monitor.core.view import CheckView
from monitor.engine.board import Board
from monitor.engine.clock import SystemClock
from monitor.engine.runner import Runner
from monitor.engine.supervisor import Supervisor
from monitor.settings import Settings
from monitor.telemetry import Instruments


@dataclass(frozen=True, slots=True)
class Round:
    """What one round found."""

    rows: tuple[Row, ...]
    checks: tuple[CheckView, ...]


async def check_once(boot: Boot, specs: Sequence[CheckSpec], ended: Callable[[CheckSpec], None]) -> Round:
    """Run and judge each check once, side by side; `ended` hears of each. Opens no store and changes nothing."""
    clock = boot.clock or SystemClock()
    board = Board()
    board.configure({spec.key: spec for spec in specs})
    places = asyncio.Semaphore(boot.settings.concurrency)
    async with reading(boot.settings, clock) as (aws, supervisor):
        secrets = SecretResolver(boot.environ, lambda: aws.reads(AwsSpec()), clock)
        runner = Runner(clock, supervisor, secrets)

        async def one(spec: CheckSpec) -> None:
            async with places:
                run = await runner.run(spec, boot.registry.kinds[spec.kind], aws.reads(spec.aws), ())
            board.record(spec, run, clock.tick())
            ended(spec)

        async with asyncio.TaskGroup() as group:
            for spec in specs:
                group.create_task(one(spec), name=f"check:{spec.key}")
    return Round(tuple(board.rows()), tuple(board.check_views({})))


async def resolve(reference: str, settings: Settings, environ: Mapping[str, str]) -> str:
    """The value behind a secret reference. Raises ActionError."""
    clock = SystemClock()
    async with reading(settings, clock) as (aws, _):
        return await SecretResolver(environ, lambda: aws.reads(AwsSpec()), clock).resolve(reference)


@asynccontextmanager
async def reading(settings: Settings, clock: Clock) -> AsyncIterator[tuple[Aws, Supervisor]]:
    """AWS to read from, and the supervisor of what it starts; closed at the end."""
    supervisor = Supervisor()
    aws = Aws(aws_settings(settings), clock, Instruments(__version__), supervisor.spawn)
    await aws.open()
    try:
        yield aws, supervisor
    finally:
        await aws.close()
        await supervisor.shutdown(2.0)
