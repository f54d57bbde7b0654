"""Runs of Glue jobs against the time they should take.

`running_for` is how long the longest run that has not ended has been going (from its start, waiting for capacity
included), 0 if none; `late` counts those beyond `sla`. `failed` counts the runs of `window` that ended as FAILED,
TIMEOUT, ERROR or EXPIRED; `execution_time` is what the newest ended run took, start-up left out, an absent point if
none ended within the window. A run that somebody stopped is no failure.

Glue lists the newest runs first; reading ends at the first page whose runs are all older than `window` and over. Where
`max_pages` ends it before, counts are lower bounds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import Field

from checks.reading import absent, each, observe
from monitor.plugin import (
    Bound,
    Check,
    Duration,
    Observation,
    Params,
    Permission,
    ProbeContext,
    Signal,
    SignalSpec,
    need,
)

RUNNING_FOR = Signal("running_for", "seconds", "How long the longest open run has been going; 0 if none is open.")
LATE = Signal("late", "runs", "Open runs beyond `sla`.")
FAILED = Signal("failed", "runs", "Runs that failed within `window`.", window="window")
TIME = Signal("execution_time", "seconds", "What the newest ended run took.", window="window")
SIGNALS = (RUNNING_FOR, LATE, FAILED, TIME)

OPEN = frozenset({"STARTING", "RUNNING", "STOPPING", "WAITING"})
BAD = frozenset({"FAILED", "TIMEOUT", "ERROR", "EXPIRED"})


class GlueRuns(Params):
    """Which jobs, and how long they may take."""

    jobs: tuple[str, ...] = Field(description="Glue jobs by name.", min_length=1)
    sla: Duration = Field(description="How long a run may take; there is no default, the runbook must know.")
    window: Duration = Field(timedelta(days=1), description="How far back ended runs count.")
    max_pages: int = Field(5, ge=1, le=50, description="Pages of 200 runs read per job, at most.")


@dataclass(frozen=True, slots=True)
class Job:
    """A job by its name, which is its target's too."""

    name: str


async def probe(params: GlueRuns, ctx: ProbeContext) -> Sequence[Observation]:
    """Each job's runs; one that fails is unknown alone."""

    async def read(job: Job) -> list[Observation]:
        runs, is_whole = await _runs(job.name, params, ctx)
        return _observe(job.name, runs, params, ctx.now, is_whole=is_whole)

    return await each([Job(name) for name in dict.fromkeys(params.jobs)], read, SIGNALS)


async def _runs(job: str, params: GlueRuns, ctx: ProbeContext) -> tuple[list[Mapping[str, Any]], bool]:
    runs: list[Mapping[str, Any]] = []
    pages = 0
    async for page in ctx.aws.pages("glue", "GetJobRuns", JobName=job, MaxResults=200):
        pages += 1
        here = page.get("JobRuns") or ()
        runs += here
        if here and all(run["JobRunState"] not in OPEN and _ended(run) < ctx.now - params.window for run in here):
            return runs, True
        if page.get("NextToken") and pages >= params.max_pages:
            return runs, False
    return runs, True


def _ended(run: Mapping[str, Any]) -> datetime:
    """When it ended; a run that never started has only the time of its last change."""
    moment: datetime = run.get("CompletedOn") or run.get("LastModifiedOn") or run["StartedOn"]
    return moment


def _observe(
    job: str, runs: Sequence[Mapping[str, Any]], params: GlueRuns, now: datetime, *, is_whole: bool
) -> list[Observation]:
    ages = [(now - run["StartedOn"]).total_seconds() for run in runs if run["JobRunState"] in OPEN]
    over = [run for run in runs if run["JobRunState"] not in OPEN and _ended(run) >= now - params.window]
    failed = sum(run["JobRunState"] in BAD for run in over)
    seen = [
        observe(RUNNING_FOR, job, max([0.0, *ages]), now, lower_bound=not is_whole),
        observe(LATE, job, sum(age > params.sla.total_seconds() for age in ages), now, lower_bound=not is_whole),
        observe(FAILED, job, failed, now, lower_bound=not is_whole),
    ]
    took = [run for run in over if "ExecutionTime" in run]
    if not took:
        return [*seen, absent(TIME, job, "no run ended within the window", exists=True)]
    newest = max(took, key=_ended)
    return [*seen, observe(TIME, job, float(newest["ExecutionTime"]), now)]


def needs(params: GlueRuns) -> list[Permission]:
    """For IAM: what one configuration asks."""
    return [need("glue:GetJobRuns", job=params.jobs)]


CHECK: Check[GlueRuns] = Check(
    kind="glue_runs",
    summary="Glue job runs against the time they should take, and how many failed.",
    params=GlueRuns,
    probe=probe,
    signals=SIGNALS,
    defaults={"late": SignalSpec(critical=Bound(above=0)), "failed": SignalSpec(warning=Bound(above=0))},
    permissions=("glue:GetJobRuns",),
    cost="Per job one GetJobRuns per 200 runs; free.",
    example="""\
curate-sla:
  kind: glue_runs
  jobs: [dataforge-curate]
  sla: 45m
  thresholds:
    late: {critical: {above: 0}}
""",
    needs=needs,
)
