"""The JSON Schema that editors read agrees with the loader."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from config_fakes import REGISTRY
from jsonschema import Draft7Validator
from ruamel.yaml import YAML

from monitor.config import json_schema

HERE = Path(__file__).parent
SCHEMA = json_schema(REGISTRY)
VALIDATOR = Draft7Validator(SCHEMA)

#: Mistakes of shape, which an editor must underline. The others need the whole file, the environment or arithmetic.
SHAPES = [
    "breaker-limits", "breaker-mode", "breaker-unknown-key", "breaker-without-condition", "check-interval",
    "check-interval-number", "check-not-a-mapping", "check-param-missing", "check-param-nested-range",
    "check-param-nested-unknown", "check-param-number", "check-selector-empty", "check-selector-key", "check-severity",
    "check-unknown-key", "check-unknown-kind", "check-without-kind", "checks-missing", "condition-at-least-without-of",
    "condition-empty", "condition-key", "condition-unknown-level", "defaults-unknown-key", "kill-switch",
    "notify-not-a-list", "notify-severity", "pipeline-missing", "pipeline-name-with-dot", "recover-mode",
    "step-approve-word", "step-no-verb", "step-on-error", "step-param-missing", "step-param-type", "step-param-unknown",
    "step-text", "step-two-verbs", "step-unknown-action", "step-wait", "threshold-boolean", "threshold-growth",
    "threshold-level-unknown", "threshold-missing", "threshold-no-bound", "threshold-not-a-number", "threshold-on",
    "threshold-says-nothing", "threshold-shorthand", "threshold-unknown-signal", "top-unknown-key", "vars-list",
]  # fmt: skip


def _read(path: Path) -> Any:
    return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))


def _walk(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from _walk(value)
    elif isinstance(node, list):
        for value in node:
            yield from _walk(value)


def test_it_is_a_draft_7_schema() -> None:
    """Checked against the meta-schema; nothing of newer drafts is left in it."""
    Draft7Validator.check_schema(SCHEMA)
    newer = {"$defs", "prefixItems", "discriminator", "unevaluatedProperties", "dependentRequired"}
    assert not any(newer & set(node) for node in _walk(SCHEMA))
    json.dumps(SCHEMA)


def test_every_reference_leads_somewhere() -> None:
    """And stands alone, for draft-07 ignores what is beside it."""
    for node in _walk(SCHEMA):
        if isinstance(target := node.get("$ref"), str):
            assert target.removeprefix("#/definitions/") in SCHEMA["definitions"]
            assert len(node) == 1


@pytest.mark.parametrize("name", ["etl", "everything"])
def test_good_files_are_valid(name: str) -> None:
    """An editor underlines nothing in a file that loads."""
    assert [error.message for error in VALIDATOR.iter_errors(_read(HERE / "good" / f"{name}.yaml"))] == []


@pytest.mark.parametrize("name", SHAPES)
def test_mistakes_of_shape_are_underlined(name: str) -> None:
    """The editor sees what the loader would refuse."""
    assert not VALIDATOR.is_valid(_read(HERE / "broken" / f"{name}.yaml"))


def test_every_kind_and_signal_is_described() -> None:
    """Each kind is a closed object with its own parameters, signals and the common keys."""
    for kind in REGISTRY.kinds.values():
        branch = SCHEMA["definitions"][f"check.{kind.kind}"]
        assert branch["additionalProperties"] is False
        assert {*kind.params.model_fields, "interval", "thresholds", "runbook"} <= set(branch["properties"])
        assert set(branch["properties"]["thresholds"]["properties"]) == {signal.name for signal in kind.signals}


def test_durations_have_defaults_as_people_write_them() -> None:
    """Not ISO 8601, which the loader refuses."""
    assert SCHEMA["definitions"]["check.execution_rate"]["properties"]["window"]["default"] == "1m"
    assert SCHEMA["definitions"]["breaker.RecoverSection"]["properties"]["after"]["default"] == "15m"


def test_the_target_of_an_action_may_be_left_out() -> None:
    """It then is what the trip breached on; other parameters stay required."""
    required = SCHEMA["definitions"]["action.set_lambda_concurrency"]["required"]
    assert required == ["reserved"]
