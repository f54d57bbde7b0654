"""Frozen dataclasses to plain JSON values and back, by their type hints; what the journal stores.

Knows what our records are made of: None, bool, numbers, strings, enums, aware datetimes (ISO 8601), timedeltas
(seconds), tuples, mappings with string keys, dataclasses and unions of those with None. Unknown keys are ignored on
reading and missing ones take the field's default, so that a newer version can read what an older one wrote.
"""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def encode(value: Any) -> Any:
    """A JSON value. Raises TypeError for anything this module does not know."""
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: encode(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [encode(item) for item in value]
    raise TypeError(f"cannot store a {type(value).__name__}")


def decode(kind: type[T], data: Any) -> T:
    """The inverse of `encode` for a dataclass type. Raises ValueError or KeyError when `data` is not one."""
    return _decode(kind, data)  # type: ignore[no-any-return]  # the recursion is over runtime types


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _decode(kind: Any, data: Any) -> Any:
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _decode_union(get_args(kind), data)
    if isinstance(kind, type) and is_dataclass(kind):
        hints = _hints(kind)
        return kind(**{f.name: _decode(hints[f.name], data[f.name]) for f in fields(kind) if f.name in data})
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(data)
    if kind is datetime:
        return datetime.fromisoformat(data)
    if kind is timedelta:
        return timedelta(seconds=data)
    if origin is tuple:
        args = get_args(kind)
        if len(args) == 2 and args[1] is Ellipsis:
            return tuple(_decode(args[0], item) for item in data)
        return tuple(_decode(arg, item) for arg, item in zip(args, data, strict=True))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {key: _decode(get_args(kind)[1], item) for key, item in data.items()}
    return data


def _decode_union(options: tuple[Any, ...], data: Any) -> Any:
    if data is None:
        return None
    concrete = [option for option in options if option is not type(None)]
    records = [option for option in concrete if isinstance(option, type) and is_dataclass(option)]
    if len(concrete) == len(records) > 1 and isinstance(data, Mapping):
        # A union of records (a condition's Term | Combine): the one whose field names are the data's.
        for option in records:
            if {f.name for f in fields(option)} == set(data):
                return _decode(option, data)
        raise ValueError(f"no known record has the fields {sorted(data)}")
    return _decode(concrete[0], data) if len(concrete) == 1 else data
