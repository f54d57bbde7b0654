"""Calendar periods (hours, days, months, years; cycles of a schedule) in a named zone, with its clock changes. Pure.

A period begins where its local clock face begins, so a day has 23 or 25 hours twice a year. Cycles of at most an hour
pass in real time instead: in the hour that a clock change repeats they run twice, in the one it skips not at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

HOUR, DAY = timedelta(hours=1), timedelta(days=1)

#: Placeholders of a key's date, finest first, with what each of them prints.
_FIELDS = {"{hh}": "%H", "{dd}": "%d", "{mm}": "%m", "{yyyy}": "%Y"}
_PLACEHOLDER = re.compile(r"\{[^{}]*\}")

#: Periods looked at in one run, at most.
MOST = 1000


@dataclass(frozen=True, slots=True)
class Period:
    """[start, end), aware UTC, and what the template reads in it."""

    start: datetime
    end: datetime
    text: str = ""


def zone_of(name: str) -> ZoneInfo:
    """The zone of that name. Raises ValueError."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"no time zone is called {name!r}; write for example Australia/Sydney or UTC") from error


def check_template(template: str) -> str:
    """The template itself, if every placeholder is known and they go down without a gap. Raises ValueError."""
    found = set(_PLACEHOLDER.findall(template))
    strangers = found - set(_FIELDS)
    if strangers:
        raise ValueError(f"unknown placeholder {min(strangers)}; there are {', '.join(reversed(_FIELDS))}")
    order = list(reversed(_FIELDS))
    used = [field in found for field in order]
    if any(later and not earlier for earlier, later in pairwise(used)):
        raise ValueError("a date needs its larger parts too: {yyyy}, {yyyy}/{mm}, {yyyy}/{mm}/{dd} or with {hh}")
    return template


def finest(template: str) -> str | None:
    """The smallest unit a template names (`{hh}`, `{dd}`, ...); None if it names none."""
    return next((field for field in _FIELDS if field in template), None)


def fixed_part(template: str) -> str:
    """What stands before the first placeholder: the same in every period."""
    return _PLACEHOLDER.split(template, maxsplit=1)[0]


def periods(template: str, zone: ZoneInfo, now: datetime, look_back: timedelta) -> list[Period]:
    """The present period and those before it that reach into `look_back`, newest first; [] without placeholders.

    Two hours that a clock change gives the same name are one period.
    """
    unit = finest(template)
    if unit is None:
        return []
    found: list[Period] = []
    end = _ends(unit, zone, now)
    while len(found) < MOST:
        start = _floor(unit, zone, end - timedelta(microseconds=1))
        text = _printed(template, start.astimezone(zone))
        if found and found[-1].text == text:
            found[-1] = Period(start, found[-1].end, text)
        elif found and end <= now - look_back:
            break
        else:
            found.append(Period(start, end, text))
        end = start
    return found


def cycles(every: timedelta, zone: ZoneInfo, begin: datetime, end: datetime) -> Iterator[Period]:
    """The whole cycles within [begin, end], oldest first. `every` divides a day, or is one day."""
    day = _floor("{dd}", zone, begin)
    while day < end:
        following = _floor("{dd}", zone, day + timedelta(hours=36))
        for start, stop in _of_day(every, zone, day, following):
            if begin <= start and stop <= end:
                yield Period(start, stop)
        day = following


def _of_day(
    every: timedelta, zone: ZoneInfo, day: datetime, following: datetime
) -> Iterator[tuple[datetime, datetime]]:
    if every <= HOUR:
        marks = [day + every * number for number in range(int((following - day) / every) + 1)]
    else:
        local = day.astimezone(zone).replace(tzinfo=None, fold=0)
        faces = [local + every * number for number in range(round(DAY / every))]
        marks = [face.replace(tzinfo=zone).astimezone(UTC) for face in faces]
    marks = [mark for mark in dict.fromkeys(marks) if day <= mark < following]
    yield from zip(marks, [*marks[1:], following], strict=True)


def _floor(unit: str, zone: ZoneInfo, moment: datetime) -> datetime:
    local = moment.astimezone(zone).replace(minute=0, second=0, microsecond=0)
    if unit != "{hh}":
        local = local.replace(hour=0, fold=0)
    if unit in ("{mm}", "{yyyy}"):
        local = local.replace(day=1)
    if unit == "{yyyy}":
        local = local.replace(month=1)
    return local.astimezone(UTC)


def _ends(unit: str, zone: ZoneInfo, now: datetime) -> datetime:
    """When the period of `now` ends."""
    longest = {"{hh}": HOUR, "{dd}": DAY, "{mm}": 31 * DAY, "{yyyy}": 366 * DAY}[unit]
    start = _floor(unit, zone, now)
    after = _floor(unit, zone, start + longest + (timedelta(0) if unit == "{hh}" else 12 * HOUR))
    return max(after, now + timedelta(microseconds=1))


def _printed(template: str, local: datetime) -> str:
    for field, form in _FIELDS.items():
        template = template.replace(field, local.strftime(form))
    return template
