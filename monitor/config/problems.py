"""What is wrong with a pipeline file, where, and what to write instead."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from monitor.config.hints import with_hint

#: Where a value stands in a document: mapping keys and sequence indexes, outermost first.
KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A position, both from 1."""

    line: int
    column: int


START = Mark(1, 1)


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One error. `path` is dotted (empty: the file as a whole); `suggestion` is what to do about it, if known."""

    file: str
    line: int
    column: int
    path: str
    message: str
    suggestion: str | None = field(default=None, compare=False)

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}: "
        subject = f"{self.path}: " if self.path else ""
        hint = f" ({self.suggestion})" if self.suggestion else ""
        return f"{where}{subject}{self.message}{hint}"


class ConfigError(Exception):
    """Every problem of every file, by position. Nothing of the configuration may be used."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def dotted(path: KeyPath) -> str:
    """`("notify", 0, "url")` as `notify[0].url`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def did_you_mean(word: object, choices: Iterable[str]) -> str | None:
    """`did you mean 'interval'?` when one of the choices is close enough (case does not count)."""
    by_lower = {choice.lower(): choice for choice in sorted(choices)}
    close = difflib.get_close_matches(str(word).lower(), by_lower, n=1, cutoff=0.6)
    return f"did you mean '{by_lower[close[0]]}'?" if close else None


def one_of(choices: Iterable[str]) -> str:
    """`one of a, b, c`, bounded, for a suggestion when nothing is close."""
    names = list(choices)
    more = ", ..." if len(names) > 12 else ""
    return f"one of {', '.join(names[:12])}{more}" if names else "there is none"


class Report:
    """Collects the problems of one file.

    A path that is `spoiled` (its variable is undefined, say) swallows every later complaint about it or anything
    under it: the reader sees causes, not consequences.
    """

    def __init__(self, file: str) -> None:
        self.file = file
        self._marks: dict[KeyPath, Mark] = {}
        self._secrets: dict[KeyPath, str] = {}
        self._spoiled: set[KeyPath] = set()
        self._found: dict[tuple[Mark, str], Problem] = {}
        self._warned: dict[tuple[Mark, str], Problem] = {}

    def place(self, marks: Mapping[KeyPath, Mark]) -> None:
        """Learn where the paths of the document stand."""
        self._marks.update(marks)

    def conceal(self, path: KeyPath, value: str) -> None:
        """Never print this value in a problem of this path."""
        self._secrets[path] = value

    def mark(self, path: KeyPath) -> Mark:
        """The position of a path, or of its nearest ancestor that stands in the file."""
        for length in range(len(path), -1, -1):
            if (found := self._marks.get(path[:length])) is not None:
                return found
        return START

    def spoil(self, path: KeyPath) -> None:
        """Silence what follows from a problem already told."""
        self._spoiled.add(path)

    def add(self, path: KeyPath, message: str, suggestion: str | None = None, *, at: Mark | None = None) -> None:
        """Tell a problem; one about a spoiled path or told before at the same place is dropped."""
        if any(path[:length] in self._spoiled for length in range(len(path) + 1)):
            return
        for concealed, value in self._secrets.items():
            if value and concealed[: len(path)] == path:
                message = message.replace(value, "***")
        if suggestion is None:
            message, suggestion = with_hint(message, path[-1] if path else "")
        mark = at or self.mark(path)
        problem = Problem(self.file, mark.line, mark.column, dotted(path), message, suggestion)
        self._found.setdefault((mark, message), problem)

    def warn(self, path: KeyPath, message: str, suggestion: str | None = None) -> None:
        """What is valid and hardly meant; it keeps no file from being loaded."""
        mark = self.mark(path)
        problem = Problem(self.file, mark.line, mark.column, dotted(path), message, suggestion)
        self._warned.setdefault((mark, message), problem)

    @property
    def warnings(self) -> list[Problem]:
        """By position."""
        return sorted(self._warned.values())

    def stranger(self, path: KeyPath, name: object, owner: str, choices: Iterable[str]) -> None:
        """`'name' is no OWNER`, with the closest choice or all of them."""
        known = list(choices)
        self.add(path, f"'{name}' is no {owner}", did_you_mean(name, known) or one_of(known))

    def unknown(self, path: KeyPath, what: str, name: object, choices: Iterable[str]) -> None:
        """`unknown WHAT 'name'`, with the closest choice or all of them."""
        known = list(choices)
        self.add(path, f"unknown {what} '{name}'", did_you_mean(name, known) or one_of(known))

    @property
    def problems(self) -> list[Problem]:
        """By position."""
        return sorted(self._found.values())
