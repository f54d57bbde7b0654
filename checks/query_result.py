"""What the result of a query means: which targets it names, and which number each of them has. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from monitor.plugin import ProbeError, Reason, target_name

#: More names than this in one result are refused: each is a target of its own.
MAX_TARGETS = 500


@dataclass(frozen=True, slots=True)
class Reading:
    """How to take a result. At most one of `equals`, `values` and `age` is set; `target` names what has no name."""

    query: str
    target: str
    equals: tuple[str, ...] | None = None
    values: Mapping[str, float] | None = None
    age: bool = False


def word(value: object) -> object:
    """How YAML's true, null and numbers are spelled among texts."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:g}" if isinstance(value, int | float) else value


def worded(data: object) -> object:
    """The keys of `values` as texts."""
    return {word(key): value for key, value in data.items()} if isinstance(data, Mapping) else data


def listed(data: object) -> object:
    """`equals` as texts, one or many."""
    return tuple(word(one) for one in data) if isinstance(data, list | tuple) else (word(data),)


def plain(value: Any) -> Any:
    """The reply as the CLI would print it: times as ISO 8601 texts, everything else as it is."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return value


def targets_of(how: Reading, result: Any) -> list[tuple[str, Any]]:
    """(target, scalar) pairs. Raises ProbeError(invalid) for results that name nothing or too much."""
    if result in (None, "", [], {}) or not isinstance(result, list | Mapping):
        return [(how.target, result)]
    if isinstance(result, Mapping):
        pairs = list(result.items())
    elif all(isinstance(one, list) and len(one) == 2 and isinstance(one[0], str) for one in result):
        pairs = [(one[0], one[1]) for one in result]
    else:
        raise ProbeError(
            Reason.INVALID,
            f"{how.query} yields a list; make it one number with length(...), sum(...), max(...) or an index, "
            "or give each value a name: [].[Name, Value]",
        )
    named = {target_name(name): value for name, value in pairs if name}
    if len(named) < len(pairs):
        raise ProbeError(Reason.INVALID, f"{how.query} yields the same name more than once, or none")
    if len(named) > MAX_TARGETS:
        raise ProbeError(Reason.INVALID, f"{how.query} yields {len(named)} names; at most {MAX_TARGETS} are targets")
    return list(named.items())


def number_of(how: Reading, value: Any, now: datetime) -> float | None:
    """The value as a number, None where it is absent. Raises ProbeError(invalid) if it is neither."""
    if how.values is not None:
        return _looked_up(how, how.values, value)
    if value in (None, "", [], {}):
        return None
    if how.equals is not None:
        return 0.0 if word(value) in how.equals else 1.0
    if how.age:
        return (now - _time(how, value)).total_seconds()
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ProbeError(
            Reason.INVALID, f"{how.query} yields {_shown(value)}, not a number; use equals, values or age"
        ) from None
    if not math.isfinite(number):
        raise ProbeError(Reason.INVALID, f"{how.query} yields {_shown(value)}, not a finite number")
    return number


def _looked_up(how: Reading, values: Mapping[str, float], value: Any) -> float | None:
    name = "null" if value in (None, "", [], {}) else word(value)
    if isinstance(name, str) and name in values:
        return values[name]
    if name == "null":
        return None
    if "else" not in values:
        raise ProbeError(
            Reason.INVALID, f"{how.query} yields {_shown(value)}, which `values` does not name (no `else`)"
        )
    return values["else"]


def _shown(value: object) -> str:
    """A value as a message may show it: a state's name, else only its type, since replies can hold secrets."""
    if isinstance(value, str) and not re.fullmatch("[A-Za-z_]{1,24}", value):
        return f"text of {len(value)} characters"
    return repr(value) if isinstance(value, str | int | float | bool) else f"a {type(value).__name__}"


def _time(how: Reading, value: Any) -> datetime:
    try:
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value / 1000 if value > 1e11 else value, tz=UTC)
        time = datetime.fromisoformat(value)
    except (TypeError, ValueError, OverflowError, OSError):
        raise ProbeError(Reason.INVALID, f"{how.query} yields {_shown(value)}, not a time") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)
