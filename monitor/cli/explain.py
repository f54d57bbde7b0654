"""`tripswitch explain`: the catalogue, or one kind or action."""

from __future__ import annotations

import difflib
import json
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from monitor.cli import completing, options
from monitor.cli.talk import EXIT_FAILED, EXIT_USAGE, die, show, show_json, show_table

if TYPE_CHECKING:
    from monitor.plugin import Registry


Name = Annotated[
    str | None,
    typer.Argument(help="A kind of check or an action.", metavar="KIND|ACTION", autocompletion=completing.kinds),
]


def explain(name: Name = None, output: options.Output = "table") -> None:
    """List every kind of check and every action, or tell all about one.

    \b
    tripswitch explain
    tripswitch explain queue_depth
    tripswitch explain stop_executions --output json
    """
    from monitor.cli import catalogue

    known = options.registry(EXIT_FAILED)
    if name is None:
        _everything(known, output)
        return
    entries = []
    if name in known.kinds:
        entries.append(catalogue.kind(known.kinds[name]))
    if name in known.actions:
        entries.append(catalogue.action(known.actions[name]))
    if not entries:
        close = difflib.get_close_matches(name, [*known.kinds, *known.actions], n=1)
        hint = f"did you mean {close[0]}?" if close else "`tripswitch explain` lists them all"
        die(f"there is no kind or action called {name}; {hint}", EXIT_USAGE)
    if output == "json":
        show_json(entries[0] if len(entries) == 1 else entries)
        return
    for entry in entries:
        _kind(entry) if "kind" in entry else _action(entry)


def _everything(known: Registry, output: str) -> None:
    from monitor.cli import catalogue

    kinds = [catalogue.kind(known.kinds[name]) for name in sorted(known.kinds)]
    actions = [catalogue.action(known.actions[name]) for name in sorted(known.actions)]
    if output == "json":
        show_json({"kinds": kinds, "actions": actions})
        return
    signals = {entry["kind"]: ", ".join(signal["name"] for signal in entry["signals"]) for entry in kinds}
    show_table(
        ("KIND", "OBSERVES", "SIGNALS"), [(e["kind"], e["summary"], signals[e["kind"]] or "yours") for e in kinds]
    )
    show_table(
        ("ACTION", "DOES", "RISK", "UNDO"),
        [(e["action"], e["summary"], _risk(e), "yes" if e["undo"] else "no") for e in actions],
    )
    show("tripswitch explain NAME tells more of one.")


def _kind(entry: Mapping[str, Any]) -> None:
    show(f"kind {entry['kind']}: {entry['summary']}\n")
    show(f"Interval: {entry['interval']} unless the file says otherwise.")
    show(f"Cost: {entry['cost']}\n")
    _parameters(entry["parameters"])
    columns = ("SIGNAL", "UNIT", "MISSING MEANS", "DEFAULT THRESHOLDS", "WHAT IT IS")
    rows = [(s["name"], s["unit"], s["missing"], _thresholds(s["thresholds"]), s["help"]) for s in entry["signals"]]
    if rows:
        show_table(columns, rows)
    _ending(entry, _also("check"))


def _action(entry: Mapping[str, Any]) -> None:
    show(f"action {entry['action']}: {entry['summary']}\n")
    show(f"Risk: {_risk(entry)}. Undo: {'yes' if entry['undo'] else 'no'}.")
    show(f"Blast radius: {entry['blast_radius']}")
    if entry["defaults_to_targets"]:
        show(f"Without `{entry['defaults_to_targets']}` it acts on the targets that breached the threshold.")
    show("")
    _parameters(entry["parameters"], entry["defaults_to_targets"])
    _ending(entry, _also("step"))


def _parameters(listed: Sequence[Mapping[str, Any]], from_targets: str | None = None) -> None:
    if not listed:
        show("It takes no parameters.\n")
        return
    rows = [
        (one["name"], one["type"], "the targets" if one["name"] == from_targets else _default(one), one["description"])
        for one in listed
    ]
    show_table(("PARAMETER", "TYPE", "DEFAULT", "WHAT IT IS"), rows)


def _also(what: str) -> str:
    """The keys that stand beside a kind's or an action's own."""
    from monitor.config.models import CheckSection, StepSection

    section = CheckSection if what == "check" else StepSection
    names = ", ".join(field.alias or name for name, field in section.model_fields.items() if name != "kind")
    return f"Every {what} also takes: {names} (docs/pipeline-file.md).\n"


def _ending(entry: Mapping[str, Any], also: str) -> None:
    show(also)
    show(f"Permissions: {', '.join(entry['permissions']) or 'none beyond what the parameters name'}\n")
    show("Example:")
    show(textwrap.indent(entry["example"], "  "))


def _risk(entry: Mapping[str, Any]) -> str:
    return f"{entry['risk']}, by its parameters" if entry["risk_depends_on_parameters"] else str(entry["risk"])


def _default(one: Mapping[str, Any]) -> str:
    if one["required"]:
        return "(required)"
    value = one["default"]
    if value is None or value in ({}, [], ""):
        return "-"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _thresholds(levels: Mapping[str, str]) -> str:
    return "; ".join(f"{level} {text}" for level, text in levels.items()) or "-"
