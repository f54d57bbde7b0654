"""values.yaml, values.schema.json and the README say the same, and upgrades keep what can't change."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import helm_python
import pytest
import yaml
from chart_cases import BASE, over
from chart_render import CHART, ROOT, Rendered

import monitor
from tools import chart as generator

PREVIOUS = sorted((Path(__file__).parent / "previous").glob("*.yaml"))
SCHEMA = json.loads((CHART / "values.schema.json").read_text("utf-8"))
DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
META = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))


def nodes(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """(path, schema) of every schema of the values; the pipeline file's own are others' business."""
    yield path, schema
    for name, one in schema.get("properties", {}).items():
        yield from nodes(one, f"{path}.{name}".lstrip("."))
    for one in schema.get("patternProperties", {}).values():
        yield from nodes(one, f"{path}[]")
    for key in ("additionalProperties", "items"):
        if isinstance(schema.get(key), dict):
            yield from nodes(schema[key], f"{path}[]")


def test_every_object_of_the_values_is_closed_or_called_a_map() -> None:
    """Open are only maps, and pieces of Kubernetes' API, and they say so."""
    wrong = []
    for path, one in nodes(SCHEMA):
        types = one.get("type", [])
        if "object" not in ([types] if isinstance(types, str) else types) or one.get("additionalProperties") is False:
            continue
        element = path.endswith("[]")  # what it is, is told by the list that holds it
        told = one.get("description", "").lower()
        called = any(word in told for word in ("map", "kubernetes'", "labels", "annotations"))
        if ("additionalProperties" not in one and "then" not in one) or not (element or called):
            wrong.append(path)
    assert wrong == []


def test_every_value_is_described() -> None:
    """In a sentence, in the schema that editors show."""
    named = [(path, one) for path, one in nodes(SCHEMA) if path and not path.endswith("[]")]
    assert len(named) > 120
    assert [path for path, one in named if not one.get("description", "").rstrip(")").endswith((".", ":"))] == []


def test_defaults_and_schema_name_the_same_values() -> None:
    """A value that is only in one of them is either undocumented or refused."""

    def leaves(defaults: Any, schema: dict[str, Any], path: str = "") -> Iterator[str]:
        for name, value in defaults.items():
            inner = schema["properties"][name]
            if "properties" in inner and isinstance(value, dict):
                yield from leaves(value, inner, f"{path}{name}.")
            else:
                yield f"{path}{name}"

    assert sorted(leaves(DEFAULTS, SCHEMA)) == sorted(path for path, _ in generator.values(SCHEMA))


def test_everything_generated_is_current() -> None:
    """README, rules and dashboards; `make reference` writes them. The pipelines' schema is for CI to compare."""
    wanted = {name: text for name, text in generator.pages().items() if not name.endswith("values.schema.json")}
    assert [name for name, text in wanted.items() if (ROOT / name).read_text("utf-8") != text] == []
    assert generator.stale() == []
    assert sum("/prometheus/" in name for name in wanted) >= 1
    assert sum("/grafana/" in name for name in wanted) >= 1


def test_the_schema_of_pipelines_is_in_the_values() -> None:
    """As `definitions.pipeline`, with what it refers to."""
    text = json.dumps(SCHEMA["definitions"])
    assert SCHEMA["definitions"]["pipeline"]["title"] == "tripswitch pipeline"
    assert SCHEMA["$schema"].startswith("http://json-schema.org/draft-07/")
    referred = {part.split('"')[0] for part in text.split('"#/definitions/')[1:]}
    assert referred - SCHEMA["definitions"].keys() == set()


def test_generating_twice_changes_nothing(tmp_path: Path) -> None:
    """Also from a copy elsewhere."""
    for part in ("config", "helm"):
        shutil.copytree(ROOT / part, tmp_path / part)
    stale = tmp_path / "helm" / "tripswitch" / "files" / "grafana" / "gone.json"
    stale.write_text("{}")
    assert stale in generator.main(tmp_path)
    assert generator.main(tmp_path) == []


