"""Every case is what Kubernetes takes: its own schemas, Pod Security `restricted`, and the operator's types."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from chart_cases import BASE, CASES, HARDENED, WITH_PIPELINES
from chart_render import KUBERNETES, Render, Rendered, validator
from jsonschema import Draft7Validator
from pod_security import violations
from referencing import Registry, Resource

CRDS = Path(__file__).parent / "crds"
MONITORING = ("ServiceMonitor", "PodMonitor", "PrometheusRule")


def crd(kind: str) -> Draft7Validator:
    """The schema kept by hand of one of the operator's kinds."""
    from referencing.jsonschema import DRAFT7

    endpoint = Resource.from_contents(json.loads((CRDS / "endpoint.json").read_text()), DRAFT7)
    registry: Registry[Any] = Registry().with_resource("endpoint.json", endpoint)
    return Draft7Validator(json.loads((CRDS / f"{kind.lower()}.json").read_text()), registry=registry)


@pytest.fixture(scope="module")
def distinct(every: dict[str, Rendered]) -> list[tuple[str, dict[str, Any]]]:
    """Each different object of all cases once, with the first case that has it."""
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    for case, rendered in every.items():
        for one in rendered.objects:
            found.setdefault(json.dumps(one, sort_keys=True), (case, one))
    return list(found.values())


def test_there_are_enough_cases() -> None:
    """Two hundred and more sets of values are rendered."""
    assert len(CASES) >= 200


@pytest.mark.parametrize("version", KUBERNETES)
def test_every_object_is_valid_for_kubernetes(version: str, distinct: list[tuple[str, dict[str, Any]]]) -> None:
    """Strictly: a field that this version doesn't know is refused."""
    wrong = []
    for case, one in distinct:
        if one["kind"] in MONITORING:
            continue
        errors = validator(version, one["kind"], one["apiVersion"]).iter_errors(one)
        wrong += [f"{case}: {one['kind']}: {error.json_path}: {error.message}" for error in errors]
    assert wrong == []


def test_the_versions_are_all_that_the_chart_admits() -> None:
    """From the kubeVersion of Chart.yaml to the newest that has schemas."""
    assert KUBERNETES[0] == "1.28.0"
    assert len(KUBERNETES) >= 10


def test_an_unknown_field_would_be_found(render: Render) -> None:
    """The kept validator and kubernetes-validate refuse the same."""
    bad = render().one("Deployment")
    bad["spec"]["template"]["spec"]["containers"][0]["securityContext"]["readOnlyRootFileSystem"] = True
    assert list(validator("1.31.0", "Deployment", "apps/v1").iter_errors(bad)) != []
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(bad, "1.31", strict=True)


@pytest.mark.parametrize("kind", MONITORING)
def test_the_operators_objects_have_their_shape(kind: str, distinct: list[tuple[str, dict[str, Any]]]) -> None:
    """A misspelt field would be dropped without a word by the API server."""
    schema = crd(kind)
    found = [(case, one) for case, one in distinct if one["kind"] == kind]
    assert len(found) >= 2
    assert [f"{case}: {error.message}" for case, one in found for error in schema.iter_errors(one)] == []


def test_every_pod_passes_pod_security_restricted(every: dict[str, Rendered]) -> None:
    """Also the pod of `helm test`, and with the user left to OpenShift."""
    pods = [
        (case, one["spec"]["template"]["spec"] if one["kind"] == "Deployment" else one["spec"])
        for case, rendered in every.items()
        for one in rendered.objects
        if one["kind"] in ("Deployment", "Pod")
    ]
    assert len(pods) > 400
    assert [(case, found) for case, pod in pods if (found := violations(pod))] == []


def fine() -> dict[str, Any]:
    """A pod that `restricted` admits."""
    return {
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{"name": "c", "securityContext": copy.deepcopy(HARDENED)}],
        "volumes": [{"name": "v", "emptyDir": {}}],
    }


