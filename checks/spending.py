"""What a day's spend should have been, from the days before it. Pure arithmetic on dates and dollars.

The expectation is the median of the same weekday over the last four weeks, carried along the trend (the median of the
last week over the median of the last four), plus on the first of a month what the previous first was above its
surroundings: subscriptions and support are billed then. Medians, so that a past incident does not become the norm;
the trend is kept within a factor of two for the same reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from statistics import median

#: Fewer days than this tell no weekday and no trend.
LEAST_DAYS = 14

_MONTH = timedelta(days=28)
_WEEK = timedelta(days=7)
_STEEPEST = 2.0


def expected_spend(spent: Mapping[date, float], day: date) -> float | None:
    """Dollars to expect on `day`, from the days in `spent` before it; None if there are too few of them."""
    before = {when: dollars for when, dollars in spent.items() if when < day}
    if len(before) < LEAST_DAYS:
        return None
    # Firsts carry monthly bills; they would bend the profile of whatever weekday they fell on.
    usual = {when: dollars for when, dollars in before.items() if when.day != 1}
    month = [dollars for when, dollars in usual.items() if when >= day - _MONTH]
    week = [dollars for when, dollars in usual.items() if when >= day - _WEEK]
    level = median(month)
    trend = median(week) / level if level > 0 else 1.0
    alike = [dollars for when, dollars in usual.items() if when >= day - _MONTH and when.weekday() == day.weekday()]
    profile = median(alike) if len(alike) > 1 else level
    expected = profile * min(max(trend, 1 / _STEEPEST), _STEEPEST)
    firsts = [when for when in before if when.day == 1]
    if day.day == 1 and firsts:
        expected += max(0.0, before[max(firsts)] - level)
    return expected


def deviation(dollars: float, expected: float, ignored: float) -> float:
    """How many times the expected spend it was; `ignored` dollars on both sides keep pennies from being a jump."""
    return (max(0.0, dollars) + ignored) / (max(0.0, expected) + ignored)
