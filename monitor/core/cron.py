"""Five-field cron lines: minute, hour, day of month, month, day of week.

Understood: `*`, lists, ranges, steps, names of months and days (any case), 7 for Sunday. As in cron(8): when both day
fields are restricted (neither begins with `*`), a day matches if either does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

_MONTHS = {
    "jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6, "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11,
    "dec": 12,
}  # fmt: skip
_DAYS = {"sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6}
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of month", 1, 31, {}),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 7, _DAYS),
)
_LONGEST = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}
_PART = re.compile(r"(?P<first>\*|\w+)(?:-(?P<last>\w+))?(?:/(?P<step>\d+))?")
_EXAMPLE = "write for example '0 2 * * SUN' for Sundays at 02:00"


@dataclass(frozen=True, slots=True)
class Cron:
    """A parsed line. `weekdays` counts from Sunday = 0."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    #: Both day fields are restricted: either may match.
    either_day: bool

    def on(self, day: date) -> bool:
        """Whether it fires on this day at all."""
        in_month, in_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return day.month in self.months and (in_month or in_week if self.either_day else in_month and in_week)

    def times(self) -> list[tuple[int, int]]:
        """(hour, minute) of every start on such a day, latest first."""
        return [(h, m) for h in sorted(self.hours, reverse=True) for m in sorted(self.minutes, reverse=True)]


def parse_cron(line: str) -> Cron:
    """Read a line. Raises ValueError, naming the field and giving an example."""
    texts = line.split()
    if len(texts) != len(_FIELDS):
        raise ValueError(f"{line!r} has {len(texts)} fields instead of five ({_EXAMPLE})")
    minutes, hours, days, months, weekdays = (_field(text, *field) for text, field in zip(texts, _FIELDS, strict=True))
    either_day = not texts[2].startswith("*") and not texts[4].startswith("*")
    if not either_day and min(days) > max(_LONGEST.get(month, 31) for month in months):
        raise ValueError(f"{line!r} names a day no such month has ({_EXAMPLE})")
    return Cron(minutes, hours, days, months, frozenset(day % 7 for day in weekdays), either_day)


def _field(text: str, name: str, low: int, high: int, names: dict[str, int]) -> frozenset[int]:
    values: set[int] = set()
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if match is None or (match["first"] == "*" and match["last"]):
            raise ValueError(f"{part!r} is not a {name} ({_EXAMPLE})")
        first, last = _range(match["first"], match["last"], bool(match["step"]), name, low, high, names)
        step = int(match["step"] or 1)
        if step < 1:
            raise ValueError(f"{part!r}: a step of {name} is at least 1 ({_EXAMPLE})")
        values.update(range(first, last + 1, step))
    return frozenset(values)


def _range(
    first: str, last: str | None, stepped: bool, name: str, low: int, high: int, names: dict[str, int]
) -> tuple[int, int]:
    # A full week ends at Saturday: counting on to 7 would let `*/2` hit Sunday twice, as 0 and as 7.
    top = 6 if names is _DAYS else high
    if first == "*":
        return low, top
    start = _number(first, name, low, high, names)
    if last is None:
        return start, max(start, top) if stepped else start
    end = _number(last, name, low, high, names)
    if names is _DAYS and end == 0 and start > 0:
        end = 7  # FRI-SUN
    if end < start:
        raise ValueError(f"{first}-{last}: a range of {name} runs upwards ({_EXAMPLE})")
    return start, end


def _number(text: str, name: str, low: int, high: int, names: dict[str, int]) -> int:
    if text.lower() in names:
        return names[text.lower()]
    if not (text.isascii() and text.isdigit()) or not low <= int(text) <= high:
        raise ValueError(f"{text!r} is not a {name} from {low} to {high} ({_EXAMPLE})")
    return int(text)
