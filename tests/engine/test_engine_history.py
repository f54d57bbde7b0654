"""What charts are drawn from: packed, bounded, in order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from monitor.engine.history import History

START = datetime(2026, 3, 14, 9, 26, 53, 589793, tzinfo=UTC)


def filled(count: int, most: int = 100) -> History:
    history = History()
    for number in range(count):
        history.add(START + timedelta(seconds=number), float(number), most)
    return history


def test_readings_come_back_as_they_went_in() -> None:
    """Times keep their microseconds."""
    assert list(filled(2)) == [(START, 0.0), (START + timedelta(seconds=1), 1.0)]


def test_the_newest_are_kept() -> None:
    """A full history lets go of the oldest."""
    assert [value for _, value in filled(10, most=3)] == [7.0, 8.0, 9.0]


def test_a_lower_limit_shortens_at_the_next_reading() -> None:
    """A fleet that grew leaves less room for each."""
    history = filled(10)
    history.add(START + timedelta(minutes=1), 99.0, 2)
    assert [value for _, value in history] == [9.0, 99.0]


@pytest.mark.parametrize("seconds", [9, 3, -60])
def test_what_is_no_newer_is_left_out(seconds: int) -> None:
    """The same metric period read twice is one point of the chart."""
    history = filled(10)
    history.add(START + timedelta(seconds=seconds), 99.0, 100)
    assert len(history) == 10


def test_it_is_a_sequence() -> None:
    """Indices from both ends and slices."""
    history = filled(4)
    assert (history[0][1], history[-1][1], [value for _, value in history[1:3]]) == (0.0, 3.0, [1.0, 2.0])
    with pytest.raises(IndexError):
        history[4]
    with pytest.raises(IndexError):
        history[-5]
