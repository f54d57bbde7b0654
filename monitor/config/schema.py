"""The pipeline file's JSON Schema, draft-07, for editors: every kind's and action's parameters, closed objects.

It is as strict as a schema can be without reading the file as a whole: references between checks, breakers and steps,
and whether numbers make sense together, are the loader's.
"""

from __future__ import annotations

from typing import Any

from monitor.config.checks import COMMON
from monitor.config.draft7 import DURATION, VARIABLE, Schema, model_schema
from monitor.config.models import (
    TOP,
    ApproveSection,
    AwsSection,
    BoundSection,
    BreakerSection,
    ChannelSection,
    CheckSection,
    ClearSection,
    DefaultsSection,
    KillSwitchSection,
    MaintenanceSection,
    RampSection,
    Section,
    SignalSection,
    StepSection,
    TermSection,
    VerifySection,
)
from monitor.core.durations import format_duration
from monitor.core.spec import Bound
from monitor.plugin import Action, Check, Registry

_NAME = "^[A-Za-z0-9_-]+$"
_SECTIONS: dict[str, type[Section]] = {
    "aws": AwsSection,
    "defaults": DefaultsSection,
    "channel": ChannelSection,
    "maintenance": MaintenanceSection,
    "kill_switch": KillSwitchSection,
    "term": TermSection,
    "verify": VerifySection,
    "ramp": RampSection,
    "approve": ApproveSection,
    "clear": ClearSection,
    "bound": BoundSection,
    "signal": SignalSection,
    "breaker": BreakerSection,
}


def json_schema(registry: Registry) -> dict[str, Any]:
    """The schema of one pipeline file for this process's kinds and actions."""
    definitions = _shared()
    for name, section in _SECTIONS.items():
        definitions[name] = model_schema(section, name, definitions)
    for side in ("above", "below"):
        for owner in ("bound", "clear"):
            definitions[owner]["properties"][side] |= {"$ref": "#/definitions/amount"}
            _wrap(definitions[owner]["properties"], side)
    for level in ("warning", "critical"):
        definitions["signal"]["properties"][level] |= {"$ref": "#/definitions/bound"}
        _wrap(definitions["signal"]["properties"], level)
    definitions["bound.ClearSection"] = {"$ref": "#/definitions/clear"}
    definitions["bound"]["anyOf"] = [{"required": ["above"]}, {"required": ["below"]}]
    definitions["signal"]["minProperties"] = 1
    _breaker(definitions)
    definitions["step"] = _step(registry, definitions)
    definitions["check"] = _check(registry, definitions)
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "tripswitch pipeline",
        "description": "One pipeline: its checks, and the breakers that act on them.",
        "type": "object",
        "properties": {key: {"description": text, **_TOP[key]} for key, text in TOP.items()},
        "patternProperties": {"^x-": {"description": "Ignored; a place for YAML anchors."}},
        "additionalProperties": False,
        "required": ["pipeline", "checks"],
        "definitions": definitions,
    }


def _or_nothing(schema: Schema) -> Schema:
    """A key whose lines are all commented out is as good as none."""
    return {"anyOf": [schema, {"type": "null"}]}


def _ref(name: str) -> Schema:
    return {"allOf": [{"$ref": f"#/definitions/{name}"}]}


def _named(name: str) -> Schema:
    return {
        "type": "object",
        "propertyNames": {"pattern": _NAME},
        "additionalProperties": {"$ref": f"#/definitions/{name}"},
    }


_TOP: dict[str, Schema] = {
    "pipeline": {"anyOf": [{"type": "string", "pattern": _NAME}, VARIABLE]},
    "aws": _or_nothing(_ref("aws")),
    "vars": {
        "type": ["object", "null"],
        "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_-]*$"},
        "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
    },
    "defaults": _or_nothing(_ref("defaults")),
    "checks": {**_named("check"), "minProperties": 1},
    "breakers": _or_nothing(_named("breaker")),
    "notify": {"type": ["array", "null"], "items": {"$ref": "#/definitions/channel"}},
    "maintenance": {"type": ["array", "null"], "items": {"$ref": "#/definitions/maintenance"}},
    "kill_switch": _or_nothing(_ref("kill_switch")),
}


