"""The families with one or more lines per target, rendered straight to text.

Fifty thousand lines through the client library's samples take most of a second in which nothing else runs. Here the
constant part of each line is kept between scrapes, and the loop gets a turn every `_TURN` rows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from math import isfinite, isnan

from monitor.core.model import Level, Row
from monitor.telemetry.catalogue import BY_NAME

#: Rows between two turns of the event loop: about two milliseconds.
_TURN = 2_000
#: Every integer below is exact as a float.
_EXACT = 2.0**53
#: Later than any reading.
_NEVER = datetime.max.replace(tzinfo=UTC)

_Key = tuple[str, str, str, str, str]
_Check = tuple[str, str, str]


class RowText:
    """Renders rows; remembers the texts of those it saw at the last scrape, no others."""

    def __init__(self) -> None:
        self._known: dict[_Key, _Lines] = {}

    async def render(self, rows: Iterable[Row]) -> list[bytes]:
        """Four families in pieces of UTF-8; the last has a line per check. Of rows with the same labels the first
        counts: Prometheus refuses a whole scrape for one duplicate. Safe to run twice at once."""
        families: tuple[list[bytes], ...] = tuple(
            [_head(name)] for name in ("tripswitch_observation", "tripswitch_level", "tripswitch_threshold")
        )
        seen: dict[_Key, _Lines] = {}
        oldest: dict[_Check, datetime] = {}
        coming = iter(rows)
        # Making the rows is most of the work, so they too are made a piece at a time.
        while piece := list(islice(coming, _TURN)):
            for family, lines in zip(families, self._piece(piece, seen, oldest), strict=True):
                # A name that is no UTF-8 (a lone surrogate) costs one character, not the scrape.
                family.append("".join(lines).encode("utf-8", "replace"))
            await asyncio.sleep(0)
        self._known = seen
        return [text for family in families for text in family] + [_ages(oldest)]

    def _piece(
        self, rows: Sequence[Row], seen: dict[_Key, _Lines], oldest: dict[_Check, datetime]
    ) -> tuple[list[str], list[str], list[str]]:
        known = self._known
        observations: list[str] = []
        levels: list[str] = []
        thresholds: list[str] = []
        ok, unknown = Level.OK, Level.UNKNOWN
        at, check, pipeline = None, "", ""
        for row in rows:
            key = (row.pipeline, row.check, row.kind, row.target, row.signal)
            if key in seen:
                continue
            lines = known.get(key)
            if lines is None:
                lines = _Lines(key)
            seen[key] = lines
            level, value = row.level, row.value
            # A value next to `unknown` is the last one known; showing it as current would be a lie.
            if value is not None and level is not unknown:
                if value != lines.value:
                    lines.value, lines.number = value, number(value)
                if lines.number:
                    observations.append(f"{lines.observation}{lines.number}")
                    # Rows of one run stand together and share their time: three comparisons for most.
                    if row.at is not at or row.check is not check or row.pipeline is not pipeline:
                        at, check, pipeline = row.at, row.check, row.pipeline
                        if at is not None and at < oldest.get(key[:3], _NEVER):
                            oldest[key[:3]] = at
            if level is not ok:
                if level is not lines.level:
                    lines.level, lines.level_line = level, f'tripswitch_level{lines.labels},level="{level.value}"}} 1\n'
                levels.append(lines.level_line)
            warning, critical = row.warning_bound, row.critical_bound
            if warning is not None or critical is not None:
                if warning != lines.warning or critical != lines.critical:
                    lines.keep_bounds(warning, critical)
                thresholds.append(lines.threshold_lines)
        return observations, levels, thresholds


class _Lines:
    """What was shown of one row, each text beside what it was made from: most rows are what they were a scrape ago."""

    __slots__ = (
        "critical", "labels", "level", "level_line", "number", "observation", "threshold_lines", "value", "warning",
    )  # fmt: skip

    def __init__(self, key: _Key) -> None:
        names = ("pipeline", "check", "kind", "target", "signal")
        pairs = ",".join(f'{name}="{escape(value)}"' for name, value in zip(names, key, strict=True))
        #: Open at the end, so that `level` can follow.
        self.labels = "{" + pairs
        self.observation = f"tripswitch_observation{{{pairs}}} "
        self.value: float | None = None
        self.number = ""
        self.level = Level.OK
        self.level_line = ""
        self.warning: float | None = None
        self.critical: float | None = None
        self.threshold_lines = ""

    def keep_bounds(self, warning: float | None, critical: float | None) -> None:
        """Up to two threshold lines."""
        self.warning, self.critical = warning, critical
        self.threshold_lines = "".join(
            f'tripswitch_threshold{self.labels},level="{level.value}"}} {text}'
            for level, bound in ((Level.WARNING, warning), (Level.CRITICAL, critical))
            if bound is not None and (text := number(bound))
        )


def _ages(oldest: Mapping[_Check, datetime]) -> bytes:
    """One line per check that shows a value: when the oldest of them was true."""
    name = "tripswitch_check_oldest_value_timestamp_seconds"
    lines = []
    for check, at in oldest.items():
        labels = ",".join(f'{key}="{escape(value)}"' for key, value in zip(BY_NAME[name].labels, check, strict=True))
        lines.append(f"{name}{{{labels}}} {number(at.timestamp())}")
    return _head(name) + "".join(lines).encode("utf-8", "replace")


def escape(value: str) -> str:
    """A label's value as both formats want it: backslash, quote and line feed escaped."""
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def number(value: float) -> str:
    """A sample's value and the line's end; empty for NaN, which no one can have observed."""
    if isfinite(value):
        # Counts are most of what there is, and integers have a quick text.
        return f"{int(value)}\n" if -_EXACT < value < _EXACT and value == int(value) else f"{float(value)!r}\n"
    return "" if isnan(value) else ("+Inf\n" if value > 0 else "-Inf\n")


def _head(name: str) -> bytes:
    metric = BY_NAME[name]
    return f"# HELP {name} {metric.help}\n# TYPE {name} {metric.type.value}\n".encode()
