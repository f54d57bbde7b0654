"""Values as people read them: spans, moments, numbers with units. Pure; the templates' filters."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from monitor.core.model import Json

_SECONDS = {"s", "sec", "seconds"}
_BYTES = {"bytes", "byte", "B"}
_BARE = {"", "count", "none", "None", "1"}


def span(seconds: float) -> str:
    """The two largest units: 4 -> `4s`, 190 -> `3m 10s`, 7500 -> `2h 5m`."""
    left = round(abs(seconds))
    parts: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count or parts:
            parts.append(f"{count}{unit}" if count else "")
    shown = [part for part in parts[:2] if part]
    return ("-" if seconds < 0 and shown else "") + (" ".join(shown) or "0s")


def ago(at: datetime, now: datetime) -> str:
    """`3m 10s ago`; `in 3m 10s` for what lies ahead."""
    seconds = (now - at).total_seconds()
    if abs(seconds) < 1:
        return "now"
    return f"{span(seconds)} ago" if seconds > 0 else f"in {span(-seconds)}"


def stamp(at: datetime) -> str:
    """`2026-03-14 09:26:53 UTC`."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def iso(at: datetime) -> str:
    """For `<time datetime>`."""
    return f"{at:%Y-%m-%dT%H:%M:%S}Z"


def number(value: float) -> str:
    """Exact where it matters: thousands separated, up to three significant decimals below 100."""
    if not math.isfinite(value):
        return "not a number"
    size = abs(value)
    if size >= 1e9:
        return f"{value:.3g}"
    if size >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def quantity(value: float | None, unit: str) -> str:
    """A number with its unit, spans and bytes in the unit that fits; words when there is none."""
    if value is None:
        return "no reading"
    if unit in _SECONDS and abs(value) >= 120:
        return span(value)
    if unit in _BYTES:
        return _bytes(value)
    text = number(value)
    if unit.startswith("1/"):
        return text + unit[1:]
    return text if unit in _BARE else f"{text} {unit}"


def _bytes(value: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024:
            return f"{number(value)} {unit}"
        value /= 1024
    return f"{number(value)} TiB"


def plural(count: int, word: str, many: str = "") -> str:
    """`1 check`, `2 checks`."""
    return f"{count:,} {word if count == 1 else many or word + 's'}"


def words(value: object) -> str:
    """An enum's value or an identifier as words: `half_open` -> `half open`."""
    return str(value).replace("_", " ")


def state_of(value: Json) -> str:
    """A captured state, short: what was unset says so."""
    if value is None:
        return "unset"
    text = value if isinstance(value, str) else ", ".join(_pairs(value))
    return text if len(text) <= 120 else text[:119] + "…"


def _pairs(value: Json) -> list[str]:
    if isinstance(value, Mapping):
        return [f"{key}: {state_of(inner)}" for key, inner in value.items()]
    if isinstance(value, (list, tuple)):
        return [state_of(inner) for inner in value]
    return [number(value) if isinstance(value, float) else str(value)]


def web_link(text: str | None) -> str:
    """The address if a browser may follow it (http and https), else nothing."""
    try:
        return text if text and urlsplit(text).scheme in ("http", "https") else ""
    except ValueError:
        return ""


FILTERS: Mapping[str, Callable[..., Any]] = {
    "span": span,
    "ago": ago,
    "stamp": stamp,
    "iso": iso,
    "number": number,
    "quantity": quantity,
    "plural": plural,
    "words": words,
    "state_of": state_of,
    "web_link": web_link,
}
