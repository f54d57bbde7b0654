"""Executions of state machines that failed lately: how many, which share, and how many in one and the same state.

`failed` counts the executions that ended FAILED or TIMED_OUT within `window`, from the list of executions, seconds
after they did. ABORTED ones count only with `include_aborted`: tripswitch's own drains abort, and must not look like
the failure they contain. The list is ordered by start, so an execution that ran longer than `longest` before it failed
is not seen. `failure_rate` is failed over ended executions of the window from CloudWatch's counts, absent below
`minimum` ended ones; minutes late, and the only source for Express machines, whose `failed` is CloudWatch's too.

`same_state` is the largest number of different executions that failed in the same state, its name and error in the
detail: one bad file fails once, a broken connector fails every city in the same place. The histories of the newest
`histories` failures are read, newest events first; with more failures than that it is a lower bound.

Default thresholds are the runbooks': more than 5 failures in an hour, more than 5 % of executions; two executions
failing in the same state are a warning.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pydantic import Field

from checks.executions import DISCOVERY, ExpressMachine, began, pages_newest_first
from checks.history import Failure, failure_of
from checks.reading import MINUTE, absent, attempt, each, observe, sums, unknown, whole_minutes
from monitor.plugin import (
    Bound,
    Check,
    Duration,
    MetricQuery,
    Missing,
    Observation,
    Params,
    Permission,
    ProbeContext,
    ProbeError,
    Reason,
    Resource,
    ResourceKind,
    Selector,
    Signal,
    SignalSpec,
    discovery,
    need,
)

FAILED = Signal("failed", "executions", "Executions that failed or timed out within `window`.", Missing.ZERO, "window")
RATE = Signal("failure_rate", "ratio", "Failed share of what ended within `window`, 0 to 1.", Missing.ZERO, "window")
SAME = Signal(
    "same_state", "executions", "Most executions that failed in one and the same state.", Missing.ZERO, "window"
)
SIGNALS = (FAILED, RATE, SAME)

#: Events read per history: a failed state's own events are its last ones.
EVENTS = 200


class Failures(Params):
    """Which machines, and over which time."""

    state_machines: Selector = Field(description="State machines by name, ARN, glob or tag.")
    window: Duration = Field(timedelta(hours=1), description="How far back failures count.")
    longest: Duration = Field(timedelta(hours=1), description="How long an execution may have run before it failed.")
    include_aborted: bool = Field(False, description="Also count executions that were stopped.")
    histories: int = Field(10, ge=0, le=50, description="Failed executions, newest first, whose history is read.")
    minimum: int = Field(5, ge=1, description="Ended executions without which there is no failure rate.")
    max_pages: int = Field(5, ge=1, le=100, description="Pages of 1,000 failed executions read per status, at most.")

    @property
    def statuses(self) -> tuple[str, ...]:
        """Those that count as failed."""
        return ("FAILED", "TIMED_OUT", "ABORTED") if self.include_aborted else ("FAILED", "TIMED_OUT")


async def probe(params: Failures, ctx: ProbeContext) -> Sequence[Observation]:
    """Each machine by its list of failed executions, their histories, and CloudWatch's counts."""

    async def read(machine: Resource) -> list[Observation]:
        failed = await attempt(_failed(machine, params, ctx))
        counts = await attempt(_counts(machine, params, ctx))
        if isinstance(failed, ExpressMachine):
            return _express(machine, counts, params)
        if isinstance(failed, ProbeError) and failed.reason is Reason.NOT_FOUND:
            raise failed
        rate = _rate(machine, counts, params, exists=not isinstance(failed, ProbeError))
        if isinstance(failed, ProbeError):
            return [*unknown((FAILED, SAME), machine.name, failed), rate]
        executions, is_whole = failed
        told = ", ".join(f"{count} {status}" for status, count in Counter(one["status"] for one in executions).items())
        seen = observe(FAILED, machine.name, len(executions), ctx.now, detail=told, lower_bound=not is_whole)
        return [seen, rate, *await _same_state(machine, executions, is_whole, params, ctx)]

    machines = await ctx.aws.find(ResourceKind.STATE_MACHINE, params.state_machines)
    return await each(machines, read, SIGNALS)


async def _failed(machine: Resource, params: Failures, ctx: ProbeContext) -> tuple[list[Mapping[str, Any]], bool]:
    """What ended badly within the window, newest end first, and whether that is all of it."""
    found: list[Mapping[str, Any]] = []
    is_whole = True
    for status in params.statuses:
        pages = 0
        async for executions, has_more in pages_newest_first(machine, ctx, statusFilter=status):
            pages += 1
            found += [one for one in executions if ctx.now - params.window < _ended(one) <= ctx.now]
            if executions and ctx.now - executions[-1]["startDate"] > params.window + params.longest:
                break
            if has_more and pages >= params.max_pages:
                is_whole = False
                break
    return sorted(found, key=_ended, reverse=True), is_whole


def _ended(execution: Mapping[str, Any]) -> datetime:
    ended: datetime | None = execution.get("stopDate")
    return ended or began(execution)


