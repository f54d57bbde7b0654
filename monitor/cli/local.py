"""`breaker trip|reset --local`: the engine for one breaker, in this process, while no daemon runs.

It takes the store's lock like a daemon, so the two can't act at once. What is not finished when it ends stays in the
journal, and the next daemon goes on with it.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from monitor import app
from monitor.cli import options
from monitor.cli.breakers import in_force, plan
from monitor.cli.follow import EVERY, Follower, approval, plan_lines
from monitor.cli.talk import EXIT_REFUSED, EXIT_USAGE, answer, die, prompt, say
from monitor.config import Loaded
from monitor.core.condition import checks_of
from monitor.core.model import State
from monitor.core.ports import Delete, Item, Lease, Put, Store, StoreError
from monitor.core.spec import Pipeline, StepSpec
from monitor.core.view import BreakerView, Outcome
from monitor.engine.clock import SystemClock
from monitor.settings import environ
from monitor.telemetry import Redactor, configure_logging

#: Seconds for the first round of the breaker's checks: a trip acts on the targets they found.
FIRST_ROUND = 60
#: What a shell reports of a process that SIGTERM ended.
EXIT_STOPPED = 143


@dataclass(frozen=True, slots=True)
class Order:
    """What a person asked of one breaker (`PIPELINE/BREAKER`)."""

    verb: str
    breaker: str
    by: str
    reason: str = ""
    force: bool = False
    yes: bool = False


def run_local(order: Order, paths: Sequence[Path], store: str | None) -> None:
    """Do it and follow it until the playbook is in force (trip) or the breaker is closed (reset)."""
    settings = options.settings(store=store)
    if settings.store.startswith("memory:"):
        die("--local needs the store that the daemon uses: name it with --store or TRIPSWITCH_STORE", EXIT_USAGE)
    known = options.registry()
    loaded = narrowed(options.load(paths, known), order.breaker)
    redactor = Redactor()
    configure_logging("auto", "error", redactor, sys.stderr)
    try:
        inner = app.store_of(settings, SystemClock())
        boot = app.Boot(tuple(paths), settings, environ(), known, OneBreaker(inner, order.breaker))
        asyncio.run(_work(boot, loaded, redactor, order))
    except asyncio.CancelledError:
        die(f"stopped; the journal holds how far {order.breaker} is, and the next daemon goes on", EXIT_STOPPED)
    except StoreError as error:
        die(f"{error}\nif a daemon runs, ask it: the same command without --local")
    except app.StartError as error:
        die(str(error))


async def _work(boot: app.Boot, loaded: Loaded, redactor: Redactor, order: Order) -> None:
    async with _cancelled_by_signals(), app.alone(boot, loaded, redactor) as running:
        clock = running.engine.services.clock
        for _ in range(FIRST_ROUND):
            if running.engine.scheduler.first_round_done():
                break
            await clock.sleep(EVERY)
        before = _shown(_view(running, order.breaker))
        await _confirm(order, before, loaded.documents)
        outcome = await _ask(running, order)
        if not outcome.ok:
            die(f"refused: {outcome.message}", EXIT_REFUSED)
        say(outcome.message)
        await _follow(running, order)


async def _follow(running: app.Running, order: Order) -> None:
    end = State.OPEN if order.verb == "trip" else State.CLOSED
    follower = Follower()
    while True:
        view = _view(running, order.breaker)
        seen = _shown(view)
        follower.look(seen)
        if view.state is end:
            return
        waiting = approval(seen)
        if waiting is not None:
            await _approval(order, seen, waiting)
            await running.surface.approve(order.breaker, order.by, waiting)
        await running.engine.services.clock.sleep(EVERY)


async def _confirm(order: Order, seen: Mapping[str, Any], documents: Any) -> None:
    lines = plan(dict(seen), documents) if order.verb == "trip" else in_force(dict(seen))
    would = "would do" if order.verb == "trip" else "leaves in force" if order.force else "runs its recovery, over"
    say("\n".join([f"{order.breaker} is {seen['state']}; {order.verb} {would}:", *(lines or ["  nothing"])]))
    if not order.yes:
        await _ask_person(f"{order.verb} {order.breaker} from here?")


async def _approval(order: Order, seen: Mapping[str, Any], waiting: str) -> None:
    """`--yes` was said before this plan was known; approving it takes a person who sees it."""
    say("\n".join([f"plan {waiting} waits for approval:", *plan_lines(seen)]))
    if not sys.stdin.isatty():
        die(
            f"{order.breaker} waits for approval of {waiting}; it stays as it is until a daemon runs: "
            f"then `tripswitch breaker approve {order.breaker}`",
            EXIT_REFUSED,
        )
    await _ask_person(f"approve plan {waiting}?")


async def _ask_person(question: str) -> None:
    """Like talk.ask, without blocking the engine or Ctrl-C."""
    prompt(question)
    loop, typed = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), typed.set)
    try:
        await typed.wait()
    finally:
        loop.remove_reader(sys.stdin.fileno())
    answer()


def _view(running: app.Running, breaker: str) -> BreakerView:
    views = running.surface.breakers()
    view = next((view for view in views if f"{view.pipeline}/{view.name}" == breaker), None)
    if view is None:
        die(f"{breaker} is not owned here: its lease is held by another process", EXIT_REFUSED)
    return view


def _shown(view: BreakerView) -> dict[str, Any]:
    """As the API shows it."""
    plain: dict[str, Any] = _with_text_times(asdict(view))
    return plain


def _with_text_times(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {key: _with_text_times(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_text_times(item) for item in value]
    return value


async def _ask(running: app.Running, order: Order) -> Outcome:
    if order.verb == "trip":
        return await running.surface.trip(order.breaker, order.by, order.reason)
    return await running.surface.reset(order.breaker, order.by, force=order.force)


@asynccontextmanager
async def _cancelled_by_signals() -> AsyncIterator[None]:
    """SIGTERM ends it like Ctrl-C: at a safe point, with the journal in order."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


