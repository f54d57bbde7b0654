"""`${name}` in values: a variable of the file, else of the environment; `${name:-default}`; `$$` is a dollar sign.

`${trip.targets}` and its like stay as they are: the engine fills them in when a step runs. So does
`${prior}` in the `undo` of an `aws_call`, and `${window.start}` and its like in the actions that work through windows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from monitor.config.problems import KeyPath, Report, did_you_mean
from monitor.config.source import Scalar, Table

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
#: Environment variables whose values must not be shown (law: no secrets out).
_SENSITIVE = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|WEBHOOK|CREDENTIAL|API_?KEY|PRIVATE|SLACK_URL", re.IGNORECASE)
_MAX_LENGTH = 65_536

#: What a running trip knows of itself (monitor.plugin.TripInfo).
TRIP_FIELDS = ("id", "pipeline", "breaker", "severity", "reason", "started_at", "targets", "runbook")

#: What these actions fill in for each window they work through; they know the names themselves.
WINDOW_PREFIX, WINDOW_ACTIONS = "window.", ("backfill", "reprocess_objects")

#: The captured value, in the `undo` of an `aws_call`.
PRIOR = "prior"


@dataclass(frozen=True, slots=True)
class Expanded:
    """A scalar after substitution. `environment` names what it took from there; `ok` is False after a problem."""

    text: str
    environment: frozenset[str] = frozenset()
    ok: bool = True
    changed: bool = False

    @property
    def secret(self) -> bool:
        """True if it came from an environment variable that is named like a secret."""
        return any(_SENSITIVE.search(name) for name in self.environment)


class _Undefined(Exception):
    def __init__(self, message: str, suggestion: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.suggestion = suggestion


class _Spoiled(Exception):
    """Uses a variable whose own problem is already told."""


class Variables:
    """The variables of one file over the environment."""

    def __init__(self, section: Table | None, environ: Mapping[str, str], report: Report) -> None:
        self._environ = environ
        self._report = report
        self._raw: dict[str, Scalar] = {}
        self._done: dict[str, Expanded] = {}
        self._busy: list[str] = []
        for entry in section.entries if section else ():
            path: KeyPath = ("vars", entry.key)
            report.place({path: entry.mark})
            if not _NAME.fullmatch(entry.key):
                report.add(path, f"'{entry.key}' is no variable name", "letters, digits, _ and -, not a digit first")
            elif isinstance(entry.node, Scalar):
                self._raw[entry.key] = entry.node
            else:
                report.add(path, "a variable is one text, number or boolean", "repeat lists with a YAML anchor")
                self._done[entry.key] = Expanded("", ok=False)
        for name in self._raw:
            self._variable(name)

    def expand(self, scalar: Scalar, path: KeyPath) -> Expanded:
        """The scalar's text with every variable in place. Problems are told at `path`, which is then spoiled."""
        if "$" not in scalar.text:
            return Expanded(scalar.text)
        used: set[str] = set()
        try:
            text = self._fill(scalar.text, path, used)
        except _Undefined as undefined:
            self._report.add(path, undefined.message, undefined.suggestion)
        except _Spoiled:
            pass
        else:
            return Expanded(text, frozenset(used), changed=text != scalar.text)
        self._report.spoil(path)
        return Expanded(scalar.text, ok=False)

    def _variable(self, name: str) -> Expanded:
        if name in self._done:
            return self._done[name]
        if name in self._busy:
            circle = [*self._busy[self._busy.index(name) :], name]
            raise _Undefined(f"variables go round in a circle: {' -> '.join(circle)}")
        self._busy.append(name)
        try:
            self._done[name] = self.expand(self._raw[name], ("vars", name))
        finally:
            self._busy.pop()
        return self._done[name]

    def _fill(self, text: str, path: KeyPath, used: set[str]) -> str:
        out: list[str] = []
        at = 0
        while (dollar := text.find("$", at)) >= 0:
            out.append(text[at:dollar])
            after = text[dollar + 1 : dollar + 2]
            if after == "$":
                out.append("$")
                at = dollar + 2
            elif after == "{":
                end = _closing(text, dollar + 2)
                out.append(self._value(text[dollar + 2 : end], path, used))
                at = end + 1
            else:
                out.append("$")
                at = dollar + 1
        filled = "".join([*out, text[at:]])
        if len(filled) > _MAX_LENGTH:
            raise _Undefined(f"longer than {_MAX_LENGTH} characters after substitution")
        return filled

    def _value(self, inside: str, path: KeyPath, used: set[str]) -> str:
        name, colon, default = inside.partition(":-")
        if name.startswith("trip.") and not colon:
            return _trip_placeholder(name, path)
        if name.startswith(WINDOW_PREFIX) and not colon:
            return _window_placeholder(name, path)
        if name == PRIOR and not colon and "undo" in path and name not in self._raw and name not in self._done:
            return f"${{{name}}}"
        if not _NAME.fullmatch(name):
            raise _Undefined(f"'${{{inside}}}' is no variable", "write ${NAME}, ${NAME:-default}, or $$ for a dollar")
        if name in self._raw or name in self._done:
            found = self._variable(name)
            if not found.ok:
                raise _Spoiled
            used |= found.environment
            return found.text
        value = self._environ.get(name)
        if value is not None and (value or not colon):
            used.add(name)
            return value
        if colon:
            return self._fill(default, path, used)
        close = did_you_mean(name, {*self._raw, *self._environ})
        raise _Undefined(
            f"variable '{name}' is not defined",
            close or f"set it in the environment, under vars, or write ${{{name}:-default}}",
        )


def is_lone(text: str) -> bool:
    """Whether it is one `${...}` and nothing beside."""
    try:
        return text.startswith("${") and _closing(text, 2) == len(text) - 1
    except _Undefined:
        return False


def _closing(text: str, start: int) -> int:
    depth, at = 1, start
    while at < len(text):
        if text.startswith("${", at):
            depth, at = depth + 1, at + 2
            continue
        if text[at] == "}":
            depth -= 1
            if depth == 0:
                return at
        at += 1
    raise _Undefined("'${' without '}'", "write $$ for a dollar sign")


def _trip_placeholder(name: str, path: KeyPath) -> str:
    field = name.removeprefix("trip.")
    if field not in TRIP_FIELDS:
        raise _Undefined(f"unknown variable '{name}'", did_you_mean(field, TRIP_FIELDS))
    if path[:1] != ("breakers",) or not {"on_trip", "recover"} & set(path[2:3]):
        raise _Undefined(f"'${{{name}}}' has a value only in a breaker's steps")
    return f"${{{name}}}"


def _window_placeholder(name: str, path: KeyPath) -> str:
    if path[:1] != ("breakers",) or not set(WINDOW_ACTIONS) & set(path):
        raise _Undefined(f"'${{{name}}}' has a value only in {' and '.join(WINDOW_ACTIONS)}")
    return f"${{{name}}}"
