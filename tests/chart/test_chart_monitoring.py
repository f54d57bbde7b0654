"""Rules, dashboards and monitors are those that the chart holds (copies of config/), as the values wish."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from chart_render import CHART, Render, Rendered

SHIPPED = [
    group
    for file in sorted((CHART / "files" / "prometheus").glob("*.yaml"))
    for group in yaml.safe_load(file.read_text("utf-8")).get("groups", [])
]
ALERTS = [rule["alert"] for group in SHIPPED for rule in group["rules"] if "alert" in rule]
DASHBOARDS = sorted((CHART / "files" / "grafana").glob("*.json"))


def groups(render: Render, **values: Any) -> list[dict[str, Any]]:
    """The rendered groups."""
    found: list[dict[str, Any]] = render({"prometheusRule": {"enabled": True, **values}}).one("PrometheusRule")["spec"][
        "groups"
    ]
    return found


def rule(found: list[dict[str, Any]], alert: str) -> dict[str, Any] | None:
    """One alert."""
    return next((one for group in found for one in group["rules"] if one.get("alert") == alert), None)


def test_without_wishes_the_rules_are_the_shipped_ones(render: Render) -> None:
    """Every group, rule, annotation and its templates."""
    assert len(ALERTS) >= 12
    assert groups(render) == SHIPPED


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_can_be_left_out_and_delayed(alert: str, render: Render) -> None:
    """And nothing else changes."""
    found = groups(render, alerts={alert: {"enabled": False}})
    assert rule(found, alert) is None
    left = [one["alert"] for group in found for one in group["rules"] if "alert" in one]
    assert left == [name for name in ALERTS if name != alert]
    wished = rule(groups(render, alerts={alert: {"for": "77m", "severity": "page"}}), alert)
    assert wished is not None
    assert (wished["for"], wished["labels"]["severity"]) == ("77m", "page")


def test_a_threshold_replaces_the_first_number_compared_with(render: Render) -> None:
    """And only that one, in every alert that has one; the rest of the expression stays."""
    first = re.compile(r"(?:==|!=|>=|<=|>|<)\s*(-?[0-9.]+)")
    numbers = {one["alert"]: found for group in SHIPPED for one in group["rules"] if "alert" in one
               if (found := first.search(one["expr"]))}  # fmt: skip
    assert len(numbers) > 20
    found = groups(render, alerts={alert: {"threshold": 200.5} for alert in numbers})
    for alert, number in numbers.items():
        before, after = rule(SHIPPED, alert), rule(found, alert)
        assert before is not None
        assert after is not None
        start, end = number.span(1)
        assert after["expr"] == f"{before['expr'][:start]}200.5{before['expr'][end:]}"
        assert {**after, "expr": ""} == {**before, "expr": ""}


def test_runbooks_can_live_elsewhere(render: Render) -> None:
    """The alert's own part of the address is kept."""
    found = rule(groups(render, runbookBaseUrl="https://wiki.example.com/"), "TripswitchAbsent")
    assert found is not None
    assert found["annotations"]["runbook_url"] == "https://wiki.example.com/tripswitchabsent"


def test_rules_of_ones_own_come_in_a_group_of_their_own(render: Render) -> None:
    """Beside the shipped ones."""
    mine = {"alert": "Mine", "expr": "up == 0"}
    assert groups(render, extraRules=[mine])[-1] == {"name": "tripswitch.extra", "rules": [mine]}


@pytest.mark.process
def test_promtool_takes_every_rendered_body(every: dict[str, Rendered], tmp_path: Path) -> None:
    """The groups of a PrometheusRule are a rule file."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool: apt-get install prometheus")
    files = []
    bodies = {
        json.dumps(one["spec"]) for each in every.values() for one in each.objects if one["kind"] == "PrometheusRule"
    }
    for number, body in enumerate(sorted(bodies)):
        files.append(tmp_path / f"{number}.yaml")
        files[-1].write_text(yaml.safe_dump(json.loads(body)))
    assert len(files) >= 2
    told = subprocess.run([promtool, "check", "rules", *files], capture_output=True, text=True, check=False, timeout=60)
    assert told.returncode == 0, told.stdout + told.stderr


def test_each_dashboard_is_a_config_map_that_the_sidecar_finds(render: Render) -> None:
    """By label, with a folder, unchanged."""
    maps = [one for one in render({"dashboards": {"enabled": True}}).objects if "dashboard" in one["metadata"]["name"]]
    assert len(maps) == len(DASHBOARDS) >= 1
    found = {}
    for one in maps:
        assert one["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert one["metadata"]["annotations"] == {"grafana_folder": "tripswitch"}
        found |= one["data"]
    assert {name: json.loads(text) for name, text in found.items()} == {
        file.name: json.loads(file.read_text("utf-8")) for file in DASHBOARDS
    }


@pytest.mark.parametrize(("name", "kind", "endpoints"), [
    ("serviceMonitor", "ServiceMonitor", "endpoints"),
    ("podMonitor", "PodMonitor", "podMetricsEndpoints"),
])  # fmt: skip
def test_a_monitor_leads_to_the_metrics(name: str, kind: str, endpoints: str, render: Render) -> None:
    """The port it names is there, in the namespace of the release, wherever the monitor is put."""
    rendered = render({name: {"enabled": True, "namespace": "monitoring", "interval": "1m"}})
    monitor = rendered.one(kind)
    (endpoint,) = monitor["spec"][endpoints]
    assert monitor["metadata"]["namespace"] == "monitoring"
    assert monitor["spec"]["namespaceSelector"] == {"matchNames": ["ns"]}
    assert (endpoint["path"], endpoint["interval"]) == ("/metrics", "1m")
    assert endpoint["port"] in {port["name"] for port in rendered.one("Service")["spec"]["ports"]}
    assert endpoint["port"] in {port["name"] for port in rendered.container["ports"]}
