"""What each value does to the objects."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import pytest
import typer
import yaml
from chart_cases import DIGEST, ROLE, SHARED
from chart_render import ROOT, Render
from typer.core import TyperGroup

from monitor.cli.main import build


def probe(container: dict[str, Any], name: str) -> str:
    """The path that a probe asks for."""
    return str(container[f"{name}Probe"]["httpGet"]["path"])


def mounts(container: dict[str, Any]) -> dict[str, str]:
    """Path -> volume."""
    return {one["mountPath"]: one["name"] for one in container["volumeMounts"]}


def test_by_default_there_is_what_a_daemon_needs_and_no_more(render: Render) -> None:
    """Nothing that needs a CRD, and nothing cluster-wide."""
    kinds = ["ConfigMap", "Deployment", "PersistentVolumeClaim", "Pod", "Service", "ServiceAccount"]
    assert render().kinds() == kinds


def test_the_probes_are_three_and_tunable(render: Render) -> None:
    """Alive is not ready; a slow start is neither."""
    container = render({"probes": {"liveness": {"timeoutSeconds": 9}}}).container
    assert [probe(container, name) for name in ("startup", "liveness", "readiness")] == [
        "/healthz",
        "/healthz",
        "/readyz",
    ]
    assert container["livenessProbe"]["timeoutSeconds"] == 9
    assert "livenessProbe" not in render({"probes": {"liveness": {"enabled": False}}}).container


def test_a_hanging_loop_is_restarted_only_after_a_while(render: Render) -> None:
    """A long round of garbage or a slow disk is no reason to lose a minute of watching."""
    liveness = render().container["livenessProbe"]
    assert liveness["periodSeconds"] * liveness["failureThreshold"] >= 60


def test_irsa_annotates_the_service_account_and_pod_identity_needs_nothing(render: Render) -> None:
    """Keys are no value at all."""
    plain = render().one("ServiceAccount")
    assert "annotations" not in plain["metadata"]
    irsa = render({"aws": {"roleArn": ROLE}}).one("ServiceAccount")["metadata"]["annotations"]
    assert irsa == {"eks.amazonaws.com/role-arn": ROLE, "eks.amazonaws.com/sts-regional-endpoints": "true"}
    assert render().environ["AWS_STS_REGIONAL_ENDPOINTS"] == "regional"


def test_no_token_of_kubernetes_reaches_any_pod(render: Render) -> None:
    """The daemon doesn't talk to Kubernetes."""
    rendered = render()
    pods = [rendered.pod, rendered.one("Pod")["spec"], rendered.one("ServiceAccount")]
    assert [one["automountServiceAccountToken"] for one in pods] == [False, False, False]


def test_services_of_the_namespace_set_no_variables(render: Render) -> None:
    """A Service called tripswitch would set TRIPSWITCH_PORT, which the daemon would warn of."""
    assert render().pod["enableServiceLinks"] is False


def test_a_file_means_one_pod_at_a_time_and_dynamodb_a_rolling_update(render: Render) -> None:
    """Two processes must never meet over one SQLite file."""
    assert render().one("Deployment")["spec"]["strategy"] == {"type": "Recreate"}
    shared = render(SHARED)
    assert shared.one("Deployment")["spec"]["strategy"]["type"] == "RollingUpdate"
    assert "PersistentVolumeClaim" not in shared.kinds()
    assert shared.environ["TRIPSWITCH_STORE"] == "dynamodb://tripswitch"


def test_the_volume_outlives_the_release_unless_told_otherwise(render: Render) -> None:
    """It knows what is still switched off."""
    kept = render().one("PersistentVolumeClaim")["metadata"]["annotations"]
    assert kept == {"helm.sh/resource-policy": "keep"}
    assert "annotations" not in render({"persistence": {"keep": False}}).one("PersistentVolumeClaim")["metadata"]


