"""YAML with comments, written for people: block mappings outside, short ones in braces inside."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Scalar = str | int | float | bool
Flow = Scalar | Sequence["Flow"] | dict[str, "Flow"]

WIDTH = 120
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_AMOUNT = re.compile(r"(\d+(\.\d+)?(ms|s|m|h|d|w))+|\d+(\.\d+)?%")
#: Words that some reader of YAML takes for something else than text.
_WORDS = frozenset({"true", "false", "yes", "no", "on", "y", "n", "null", "nan", "inf", "infinity"})


@dataclass(frozen=True, slots=True)
class Entry:
    """A key with its value (entries are a nested block); `notes` stand above it, `note` at the end of its line."""

    key: str
    value: Flow | tuple[Entry, ...] | Steps
    notes: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Steps:
    """A block list: each item is one mapping of one or more entries, the first on the dash's line."""

    items: tuple[tuple[Entry, ...], ...]


def write(entries: Iterable[Entry], indent: int = 0) -> list[str]:
    """The lines of a block mapping."""
    return [line for entry in entries for line in _entry(entry, indent)]


def comment(text: str, indent: int = 0) -> list[str]:
    """A sentence as comment lines, wrapped; whatever AWS put into it stays on its lines."""
    width = WIDTH - indent - 2
    lines: list[str] = []
    line = ""
    for word in printable(text).split():
        if line and len(line) + 1 + len(word) > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    return [f"{' ' * indent}# {one}" for one in [*lines, line] if one]


def printable(text: str) -> str:
    """Without line ends and control characters."""
    return "".join(char if char.isprintable() else "?" for char in text)


def scalar(value: Scalar) -> str:
    """Plain where no reader can mistake it, else in double quotes; `$` is doubled, or it would begin a variable."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return f"{value:g}" if isinstance(value, float) and value != int(value) else str(int(value))
    if _AMOUNT.fullmatch(value) or (_PLAIN.fullmatch(value) and value.casefold() not in _WORDS):
        return value
    quoted = json.dumps(value.replace("$", "$$"), ensure_ascii=False)
    return "".join(char if char.isprintable() else _escaped(char) for char in quoted)


def _escaped(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) <= 0xFFFF else f"\\U{ord(char):08x}"


def flow(value: Flow) -> str:
    """A value on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (str, int, float, bool)):
        return scalar(value)
    return "[" + ", ".join(flow(item) for item in value) + "]"


def _key(key: str) -> str:
    return scalar(key) if not _PLAIN.fullmatch(key) or key.casefold() in _WORDS else key


def _entry(entry: Entry, indent: int) -> list[str]:
    pad = " " * indent
    lines = [line for note in entry.notes for line in comment(note, indent)]
    head = f"{pad}{_key(entry.key)}:"
    if isinstance(entry.value, Steps):
        return [*lines, head, *(line for item in entry.value.items for line in _item(item, indent + 2))]
    if isinstance(entry.value, tuple) and entry.value and isinstance(entry.value[0], Entry):
        return [*lines, head, *write(_entries(entry.value), indent + 2)]
    return [*lines, *_noted(_inline(head, entry.value, indent), entry.note, indent)]


def _entries(value: tuple[object, ...]) -> list[Entry]:
    return [one for one in value if isinstance(one, Entry)]


def _inline(head: str, value: object, indent: int) -> list[str]:
    """On one line; a list or mapping that is too long for it one item a line."""
    assert isinstance(value, (str, int, float, bool, list, tuple, dict)), value
    line = f"{head} {flow(value)}"
    if len(line) <= WIDTH or isinstance(value, (str, int, float, bool)):
        return [line]
    pad = " " * (indent + 2)
    if isinstance(value, dict):
        return [
            head,
            *(part for key, item in value.items() for part in _inline(f"{pad}{_key(key)}:", item, indent + 2)),
        ]
    return [head, *(f"{pad}- {flow(item)}" for item in value)]


def _noted(lines: list[str], note: str, indent: int) -> list[str]:
    if not note:
        return lines
    told = f"{lines[-1]}  # {printable(note)}"
    if len(lines) == 1 and len(told) <= WIDTH:
        return [told]
    return [*comment(note, indent), *lines]


def _item(item: tuple[Entry, ...], indent: int) -> list[str]:
    """A list item: the comments of its first entry above the dash, the rest of it below."""
    notes = [line for note in item[0].notes for line in comment(note, indent)]
    bare = Entry(item[0].key, item[0].value, (), item[0].note)
    lines = write([bare, *item[1:]], indent + 2)
    first = next(n for n, line in enumerate(lines) if not line.lstrip().startswith("#"))
    lines[first] = f"{' ' * indent}- {lines[first][indent + 2 :]}"
    return [*notes, *lines]
