"""The replay gives exactly what the live engine gives on the same readings; skipping calm ones changes nothing."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import pytest
from engine_rig import REGISTRY, Rig, breaker, check, holds, pipeline, step
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.backtest.replay import Manner, replay
from monitor.backtest.result import Course
from monitor.backtest.tape import Fidelity, Source, Tape
from monitor.core.model import Missing, Observation, Reason
from monitor.core.spec import Bound, CheckSpec, Clear, LimitsSpec, Pipeline, RecoverSpec, SignalSpec
from monitor.plugin import ProbeError
from monitor.store.memory import MemoryStore
from monitor.testing import EPOCH, FakeClock


def loops(seed: int, runs: int) -> list[float]:
    """Calm with a few breaches of all lengths; the first minute is calm."""
    chance = random.Random(seed)
    values = [chance.uniform(0.0, 9.0) for _ in range(runs)]
    for _ in range(6):
        first, length = chance.randrange(10, runs), chance.choice([1, 2, 4, 8, 20])
        values[first : first + length] = [chance.uniform(11.0, 50.0)] * len(values[first : first + length])
    for _ in range(3):
        first = chance.randrange(10, runs)
        values[first : first + 5] = [float("nan")] * len(values[first : first + 5])
    return values


async def live(made: Pipeline, values: Sequence[float]) -> tuple[list[tuple[str, datetime]], datetime]:
    """(what the breaker did and when, when run 1 took place) of a whole engine on virtual time."""
    clock = FakeClock()
    rig = Rig(MemoryStore(clock), clock)
    runs: list[datetime] = []

    def reading() -> object:
        value = values[min(len(runs), len(values) - 1)]
        runs.append(clock.now())
        return {"a": ProbeError(Reason.UNAVAILABLE, "no answer") if value != value else value}

    rig.world.readings["load"] = reading
    told: list[tuple[str, datetime]] = []
    try:
        await rig.start(made)
        seen = 0
        while len(runs) < len(values):
            await rig.run(10)
            seen, events = rig.engine.feed.since(seen)
            told += [
                (str(e["event"]), datetime.fromisoformat(str(e["at"])))
                for e in events
                if e["event"] in ("breaker.tripped", "breaker.opened", "breaker.closed", "breaker.relapsed")
            ]
    finally:
        await rig.stop()
    last = runs[len(values) - 1]
    return [one for one in told if one[1] <= last], runs[1]


def taped(spec: CheckSpec, values: Sequence[float], start: datetime) -> Tape:
    """The readings from run 1 on (the first run of a live engine is off its grid)."""
    tape = Tape(spec, start, len(values) - 1)
    for index, value in enumerate(values[1:]):
        failed = value != value
        tape.column(("a", "level")).put(index, Observation(
            "level", "a", None if failed else value, "things", tape.at(index),
            Reason.UNAVAILABLE if failed else None, "no answer" if failed else "", exists=True,
        ))  # fmt: skip
    tape.sources["level"] = Source(Fidelity.RECORDED)
    return tape


@pytest.mark.parametrize("seed", range(4))
async def test_a_replay_trips_when_the_live_engine_does(seed: int) -> None:
    """Trips, openings, relapses and closes fall on the same instants as in a whole engine over the same readings."""
    values = loops(seed, 240)
    made = pipeline(
        check(signals=holds(20, clear=20)),
        breaker("loop", step("cut", name="gate", value=0), step("wait", **{"for": "25s"}),
                recover=RecoverSpec("auto", timedelta(seconds=60), timedelta(seconds=60))),
    )  # fmt: skip
    told, start = await live(made, values)
    outcome = await replay([made], {"etl/load": taped(made.checks["load"], values, start)}, REGISTRY)
    (course,) = outcome.courses
    last = EPOCH + timedelta(days=1)
    assert [one.start for one in course.trips] == [at for event, at in told if event == "breaker.tripped"]
    ends = [one.end for one in course.trips if one.end is not None and one.end < last]
    assert ends == [at for event, at in told if event == "breaker.closed"]
    relapses = sum(one.relapses for one in course.trips)
    assert relapses == sum(event == "breaker.relapsed" for event, _ in told)
    assert course.trips, "a seed without a trip shows nothing"


READINGS = st.one_of(
    st.floats(0, 9), st.floats(0, 9), st.floats(0, 9), st.floats(9, 30), st.sampled_from([None, "failed", 10.0, 5.0])
)


@st.composite
def stretches(draw: st.DrawFn) -> list[object]:
    """Readings that last a while each, so that there is something to skip."""
    parts = draw(st.lists(st.tuples(READINGS, st.integers(1, 25)), min_size=3, max_size=12))
    return [value for value, times in parts for _ in range(times)]


@st.composite
def bounds(draw: st.DrawFn) -> SignalSpec:
    """Thresholds of all shapes."""
    hold = timedelta(seconds=draw(st.sampled_from([0, 10, 30])))
    clear = draw(st.sampled_from([None, Clear(below=5.0), Clear(below=5.0, hold=timedelta(seconds=30))]))
    count = draw(st.sampled_from([(None, None), (2, 3)]))
    critical = Bound(above=10.0, hold=hold, clear=clear, datapoints=count[0], of=count[1])
    warning = draw(st.sampled_from([None, Bound(above=8.0), Bound(below=1.0)]))
    return SignalSpec(warning, critical, draw(st.sampled_from(list(Missing))))


@settings(max_examples=60, deadline=None)
@given(st.lists(stretches(), min_size=1, max_size=2), bounds(), st.sampled_from(["auto", "manual"]))
async def test_skipping_calm_readings_changes_nothing(
    readings: list[list[object]], signal: SignalSpec, mode: str
) -> None:
    """Whatever the thresholds, gaps and targets: the same trips as when every single reading is judged."""
    verify = step("verify", check="load", level="ok", **{"for": "20s"})
    half = timedelta(seconds=30)
    recover = RecoverSpec(mode, half, half, (verify, step("undo", steps=["*"])))
    made = pipeline(
        check(signals={"level": signal}, targets=("a", "b")),
        breaker(recover=recover, limits=LimitsSpec(trips_per_day=3)),
    )
    outcomes = []
    for every in (False, True):
        tape = Tape(made.checks["load"], EPOCH, max(map(len, readings)))
        for target, values in zip("ab", readings, strict=False):
            column = tape.column((target, "level"))
            for index, value in enumerate(values):
                column.put(index, _seen(target, value, tape.at(index)))
        tape.finish()
        manner = Manner(person=timedelta(seconds=40), every=every)
        outcomes.append(await replay([made], {"etl/load": tape}, REGISTRY, manner))
    assert _told(outcomes[0].courses) == _told(outcomes[1].courses)
    assert outcomes[0].judged <= outcomes[1].judged


def _seen(target: str, value: object, at: datetime) -> Observation:
    if value == "failed":
        return Observation("level", target, None, "things", at, Reason.TIMEOUT, "late")
    assert value is None or isinstance(value, float)
    return Observation("level", target, value, "things", at if value is not None else None, exists=True)


def _told(courses: Sequence[Course]) -> list[tuple[object, ...]]:
    return [
        (t.start, t.opened, t.end, t.ended, t.relapses, t.latched, t.targets, tuple(t.cuts))
        for course in courses
        for t in course.trips
    ]


async def test_calm_weeks_are_hardly_judged(tape: Callable[..., Tape]) -> None:
    """A fortnight with one breach costs a few dozen judgements, not twenty thousand."""
    recover = RecoverSpec("auto", timedelta(minutes=20))
    made = pipeline(check(interval=timedelta(minutes=1), signals=holds(120)), breaker(recover=recover))
    values = [1.0] * 20_000
    values[15_000:15_010] = [50.0] * 10
    outcome = await replay([made], {"etl/load": tape(made.checks["load"], {"a": values})}, REGISTRY)
    assert [len(course.trips) for course in outcome.courses] == [1]
    assert outcome.judged < 200
    assert outcome.runs == 20_000
