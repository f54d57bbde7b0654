"""The breaker: what its record holds and every transition it may make.

closed -> tripping -> open -> half_open -> closed; half_open -> tripping on a relapse; tripping -> closed only when a
trip that waited for approval is withdrawn with nothing done. Each function returns the next record and refuses (with
IllegalTransition) what the diagram does not hold, so that no caller can take a shortcut.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from monitor.core.model import Json, Mode, Reason, State
from monitor.core.spec import AwsSpec, BreakerSpec, RecoverSpec, StepSpec

DAY = timedelta(days=1)
#: Holds double with every relapse, up to this factor.
MAX_HOLD_FACTOR = 64


class IllegalTransition(ValueError):
    """The diagram has no such arrow."""


class StepPhase(StrEnum):
    """Where one step of a running playbook stands."""

    PENDING = "pending"
    RUNNING = "running"
    HELD = "held"
    WAITING = "waiting"
    RETRYING = "retrying"
    DONE = "done"
    WOULD = "would"
    FAILED = "failed"
    SKIPPED = "skipped"


ENDED = frozenset({StepPhase.DONE, StepPhase.WOULD, StepPhase.SKIPPED})


@dataclass(frozen=True, slots=True)
class StepState:
    """One step of the playbook that runs now. `until`: end of a wait, or when a retry is due."""

    spec: StepSpec
    phase: StepPhase = StepPhase.PENDING
    started_at: datetime | None = None
    until: datetime | None = None
    attempts: int = 0
    gate: str | None = None
    reason: Reason | None = None
    detail: str = ""
    #: Its changes are in the journal (planned once, so that a resumed step never plans for other targets).
    planned: bool = False
    #: Set while a person's yes is awaited: the hash that an approval must name.
    plan: str | None = None
    #: Of a ramp: the rung that is in force or comes next.
    rung: int = 0

    @property
    def ended(self) -> bool:
        """True if nothing is left to do."""
        return self.phase in ENDED


@dataclass(frozen=True, slots=True)
class Approval:
    """A person's yes to exactly one plan."""

    plan: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Trip:
    """One trip, with the snapshot of the breaker's config that it runs on until it closes."""

    id: str
    at: datetime
    reason: str
    targets: tuple[str, ...]
    spec: BreakerSpec
    #: The person who tripped it; such a trip never recovers by itself.
    by: str | None = None
    shadow: bool = False
    #: Rises with every relapse; the journal's entries of each round stand apart.
    round: int = 1
    latched: bool = False
    incident: str | None = None
    #: Account and region it happened in, for storms and claims.
    account: str = ""
    region: str = ""
    #: How it was reached, for an orphan whose pipeline is gone from the configuration.
    aws: AwsSpec = field(default_factory=AwsSpec)

    @property
    def hold(self) -> timedelta:
        """Time open before recovery, doubled for every relapse."""
        factor: int = min(2 ** (self.round - 1), MAX_HOLD_FACTOR)
        return self.spec.recover.after * factor

    @property
    def recovers_alone(self) -> bool:
        """True if recovery may begin without a person."""
        return self.spec.recover.mode == "auto" and not self.latched and self.by is None


@dataclass(frozen=True, slots=True)
class Breaker:
    """The durable record of one breaker."""

    pipeline: str
    name: str
    state: State = State.CLOSED
    since: datetime | None = None
    trip: Trip | None = None
    #: Which playbook `steps` is: trip | recover | "".
    phase: str = ""
    steps: tuple[StepState, ...] = ()
    hold_until: datetime | None = None
    #: Half open ends by then at the latest; the trial proper starts after the last step (`trial_from`).
    trial_until: datetime | None = None
    trial_from: datetime | None = None
    #: A person asked for this recovery: close after the last step, without a trial.
    resetting: bool = False
    disabled: bool = False
    disabled_by: str = ""
    approvals: tuple[Approval, ...] = ()
    #: Real trips of the last 24 hours.
    trips: tuple[datetime, ...] = ()

    @property
    def key(self) -> str:
        """`PIPELINE/BREAKER`."""
        return f"{self.pipeline}/{self.name}"

    def cursor(self) -> int | None:
        """The step to work on: the first not ended; later ones depend on it unless it says `on_error: continue`."""
        passed: int | None = None
        for index, step in enumerate(self.steps):
            if step.ended:
                continue
            if step.phase in (StepPhase.FAILED, StepPhase.RETRYING) and step.spec.on_error == "continue":
                passed = index if passed is None else passed
                continue
            return index
        return passed

    def with_step(self, index: int, step: StepState) -> Breaker:
        """With step `index` replaced."""
        return replace(self, steps=(*self.steps[:index], step, *self.steps[index + 1 :]))


