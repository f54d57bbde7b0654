"""What is refused, and that the sentence says what to do."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import helm_python
import pytest
from chart_cases import BASE, PIPELINE, ROLE, SHARED, over
from chart_render import Render

BUDGET = {"enabled": True}

#: What a person sees -> values. These come from templates, so both Helms say the same.
SENTENCES: dict[str, dict[str, Any]] = {
    "no pipelines: set `pipelines` (name: content; --set-file pipelines.etl=etl.yaml) or `existingConfigMap`": {
        "pipelines": None
    },
    "both `pipelines` and `existingConfigMap` are set": {"existingConfigMap": "mine"},
    "replicaCount is 2, but one process owns sqlite:////var/lib/tripswitch/state.db": {"replicaCount": 2},
    "replicaCount is 3, but one process owns memory:": {"replicaCount": 3, "store": {"url": "memory:"}},
    "set replicaCount to 1, or store.url to dynamodb://TABLE": {"replicaCount": 2},
    "terminationGracePeriodSeconds is 34": {"terminationGracePeriodSeconds": 34},
    "Set it to at least 70 (settings.grace 1m and 10 s)": {"settings": {"grace": "1m"}},
    "Set it to at least 3700 (settings.grace 1h1m30s and 10 s)": {
        "settings": {"grace": "1h1m30s"},
        "terminationGracePeriodSeconds": 3699,
    },
    "serviceMonitor and podMonitor are both on": {"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}},
    "annotate yours with eks.amazonaws.com/role-arn": {"aws": {"roleArn": ROLE}, "serviceAccount": {"create": False}},
    "service.nodePort needs service.type NodePort": {"service": {"nodePort": 30108}},
    "secretFiles: /etc/tripswitch/s is taken": {"secretFiles": [{"secretName": "s", "mountPath": "/etc/tripswitch/s"}]},
    "secretFiles: /tmp is taken": {"secretFiles": [{"secretName": "s", "mountPath": "/tmp/"}]},
    "minAvailable 1 with 1 replica(s) would block every drain": {"podDisruptionBudget": {**BUDGET, "minAvailable": 1}},
    "minAvailable 1% with 1 replica(s)": {"podDisruptionBudget": {**BUDGET, "minAvailable": "1%"}},
    "minAvailable 3 with 3 replica(s)": {**SHARED, "podDisruptionBudget": {**BUDGET, "minAvailable": 3}},
    "minAvailable 67% with 3 replica(s)": {**SHARED, "podDisruptionBudget": {**BUDGET, "minAvailable": "67%"}},
    "minAvailable 100% with 3 replica(s)": {**SHARED, "podDisruptionBudget": {**BUDGET, "minAvailable": "100%"}},
    "maxUnavailable 0 would block every drain": {"podDisruptionBudget": {**BUDGET, "maxUnavailable": 0}},
    "maxUnavailable 0% would block every drain": {"podDisruptionBudget": {**BUDGET, "maxUnavailable": "0%"}},
    "set minAvailable or maxUnavailable, not both": {
        "podDisruptionBudget": {**BUDGET, "minAvailable": 0, "maxUnavailable": 1}
    },
    "there is no alert TripswitchNope. There are: Tripswitch": {
        "prometheusRule": {"enabled": True, "alerts": {"TripswitchNope": {"enabled": False}}}
    },
    "alerts.TripswitchAbsent.threshold: its expression compares with no number": {
        "prometheusRule": {"enabled": True, "alerts": {"TripswitchAbsent": {"threshold": 1}}}
    },
}

#: Where the schema of the values refuses -> values.
PLACES: list[tuple[str, dict[str, Any]]] = [
    ("", {"nonsense": 1}),
    ("/image", {"image": {"tagg": "1"}}),
    ("/image/digest", {"image": {"digest": "sha256:abc"}}),
    ("/image/pullPolicy", {"image": {"pullPolicy": "Sometimes"}}),
    ("/image/repository", {"image": {"repository": ""}}),
    ("/image/pullSecrets/0", {"image": {"pullSecrets": [{"nme": "x"}]}}),
    ("/replicaCount", {"replicaCount": "2"}),
    ("/replicaCount", {"replicaCount": -1}),
    ("/pipelines", {"pipelines": {"has space": "x"}}),
    ("/pipelines/first", {"pipelines": {"first": {"pipline": "typo"}}}),
    ("/pipelines/first/breakers/b/mode", {"pipelines": {"first": {"breakers": {"b": {"mode": "sometimes"}}}}}),
    ("/pipelines/first/checks/dead-letters", {"pipelines": {"first": {"checks": {"dead-letters": {"queus": ["a"]}}}}}),
    ("/pipelines/other", {"pipelines": {"other": {"pipeline": "other"}}}),
    ("/env", {"env": {"1X": "a"}}),
    ("/env/X", {"env": {"X": {"a": 1}}}),
    ("/settings/grace", {"settings": {"grace": 25}}),
    ("/settings/grace", {"settings": {"grace": "25"}}),
    ("/settings/actions", {"settings": {"actions": "maybe"}}),
    ("/settings/logLevel", {"settings": {"logLevel": "trace"}}),
    ("/settings/concurrency", {"settings": {"concurrency": 0}}),
    ("/settings/readShare", {"settings": {"readShare": 1.5}}),
    ("/settings/tokenFrom", {"settings": {"tokenFrom": "hunter2"}}),
    ("/settings", {"settings": {"token": "hunter2"}}),
    ("/store/url", {"store": {"url": "postgres://user:pass@host/db"}}),
    ("/store/url", {"store": {"url": "sqlite:///relative.db"}}),
    ("/store/url", {"store": {"url": "sqlite:////tmp/state.db"}}),
    ("/aws/roleArn", {"aws": {"roleArn": "tripswitch"}}),
    ("/aws/region", {"aws": {"region": "Frankfurt"}}),
    ("/aws", {"aws": {"accessKeyId": "AKIA"}}),
    ("/aws", {"aws": {"secretAccessKey": "x"}}),
    ("/serviceAccount", {"serviceAccount": {"automount": True}}),
    ("/serviceAccount/annotations/a", {"serviceAccount": {"annotations": {"a": 1}}}),
    ("/persistence/size", {"persistence": {"size": "large"}}),
    ("/service/type", {"service": {"type": "ExternalName"}}),
    ("/service/port", {"service": {"port": 70000}}),
    ("/probes/liveness", {"probes": {"liveness": {"path": "/"}}}),
    ("/probes/liveness/periodSeconds", {"probes": {"liveness": {"periodSeconds": 0}}}),
    ("/terminationGracePeriodSeconds", {"terminationGracePeriodSeconds": 0}),
    ("/podDisruptionBudget/minAvailable", {"podDisruptionBudget": {"minAvailable": "most"}}),
    ("/podDisruptionBudget/unhealthyPodEvictionPolicy", {"podDisruptionBudget": {"unhealthyPodEvictionPolicy": "x"}}),
    ("/networkPolicy/egress", {"networkPolicy": {"egress": {"dns": False}}}),
    ("/serviceMonitor/interval", {"serviceMonitor": {"interval": "30"}}),
    ("/podMonitor", {"podMonitor": {"targetLabels": []}}),
    (
        "/prometheusRule/alerts/TripswitchStorm/for",
        {"prometheusRule": {"alerts": {"TripswitchStorm": {"for": "soon"}}}},
    ),
    ("/prometheusRule/alerts/TripswitchStorm", {"prometheusRule": {"alerts": {"TripswitchStorm": {"expr": "1"}}}}),
    ("/dashboards/label", {"dashboards": {"label": ""}}),
    ("/secretFiles/0", {"secretFiles": [{"secretName": "s"}]}),
    ("/secretFiles/0/mountPath", {"secretFiles": [{"secretName": "s", "mountPath": "relative"}]}),
    ("/extraArgs/0", {"extraArgs": [1]}),
    ("/extraEnv/0", {"extraEnv": ["A=B"]}),
    ("/podLabels/a", {"podLabels": {"a": 1}}),
    ("/nodeSelector", {"nodeSelector": []}),
    ("/tests", {"tests": {"image": "curl"}}),
]


@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_combination_that_would_hurt_is_refused(sentence: str, render: Render) -> None:
    """The message names what is wrong and what to set."""
    with pytest.raises(helm_python.HelmRenderError) as refused:
        render(SENTENCES[sentence])
    assert sentence in str(refused.value)


@pytest.mark.parametrize(("place", "values"), PLACES, ids=[place or "/" for place, _ in PLACES])
def test_a_wrong_value_is_refused_with_its_place(
    place: str, values: dict[str, Any], chart: helm_python.Chart, quick: helm_python.Chart
) -> None:
    """The schema is closed, and says where."""
    with pytest.raises(helm_python.HelmValuesError) as refused:
        (chart if place.startswith("/pipelines") else quick).render(over(BASE, values), name="t")
    assert f"at '{place}'" in str(refused.value)


def test_a_budget_that_is_off_is_not_judged(render: Render) -> None:
    """Values of what is not made don't stand in the way."""
    assert "PodDisruptionBudget" not in render({"podDisruptionBudget": {"minAvailable": 1}}).kinds()


