"""Cron lines and maintenance windows, against a walk over every minute, through clock changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.cron import parse_cron
from monitor.core.maintenance import active, check
from monitor.core.spec import MaintenanceSpec


def window(start: str, length: timedelta = timedelta(hours=2), timezone: str = "UTC") -> MaintenanceSpec:
    """A spec with the parts that matter here."""
    return MaintenanceSpec("w", start, length, timezone)


def at(text: str) -> datetime:
    """`2026-03-29 01:00` as UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


STORIES = [
    ("open at its start", window("0 2 * * *"), "2026-11-21 02:00", "2026-11-21 04:00"),
    ("open until just before its end", window("0 2 * * *"), "2026-11-21 03:59", "2026-11-21 04:00"),
    ("closed at its end", window("0 2 * * *"), "2026-11-21 04:00", None),
    ("closed before its start", window("0 2 * * *"), "2026-11-21 01:59", None),
    ("across midnight", window("0 23 * * *"), "2026-11-22 00:30", "2026-11-22 01:00"),
    ("across the year", window("0 23 31 dec *", timedelta(days=2)), "2027-01-02 22:59", "2027-01-02 23:00"),
    ("only on its weekday", window("0 2 * * SUN"), "2026-11-21 02:30", None),
    ("Sunday is 0 and 7", window("0 2 * * 7"), "2026-11-22 02:30", "2026-11-22 04:00"),
    ("FRI-SUN runs over the week's end", window("0 2 * * FRI-SUN"), "2026-11-22 02:30", "2026-11-22 04:00"),
    ("both day fields: either may match", window("0 2 13 * fri"), "2026-11-20 02:30", "2026-11-20 04:00"),
    ("a starred day field restricts by the other alone", window("0 2 13 * *"), "2026-11-20 02:30", None),
    ("in its own time zone", window("0 2 * * *", timezone="Europe/Berlin"), "2026-07-01 00:00", "2026-07-01 02:00"),
    (
        "a start in the spring gap opens at the next existing minute",
        window("30 2 * * *", timezone="Europe/Berlin"),
        "2026-03-29 01:00",
        "2026-03-29 03:00",
    ),
    ("and not before", window("30 2 * * *", timezone="Europe/Berlin"), "2026-03-29 00:59", None),
    (
        "a start that happens twice opens the first time",
        window("30 2 * * *", timedelta(minutes=30), "Europe/Berlin"),
        "2026-10-25 00:30",
        "2026-10-25 01:00",
    ),
    (
        "and not the second",
        window("30 2 * * *", timedelta(minutes=30), "Europe/Berlin"),
        "2026-10-25 01:30",
        None,
    ),
    (
        "a start on a day that a place skipped opens on the next",
        window("0 9 30 12 *", timedelta(hours=1), "Pacific/Apia"),
        "2011-12-30 10:00",
        "2011-12-30 11:00",
    ),
    ("of overlapping windows the last to open", window("*/30 * * * *"), "2026-11-21 02:45", "2026-11-21 04:30"),
    ("February 29 comes", window("0 0 29 2 *"), "2028-02-29 01:00", "2028-02-29 02:00"),
]


@pytest.mark.parametrize(("sentence", "spec", "now", "end"), STORIES, ids=[row[0] for row in STORIES])
def test_a_window(sentence: str, spec: MaintenanceSpec, now: str, end: str | None) -> None:
    """Each row is the sentence it is named after."""
    check(spec)
    assert active(spec, at(now)) == (at(end) if end else None), sentence


BROKEN = [
    ("* * * *", "4 fields"),
    ("60 * * * *", "'60' is not a minute from 0 to 59"),
    ("* 24 * * *", "hour"),
    ("* * 0 * *", "day of month"),
    ("* * * foo *", "month"),
    ("* * * * fun", "day of week"),
    ("*/0 * * * *", "at least 1"),
    ("5-1 * * * *", "runs upwards"),
    ("1,,2 * * * *", "'' is not a minute"),
    ("*-5 * * * *", "is not a minute"),
    ("-1 * * * *", "is not a minute"),
    ("² * * * *", "is not a minute"),
    ("0 0 30 2 *", "no such month"),
    ("0 0 31 4,6 *", "no such month"),
    ("@daily", "1 fields"),
]


