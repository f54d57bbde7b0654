"""Every command's `--help` is a manual page: purpose, examples that parse, exit codes, environment, any width."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from fake_surface import Run

from monitor.cli.main import build
from monitor.cli.manual import SETTINGS, ManualCommand
from monitor.settings import Settings


def tree(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """(words, command) of every command that is no group."""
    commands = getattr(command, "commands", None)
    if commands is None:
        yield path, command
        return
    for name, inner in commands.items():
        yield from tree(inner, (*path, name))


ROOT = typer.main.get_command(build())
COMMANDS = dict(tree(ROOT))
EACH = pytest.mark.parametrize("words", COMMANDS, ids=" ".join)


def test_the_settings_of_the_manual_are_the_settings() -> None:
    """A new setting appears in the manual."""
    assert set(Settings.model_fields) >= SETTINGS
    assert {str(one.name) for one in COMMANDS[("run",)].params} - {"paths"} <= SETTINGS


@EACH
def test_every_example_of_every_command_parses(words: tuple[str, ...]) -> None:
    """It names this command, and its arguments and flags are taken as they are written."""
    command = COMMANDS[words]
    assert isinstance(command, ManualCommand)
    assert command.examples, "no example after a \\b line in the docstring"
    for example in command.examples:
        line = example.split(" | ")[0].split(" > ")[0]
        name, *rest = shlex.split(line)
        assert name == "tripswitch"
        assert tuple(rest[: len(words)]) == words, example
        context = command.make_context("tripswitch", rest[len(words) :])
        context.close()


@EACH
@pytest.mark.parametrize("width", [60, 80, 132])
async def test_help_fits_every_terminal(cli: Run, words: tuple[str, ...], width: int) -> None:
    """All sections are there, every parameter has words of its own, and no line is wider than the terminal."""
    result = await cli(*words, "--help", env={"COLUMNS": str(width)})
    assert result.exit_code == 0
    text = result.output
    for section in ("Usage:", "Examples:", "Exit codes:", "Environment:"):
        assert section in text
    purpose = text.split("Usage:", 1)[1].split("\n\n", 1)[1].strip()
    assert purpose[:1].isupper()
    assert [line for line in text.splitlines() if len(line) > width] == []
    for parameter in COMMANDS[words].params:
        assert getattr(parameter, "help", "") or parameter.name == "help", f"{parameter.name} says nothing"


async def test_a_docstrings_own_exit_codes_win(cli: Run) -> None:
    """`check` has codes of its own, and they stand in their section only once."""
    text = " ".join((await cli("check", "--help", env={"COLUMNS": "100"})).output.split())
    assert "Exit codes: 2 if anything is critical" in text
    assert text.count("if anything is critical") == 1
