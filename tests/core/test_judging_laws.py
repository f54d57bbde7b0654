"""The laws of judging, over random histories: unknown decides nothing, time is only what was seen, no flapping."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from monitor.core.model import Level, Missing, Observation, Reason
from monitor.core.spec import Bound, Clear, SignalSpec
from monitor.core.threshold import SignalState, Verdict, judge

START = datetime(2026, 11, 21, 23, 0, tzinfo=UTC)
INTERVAL = 10.0
HOLD, CLEAR_HOLD = 60.0, 30.0
BOUND = Bound(above=200.0, hold=timedelta(seconds=HOLD), clear=Clear(below=100.0, hold=timedelta(seconds=CLEAR_HOLD)))
SPEC = SignalSpec(warning=Bound(above=150.0), critical=BOUND)

Value = float | None  # None: the read failed
values = st.sampled_from([50.0, 120.0, 180.0, 300.0, None])
#: Exact in binary, so that sums compare exactly, and well away from what jitter is forgiven.
gaps = st.sampled_from([0.5, 5.0, 10.0, 30.0, 45.0, 90.0])
histories = st.lists(st.tuples(gaps, values), max_size=40)


def seen(value: Value, **more: object) -> Observation:
    """A read that gave a value, or failed."""
    return Observation("s", "t", value, reason=None if value is not None else Reason.TIMEOUT, **more)  # type: ignore[arg-type]


def play(spec: SignalSpec, history: list[tuple[float, Value]], stored: bool = False) -> list[Verdict]:
    """All verdicts; `stored`: the state goes through JSON before every run, as over a restart."""
    state, now, verdicts = SignalState(), START, []
    for gap, value in history:
        now += timedelta(seconds=gap)
        if stored:
            state = SignalState.from_json(json.loads(json.dumps(state.to_json())))
        state, verdict = judge(spec, state, seen(value), now, gap, INTERVAL)
        verdicts.append(verdict)
    return verdicts


def expected(history: list[tuple[float, Value]]) -> list[Level]:
    """The critical bound from its definition: look back over the whole history at every run."""
    levels, active = [], False
    for end in range(1, len(history) + 1):
        runs = history[:end]
        value = runs[-1][1]
        if value is None:
            levels.append(Level.UNKNOWN)
            continue
        if not active and stretch(runs, lambda v: v > 200, max(3 * INTERVAL, HOLD)) >= HOLD:
            active = True
        elif active and stretch(runs, lambda v: v < 100, float("inf")) >= CLEAR_HOLD:
            active = False
        levels.append(Level.CRITICAL if active else Level.OK)
    return levels


def stretch(runs: list[tuple[float, Value]], inside, longest: float) -> float:  # type: ignore[no-untyped-def]
    """Seconds seen inside, back to the last known run outside or the last gap too long; -1 when outside now."""
    if not inside(runs[-1][1]):
        return -1.0
    total, since_known = 0.0, 0.0
    for (_, earlier), (gap, _) in reversed(list(pairwise(runs))):
        since_known += gap
        if since_known > longest:
            break
        if earlier is None:
            continue
        if not inside(earlier):
            break
        if since_known == gap:
            total += min(gap, 3 * INTERVAL)
        since_known = 0.0
    return total


@settings(max_examples=400, deadline=None)
@given(histories)
def test_against_looking_back_over_the_whole_history(history: list[tuple[float, Value]]) -> None:
    """Two small timers say what the definition says of everything that happened."""
    levels = [verdict.level for verdict in play(SignalSpec(critical=BOUND), history)]
    assert levels == expected(history)


@settings(max_examples=150, deadline=None)
@given(histories)
def test_a_restart_between_any_two_runs_changes_nothing(history: list[tuple[float, Value]]) -> None:
    """State that went through the store judges on exactly as before."""
    assert play(SPEC, history) == play(SPEC, history, stored=True)


@settings(max_examples=150, deadline=None)
@given(histories, st.lists(st.integers(-(10**7), 10**7), min_size=40, max_size=40))
def test_wall_time_never_decides(history: list[tuple[float, Value]], jumps: list[int]) -> None:
    """With any clock whatever, the levels and held seconds are the same."""
    state, steady = SignalState(), play(SPEC, history)
    for (gap, value), jump, calm in zip(history, jumps, steady, strict=False):
        state, verdict = judge(SPEC, state, seen(value), START + timedelta(seconds=jump), gap, INTERVAL)
        assert (verdict.level, verdict.pending, verdict.reason) == (calm.level, calm.pending, calm.reason)
        assert verdict.standing.held_critical == calm.standing.held_critical
        assert verdict.unknown_seconds == calm.unknown_seconds


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=12), st.sampled_from([50.0, 300.0]), st.data())
def test_splitting_time_never_matters(halves: list[int], value: float, data: st.DataObject) -> None:
    """More runs over the same stretch of time, all alike, end in the same state."""
    coarse = [half / 2 for half in halves]
    fine: list[float] = []
    for gap in coarse:
        cut = data.draw(st.sampled_from([0.25, 0.5, 0.75])) * gap
        fine += [cut, gap - cut]
    ends = [play(SPEC, [(0.0, value), *((gap, value) for gap in gaps_)])[-1] for gaps_ in (coarse, fine)]
    assert ends[0].level is ends[1].level
    assert ends[0].standing.held_ok == ends[1].standing.held_ok
    if sum(coarse) < HOLD - 1:
        assert ends[0].reason == ends[1].reason


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([50.0, 300.0]), st.lists(st.tuples(gaps, st.one_of(st.none(), st.floats(100.0, 200.0)))))
def test_hysteresis_never_flaps_inside_the_band(first: float, history: list[tuple[float, Value]]) -> None:
    """From the clear bound to the breach bound, both included, no run changes the level."""
    spec = SignalSpec(critical=Bound(above=200.0, clear=Clear(below=100.0)))
    levels = {v.level for v in play(spec, [(0.0, first), *history]) if v.level is not Level.UNKNOWN}
    assert len(levels) == 1


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([5.0, 10.0]), values), max_size=30), st.integers(1, 5), st.integers(0, 3))
def test_m_of_n_is_a_count(history: list[tuple[float, Value]], need: int, more: int) -> None:
    """It trips when M of the last N known runs breach, and clears when they don't and the newest doesn't."""
    bound = Bound(above=200.0, datapoints=need, of=need + more)
    known: list[bool] = []
    active, since = False, 0.0
    verdicts = play(SignalSpec(critical=bound), history)
    for (gap, value), verdict in zip(history, verdicts, strict=True):
        since += gap
        if value is None:
            assert verdict.level is Level.UNKNOWN
            continue
        known = [value > 200] if since > 3 * INTERVAL else [*known, value > 200]
        since = 0.0
        enough = sum(known[-(need + more) :]) >= need
        active = enough or (active and known[-1])
        assert verdict.level is (Level.CRITICAL if active else Level.OK)


class Judging(RuleBasedStateMachine):
    """Any order of reads, failures, absences, page caps and clock jumps."""

    def __init__(self) -> None:
        super().__init__()
        self.state = SignalState()
        self.now = START
        self.missing = Missing.ZERO
        self.breaches = 0.0

    def _run(self, observation: Observation, gap: float | None) -> tuple[SignalState, Verdict]:
        before = self.state
        self.now += timedelta(seconds=gap or 0.0)
        spec = SignalSpec(SPEC.warning, SPEC.critical, self.missing)
        self.state, verdict = judge(spec, before, observation, self.now, gap, INTERVAL)
        assert verdict.changed is (verdict.level is not (before.level or Level.OK))
        return before, verdict

    @rule(value=st.floats(0.0, 1000.0), gap=st.one_of(st.none(), gaps))
    def read(self, value: float, gap: float | None) -> None:
        """A value is always known, and trips critical only while it breaches."""
        before, verdict = self._run(seen(value), gap)
        assert verdict.standing.known
        if verdict.level is Level.CRITICAL and not before.critical.active:
            assert value > 200
        if before.critical.active and verdict.level is not Level.CRITICAL:
            assert value < 100

    @rule(reason=st.sampled_from(Reason), gap=st.one_of(st.none(), gaps))
    def fail(self, reason: Reason, gap: float | None) -> None:
        """Unknown never trips, never clears, and freezes what is held."""
        before, verdict = self._run(Observation("s", "t", None, reason=reason), gap)
        assert (verdict.level, verdict.standing.known, verdict.cause) == (Level.UNKNOWN, False, reason)
        after = self.state
        assert (after.critical.active, after.warning.active) == (before.critical.active, before.warning.active)
        assert (after.critical.over, after.critical.under) == (before.critical.over, before.critical.under)
        assert after.standing.held_ok == before.standing.held_ok

    @rule(value=st.floats(0.0, 1000.0), gap=gaps)
    def cut_short(self, value: float, gap: float) -> None:
        """A lower bound never shows ok and never clears."""
        before, verdict = self._run(seen(value, lower_bound=True), gap)
        assert verdict.level is not Level.OK
        assert self.state.critical.active or not before.critical.active
        assert self.state.warning.active or not before.warning.active

    @rule(gap=gaps)
    def absent(self, gap: float) -> None:
        """A made-up zero never adds to what verifies."""
        before, verdict = self._run(Observation("s", "t", None), gap)
        assert verdict.standing.held_ok_real <= before.standing.held_ok_real

    @rule(jump=st.integers(-(10**6), 10**6))
    def jump(self, jump: int) -> None:
        """The wall clock goes where it likes."""
        self.now += timedelta(seconds=jump)

    @invariant()
    def small(self) -> None:
        """The state is bounded and survives the store."""
        text = json.dumps(self.state.to_json())
        assert len(text) < 1500
        assert SignalState.from_json(json.loads(text)) == self.state

    @invariant()
    def consistent(self) -> None:
        """Real seconds are a part of all seconds, critical a part of warning or worse."""
        stands = self.state.standing
        assert 0.0 <= stands.held_ok_real <= stands.held_ok
        assert 0.0 <= stands.held_critical <= stands.held_warning


TestJudging = Judging.TestCase
TestJudging.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
