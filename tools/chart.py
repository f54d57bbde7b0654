"""Writes what the chart takes from elsewhere: `make reference`.

Rules and dashboards are copied (a chart is packaged without what lies outside it, and links don't survive), the
pipeline file's schema goes into values.schema.json, and the README's table comes from the schema and the defaults.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from monitor.config import json_schema
from tools.reference import ROOT, shipped

CHART = "helm/tripswitch"
#: Definitions of the values themselves; all others are the pipeline file's.
OWN = "values."
START, END = "<!-- values: generated -->", "<!-- end of values -->"


def pages(root: Path = ROOT) -> dict[str, str]:
    """Path below the root -> text, for every file that is generated."""
    schema = (root / CHART / "values.schema.json").read_text(encoding="utf-8")
    readme = (root / CHART / "README.md").read_text(encoding="utf-8")
    defaults = YAML(typ="safe", pure=True).load((root / CHART / "values.yaml").read_text(encoding="utf-8"))
    return {
        **copies(root),
        f"{CHART}/values.schema.json": with_pipelines(json.loads(schema), json_schema(shipped())),
        f"{CHART}/README.md": with_table(readme, json.loads(schema), defaults),
    }


def copies(root: Path = ROOT) -> dict[str, str]:
    """Rule files (those that have groups; beside them lie their tests) and dashboards."""
    found = {}
    for file in sorted((root / "config" / "prometheus").glob("*.yaml")):
        text = file.read_text(encoding="utf-8")
        if re.search(r"^groups:", text, re.MULTILINE):
            found[f"{CHART}/files/prometheus/{file.name}"] = text
    for file in sorted((root / "config" / "grafana").glob("*.json")):
        found[f"{CHART}/files/grafana/{file.name}"] = file.read_text(encoding="utf-8")
    return found


def stale(root: Path = ROOT) -> list[Path]:
    """Copies whose original is gone."""
    wanted = set(copies(root))
    there = [file for folder in ("prometheus", "grafana") for file in (root / CHART / "files" / folder).glob("*")]
    return [file for file in there if file.relative_to(root).as_posix() not in wanted]


def with_pipelines(values: dict[str, Any], pipeline: Mapping[str, Any]) -> str:
    """The values' schema as text, with this schema of a pipeline file as `definitions.pipeline`.

    Each definition stands on a line of its own, so that the part a person edits stays readable.
    """
    own = {name: body for name, body in values.pop("definitions").items() if name.startswith(OWN)}
    body = {key: value for key, value in pipeline.items() if key not in ("$schema", "definitions")}
    definitions = {**own, "pipeline": body, **pipeline.get("definitions", {})}
    head = json.dumps(values, indent=2, ensure_ascii=False).removesuffix("\n}")
    lines = [
        f"    {json.dumps(name)}: {json.dumps(definitions[name], ensure_ascii=False, sort_keys=True)}"
        for name in sorted(definitions, key=lambda name: (not name.startswith(OWN), name))
    ]
    return f'{head},\n  "definitions": {{\n' + ",\n".join(lines) + "\n  }\n}\n"


def with_table(readme: str, schema: Mapping[str, Any], defaults: Mapping[str, Any]) -> str:
    """The README with a row per value between its two marks."""
    before, rest = readme.split(START)
    _, after = rest.split(END)
    rows = ["| value | type | default | what it is |", "| --- | --- | --- | --- |"]
    for path, one in values(schema):
        rows.append(f"| `{path}` | {kind(one)} | {shown(at(defaults, path))} | {_cell(one['description'])} |")
    return before + START + "\n" + "\n".join(rows) + "\n" + END + after


def values(schema: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(dotted path, its schema) of every value; an object with named keys is told by its keys."""
    for name, one in schema["properties"].items():
        if "properties" in one:
            yield from values(one, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", one


def at(defaults: Mapping[str, Any], path: str) -> Any:
    """The default of a dotted path. Raises KeyError where values.yaml lacks it."""
    found: Any = defaults
    for name in path.split("."):
        found = found[name]
    return found


def kind(one: Mapping[str, Any]) -> str:
    """Its type in a word or a few."""
    if "enum" in one:
        return "one of " + ", ".join(f"`{value or '(empty)'}`" for value in one["enum"])
    kinds = one.get("type") or [choice["type"] for choice in one["anyOf"]]
    return " or ".join([kinds] if isinstance(kinds, str) else kinds)


def shown(value: Any) -> str:
    """A default as the table shows it."""
    return "-" if value is None else f"`{json.dumps(value, ensure_ascii=False)}`"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def main(root: Path = ROOT) -> list[Path]:
    """Write what is out of date and remove stale copies; the files that changed."""
    changed = stale(root)
    for file in changed:
        file.unlink()
    for name, text in pages(root).items():
        file = root / name
        if file.exists() and file.read_text(encoding="utf-8") == text:
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        changed.append(file)
    return changed


if __name__ == "__main__":
    for written in main():
        sys.stdout.write(f"{written.relative_to(ROOT)}\n")
