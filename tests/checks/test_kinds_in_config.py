"""Every kind as a pipeline file uses it: its example loads, and AWS's models accept what it names."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

from checks import KINDS
from monitor.aws import Operations
from monitor.config import ConfigError, load
from monitor.plugin import Check, Registry

REGISTRY = Registry(kinds={check.kind: check for check in KINDS}, actions={})


def write(folder: Path, check: str) -> Path:
    """A pipeline file with one check."""
    file = folder / "p.yaml"
    file.write_text("pipeline: p\naws: {region: us-east-1}\nchecks:\n" + textwrap.indent(check, "  "))
    return file


@pytest.mark.parametrize("check", KINDS, ids=lambda check: check.kind)
def test_the_example_is_a_valid_check(check: Check[Any], tmp_path: Path) -> None:
    """As `explain` prints it, it can be pasted."""
    loaded = load([write(tmp_path, check.example)], REGISTRY, {}, Operations())
    (spec,) = loaded.pipelines[0].checks.values()
    assert spec.kind == check.kind
    assert set(spec.signals) <= {signal.name for signal in check.signals}


@pytest.mark.parametrize("check", KINDS, ids=lambda check: check.kind)
def test_without_thresholds_the_defaults_stand(check: Check[Any], tmp_path: Path) -> None:
    """Every kind judges something out of the box."""
    body = check.example.split("  thresholds:")[0]
    loaded = load([write(tmp_path, body)], REGISTRY, {}, Operations())
    (spec,) = loaded.pipelines[0].checks.values()
    judged = {name for name, signal in spec.signals.items() if signal.warning or signal.critical}
    assert judged == set(check.defaults)
    assert judged


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("operation: get-functoin", "get-function"),
        ("operation: delete-function", "only reads"),
        ("query: Configuration.Stat", "State"),
    ],
)
def test_a_query_that_cannot_work_is_refused_at_load(line: str, message: str, tmp_path: Path) -> None:
    """The service model knows operations and fields; the message says what to write."""
    (check,) = [check for check in KINDS if check.kind == "aws_query"]
    key = line.split(":", maxsplit=1)[0]
    lines = [f"  {line}" if one.startswith(f"  {key}:") else one for one in check.example.splitlines()]
    with pytest.raises(ConfigError, match=message):
        load([write(tmp_path, "\n".join(lines) + "\n")], REGISTRY, {}, Operations())
