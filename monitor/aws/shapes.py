"""Whether parameters fit an operation's input shape: names, types and required members, with the path to each fault.

Strings with a placeholder (`${trip.target}`) stand for a value that is known later, so they fit any scalar.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from botocore.model import Shape

Path = tuple[str | int, ...]

_SCALARS: Mapping[str, tuple[str, tuple[type, ...]]] = {
    "string": ("text", (str,)),
    "character": ("text", (str,)),
    "integer": ("a whole number", (int,)),
    "long": ("a whole number", (int,)),
    "float": ("a number", (int, float)),
    "double": ("a number", (int, float)),
    "boolean": ("true or false", (bool,)),
    "timestamp": ("a time", (str, int, float, datetime)),
    "blob": ("text", (str, bytes)),
}


def problems_of(shape: Shape | None, params: Mapping[str, Any]) -> list[tuple[Path, str]]:
    """Every fault of `params` as input of `shape` (None: the operation takes nothing)."""
    if shape is None:
        return [((name,), "the operation takes no parameters") for name in params]
    return list(_walk(shape, params, ()))


def _walk(shape: Shape, value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    kind = shape.type_name
    if getattr(shape, "is_document_type", False) or shape.serialization.get("jsonvalue"):
        return
    if kind == "structure":
        yield from _structure(shape, value, path)
    elif kind == "list":
        if isinstance(value, (list, tuple)):
            yield from _bounds(shape, len(value), "items", path)
            for index, item in enumerate(value):
                yield from _walk(shape.member, item, (*path, index))
        elif not _later(value):
            yield path, f"expected a list, not {_named(value)}"
    elif kind == "map":
        if isinstance(value, Mapping):
            for name, item in value.items():
                yield from _walk(shape.value, item, (*path, str(name)))
        else:
            yield path, f"expected a mapping, not {_named(value)}"
    else:
        yield from _scalar(shape, value, path)


def _structure(shape: Shape, value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if not isinstance(value, Mapping):
        yield path, f"expected a mapping of {', '.join(list(shape.members)[:5]) or 'nothing'}, not {_named(value)}"
        return
    for name, item in value.items():
        if name in shape.members:
            yield from _walk(shape.members[name], item, (*path, name))
        else:
            yield (*path, name), _unknown(str(name), list(shape.members))
    for name in shape.required_members:
        member = shape.members[name]
        if name not in value and not member.metadata.get("idempotencyToken"):
            yield path, f"{name} is missing"
    if getattr(shape, "is_tagged_union", False) and len(value) != 1:
        yield path, f"expected exactly one of {', '.join(shape.members)}"


def _scalar(shape: Shape, value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    expected, types = _SCALARS.get(shape.type_name, ("", ()))
    if not types or _later(value):
        return
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        yield path, f"expected {expected}, not {_named(value)}"
    elif isinstance(value, str) and shape.type_name in ("string", "character"):
        yield from _bounds(shape, len(value), "characters", path)
    elif isinstance(value, (int, float)) and not isinstance(value, bool) and shape.type_name != "timestamp":
        yield from _bounds(shape, value, "", path)


def _bounds(shape: Shape, size: float, of: str, path: Path) -> Iterator[tuple[Path, str]]:
    """Lower bounds only, as the SDK itself does: AWS raises upper ones without telling."""
    least = shape.metadata.get("min")
    if least is not None and size < least:
        yield path, f"at least {least} {of}".rstrip() + f", not {size}"


def _later(value: Any) -> bool:
    return isinstance(value, str) and "${" in value


def _unknown(name: str, members: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, members, n=1, cutoff=0.6)
    if close:
        return f"unknown parameter {name!r}; did you mean {close[0]!r}?"
    known = ", ".join(members[:8]) + (", …" if len(members) > 8 else "")
    return f"unknown parameter {name!r}; possible: {known or 'none'}"


def _named(value: Any) -> str:
    if value is None:
        return "null"
    names = {bool: "true/false", int: "a number", float: "a number", str: "text", list: "a list", dict: "a mapping"}
    return names.get(type(value), type(value).__name__)