async def _same_state(
    machine: Resource, executions: Sequence[Mapping[str, Any]], is_whole: bool, params: Failures, ctx: ProbeContext
) -> list[Observation]:
    if not params.histories:
        return []
    chosen = [one["executionArn"] for one in executions[: params.histories]]
    found = await attempt(_failures(chosen, ctx))
    if isinstance(found, ProbeError):
        return unknown([SAME], machine.name, found)
    states = Counter(failure.state for failure in found)
    state, most = max(states.items(), key=lambda item: item[1], default=("", 0))
    errors = Counter(failure.error for failure in found if failure.state == state and failure.error)
    told = f"{most} of {len(chosen)} read failed in {state}" if most else "nothing failed"
    told += "".join(f", {error} x{count}" for error, count in errors.most_common(2))
    is_all = is_whole and len(chosen) == len(executions) == len(found)
    return [observe(SAME, machine.name, most, ctx.now, detail=told, lower_bound=not is_all)]


async def _failures(arns: Sequence[str], ctx: ProbeContext) -> list[Failure]:
    found = []
    for arn in arns:
        reply = await ctx.aws.call(
            "stepfunctions",
            "GetExecutionHistory",
            executionArn=arn,
            reverseOrder=True,
            maxResults=EVENTS,
            includeExecutionData=False,
        )
        failure = failure_of(reply.get("events", ()))
        if failure is not None:
            found.append(failure)
    return found


# --- CloudWatch's counts ----------------------------------------------------------------------------------------------

_ENDED = ("ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted", "ExecutionsSucceeded")


async def _counts(machine: Resource, params: Failures, ctx: ProbeContext) -> tuple[float, float, datetime] | None:
    """(failed, ended, end of the newest period); None without any datapoint."""
    queries = [
        MetricQuery(
            "AWS/States", metric, (("StateMachineArn", machine.arn),), "Sum", MINUTE, whole_minutes(params.window)
        )
        for metric in _ENDED
    ]
    found = await sums(ctx, queries)
    seen = [one for one in found if one]
    if not seen:
        return None
    failed, timed_out, aborted, succeeded = (one[0] if one else 0.0 for one in found)
    bad = failed + timed_out + (aborted if params.include_aborted else 0.0)
    # What was stopped neither failed nor succeeded: in the denominator it would dilute the rate during a drain.
    return bad, bad + succeeded, max(end for _, end in seen)


Counts = tuple[float, float, datetime] | None | ProbeError


def _rate(machine: Resource, counts: Counts, params: Failures, *, exists: bool) -> Observation:
    if isinstance(counts, ProbeError):
        return unknown([RATE], machine.name, counts)[0]
    if counts is None:
        return absent(RATE, machine.name, "no execution ended in the window", exists=exists)
    failed, ended, at = counts
    told = f"{failed:g} of {ended:g} ended executions"
    if ended < params.minimum:
        return absent(RATE, machine.name, f"{told}: fewer than {params.minimum}", exists=True)
    return observe(RATE, machine.name, failed / ended, at, detail=told)


def _express(machine: Resource, counts: Counts, params: Failures) -> list[Observation]:
    """Of an Express machine AWS keeps neither a list nor histories: the counts are all there is."""
    rate = _rate(machine, counts, params, exists=True)
    if isinstance(counts, ProbeError):
        return [*unknown([FAILED], machine.name, counts), rate]
    if counts is None:
        return [absent(FAILED, machine.name, "no execution ended in the window", exists=True), rate]
    return [observe(FAILED, machine.name, counts[0], counts[2], detail="counted by CloudWatch"), rate]


def needs(params: Failures) -> list[Permission]:
    """For IAM: what one configuration asks."""
    machines, found = params.state_machines, discovery(ResourceKind.STATE_MACHINE, params.state_machines)
    if params.histories:
        found.append(need("states:GetExecutionHistory", execution=machines))
    return [*found, need("states:ListExecutions", machine=machines), need("cloudwatch:GetMetricData")]


CHECK: Check[Failures] = Check(
    kind="failures",
    summary="Failed executions: count, share of what ended, and the most that failed in one and the same state.",
    params=Failures,
    probe=probe,
    signals=SIGNALS,
    defaults={
        "failed": SignalSpec(critical=Bound(above=5), missing=Missing.ZERO),
        "failure_rate": SignalSpec(critical=Bound(above=0.05), missing=Missing.ZERO),
        "same_state": SignalSpec(warning=Bound(above=1), missing=Missing.ZERO),
    },
    permissions=(
        "states:ListExecutions",
        "states:GetExecutionHistory",
        *DISCOVERY,
        "cloudwatch:GetMetricData",
    ),
    cost="Per machine 2 or 3 ListExecutions, 4 metrics ($0.01 per 1,000), a history per failure up to `histories`.",
    example="""\
jaunt-failures:
  kind: failures
  state_machines: "jaunt-*"
  thresholds:
    failed: {critical: {above: 5}}
    same_state: {critical: {above: 1}}
""",
    target_kind=ResourceKind.STATE_MACHINE,
    selectors=("state_machines",),
    needs=needs,
)
