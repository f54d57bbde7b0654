"""What the `dlq` commands work with: AWS in one place, and a context for actions that a person runs by hand.

The actions are those that playbooks use. Their memory is a small file, synced before a message is touched: a command
that was killed goes on when it is repeated, and says which message it may have doubled.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import typer

from monitor import __version__
from monitor.app import aws_settings
from monitor.aws.cloud import Aws
from monitor.core.model import Json
from monitor.core.spec import AwsSpec
from monitor.engine.clock import SystemClock
from monitor.engine.supervisor import Supervisor
from monitor.plugin import Action, ActionContext, ActionError, Held, Reason, Receipt, TripInfo, Writes
from monitor.settings import Settings, kill_file_says_off
from monitor.telemetry import Instruments

Progress = Callable[[int, int | None], None]


@asynccontextmanager
async def writes(settings: Settings, spec: AwsSpec) -> AsyncIterator[Writes]:
    """AWS there; every mutating call asks the kill switch first."""
    supervisor = Supervisor()
    aws = Aws(aws_settings(settings), SystemClock(), Instruments(__version__), supervisor.spawn)

    async def gate(aws_service: str, operation: str, seconds: float) -> None:
        if (why := await asyncio.to_thread(actions_off, settings)) is not None:
            raise Held("kill_switch", why)

    await aws.open()
    try:
        yield aws.writes(spec, gate)
    finally:
        await aws.close()
        await supervisor.shutdown(2.0)


def actions_off(settings: Settings) -> str | None:
    """Why nothing may be changed from here, or None."""
    if settings.actions == "off":
        return "actions are off (TRIPSWITCH_ACTIONS)"
    path = settings.kill_file
    try:
        content = path.read_text() if path is not None else None
    except FileNotFoundError:
        content = None
    except OSError as error:
        return f"the kill file {path} can't be read: {error.strerror}"
    return f"actions are off ({path})" if kill_file_says_off(content) else None


@dataclass(slots=True)
class HandContext:
    """ActionContext of a command."""

    aws: Writes
    path: Path
    told: Progress
    trip: TripInfo
    memory: Mapping[str, Json]

    def now(self) -> datetime:
        """Wall time, aware UTC."""
        return SystemClock().now()

    async def sleep(self, seconds: float) -> None:
        """Ends early when the command is stopped."""
        await SystemClock().sleep(seconds)

    async def remember(self, **values: Json) -> None:
        """On disk before it returns."""
        self.memory = {**self.memory, **json.loads(json.dumps(values))}
        await asyncio.to_thread(_write, self.path, self.memory)

    async def progress(self, done: int, remaining: int | None, eta: timedelta | None = None, note: str = "") -> None:
        """For the command's own display."""
        self.told(done, remaining)

    async def healthy(self) -> Sequence[Json]:
        """Nobody looked."""
        return ()

    async def secret(self, reference: str) -> str:
        """No command needs one."""
        raise ActionError(Reason.INVALID, "no secrets can be resolved here")

    async def permit(self, service: str, operation: str, seconds: float) -> None:
        """A person asked for it; only AWS is written to here."""

    async def notify(self, urls: Sequence[str], title: str, body: str) -> list[str]:
        """There is nobody to tell but the person at the terminal."""
        return []


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command did. `resumed`: it went on with one that was cut short."""

    receipt: Receipt
    resumed: bool


async def perform(action: Action[Any], params: Any, aws: Writes, folder: Path, told: Progress) -> Outcome:
    """Plan and apply, remembering in `folder`. Raises ActionError, ProbeError, Held; repeating it is always safe."""
    context = await context_of(action, params, aws, folder, told)
    resumed = bool(context.memory)
    change = action.plan(params, context.now())
    receipt = await action.apply(change, context)
    await asyncio.to_thread(context.path.unlink, missing_ok=True)
    return Outcome(replace(receipt, change=change), resumed)


async def context_of(
    action: Action[Any], params: Any, aws: Writes, folder: Path, told: Progress = lambda done, left: None
) -> HandContext:
    """A context whose memory is what an earlier, interrupted run of the same command left."""
    place = [await aws.account(), aws.region, action.name, params.model_dump(mode="json")]
    name = hashlib.sha256(json.dumps(place, sort_keys=True).encode()).hexdigest()[:16]
    path = folder / f"dlq-{name}.json"
    memory = await asyncio.to_thread(_read, path)
    trip = TripInfo("by-hand", "-", "-", "SEV4", "by hand", SystemClock().now(), ())
    return HandContext(aws, path, told, trip, memory)


def in_flight(context: ActionContext) -> str | None:
    """The id of the message that was being moved when the work ended."""
    left = context.memory.get("in_flight")
    return None if left is None else str(left)


def folder() -> Path:
    """Where interrupted commands are remembered: the application's own directory of this user."""
    return Path(typer.get_app_dir("tripswitch"))


def _read(path: Path) -> Mapping[str, Json]:
    try:
        found = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(path: Path, memory: Mapping[str, Json]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_suffix(".part")
    with draft.open("w") as file:
        json.dump(memory, file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
