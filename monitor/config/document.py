"""A file's values with variables in place, and for each value where it stands and where it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from monitor.config.problems import KeyPath, Mark, Report
from monitor.config.secrets import masked
from monitor.config.source import Items, Node, Scalar, Table, typed
from monitor.config.variables import Variables, is_lone
from monitor.core.model import Json


@dataclass(slots=True)
class Document:
    """Plain JSON-like data under `data`; everything else is by path.

    `texts` holds what was written where `data` holds a number, boolean or null (so that a field that wants text can
    have it); `environment` the variables a value was taken from; `secret` the paths that must be masked;
    `lone` the texts that were one variable in quotes.
    """

    file: str
    data: dict[str, Json]
    report: Report
    texts: dict[KeyPath, str] = field(default_factory=dict)
    marks: dict[KeyPath, Mark] = field(default_factory=dict)
    environment: dict[KeyPath, frozenset[str]] = field(default_factory=dict)
    secret: set[KeyPath] = field(default_factory=set)
    lone: set[KeyPath] = field(default_factory=set)


def build(root: Table, file: str, environ: Mapping[str, str], report: Report) -> Document:
    """Substitute variables everywhere but in keys and in `x-` extensions (which are checked where they are used)."""
    section = next((entry.node for entry in root.entries if entry.key == "vars"), None)
    variables = Variables(section if isinstance(section, Table) else None, environ, report)
    document = Document(file, {}, report)
    for entry in root.entries:
        if not entry.key.startswith("x-"):
            document.data[entry.key] = _value(entry.node, (entry.key,), entry.mark, document, variables)
    return document


def _value(node: Node, path: KeyPath, mark: Mark, document: Document, variables: Variables) -> Json:
    document.marks[path] = mark
    document.report.place({path: mark})
    if isinstance(node, Scalar):
        return _scalar(node, path, document, variables)
    if isinstance(node, Items):
        return [_value(item, (*path, n), item.mark, document, variables) for n, item in enumerate(node.items)]
    return {e.key: _value(e.node, (*path, e.key), e.mark, document, variables) for e in node.entries}


def _scalar(node: Scalar, path: KeyPath, document: Document, variables: Variables) -> Json:
    expanded = variables.expand(node, path)
    if expanded.environment:
        document.environment[path] = expanded.environment
    if expanded.secret:
        document.secret.add(path)
    if expanded.secret or masked(expanded.text, path) != expanded.text:
        document.report.conceal(path, expanded.text)
    if not node.plain or not expanded.ok:
        if expanded.changed and is_lone(node.text):
            document.lone.add(path)
        return expanded.text
    value = typed(expanded.text)
    if value is not None and not isinstance(value, str):
        document.texts[path] = expanded.text
    return value
