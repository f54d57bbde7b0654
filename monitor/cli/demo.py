"""`tripswitch demo`: the whole loop on an embedded emulator."""

from __future__ import annotations

import asyncio
import sys
from importlib.util import find_spec
from typing import Annotated

import typer

from monitor.cli.talk import EXIT_FAILED, die, show_table

Scenario = Annotated[str | None, typer.Argument(help="Which one (the first of --list).", show_default=False)]
Listing = Annotated[bool, typer.Option("--list", help="List the scenarios.")]
Port = Annotated[
    int, typer.Option("--port", help="Where the demo's daemon listens; 0: any free port.", min=0, max=65_535)
]


def demo(scenario: Scenario = None, listing: Listing = False, port: Port = 0) -> None:
    """Watch a pipeline break, trip, get contained and recover: emulator, incident and daemon on this machine.

    Nothing of AWS is touched and no credentials are needed.

    \b
    tripswitch demo
    tripswitch demo --list
    """
    missing = [name for name in ("moto", "flask") if find_spec(name) is None]
    if missing:
        die(
            f"the demo needs {' and '.join(missing)}, which are not installed: pip install 'tripswitch[demo]'",
            EXIT_FAILED,
        )
    from monitor.demo.show import run_demo, scenario_list

    scenarios = scenario_list()
    if listing:
        show_table(("SCENARIO", "SHOWS"), scenarios)
        return
    chosen = scenario or scenarios[0][0]
    raise typer.Exit(asyncio.run(run_demo(chosen, port=port, tty=sys.stdout.isatty(), out=sys.stdout)))
