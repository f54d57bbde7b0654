"""`tripswitch breaker ...`: what a person may ask of one breaker, after seeing what it touches."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from monitor.cli import completing, options
from monitor.cli.client import Daemon, Refused, Unreachable, connect
from monitor.cli.follow import EVERY, Follower, approval, plan_lines
from monitor.cli.status import breakers_table
from monitor.cli.talk import EXIT_REFUSED, EXIT_USAGE, ask, count, die, say, show_json
from monitor.core.durations import parse_duration

#: Targets named before a question; the others are counted.
SHOWN = 20
#: Looks in a row that may find no daemon before following ends.
PATIENCE = 30

Breaker = Annotated[
    str,
    typer.Argument(
        help="Which breaker.", metavar="PIPELINE/BREAKER", show_default=False, autocompletion=completing.breakers
    ),
]
Local = Annotated[
    list[Path] | None,
    typer.Option(
        "--local",
        help="With no daemon: take the store (--store) and run just this breaker of these pipeline files.",
        metavar="PATH",
        show_default=False,
    ),
]
Store = Annotated[str | None, typer.Option("--store", help="With --local: where state lives (TRIPSWITCH_STORE).")]
Wait = Annotated[bool, typer.Option("--wait", help="Follow the steps until it is done.")]
Timeout = Annotated[str | None, typer.Option("--timeout", help="With --wait: give up following after this long (10m).")]
Force = Annotated[bool, typer.Option("--force", help="Close without the recovery steps; changes stay in force.")]
Approved = Annotated[
    str | None, typer.Option("--plan", help="Approve only this plan; by default the one shown.", show_default=False)
]


def list_breakers(url: options.Url = None, token: options.Token = None, output: options.Output = "table") -> None:
    """List the breakers.

    \b
    tripswitch breaker list
    """
    listed = connect(url, token).get("breakers")["breakers"]
    show_json(listed) if output == "json" else breakers_table(listed)


def trip(
    breaker: Breaker,
    reason: options.Why = "",
    wait: Wait = False,
    timeout: Timeout = None,
    local: Local = None,
    store: Store = None,
    yes: options.Yes = False,
    by: options.By = None,
    url: options.Url = None,
    token: options.Token = None,
) -> None:
    """Trip a breaker now: run its playbook, whatever the checks say. Only a person's reset closes it again.

    \b
    tripswitch breaker trip etl/s3-event-loop --reason "loop seen by hand"
    tripswitch breaker trip etl/s3-event-loop --local etl.yaml --yes
    """
    pipeline, name = _split(breaker)
    if local:
        from monitor.cli.local import Order, run_local

        run_local(Order("trip", breaker, options.person(by), reason, yes=yes), local, store)
        return
    daemon, limit = connect(url, token), _limit(timeout)
    seen = daemon.get("breakers", pipeline, name)
    say(f"{_title(seen)}; tripping it would:")
    say("\n".join(plan(seen, daemon.get("config"))) or "  do nothing: its playbook is empty")
    _targets(seen)
    if seen["mode"] == "observe":
        say("it only observes by itself; a trip by hand acts all the same")
    ask(f"trip {breaker}?", yes)
    _send(daemon, breaker, "trip", by=options.person(by), reason=reason)
    if wait:
        _follow(daemon, breaker, "open", limit)


def reset(
    breaker: Breaker,
    force: Force = False,
    wait: Wait = False,
    timeout: Timeout = None,
    local: Local = None,
    store: Store = None,
    yes: options.Yes = False,
    by: options.By = None,
    url: options.Url = None,
    token: options.Token = None,
) -> None:
    """Skip the hold, run the recovery steps now, then close. Returns when accepted, or with --wait when closed.

    \b
    tripswitch breaker reset etl/s3-event-loop --wait
    tripswitch breaker reset etl/s3-event-loop --force --yes
    """
    pipeline, name = _split(breaker)
    if local:
        from monitor.cli.local import Order, run_local

        run_local(Order("reset", breaker, options.person(by), force=force, yes=yes), local, store)
        return
    daemon, limit = connect(url, token), _limit(timeout)
    seen = daemon.get("breakers", pipeline, name)
    say(f"{_title(seen)}; resetting it {'leaves in force' if force else 'runs its recovery; in force are'}:")
    say("\n".join(in_force(seen)) or "  no change of this playbook")
    _targets(seen)
    ask(f"reset {breaker}?", yes)
    _send(daemon, breaker, "reset", by=options.person(by), force=force)
    if wait:
        _follow(daemon, breaker, "closed", limit)


def approve(
    breaker: Breaker,
    approved: Approved = None,
    yes: options.Yes = False,
    by: options.By = None,
    url: options.Url = None,
    token: options.Token = None,
) -> None:
    """Say yes to the plan that waits; if it changed since it was shown, the daemon refuses.

    \b
    tripswitch breaker approve etl/ingest-dead-letters
    """
    pipeline, name = _split(breaker)
    daemon = connect(url, token)
    seen = daemon.get("breakers", pipeline, name)
    waiting = approval(seen)
    if waiting is None:
        die(f"refused: {breaker} waits for no approval", EXIT_REFUSED)
    say("\n".join([f"{_title(seen)}; plan {waiting}:", *plan_lines(seen)]))
    _targets(seen)
    ask(f"approve plan {approved or waiting} of {breaker}?", yes)
    _send(daemon, breaker, "approve", by=options.person(by), plan=approved or waiting)


def disable(
    breaker: Breaker,
    reason: options.Why = "",
    yes: options.Yes = False,
    by: options.By = None,
    url: options.Url = None,
    token: options.Token = None,
) -> None:
    """Hold a breaker: it neither judges nor acts until enabled. What it changed stays in force.

    \b
    tripswitch breaker disable etl/ingest-throttling --reason "load test until 16:00"
    """
    pipeline, name = _split(breaker)
    daemon = connect(url, token)
    seen = daemon.get("breakers", pipeline, name)
    say(f"{_title(seen)}; disabled, it protects nothing. These changes stay in force:")
    say("\n".join(in_force(seen)) or "  none")
    ask(f"disable {breaker}?", yes)
    _send(daemon, breaker, "disable", by=options.person(by), reason=reason)


def enable(
    breaker: Breaker,
    yes: options.Yes = False,
    by: options.By = None,
    url: options.Url = None,
    token: options.Token = None,
) -> None:
    """Let a breaker judge and act again, from where it stood.

    \b
    tripswitch breaker enable etl/ingest-throttling
    """
    pipeline, name = _split(breaker)
    daemon = connect(url, token)
    seen = daemon.get("breakers", pipeline, name)
    left = [step["summary"] for step in seen["steps"] if step["phase"] not in ("done", "skipped", "would")]
    say(f"{_title(seen)}; enabled, it goes on with:")
    say("\n".join(f"  {line}" for line in left) or "  no step; it trips when its condition holds")
    ask(f"enable {breaker}?", yes)
    _send(daemon, breaker, "enable", by=options.person(by))


def plan(seen: dict[str, Any], documents: dict[str, Any]) -> list[str]:
    """What tripping would do, a line per step. Before a trip the daemon may only name the verb: its parameters help."""
    lines = list(seen["plan"])
    steps = documents.get(seen["pipeline"], {}).get("breakers", {}).get(seen["name"], {}).get("on_trip", [])
    if len(steps) == len(lines):
        lines = [
            f"{line}: {_words(step[line])}" if line in step else line for line, step in zip(lines, steps, strict=True)
        ]
    return [f"  {line}" for line in lines]


def _words(params: Any) -> str:
    if not isinstance(params, dict):
        return str(params)
    return ", ".join(f"{key} {value}" for key, value in params.items() if value not in (None, False, [], {}))


def in_force(seen: dict[str, Any]) -> list[str]:
    """The changes of the playbook shown that are in force, with what undo would put back."""
    return [
        f"  {change['resource']}: {change['summary']} (was {_prior(change['prior'])})"
        for step in seen["steps"]
        for change in step["changes"]
        if change["phase"] in ("intended", "applied", "drift", "abandoned")
    ]


def _prior(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {one}" for key, one in value.items())
    return "unset" if value is None else str(value)


def _split(breaker: str) -> tuple[str, str]:
    pipeline, slash, name = breaker.partition("/")
    if not slash or not pipeline or not name or "/" in name:
        die(f"'{breaker}' names no breaker: write PIPELINE/BREAKER; `tripswitch breaker list` shows them", EXIT_USAGE)
    return pipeline, name


def _limit(timeout: str | None) -> float | None:
    try:
        return parse_duration(timeout).total_seconds() if timeout is not None else None
    except ValueError as error:
        die(f"--timeout: {error}", EXIT_USAGE)


def _title(seen: dict[str, Any]) -> str:
    return f"{seen['pipeline']}/{seen['name']} ({seen['severity']}, mode {seen['mode']}) is {seen['state']}"


def _targets(seen: dict[str, Any]) -> None:
    targets = seen["targets"]
    if targets:
        more = f" and {len(targets) - SHOWN} more" if len(targets) > SHOWN else ""
        say(f"on {count(len(targets), 'target')}: {', '.join(targets[:SHOWN])}{more}")


def _send(daemon: Daemon, breaker: str, verb: str, **body: Any) -> None:
    say(daemon.send("breakers", *_split(breaker), verb, **body)["message"])


def _follow(daemon: Daemon, breaker: str, end: str, limit: float | None) -> None:
    """Until the breaker's state is `end`; a daemon that restarts meanwhile is waited for."""
    follower, lost, looks = Follower(), 0, 0
    while True:
        try:
            seen = daemon.call("GET", ("breakers", *_split(breaker)))
        except Unreachable as error:
            lost += 1
            if lost > PATIENCE:
                die(str(error))
        except Refused as error:
            die(f"refused: {error}", EXIT_REFUSED)
        else:
            lost = 0
            follower.look(seen)
            if seen["state"] == end:
                return
        looks += 1
        if limit is not None and looks * EVERY > limit:
            die(f"{breaker} is not {end} yet; it goes on by itself (`tripswitch breaker list` shows how far)")
        time.sleep(EVERY)
