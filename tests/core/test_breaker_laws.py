"""The diagram of a breaker, walked at random: no shortcut exists, and its record survives the journal anywhere."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from monitor.core import breaker as diagram
from monitor.core.breaker import Breaker, IllegalTransition, StepPhase, Trip
from monitor.core.codec import decode, encode
from monitor.core.model import Mode, Severity, State
from monitor.core.spec import BreakerSpec, Combine, LimitsSpec, RecoverSpec, StepSpec, Term

START = datetime(2026, 3, 4, 12, tzinfo=UTC)
HOLD = timedelta(minutes=15)
ARROWS = {
    (State.CLOSED, State.TRIPPING),
    (State.TRIPPING, State.OPEN),
    (State.TRIPPING, State.CLOSED),  # withdrawn before anything was done
    (State.TRIPPING, State.HALF_OPEN),  # forced
    (State.OPEN, State.HALF_OPEN),
    (State.HALF_OPEN, State.TRIPPING),
    (State.HALF_OPEN, State.CLOSED),
}


def spec(limit: int | None = 3, mode: str = "auto") -> BreakerSpec:
    """Two steps, recovery by default, a nested condition."""
    steps = (StepSpec("a", "cut", {"name": "x", "value": None}), StepSpec("b", "wait", {"for": "5s"}))
    condition = Combine(1, (Term("load", "level"), Combine(2, (Term("load"), Term("other")))))
    return BreakerSpec(
        "etl", "loop", Severity.SEV1, condition, Mode.AUTO, steps, RecoverSpec(mode, HOLD), LimitsSpec(limit)
    )


class Walk(RuleBasedStateMachine):
    """Calls every transition at any time; what the diagram does not hold must be refused and change nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = Breaker("etl", "loop")
        self.now = START
        self.real: list[datetime] = []
        self.relapses = 0

    def step(self, work) -> bool:
        """Try an arrow; True if it was taken. Whatever was taken is an arrow of the diagram."""
        before = self.breaker
        try:
            after = work(before)
        except IllegalTransition:
            return False
        if after.state is not before.state:
            assert (before.state, after.state) in ARROWS
        self.breaker = after
        return True

    @rule(minutes=st.integers(0, 2000))
    def time_passes(self, minutes: int) -> None:
        """Anything from no time to more than a day."""
        self.now += timedelta(minutes=minutes)

    @rule(
        limit=st.sampled_from([None, 1, 2, 3]),
        mode=st.sampled_from(["auto", "manual"]),
        by=st.sampled_from([None, "ann"]),
        shadow=st.booleans(),
    )
    def trip(self, limit: int | None, mode: str, by: str | None, shadow: bool) -> None:
        """Only from closed; the last permitted one latches; a shadow counts in no limit."""
        event = Trip("t", self.now, "why", ("x",), spec(limit, mode), by, shadow)
        before = self.breaker.trips
        if not self.step(lambda b: diagram.trip(b, event, self.now)):
            assert self.breaker.state is not State.CLOSED
            return
        self.relapses = 0
        assert self.breaker.trip is not None
        if shadow:
            assert self.breaker.trips == diagram.recent(before, self.now)
            assert not self.breaker.trip.latched
            return
        self.real.append(self.now)
        within = [at for at in self.real if self.now - at < timedelta(days=1)]
        assert self.breaker.trip.latched == (limit is not None and len(within) >= limit)

    @precondition(lambda self: self.breaker.state is State.TRIPPING)
    @rule()
    def finish_steps(self) -> None:
        """Every step ends."""
        for index, one in enumerate(self.breaker.steps):
            self.breaker = self.breaker.with_step(index, replace(one, phase=StepPhase.DONE))

    @rule()
    def confirm(self) -> None:
        """Only when nothing is left to do; the hold is doubled for every relapse, up to a limit."""
        pending = self.breaker.cursor() is not None
        if self.step(lambda b: diagram.confirmed(b, self.now)):
            assert not pending
            assert self.breaker.hold_until == self.now + HOLD * min(2**self.relapses, diagram.MAX_HOLD_FACTOR)

    @rule()
    def withdraw(self) -> None:
        """The trip is forgotten, also by the limits."""
        trip = self.breaker.trip
        if self.step(lambda b: diagram.withdrawn(b, self.now)) and trip is not None and not trip.shadow:
            self.real.pop()

    @rule(person=st.booleans())
    def recover(self, person: bool) -> None:
        """A recovery begins; the state does not change by itself."""
        self.step(lambda b: diagram.recovering(b, self.now, person=person))

    @rule()
    def half_open(self) -> None:
        """Only a recovery lets traffic in."""
        if self.step(lambda b: diagram.half_open(b, self.now, timedelta(hours=1))):
            assert self.breaker.phase == "recover"

    @rule()
    def prolong(self) -> None:
        """A hold of the recovery."""
        self.step(lambda b: diagram.prolong(b, self.now + timedelta(hours=1)))

    @rule()
    def trial(self) -> None:
        """The last step is done."""
        self.step(lambda b: diagram.trial(b, self.now, timedelta(minutes=5)))

    @rule()
    def relapse(self) -> None:
        """Applied again, which is no new trip."""
        trips = self.breaker.trips
        if self.step(lambda b: diagram.relapse(b, self.now, "again")):
            self.relapses += 1
            assert self.breaker.trips == trips

    @rule()
    def close(self) -> None:
        """Never from open."""
        was = self.breaker.state
        if self.step(lambda b: diagram.close(b, self.now)):
            assert was is State.HALF_OPEN

    @rule()
    def force(self) -> None:
        """Passes through half_open, with nothing to do there."""
        if self.step(lambda b: diagram.forced(b, self.now)):
            assert self.breaker.steps == ()

    @rule(held=st.booleans())
    def hold(self, held: bool) -> None:
        """A person's hold changes neither state nor steps nor trip."""
        before = self.breaker
        self.breaker = diagram.disable(before, "ann") if held else diagram.enable(before)
        assert (self.breaker.state, self.breaker.steps, self.breaker.trip) == (before.state, before.steps, before.trip)

    @rule()
    def approve(self) -> None:
        """Approvals are bounded and good for an hour."""
        self.breaker = diagram.approve(self.breaker, "plan", "ann", self.now)
        assert len(self.breaker.approvals) <= 8
        assert diagram.approved(self.breaker, "plan", self.now + timedelta(minutes=59)) is not None
        assert diagram.approved(self.breaker, "plan", self.now + timedelta(minutes=60)) is None
        assert diagram.approved(self.breaker, "other", self.now) is None

    @invariant()
    def survives_the_journal(self) -> None:
        """What is decoded is what was encoded."""
        assert decode(Breaker, encode(self.breaker)) == self.breaker

    @invariant()
    def a_trial_always_ends(self) -> None:
        """Half open has an end; closed holds nothing of a trip."""
        if self.breaker.state is State.HALF_OPEN:
            assert self.breaker.trial_until is not None
        if self.breaker.state is State.CLOSED:
            assert (self.breaker.trip, self.breaker.steps, self.breaker.trial_until) == (None, (), None)

    @invariant()
    def persons_and_latches_are_respected(self) -> None:
        """Neither a latched trip nor a person's recovers alone."""
        trip = self.breaker.trip
        if trip is not None and (trip.latched or trip.by is not None or trip.spec.recover.mode == "manual"):
            assert not trip.recovers_alone


