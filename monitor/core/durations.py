"""Durations as people write them: `30s`, `5m`, `1h30m`, `2d`, `500ms`."""

from __future__ import annotations

import re
from datetime import timedelta

#: Longer than anything lasts; people write `off`.
NEVER = timedelta.max

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdw])")
_WHOLE = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[smhdw]))+")


def parse_duration(text: object) -> timedelta:
    """`1h30m` as a timedelta; a timedelta passes through. Raises ValueError with an example for anything else."""
    if isinstance(text, timedelta):
        return text
    if (text == 0 and not isinstance(text, bool)) or text == "0":
        return timedelta(0)
    if not isinstance(text, str) or not _WHOLE.fullmatch(text.strip()):
        raise ValueError(f"{text!r} is not a duration (write for example 30s, 5m, 1h30m)")
    return timedelta(seconds=sum(float(n) * _UNITS[unit] for n, unit in _PART.findall(text)))


def format_duration(span: timedelta | float) -> str:
    """The shortest exact form: 90 -> `1m30s`, 0.25 -> `250ms`; parse_duration reads it back."""
    seconds = span.total_seconds() if isinstance(span, timedelta) else span
    millis = round(seconds * 1000)
    if millis == 0:
        return "0s"
    if abs(millis) < 1000:
        return f"{millis}ms"
    sign, left = ("-", -millis) if millis < 0 else ("", millis)
    parts = []
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return sign + "".join(parts)
