"""Rules over functions and state machines."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any, Literal

from pydantic import Field

from checks.drift_rule import Finding, Rule, look_at, seconds_of, spelled
from checks.executions import EXPRESS
from checks.reading import Bare, number
from monitor.plugin import (
    Duration,
    Permission,
    ProbeContext,
    ProbeError,
    Reason,
    Resource,
    ResourceKind,
    Selector,
    discovery,
    need,
)


class FunctionTimeout(Rule):
    """Functions give up after `at_most`."""

    lambda_functions: Selector = Field(description="Functions by name, ARN, glob or tag.")
    at_most: Duration = Field(timedelta(minutes=5), description="Longest timeout.")

    def needs(self) -> list[Permission]:
        """For IAM."""
        asked = need("lambda:GetFunctionConfiguration", function=self.lambda_functions)
        return [*discovery(ResourceKind.FUNCTION, self.lambda_functions), asked]

    async def inspect(self, ctx: ProbeContext) -> list[Finding]:
        """By function."""

        async def look(function: Resource) -> Sequence[str]:
            found = await ctx.aws.call("lambda", "GetFunctionConfiguration", FunctionName=function.name)
            timeout = number(found.get("Timeout"), f"the timeout of {function.name}")
            most = seconds_of(self.at_most)
            return [f"times out after {spelled(timeout)}: set Timeout to {most} or less"] if timeout > most else []

        return await look_at(await ctx.aws.find(ResourceKind.FUNCTION, self.lambda_functions), look)


class Environment(Rule):
    """A function's environment is what it was when it last worked. Values are compared, only names are ever told."""

    lambda_function: str = Field(description="Name of the function.")
    alias: str | None = Field(None, description="The alias that live traffic goes through; default: $LATEST.")
    variables: Mapping[str, str] = Field(description="The last good values.")
    ignore: tuple[str, ...] = Field((), description="Globs over names that may differ.")
    others: bool = Field(False, description="Variables that are not listed may exist.")

    @property
    def targets(self) -> tuple[str, ...]:
        """The function."""
        return (self.lambda_function,)

    def needs(self) -> list[Permission]:
        """For IAM."""
        name = f"{self.lambda_function}:{self.alias}" if self.alias else self.lambda_function
        return [need("lambda:GetFunctionConfiguration", function=name)]

    async def inspect(self, ctx: ProbeContext) -> list[Finding]:
        """The one function."""

        async def look(function: Bare) -> Sequence[str]:
            which = {"Qualifier": self.alias} if self.alias else {}
            found = await ctx.aws.call("lambda", "GetFunctionConfiguration", FunctionName=function.name, **which)
            settings = found.get("Environment") or {}
            if settings.get("Error"):
                raise ProbeError(Reason.DENIED, f"Lambda can't decrypt the environment of {function.name}")
            return self._differences(settings.get("Variables") or {})

        return await look_at([Bare(self.lambda_function)], look)

    def _differences(self, live: Mapping[str, str]) -> list[str]:
        names = [
            name for name in sorted({*live, *self.variables}) if not any(fnmatchcase(name, i) for i in self.ignore)
        ]
        wrong = []
        for name in names:
            if name not in live:
                wrong.append(f"variable {name} is missing: put it back")
            elif name not in self.variables:
                if not self.others:
                    wrong.append(f"variable {name} is new: remove it or add it to the snapshot")
            elif live[name] != self.variables[name]:
                wrong.append(f"variable {name} differs from the last good value: restore it")
        return wrong


class MachineTimeout(Rule):
    """State machines give up after `at_most`, and tasks that wait for somebody else notice when he is gone.

    Without TimeoutSeconds an execution may hang for a year. Express machines end after five minutes by themselves.
    """

    state_machines: Selector = Field(description="State machines by name, ARN, glob or tag.")
    at_most: Duration = Field(timedelta(minutes=10), description="Longest TimeoutSeconds.")
    heartbeat: Literal["all", "waiting", "none"] = Field(
        "waiting", description="Which tasks need a heartbeat: all, those that wait for a token or a worker, or none."
    )

    def needs(self) -> list[Permission]:
        """For IAM."""
        asked = need("states:DescribeStateMachine", machine=self.state_machines)
        return [*discovery(ResourceKind.STATE_MACHINE, self.state_machines), asked]

    async def inspect(self, ctx: ProbeContext) -> list[Finding]:
        """By machine, from its definition."""

        async def look(machine: Resource) -> Sequence[str]:
            found = await ctx.aws.call("stepfunctions", "DescribeStateMachine", stateMachineArn=machine.arn)
            if found.get("type") == EXPRESS:
                return []
            try:
                definition = json.loads(found["definition"])
            except (KeyError, ValueError):
                raise ProbeError(Reason.INVALID, f"the definition of {machine.name} can't be read") from None
            return [*self._timeout(definition), *self._heartbeats(definition)]

        return await look_at(await ctx.aws.find(ResourceKind.STATE_MACHINE, self.state_machines), look)

    def _timeout(self, definition: Mapping[str, Any]) -> list[str]:
        most, given = seconds_of(self.at_most), definition.get("TimeoutSeconds")
        if given is None:
            return [f"has no timeout: set TimeoutSeconds to {most} or less"]
        # A JSONata expression is decided when it runs.
        if isinstance(given, int | float) and given > most:
            return [f"times out after {spelled(given)}: set TimeoutSeconds to {most} or less"]
        return []

    def _heartbeats(self, definition: Mapping[str, Any]) -> list[str]:
        if self.heartbeat == "none":
            return []
        return [
            f"task {name} has no heartbeat: set HeartbeatSeconds"
            for name, task in tasks(definition)
            if not ({"HeartbeatSeconds", "HeartbeatSecondsPath"} & set(task))
            and (self.heartbeat == "all" or _waits(str(task.get("Resource", ""))))
        ]


def tasks(part: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every Task state of a definition, those inside Parallel and Map states too."""
    for name, state in (part.get("States") or {}).items():
        if state.get("Type") == "Task":
            yield name, state
        for inner in (*state.get("Branches", ()), state.get("ItemProcessor"), state.get("Iterator")):
            if inner:
                yield from tasks(inner)


def _waits(resource: str) -> bool:
    return resource.endswith(".waitForTaskToken") or ":activity:" in resource
