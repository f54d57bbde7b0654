"""Kinds and actions as plain values, for `explain` on paper and in JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import Enum
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from monitor.core.durations import format_duration
from monitor.core.spec import Bound, Clear
from monitor.plugin import Action, Check, Params


def kind(check: Check[Any]) -> dict[str, Any]:
    """What there is to know of a kind."""
    return {
        "kind": check.kind,
        "summary": check.summary,
        "interval": format_duration(check.interval),
        "parameters": parameters(check.params),
        "signals": [
            {
                "name": signal.name,
                "unit": signal.unit,
                "help": signal.help,
                "missing": str(spec.missing if (spec := check.defaults.get(signal.name)) else signal.missing),
                "thresholds": {
                    level: words(bound)
                    for level in ("warning", "critical")
                    if spec is not None and (bound := getattr(spec, level)) is not None
                },
            }
            for signal in check.signals
        ],
        "cost": check.cost,
        "permissions": list(check.permissions),
        "example": check.example.strip("\n"),
    }


def action(known: Action[Any]) -> dict[str, Any]:
    """What there is to know of an action."""
    return {
        "action": known.name,
        "summary": known.summary,
        "risk": str(known.risk),
        "risk_depends_on_parameters": known.risk_of is not None,
        "undo": known.undo is not None,
        "blast_radius": known.blast_radius,
        "parameters": parameters(known.params),
        "defaults_to_targets": known.resource_field,
        "permissions": list(known.permissions),
        "example": known.example.strip("\n"),
    }


def words(bound: Bound | Clear) -> str:
    """`above 200 for 2m, clears below 100 for 5m`."""
    sides = " or ".join(f"{s} {getattr(bound, s):g}" for s in ("above", "below") if getattr(bound, s) is not None)
    text = sides or "not breached"
    if bound.hold:
        text += f" for {format_duration(bound.hold)}"
    if isinstance(bound, Bound):
        if bound.datapoints is not None:
            text += f" in {bound.datapoints} of {bound.of} runs"
        if bound.clear is not None:
            text += f", clears {words(bound.clear)}"
    return text


def parameters(model: type[Params]) -> list[dict[str, Any]]:
    """Name, type in words, whether it is required, default, description; what is inside a parameter follows it.

    `metrics.NAME.stat` is a key of every mapping under `metrics`, `columns[].name` one of every item of `columns`.
    """
    schema = model.model_json_schema(by_alias=True)
    definitions = schema.get("$defs", {})
    listed = []
    for name, field in model.model_fields.items():
        shown = field.alias or name
        one: dict[str, Any] = {
            "name": shown,
            "type": type_words(schema["properties"][shown], definitions),
            "required": field.is_required(),
            "description": field.description or "",
        }
        if not field.is_required():
            one["default"] = _plain(field.get_default(call_default_factory=True, validated_data={}))
        listed.append(one)
        listed += _inside(schema["properties"][shown], definitions, shown)
    return listed


def _inside(
    schema: Mapping[str, Any], definitions: Mapping[str, Any], path: str, depth: int = 3
) -> list[dict[str, Any]]:
    """The keys of mappings inside a parameter. Selectors have their own words and are not opened."""
    if not depth:
        return []
    if "$ref" in schema:
        name = str(schema["$ref"]).rsplit("/", 1)[-1]
        return [] if name == "Selector" else _inside(definitions.get(name, {}), definitions, path, depth)
    listed: list[dict[str, Any]] = []
    for several in ("anyOf", "oneOf", "allOf"):
        for part in schema.get(several, ()):
            listed += _inside(part, definitions, path, depth)
    for key, more in (("items", "[]"), ("additionalProperties", ".NAME")):
        if isinstance(schema.get(key), Mapping):
            listed += _inside(schema[key], definitions, f"{path}{more}", depth)
    for name, inner in schema.get("properties", {}).items():
        required = name in schema.get("required", ())
        one = {
            "name": f"{path}.{name}",
            "type": type_words(inner, definitions),
            "required": required,
            "description": inner.get("description", ""),
        }
        listed.append(one if required else {**one, "default": inner.get("default")})
        listed += _inside(inner, definitions, f"{path}.{name}", depth - 1)
    return listed


def type_words(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """A JSON Schema as a person says it: `whole number`, `duration`, `list of text`, `observe | auto`."""
    if "$ref" in schema:
        name = str(schema["$ref"]).rsplit("/", 1)[-1]
        return "selector" if name == "Selector" else type_words(definitions.get(name, {}), definitions)
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            parts = (type_words(part, definitions) for part in schema[several] if part.get("type") != "null")
            return " | ".join(dict.fromkeys(parts))
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"])
    if "const" in schema:
        return str(schema["const"])
    if schema.get("type") == "array":
        inner = schema.get("items")
        return f"list of {type_words(inner, definitions)}" if isinstance(inner, Mapping) else "list"
    if schema.get("type") == "object":
        inner = schema.get("additionalProperties")
        return f"mapping to {type_words(inner, definitions)}" if isinstance(inner, Mapping) else "mapping"
    if schema.get("type") == "string" and "ms|s|m|h" in str(schema.get("pattern", "")):
        return "duration"
    plain = {"integer": "whole number", "number": "number", "boolean": "true or false", "string": "text"}
    return plain.get(str(schema.get("type")), "any value") + _limits(schema)


def _limits(schema: Mapping[str, Any]) -> str:
    signs = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    told = [f"{sign} {schema[key]:g}" for key, sign in signs.items() if key in schema]
    return f" ({', '.join(told)})" if told else ""


def _plain(value: Any) -> Any:
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return to_jsonable_python(value)
