"""Which scenarios of the coverage file ran and passed in this session."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[1]
COVERAGE = ROOT / "config" / "coverage.yaml"


def read_coverage(path: Path = COVERAGE) -> Mapping[str, Any]:
    """`rows` and `missing` of the file."""
    found: Mapping[str, Any] = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    return found


class Recorder:
    """Hears of every collected test and of every outcome; the process that reports is where it listens."""

    def __init__(self, rows: Mapping[str, Mapping[str, Any]]) -> None:
        self._scenarios = {row: str(said["scenario"]) for row, said in rows.items()}
        self._collected: set[str] = set()
        self._passed: set[str] = set()
        self._spoiled: set[str] = set()

    def collected(self, nodes: Iterable[str]) -> None:
        """These will run."""
        self._collected.update(nodes)

    def ended(self, node: str, when: str, outcome: str, *, expected_failure: bool = False) -> None:
        """One phase (setup, call, teardown) of one test ended; a pass that was marked to fail is no pass."""
        if outcome != "passed" or expected_failure:
            self._spoiled.add(node)
        elif when == "call":
            self._passed.add(node)

    def unproven(self) -> list[str]:
        """`ROW: SCENARIO` for those that did not pass. Empty unless every scenario was asked to run."""
        if not self._scenarios or not set(self._scenarios.values()) <= self._collected:
            return []
        proven = self._passed - self._spoiled
        return [f"{row}: {node}" for row, node in self._scenarios.items() if node not in proven]
