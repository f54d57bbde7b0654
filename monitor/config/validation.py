"""A pydantic model over a part of a document, with pydantic's complaints told at their places in the file."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from monitor.config.document import Document
from monitor.config.problems import KeyPath, did_you_mean, one_of
from monitor.core.model import Json

M = TypeVar("M", bound=BaseModel)


def validate(
    model: type[M],
    data: Json,
    path: KeyPath,
    document: Document,
    *,
    also: Iterable[str] = (),
    prepare: Callable[[Json], Json] = lambda data: data,
) -> M | None:
    """The model, or None after telling what is wrong under `path`.

    `also` are keys that are legal beside the model's own (for suggestions); `prepare` changes what the model sees. A
    number or boolean where the model wants text becomes, also in `data`, the text that was written: account ids and
    tag values need no quotes.
    """
    if not isinstance(data, Mapping):
        document.report.add(path, f"must be a mapping of keys to values, not {shape(data)}")
        return None
    try:
        return model.model_validate(prepare(data))
    except ValidationError as first:
        errors = first.errors(include_url=False)
    if _write_texts(errors, data, path, document):
        try:
            return model.model_validate(prepare(data))
        except ValidationError as second:
            errors = second.errors(include_url=False)
    tell(errors, model, data, path, document, also)
    return None


def shape(value: Json) -> str:
    """What a value is, in the words of the file."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a mapping" if isinstance(value, Mapping) else "a list"


def tell(
    errors: Sequence[ErrorDetails],
    model: type[BaseModel],
    data: Json,
    path: KeyPath,
    document: Document,
    also: Iterable[str] = (),
) -> None:
    """One problem per place; a union's several complaints about one value become one sentence."""
    told: dict[KeyPath, list[tuple[str, str | None]]] = {}
    for error in errors:
        where = _where(error, data)
        told.setdefault(where, []).append(_message(error, where, model, also))
    _drop_renamed(told)
    deepest = [where for where in told if not any(_below(other, where) and _same_union(told, where) for other in told)]
    for where in deepest:
        said = list(dict.fromkeys(told[where]))
        message = " or ".join(text for text, _ in said)
        document.report.add((*path, *where), message, next((hint for _, hint in said if hint), None))


def _drop_renamed(told: dict[KeyPath, list[tuple[str, str | None]]]) -> None:
    """A required key that is there under a wrong name is one problem, not two."""
    missing = [where for where, said in told.items() if ("is required", None) in said]
    for where in missing:
        strangers = [
            other for other, said in told.items() if other[:-1] == where[:-1] and said[0][0].startswith("unknown key")
        ]
        here = [other for other in missing if other[:-1] == where[:-1]]
        for stranger in strangers:
            text, hint = told[stranger][0]
            meant = f"did you mean '{where[-1]}'?"
            if hint == meant or (len(strangers) == len(here) == 1 and not str(hint).startswith("did you mean")):
                told[stranger] = [(text, meant)]
                told.pop(where, None)


def _below(other: KeyPath, where: KeyPath) -> bool:
    return len(other) > len(where) and other[: len(where)] == where


def _same_union(told: Mapping[KeyPath, Sequence[object]], where: KeyPath) -> bool:
    """A complaint about the type of a container whose inside was understood by another member of the union."""
    return all(str(said).startswith(("('must be", '("must be')) for said in told[where])


def stands_in(data: Any, part: str | int) -> bool:
    """True if `data[part]` is there: a key of a mapping, an index of a list."""
    if isinstance(part, str):
        return isinstance(data, Mapping) and part in data
    return isinstance(data, (list, tuple)) and part < len(data)


def _where(error: ErrorDetails, data: Json) -> KeyPath:
    """Pydantic's location without the names of union members, as far as it exists in the data."""
    where: list[str | int] = []
    here: Any = data
    parts = error["loc"]
    for n, part in enumerate(parts):
        if stands_in(here, part):
            here = here[part]
        elif not (n == len(parts) - 1 and error["type"] == "missing" and isinstance(here, Mapping)):
            continue
        where.append(part)
    return tuple(where)


def _message(
    error: ErrorDetails, where: KeyPath, model: type[BaseModel], also: Iterable[str]
) -> tuple[str, str | None]:
    kind, context, value = error["type"], error.get("ctx", {}), error["input"]
    if kind == "missing":
        return "is required", None
    if kind == "extra_forbidden":
        known = [*fields_at(model, where[:-1]), *(also if len(where) == 1 else ())]
        return f"unknown key '{where[-1]}'", did_you_mean(where[-1], known) or one_of(known)
    if kind == "value_error":
        return error["msg"].removeprefix("Value error, "), None
    if kind in {"enum", "literal_error"}:
        expected = str(context.get("expected", "")).replace("'", "").replace(" or ", ", ")
        choices = [choice.strip() for choice in expected.split(",")]
        return f"{_shown(value)} is not one of {', '.join(choices)}", did_you_mean(value, choices)
    if (wanted := _WANTED.get(kind)) is not None:
        return f"must be {wanted}, not {_shown(value)}", None
    text = error["msg"].removeprefix("Input ").removeprefix("should ")
    return (f"{text[:1].lower()}{text[1:]}" if text == error["msg"] else f"must {text}, not {_shown(value)}"), None


_WANTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "set_type": "a list",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}


def _shown(value: Any) -> str:
    if value is None or isinstance(value, (Mapping, list, tuple)):
        return shape(value)
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def fields_at(model: type[BaseModel], where: KeyPath) -> list[str]:
    """The keys a model knows at a place inside it, by the names they are written with."""
    here: Any = model
    for part in where:
        owners = list(_models(here))
        if not owners:
            return []
        if isinstance(part, str):
            found = [f.annotation for o in owners for n, f in o.model_fields.items() if part in {n, f.alias}]
            if found:
                here = Union[tuple(found)]  # noqa: UP007 (built at run time)
    return [field.alias or name for owner in _models(here) for name, field in owner.model_fields.items()]


def _models(annotation: Any) -> Iterable[type[BaseModel]]:
    """The models inside an annotation: optionals, unions, containers."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) is Annotated:
        yield from _models(get_args(annotation)[0])
    elif get_origin(annotation) in {Union, types.UnionType} or get_origin(annotation) is not None:
        for argument in get_args(annotation):
            yield from _models(argument)


def _write_texts(errors: Sequence[ErrorDetails], data: Json, path: KeyPath, document: Document) -> bool:
    """Put the written text where the model wants text; True if anything changed."""
    changed = False
    for place in {_where(error, data) for error in errors if error["type"] == "string_type"}:
        text = document.texts.get((*path, *place))
        if not text or not place:
            continue
        here: Any = data
        for part in place[:-1]:
            here = here[part]
        changed = changed or here[place[-1]] != text
        here[place[-1]] = text
    return changed
