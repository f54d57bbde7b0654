"""Writes docs/reference/*.md and config/schema/pipeline.schema.json from the code: `make reference`.

The pages speak of what this repository ships; kinds and actions that installed packages bring are left out, so that
everybody generates the same.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from checks import KINDS
from monitor.actions import ACTIONS
from monitor.cli import catalogue
from monitor.config import json_schema
from monitor.core.durations import format_duration
from monitor.plugin import Registry
from monitor.settings import PREFIX, Settings
from monitor.telemetry.reference import metrics_markdown

ROOT = Path(__file__).resolve().parent.parent

#: Settings that have no flag of `run`: a token would stand in the process list, `url` belongs to client commands.
ENVIRONMENT_ONLY = {"token": "-", "url": "`--url` of client commands"}


def shipped() -> Registry:
    """What this repository brings, and nothing else."""
    return Registry({check.kind: check for check in KINDS}, {action.name: action for action in ACTIONS})


def pages(known: Registry) -> dict[str, str]:
    """Path below the root -> text."""
    kinds = [catalogue.kind(known.kinds[name]) for name in sorted(known.kinds)]
    actions = [catalogue.action(known.actions[name]) for name in sorted(known.actions)]
    return {
        "docs/reference/kinds.md": _kinds(kinds),
        "docs/reference/actions.md": _actions(actions),
        "docs/reference/metrics.md": metrics_markdown(),
        "docs/reference/settings.md": _settings(),
        "config/schema/pipeline.schema.json": _schema(known),
    }


def main(root: Path = ROOT) -> list[Path]:
    """Write every page under `root`; the files that changed."""
    changed: list[Path] = []
    for name, text in pages(shipped()).items():
        file = root / name
        if file.exists() and file.read_text(encoding="utf-8") == text:
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        changed.append(file)
    return changed


def _schema(known: Registry) -> str:
    """Sorted: the order in which the schema is put together differs between runs, a checked-in file must not."""
    return json.dumps(json_schema(known), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _kinds(entries: Sequence[Mapping[str, Any]]) -> str:
    head = (
        "# Kinds of checks\n\n"
        "Generated from the code by `make reference`; `tripswitch explain NAME` prints the same, also for kinds of\n"
        "installed packages. Keys that every check has (`interval`, `thresholds`, ...) are in\n"
        "[the pipeline file](../pipeline-file.md#checks).\n\n"
    )
    rows = [
        (_link(e["kind"]), e["summary"], ", ".join(f"`{s['name']}`" for s in e["signals"]) or "yours") for e in entries
    ]
    return head + _table(("kind", "observes", "signals"), rows) + "".join(_kind(entry) for entry in entries)


def _kind(entry: Mapping[str, Any]) -> str:
    signals = [
        (
            f"`{signal['name']}`",
            signal["unit"],
            f"`{signal['missing']}`",
            "; ".join(f"{level} {text}" for level, text in signal["thresholds"].items()) or "-",
            signal["help"],
        )
        for signal in entry["signals"]
    ]
    columns = ("signal", "unit", "missing means", "default thresholds", "what it is")
    return "".join(
        (
            f"\n## {entry['kind']}\n\n{entry['summary']}\n\n",
            f"- Interval: {entry['interval']} unless the file says otherwise.\n",
            f"- Cost: {entry['cost']}\n",
            f"- Permissions: {_permissions(entry)}\n\n",
            _parameters(entry),
            f"\n{_table(columns, signals)}" if signals else "\nIts signals are those that the parameters name.\n",
            _example(entry),
        )
    )


def _actions(entries: Sequence[Mapping[str, Any]]) -> str:
    head = (
        "# Actions\n\n"
        "Generated from the code by `make reference`; `tripswitch explain NAME` prints the same, also for actions of\n"
        "installed packages. What a step may say beside its action (`id`, `on_error`, `approve`, `enforce`) and the\n"
        "built-in steps (`wait`, `verify`, `approve`, `undo`, `ramp`) are in\n"
        "[the pipeline file](../pipeline-file.md#steps).\n\n"
    )
    rows = [(_link(e["action"]), e["summary"], _risk(e), "yes" if e["undo"] else "no") for e in entries]
    return head + _table(("action", "does", "risk", "undo"), rows) + "".join(_action(entry) for entry in entries)


def _action(entry: Mapping[str, Any]) -> str:
    implied = entry["defaults_to_targets"]
    return "".join(
        (
            f"\n## {entry['action']}\n\n{entry['summary']}\n\n",
            f"- Risk: {_risk(entry)}. Undo: {'yes' if entry['undo'] else 'no'}.\n",
            f"- Blast radius: {entry['blast_radius']}\n",
            f"- Without `{implied}` it acts on the targets that breached the threshold.\n" if implied else "",
            f"- Permissions: {_permissions(entry)}\n\n",
            _parameters(entry, implied),
            _example(entry),
        )
    )


def _settings() -> str:
    head = (
        "# Settings\n\n"
        "Generated from `monitor/settings.py` by `make reference`. A flag of `run` wins over the variable, the\n"
        "variable over the default. `TRIPSWITCH_*` variables that are no setting are warned of at start.\n\n"
    )
    rows = []
    for name, field in Settings.model_fields.items():
        default = field.default
        shown = "-" if default is None else f"`{_plain(default)}`"
        flag = ENVIRONMENT_ONLY.get(name, f"`--{name.replace('_', '-')}`")
        rows.append((f"`{PREFIX}{name.upper()}`", flag, shown, field.description or ""))
    return head + _table(("variable", "flag of `run`", "default", "what it is"), rows)


def _plain(value: object) -> str:
    return format_duration(value) if isinstance(value, timedelta) else str(value)


def _parameters(entry: Mapping[str, Any], from_targets: str | None = None) -> str:
    rows = [
        (
            f"`{one['name']}`",
            one["type"],
            "the targets" if one["name"] == from_targets else _default(one),
            one["description"],
        )
        for one in entry["parameters"]
    ]
    return _table(("parameter", "type", "default", "what it is"), rows) if rows else "It takes no parameters.\n"


def _default(one: Mapping[str, Any]) -> str:
    if one["required"]:
        return "(required)"
    value = one["default"]
    if value is None or value in ({}, [], ""):
        return "-"
    return f"`{value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}`"


def _example(entry: Mapping[str, Any]) -> str:
    return f"\n```yaml\n{entry['example']}\n```\n"


def _risk(entry: Mapping[str, Any]) -> str:
    return f"{entry['risk']}, by its parameters" if entry["risk_depends_on_parameters"] else str(entry["risk"])


def _permissions(entry: Mapping[str, Any]) -> str:
    return ", ".join(f"`{one}`" for one in entry["permissions"]) or "none beyond what the parameters name"


def _link(name: str) -> str:
    return f"[`{name}`](#{name})"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join("| " + " | ".join(_cell(str(cell)) for cell in line) + " |\n" for line in lines)


def _cell(text: str) -> str:
    """A pipe would end the cell, a line break the row."""
    return " ".join(text.replace("|", "\\|").split())


if __name__ == "__main__":
    for written in main():
        sys.stdout.write(f"{written.relative_to(ROOT)}\n")
