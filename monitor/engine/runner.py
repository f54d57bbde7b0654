"""One run of one check: deadline, duration and every kind of failure become plain values here, once.

What a probe can do wrong (raise, hang, ignore cancellation, return rubbish) ends as `unknown` with a reason, and takes
nothing else with it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import structlog

from monitor.core.model import Observation, Reason
from monitor.core.ports import Clock, Secrets
from monitor.core.spec import CheckSpec
from monitor.engine.supervisor import Supervisor
from monitor.plugin import ActionError, Check, Params, ProbeError, Reads

log = structlog.get_logger(__name__)

#: A target for failures before any target is known.
NO_TARGET = "*"
#: How long a cancelled probe may take to clean up before it is abandoned.
CLEANUP = 1.0


@dataclass(frozen=True, slots=True)
class Probing:
    """What a probe gets: ProbeContext."""

    aws: Reads
    now: datetime
    clock: Clock
    secrets: Secrets | None = None

    async def sleep(self, seconds: float) -> None:
        """On the injected clock."""
        await self.clock.sleep(seconds)

    async def secret(self, reference: str) -> str:
        """The value behind a reference. Raises ProbeError."""
        if self.secrets is None:
            raise ProbeError(Reason.INVALID, "no secrets can be resolved here")
        try:
            return await self.secrets.resolve(reference)
        except ActionError as error:
            raise ProbeError(error.reason, error.detail) from None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a probe gave nothing."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Run:
    """How a run ended. `reason` None: all is well; else the first failure (others sit in the observations)."""

    observations: tuple[Observation, ...]
    started: datetime
    seconds: float
    reason: Reason | None = None
    detail: str = ""


class Runner:
    """Runs probes, each in a task of its own under the supervisor."""

    def __init__(self, clock: Clock, supervisor: Supervisor, secrets: Secrets | None = None) -> None:
        self._clock = clock
        self._supervisor = supervisor
        self._secrets = secrets
        self._abandoned: dict[str, asyncio.Task[Any]] = {}

    async def run(self, spec: CheckSpec, check: Check[Params], aws: Reads, known: Sequence[tuple[str, str]]) -> Run:
        """One run. `known` are the (target, signal) seen before: a run that fails whole is unknown for each."""
        started, tick = self._clock.now(), self._clock.tick()
        outcome = await self._within(spec, check, Probing(aws, started, self._clock, self._secrets))
        return settled(spec, outcome, known, started, self._clock.tick() - tick)

    async def _within(self, spec: CheckSpec, check: Check[Params], ctx: Probing) -> Sequence[Observation] | Failure:
        limit = spec.timeout.total_seconds()
        before = self._abandoned.pop(spec.key, None)
        if before is not None and not before.done():
            # One probe that can't be stopped is a leak; one more at every tick would be a flood.
            self._abandoned[spec.key] = before
            return Failure(Reason.TIMEOUT, "an earlier run hangs and ignores its cancellation; no other is begun")
        task = self._supervisor.spawn(f"probe:{spec.key}", attempt(spec, check, ctx))
        try:
            ended = await self._ends_within(task, limit)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if ended and task.cancelled():
            return Failure(Reason.BUG, f"the kind {spec.kind} has a bug: it cancelled itself")
        if ended:
            return task.result()  # type: ignore[no-any-return]  # the task is attempt's
        task.cancel()
        if not await self._ends_within(task, CLEANUP):
            self._abandoned[spec.key] = task
            log.error("probe.abandoned", pipeline=spec.pipeline, check=spec.name, reason="bug")
        return Failure(Reason.TIMEOUT, f"no answer within {limit:g}s (raise `timeout`, or look at what hangs)")

    async def _ends_within(self, task: asyncio.Task[Any], seconds: float) -> bool:
        nap = self._supervisor.spawn("probe:deadline", self._clock.sleep(seconds))
        try:
            await asyncio.wait({task, nap}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            nap.cancel()
        return task.done()


def settled(
    spec: CheckSpec,
    outcome: Sequence[Observation] | Failure,
    known: Sequence[tuple[str, str]],
    started: datetime,
    seconds: float,
) -> Run:
    """The run that `outcome` amounts to; `known` are the (target, signal) that a whole failure makes unknown."""
    if not isinstance(outcome, Failure) and not outcome:
        outcome = Failure(Reason.NOT_FOUND, "nothing matches what the check selects (a glob or tag without a resource)")
    if isinstance(outcome, Failure):
        return _failed(spec, known, started, seconds, outcome)
    observations = _checked(spec, outcome, started)
    failed = next((o for o in observations if o.reason is not None), None)
    if failed is None:
        return Run(observations, started, seconds)
    return Run(observations, started, seconds, failed.reason, f"{failed.target} {failed.signal}: {failed.detail}")


async def attempt(spec: CheckSpec, check: Check[Params], ctx: Probing) -> Sequence[Observation] | Failure:
    """What a probe saw, or why it saw nothing: whatever it raises ends here. Without a deadline."""
    try:
        return _sound(spec, await check.probe(spec.params, ctx))
    except SystemExit as left:  # a plugin may not end the daemon
        return Failure(Reason.BUG, f"the kind {spec.kind} has a bug: it called exit({left.code})")
    except Exception as raised:  # the boundary between plugins and the daemon
        error = _first(raised)
        if isinstance(error, ProbeError):
            return Failure(error.reason, error.detail)
        if isinstance(error, TimeoutError):
            return Failure(Reason.TIMEOUT, str(error) or "timed out")
        log.exception("probe.failed", pipeline=spec.pipeline, check=spec.name, reason="bug")
        return Failure(Reason.BUG, f"the kind {spec.kind} has a bug: {type(error).__name__}: {error}")


def _sound(spec: CheckSpec, seen: Any) -> Sequence[Observation] | Failure:
    """What a probe returned, if it is what it promised."""
    if isinstance(seen, Sequence) and all(isinstance(one, Observation) for one in seen):
        return seen
    return Failure(
        Reason.BUG, f"the kind {spec.kind} has a bug: it returned {type(seen).__name__}, not a list of observations"
    )


def _first(error: BaseException) -> BaseException:
    """The first leaf of an exception group (probes read targets side by side)."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _checked(spec: CheckSpec, observations: Sequence[Observation], now: datetime) -> tuple[Observation, ...]:
    """Declared signals only, each with a time and a finite value; a kind's slip is unknown, not a crash."""
    kept: dict[tuple[str, str], Observation] = {}
    for seen in observations:
        place = (seen.target, seen.signal)
        if seen.signal not in spec.units or place in kept:
            continue  # a second word on the same thing would count the time since the last run twice
        at = seen.at if seen.at is not None and seen.at.tzinfo is not None else now
        if not _is_number(seen.value):
            detail = f"not a number: {str(seen.value)[:100]}"
            kept[place] = replace(seen, value=None, at=at, reason=Reason.INVALID, detail=detail)
        else:
            kept[place] = replace(seen, at=at, unit=seen.unit or spec.units[seen.signal])
    return tuple(kept.values())


def _is_number(value: Any) -> bool:
    if value is None:
        return True
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _failed(
    spec: CheckSpec, known: Sequence[tuple[str, str]], started: datetime, seconds: float, failure: Failure
) -> Run:
    """Unknown for all that was seen before, and for what is judged on the targets that the config names."""
    judged = [signal for signal in spec.units if spec.judges(signal)] or list(spec.units)
    named = [(target, signal) for target in spec.targets for signal in judged]
    places = tuple(dict.fromkeys((*named, *known))) or tuple((NO_TARGET, signal) for signal in judged)
    observations = tuple(
        Observation(signal, target, None, spec.units[signal], started, failure.reason, failure.detail)
        for target, signal in places
        if signal in spec.units
    )
    return Run(observations, started, seconds, failure.reason, failure.detail)