TestWalk = Walk.TestCase
TestWalk.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@pytest.mark.parametrize("state", [State.TRIPPING, State.OPEN, State.HALF_OPEN])
def test_only_a_closed_breaker_trips(state: State) -> None:
    """A second trip on top of the first is refused."""
    record = Breaker("etl", "loop", state)
    with pytest.raises(IllegalTransition):
        diagram.trip(record, Trip("t", START, "", (), spec()), START)


def test_a_failed_step_that_says_continue_is_passed_and_come_back_to() -> None:
    """Later steps go first, then it is tried again."""
    steps = [
        diagram.StepState(StepSpec("a", "say", {}, on_error="continue"), StepPhase.FAILED),
        diagram.StepState(StepSpec("b", "cut", {})),
    ]
    record = Breaker("etl", "loop", State.TRIPPING, steps=tuple(steps))
    assert record.cursor() == 1
    assert record.with_step(1, replace(steps[1], phase=StepPhase.DONE)).cursor() == 0


def test_a_record_of_an_older_version_is_read() -> None:
    """Missing fields take their defaults, unknown ones are ignored."""
    body = {"pipeline": "etl", "name": "loop", "state": "open", "invented": 1}
    assert decode(Breaker, body) == Breaker("etl", "loop", State.OPEN)
