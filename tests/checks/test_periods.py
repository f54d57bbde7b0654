"""Calendar periods and cycles: the writer's clock, and the days on which it changes."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.periods import check_template, cycles, periods

SYDNEY, UTC_ZONE = ZoneInfo("Australia/Sydney"), ZoneInfo("UTC")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def at(text: str) -> datetime:
    """UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_the_utc_and_local_date_trap() -> None:
    """At 08:00 in Sydney the local date is a day ahead of UTC's: the two clocks name different prefixes."""
    now = at("2026-03-03T21:30")
    template = "raw/{yyyy}/{mm}/{dd}/"
    assert periods(template, UTC_ZONE, now, HOUR)[0].text == "raw/2026/03/03/"
    assert periods(template, SYDNEY, now, HOUR)[0].text == "raw/2026/03/04/"


def test_periods_reach_back_as_far_as_asked() -> None:
    """Newest first, whole ones, without gaps between them."""
    found = periods("{yyyy}{mm}{dd}{hh}", UTC_ZONE, at("2026-03-04T01:10"), timedelta(hours=3))
    assert [period.text for period in found] == ["2026030401", "2026030400", "2026030323", "2026030322"]
    assert all(newer.start == older.end for newer, older in itertools.pairwise(found))


def test_months_and_years_are_periods_too() -> None:
    """The finest part of the date decides."""
    assert [p.text for p in periods("{yyyy}/{mm}", UTC_ZONE, at("2026-01-15"), 40 * DAY)] == [
        "2026/01", "2025/12",
    ]  # fmt: skip
    assert [p.text for p in periods("{yyyy}", UTC_ZONE, at("2026-01-15"), 40 * DAY)] == ["2026", "2025"]


def test_an_hour_that_is_repeated_is_one_prefix() -> None:
    """On 2026-04-05 Sydney's clocks go back at 03:00: two hours write under the same name."""
    found = periods("{yyyy}{mm}{dd}{hh}", SYDNEY, at("2026-04-04T17:30"), timedelta(hours=3))
    assert [period.text for period in found] == ["2026040503", "2026040502", "2026040501"]
    assert found[1].end - found[1].start == 2 * HOUR


@pytest.mark.parametrize(
    ("begin", "end", "every", "lengths"),
    [
        ("2026-04-04T13:00", "2026-04-05T14:00", DAY, [25]),
        ("2026-10-03T14:00", "2026-10-04T13:00", DAY, [23]),
        ("2026-04-04T13:00", "2026-04-05T14:00", timedelta(hours=12), [13, 12]),
        ("2026-04-04T13:00", "2026-04-05T14:00", HOUR, [1] * 25),
        ("2026-10-03T14:00", "2026-10-04T13:00", HOUR, [1] * 23),
    ],
)
def test_cycles_on_the_days_of_a_clock_change(begin: str, end: str, every: timedelta, lengths: list[int]) -> None:
    """A local day has 23 or 25 hours; hours themselves pass in real time."""
    found = list(cycles(every, SYDNEY, at(begin), at(end)))
    assert [(cycle.end - cycle.start) / HOUR for cycle in found] == lengths


@given(
    zone=st.sampled_from(["UTC", "Australia/Sydney", "Australia/Lord_Howe", "Asia/Kolkata", "America/Sao_Paulo"]),
    begin=st.datetimes(datetime(2017, 1, 1), datetime(2027, 1, 1)),
    every=st.sampled_from([5 / 60, 0.5, 1, 2, 6, 24]),
)  # fmt: skip
def test_cycles_fill_time_without_gap_or_overlap(zone: str, begin: datetime, every: float) -> None:
    """In every zone, also across its clock changes, one cycle begins where the last one ended."""
    start = begin.replace(tzinfo=UTC)
    found = list(cycles(timedelta(hours=every), ZoneInfo(zone), start, start + 3 * DAY))
    assert all(one.end == other.start for one, other in itertools.pairwise(found))
    assert found[0].start - start < 26 * HOUR
    assert all(one.start < one.end for one in found)


@given(
    zone=st.sampled_from(["UTC", "Australia/Sydney", "Australia/Lord_Howe", "America/Sao_Paulo"]),
    now=st.datetimes(datetime(2017, 1, 1), datetime(2027, 1, 1)),
    template=st.sampled_from(["{yyyy}", "{yyyy}-{mm}", "{yyyy}{mm}{dd}", "{yyyy}/{mm}/{dd}/{hh}"]),
)
def test_the_present_is_in_the_first_period(zone: str, now: datetime, template: str) -> None:
    """Whatever the clock does, what is written now lies under the first prefix."""
    moment = now.replace(tzinfo=UTC)
    found = periods(template, ZoneInfo(zone), moment, 2 * DAY)
    assert found[0].start <= moment < found[0].end
    assert all(newer.start == older.end for newer, older in itertools.pairwise(found))


@pytest.mark.parametrize("template", ["{day}", "{yyyy}/{dd}", "{hh}", "{mm}/{dd}"])
def test_a_date_that_names_no_period_is_refused(template: str) -> None:
    """An unknown placeholder or a gap in the date is an error of the file."""
    with pytest.raises(ValueError, match=r"placeholder|larger parts"):
        check_template(template)
