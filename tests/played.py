"""What the scenes of a pipeline show: each of its breakers has to be opened, each of its checks breached, in one.

A scene tells through a property of its test (those survive xdist): `played PIPELINE` = `breaker NAME|check NAME|...`. A
pipeline is looked at when every scene file of it (`SCENES`) is run whole; a run of some tests is left alone:

    .venv/bin/python -m pytest -q tests/scenarios/test_scenario_etl*.py

`NOT_PLAYED` names what no scene plays, with the reason; a name in it that is played is a fault as well.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from proven import ROOT

#: The pipeline's scene files begin so.
SCENES = {
    "jaunt-data-scout": "test_scenario_jaunt",
    "opendata-pulse": "test_scenario_opendata",
    "dataforge": "test_scenario_dataforge",
    "fluxa": "test_scenario_fluxa",
    "etl": "test_scenario_etl",
}
FOLDER = "tests/scenarios"

#: `PIPELINE/NAME`: why no scene trips that breaker or breaches that check.
NOT_PLAYED: Mapping[str, str] = {}


class Played:
    """Hears of every collected test, and of what each scene that passed showed."""

    def __init__(self, shipped: Callable[[str], Iterable[str]], excused: Mapping[str, str] = NOT_PLAYED) -> None:
        """`shipped(pipeline)`: `breaker NAME` of its breakers, `check NAME` of its checks that judge anything."""
        self._shipped = shipped
        self._excused = excused
        self._collected: set[str] = set()
        self._passed: set[str] = set()
        self._shown: dict[str, set[str]] = {name: set() for name in SCENES}

    def collected(self, nodes: Iterable[str]) -> None:
        """These will run."""
        self._collected.update(node.split("[")[0] for node in nodes)

    def ended(self, node: str, when: str, outcome: str, properties: Iterable[tuple[str, object]]) -> None:
        """A phase of one test ended; what it showed is complete after its teardown."""
        if when == "call" and outcome == "passed":
            self._passed.add(node)
        if when != "teardown" or node not in self._passed:
            return
        for key, value in properties:
            what, _, pipeline = key.partition(" ")
            if what == "played" and pipeline in self._shown:
                self._shown[pipeline].update(str(value).split("|"))

    def faults(self) -> list[str]:
        """A sentence per breaker that no scene opened, per check that none breached, per excuse that is none."""
        lines = []
        for pipeline in filter(self._is_whole, SCENES):
            shown = self._shown[pipeline]
            for part in sorted(self._shipped(pipeline)):
                kind, _, name = part.partition(" ")
                excused = f"{pipeline}/{name}" in self._excused
                if part not in shown and not excused:
                    lines.append(
                        f"{pipeline}: no scene {'opens the breaker' if kind == 'breaker' else 'breaches'} {name}"
                    )
                elif part in shown and excused:
                    lines.append(f"{pipeline}: the {kind} {name} is played, so it needs no excuse in NOT_PLAYED")
        return lines

    def _is_whole(self, pipeline: str) -> bool:
        files = sorted(Path(ROOT, FOLDER).glob(f"{SCENES[pipeline]}*.py"))
        wanted = {f"{FOLDER}/{file.name}::{name}" for file in files for name in scenes_in(file)}
        return bool(wanted) and wanted <= self._collected


def parts_of(pipeline: str) -> list[str]:
    """What a shipped file has to be played for."""
    from monitor.app import read_config, registry

    path = ROOT / "config" / "pipelines" / f"{pipeline}.yaml"
    spec = read_config([path], {"ACCOUNT_ID": "123456789012"}, registry()).pipelines[0]
    judging = [name for name, check in spec.checks.items() if any(check.judges(signal) for signal in check.units)]
    return [*(f"breaker {name}" for name in spec.breakers), *(f"check {name}" for name in judging)]


def told_by(events: Iterable[Mapping[str, object]]) -> str:
    """What a scene's feed shows, as the value of its property."""
    shown = set()
    for event in events:
        if event["event"] == "breaker.opened":
            shown.add(f"breaker {event['breaker']}")
        elif event["event"] == "level.changed" and event.get("now") in ("warning", "critical"):
            shown.add(f"check {event['check']}")
    return "|".join(sorted(shown))


def scenes_in(file: Path) -> list[str]:
    """Names of the file's tests."""
    defined = (ast.FunctionDef, ast.AsyncFunctionDef)
    body = ast.parse(file.read_text(encoding="utf-8")).body
    return [node.name for node in body if isinstance(node, defined) and node.name.startswith("test_")]