@pytest.mark.parametrize(
    ("persistence", "volume"),
    [
        ({}, {"persistentVolumeClaim": {"claimName": "t-tripswitch"}}),
        ({"existingClaim": "mine"}, {"persistentVolumeClaim": {"claimName": "mine"}}),
        ({"enabled": False}, {"emptyDir": {}}),
    ],
)
def test_the_state_is_on_the_volume_that_was_asked_for(
    persistence: dict[str, Any], volume: dict[str, Any], render: Render
) -> None:
    """The claim, one's own claim, or nothing that lasts."""
    volumes = {one.pop("name"): one for one in render({"persistence": persistence}).pod["volumes"]}
    assert volumes["state"] == volume


def test_the_root_is_read_only_and_tmp_is_not(render: Render) -> None:
    """What must be written has a volume."""
    container = render().container
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert mounts(container) == {"/etc/tripswitch": "pipelines", "/var/lib/tripswitch": "state", "/tmp": "tmp"}
    assert not any("subPath" in mount for mount in container["volumeMounts"])


def test_pipelines_become_files_that_say_the_same(render: Render) -> None:
    """An object is written as YAML, a text as it is."""
    text = "pipeline: text # ${HOME} {{ x }}\nchecks:\n  a: {kind: probe}\n"
    data = render({"pipelines": {"text": text}}).one("ConfigMap")["data"]
    assert set(data) == {"first.yaml", "text.yaml"}
    assert data["text.yaml"] == text.rstrip("\n") or data["text.yaml"] == text
    assert yaml.safe_load(data["first.yaml"])["checks"]["dead-letters"] == {"kind": "queue_depth", "queues": ["*-dlq"]}


def test_a_change_of_pipelines_restarts_only_if_asked(render: Render) -> None:
    """The daemon reloads by itself."""

    def annotations(**values: Any) -> dict[str, str]:
        return render(values).one("Deployment")["spec"]["template"]["metadata"].get("annotations", {})

    assert annotations() == {}
    one = annotations(rollOnChange=True)["checksum/pipelines"]
    other = annotations(rollOnChange=True, pipelines={"text": "x"})["checksum/pipelines"]
    assert one != other
    assert len(one) == hashlib.sha256().digest_size * 2


def test_a_config_map_of_ones_own_replaces_ours(render: Render) -> None:
    """Nothing is rendered beside it."""
    rendered = render({"existingConfigMap": "mine", "pipelines": None})
    assert "ConfigMap" not in rendered.kinds()
    assert rendered.pod["volumes"][0]["configMap"] == {"name": "mine"}


def test_secrets_come_as_variables_files_and_references(render: Render) -> None:
    """Never as a value of the chart."""
    rendered = render(
        {
            "existingSecret": "env",
            "extraEnvFrom": [{"secretRef": {"name": "more"}}],
            "secretFiles": [{"secretName": "slack", "mountPath": "/etc/secrets/slack"}],
            "settings": {"tokenFrom": "ssm:/tripswitch/token"},
        }
    )
    assert [one["secretRef"]["name"] for one in rendered.container["envFrom"]] == ["env", "more"]
    assert mounts(rendered.container)["/etc/secrets/slack"] == "secret-0"
    assert rendered.environ["TRIPSWITCH_TOKEN"] == "ssm:/tripswitch/token"
    secret = next(one["secret"] for one in rendered.pod["volumes"] if one["name"] == "secret-0")
    assert (secret["secretName"], secret["defaultMode"]) == ("slack", 0o440)


def test_a_variable_that_looks_like_a_number_stays_what_it_was(render: Render) -> None:
    """An account id must not become 1.23456789012e+11."""
    environ = render({"env": {"A": "012345678901", "B": 3, "C": True, "D": "1e3"}}).environ
    assert [environ[name] for name in "ABCD"] == ["012345678901", "3", "true", "1e3"]