def test_a_grace_that_just_fits_is_taken(render: Render) -> None:
    """The bound is settings.grace and ten seconds, no more."""
    assert render({"terminationGracePeriodSeconds": 35}).pod["terminationGracePeriodSeconds"] == 35
    assert render({"settings": {"grace": "1500ms"}, "terminationGracePeriodSeconds": 12}).pod


@pytest.mark.parametrize("name", ["etl", "fluxa", "dataforge", "jaunt-data-scout", "opendata-pulse"])
def test_every_shipped_pipeline_can_be_given_as_an_object(name: str, chart: helm_python.Chart) -> None:
    """The pipeline file's schema in the values refuses none that the loader takes."""
    text = (Path(__file__).resolve().parents[2] / "config" / "pipelines" / f"{name}.yaml").read_text("utf-8")
    values = {"pipelines": {name: helm_python.values_from_yaml(text)}}
    assert name in str(chart.render(values, name="t"))


def test_the_schema_of_pipelines_is_what_refuses_them(chart: helm_python.Chart, tmp_path: Path) -> None:
    """Without it, the same mistake renders; so the table above tests the schema and not the template."""
    folder = tmp_path / "tripswitch"
    shutil.copytree(Path(__file__).resolve().parents[2] / "helm" / "tripswitch", folder)
    (folder / "values.schema.json").unlink()
    mistaken = over(BASE, {"pipelines": {"first": {**PIPELINE, "pipline": "typo"}}})
    with helm_python.Chart.load(folder) as lax:
        assert "pipline" in str(lax.render(mistaken, name="t"))
    with pytest.raises(helm_python.HelmValuesError):
        chart.render(mistaken, name="t")
