"""Pydantic's JSON Schema (2020-12) as draft-07, which is what editors and Helm read, with room for variables."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, TypeAdapter, WithJsonSchema
from pydantic_core import PydanticUndefined

from monitor.core.durations import format_duration
from monitor.plugin import Selector

Schema = dict[str, Any]

#: As monitor.plugin.Duration says it.
DURATION = r"^(\d+(\.\d+)?(ms|s|m|h|d|w))+$"
VARIABLE = {"$ref": "#/definitions/variable"}
_MAPS = frozenset({"properties", "patternProperties", "definitions", "$defs"})
_LISTS = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_NESTED = frozenset({"items", "additionalProperties", "not", "if", "then", "else", "propertyNames", "contains"})
_DROPPED = frozenset({"title", "discriminator", "$schema"})
_NOTES = frozenset({"description", "default", "examples", "deprecated"})
_ISO = re.compile(r"-?P[0-9T]")
_STRICT = frozenset({"integer", "number", "boolean"})


def model_schema(model: type[BaseModel], prefix: str, definitions: Schema) -> Schema:
    """The model's closed object in draft-07; what it refers to goes into `definitions` under `prefix.NAME`.

    A `Selector` becomes the shared definition that also knows its short forms.
    """
    raw = model.model_json_schema(by_alias=True, mode="validation")
    for name, inner in raw.pop("$defs", {}).items():
        if not _is_selector(name, inner):
            definitions[f"{prefix}.{name}"] = convert(inner, prefix)
    whole: Schema = convert(raw, prefix)
    for name in sorted(_reads_short_forms(model) & set(whole.get("properties", ()))):
        given = whole["properties"][name]
        notes = {key: given.pop(key) for key in sorted(_NOTES & set(given))}
        whole["properties"][name] = {**notes, "anyOf": [given, {"type": ["string", "number", "boolean", "null"]}]}
    return whole


def _reads_short_forms(model: type[BaseModel]) -> set[str]:
    """Fields whose own validator runs before the type's: what they accept besides, their schema does not say."""
    fields = {
        name
        for name, field in model.model_fields.items()
        if _is_silent(field.metadata) or _holds_silence(field.annotation)
    }
    for decorator in model.__pydantic_decorators__.field_validators.values():
        if decorator.info.mode in {"before", "plain", "wrap"}:
            fields |= set(decorator.info.fields)
    return fields


def _is_silent(metadata: Sequence[object]) -> bool:
    early = [one for one in metadata if isinstance(one, BeforeValidator)]
    said = any(isinstance(one, WithJsonSchema) for one in metadata)
    return not said and any(one.json_schema_input_type is PydanticUndefined for one in early)


def _holds_silence(annotation: Any) -> bool:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        # A model that takes short forms of itself (a text for a mapping); selectors say theirs.
        validators = annotation.__pydantic_decorators__.model_validators.values()
        return annotation is not Selector and any(one.info.mode == "before" for one in validators)
    if get_origin(annotation) is Annotated and _is_silent(annotation.__metadata__):
        return True
    return any(_holds_silence(argument) for argument in get_args(annotation))


def _is_selector(name: str, inner: Mapping[str, Any]) -> bool:
    return name == "Selector" and set(inner.get("properties", ())) == {"names", "tags"}


def convert(node: Any, prefix: str) -> Any:
    """One schema, recursively."""
    if not isinstance(node, Mapping):
        return node
    out: Schema = {}
    for key, value in node.items():
        if key in _DROPPED or (key == "default" and (value is None or isinstance(value, Mapping))):
            continue
        if key in _MAPS and isinstance(value, Mapping):
            out[key] = {name: convert(inner, prefix) for name, inner in value.items()}
        elif key in _LISTS:
            out[key] = [convert(inner, prefix) for inner in value]
        elif key == "$ref":
            out[key] = _reference(str(value), prefix)
        else:
            out[key] = convert(value, prefix) if key in _NESTED else value
    if _ISO.match(str(out.get("default"))) and "pattern" in out:
        out["default"] = format_duration(TypeAdapter(timedelta).validate_python(out["default"]))
    return _with_variable(_lone_reference(_tuple(out)))


def _reference(target: str, prefix: str) -> str:
    name = target.rsplit("/", 1)[-1]
    return "#/definitions/selector" if name == "Selector" else f"#/definitions/{prefix}.{name}"


def _tuple(node: Schema) -> Schema:
    """`prefixItems` is an array under `items` in draft-07, and `items` beside it is `additionalItems`."""
    if "prefixItems" in node:
        rest = node.pop("items", None)
        node["items"] = node.pop("prefixItems")
        node["additionalItems"] = False if rest is None else rest
    return node


def _lone_reference(node: Schema) -> Schema:
    """Draft-07 ignores everything beside `$ref`."""
    if "$ref" in node and len(node) > 1:
        node["allOf"] = [{"$ref": node.pop("$ref")}, *node.get("allOf", [])]
    return node


def _with_variable(node: Schema) -> Schema:
    """Where not any text will do, `${name}` will: what it stands for is checked when the file is loaded.

    Where any text will do, a number will: the loader takes it as written (account ids, ports in names).
    """
    if node.get("type") == "string" and not {"enum", "const", "pattern", "format"} & set(node):
        return {**node, "type": ["string", "number"]}
    strict = node.get("type") in _STRICT or (node.get("type") == "string" and bool({"enum", "pattern"} & set(node)))
    if not strict and not ("enum" in node and "type" not in node):
        return node
    notes = {key: node[key] for key in node if key in _NOTES}
    core = {key: node[key] for key in node if key not in _NOTES}
    zero = [{"const": 0}] if node.get("pattern") == DURATION else []
    return {**notes, "anyOf": [core, *zero, VARIABLE]}
