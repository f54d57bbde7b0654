"""The families with one or more lines per target, rendered straight to text.

Fifty thousand lines through the client library's samples take most of a second in which nothing else runs. Here the
constant part of each line is kept between scrapes, and the loop gets a turn every `_TURN` rows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from math import isfinite, isnan

from monitor.core.model import Level, Row
from monitor.telemetry.catalogue import BY_NAME

#: Rows between two turns of the event loop: about two milliseconds.
_TURN = 2_000

_Key = tuple[str, str, str, str, str]


class RowText:
    """Renders rows; remembers the texts of those it saw at the last scrape, no others."""

    def __init__(self) -> None:
        self._known: dict[_Key, _Lines] = {}

    async def render(self, rows: Sequence[Row]) -> list[bytes]:
        """Three families in pieces of UTF-8. Of rows with the same labels the first counts: Prometheus refuses a
        whole scrape for one duplicate. Safe to run twice at once."""
        families: tuple[list[bytes], ...] = tuple(
            [_head(name)] for name in ("tripswitch_observation", "tripswitch_level", "tripswitch_threshold")
        )
        seen: dict[_Key, _Lines] = {}
        for start in range(0, len(rows), _TURN):
            for family, lines in zip(families, self._piece(rows[start : start + _TURN], seen), strict=True):
                # A name that is no UTF-8 (a lone surrogate) costs one character, not the scrape.
                family.append("".join(lines).encode("utf-8", "replace"))
            await asyncio.sleep(0)
        self._known = seen
        return [piece for family in families for piece in family]

    def _piece(self, rows: Sequence[Row], seen: dict[_Key, _Lines]) -> tuple[list[str], list[str], list[str]]:
        known = self._known
        observations: list[str] = []
        levels: list[str] = []
        thresholds: list[str] = []
        ok, unknown = Level.OK, Level.UNKNOWN
        for row in rows:
            key = (row.pipeline, row.check, row.kind, row.target, row.signal)
            if key in seen:
                continue
            lines = known.get(key)
            if lines is None:
                lines = _Lines(key)
            seen[key] = lines
            level = row.level
            # A value next to `unknown` is the last one known; showing it as current would be a lie.
            if level is not unknown and row.value is not None:
                value = float(row.value)
                if isfinite(value):
                    observations.append(f"{lines.observation}{value!r}\n")
                elif not isnan(value):
                    observations.append(f"{lines.observation}{_infinity(value)}\n")
            if level is not ok:
                levels.append(f'tripswitch_level{lines.labels},level="{level.value}"}} 1.0\n')
            if row.warning_bound is not None or row.critical_bound is not None:
                thresholds.append(lines.threshold(row.warning_bound, row.critical_bound))
        return observations, levels, thresholds


class _Lines:
    """The unchanging parts of one row's lines."""

    __slots__ = ("_bounds", "_text", "labels", "observation")

    def __init__(self, key: _Key) -> None:
        names = ("pipeline", "check", "kind", "target", "signal")
        pairs = ",".join(f'{name}="{escape(value)}"' for name, value in zip(names, key, strict=True))
        #: Open at the end, so that `level` can follow.
        self.labels = "{" + pairs
        self.observation = f"tripswitch_observation{{{pairs}}} "
        self._bounds: tuple[float | None, float | None] = (None, None)
        self._text = ""

    def threshold(self, warning: float | None, critical: float | None) -> str:
        """Up to two lines; bounds rarely change, so their text is kept."""
        bounds = (warning, critical)
        if bounds != self._bounds:
            self._bounds = bounds
            self._text = "".join(self._threshold_lines())
        return self._text

    def _threshold_lines(self) -> Iterator[str]:
        for level, bound in zip((Level.WARNING, Level.CRITICAL), self._bounds, strict=True):
            if bound is not None and not isnan(bound):
                value = float(bound)
                text = repr(value) if isfinite(value) else _infinity(value)
                yield f'tripswitch_threshold{self.labels},level="{level.value}"}} {text}\n'


def escape(value: str) -> str:
    """A label's value as both formats want it: backslash, quote and line feed escaped."""
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _head(name: str) -> bytes:
    metric = BY_NAME[name]
    return f"# HELP {name} {metric.help}\n# TYPE {name} {metric.type.value}\n".encode()


def _infinity(value: float) -> str:
    return "+Inf" if value > 0 else "-Inf"