VIOLATIONS: dict[str, tuple[str, Any]] = {
    "hostNetwork": ("hostNetwork", True),
    "volume v: hostPath": ("volumes", [{"name": "v", "hostPath": {"path": "/"}}]),
    "pod: runs as root": ("securityContext.runAsUser", 0),
    "pod: seccompProfile": ("securityContext.seccompProfile", {"type": "Unconfined"}),
    "sysctl kernel.msgmax": ("securityContext.sysctls", [{"name": "kernel.msgmax", "value": "1"}]),
    "pod: seLinuxOptions": ("securityContext.seLinuxOptions", {"user": "root"}),
    "pod: appArmorProfile": ("securityContext.appArmorProfile", {"type": "Unconfined"}),
    "pod: hostProcess": ("securityContext.windowsOptions", {"hostProcess": True}),
    "c: runAsNonRoot": ("securityContext.runAsNonRoot", False),
    "c: privileged": ("containers.0.securityContext.privileged", True),
    "c: allowPrivilegeEscalation": ("containers.0.securityContext.allowPrivilegeEscalation", True),
    "c: keeps capabilities": ("containers.0.securityContext.capabilities", {"drop": ["NET_RAW"]}),
    "c: adds capabilities": ("containers.0.securityContext.capabilities", {"drop": ["ALL"], "add": ["SYS_ADMIN"]}),
    "c: procMount": ("containers.0.securityContext.procMount", "Unmasked"),
    "c: hostPort": ("containers.0.ports", [{"containerPort": 1, "hostPort": 1}]),
    "c: a probe's host": ("containers.0.livenessProbe", {"httpGet": {"host": "10.0.0.1", "port": 1}}),
}


@pytest.mark.parametrize("violation", VIOLATIONS)
def test_the_judge_of_pods_knows_each_violation(violation: str) -> None:
    """One change of an admitted pod is found, and only that."""
    pod = fine()
    assert violations(pod) == []
    path, value = VIOLATIONS[violation]
    *parents, last = path.split(".")
    place: Any = pod
    for name in parents:
        place = place[int(name)] if name.isdigit() else place[name]
    place[last] = value
    assert violations(pod) == [violation]


def test_a_pod_without_seccomp_is_a_violation() -> None:
    """Absent is not admitted."""
    pod = fine()
    del pod["securityContext"]["seccompProfile"]
    assert violations(pod) == ["c: no seccompProfile"]


def test_every_object_is_labelled_and_in_its_namespace(every: dict[str, Rendered]) -> None:
    """The labels that tools group by; extra objects and the test pod are others' business."""
    expected = {"app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/managed-by", "helm.sh/chart"}
    wrong = []
    for case, rendered in every.items():
        if case == "extra objects":
            continue
        for one in rendered.objects:
            told = one["metadata"]
            if not told.get("namespace") or (one["kind"] != "Pod" and not expected <= set(told["labels"])):
                wrong.append((case, one["kind"]))
    assert wrong == []


def test_no_selector_holds_what_changes(every: dict[str, Rendered]) -> None:
    """`helm.sh/chart` or a version in a selector would break the next upgrade."""
    for case, rendered in every.items():
        for one in rendered.objects:
            if one["kind"] in ("Deployment", "Service", "PodDisruptionBudget", "ServiceMonitor", "PodMonitor"):
                selector = one["spec"]["selector"]
                keys = set(selector.get("matchLabels", selector))
                assert keys == {"app.kubernetes.io/name", "app.kubernetes.io/instance"}, (case, one["kind"])


def test_selectors_find_the_pod_and_not_the_test(every: dict[str, Rendered]) -> None:
    """The Service leads to the daemon; the pod of `helm test` gets no requests, but passes the network policy."""
    for case, rendered in every.items():
        labels = rendered.one("Deployment")["spec"]["template"]["metadata"]["labels"].items()
        selector = rendered.one("Service")["spec"]["selector"].items()
        assert selector <= labels, case
        pods = [one for one in rendered.objects if one["kind"] == "Pod"]
        assert not any(selector <= pod["metadata"]["labels"].items() for pod in pods), case


def test_names_are_short_enough_for_kubernetes(quick: Any) -> None:
    """The longest release name there is."""
    rendered = Rendered(quick.render(BASE, name="r" * 53, namespace="ns"))
    names = [one["metadata"]["name"] for one in rendered.objects]
    assert [name for name in names if len(name) > 63 and not name.endswith("-pipelines")] == []
    labels = [value for one in rendered.objects for value in one["metadata"]["labels"].values()]
    assert [value for value in labels if len(value) > 63] == []


@pytest.mark.parametrize("case", WITH_PIPELINES)
def test_the_full_chart_renders_what_the_light_one_does(case: str, chart: Any, quick: Any) -> None:
    """The schema of a pipeline file refuses none of the cases."""
    assert chart.render(CASES[case], name="t") == quick.render(CASES[case], name="t")
