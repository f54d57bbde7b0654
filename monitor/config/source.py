"""A YAML file as nodes that know where they stand.

Read event by event, so that nothing is ever constructed from a tag, an alias costs what it expands to, and every key
and item has a position. Scalars follow YAML 1.2's core schema (`off` and `yes` are text); there are no tags.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.reader import ReaderError

from monitor.config.problems import KeyPath, Mark, Report, did_you_mean

MAX_BYTES = 512 * 1024
MAX_NODES = 50_000
MAX_DEPTH = 48


@dataclass(frozen=True, slots=True)
class Scalar:
    """Text as written. `plain` (unquoted) text may turn out to be a number, a boolean or null."""

    text: str
    plain: bool
    mark: Mark
    size: int = 1


@dataclass(frozen=True, slots=True)
class Items:
    """A sequence."""

    items: tuple[Node, ...]
    mark: Mark
    size: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of a mapping; `mark` is the key's."""

    key: str
    mark: Mark
    node: Node


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping, without duplicate keys, merges (`<<`) applied."""

    entries: tuple[Entry, ...]
    mark: Mark
    size: int


Node = Scalar | Items | Table


class _Stop(Exception):
    """The file cannot be read further; the problem is already told."""


def read(text: str, report: Report) -> Table | None:
    """The file's one document, or None when its problems (told to `report`) leave nothing to look at."""
    if len(text.encode()) > MAX_BYTES:
        report.add((), f"the file is larger than {MAX_BYTES // 1024} KiB", "split it: one file is one pipeline")
        return None
    try:
        return _Composer(_events(text, report), report).document()
    except _Stop:
        return None


def _events(text: str, report: Report) -> Iterator[Any]:
    try:
        yield from YAML(typ="safe", pure=True).parse(text)
    except MarkedYAMLError as error:
        found = error.problem_mark or error.context_mark
        mark = Mark(found.line + 1, found.column + 1) if found else Mark(1, 1)
        report.add((), f"not valid YAML: {_told(error)}", _syntax_hint(text, mark), at=mark)
        raise _Stop from error
    except ReaderError as error:
        before = text[: error.position]
        mark = Mark(before.count("\n") + 1, len(before) - before.rfind("\n"))
        report.add((), "not valid YAML: a control character", at=mark)
        raise _Stop from error
    except (YAMLError, ValueError, RecursionError) as error:
        report.add((), f"not valid YAML: {type(error).__name__}")
        raise _Stop from error


def _told(error: MarkedYAMLError) -> str:
    context = f" {error.context}" if error.context else ""
    return f"{error.problem or 'unreadable'}{context}".replace("'<stream end>'", "the end of the file")


def _syntax_hint(text: str, mark: Mark) -> str | None:
    lines = text.splitlines()
    line = lines[mark.line - 1] if mark.line <= len(lines) else ""
    if "\t" in line[: mark.column + 1]:
        return "indent with spaces, not tabs"
    if "${" in line:
        return 'quote variables inside [] and {}: "${name}"'
    if ": " in line:
        return "quote text that holds ': '"
    return None


