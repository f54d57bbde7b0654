"""Numbers as people write them in thresholds: `200`, `5%`, `10MiB`, `15m`, read by the signal's unit."""

from __future__ import annotations

import math
import re

from monitor.core.durations import parse_duration

_TIMES = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1.0),
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), 0.001),
    **dict.fromkeys(("min", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86_400.0),
}
_BYTES = frozenset({"b", "byte", "bytes"})
_PERCENTS = frozenset({"percent", "%"})
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kKMGT]i?B|B)")
_FACTORS = {"B": 1, "K": 1000, "M": 1000**2, "G": 1000**3, "T": 1000**4}
_BINARY = {"K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
_PERCENT = re.compile(r"([-+]?\d+(?:\.\d+)?)\s*%")
_NUMBER = re.compile(r"[-+]?(?:\.\d+|\d+(?:\.\d*)?)(?:[eE][-+]?\d+)?")


def parse_amount(value: object, unit: str) -> float:
    """The number in the signal's own unit. `5%` is 0.05, a size is in bytes, a duration in the unit's seconds.

    Raises ValueError with what to write; a form that does not fit the unit is refused rather than guessed.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(f"{str(value).lower() if isinstance(value, bool) else repr(value)} is not a number")
    if isinstance(value, str):
        return _text(value.strip(), unit)
    if not math.isfinite(value):
        raise ValueError(f"{value!r} is no bound (leave it out instead)")
    return float(value)


def _text(text: str, unit: str) -> float:
    if _NUMBER.fullmatch(text):
        return parse_amount(float(text), unit)
    name = unit.strip().lower()
    if match := _PERCENT.fullmatch(text):
        if name in _TIMES or name in _BYTES:
            raise ValueError(f"'{text}' is a percentage, but this signal is in {unit}")
        if name in _PERCENTS:
            raise ValueError(f"'{text}': this signal counts in percent already (write {match[1]})")
        return round(float(match[1]) / 100, 12)
    if match := _SIZE.fullmatch(text):
        if name not in _BYTES:
            raise ValueError(f"'{text}' is a size, but this signal is in {unit or 'plain numbers'}")
        return float(match[1]) * _factor(match[2])
    if name not in _TIMES:
        raise ValueError(f"'{text}' is not a number{_fitting(name)}")
    return parse_duration(text).total_seconds() / _TIMES[name]


def _factor(suffix: str) -> int:
    letter = suffix[0].upper()
    return _BINARY[letter] if "i" in suffix else _FACTORS[letter]


def _fitting(name: str) -> str:
    return " or a size (for example 10MiB)" if name in _BYTES else ""
