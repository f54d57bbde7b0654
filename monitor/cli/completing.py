"""What the shell offers after <TAB>: names from pipeline files and from a daemon, quickly, or nothing at all.

Nothing here may fail, print or wait for long: a key was pressed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import typer

#: Seconds in which a daemon has to answer a key.
PATIENCE = 0.5


def breakers(ctx: typer.Context, incomplete: str) -> list[str]:
    """PIPELINE/BREAKER: of the files of `--local`, else of the daemon."""
    given = _paths(ctx.params.get("local"))
    if given:
        files = _documents(given)
        names = (f"{file.get('pipeline')}/{name}" for file in files for name in _keys(file, "breakers"))
        return _fitting(names, incomplete)
    listed = _asked(ctx, "breakers").get("breakers") or ()
    return _fitting((f"{one.get('pipeline')}/{one.get('name')}" for one in listed), incomplete)


def checks(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of checks in the files that stand on the line."""
    # A line that ends in `--only` is not parsed to its end: its paths are then still among the arguments.
    given = _paths(ctx.params.get("paths") or [word for word in ctx.args if not word.startswith("-")])
    found = (name for document in _documents(given) for name in _keys(document, "checks"))
    return _fitting(found, incomplete)


def incidents(ctx: typer.Context, incomplete: str) -> list[str]:
    """Ids of incidents, from the daemon."""
    return _fitting((one.get("id") for one in _asked(ctx, "incidents").get("incidents") or ()), incomplete)


def silences(ctx: typer.Context, incomplete: str) -> list[str]:
    """Ids of silences, from the daemon."""
    return _fitting((one.get("id") for one in _asked(ctx, "silences").get("silences") or ()), incomplete)


def kinds(incomplete: str) -> list[str]:
    """Kinds and actions of this process."""
    from monitor import app

    known = app.registry()
    return _fitting([*known.kinds, *known.actions], incomplete)


def _fitting(names: Iterable[Any], incomplete: str) -> list[str]:
    return sorted({str(name) for name in names if str(name).startswith(incomplete)})


def _paths(given: Any) -> list[Path]:
    values = given if isinstance(given, (list, tuple)) else [given] if given else []
    return [Path(str(value)) for value in values]


def _documents(paths: Sequence[Path]) -> Iterator[dict[str, Any]]:
    """The files as plain YAML; a broken one has no names to offer."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    for path in paths:
        files = sorted(path.glob("*.y*ml")) if path.is_dir() else [path]
        for file in files:
            try:
                document = YAML(typ="safe").load(file.read_text(encoding="utf-8"))
            except (OSError, UnicodeDecodeError, YAMLError):
                continue
            if isinstance(document, dict):
                yield document


def _keys(document: dict[str, Any], section: str) -> list[Any]:
    found = document.get(section)
    return list(found) if isinstance(found, dict) else []


def _asked(ctx: typer.Context, route: str) -> dict[str, Any]:
    """The daemon's list, or nothing: no address, no answer in time, no daemon."""
    from monitor.cli.client import DEFAULT_URL, Daemon, Refused, Unreachable
    from monitor.settings import Settings, SettingsError

    try:
        url = Settings.from_sources({"url": ctx.params.get("url")}).url
        answer = Daemon(url or DEFAULT_URL, patience=PATIENCE).call("GET", (route,))
    except (SettingsError, Unreachable, Refused):
        return {}
    return answer if isinstance(answer, dict) else {}
