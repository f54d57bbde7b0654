"""The part of the Logs Insights query language that runbooks use, on events in memory. Pure.

Source: CloudWatch Logs user guide, "CloudWatch Logs Insights language query syntax" (fields, display, filter, stats,
sort, limit, dedup). `filter` knows like (text or /regular expression/), not like, =, !=, <, <=, >, >=, in, ispresent,
and, or, not and parentheses; `stats` knows count(), count(x), count_distinct(x), sum, avg, min, max, with `as` and
`by` (bin() included). Anything else is refused as AWS refuses what it can't parse: better no answer than a wrong one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

Row = Mapping[str, Any]

_TOKEN = re.compile(
    r"\s*(?:(/(?:[^/\\]|\\.)*/i?)|(\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')|(`[^`]+`|@?[A-Za-z_][\w.@\[\]]*)"
    r"|(-?\d+(?:\.\d+)?)|(!=|<=|>=|=~|[=<>(),\[\]|*]))"
)
#: Field, where it stands in the line, factor. "Supported logs and discovered fields", Lambda.
_REPORTED: tuple[tuple[str, str, float | None], ...] = (
    ("@requestId", r"RequestId: (\S+)", None),
    ("@duration", r"(?<!Billed )(?<!Init )Duration: ([\d.]+) ms", 1.0),
    ("@billedDuration", r"Billed Duration: ([\d.]+) ms", 1.0),
    ("@initDuration", r"Init Duration: ([\d.]+) ms", 1.0),
    ("@memorySize", r"Memory Size: (\d+) MB", 1e6),
    ("@maxMemoryUsed", r"Max Memory Used: (\d+) MB", 1e6),
)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class BadQuery(ValueError):
    """AWS would say MalformedQueryException."""


def event_row(group: str, stream: str, timestamp: int, message: str) -> dict[str, Any]:
    """The fields of one event: AWS's own and, of a JSON message, its own, dotted."""
    row: dict[str, Any] = {}
    try:
        document = json.loads(message)
    except ValueError:
        document = None
    if isinstance(document, dict):
        _flatten(document, "", row)
    at = datetime.fromtimestamp(timestamp / 1000, UTC)
    stamp = f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03}"
    row.update(_report(message))
    return {**row, "@timestamp": stamp, "@message": message, "@logStream": stream, "@log": group, "@ms": timestamp}


def _report(message: str) -> dict[str, Any]:
    """The fields Insights finds in the line with which Lambda ends an invocation; memory in bytes."""
    if not message.startswith("REPORT "):
        return {}
    found: dict[str, Any] = {"@type": "REPORT"}
    for field, pattern, factor in _REPORTED:
        if (match := re.search(pattern, message)) is not None:
            found[field] = match[1] if factor is None else float(match[1]) * factor
    return found


def _flatten(value: Any, path: str, row: dict[str, Any]) -> None:
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if parts is None:
        row[path] = value
        return
    for name, part in parts:
        _flatten(part, f"{path}.{name}" if path else str(name), row)


def run(query: str, rows: Sequence[Row], most: int) -> list[dict[str, str]]:
    """The answer's rows, field -> text. Raises BadQuery."""
    shown: list[str] | None = None
    found: list[Row] = sorted(rows, key=lambda row: -row["@ms"])
    for command in _commands(query):
        name, rest = command[0].lower(), command[1:]
        if name in ("fields", "display"):
            shown = [word.strip("`") for word in rest if word != ","]
        elif name == "filter":
            test, left = _either(rest)
            _nothing(left)
            found = [row for row in found if test(row)]
        elif name == "stats":
            found, shown = _stats(rest, found)
        elif name == "sort":
            found = _sorted(rest, found)
        elif name == "limit":
            most = min(most, int(rest[0]))
        elif name == "dedup":
            found = list(
                {tuple(str(row.get(word)) for word in rest if word != ","): row for row in found[::-1]}.values()
            )
            found.reverse()
        else:
            raise BadQuery(f"the emulator does not know the command {name}")
    names = shown or ["@timestamp", "@message"]
    return [{name: _text(row[name]) for name in names if row.get(name) is not None} for row in found[:most]]


