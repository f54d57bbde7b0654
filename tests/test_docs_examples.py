"""Every pipeline file in the documentation is valid.

A fence says what it holds: `yaml pipeline` a whole file, `yaml checks` and `yaml breakers` what stands below those
keys, `yaml sections` other top-level keys. The last two are read together with the page's first whole file.
"""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path

import pytest
import typer
from jsonschema import Draft7Validator
from ruamel.yaml import YAML
from typer.core import TyperGroup as Group

from monitor import app
from monitor.cli.main import build
from monitor.config import ConfigError
from monitor.telemetry.catalogue import METRICS

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
ENVIRON = {"ACCOUNT_ID": "123456789012", "QUEUE": "etl-ingest-dlq"}

_FENCE = re.compile(r"^( *)```yaml(?: (\w+))?\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> list[tuple[int, str, str]]:
    """(line, what it holds, text) of every YAML fence; an unmarked one that begins with a name is a whole file."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        body = textwrap.dedent(match[3])
        holds = match[2] or ("pipeline" if body.startswith("pipeline:") else "")
        found.append((text.count("\n", 0, match.start()) + 1, holds, body))
    return found


def whole(holds: str, body: str, first: str) -> str:
    """The block as a file."""
    head = first.split("\nbreakers:\n", maxsplit=1)[0]
    if holds == "checks":
        return f"pipeline: example\nchecks:\n{textwrap.indent(body, '  ')}"
    if holds == "breakers":
        return f"{head}\nbreakers:\n{textwrap.indent(body, '  ')}"
    return f"{body}\n{first}" if holds == "sections" else body


def problems(text: str, folder: Path) -> str:
    """What `validate` says of it; empty: valid."""
    file = folder / "example.yaml"
    file.write_text(text, encoding="utf-8")
    try:
        app.read_config([file], ENVIRON, app.registry())
    except ConfigError as error:
        return str(error)
    return ""


def cases() -> list[tuple[str, str]]:
    """(where, file) of every block that says what it holds."""
    found = []
    for page in PAGES:
        marked = [block for block in blocks(page) if block[1]]
        first = next((body for _, holds, body in marked if holds == "pipeline"), "")
        found += [(f"{page.name}:{line}", whole(holds, body, first)) for line, holds, body in marked]
    return found


@pytest.mark.parametrize(("where", "text"), cases(), ids=[where for where, _ in cases()])
def test_every_example_of_a_pipeline_file_is_valid(where: str, text: str, tmp_path: Path) -> None:
    """What a reader copies from the documentation loads."""
    assert problems(text, tmp_path) == "", where


@pytest.fixture(scope="module")
def editor() -> Draft7Validator:
    """What an editor reads of the checked-in schema."""
    return Draft7Validator(json.loads((ROOT / "config" / "schema" / "pipeline.schema.json").read_text("utf-8")))


@pytest.mark.parametrize(("where", "text"), cases(), ids=[where for where, _ in cases()])
def test_no_example_is_underlined_by_an_editor(where: str, text: str, editor: Draft7Validator) -> None:
    """The schema is no stricter than the loader on what the documentation shows."""
    document = YAML(typ="safe", pure=True).load(text)
    assert [error.message for error in editor.iter_errors(document)] == [], where


def test_an_invalid_example_is_found(tmp_path: Path) -> None:
    """The check above can fail."""
    assert "intervall" in problems(whole("checks", "a: {kind: queue_depth, queues: [q], intervall: 5s}", ""), tmp_path)


def test_pages_hold_examples_to_check() -> None:
    """The marks are read: the page about the file has many."""
    page = ROOT / "docs" / "pipeline-file.md"
    assert len([block for block in blocks(page) if block[1]]) >= 8


def test_the_howto_names_only_metrics_that_exist() -> None:
    """An alert on a misspelt metric never fires."""
    text = (ROOT / "docs" / "how-to.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\btripswitch_[a-z_]+", text))
    assert len(named) > 8
    assert named - {metric.name for metric in METRICS} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_on_a_page_exists_with_its_flags(page: Path) -> None:
    """What a reader types is known to the command tree."""
    text = page.read_text(encoding="utf-8")
    wrong = []
    for line in re.findall(r"(?:^ *\$ |`)tripswitch ([^`#\n]+)", text, re.MULTILINE):
        command, words = typer.main.get_command(build()), line.replace("\\|", " ").split()
        while words and isinstance(command, Group) and not words[0].startswith("-"):
            found = command.commands.get(words.pop(0).split("|")[0].rstrip(",;.:"))
            if found is None:
                wrong.append(line)
                break
            command = found
        flags = {option for parameter in command.params for option in parameter.opts} | {"--help", "--version"}
        wrong += [f"{line}: {word}" for word in words if word.startswith("--") and word not in flags]
    assert wrong == []
