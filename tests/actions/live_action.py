"""Actions on a real client: a context whose memory is a file, and a program that runs one action until it is killed.

`python live_action.py ENDPOINT MEMORY ACTION PARAMS` applies ACTION with PARAMS (JSON).
"""

import asyncio
import json
import os
import sys
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from monitor.actions import ACTIONS
from monitor.aws.cloud import Aws
from monitor.aws.settings import AwsSettings
from monitor.core.spec import AwsSpec
from monitor.engine.clock import SystemClock
from monitor.plugin import TripInfo


class SilentMeter:
    """Counts nothing."""

    def __getattr__(self, name):
        return lambda *args, **more: None


class LiveContext:
    """An ActionContext that remembers in a file, synced before it goes on, as the journal does."""

    def __init__(self, aws, path, started_at):
        self.aws, self.path, self.clock = aws, Path(path), SystemClock()
        self.memory = json.loads(self.path.read_text()) if self.path.exists() else {}
        self.trip = TripInfo("t", "etl", "loop", "SEV1", "test", started_at, ())
        self.steps, self.told = [], []

    def now(self):
        return self.clock.now()

    async def sleep(self, seconds):
        await self.clock.sleep(seconds)

    async def remember(self, **values):
        self.memory = {**self.memory, **json.loads(json.dumps(values))}
        draft = self.path.with_suffix(".part")
        with draft.open("w") as file:
            json.dump(self.memory, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path)

    async def healthy(self):
        return ()  # this breaker was never watched before its trip

    async def notify(self, urls, title, body):
        self.told.append(title)
        return []

    async def progress(self, done, remaining, eta=None, note=""):
        self.steps.append((done, remaining, eta))


@asynccontextmanager
async def live(endpoint):
    """Writes in the emulator's account, every gate open."""
    tasks = set()

    def spawn(name, work):
        task = asyncio.ensure_future(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        return task

    async def gate(service, operation, seconds):
        return

    aws = Aws(AwsSettings(endpoint_url=endpoint, default_region="us-east-1"), SystemClock(), SilentMeter(), spawn)
    await aws.open()
    try:
        yield aws.writes(AwsSpec(region="us-east-1"), gate)
    finally:
        if tasks:
            await asyncio.wait(tasks, timeout=2)
        await aws.close()


def action(name):
    """The shipped action of that name."""
    return next(action for action in ACTIONS if action.name == name)


async def run(aws, path, name, params, started_at=None):
    """plan and apply; (receipt, context)."""
    context = LiveContext(aws, path, started_at or datetime.now(UTC))
    chosen = action(name)
    change = chosen.plan(chosen.params.model_validate(params), context.now())
    return await chosen.apply(change, context), context


async def main(endpoint, path, name, params):
    """One action, to its end or ours."""
    async with live(endpoint) as aws:
        await run(aws, path, name, json.loads(params))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