def test_the_chart_is_of_this_version_and_introduces_itself() -> None:
    """What `helm search` and ArtifactHub show."""
    assert META["appVersion"] == monitor.__version__
    assert META["apiVersion"] == "v2"
    assert META["kubeVersion"] == ">=1.28.0-0"
    assert META["icon"].startswith("https://")
    assert (ROOT / META["icon"].split("/main/")[1]).is_file()
    assert all(one["name"] and one["url"] for one in META["maintainers"])
    notes = META["annotations"]
    assert notes["artifacthub.io/license"] == "Apache-2.0"
    images = yaml.safe_load(notes["artifacthub.io/images"])
    assert [one["image"] for one in images] == [f"{DEFAULTS['image']['repository']}:{META['appVersion']}"]
    kinds = {one["kind"] for one in yaml.safe_load(notes["artifacthub.io/changes"])}
    assert kinds <= {"added", "changed", "deprecated", "removed", "fixed", "security"}


def test_lint_has_nothing_to_say() -> None:
    """Helm 4, strictly."""
    report = helm_python.lint(CHART, BASE, strict=True, kube_version="v1.31.0")
    assert (report["errors"], [one for one in report["messages"] if one["severity"] > 1]) == ([], [])


def test_a_packaged_chart_renders_the_same(chart: helm_python.Chart, tmp_path: Path) -> None:
    """Rules and dashboards are in the package."""
    values = over(BASE, {"prometheusRule": {"enabled": True}, "dashboards": {"enabled": True}})
    archive = helm_python.package(CHART, destination=tmp_path)
    with helm_python.Chart.load(archive) as packaged:
        assert packaged.render(values, name="t") == chart.render(values, name="t")


@pytest.mark.parametrize("previous", PREVIOUS, ids=lambda file: file.stem)
def test_an_upgrade_changes_nothing_that_cannot_change(previous: Path, chart: helm_python.Chart) -> None:
    """Selectors, the claim, and the names: with the values of then, the same objects under the same fields."""
    then = yaml.safe_load(previous.read_text("utf-8"))
    assert then["chart"] != META["version"]
    for case, told in then["cases"].items():
        now = {
            f"{one['kind']}/{one['metadata']['name']}": one
            for one in Rendered(chart.render(told["values"], name="t", namespace="ns")).objects
        }
        for name, fields in told["objects"].items():
            assert name in now, f"{case}: {name} is gone"
            labels = fields.pop("podLabels", {})
            assert {field: now[name]["spec"][field] for field in fields} == fields, f"{case}: {name}"
            if labels:
                assert labels.items() <= now[name]["spec"]["template"]["metadata"]["labels"].items()


@pytest.mark.parametrize("previous", PREVIOUS, ids=lambda file: file.stem)
def test_all_values_of_the_previous_chart_are_still_taken(previous: Path, quick: helm_python.Chart) -> None:
    """Also every old default written out, as `helm get values --all` prints them."""
    then = yaml.safe_load(previous.read_text("utf-8"))
    assert quick.render(over(then["values"], BASE), name="t")


@pytest.mark.parametrize("previous", PREVIOUS, ids=lambda file: file.stem)
def test_reusing_old_defaults_alone_is_refused_with_what_to_do(previous: Path, light: Path, tmp_path: Path) -> None:
    """`--reuse-values` puts the old chart's defaults in the place of ours; a nil pointer would say nothing."""
    folder = tmp_path / "tripswitch"
    shutil.copytree(light, folder)
    then = yaml.safe_load(previous.read_text("utf-8"))
    (folder / "values.yaml").write_text(yaml.safe_dump(then["values"]))
    with helm_python.Chart.load(folder) as reused, pytest.raises(helm_python.HelmRenderError, match="reset-then-reuse"):
        reused.render(BASE, name="t")