class _Composer:
    """Builds the node tree of one document from parser events."""

    def __init__(self, events: Iterator[Any], report: Report) -> None:
        self._events = events
        self._report = report
        self._anchors: dict[str, Node] = {}
        self._open: set[str] = set()
        self._size = 0

    def document(self) -> Table | None:
        """The root mapping. Anything else than exactly one mapping is a problem."""
        root: Node | None = None
        for event in self._events:
            if not isinstance(event, DocumentStartEvent):
                continue
            if root is not None:
                self._report.add((), "a second document", "one file is one pipeline", at=_mark(event))
                break
            root = self._node(next(self._events), ())
        if root is None or (isinstance(root, Scalar) and root.plain and not root.text):
            self._report.add((), "the file is empty", "start with `pipeline: NAME`")
            return None
        if not isinstance(root, Table):
            self._report.add((), "a pipeline file is a mapping", "start with `pipeline: NAME`", at=root.mark)
            return None
        return root

    def _node(self, event: Any, path: KeyPath) -> Node:
        mark = _mark(event)
        if len(path) > MAX_DEPTH:
            self._report.add((), f"nested more than {MAX_DEPTH} deep", at=mark)
            raise _Stop
        if isinstance(event, AliasEvent):
            return self._alias(event, path)
        if event.tag is not None:
            self._report.add(path, f"tags ({event.tag}) are not supported", "write the plain value", at=mark)
            self._report.spoil(path)
        anchor: str | None = event.anchor
        if anchor:
            self._open.add(anchor)
        node: Node
        if isinstance(event, SequenceStartEvent):
            node = self._sequence(mark, path)
        elif isinstance(event, MappingStartEvent):
            node = self._mapping(mark, path)
        else:
            assert isinstance(event, ScalarEvent)
            node = Scalar(event.value, event.implicit[0], mark)
        if anchor:
            self._open.discard(anchor)
            self._anchors[anchor] = node
        self._bound(node)
        return node

    def _bound(self, node: Node) -> None:
        if node.size > MAX_NODES:
            self._report.add((), f"expands to more than {MAX_NODES} values", "use fewer aliases", at=node.mark)
            raise _Stop

    def _alias(self, event: AliasEvent, path: KeyPath) -> Node:
        name, mark = str(event.anchor), _mark(event)
        if (node := self._anchors.get(name)) is not None:
            return node
        why = "may not contain itself" if name in self._open else "is not defined above"
        self._report.add(path, f"anchor '{name}' {why}", did_you_mean(name, self._anchors), at=mark)
        self._report.spoil(path)
        return Scalar("", True, mark)

    def _sequence(self, mark: Mark, path: KeyPath) -> Items:
        items: list[Node] = []
        size = 1
        while not isinstance(event := next(self._events), SequenceEndEvent):
            items.append(self._node(event, (*path, len(items))))
            size += items[-1].size
        return Items(tuple(items), mark, size)

    def _mapping(self, mark: Mark, path: KeyPath) -> Table:
        own: dict[str, Entry] = {}
        merged: dict[str, Entry] = {}
        size = 1
        while not isinstance(event := next(self._events), MappingEndEvent):
            key, at = self._key(event, path), _mark(event)
            value = self._node(next(self._events), (*path, key))
            size += value.size
            if key == "<<" and event.implicit[0]:
                for entry in self._merge(value, (*path, key)):
                    merged.setdefault(entry.key, entry)
            elif key in own:
                first = own[key].mark
                self._report.add((*path, key), f"duplicate key '{key}'", f"first at {first.line}:{first.column}", at=at)
            else:
                own[key] = Entry(key, at, value)
        entries = {**own, **{key: entry for key, entry in merged.items() if key not in own}}
        return Table(tuple(entries.values()), mark, size)

    def _key(self, event: Any, path: KeyPath) -> str:
        if isinstance(event, ScalarEvent):
            return str(event.value)
        self._report.add(path, "keys must be plain text", at=_mark(event))
        raise _Stop

    def _merge(self, node: Node, path: KeyPath) -> list[Entry]:
        tables = node.items if isinstance(node, Items) else (node,)
        entries: list[Entry] = []
        for table in tables:
            if isinstance(table, Table):
                entries.extend(table.entries)
            else:
                self._report.add(path, "'<<' merges mappings only", at=node.mark)
        return entries


def _mark(event: Any) -> Mark:
    return Mark(event.start_mark.line + 1, event.start_mark.column + 1)


_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_INT = re.compile(r"[-+]?[0-9]{1,40}")
_BASED = re.compile(r"0o[0-7]{1,40}|0x[0-9a-fA-F]{1,40}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


def typed(text: str) -> bool | int | float | str | None:
    """An unquoted scalar's value by YAML 1.2's core schema."""
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _INT.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    if len(text) <= 60 and _FLOAT.fullmatch(text):
        return float(text)
    return text
