"""Commands that read files: `validate`, `schema`, `config show`. Only `validate --online` asks AWS, none a daemon."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from monitor.cli import options
from monitor.cli.talk import EXIT_CONFIG, clean, count, say, show, show_json

if TYPE_CHECKING:
    from monitor.config import Loaded, Problem
    from monitor.plugin import Registry

Report = Annotated[
    Literal["text", "json", "github"], typer.Option("--output", "-o", help="github: annotations for a workflow run.")
]
Online = Annotated[bool, typer.Option("--online", help="Ask AWS too: dead checks, dead steps, permissions.")]
Origin = Annotated[bool, typer.Option("--origin", help="Also say where each value came from.")]
Document = Annotated[
    Literal["yaml", "json"], typer.Option("--output", "-o", help="yaml for people, json for programs.")
]


def validate(
    paths: options.Paths, output: Report = "text", online: Online = False, endpoint: options.Endpoint = None
) -> None:
    """Check pipeline files: every problem with file:line:column and what to write instead.

    Offline, AWS is not asked and secret references are not resolved; lines that are valid and yet don't do what they
    seem to are warnings. Exit code 0: valid, 3: not.

    With --online AWS is asked, reading only: whether each metric, queue, rule, alias, function and table exists, every
    selection finds something, each step fits the resource as it stands, and (iam:SimulatePrincipalPolicy) the enabled
    calls are permitted. Exit code 0: nothing found, 1: findings, 3: invalid. What could not be told is a note.

    \b
    tripswitch validate pipelines/
    tripswitch validate etl.yaml --output github
    tripswitch validate etl.yaml --online
    """
    from monitor import app
    from monitor.config import ConfigError
    from monitor.settings import environ

    known = options.registry()
    try:
        loaded = app.read_config(paths, environ(), known)
    except ConfigError as error:
        _tell(error.problems, output)
        raise typer.Exit(EXIT_CONFIG) from None
    if online:
        from monitor.cli.online import online as ask

        raise typer.Exit(ask(loaded, paths, known, output, endpoint))
    totals = _totals(loaded)
    warnings = (*loaded.warnings, *_linted(loaded, known))
    if output == "json":
        show_json({"ok": True, **totals, "problems": [], "warnings": _fields(warnings)})
    else:
        for warning in warnings:
            show(_annotation(warning, "warning") if output == "github" else f"warning: {warning}")
        words = ", ".join(count(number, name[:-1]) for name, number in totals.items())
        (show if output == "text" else say)(f"ok: {words}")


def _linted(loaded: Loaded, known: Registry) -> list[Problem]:
    """What the linter says of the files alone."""
    from monitor.cli.online import offline
    from monitor.config.problems import Problem, dotted
    from monitor.settings import environ

    return [
        Problem(one.file, one.line, one.column, dotted(one.finding.path), one.finding.message, one.finding.todo)
        for one in offline(loaded, known, environ())
    ]


def schema() -> None:
    """Print the JSON Schema (draft-07) of a pipeline file, for editors and Helm.

    It covers the kinds and actions of installed packages too.

    \b
    tripswitch schema > pipeline.schema.json
    """
    from monitor.config import json_schema

    show_json(json_schema(options.registry()))


def show_config(paths: options.Paths, origin: Origin = False, output: Document = "yaml") -> None:
    """Print the resolved configuration: variables and defaults in place, secrets masked.

    \b
    tripswitch config show etl.yaml
    tripswitch config show pipelines/ --origin
    """
    loaded = options.load(paths, options.registry())
    if output == "json":
        documents: Any = loaded.documents
        if origin:
            documents = {
                name: {"file": str(loaded.files[name]), "document": document, "origins": loaded.origins[name]}
                for name, document in loaded.documents.items()
            }
        show_json(documents)
        return
    for n, (name, document) in enumerate(loaded.documents.items()):
        if n:
            show("---")
        _write_yaml(document, loaded.origins[name] if origin else {})


def _totals(loaded: Loaded) -> dict[str, int]:
    return {
        "pipelines": len(loaded.pipelines),
        "checks": sum(len(pipeline.checks) for pipeline in loaded.pipelines),
        "breakers": sum(len(pipeline.breakers) for pipeline in loaded.pipelines),
    }


def _tell(problems: tuple[Problem, ...], output: str) -> None:
    files = len({problem.file for problem in problems})
    if output == "json":
        show_json({"ok": False, "problems": _fields(problems)})
        return
    for problem in problems:
        show(_annotation(problem) if output == "github" else str(problem))
    say(f"{count(len(problems), 'problem')} in {count(files, 'file')}")


def _fields(problems: tuple[Problem, ...]) -> list[dict[str, Any]]:
    fields = ("file", "line", "column", "path", "message", "suggestion")
    return [{name: getattr(problem, name) for name in fields} for problem in problems]


def _annotation(problem: Problem, kind: str = "error") -> str:
    """A workflow command: https://docs.github.com/actions/reference/workflow-commands-for-github-actions."""
    subject = f"{problem.path}: " if problem.path else ""
    hint = f" ({problem.suggestion})" if problem.suggestion else ""
    message = _escaped(f"{subject}{problem.message}{hint}")
    file = _escaped(problem.file).replace(":", "%3A").replace(",", "%2C")
    return f"::{kind} file={file},line={problem.line},col={problem.column},title=tripswitch::{message}"


def _escaped(text: str) -> str:
    return clean(text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A"))


def _write_yaml(document: Mapping[str, Any], origins: Mapping[str, str]) -> None:
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.dump(_commented(document, "", origins), sys.stdout)


def _commented(value: Any, path: str, origins: Mapping[str, str]) -> Any:
    """The same value with its origins as comments at the ends of the lines."""
    from ruamel.yaml.comments import CommentedMap, CommentedSeq
    from ruamel.yaml.scalarstring import LiteralScalarString

    if isinstance(value, Mapping):
        table = CommentedMap()
        for key, item in value.items():
            inside = f"{path}.{key}" if path else str(key)
            table[key] = _commented(item, inside, origins)
            _comment(table, key, origins.get(inside))
        return table
    if isinstance(value, (list, tuple)):
        items = CommentedSeq()
        for n, item in enumerate(value):
            items.append(_commented(item, f"{path}[{n}]", origins))
            _comment(items, n, origins.get(f"{path}[{n}]"))
        return items
    return LiteralScalarString(value) if isinstance(value, str) and "\n" in value else value


def _comment(owner: Any, key: Any, origin: str | None) -> None:
    nested = isinstance(owner[key], (dict, list)) and owner[key]
    if origin is not None and not nested:
        owner.yaml_add_eol_comment(origin.replace("\n", " "), key)
