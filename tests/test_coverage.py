"""config/coverage.yaml against the matrix, the shipped pipeline files and the scenarios."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from proven import ROOT, Recorder, read_coverage

from monitor.app import read_config, registry
from monitor.core.model import Mode, Risk
from monitor.core.spec import BreakerSpec, Pipeline, StepSpec
from monitor.plugin import Registry

#: Every row of the matrix.
MATRIX = (
    *("A1", "A1b", "A1c", "A2", "A2b", "A2c", "A3", "A3b", "A4", "A5", "A6", "A7", "A8", "A9"),
    *("B1", "B1b", "B1c", "B1d", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B9", "B10", "B11", "B12", "B13", "B14"),
    *("C1", "C1b", "C1c", "C1d", "C2", "C2b", "C3", "C3b", "C3c", "C3d", "C4"),
    *(f"D{number}" for number in range(1, 18)),
    *("E1", "E2", "E3", "E4", "E4b", "E5", "E6"),
)
COVERAGE = read_coverage()
ROWS: dict[str, dict[str, Any]] = COVERAGE["rows"]
MISSING: dict[str, str] = COVERAGE.get("missing") or {}
KEYS = {"pipeline", "checks", "breakers", "serves", "approval", "scenario"}
#: Each pipeline's letter.
FILES = {"A": "jaunt-data-scout", "B": "opendata-pulse", "C": "dataforge", "D": "fluxa", "E": "etl"}

every_row = pytest.mark.parametrize("row", ROWS)


def test_the_matrix_has_sixty_six_rows():
    """Each id once."""
    assert len(MATRIX) == len(set(MATRIX)) == 66


def test_every_row_is_served_or_named_as_missing():
    """Nothing is forgotten, nothing invented, nothing in both places."""
    assert sorted([*ROWS, *MISSING]) == sorted(MATRIX)


def test_nothing_is_missing():
    """Every row is served: whoever takes one out has to change this sentence too."""
    assert COVERAGE["missing"] is None


@every_row
def test_row_is_whole(row):
    """All keys, no others, of the right kinds; the file is the pipeline's own."""
    said = ROWS[row]
    assert set(said) == KEYS
    assert said["pipeline"] == FILES[row[0]]
    assert said["serves"] in ("act", "report", "notify")
    assert isinstance(said["approval"], bool)
    assert said["checks"]


@every_row
def test_row_names_what_stands_in_the_file(row):
    """Every check and every breaker."""
    said, pipeline = ROWS[row], shipped(ROWS[row]["pipeline"])
    assert set(said["checks"]) <= set(pipeline.checks)
    assert set(said["breakers"]) <= set(pipeline.breakers)


@every_row
def test_acting_row_acts(row):
    """A row that acts has a breaker whose playbook changes something, and whoever says `approval` has a step for it."""
    said = ROWS[row]
    breakers = [shipped(said["pipeline"]).breakers[name] for name in said["breakers"]]
    steps = [step for spec in breakers for step in steps_of(spec)]
    if said["serves"] == "act":
        assert any(risk_of(step) not in (None, Risk.NOTIFY) for step in steps)
    assert said["approval"] == any(asks_a_person(spec) for spec in breakers)


@every_row
def test_scenario_stands_where_the_row_says(row):
    """FILE::FUNCTION, in tests/scenarios, named after the row or a row it shares the incident with."""
    file, _, function = ROWS[row]["scenario"].partition("::")
    assert Path(file).parent == Path("tests/scenarios")
    assert function.split("[")[0] in functions_in(ROOT / file)


def test_recorder_wants_a_pass_of_every_row():
    """Skipped, failed in teardown and not run are no passes; a partial run proves and disproves nothing."""
    rows = {row: {"scenario": f"s::{row}"} for row in ("A1", "A2", "A3", "A4")}
    recorder = Recorder(rows)
    recorder.collected(["s::A1", "s::A2", "s::A3"])
    assert recorder.unproven() == []
    recorder.collected(["s::A4"])
    recorder.ended("s::A1", "call", "passed")
    recorder.ended("s::A2", "setup", "skipped")
    recorder.ended("s::A3", "call", "passed")
    recorder.ended("s::A3", "teardown", "failed")
    assert recorder.unproven() == ["A2: s::A2", "A3: s::A3", "A4: s::A4"]


def test_recorder_takes_an_expected_failure_for_none():
    """xpass is no proof either."""
    recorder = Recorder({"A1": {"scenario": "s::A1"}})
    recorder.collected(["s::A1"])
    recorder.ended("s::A1", "call", "passed", expected_failure=True)
    assert recorder.unproven() == ["A1: s::A1"]


@functools.lru_cache(maxsize=8)
def shipped(name: str) -> Pipeline:
    """A shipped file, whole."""
    path = ROOT / "config" / "pipelines" / f"{name}.yaml"
    return read_config([path], {"ACCOUNT_ID": "123456789012"}, known()).pipelines[0]


@functools.lru_cache(maxsize=1)
def known() -> Registry:
    """Shipped kinds and actions."""
    return registry()


@functools.lru_cache(maxsize=32)
def functions_in(path: Path) -> frozenset[str]:
    """Names of the file's tests."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    defined = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in tree.body if isinstance(node, defined) and node.name.startswith("test_"))


def steps_of(spec: BreakerSpec) -> Iterator[StepSpec]:
    """Of both playbooks."""
    yield from spec.on_trip
    yield from spec.recover.steps or ()


def risk_of(step: StepSpec) -> Risk | None:
    """What an action's step may do; None for waiting, verifying, undoing."""
    action = known().actions.get(step.verb)
    if action is None:
        return None
    told = step.params.get("risk")
    return Risk(str(told)) if told is not None else action.risk


def asks_a_person(spec: BreakerSpec) -> bool:
    """By its mode, a step of its own, a step's `approve: always`, or a destructive action."""
    return spec.mode is Mode.APPROVE or any(
        step.verb == "approve"
        or step.approve == "always"
        or (risk_of(step) is Risk.DESTRUCTIVE and step.approve != "never")
        for step in steps_of(spec)
    )
