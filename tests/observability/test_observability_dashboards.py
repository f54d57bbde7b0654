"""The dashboards: current, importable anywhere, and each query one that Prometheus accepts."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from observed import ROOT, binary

from tools import dashboards
from tools.dashboards import DASHBOARDS
from tools.grafana import COLUMNS, Dashboard

FILES = sorted((ROOT / "config" / "grafana").glob("*.json"))
#: Grafana's own names for units.
UNITS = {"short", "s", "bytes", "percentunit", "ops", "reqps", "currencyUSD"}
each_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
each = pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda one: one.uid)


def load(file: Path) -> dict[str, Any]:
    """A dashboard as Grafana reads it."""
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def plain(expr: str) -> str:
    """What Grafana sends with every choice at "All"."""
    expr = re.sub(r"\$__(rate_interval|interval|range)\b", "1m", expr)
    return re.sub(r"\$\{?\w+\}?", ".*", expr)


def test_the_files_are_what_the_code_makes(tmp_path: Path) -> None:
    """`make dashboards` was run, and left no file of a dashboard that is no more."""
    made = dashboards.main(tmp_path)
    assert sorted(file.name for file in made) == [file.name for file in FILES]
    for file in made:
        assert file.read_bytes() == (ROOT / "config" / "grafana" / file.name).read_bytes(), "run `make dashboards`"
    assert dashboards.main(tmp_path) == []


@each_file
def test_a_dashboard_can_be_imported_anywhere(file: Path) -> None:
    """A fixed uid that is the file's name, no question at import, no data source but the variable."""
    found = load(file)
    assert found["uid"] == file.stem
    assert "__inputs" not in found
    assert "id" not in found
    source = found["templating"]["list"][0]
    assert (source["name"], source["type"], source["query"]) == ("datasource", "datasource", "prometheus")
    named = re.findall(r'"uid": "([^"]+)"', json.dumps(found))
    assert set(named) == {file.stem, "${datasource}"}


@each_file
def test_every_variable_is_used_and_every_used_one_is_there(file: Path) -> None:
    """In a query of a panel, a mark, or of another variable."""
    found = load(file)
    names = [one["name"] for one in found["templating"]["list"]]
    rest = json.dumps([found["panels"], found["annotations"]])
    chained = json.dumps([one.get("query") for one in found["templating"]["list"]])
    used = set(re.findall(r"\$\{?([a-z]\w*)\}?", rest + chained))
    assert used == set(names)
    for name in names:
        assert re.search(rf"\${{?{name}\b", rest), f"{name} is asked for and changes nothing"


@each_file
def test_the_dashboards_link_to_each_other_and_keep_what_was_chosen(file: Path) -> None:
    """By a tag that all three carry."""
    found = load(file)
    [link] = found["links"]
    assert set(link["tags"]) <= set(found["tags"])
    assert link["includeVars"]
    assert link["keepTime"]


@each_file
def test_panels_have_a_place_a_unit_and_a_title(file: Path) -> None:
    """No two at one place, none beyond the edge, none without a name."""
    panels = load(file)["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= COLUMNS
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
        assert panel["title"]
        if panel["type"] != "row":
            assert panel["targets"]
            assert panel["fieldConfig"]["defaults"]["unit"] in UNITS


@each
def test_units_are_those_of_the_metrics(dashboard: Dashboard) -> None:
    """Seconds are shown as seconds, bytes as bytes, dollars as dollars, shares as shares."""
    for row in dashboard.rows:
        for panel in row.panels:
            text = " ".join(query.expr for query in panel.queries)
            if "bytes" in text:
                assert panel.unit == "bytes", panel.title
            elif "dollars" in text:
                assert panel.unit == "currencyUSD", panel.title
            elif re.search(r"_ratio\b", text):
                assert panel.unit == "percentunit", panel.title
            elif re.search(r"(lag|lateness|duration)_seconds|time\(\) - ", text) and "interval_seconds" not in text:
                assert panel.unit == "s", panel.title


def test_trips_are_marked_in_the_panels() -> None:
    """A vertical line where a breaker tripped, on the two pages that show what it changes."""
    marked = [load(file)["uid"] for file in FILES if load(file)["annotations"]["list"]]
    assert marked == ["tripswitch-daemon", "tripswitch-pipelines"]


@each
def test_every_query_parses(dashboard: Dashboard, tmp_path: Path) -> None:
    """Prometheus' own parser, by way of a recording rule each."""
    queries = [query.expr for query in dashboard.queries()] + [expr for _, expr, _, _ in dashboard.marks]
    queries += [variable.metric for variable in dashboard.variables]
    wrapped = [{"record": f"check:number_{index}", "expr": plain(expr)} for index, expr in enumerate(queries)]
    file = tmp_path / "rules.yaml"
    file.write_text(json.dumps({"groups": [{"name": dashboard.uid, "rules": wrapped}]}))
    ended = subprocess.run(
        [binary("promtool"), "check", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