@pytest.mark.parametrize(
    ("values", "image"),
    [
        ({}, "tripswitch:0.1.0"),
        ({"image": {"tag": "1.10"}}, "tripswitch:1.10"),
        ({"image": {"registry": "r.example.com", "repository": "a/b"}}, "r.example.com/a/b:0.1.0"),
        ({"image": {"registry": "r.example.com", "tag": "1", "digest": DIGEST}}, f"r.example.com/tripswitch@{DIGEST}"),
        ({"image": {"registry": "r"}, "global": {"imageRegistry": "g.example.com/"}}, "g.example.com/tripswitch:0.1.0"),
    ],
)
def test_the_image_is_the_one_that_was_named(values: dict[str, Any], image: str, render: Render) -> None:
    """A digest wins over a tag, the global registry over the chart's; the test pod runs the same."""
    rendered = render(values)
    assert rendered.container["image"] == image
    assert rendered.one("Pod")["spec"]["containers"][0]["image"] == image


def test_pull_secrets_are_those_of_the_parent_and_ours(render: Render) -> None:
    """Names and objects, each once."""
    values = {"global": {"imagePullSecrets": ["a", {"name": "b"}]}, "image": {"pullSecrets": ["b", {"name": "c"}]}}
    rendered = render(values)
    assert rendered.pod["imagePullSecrets"] == [{"name": "a"}, {"name": "b"}, {"name": "c"}]
    assert rendered.one("Pod")["spec"]["imagePullSecrets"] == rendered.pod["imagePullSecrets"]


def test_helm_test_asks_the_service_with_the_image_itself(render: Render) -> None:
    """No curl, no shell; the address is the Service's."""
    rendered = render({"service": {"port": 80}})
    container = rendered.one("Pod")["spec"]["containers"][0]
    assert container["args"] == ["healthz", "--ready", "--url", "http://t-tripswitch.ns.svc:80"]
    assert rendered.one("Service")["metadata"]["name"] == "t-tripswitch"
    assert "command" not in container
    assert rendered.one("Pod")["metadata"]["annotations"]["helm.sh/hook"] == "test"


def test_the_network_policy_lets_in_one_namespace_and_out_to_aws(render: Render) -> None:
    """DNS, 443, the agent of Pod Identity, the metadata service; nothing else."""
    spec = render({"networkPolicy": {"enabled": True, "monitoringNamespace": "prom"}}).one("NetworkPolicy")["spec"]
    sources = [one["from"][0] for one in spec["ingress"]]
    assert {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "prom"}}} in sources
    out = {
        (to["ipBlock"]["cidr"], port["port"])
        for rule in spec["egress"]
        for to in rule.get("to", [{"ipBlock": {"cidr": "*"}}])
        for port in rule["ports"]
    }
    assert out == {
        ("*", 53), ("0.0.0.0/0", 443), ("::/0", 443), ("169.254.170.23/32", 80), ("fd00:ec2::23/128", 80),
        ("169.254.169.254/32", 80), ("fd00:ec2::254/128", 80),
    }  # fmt: skip
    assert spec["policyTypes"] == ["Ingress", "Egress"]


def test_the_pod_of_helm_test_passes_the_network_policy(render: Render) -> None:
    """Its labels are those that the policy lets in, and go when it goes."""
    rendered = render({"networkPolicy": {"enabled": True, "monitoringNamespace": ""}})
    (rule,) = rendered.one("NetworkPolicy")["spec"]["ingress"]
    assert rule["from"][0]["podSelector"]["matchLabels"] == rendered.one("Pod")["metadata"]["labels"]
    none = render({"networkPolicy": {"enabled": True, "monitoringNamespace": ""}, "tests": {"enabled": False}})
    assert not none.one("NetworkPolicy")["spec"]["ingress"]


def test_a_network_policy_can_be_for_ingress_alone(render: Render) -> None:
    """Then it says nothing of egress."""
    spec = render({"networkPolicy": {"enabled": True, "egress": {"enabled": False}}}).one("NetworkPolicy")["spec"]
    assert spec["policyTypes"] == ["Ingress"]
    assert "egress" not in spec


def test_a_spread_without_a_selector_gets_ours(render: Render) -> None:
    """One that has a selector keeps it."""
    plain = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}
    own = {**plain, "labelSelector": {"matchLabels": {"a": "b"}}}
    rendered = render({"topologySpreadConstraints": [plain, own]})
    first, second = rendered.pod["topologySpreadConstraints"]
    assert first["labelSelector"]["matchLabels"] == rendered.one("Service")["spec"]["selector"]
    assert second == own


