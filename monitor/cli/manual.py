"""`--help` as a manual page: purpose, grouped options, then examples, exit codes and environment variables.

A command's docstring holds its purpose and, after a `\\b` line, its examples; a paragraph that begins with "Exit code"
replaces the codes of its family. Everything else follows from the names of its parameters, so that a new command has a
manual page without a line here.
"""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import typer
from typer.core import TyperCommand

#: Wider than this a line is hard to read.
WIDEST = 100

_PANELS: Mapping[str, str] = {
    **dict.fromkeys(("url", "token"), "A running daemon"),
    "local": "Without a daemon",
    "store": "State",
    **dict.fromkeys(("output", "out", "origin", "report"), "Output"),
    **dict.fromkeys(("by", "reason", "comment"), "For the timeline"),
    **dict.fromkeys(("yes", "dry_run", "force", "expect"), "Safety"),
    **dict.fromkeys(("region", "profile", "role_arn", "endpoint"), "AWS"),
    **dict.fromkeys(("listen", "grace", "concurrency", "read_share"), "Process"),
    **dict.fromkeys(("log_format", "log_level"), "Logs"),
    **dict.fromkeys(("actions", "kill_file"), "Kill switch"),
    **dict.fromkeys(("wait", "timeout"), "Following"),
}
#: Parameters that are a setting of the same name, hence TRIPSWITCH_NAME (monitor.settings; a test holds them equal).
SETTINGS = frozenset(
    {
        "listen", "store", "token", "log_format", "log_level", "actions", "kill_file", "grace", "concurrency",
        "read_share", "url", "endpoint",
    }
)  # fmt: skip
_MEANINGS: Mapping[str, str] = {
    "url": "the daemon",
    "token": "its bearer token, or a reference to it (env:, file:, ssm:, secretsmanager:)",
    "store": "where state lives",
    "endpoint": "another address for all AWS services",
}
_SDK = ("AWS_PROFILE, AWS_REGION, ...", "credentials and region, by the SDK's own chain")
_DONE, _FAILED, _USAGE = ("0", "done"), ("1", "failed"), ("2", "wrong usage")
_CONFIG = ("3", "the pipeline files are not valid: each problem is on stderr as FILE:LINE:COLUMN")
_REFUSED = ("4", "refused, by the daemon or by a guard: nothing was changed")


class ManualCommand(TyperCommand):
    """A command whose help ends with its examples, exit codes and environment."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        purpose, _, examples = (self.help or "").partition("\b")
        paragraphs = [one.strip() for one in purpose.strip().split("\n\n") if one.strip()]
        self.examples = [line.strip() for line in examples.splitlines() if line.strip()]
        self.codes = [" ".join(one.split()) for one in paragraphs if one.startswith("Exit code")]
        self.help = "\n\n".join(one for one in paragraphs if not one.startswith("Exit code"))
        for parameter in self.params:
            if getattr(parameter, "rich_help_panel", "") is None and isinstance(parameter, typer.core.TyperOption):
                parameter.rich_help_panel = _PANELS.get(str(parameter.name))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Usage, purpose and options as Typer prints them, then the sections."""
        super().format_help(ctx, formatter)
        width = min(shutil.get_terminal_size().columns, WIDEST)
        lines = [*_section("Examples", _examples(self.examples, width)), *self._codes(width), *self._environment(width)]
        typer.echo("\n".join(lines))

    def _codes(self, width: int) -> list[str]:
        if self.codes:
            text = " ".join(self.codes).partition(":")[2].strip() or " ".join(self.codes)
            return _section("Exit codes", _wrapped(text, width))
        names = {str(parameter.name) for parameter in self.params}
        codes = [_DONE, _FAILED, _USAGE]
        codes += [_CONFIG] if names & {"paths", "local"} else []
        codes += [_REFUSED] if names & {"url", "dry_run"} else []
        return _section("Exit codes", _table(codes, width))

    def _environment(self, width: int) -> list[str]:
        names = [str(parameter.name) for parameter in self.params]
        rows = [(f"TRIPSWITCH_{name.upper()}", self._meaning(name)) for name in names if name in SETTINGS]
        if "listen" in names:
            rows.append(("TRIPSWITCH_TOKEN", "bearer token of mutating requests; without one they are off"))
        if "endpoint" in names or "region" in names or "local" in names:
            rows.append(_SDK)
        if {"paths", "local"} & set(names):
            rows.append(("any NAME", "that the pipeline files mention as ${NAME}"))
        rows.append(("NO_COLOR", "set: no colours"))
        return _section("Environment", _table(rows, width))

    def _meaning(self, name: str) -> str:
        own = next((getattr(one, "help", None) for one in self.params if one.name == name), None)
        return _MEANINGS.get(name) or str(own or "").rstrip(".")


def apply(app: typer.Typer) -> None:
    """Make every command of the tree a manual page."""
    for command in app.registered_commands:
        command.cls = ManualCommand
    for group in app.registered_groups:
        if group.typer_instance is not None:
            apply(group.typer_instance)


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return [f" {title}:", *lines, ""] if lines else []


def _examples(examples: Iterable[str], width: int) -> list[str]:
    """Commands to copy: a long one goes on after a backslash, before a flag where it has one."""
    lines: list[str] = []
    for text in examples:
        rest, pad = text, "   "
        while len(pad) + len(rest) > width:
            room = width - len(pad) - 2
            cut = rest.rfind(" --", 0, room)
            cut = cut if cut > 0 else rest.rfind(" ", 0, room)
            if cut <= 0:
                break
            lines.append(f"{pad}{rest[:cut]} \\")
            rest, pad = rest[cut + 1 :], "       "
        lines.append(pad + rest)
    return lines


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, initial_indent="   ", subsequent_indent="   ", break_on_hyphens=False)


def _table(rows: Sequence[tuple[str, str]], width: int) -> list[str]:
    """Two columns; on a narrow terminal the second goes below the first."""
    first = max((len(name) for name, _ in rows), default=0) + 2
    lines: list[str] = []
    for name, meaning in rows:
        if first > width // 2:
            lines += [f"   {name}", *textwrap.wrap(meaning, width, initial_indent="     ", subsequent_indent="     ")]
            continue
        pad = " " * (3 + first)
        wrapped = textwrap.wrap(meaning, width, initial_indent=pad, subsequent_indent=pad, break_on_hyphens=False)
        head = f"   {name:<{first}}"
        lines += [head + wrapped[0].lstrip(), *wrapped[1:]] if wrapped else [head.rstrip()]
    return lines