def _shared() -> Schema:
    return {
        "variable": {"type": "string", "pattern": r"\$\{", "description": "A variable, e.g. ${NAME:-default}."},
        "duration": {
            "anyOf": [{"type": "string", "pattern": DURATION}, {"const": 0}, VARIABLE],
            "examples": ["30s", "5m", "1h30m"],
        },
        "amount": {
            "description": "A number; where the signal's unit fits also 5%, 10MiB or 15m.",
            "anyOf": [
                {"type": "number"},
                {"type": "string", "pattern": r"^\s*[-+]?[0-9.]+([eE][-+]?\d+)?\s*(%|[kKMGT]?i?B)?\s*$"},
                {"type": "string", "pattern": DURATION},
                VARIABLE,
            ],
        },
        "selector": {
            "description": "Names, ARNs or globs, or tags that must all match.",
            "anyOf": [
                {"type": "string"},
                {"type": "array", "items": {"type": ["string", "number"]}, "minItems": 1},
                {
                    "type": "object",
                    "properties": {
                        "names": {"type": "array", "items": {"type": "string"}, "description": "Names, ARNs, globs."},
                        "tags": {
                            "type": "object",
                            "additionalProperties": {"type": ["string", "number", "boolean"]},
                            "description": "Tags that must all match; an empty value matches any.",
                        },
                    },
                    "additionalProperties": False,
                    "minProperties": 1,
                },
            ],
        },
        "condition": _condition(),
        "steps": {"type": "array", "items": {"$ref": "#/definitions/step"}},
    }


def _condition() -> Schema:
    conditions = {"type": "array", "items": {"$ref": "#/definitions/condition"}, "minItems": 1}
    count: Schema = {"anyOf": [{"type": "integer", "minimum": 1}, VARIABLE]}
    counted = {"count": count, "of": conditions}
    return {
        "description": "`check`, `check.signal`, a list (any of it), any, all, at_least, or a term with level and for.",
        "anyOf": [
            {"type": "string"},
            conditions,
            _closed({"any": conditions}, ["any"]),
            _closed({"all": conditions}, ["all"]),
            _closed({"at_least": count, "of": conditions}, ["at_least", "of"]),
            _closed({"at_least": _closed(counted, ["count", "of"])}, ["at_least"]),
            {"$ref": "#/definitions/term"},
        ],
    }


def _closed(properties: Schema, required: list[str]) -> Schema:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _wrap(properties: Schema, key: str) -> None:
    """Keep the description beside a reference, which draft-07 would ignore."""
    given = dict(properties[key])
    reference = given.pop("$ref")
    given.pop("default", None)
    properties[key] = {**given, "anyOf": [{"$ref": reference}, {"type": "null"}]}


def _breaker(definitions: Schema) -> None:
    breaker, recover = definitions["breaker"]["properties"], definitions["breaker.RecoverSection"]["properties"]
    breaker["trip_when"] |= {"$ref": "#/definitions/condition"}
    breaker["on_trip"] |= {"$ref": "#/definitions/steps"}
    recover["steps"] |= {"$ref": "#/definitions/steps"}
    for properties, key in ((breaker, "trip_when"), (breaker, "on_trip"), (recover, "steps")):
        _wrap(properties, key)
    breaker["trip_when"]["anyOf"].pop()  # required: null is no condition


def _step(registry: Registry, definitions: Schema) -> Schema:
    """One verb, with what may stand beside it. `approve` is a verb only when it stands alone."""
    properties: Schema = {}
    for name, action in sorted(registry.actions.items()):
        definitions[f"action.{name}"] = _action(action, definitions)
        properties[name] = {"description": _about(action), "anyOf": [{"$ref": f"#/definitions/action.{name}"}]}
        if not definitions[f"action.{name}"].get("required"):
            properties[name]["anyOf"].append({"type": "null"})
    definitions["ramp"] = _ramp(definitions, registry)
    verbs = [*properties, "wait", "verify", "undo", "ramp"]
    names = {"type": "string", "minLength": 1}
    properties |= {
        "wait": {"description": "Wait this long.", **_ref("duration")},
        "verify": {"description": "Wait until a check is well.", **_ref("verify")},
        "ramp": {"description": "Recovery: let a property back up rung by rung, then undo.", **_ref("ramp")},
        "undo": {
            "description": "Undo the receipts of these steps or actions, last first.",
            "anyOf": [names, {"type": "array", "items": names, "minItems": 1}],
        },
    }
    siblings = model_schema(StepSection, "step", definitions)["properties"]
    approvals = siblings["approve"]
    asked = [{"$ref": "#/definitions/approve"}, {"type": "null"}]
    properties |= siblings
    properties["approve"] = {
        "description": "As the only verb: wait for a person. Beside an action: whether to ask before it.",
        "anyOf": [*asked, *approvals["anyOf"]],
    }
    alone = {
        "required": ["approve"],
        "properties": {"approve": {"anyOf": asked}},
        "not": {"anyOf": [{"required": [verb]} for verb in verbs]},
    }
    beside = [{"required": [verb], "properties": {"approve": {"type": ["string", "null"]}}} for verb in verbs]
    return {"type": "object", "properties": properties, "additionalProperties": False, "oneOf": [*beside, alone]}