def test_a_budget_lets_one_go_by_default(render: Render) -> None:
    """Two is a number that a floor would block."""
    assert render({"podDisruptionBudget": {"enabled": True}}).one("PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


def test_extras_land_where_they_are_named(render: Render) -> None:
    """Arguments, variables, volumes, containers and objects."""
    rendered = render(
        {
            "extraArgs": ["--endpoint", "http://x"],
            "extraVolumes": [{"name": "v", "emptyDir": {}}],
            "extraVolumeMounts": [{"name": "v", "mountPath": "/v"}],
            "extraContainers": [{"name": "side", "image": "i"}],
            "extraInitContainers": [{"name": "before", "image": "i"}],
            "extraObjects": ["{apiVersion: v1, kind: Secret, metadata: {name: '{{ .Release.Name }}-s'}}"],
            "lifecycle": {"preStop": {"sleep": {"seconds": 1}}},
        }
    )
    assert rendered.container["args"] == ["run", "/etc/tripswitch", "--endpoint", "http://x"]
    assert mounts(rendered.container)["/v"] == "v"
    assert [one["name"] for one in rendered.pod["containers"]] == ["tripswitch", "side"]
    assert rendered.pod["initContainers"][0]["name"] == "before"
    assert rendered.one("Secret")["metadata"]["name"] == "t-s"
    assert rendered.container["lifecycle"] == {"preStop": {"sleep": {"seconds": 1}}}


@pytest.mark.parametrize(
    ("values", "expected", "unexpected"),
    [
        ({}, ["create secret generic t-tripswitch", "Pod Identity", "serviceMonitor.enabled=true"], ["WARNING"]),
        ({"existingSecret": "mine"}, ["Secret mine"], ["create secret"]),
        ({"aws": {"roleArn": ROLE}}, [], ["Pod Identity"]),
        ({"persistence": {"enabled": False}}, ["WARNING: there is no volume"], []),
        (SHARED, ["WARNING: store.url is dynamodb://tripswitch", "refuses to start"], ["no volume"]),
        ({"replicaCount": 0}, ["Nothing is watched"], []),
        ({"settings": {"actions": "off"}}, ["settings.actions is off"], []),
        ({"serviceMonitor": {"enabled": True}}, [], ["serviceMonitor.enabled"]),
        ({"service": {"port": 80}}, ["port-forward service/t-tripswitch 9108:80"], []),
    ],
)
def test_the_notes_say_what_to_do_next(
    values: dict[str, Any], expected: list[str], unexpected: list[str], render: Render
) -> None:
    """Wait, look, token, arm; and a warning only where there is something to warn of."""
    notes = render(values).notes
    always = [
        "rollout status deployment/t-tripswitch",
        "tripswitch healthz --ready",
        "tripswitch incident list",
        "mode: observe",
    ]
    assert [text for text in (*always, *expected) if text not in notes] == []
    assert [text for text in unexpected if text in notes] == []


def test_every_command_of_notes_and_readme_exists(render: Render) -> None:
    """What a reader types is known to the command tree, with its flags."""
    readme = (ROOT / "helm" / "tripswitch" / "README.md").read_text("utf-8")
    lines = re.findall(r"-- tripswitch ([^\n#]+)", render().notes) + re.findall(r"`tripswitch ([a-z][^`]*)`", readme)
    assert len(lines) >= 4
    for line in lines:
        command: Any = typer.main.get_command(build())
        words = line.split()
        while words and isinstance(command, TyperGroup) and not words[0].startswith("-"):
            command = command.commands[words.pop(0)]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, line


def test_the_readme_shows_values_that_render(render: Render) -> None:
    """Every block of values in the chart's README."""
    readme = (ROOT / "helm" / "tripswitch" / "README.md").read_text("utf-8")
    blocks = re.findall(r"```yaml\n(.*?)```", readme, re.DOTALL)
    assert len(blocks) >= 2
    for block in blocks:
        assert json.dumps(render(yaml.safe_load(block)).objects)
