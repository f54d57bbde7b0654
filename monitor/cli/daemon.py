"""`tripswitch run`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from monitor.cli import options
from monitor.cli.talk import EXIT_CONFIG, EXIT_FAILED, die, say


def run(
    paths: options.Paths,
    listen: Annotated[str | None, typer.Option(help="Address of the HTTP server (0.0.0.0:9108).")] = None,
    store: Annotated[str | None, typer.Option(help="Where state lives (sqlite:///tripswitch.db).")] = None,
    log_format: Annotated[str | None, typer.Option(help="auto, json or console (auto).")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error (info).")] = None,
    actions: Annotated[str | None, typer.Option(help="on, or off: watch, but change nothing (on).")] = None,
    kill_file: Annotated[Path | None, typer.Option(help="While this file exists, actions are off.")] = None,
    grace: Annotated[str | None, typer.Option(help="From SIGTERM to the end of the process (25s).")] = None,
    concurrency: Annotated[int | None, typer.Option(help="Check runs at the same time (64).")] = None,
    read_share: Annotated[float | None, typer.Option(help="Share of each AWS read quota to use (0.5).")] = None,
    endpoint: Annotated[str | None, typer.Option(help="Another address for all AWS services.")] = None,
) -> None:
    """Run the daemon until SIGTERM or Ctrl-C. SIGHUP, or a changed file, has it read its configuration again.

    Every flag is also an environment variable (TRIPSWITCH_LISTEN, TRIPSWITCH_LOG_LEVEL, ...); a flag wins. The token
    that commands over HTTP need comes from the environment alone: TRIPSWITCH_TOKEN.

    \b
    tripswitch run pipelines/
    tripswitch run etl.yaml --store sqlite:////var/lib/tripswitch.db
    """
    settings = options.settings(
        listen=listen,
        store=store,
        log_format=log_format,
        log_level=log_level,
        actions=actions,
        kill_file=kill_file,
        grace=grace,
        concurrency=concurrency,
        read_share=read_share,
        endpoint=endpoint,
    )
    from monitor import app
    from monitor.config import ConfigError
    from monitor.core.ports import StoreError
    from monitor.settings import environ, unknown_variables

    variables = environ()
    for warning in unknown_variables(variables):
        say(f"warning: {warning}")
    known = options.registry(EXIT_FAILED)
    try:
        code = asyncio.run(app.serve(app.Boot(tuple(paths), settings, variables, known)))
    except ConfigError as error:
        die(str(error), EXIT_CONFIG)
    except (app.StartError, StoreError) as error:
        die(str(error), EXIT_FAILED)
    raise typer.Exit(code)