def narrowed(loaded: Loaded, breaker: str) -> Loaded:
    """Just this breaker, with the checks that its condition and its playbooks name. Ends the command if it's absent."""
    pipeline = next((p for p in loaded.pipelines if breaker in [b.key for b in p.breakers.values()]), None)
    if pipeline is None:
        known = ", ".join(b.key for p in loaded.pipelines for b in p.breakers.values()) or "none"
        die(f"these files have no breaker {breaker}; they have: {known}", EXIT_USAGE)
    spec = pipeline.breakers[breaker.split("/", 1)[1]]
    steps: tuple[StepSpec, ...] = (*spec.on_trip, *(spec.recover.steps or ()))
    wanted = {*checks_of(spec.condition), *(name for step in steps for name in _verified(step))}
    checks = {name: check for name, check in pipeline.checks.items() if name in wanted}
    only: Pipeline = replace(pipeline, checks=checks, breakers={spec.name: spec})
    return replace(loaded, pipelines=(only,))


def _verified(step: StepSpec) -> list[str]:
    """The checks that a step waits for."""
    inner = step.params.get("verify") if step.verb == "ramp" else step.params if step.verb == "verify" else None
    return [str(inner["check"])] if isinstance(inner, Mapping) else []


class OneBreaker:
    """A store that shows one breaker's ledger only, so that no other breaker is driven from here."""

    def __init__(self, inner: Store, breaker: str) -> None:
        self._inner = inner
        self._breaker = breaker

    async def scan(self, kind: str, prefix: str = "") -> list[Item]:
        """Like the store's own, without other breakers and their changes."""
        items = await self._inner.scan(kind, prefix)
        if kind not in ("breaker", "change"):
            return items
        return [item for item in items if f"{item.key}/".startswith(f"{self._breaker}/")]

    async def open(self) -> None:
        await self._inner.open()

    async def close(self) -> None:
        await self._inner.close()

    async def get(self, kind: str, key: str) -> Item | None:
        return await self._inner.get(kind, key)

    async def commit(self, writes: Sequence[Put | Delete], lease: Lease | None = None) -> list[Item | None]:
        return await self._inner.commit(writes, lease)

    async def acquire(self, pipeline: str, owner: str, ttl: timedelta, now: datetime) -> Lease | None:
        return await self._inner.acquire(pipeline, owner, ttl, now)

    async def renew(self, lease: Lease, ttl: timedelta, now: datetime) -> Lease:
        return await self._inner.renew(lease, ttl, now)

    async def release(self, lease: Lease) -> None:
        await self._inner.release(lease)

    async def prune(self, now: datetime) -> int:
        return await self._inner.prune(now)