def _ramp(definitions: Schema, registry: Registry) -> Schema:
    """Exactly one action that can be undone, beside the rungs; its parameters are those that no rung gives."""
    ramp: Schema = definitions["ramp"]
    ramp["properties"]["verify"] = {"description": "What must be well before the next rung.", **_ref("verify")}
    fit = sorted(name for name, action in registry.actions.items() if action.undo is not None)
    ramp["properties"] |= {name: {"type": ["object", "null"]} for name in fit}
    ramp["oneOf"] = [{"required": [name]} for name in fit]
    return ramp


def _about(action: Action[Any]) -> str:
    undone = "can be undone" if action.undo is not None else "cannot be undone"
    return f"{action.summary} ({action.risk}, {undone}) Blast radius: {action.blast_radius}"


def _action(action: Action[Any], definitions: Schema) -> Schema:
    """Its parameters; `resource_field` may be left out, or be what the trip breached on."""
    schema = model_schema(action.params, f"action.{action.name}", definitions)
    field = action.resource_field
    if field is not None and field in schema.get("properties", {}):
        schema["required"] = [name for name in schema.get("required", []) if name != field]
        given = schema["properties"][field]
        if action.takes_many:
            notes = {key: given.pop(key) for key in ("description", "default") if key in given}
            schema["properties"][field] = {**notes, "anyOf": [given, VARIABLE]}
    if not schema.get("required"):
        schema.pop("required", None)
    return schema


def _check(registry: Registry, definitions: Schema) -> Schema:
    """One branch per kind, chosen by `kind`; a branch is a closed object, so that editors complete exactly its keys."""
    branches = []
    common = model_schema(CheckSection, "check", definitions)["properties"]
    for name, kind in sorted(registry.kinds.items()):
        definitions[f"check.{name}"] = _kind(kind, common, definitions)
        branches.append(
            {
                "if": {"properties": {"kind": {"const": name}}, "required": ["kind"]},
                "then": {"$ref": f"#/definitions/check.{name}"},
            }
        )
    kinds = sorted(registry.kinds)
    chosen = {
        "description": "What is measured.",
        "type": "string",
        "enum": kinds,
        "markdownEnumDescriptions": [f"{kind.summary} Cost: {kind.cost}" for _, kind in sorted(registry.kinds.items())],
    }
    return {"type": "object", "properties": {"kind": chosen}, "required": ["kind"], "allOf": branches}


def _kind(kind: Check[Any], common: Schema, definitions: Schema) -> Schema:
    own = model_schema(kind.params, f"check.{kind.kind}", definitions)
    properties = {**own.get("properties", {}), **common}
    properties["kind"] = {"const": kind.kind, "description": kind.summary}
    interval = f"Time between runs; {format_duration(kind.interval)} if not said anywhere."
    properties["interval"] = {**common["interval"], "description": interval}
    properties["thresholds"] = {
        "description": common["thresholds"].get("description", ""),
        "type": ["object", "null"],
        "properties": {signal.name: _signal(kind, signal.name) for signal in kind.signals},
        "additionalProperties": False,
    }
    required = [name for name in own.get("required", []) if name not in COMMON]
    return {
        "description": kind.summary,
        "type": "object",
        "properties": properties,
        "required": ["kind", *required],
        "additionalProperties": False,
    }


def _signal(kind: Check[Any], name: str) -> Schema:
    signal = next(signal for signal in kind.signals if signal.name == name)
    default = kind.defaults.get(name)
    lines = [] if default is None else [("warning", default.warning), ("critical", default.critical)]
    said = "; ".join(f"{level} {_told(bound)}" for level, bound in lines if bound is not None)
    return {
        "description": f"{signal.help} Unit: {signal.unit}. Default: {said or 'none'}.",
        "anyOf": [{"$ref": "#/definitions/signal"}, {"enum": ["off", False]}],
    }


def _told(bound: Bound) -> str:
    lines = (("above", bound.above), ("below", bound.below))
    sides = [f"{side} {value:g}" for side, value in lines if value is not None]
    return " or ".join(sides) + (f" for {format_duration(bound.hold)}" if bound.hold else "")
