"""AWS operations named in parameters, checked by whoever knows the service models, told at their places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from monitor.config.document import Document
from monitor.config.problems import KeyPath
from monitor.config.source import typed
from monitor.config.validation import stands_in
from monitor.core.model import Json
from monitor.plugin import OperationUse, OperationValidator


def tell_operations(
    uses: Sequence[OperationUse], path: KeyPath, data: Json, document: Document, validator: OperationValidator | None
) -> bool:
    """True if every operation is a valid call (or nobody can tell)."""
    fine = True
    for use in uses if validator is not None else ():
        assert validator is not None
        for inside, message in validator.problems(use):
            document.report.add((*path, *_place(use, inside, message, data)), message)
            fine = False
    return fine


def retyped(
    uses: Sequence[OperationUse], path: KeyPath, data: Json, document: Document, validator: OperationValidator | None
) -> bool:
    """Give texts that were one variable in quotes (`"${UNITS}"`) the type the operation wants; True if any changed.

    Which type that is the service models tell by refusing the text. A parameter that takes text keeps it.
    """
    changed = False
    for use in uses if validator is not None else ():
        assert validator is not None
        for inside, message in validator.problems(use):
            place = _place(use, inside, message, data)
            if (*path, *place) in document.lone and place:
                changed = _retype(data, place) or changed
    return changed


def _retype(data: Any, place: KeyPath) -> bool:
    """A number, true or false instead of its text, in place."""
    for part in place[:-1]:
        data = data[part]
    value = typed(data[place[-1]]) if isinstance(data[place[-1]], str) else None
    if not isinstance(value, (bool, int, float)):
        return False
    data[place[-1]] = value
    return True


def _place(use: OperationUse, inside: KeyPath, message: str, data: Json) -> KeyPath:
    """Where in `data` the complaint belongs: the deepest place that exists."""
    if not inside:
        # About the call as a whole: its line is that of the word the message quotes, else of the operation.
        about = "query" if use.query and use.query in message else "operation"
        inside = ("service",) if f"service {use.aws_service!r}" in message else (about,)
    base = use.path[:-1] if use.path[-1:] == ("parameters",) else use.path
    candidates = [(*base, *inside), (*base, "parameters", *inside), inside]
    for whole in candidates:
        if _existing(whole, data) == whole:
            return whole
    return max((_existing(one, data) for one in candidates), key=len)


def _existing(path: KeyPath, data: Any) -> KeyPath:
    found: list[str | int] = []
    for part in path:
        if not stands_in(data, part):
            break
        data = data[part]
        found.append(part)
    return tuple(found)
