"""Recorded samples: what checks observed, as JSON lines or CSV, one reading a line.

    {"at": "2026-03-01T12:00:00Z", "check": "etl/ingest", "signal": "throttled", "target": "handler", "value": 3}

    at,check,signal,target,value
    2026-03-01 12:00:00,ingest,throttled,handler,3

`at` is ISO 8601 (UTC where no zone is named) or epoch seconds; `check` its name, with or without `PIPELINE/`; `target`
may be left out where a check has one. An empty or null `value` is an absent point (`missing:` decides). Where the
record stops for more than one and a half times its own spacing, the signal is unknown: nobody looked.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from monitor.backtest.tape import Fidelity, Place, Source, Span, Tape
from monitor.core.model import Observation, Reason
from monitor.core.spec import CheckSpec, Pipeline

#: No run is replayed more often than this where the record itself is no denser.
FINEST = 60.0
#: Gaps between samples looked at for their usual spacing.
_SPACINGS = 1000
COLUMNS = ("at", "check", "signal", "target", "value")


class SampleError(Exception):
    """A sample that can't be read; the text says which line and what to write instead."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One reading. `at` in epoch seconds; `value` None: an absent point."""

    at: float
    check: str
    signal: str
    target: str
    value: float | None


@dataclass(slots=True)
class _Series:
    ats: list[float] = field(default_factory=list)
    values: list[float | None] = field(default_factory=list)


def read_samples(paths: Iterable[Path]) -> Iterator[Sample]:
    """All samples of files, and of folders' `*.jsonl`, `*.ndjson`, `*.json`, `*.csv`. Raises SampleError, OSError."""
    for path in paths:
        files = sorted(p for p in path.iterdir() if p.suffix in _READERS) if path.is_dir() else [path]
        if not files:
            raise SampleError(f"{path}: no *.jsonl or *.csv in this folder")
        for file in files:
            reader = _READERS.get(file.suffix, _json_lines)
            with file.open(encoding="utf-8", newline="") as lines:
                for number, row in reader(lines):
                    yield _sample(row, f"{file}:{number}")


def _json_lines(lines: Iterable[str]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise SampleError(f"line {number} is no JSON ({error}); write one object per line") from error
        if not isinstance(row, dict):
            raise SampleError(f"line {number} is no object; write one object per line with {', '.join(COLUMNS)}")
        yield number, row


def _csv(lines: Iterable[str]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    yield from enumerate(csv.DictReader(lines), 2)


_READERS = {".jsonl": _json_lines, ".ndjson": _json_lines, ".json": _json_lines, ".csv": _csv}


def _sample(row: Mapping[str, Any], where: str) -> Sample:
    lacking = [name for name in ("at", "check", "signal") if not row.get(name)]
    if lacking:
        raise SampleError(f"{where}: no {lacking[0]}; a sample has {', '.join(COLUMNS)}")
    text = row.get("value")
    try:
        value = None if text is None or text == "" else float(text)
        at = moment(row["at"])
    except (TypeError, ValueError) as error:
        raise SampleError(f"{where}: {error}") from error
    if value is not None and not math.isfinite(value):
        value = None
    return Sample(at, str(row["check"]), str(row["signal"]), str(row.get("target") or ""), value)


def moment(text: Any) -> float:
    """Epoch seconds of ISO 8601 (UTC without a zone) or of epoch seconds. Raises ValueError."""
    if isinstance(text, (int, float)):
        return float(text)
    plain = str(text).strip()
    try:
        return float(plain)
    except ValueError:
        pass
    found = datetime.fromisoformat(plain)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def tapes_of(samples: Iterable[Sample], pipelines: Sequence[Pipeline], span: Span | None = None) -> dict[str, Tape]:
    """A tape per check that the samples speak of, by `PIPELINE/CHECK`. Raises SampleError for a check nobody has."""
    specs = {check.key: check for pipeline in pipelines for check in pipeline.checks.values()}
    short: dict[str, list[str]] = {}
    for key in specs:
        short.setdefault(key.split("/", 1)[1], []).append(key)
    found: dict[str, dict[Place, _Series]] = {}
    for sample in samples:
        key = _key(sample.check, specs, short)
        spec = specs[key]
        if sample.signal not in spec.units:
            raise SampleError(f"{key} has no signal {sample.signal}; it has: {', '.join(spec.units)}")
        if span is not None and not span.start.timestamp() <= sample.at < span.end.timestamp():
            continue
        target = sample.target or (spec.targets[0] if len(spec.targets) == 1 else "all")
        series = found.setdefault(key, {}).setdefault((target, sample.signal), _Series())
        series.ats.append(sample.at)
        series.values.append(sample.value)
    return {key: _tape(specs[key], columns) for key, columns in found.items()}


def _key(name: str, specs: Mapping[str, CheckSpec], short: Mapping[str, Sequence[str]]) -> str:
    if name in specs:
        return name
    keys = short.get(name, ())
    if len(keys) == 1:
        return keys[0]
    if keys:
        raise SampleError(f"check {name} is in several pipelines: write {' or '.join(keys)}")
    raise SampleError(f"no check is called {name}; there are: {', '.join(specs)}")


def _tape(spec: CheckSpec, columns: Mapping[Place, _Series]) -> Tape:
    for series in columns.values():
        order = sorted(range(len(series.ats)), key=series.ats.__getitem__)
        series.ats = [series.ats[i] for i in order]
        series.values = [series.values[i] for i in order]
    spacing = min(_spacing(series.ats) for series in columns.values())
    interval = spec.interval.total_seconds()
    step = max(interval, min(spacing, FINEST) if spacing else interval)
    first = min(series.ats[0] for series in columns.values())
    last = max(series.ats[-1] for series in columns.values())
    count = int((last - first) // step) + 1
    tape = Tape(replace(spec, interval=timedelta(seconds=step)), datetime.fromtimestamp(first, UTC), count)
    if step > interval:
        tape.notes.append(f"judged every {step:g}s instead of {interval:g}s: the record has no finer data")
    for place, series in columns.items():
        _fill(tape, place, series, first, step)
    for signal in spec.units:
        recorded = any(place[1] == signal for place in columns)
        tape.sources[signal] = Source(Fidelity.RECORDED) if recorded else Source(Fidelity.NONE, "not in the samples")
    tape.finish()
    return tape


def _fill(tape: Tape, place: Place, series: _Series, first: float, step: float) -> None:
    column, unit = tape.column(place), tape.spec.units.get(place[1], "")
    keeps = 1.5 * max(_spacing(series.ats), step)
    newest = -1
    for index in range(tape.count):
        now = first + index * step
        while newest + 1 < len(series.ats) and series.ats[newest + 1] <= now:
            newest += 1
        if newest < 0 or now - series.ats[newest] >= keeps:
            at = datetime.fromtimestamp(now, UTC)
            column.put(index, Observation(
                place[1], place[0], None, unit, at, Reason.UNAVAILABLE, "no sample was recorded here"
            ))  # fmt: skip
            continue
        value = series.values[newest]
        if value is None:
            column.put(index, Observation(place[1], place[0], None, unit, exists=True))
        else:
            column.values.append(value)
            column.ats.append(series.ats[newest])


def _spacing(ats: Sequence[float]) -> float:
    """The usual distance between samples, seconds; 0 for a single one."""
    gaps = [b - a for a, b in pairwise(ats[:_SPACINGS]) if b > a]
    return median(gaps) if gaps else 0.0
