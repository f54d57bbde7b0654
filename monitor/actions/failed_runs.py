"""Executions that failed lately: which of them a step is about, one by one, each only once per trip.

AWS's own records are the memory: a redriven execution carries the date of its last redrive, a restarted one has a name
made of the original's ARN. So a step that is killed looks again instead of guessing, and a trip that is applied twice
touches nothing twice.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import Field

from monitor.actions.executions import PAGE, standard_machines
from monitor.plugin import ActionContext, Change, Duration, Json, Params, Selector, target_name

#: A failed canary tells something; it is no work that was lost.
_CANARY = re.compile(r"canary-[0-9a-f]{32}")
_EXAMPLES = 20


class FailedParams(Params):
    """Which failed executions."""

    state_machines: Selector = Field(description="State machines: names, ARNs, globs or tags.")
    failed_within: Duration = Field(
        default=timedelta(hours=1), description="Those that ended at most this long before the trip, or since."
    )
    longest: Duration = Field(
        default=timedelta(days=1), description="How long before that they may have been started: listing ends there."
    )
    statuses: tuple[Literal["FAILED", "TIMED_OUT", "ABORTED"], ...] = Field(
        default=("FAILED", "TIMED_OUT"), min_length=1, description="How they ended; ABORTED were stopped by somebody."
    )
    errors: tuple[str, ...] = Field(default=(), description="Only with these error names (globs); empty: any.")
    except_errors: tuple[str, ...] = Field(default=(), description="Not with these error names (globs).")
    most: int = Field(default=100, ge=1, le=10_000, description="At most so many, those that ended first.")
    rate: float = Field(default=5.0, gt=0, le=100, description="Per second.")

    def fits(self, error: str) -> bool:
        """Whether an execution that ended with this error (TIMED_OUT ones have none: `States.Timeout`) is meant."""
        wanted = not self.errors or any(fnmatch.fnmatchcase(error, one) for one in self.errors)
        return wanted and not any(fnmatch.fnmatchcase(error, one) for one in self.except_errors)


def told(params: FailedParams) -> str:
    """In words, for a plan."""
    names = ", ".join(target_name(name) for name in params.state_machines.names[:5]) or "the tagged machines"
    within = params.model_dump(mode="json")["failed_within"]
    which = f" with {', '.join(params.errors)}" if params.errors else ""
    but = f" but not with {', '.join(params.except_errors)}" if params.except_errors else ""
    return f"the executions of {names} that failed{which}{but} in the {within} before the trip or since"


def change_of(action: str, verb: str, params: FailedParams) -> Change:
    """The plan; what failed is not known before AWS is asked."""
    names = ", ".join(target_name(name) for name in params.state_machines.names) or "tagged"
    return Change(
        action=action,
        resource=f"states/{names}",
        wanted=None,
        summary=f"{verb} {told(params)}, at most {params.most}, {params.rate:g} a second",
        params=params.model_dump(mode="json"),
    )


@dataclass(frozen=True, slots=True)
class Failed:
    """One of them, as described by AWS."""

    arn: str
    name: str
    error: str
    seen: Mapping[str, Any]


async def listed(params: FailedParams, ctx: ActionContext) -> list[str]:
    """ARNs of what failed in the window, those that ended first first; what this trip did is not among them twice."""
    since = ctx.trip.started_at - params.failed_within
    machines, _ = await standard_machines(params.state_machines, ctx)
    found: list[tuple[datetime, str]] = []
    for machine in machines:
        for status in params.statuses:
            pages = ctx.aws.pages(
                "stepfunctions", "ListExecutions", stateMachineArn=machine, statusFilter=status, maxResults=PAGE
            )
            async for page in pages:
                rows = page.get("executions", ())
                found += [
                    (row["stopDate"], str(row["executionArn"]))
                    for row in rows
                    if row.get("stopDate") is not None
                    and row["stopDate"] >= since
                    and not _CANARY.fullmatch(str(row["name"]))
                ]
                if rows and rows[-1]["startDate"] < since - params.longest:
                    break  # newest start first
    return [arn for _, arn in sorted(found)]


async def described(arn: str, ctx: ActionContext) -> Failed:
    """What AWS says of it now."""
    seen = await ctx.aws.call("stepfunctions", "DescribeExecution", executionArn=arn)
    error = str(seen.get("error") or ("States.Timeout" if seen["status"] == "TIMED_OUT" else ""))
    return Failed(arn, arn.rsplit(":", 1)[-1], error, seen)


@dataclass(slots=True)
class Tally:
    """What a step did to them, for its receipt."""

    done: int = 0
    names: list[str] | None = None
    skipped: int = 0
    why: list[str] | None = None
    left: int = 0

    def did(self, one: Failed) -> None:
        """It is done."""
        self.done += 1
        self.names = [*(self.names or []), one.name][:_EXAMPLES]

    def skip(self, one: Failed, why: str) -> None:
        """It is left alone, and why."""
        self.skipped += 1
        self.why = [*(self.why or []), f"{one.name}: {why}"][:_EXAMPLES]

    def data(self) -> dict[str, Json]:
        """Counts and the first few names."""
        names: Sequence[str] = self.names or []
        why: Sequence[str] = self.why or []
        return {"done": self.done, "names": names, "skipped": self.skipped, "why": why, "left": self.left}

    def text(self, verb: str) -> str:
        """`3 redriven; 1 left alone (lisbon: ...); 12 beyond `most``."""
        parts = [f"{self.done} {verb}"]
        if self.skipped:
            parts.append(f"{self.skipped} left alone ({(self.why or [''])[0]})")
        if self.left:
            parts.append(f"{self.left} beyond `most`")
        return "; ".join(parts)
