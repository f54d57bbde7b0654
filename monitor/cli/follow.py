"""Following a playbook: one line on stderr whenever something of a breaker changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitor.cli.talk import at, say

#: How often a followed breaker is looked at, in seconds.
EVERY = 1.0


class Follower:
    """Tells what is new in each look at a breaker (as the API shows it)."""

    def __init__(self) -> None:
        self._told: dict[str, str] = {}

    def look(self, breaker: Mapping[str, Any]) -> None:
        """Say every line that differs from the last look."""
        self._tell("breaker", f"{breaker['pipeline']}/{breaker['name']} is {_state(breaker)}")
        for step in breaker["steps"]:
            self._tell(f"{breaker['phase']} {step['id']}", _step(step))
            for n, change in enumerate(step["changes"]):  # one resource may stand there twice
                self._tell(f"{breaker['phase']} {step['id']} {n} {change['resource']}", _change(change))

    def _tell(self, key: str, line: str) -> None:
        if line and self._told.get(key) != line:
            self._told[key] = line
            say(line)


def approval(breaker: Mapping[str, Any]) -> str | None:
    """The hash of a plan that waits for a person, while nothing else goes on."""
    plan = breaker.get("approval")
    return str(plan) if plan else None


def plan_lines(breaker: Mapping[str, Any]) -> list[str]:
    """The steps that wait for approval, with what each would change."""
    lines = []
    for step in breaker["steps"]:
        if step["phase"] == "held" and step["gate"] in ("approval", "blast_radius"):
            lines.append(f"  {step['summary']}")
            lines += [f"    {change['resource']}: {change['summary']}" for change in step["changes"]]
    return lines


def _state(breaker: Mapping[str, Any]) -> str:
    words = str(breaker["state"])
    if breaker["disabled"]:
        words += " (disabled: it does nothing until enabled)"
    if breaker["state"] == "half_open" and breaker["trial_until"]:
        words += f", on trial until {at(breaker['trial_until'])} UTC"
    return words


def _step(step: Mapping[str, Any]) -> str:
    phase = step["phase"]
    if phase == "pending":
        return ""
    words = f"  {step['id']}: {phase}"
    if phase == "held" and step["gate"]:
        words += f" by {step['gate']}"
    if phase == "waiting" and step["until"]:
        words += f" until {at(step['until'])} UTC"
    detail = _unsaid(step["summary"], step["detail"])
    return f"{words}: {step['summary']}" + (f" ({detail})" if detail else "")


def _unsaid(summary: str, detail: str) -> str:
    """What the detail adds to the summary, which it often begins with."""
    said = summary.split(": ", 1)[-1]
    return detail.removeprefix(said).lstrip(": ")


def _change(change: Mapping[str, Any]) -> str:
    if change["phase"] == "planned":
        return ""
    words = f"    {change['resource']}: {change['phase']}"
    if change["done"] is not None:
        words += f", {change['done']} done"
        words += f", {change['remaining']} left" if change["remaining"] is not None else ""
        words += f", about {change['eta']:.0f}s" if change["eta"] else ""
    return f"{words} ({change['detail']})" if change["detail"] else words
