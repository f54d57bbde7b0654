"""The same through the real Helm 3.6 command: an umbrella chart renders every case in one go."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import helm_python
import pytest
import yaml
from chart_cases import BASE, CASES, SINGLE, STRUCTURAL, over
from chart_render import CHART, Objects, ask, objects, validator
from test_chart_refusals import PLACES, SENTENCES

pytestmark = pytest.mark.process

ANY = "1.31.0"


def values_file(folder: Path, values: dict[str, Any]) -> str:
    """Values as a file; JSON is YAML."""
    file = folder / "values.yaml"
    file.write_text(json.dumps(values))
    return str(file)


def umbrella(folder: Path, light: Path) -> Path:
    """A chart whose dependencies are this one, once per case under an alias."""
    aliases = {f"case{number}": name for number, name in enumerate(CASES)}
    parent = folder / "umbrella"
    shutil.copytree(light, parent / "charts" / "tripswitch")
    version = yaml.safe_load((light / "Chart.yaml").read_text())["version"]
    dependencies = [{"name": "tripswitch", "version": version, "alias": alias, "repository": ""} for alias in aliases]
    meta = {"apiVersion": "v2", "name": "umbrella", "version": "1.0.0", "dependencies": dependencies}
    (parent / "Chart.yaml").write_text(yaml.safe_dump(meta))
    values = {alias: CASES[name] for alias, name in aliases.items()}
    (parent / "values.yaml").write_text(json.dumps(values))
    return parent


def by_name(found: Objects) -> dict[tuple[str, str], Objects]:
    """(kind, name) -> objects, of which some cases have several alike."""
    told: dict[tuple[str, str], Objects] = {}
    for one in found:
        told.setdefault((one["kind"], one["metadata"]["name"]), []).append(one)
    return {key: sorted(several, key=lambda one: json.dumps(one, sort_keys=True)) for key, several in told.items()}


def test_helm_3_renders_every_case_like_helm_4(helm: str, light: Path, tmp_path: Path) -> None:
    """Document by document; so what is valid from one is valid from the other."""
    parent = umbrella(tmp_path, light)
    told = ask(helm, "template", "t", str(parent), "--namespace", "ns", "--kube-version", ANY)
    assert told.returncode == 0, told.stderr[-2000:]
    three = objects(told.stdout)
    with helm_python.Chart.load(parent) as loaded:
        files = loaded.render({}, name="t", namespace="ns")
    four = [one for name, text in files.items() if not name.endswith("NOTES.txt") for one in objects(text)]
    assert len(three) > 5 * len(CASES)
    assert by_name(three) == by_name(four)
    deployments = [one for one in three if one["kind"] == "Deployment"]
    assert len(deployments) == len(CASES)
    assert [error for one in deployments for error in validator(ANY, "Deployment", "apps/v1").iter_errors(one)] == []


@pytest.mark.parametrize("name", sorted(SINGLE | STRUCTURAL)[::8])
def test_helm_3_takes_the_full_chart(name: str, helm: str, tmp_path: Path) -> None:
    """With the pipelines' schema, one command per case."""
    told = ask(helm, "template", "t", str(CHART), "-f", values_file(tmp_path, CASES[name]), "--kube-version", ANY)
    assert told.returncode == 0, told.stderr


def test_helm_3_finds_nothing_to_lint(helm: str, tmp_path: Path) -> None:
    """Strictly, with all that can be on."""
    on = {name: {"enabled": True} for name in ("serviceMonitor", "prometheusRule", "dashboards", "networkPolicy")}
    told = ask(helm, "lint", "--strict", str(CHART), "-f", values_file(tmp_path, over(BASE, on)))
    assert told.returncode == 0, told.stdout
    assert not re.search(r"\[(INFO|WARNING|ERROR)\]", told.stdout), told.stdout


@pytest.mark.parametrize("sentence", list(SENTENCES)[::3])
def test_helm_3_says_the_same_sentences(sentence: str, helm: str, tmp_path: Path) -> None:
    """Refusals of templates reach the person as they are."""
    values = values_file(tmp_path, over(BASE, SENTENCES[sentence]))
    told = ask(helm, "template", "t", str(CHART), "-f", values, "--kube-version", ANY)
    assert told.returncode != 0
    assert sentence in told.stderr


@pytest.mark.parametrize(("place", "values"), PLACES[::5], ids=[place or "/" for place, _ in PLACES[::5]])
def test_helm_3_refuses_the_same_values(place: str, values: dict[str, Any], helm: str, tmp_path: Path) -> None:
    """It names the place with dots."""
    told = ask(
        helm, "template", "t", str(CHART), "-f", values_file(tmp_path, over(BASE, values)), "--kube-version", ANY
    )
    assert told.returncode != 0
    assert "values don't meet the specifications" in told.stderr
    assert (place.strip("/").replace("/", ".") or "(root)") in told.stderr


def test_a_cluster_that_is_too_old_is_refused(helm: str, tmp_path: Path) -> None:
    """kubeVersion says which are tried."""
    told = ask(helm, "template", "t", str(CHART), "-f", values_file(tmp_path, BASE), "--kube-version", "1.27.0")
    assert "requires kubeVersion: >=1.28.0-0" in told.stderr