@pytest.mark.parametrize(("line", "says"), BROKEN, ids=[row[0] for row in BROKEN])
def test_a_broken_line_says_what_and_how(line: str, says: str) -> None:
    """The message names the part and gives an example."""
    with pytest.raises(ValueError, match=r"for example '0 2") as error:
        check(window(line))
    assert says in str(error.value)


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "Europe", "Europe/Berlin\0"])
def test_an_unknown_time_zone_says_how(name: str) -> None:
    """Whatever zoneinfo makes of it, people get one sentence."""
    with pytest.raises(ValueError, match="Europe/Berlin"):
        check(window("0 2 * * *", timezone=name))


@pytest.mark.parametrize("length", [timedelta(0), timedelta(days=32)])
def test_a_window_has_a_length_within_reason(length: timedelta) -> None:
    """None and months are both mistakes."""
    with pytest.raises(ValueError, match="2h"):
        check(window("0 2 * * *", length))


# --- the oracle: part by part, minute by minute -----------------------------------------------------------------------

Part = tuple[int | None, int | None, int | None]  # first (None: *), last, step


def parts(low: int, high: int) -> st.SearchStrategy[Part]:
    """One element of a list: `*`, `*/n`, `a`, `a/n`, `a-b`, `a-b/n`."""
    number = st.integers(low, high)
    step = st.one_of(st.none(), st.integers(1, high))
    ranges = st.tuples(number, number).map(sorted)
    return st.one_of(
        st.tuples(st.none(), st.none(), step),
        st.tuples(number, st.none(), step),
        st.builds(lambda pair, by: (pair[0], pair[1], by), ranges, step),
    )


def written(part: Part) -> str:
    """As it stands in a line."""
    first, last, step = part
    text = "*" if first is None else str(first)
    return text + (f"-{last}" if last is not None else "") + (f"/{step}" if step else "")


def hit(field: list[Part], value: int, low: int) -> bool:
    """Whether a value is in a field, straight from the definition."""
    for first, last, step in field:
        start = low if first is None else first
        end = last if last is not None else (start if first is not None and not step else 99)
        if start <= value <= end and (value - start) % (step or 1) == 0:
            return True
    return False


def fires(fields: list[list[Part]], local: datetime) -> bool:
    """Whether a line fires at a local minute."""
    minute, hour, day, month, week = fields
    in_day = hit(day, local.day, 1)
    in_week = hit(week, local.isoweekday() % 7, 0)
    restricted = day[0][0] is not None and week[0][0] is not None
    on = (in_day or in_week) if restricted else (in_day and in_week)
    return on and hit(month, local.month, 1) and hit(hour, local.hour, 0) and hit(minute, local.minute, 0)


lines = st.tuples(
    *(
        st.one_of(st.just([(None, None, None)]), st.lists(parts(low, high), min_size=1, max_size=2))
        for low, high in ((0, 59), (0, 23), (1, 28), (1, 12), (0, 6))
    )
).map(list)
#: Places and days with something to get wrong: gap and overlap, half an hour, midnight, none.
changes = st.sampled_from([
    ("Europe/Berlin", "2026-03-28 12:00"),
    ("America/New_York", "2026-11-01 00:00"),
    ("Australia/Lord_Howe", "2026-10-03 10:00"),
    ("America/Santiago", "2026-09-05 20:00"),
    ("UTC", "2026-12-31 12:00"),
])  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(lines, changes, st.integers(1, 600), st.integers(0, 24 * 60 - 1))
def test_against_a_walk_over_every_minute(
    fields: list[list[Part]], change: tuple[str, str], minutes: int, after: int
) -> None:
    """The window open at a minute is the one a walk over all minutes before it finds."""
    name, begin = change
    zone, start = ZoneInfo(name), at(begin)
    now = start + timedelta(minutes=after)
    found = None
    for step in range(-minutes, after + 1):
        moment = start + timedelta(minutes=step)
        local = moment.astimezone(zone)
        before = (moment - timedelta(minutes=1)).astimezone(zone).replace(tzinfo=None) + timedelta(minutes=1)
        naive = local.replace(tzinfo=None)
        skipped = [before + timedelta(minutes=i) for i in range(int((naive - before).total_seconds() // 60))]
        opens = (local.fold == 0 and fires(fields, naive)) or any(fires(fields, gone) for gone in skipped)
        if opens and now < moment + timedelta(minutes=minutes):
            found = moment + timedelta(minutes=minutes)
    line = " ".join(",".join(map(written, field)) for field in fields)
    assert active(window(line, timedelta(minutes=minutes), name), now) == found, line


def test_names_mean_their_numbers() -> None:
    """Any case, in lists and ranges."""
    assert parse_cron("0 0 * JAN,Mar-may mon-WED") == parse_cron("0 0 * 1,3-5 1-3")
