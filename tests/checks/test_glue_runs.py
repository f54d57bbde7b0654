"""glue_runs: open, late, failed and ended runs of a job."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from checks.glue_runs import CHECK
from monitor.plugin import ProbeError, Reason
from monitor.testing import EPOCH, FakeAws, observed, run_probe

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
PARAMS = {"jobs": ["curate"], "sla": "45m"}


def run(state: str, began: timedelta, took: float | None = None) -> dict[str, Any]:
    """A run that began so long ago; ended ones took so many seconds."""
    start = EPOCH - began
    ended = {} if took is None else {"CompletedOn": start + timedelta(seconds=took), "ExecutionTime": int(took)}
    return {"JobName": "curate", "JobRunState": state, "StartedOn": start, **ended}


def glue(*pages: list[dict[str, Any]]) -> FakeAws:
    """Pages of runs."""
    last = len(pages) - 1
    return FakeAws(
        {
            "glue.GetJobRuns": [
                {"JobRuns": page} | ({} if n == last else {"NextToken": "t"}) for n, page in enumerate(pages)
            ]
        }
    )


async def test_runs_against_the_sla() -> None:
    """Two open, one of them beyond 45 minutes; two of the last day failed; one was stopped by somebody."""
    runs = [
        run("RUNNING", 50 * MINUTE), run("STARTING", 5 * MINUTE), run("SUCCEEDED", 3 * HOUR, 1200),
        run("FAILED", 4 * HOUR, 60), run("TIMEOUT", 5 * HOUR, 3600), run("STOPPED", 6 * HOUR, 30),
        run("FAILED", 30 * HOUR, 60),
    ]  # fmt: skip
    assert observed(await run_probe(CHECK, PARAMS, glue(runs))) == {
        ("curate", "running_for"): 3000.0,
        ("curate", "late"): 1.0,
        ("curate", "failed"): 2.0,
        ("curate", "execution_time"): 1200.0,
    }


async def test_a_job_that_never_ran_has_no_execution_time() -> None:
    """Nothing runs and nothing failed; what a run takes is not known."""
    seen = observed(await run_probe(CHECK, PARAMS, glue([])))
    assert (seen["curate", "late"], seen["curate", "execution_time"]) == (0.0, None)


async def test_reading_ends_where_runs_are_old() -> None:
    """The newest come first: a page that is all over and older than the window is the last one asked for."""
    fake = glue([run("SUCCEEDED", HOUR, 60)], [run("SUCCEEDED", 40 * HOUR, 60)], [run("FAILED", 50 * HOUR, 60)])
    await run_probe(CHECK, PARAMS, fake)
    assert fake.count("glue.GetJobRuns") == 2


async def test_a_page_cap_makes_lower_bounds() -> None:
    """What was not read could be late too."""
    pages = [[run("RUNNING", HOUR)]] * 4
    seen = await run_probe(CHECK, {**PARAMS, "max_pages": 2}, glue(*pages))
    assert {one.signal: one.lower_bound for one in seen if one.value is not None} == {
        "running_for": True, "late": True, "failed": True,
    }  # fmt: skip


async def test_a_missing_job_disturbs_no_other(gone: ProbeError) -> None:
    """Each job fails alone."""
    fake = FakeAws({"glue.GetJobRuns": lambda JobName, **_: {"JobRuns": []} if JobName == "curate" else gone})  # noqa: N803
    seen = observed(await run_probe(CHECK, {**PARAMS, "jobs": ["curate", "lost"]}, fake))
    assert (seen["lost", "late"], seen["curate", "late"]) == (Reason.NOT_FOUND, 0.0)
