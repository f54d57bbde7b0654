"""Glue job runs: started, stopped, listed; the control door ends them. Jobs need not be created first.

Sources: Glue API reference, StartJobRun, GetJobRun, GetJobRuns (newest first, NextToken), BatchStopJobRun (a run that
is not there is an EntityNotFoundException among `Errors`; a stopped run passes through STOPPING), states of JobRun.
Here a run is RUNNING at once and STOPPED at once; it ends when the door is told.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from typing import Any

from monitor.demo.emulator.calls import Call, Reply, answer, refuse
from monitor.demo.emulator.state import Answerer, Emulator

_GOING = ("STARTING", "RUNNING", "WAITING")
_ENDINGS = ("SUCCEEDED", "FAILED", "TIMEOUT", "STOPPED", "ERROR")
_PAGE = 200


def install(emulator: Emulator) -> Mapping[str, Answerer]:
    """The operations answered here."""
    runs = Runs(emulator)
    return {
        "glue:StartJobRun": runs.start,
        "glue:GetJobRun": runs.one,
        "glue:GetJobRuns": runs.many,
        "glue:BatchStopJobRun": runs.stop,
    }


def finish(emulator: Emulator, account: str, region: str, job: str, state: str) -> int:
    """How many open runs of the job ended in `state`, now."""
    if state not in _ENDINGS:
        raise ValueError(f"state is one of {', '.join(_ENDINGS)}")
    going = [one for one in _of(emulator, account, region, job) if one["JobRunState"] in _GOING]
    for run in going:
        _end(run, state)
    return len(going)


def _of(emulator: Emulator, account: str, region: str, job: str) -> list[dict[str, Any]]:
    """The job's runs, oldest first."""
    return emulator.settings.job_runs.setdefault((account, region, job), [])


def _end(run: dict[str, Any], state: str) -> None:
    run.update(JobRunState=state, CompletedOn=time.time(), ExecutionTime=int(time.time() - run["StartedOn"]))


class Runs:
    """Answers from the runs that were started."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    def _runs(self, call: Call) -> list[dict[str, Any]]:
        return _of(self._emulator, call.account, call.region, call.json()["JobName"])

    def start(self, call: Call) -> Reply | None:
        """StartJobRun."""
        asked = call.json()
        given = ("Arguments", "NumberOfWorkers", "WorkerType")
        run: dict[str, Any] = {name: asked[name] for name in given if name in asked}
        run.update(Id=f"jr_{uuid.uuid4().hex}", JobName=asked["JobName"], JobRunState="RUNNING", StartedOn=time.time())
        self._runs(call).append(run)
        return answer(call, {"JobRunId": run["Id"]})

    def one(self, call: Call) -> Reply | None:
        """GetJobRun."""
        wanted = call.json()["RunId"]
        for run in self._runs(call):
            if run["Id"] == wanted:
                return answer(call, {"JobRun": run})
        return refuse(call, "EntityNotFoundException", f"Job run {wanted} is not found.")

    def many(self, call: Call) -> Reply | None:
        """GetJobRuns."""
        asked, runs = call.json(), self._runs(call)[::-1]
        at, most = int(asked.get("NextToken") or 0), int(asked.get("MaxResults") or _PAGE)
        more = {"NextToken": str(at + most)} if len(runs) > at + most else {}
        return answer(call, {"JobRuns": runs[at : at + most], **more})

    def stop(self, call: Call) -> Reply | None:
        """BatchStopJobRun."""
        asked, known = call.json(), {run["Id"]: run for run in self._runs(call)}
        stopped, errors = [], []
        for wanted in asked["JobRunIds"]:
            run = known.get(wanted)
            if run is None or run["JobRunState"] not in _GOING:
                code = "EntityNotFoundException" if run is None else "IllegalArgumentException"
                detail = {"ErrorCode": code, "ErrorMessage": f"{wanted} is not running"}
                errors.append({"JobName": asked["JobName"], "JobRunId": wanted, "ErrorDetail": detail})
                continue
            _end(run, "STOPPED")
            stopped.append({"JobName": asked["JobName"], "JobRunId": wanted})
        return answer(call, {"SuccessfulSubmissions": stopped, "Errors": errors})
