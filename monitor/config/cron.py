"""Whether a cron line is well formed: five fields, each within its range."""

from __future__ import annotations

import re

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
#: name, lowest, highest, words (the first word means the lowest value)
_FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("weekday", 0, 7, _DAYS),
)
_PART = re.compile(r"(?:\*|(?P<low>\w+)(?:-(?P<high>\w+))?)(?:/(?P<step>\d{1,3}))?")


def check_cron(text: str) -> str:
    """The line itself; ValueError says which field is wrong."""
    fields = text.split()
    if len(fields) != len(_FIELDS):
        raise ValueError(f"'{text}' is not a cron line (five fields: minute hour day month weekday)")
    for value, (name, low, high, words) in zip(fields, _FIELDS, strict=True):
        if not all(_in_range(part, low, high, words) for part in value.split(",")):
            raise ValueError(f"'{value}' is not a cron {name} ({low}-{high})")
    return text


def _in_range(part: str, low: int, high: int, words: tuple[str, ...]) -> bool:
    match = _PART.fullmatch(part)
    if match is None or match["step"] == "0":
        return False
    ends = [_number(text, low, words) for text in (match["low"], match["high"]) if text is not None]
    if any(end is None or not low <= end <= high for end in ends):
        return False
    return ends == sorted(end for end in ends if end is not None)


def _number(text: str, low: int, words: tuple[str, ...]) -> int | None:
    if text.isdigit():
        return int(text)
    return words.index(text.lower()) + low if text.lower() in words else None