def recent(trips: Sequence[datetime], now: datetime) -> tuple[datetime, ...]:
    """The trips of the sliding 24 hours before `now`."""
    return tuple(at for at in trips if now - at < DAY)


def trip(breaker: Breaker, event: Trip, now: datetime) -> Breaker:
    """closed -> tripping. The last trip that `trips_per_day` permits latches; it is never withheld.

    A shadow trip counts in no limit.
    """
    if breaker.state is not State.CLOSED:
        raise IllegalTransition(f"{breaker.key} is {breaker.state}, only a closed breaker trips")
    trips = recent(breaker.trips, now)
    limit = event.spec.limits.trips_per_day
    if not event.shadow:
        trips = (*trips, now)
        event = replace(event, latched=limit is not None and len(trips) >= limit)
    return replace(
        _playbook(breaker, "trip", event.spec.on_trip),
        state=State.TRIPPING,
        since=now,
        trip=event,
        trips=trips,
        hold_until=None,
        trial_until=None,
        trial_from=None,
        resetting=False,
    )


def confirmed(breaker: Breaker, now: datetime) -> Breaker:
    """tripping -> open, when every step of the trip is in force."""
    event = _tripped(breaker, State.TRIPPING)
    if breaker.phase != "trip" or breaker.cursor() is not None:
        raise IllegalTransition(f"{breaker.key} still has steps to confirm")
    return replace(breaker, state=State.OPEN, since=now, hold_until=now + event.hold, approvals=())


def withdrawn(breaker: Breaker, now: datetime) -> Breaker:
    """tripping -> closed: the breach cleared before anybody approved, and nothing was done; it counts as no trip."""
    event = _tripped(breaker, State.TRIPPING)
    if breaker.phase != "trip" or event.round > 1:
        raise IllegalTransition(f"{breaker.key} has begun: it recovers instead")
    return replace(_closed(breaker, now), trips=breaker.trips if event.shadow else breaker.trips[:-1])


def recovery_steps(recover: RecoverSpec) -> tuple[StepSpec, ...]:
    """The steps of a recovery; without any: the undo of every receipt, last first."""
    if recover.steps is None:
        return (StepSpec(id="undo", verb="undo", params={"steps": ["*"]}),)
    return recover.steps


def recovering(breaker: Breaker, now: datetime, *, person: bool) -> Breaker:
    """Start the recovery's steps. The state stays open until the first step that lets traffic back in."""
    if breaker.state not in (State.OPEN, State.TRIPPING, State.HALF_OPEN) or breaker.trip is None:
        raise IllegalTransition(f"{breaker.key} is {breaker.state}: nothing to recover from")
    state = State.OPEN if breaker.state is State.TRIPPING else breaker.state
    started = _playbook(breaker, "recover", recovery_steps(breaker.trip.spec.recover))
    return replace(started, state=state, since=now if state is not breaker.state else breaker.since, resetting=person)


def half_open(breaker: Breaker, now: datetime, limit: timedelta) -> Breaker:
    """open -> half_open, before the first undo. `limit` bounds it whatever happens."""
    _tripped(breaker, State.OPEN)
    if breaker.phase != "recover":
        raise IllegalTransition(f"{breaker.key} is not recovering")
    return replace(breaker, state=State.HALF_OPEN, since=now, trial_until=now + limit, trial_from=None)