def _commands(query: str) -> list[list[str]]:
    tokens, at = [], 0
    text = re.sub(r"(?m)^\s*#.*$", "", query).strip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.end() == at:
            raise BadQuery(f"unexpected {text[at : at + 20]!r}")
        tokens.append(match[0].strip())
        at = match.end()
    found: list[list[str]] = [[]]
    for token in tokens:
        if token == "|":
            found.append([])
        else:
            found[-1].append(token)
    if not all(found):
        raise BadQuery("an empty command")
    return found


# --- filter ---------------------------------------------------------------------------------------------------------

Test = Callable[[Row], bool]


def _either(tokens: Sequence[str]) -> tuple[Test, Sequence[str]]:
    test, tokens = _both(tokens)
    while tokens and tokens[0].lower() == "or":
        other, tokens = _both(tokens[1:])
        test = _joined(any, test, other)
    return test, tokens


def _both(tokens: Sequence[str]) -> tuple[Test, Sequence[str]]:
    test, tokens = _one(tokens)
    while tokens and tokens[0].lower() == "and":
        other, tokens = _one(tokens[1:])
        test = _joined(all, test, other)
    return test, tokens


def _joined(how: Callable[[Sequence[bool]], bool], one: Test, other: Test) -> Test:
    return lambda row: how([one(row), other(row)])


def _one(tokens: Sequence[str]) -> tuple[Test, Sequence[str]]:
    if not tokens:
        raise BadQuery("a condition is missing")
    if tokens[0].lower() == "not":
        test, rest = _one(tokens[1:])
        return (lambda row: not test(row)), rest
    if tokens[0] == "(":
        test, rest = _either(tokens[1:])
        if not rest or rest[0] != ")":
            raise BadQuery("unbalanced parentheses")
        return test, rest[1:]
    if tokens[0].lower() == "ispresent" and tokens[1:2] == ["("]:
        name = tokens[2].strip("`")
        return (lambda row: row.get(name) is not None), tokens[4:]
    name, sign = tokens[0].strip("`"), tokens[1].lower() if len(tokens) > 1 else ""
    if sign == "not":
        test, rest = _one([tokens[0], *tokens[2:]])
        return (lambda row: row.get(name) is not None and not test(row)), rest
    if sign in ("like", "=~"):
        return _like(name, tokens[2]), tokens[3:]
    if sign == "in":
        end = list(tokens).index("]")
        values = [_value(token) for token in tokens[3:end] if token != ","]
        return (lambda row: any(_same(row.get(name), value) for value in values)), tokens[end + 1 :]
    if sign in ("=", "!=", "<", "<=", ">", ">="):
        return _compared(name, sign, _value(tokens[2])), tokens[3:]
    raise BadQuery(f"not understood: {' '.join(tokens[:3])}")


def _like(name: str, wanted: str) -> Test:
    if wanted.startswith("/"):
        flags = re.I if wanted.endswith("i") else 0
        try:
            expression = re.compile(wanted.rstrip("i")[1:-1] if flags else wanted[1:-1], flags)
        except re.error as error:
            raise BadQuery(str(error)) from error
        return lambda row: row.get(name) is not None and expression.search(str(row[name])) is not None
    return lambda row: row.get(name) is not None and str(_value(wanted)) in str(row[name])


def _compared(name: str, sign: str, wanted: Any) -> Test:
    def test(row: Row) -> bool:
        value = row.get(name)
        if value is None:
            return False
        if sign in ("=", "!="):
            return _same(value, wanted) is (sign == "=")
        try:
            number, bound = float(value), float(wanted)
        except (TypeError, ValueError):
            return False
        return {"<": number < bound, "<=": number <= bound, ">": number > bound, ">=": number >= bound}[sign]

    return test


def _same(value: Any, wanted: Any) -> bool:
    try:
        return float(value) == float(wanted)
    except (TypeError, ValueError):
        return str(value) == str(wanted)


