"""Dockerfile, task definition and Helm pod say the same of ports, probes, user, state and the time to end."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import helm_python
import pytest
import yaml
from cfn import Stack

from monitor.core.durations import parse_duration
from monitor.settings import PREFIX, Settings, split_listen
from tools.image_steps import ROOT, admitted, ignore_rules, instructions, stages

DOCKERFILE = ROOT / "Dockerfile"
#: Fargate's longest stopTimeout.
LONGEST = 120


@pytest.fixture(scope="module")
def image() -> list[tuple[str, str]]:
    """The instructions of the stage that runs."""
    return stages(DOCKERFILE.read_text("utf-8"))[-1]


@pytest.fixture(scope="module")
def task() -> dict[str, Any]:
    """The container of the task definition."""
    made = Stack(Image="i", Cluster="c", VpcId="v", SubnetIds=["a", "b"], TaskPolicyArns=["p"])
    (one,) = made.resources["TaskDefinition"]["ContainerDefinitions"]
    return dict(one)


@pytest.fixture(scope="module")
def pod() -> dict[str, Any]:
    """The pod of the chart."""
    values = {"pipelines": {"p": "pipeline: p"}}
    with helm_python.Chart.load(ROOT / "helm" / "tripswitch") as chart:
        texts = chart.render(values, name="t")
    deployment = yaml.safe_load(next(text for name, text in texts.items() if name.endswith("deployment.yaml")))
    return dict(deployment["spec"]["template"]["spec"])


def told(image: list[tuple[str, str]], name: str) -> str:
    """The text of the only instruction of this name."""
    (one,) = [rest for instruction, rest in image if instruction == name]
    return one


def variables(image: list[tuple[str, str]]) -> dict[str, str]:
    """What ENV sets."""
    return dict(part.split("=", 1) for part in shlex.split(told(image, "ENV")))


def environ(container: dict[str, Any]) -> dict[str, str]:
    """The literal variables of a container, of Kubernetes or of ECS."""
    listed = container.get("env") or container["Environment"]
    return {one.get("name") or one["Name"]: str(one.get("value") or one.get("Value")) for one in listed}


def test_the_port_is_one(image: list[tuple[str, str]], task: dict[str, Any], pod: dict[str, Any]) -> None:
    """The daemon's own default, everywhere."""
    _, port = split_listen(Settings.model_fields["listen"].default)
    assert told(image, "EXPOSE") == str(port)
    assert [one["ContainerPort"] for one in task["PortMappings"]] == [port]
    assert [one["containerPort"] for one in pod["containers"][0]["ports"]] == [port]


def test_the_user_is_one(image: list[tuple[str, str]], task: dict[str, Any], pod: dict[str, Any]) -> None:
    """Numeric, for Kubernetes can't tell whether a name is root."""
    user, group = told(image, "USER").split(":")
    assert int(user) >= 10_000
    assert task["User"] == f"{user}:{group}"
    context = pod["securityContext"]
    assert (context["runAsUser"], context["runAsGroup"], context["fsGroup"]) == (int(user), int(group), int(group))


def test_the_state_is_in_one_place(image: list[tuple[str, str]], task: dict[str, Any], pod: dict[str, Any]) -> None:
    """A volume is mounted where the store's file lies."""
    url = variables(image)["TRIPSWITCH_STORE"]
    folder = str(Path(url.removeprefix("sqlite:///")).parent)
    assert environ(task)["TRIPSWITCH_STORE"] == f"{url}?locking=exclusive"  # on EFS
    assert environ(pod["containers"][0])["TRIPSWITCH_STORE"] == url
    volumes = json.loads(told(image, "VOLUME"))
    assert folder in volumes
    assert sorted(one["ContainerPath"] for one in task["MountPoints"]) == sorted(volumes)
    mounted = {one["mountPath"] for one in pod["containers"][0]["volumeMounts"] if not one.get("readOnly")}
    assert mounted == set(volumes)


def test_the_command_is_one(image: list[tuple[str, str]], task: dict[str, Any], pod: dict[str, Any]) -> None:
    """ECS takes the image's, the chart says it; both without a shell."""
    assert json.loads(told(image, "ENTRYPOINT")) == ["tripswitch"]
    assert json.loads(told(image, "CMD")) == pod["containers"][0]["args"]
    assert "command" not in pod["containers"][0]
    assert {"Command", "EntryPoint"}.isdisjoint(task)


