"""Gaps: windows named in a text are read back from it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.gaps import MOST, Gap, gaps_in, merged, spelled_gaps

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def hours(*numbers: int) -> list[Gap]:
    """Hours after noon."""
    return [Gap(NOON + HOUR * number, NOON + HOUR * (number + 1)) for number in numbers]


@given(st.sets(st.integers(0, 1000), max_size=MOST))
def test_what_is_spelled_is_read_back(numbers: set[int]) -> None:
    """A backfill finds in the detail exactly the windows that the check put there."""
    gaps = hours(*numbers)
    assert gaps_in(f"nothing ran in {spelled_gaps(gaps)}") == sorted(gaps)


def test_a_long_list_keeps_the_oldest_and_says_what_it_left_out() -> None:
    """The text is bounded; a backfill begins with the oldest."""
    text = spelled_gaps(hours(*range(60)))
    assert gaps_in(text) == hours(*range(MOST))
    assert text.endswith("(and 12 more)")


def test_windows_that_touch_are_joined() -> None:
    """Three hours in a row are one gap of three hours."""
    assert merged(hours(5, 0, 2, 1)) == [Gap(NOON, NOON + 3 * HOUR), *hours(5)]


@pytest.mark.parametrize(
    "text", ["", "no window", "2026-13-04T09:00Z/2026-13-04T10:00Z", "2026-03-04T10:00Z/2026-03-04T09:00Z"]
)
def test_what_is_no_window_is_passed_over(text: str) -> None:
    """Impossible months and windows that end before they begin are none."""
    assert gaps_in(text) == []
