"""The kinds and actions that ship, through the loader and the schema."""

from __future__ import annotations

from pathlib import Path

import pytest
from jsonschema import Draft7Validator
from ruamel.yaml import YAML

from checks import KINDS
from monitor.actions import ACTIONS
from monitor.config import json_schema, load
from monitor.plugin import Action, Check, Registry

REGISTRY = Registry({kind.kind: kind for kind in KINDS}, {action.name: action for action in ACTIONS})
VALIDATOR = Draft7Validator(json_schema(REGISTRY))


def _loads(text: str, tmp_path: Path) -> None:
    path = tmp_path / "example.yaml"
    path.write_text(text, encoding="utf-8")
    load([path], REGISTRY, {"ACCOUNT_ID": "123456789012", "AWS_REGION": "us-east-1"})
    data = YAML(typ="safe", pure=True).load(text)
    assert [error.message for error in VALIDATOR.iter_errors(data)] == []


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_the_example_of_a_kind_loads(kind: Check[object], tmp_path: Path) -> None:
    """Also by the schema."""
    example = YAML(typ="safe", pure=True).load(kind.example)
    body = example if "kind" in example else next(iter(example.values()))
    lines = YAML(typ="safe", pure=True)
    lines.default_flow_style = True
    path = tmp_path / "body.yaml"
    with path.open("w") as file:
        lines.dump({"pipeline": "a", "checks": {"example": body}}, file)
    _loads(path.read_text(), tmp_path)


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.name)
def test_the_example_of_an_action_loads(action: Action[object], tmp_path: Path) -> None:
    """As a step of a breaker, also by the schema."""
    kind = KINDS[0]
    example = YAML(typ="safe", pure=True).load(kind.example)
    body = example if "kind" in example else next(iter(example.values()))
    step = YAML(typ="safe", pure=True).load(action.example)
    signal = kind.signals[0].name
    body["thresholds"] = {signal: {"critical": {"above": 1}}}
    document = {
        "pipeline": "a",
        "checks": {"example": body},
        "breakers": {"b": {"trip_when": f"example.{signal}", "on_trip": [step]}},
    }
    path = tmp_path / "body.yaml"
    with path.open("w") as file:
        YAML(typ="safe", pure=True).dump(document, file)
    _loads(path.read_text(), tmp_path)


@pytest.mark.parametrize("path", sorted((Path(__file__).parents[2] / "config/pipelines").glob("*.yaml")), ids=str)
def test_a_shipped_file_loads_offline(path: Path) -> None:
    """With an account id alone; no secret is resolved and nothing is asked of AWS."""
    load([path], REGISTRY, {"ACCOUNT_ID": "123456789012"})
    errors = VALIDATOR.iter_errors(YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8")))
    assert [error.message for error in errors] == []
