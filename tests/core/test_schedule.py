"""The grid: stable phases, no drift, every missed tick counted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.schedule import first_run_offset, missed, next_due, phase

intervals = st.one_of(st.floats(0.1, 90_000.0), st.integers(1, 90_000).map(float))
epochs = st.floats(0.0, 4e9)


@given(st.text(), intervals)
def test_a_phase_lies_within_its_interval(key: str, interval: float) -> None:
    """The first tick of a grid is its phase."""
    assert 0.0 <= phase(key, interval) < interval


def test_phases_spread() -> None:
    """A thousand checks of one interval fall into every tenth of it."""
    tenths = [int(phase(f"etl/check-{i}", 10.0)) for i in range(1000)]
    assert min(tenths.count(tenth) for tenth in range(10)) > 60


def test_a_phase_is_the_same_in_every_process() -> None:
    """Replicas and restarts agree; changing these numbers moves every grid in production."""
    assert phase("etl/a", 60.0) == pytest.approx(22.967899566009038, abs=1e-9)
    assert first_run_offset("etl/a") == pytest.approx(2.788049203971461, abs=1e-9)


@given(st.text(), st.floats(0.1, 60.0))
def test_first_runs_fall_within_the_spread(key: str, spread: float) -> None:
    """Every check runs once within 5 s of start."""
    assert 0.0 <= first_run_offset(key, spread) < spread


@given(st.text(max_size=8), st.one_of(st.just(0.1), st.just(7.3), st.just(60.0), intervals), epochs)
def test_no_drift_over_a_thousand_periods(key: str, interval: float, start: float) -> None:
    """Asking at each tick for the next, a thousand times, ends a thousand intervals later: none skipped or doubled."""
    offset = phase(key, interval)
    first = due = next_due(start, interval, offset)
    for _ in range(1000):
        later = next_due(due, interval, offset)
        assert later > due
        assert missed(due, later, interval) == 1
        due = later
    assert due - first == pytest.approx(1000 * interval, abs=1e-5)


@given(epochs, intervals, st.text(max_size=8))
def test_the_next_tick_is_the_first_after_now(now: float, interval: float, key: str) -> None:
    """It lies after now by at most one interval."""
    due = next_due(now, interval, phase(key, interval))
    assert now < due <= now + interval + 1e-5


MISSED = [(100.0, 90.0, 0), (100.0, 100.0, 0), (100.0, 109.9, 0), (100.0, 110.0, 1), (100.0, 145.0, 4)]


@pytest.mark.parametrize(("due", "now", "count"), MISSED)
def test_missed_ticks_are_counted(due: float, now: float, count: int) -> None:
    """A run that outlasts its interval of 10 s misses the ticks that pass meanwhile."""
    assert missed(due, now, 10.0) == count


@pytest.mark.parametrize("interval", [0.0, -1.0, float("nan")])
def test_an_interval_is_positive(interval: float) -> None:
    """A grid without spacing is a mistake of the caller."""
    with pytest.raises(ValueError, match="not an interval"):
        next_due(0.0, interval, 0.0)
