"""What the chart's tests share: rendered objects, the Helm command, Kubernetes' schemas."""

from __future__ import annotations

import functools
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "tripswitch"
#: Every bundled version that Chart.yaml admits.
KUBERNETES = [
    version
    for version in dict.fromkeys(kubernetes_validate.utils.all_versions())
    if tuple(map(int, version.split("."))) >= (1, 28, 0)
]

Objects = list[dict[str, Any]]


def objects(text: str) -> Objects:
    """The documents of a manifest."""
    return [one for one in yaml.load_all(text, Loader=yaml.CSafeLoader) if one]


class Rendered:
    """What one set of values becomes."""

    def __init__(self, files: dict[str, str]) -> None:
        self.notes = next((text for name, text in files.items() if name.endswith("NOTES.txt")), "")
        texts = [text for name, text in sorted(files.items()) if not name.endswith("NOTES.txt")]
        self.objects = [one for text in texts for one in objects(text)]

    def kinds(self) -> list[str]:
        """The kinds of all objects, sorted."""
        return sorted(one["kind"] for one in self.objects)

    def one(self, kind: str, suffix: str = "") -> dict[str, Any]:
        """The only object of this kind (whose name ends so)."""
        found = [one for one in self.objects if one["kind"] == kind and one["metadata"]["name"].endswith(suffix)]
        assert len(found) == 1, f"{len(found)} of {kind}"
        return found[0]

    @property
    def pod(self) -> dict[str, Any]:
        """The Deployment's pod."""
        return self.one("Deployment")["spec"]["template"]["spec"]

    @property
    def container(self) -> dict[str, Any]:
        """The daemon's container."""
        return next(one for one in self.pod["containers"] if one["name"] == "tripswitch")

    @property
    def environ(self) -> dict[str, str]:
        """Its literal environment."""
        return {one["name"]: one["value"] for one in self.container["env"] if "value" in one}


Render = Callable[..., Rendered]


def ask(helm: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Helm."""
    return subprocess.run([helm, *arguments], capture_output=True, text=True, check=False, timeout=120)


@functools.cache
def validator(version: str, kind: str, api: str) -> Draft202012Validator:
    """Kubernetes' own schema of a kind, strict. kubernetes-validate reads it anew for every object; here it is kept."""
    folder = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema" / f"v{version}-local-strict"
    group, _, revision = api.rpartition("/")
    name = f"{kind.lower()}-{group.split('.')[0] + '-' if group else ''}{revision}.json"
    schema = json.loads((folder / name).read_text("utf-8"))
    return Draft202012Validator(schema, registry=definitions(version))


@functools.cache
def definitions(version: str) -> Registry[Any]:
    """What the schemas of one version of Kubernetes refer to."""
    folder = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema" / f"v{version}-local-strict"
    loaded = Resource.from_contents(json.loads((folder / "_definitions.json").read_text("utf-8")))
    return loaded @ Registry()
