"""Options that several commands share, and what they stand for."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from monitor.cli.talk import EXIT_CONFIG, EXIT_USAGE, die

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.config import Loaded
    from monitor.plugin import Registry
    from monitor.settings import Settings

Format = Literal["table", "json"]

Paths = Annotated[list[Path], typer.Argument(help="Pipeline files, or folders of them.", show_default=False)]
Output = Annotated[Format, typer.Option("--output", "-o", help="table for people, json for programs.")]
Url = Annotated[
    str | None,
    typer.Option("--url", help="The daemon (TRIPSWITCH_URL, else http://127.0.0.1:9108).", show_default=False),
]
Token = Annotated[
    str | None,
    typer.Option("--token", help="Its bearer token; better kept in TRIPSWITCH_TOKEN.", show_default=False),
]
By = Annotated[str | None, typer.Option("--by", help="Who asks, for the timeline (the OS user).", show_default=False)]
Why = Annotated[str, typer.Option("--reason", "-r", help="Why, for the timeline.", show_default=False)]
Endpoint = Annotated[str | None, typer.Option("--endpoint", help="Another address for all AWS services.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]


def person(by: str | None) -> str:
    """Who acts: `--by`, else the OS user (in a container without one, its number)."""
    if by is not None and by.strip():
        return by.strip()
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid-{os.getuid()}"


def settings(code: int = EXIT_USAGE, **flags: object) -> Settings:
    """The settings; ends with `code` and every problem on stderr."""
    from monitor.settings import Settings, SettingsError

    try:
        return Settings.from_sources(flags)
    except SettingsError as error:
        die(str(error), code)


def registry(code: int = EXIT_CONFIG) -> Registry:
    """Every kind and action."""
    from monitor import app

    try:
        return app.registry()
    except app.StartError as error:
        die(str(error), code)


def load(paths: Sequence[Path], known: Registry, code: int = EXIT_CONFIG) -> Loaded:
    """The pipelines; ends with `code` and every problem, one per line as file:line:col, on stderr."""
    from monitor import app
    from monitor.config import ConfigError
    from monitor.settings import environ

    try:
        return app.read_config(paths, environ(), known)
    except ConfigError as error:
        die(str(error), code)