def _value(token: str) -> Any:
    if token[:1] in "\"'":
        return re.sub(r"\\(.)", r"\1", token[1:-1])
    try:
        return float(token)
    except ValueError:
        return token


# --- stats and sort -------------------------------------------------------------------------------------------------


def _stats(tokens: Sequence[str], rows: Sequence[Row]) -> tuple[list[Row], list[str]]:
    lowered = [token.lower() for token in tokens]
    cut = lowered.index("by") if "by" in lowered else len(tokens)
    wanted = [_aggregate(part) for part in _parted(tokens[:cut])]
    by = [_group(part) for part in _parted(tokens[cut + 1 :])]
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(of(row) for _, of in by), []).append(row)
    if not by:
        groups.setdefault((), [])
    found: list[Row] = []
    for key, members in groups.items():
        named = dict(zip((name for name, _ in by), key, strict=True))
        found.append({**named, **{name: of(members) for name, of in wanted}})
    return found, [*(name for name, _ in by), *(name for name, _ in wanted)]


def _parted(tokens: Sequence[str]) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    depth = 0
    for token in tokens:
        depth += {"(": 1, ")": -1}.get(token, 0)
        if token == "," and depth == 0:
            parts.append([])
        else:
            parts[-1].append(token)
    return [part for part in parts if part]


def _aggregate(tokens: Sequence[str]) -> tuple[str, Callable[[Sequence[Row]], Any]]:
    if len(tokens) < 3 or tokens[1] != "(":
        raise BadQuery(f"not understood: {' '.join(tokens)}")
    end = list(tokens).index(")")
    function, inner = tokens[0].lower(), tokens[2].strip("`") if end > 2 else "*"
    name = tokens[end + 2].strip("`") if tokens[end + 1 : end + 2] == ["as"] else f"{function}({inner})"

    def numbers(rows: Sequence[Row]) -> list[float]:
        return [float(row[inner]) for row in rows if isinstance(_value(str(row.get(inner))), float)]

    known: dict[str, Callable[[Sequence[Row]], Any]] = {
        "count": lambda rows: sum(inner == "*" or row.get(inner) is not None for row in rows),
        "count_distinct": lambda rows: len({str(row[inner]) for row in rows if row.get(inner) is not None}),
        "sum": lambda rows: sum(numbers(rows)),
        "min": lambda rows: min(numbers(rows), default=None),
        "max": lambda rows: max(numbers(rows), default=None),
        "avg": lambda rows: sum(numbers(rows)) / len(numbers(rows)) if numbers(rows) else None,
    }
    if function not in known:
        raise BadQuery(f"the emulator does not know {function}()")
    return name, known[function]


def _group(tokens: Sequence[str]) -> tuple[str, Callable[[Row], Any]]:
    if tokens[0].lower() != "bin":
        name = tokens[0].strip("`")
        return name, lambda row: row.get(name)
    match = re.fullmatch(r"(\d+)([smhd])", "".join(tokens[2:-1]))
    if match is None:
        raise BadQuery("bin() takes a span such as 5m")
    span = int(match[1]) * _UNITS[match[2]] * 1000
    return f"bin({match[0]})", lambda row: event_row("", "", row["@ms"] // span * span, "")["@timestamp"]


def _sorted(tokens: Sequence[str], rows: Sequence[Row]) -> list[Row]:
    name = tokens[0].strip("`")
    is_falling = [token.lower() for token in tokens[1:2]] != ["asc"]
    have = [row for row in rows if row.get(name) is not None]
    key = (lambda row: float(row[name])) if all(isinstance(_value(str(r[name])), float) for r in have) else (
        lambda row: str(row[name]))  # fmt: skip
    return sorted(have, key=key, reverse=is_falling) + [row for row in rows if row.get(name) is None]


def _nothing(left: Sequence[str]) -> None:
    if left:
        raise BadQuery(f"unexpected {left[0]!r}")


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, float):
        return f"{value:.10g}"
    return str(value)