def test_the_health_check_is_one(image: list[tuple[str, str]], task: dict[str, Any], pod: dict[str, Any]) -> None:
    """`tripswitch healthz`, which asks what Kubernetes asks; as often and as patiently."""
    options, command = told(image, "HEALTHCHECK").split(" CMD ")
    given = dict(re.findall(r"--([a-z-]+)=(\S+)", options))
    check = task["HealthCheck"]
    assert check["Command"] == ["CMD", *json.loads(command)] == ["CMD", "tripswitch", "healthz"]
    assert {name: str(parse_duration(given[name]).seconds) for name in ("interval", "timeout", "start-period")} == {
        "interval": str(check["Interval"]), "timeout": str(check["Timeout"]), "start-period": str(check["StartPeriod"]),
    }  # fmt: skip
    assert int(given["retries"]) == check["Retries"]
    container = pod["containers"][0]
    assert {container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness")} == {"/healthz"}
    startup = container["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] == check["StartPeriod"]


def test_the_time_to_end_is_one(image: list[tuple[str, str]], task: dict[str, Any], pod: dict[str, Any]) -> None:
    """SIGTERM, the daemon's own grace, and a kill only well after it."""
    assert told(image, "STOPSIGNAL") == "SIGTERM"
    default: timedelta = Settings.model_fields["grace"].default
    for environment in (environ(task), environ(pod["containers"][0])):
        assert parse_duration(environment["TRIPSWITCH_GRACE"]) == default
    assert task["StopTimeout"] == pod["terminationGracePeriodSeconds"]
    assert default.total_seconds() + 10 <= task["StopTimeout"] <= LONGEST
    assert task["LinuxParameters"]["InitProcessEnabled"] is True


def test_the_root_is_read_only_and_nothing_is_privileged(task: dict[str, Any], pod: dict[str, Any]) -> None:
    """On both."""
    assert task["ReadonlyRootFilesystem"] is True
    assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True
    assert task["LinuxParameters"]["Capabilities"]["Drop"] == ["ALL"]


def test_every_variable_is_a_setting(image: list[tuple[str, str]], task: dict[str, Any], pod: dict[str, Any]) -> None:
    """A misspelt one would only be warned of."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    for environment in (variables(image), environ(task), environ(pod["containers"][0])):
        ours = {name for name in environment if name.startswith(PREFIX)}
        assert ours
        assert ours <= known


def test_the_running_stage_needs_no_shell(image: list[tuple[str, str]]) -> None:
    """No RUN, and no instruction in shell form: its base may be one without."""
    assert [rest for name, rest in image if name == "RUN"] == []
    assert all(told(image, name).startswith("[") for name in ("ENTRYPOINT", "CMD", "VOLUME"))


def test_any_user_of_group_0_may_write_to_the_state(image: list[tuple[str, str]]) -> None:
    """OpenShift's users have no name and that group."""
    text = DOCKERFILE.read_text("utf-8")
    assert re.search(r"install -d -o 10001 -g 0 -m 0770 /state\b", text)
    assert ("COPY", "--from=build /state /var/lib/tripswitch") in image


def test_base_and_packages_are_pinned() -> None:
    """A tag that a build argument can pin further; packages by hash; no other source."""
    text = DOCKERFILE.read_text("utf-8")
    assert {rest.split()[0] for name, rest in instructions(text) if name == "FROM"} == {"python:${PYTHON}"}
    commands = [line for name, rest in instructions(text) if name == "RUN" for line in rest.split("&&")]
    installs = [line for line in commands if "pip " in line and " install " in line]
    assert len(installs) == 3
    assert all("--require-hashes" in line or "--no-index" in line for line in installs)
    assert "--no-build-isolation" in text


@pytest.mark.process
def test_hadolint_finds_nothing() -> None:
    """All rules, none ignored."""
    lint = Path(sys.executable).parent / "hadolint"
    told = subprocess.run([lint, "--no-color", DOCKERFILE], capture_output=True, text=True, check=False)
    assert (told.returncode, told.stdout) == (0, "")
    assert "hadolint ignore" not in DOCKERFILE.read_text("utf-8")


OUTSIDE = (
    ".env", ".git/config", "tests/x.py", "state.db", "config/coverage.yaml", "tools/lock.py", "id_rsa", ".venv/x",
    "monitor/__pycache__/x.pyc",
)  # fmt: skip


@pytest.mark.parametrize("path", OUTSIDE)
def test_what_is_not_copied_never_enters_the_build(path: str) -> None:
    """.dockerignore lists what may."""
    assert not admitted(path, ignore_rules())


def test_what_is_copied_enters_the_build() -> None:
    """Every source of a COPY from the context."""
    sources = [
        source
        for name, rest in stages(DOCKERFILE.read_text("utf-8"))[0]
        if name == "COPY"
        for source in rest.split()[:-1]
    ]
    assert len(sources) >= 8
    for source in sources:
        start = ROOT / source
        files = [start] if start.is_file() else [one for one in start.rglob("*") if one.suffix in (".py", ".yaml")]
        assert files
        assert [one for one in files if not admitted(one.relative_to(ROOT).as_posix(), ignore_rules())] == []