def prolong(breaker: Breaker, until: datetime) -> Breaker:
    """Half open lasts longer, because a gate held its steps: that is no verdict on the recovery."""
    _tripped(breaker, State.HALF_OPEN)
    if breaker.trial_from is not None:
        raise IllegalTransition(f"{breaker.key} is on trial: nothing holds it any more")
    return replace(breaker, trial_until=until)


def trial(breaker: Breaker, now: datetime, span: timedelta) -> Breaker:
    """The last recovery step is done: from now on `span` must pass without a relapse."""
    _tripped(breaker, State.HALF_OPEN)
    return replace(breaker, trial_from=now, trial_until=now + span)


def relapse(breaker: Breaker, now: datetime, reason: str) -> Breaker:
    """half_open -> tripping: the same trip is applied again with a doubled hold; it counts as no new trip."""
    event = _tripped(breaker, State.HALF_OPEN)
    again = replace(event, round=event.round + 1, reason=reason)
    return replace(
        _playbook(breaker, "trip", event.spec.on_trip),
        state=State.TRIPPING,
        since=now,
        trip=again,
        hold_until=None,
        trial_until=None,
        trial_from=None,
        resetting=False,
    )


def close(breaker: Breaker, now: datetime) -> Breaker:
    """half_open -> closed."""
    _tripped(breaker, State.HALF_OPEN)
    return _closed(breaker, now)


def forced(breaker: Breaker, now: datetime) -> Breaker:
    """tripping | open -> half_open with an empty recovery; `close` follows. Receipts are the caller's to abandon."""
    if breaker.state not in (State.TRIPPING, State.OPEN, State.HALF_OPEN):
        raise IllegalTransition(f"{breaker.key} is {breaker.state}: nothing to force")
    return replace(
        _playbook(breaker, "recover", ()),
        state=State.HALF_OPEN,
        since=now,
        trial_from=now,
        trial_until=now,
        resetting=True,
    )


def disable(breaker: Breaker, by: str) -> Breaker:
    """Held by a person: no trips, no steps; state and receipts stay as they are."""
    return replace(breaker, disabled=True, disabled_by=by)


def enable(breaker: Breaker) -> Breaker:
    """Back to the state that the receipts imply, which is the one it kept."""
    return replace(breaker, disabled=False, disabled_by="")


def approve(breaker: Breaker, plan: str, by: str, now: datetime) -> Breaker:
    """A yes to `plan`; older ones to the same plan are replaced."""
    kept = tuple(a for a in breaker.approvals if a.plan != plan)
    return replace(breaker, approvals=(*kept[-7:], Approval(plan, by, now)))


def approved(breaker: Breaker, plan: str, now: datetime, valid: timedelta = timedelta(hours=1)) -> Approval | None:
    """The approval of exactly this plan, if it has not expired."""
    return next((a for a in breaker.approvals if a.plan == plan and now - a.at < valid), None)


def plan_hash(*parts: Json) -> str:
    """A short name of a plan: it changes with the trip, the round, the steps and the targets it names."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def trial_span(recover: RecoverSpec, hold: timedelta, interval: timedelta) -> timedelta:
    """`trial`, or max(5 m, 3 x (for + interval)) with the longest of the condition's checks."""
    return recover.trial if recover.trial is not None else max(timedelta(minutes=5), 3 * (hold + interval))


def is_shadow(mode: Mode) -> bool:
    """Observe runs a shadow: the same states, plans instead of receipts."""
    return mode is Mode.OBSERVE


def _playbook(breaker: Breaker, phase: str, steps: Sequence[StepSpec]) -> Breaker:
    return replace(breaker, phase=phase, steps=tuple(StepState(spec) for spec in steps), approvals=())


def _closed(breaker: Breaker, now: datetime) -> Breaker:
    return replace(
        _playbook(breaker, "", ()),
        state=State.CLOSED,
        since=now,
        trip=None,
        hold_until=None,
        trial_until=None,
        trial_from=None,
        resetting=False,
    )


def _tripped(breaker: Breaker, state: State) -> Trip:
    if breaker.state is not state or breaker.trip is None:
        raise IllegalTransition(f"{breaker.key} is {breaker.state}, not {state}")
    return breaker.trip
