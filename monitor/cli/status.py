"""The daemon as a whole: `status`, `healthz`, `reload`, `actions on|off`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from monitor.cli import options
from monitor.cli.client import Refused, Unreachable, connect
from monitor.cli.talk import (
    EXIT_CONFIG,
    EXIT_FAILED,
    EXIT_REFUSED,
    ask,
    at,
    count,
    die,
    say,
    show,
    show_json,
    show_table,
)

Ready = Annotated[bool, typer.Option("--ready", help="Ask whether it is ready, not only whether it is alive.")]


def status(url: options.Url = None, token: options.Token = None, output: options.Output = "table") -> None:
    """Show the daemon, its pipelines, its breakers, and the checks that are not ok.

    \b
    tripswitch status
    tripswitch status --url http://tripswitch.internal:9108 --output json
    """
    daemon = connect(url, token)
    told = {
        "status": daemon.get("status"),
        "breakers": daemon.get("breakers")["breakers"],
        "checks": daemon.get("checks")["checks"],
    }
    if output == "json":
        show_json(told)
        return
    for line in _lines(told["status"]):
        show(line)
    _pipelines(told)
    breakers_table(told["breakers"])
    bad = [check for check in told["checks"] if check["level"] != "ok"]
    if bad:
        rows = [(c["level"], f"{c['pipeline']}/{c['name']}", at(c["last_run"]), c["detail"] or _spread(c)) for c in bad]
        show_table(("LEVEL", "CHECK", "LAST RUN (UTC)", "WHY"), rows)
    else:
        show(f"All {count(len(told['checks']), 'check')} ok." if told["checks"] else "There are no checks.")


def healthz(ready: Ready = False, url: options.Url = None) -> None:
    """Ask whether the daemon is alive; for container health checks (`HEALTHCHECK CMD ["tripswitch", "healthz"]`).

    Exit codes: 0 yes, 1 no, 2 wrong usage.

    \b
    tripswitch healthz
    tripswitch healthz --ready --url http://127.0.0.1:9108
    """
    daemon = connect(url, None)
    try:
        code, answer = daemon.ask("GET", "/readyz" if ready else "/healthz")
    except Unreachable as error:
        die(str(error))
    if code != 200:
        die(f"not ready: {'; '.join(answer.get('reasons', ())) or f'HTTP {code}'}")
    show("ready" if ready else "ok")


def reload(url: options.Url = None, token: options.Token = None, by: options.By = None) -> None:
    """Have the daemon read its configuration again. Exit code 3: it was rejected and nothing changed.

    \b
    tripswitch reload
    """
    daemon = connect(url, token)
    try:
        answer = daemon.call("POST", ("config", "reload"), {"by": options.person(by)})
    except Unreachable as error:
        die(str(error), EXIT_FAILED)
    except Refused as error:
        if error.data.get("rejected") is True:
            die(f"rejected, the running configuration stays:\n{error.error}", EXIT_CONFIG)
        die(f"refused: {error}", EXIT_REFUSED)
    say(answer["message"])


def actions_on(
    url: options.Url = None,
    token: options.Token = None,
    by: options.By = None,
    reason: options.Why = "",
    yes: options.Yes = False,
) -> None:
    """Let actions run again; steps that were held go on at once.

    \b
    tripswitch actions on --reason "cause found"
    """
    daemon = connect(url, token)
    waiting = [
        f"  {breaker['pipeline']}/{breaker['name']}: {step['summary']}"
        for breaker in daemon.get("breakers")["breakers"]
        for step in breaker["steps"]
        if step["phase"] == "held" and step["gate"] == "kill_switch"
    ]
    say("\n".join(["these steps go on at once:", *waiting]) if waiting else "no step is held by the kill switch")
    ask("switch actions on?", yes)
    say(daemon.send("actions", enabled=True, by=options.person(by), reason=reason)["message"])


def actions_off(
    url: options.Url = None, token: options.Token = None, by: options.By = None, reason: options.Why = ""
) -> None:
    """Stop all actions now: every step that would change something is held. It asks nothing.

    \b
    tripswitch actions off --reason "we do it by hand"
    """
    daemon = connect(url, token)
    say(daemon.send("actions", enabled=False, by=options.person(by), reason=reason)["message"])


def breakers_table(breakers: list[dict[str, Any]]) -> None:
    """The breakers at a glance."""
    if not breakers:
        show("There are no breakers.")
        return
    columns = ("STATE", "BREAKER", "MODE", "SEVERITY", "SINCE (UTC)", "TRIPS", "WHY")
    show_table(columns, [_breaker(one) for one in breakers])


def _breaker(one: dict[str, Any]) -> tuple[str, ...]:
    marks = [word for word in ("disabled", "orphaned", "latched") if one[word]]
    state = one["state"] + (f" ({', '.join(marks)})" if marks else "")
    limit = "" if one["trips_per_day"] is None else f"/{one['trips_per_day']}"
    why = one["reason"] if one["state"] != "closed" else one["condition"]
    if one["approval"]:
        why = f"waits for approval of {one['approval']}; {why}"
    name = f"{one['pipeline']}/{one['name']}"
    return state, name, one["mode"], one["severity"], at(one["since"]), f"{one['trips_today']}{limit}", why


def _lines(told: dict[str, Any]) -> list[str]:
    ready = "ready" if told["ready"] else f"not ready: {'; '.join(told['not_ready'])}"
    actions = "actions on" if told["actions_enabled"] else f"ACTIONS OFF: {told['actions_reason']}"
    lines = [f"tripswitch {told['version']}, up since {at(told['started_at'])} UTC, {ready}; {actions}"]
    if told["storm"]:
        lines.append(f"Storm brake: {told['storm']}")
    if not told["config_ok"]:
        lines.append(f"The last reload was rejected: {told['config_error']}")
    if not told["mutations_enabled"]:
        lines.append("Commands are off: the daemon has no token.")
    return lines


def _pipelines(told: dict[str, Any]) -> None:
    rows = []
    for name in told["status"]["pipelines"]:
        checks = [check["level"] for check in told["checks"] if check["pipeline"] == name]
        breakers = [one["state"] for one in told["breakers"] if one["pipeline"] == name]
        tally = ", ".join(f"{checks.count(level)} {level}" for level in ("critical", "unknown", "warning", "ok"))
        away = len([state for state in breakers if state != "closed"])
        owner = "here" if told["status"]["leases"].get(name) else "another replica"
        rows.append((name, owner, tally, f"{len(breakers)}, {away} not closed"))
    show_table(("PIPELINE", "OWNED", "CHECKS", "BREAKERS"), rows)


def _spread(check: dict[str, Any]) -> str:
    if check["last_run"] is None:
        return "has not run yet"
    return ", ".join(f"{number} {level}" for level, number in check["counts"].items() if number)
