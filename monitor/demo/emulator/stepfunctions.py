"""Step Functions: executions that stay open, list tokens that last, a history that tells what happened.

Sources: API_ListExecutions (a token is good for 24 hours whatever the executions do meanwhile; newest first;
STANDARD only), API_StopExecution (error and cause are kept; stopping an ended execution changes nothing; not for
EXPRESS), API_GetExecutionHistory (`maxResults`, `reverseOrder`, `nextToken`), API_DescribeExecution,
API_RedriveExecution (STANDARD, not SUCCEEDED, ended at most 14 days ago; the history is appended to; a client token
that was used in the last 15 minutes is the same request).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.stepfunctions.models import Execution, StateMachine, StepFunctionBackend, stepfunctions_backends

from monitor.demo.emulator.calls import Call, Reply, answer, refuse
from monitor.demo.emulator.state import Answerer, Emulator, patch

#: How long after its end an execution can be redriven, and how long a client token is remembered.
REDRIVABLE, TOKEN = timedelta(days=14), timedelta(minutes=15)
ENDINGS = {
    "SUCCEEDED": "ExecutionSucceeded",
    "FAILED": "ExecutionFailed",
    "TIMED_OUT": "ExecutionTimedOut",
    "ABORTED": "ExecutionAborted",
}


def install(emulator: Emulator) -> Mapping[str, Answerer]:
    """Mend StartExecution for EXPRESS machines; the operations answered here."""
    patch(StateMachine, "start_execution", _start)
    return {
        "stepfunctions:ListExecutions": list_executions,
        "stepfunctions:StopExecution": stop_execution,
        "stepfunctions:DescribeExecution": describe_execution,
        "stepfunctions:GetExecutionHistory": get_history,
        "stepfunctions:RedriveExecution": redrive_execution,
    }


def _start(original: Any) -> Any:
    def start(machine: Any, *args: Any, **more: Any) -> Execution:
        execution: Execution = original(machine, *args, **more)
        if machine.type == "EXPRESS" and ":execution:" in execution.execution_arn:
            arn = execution.execution_arn.replace(":execution:", ":express:", 1)
            execution.execution_arn = f"{arn}:{execution.name}"
        return execution

    return start


# --- the operator's side (control door) -------------------------------------------------------------------------------


def machines(account: str, region: str) -> list[StateMachine]:
    """Every state machine there."""
    backend: StepFunctionBackend = stepfunctions_backends[account][region]
    return backend.state_machines


def select(account: str, region: str, wanted: Mapping[str, Any]) -> list[Execution]:
    """Executions by `arn` (one or many), `state_machine` (name or ARN), `status`; oldest first, at most `limit`."""
    arns = wanted.get("arn")
    arns = {arns} if isinstance(arns, str) else set(arns or ())
    machine = wanted.get("state_machine")
    found = [
        execution
        for candidate in machines(account, region)
        if machine is None or machine in (candidate.name, candidate.arn)
        for execution in candidate.executions
        if (not arns or execution.execution_arn in arns) and wanted.get("status", execution.status) == execution.status
    ]
    found.sort(key=lambda execution: execution.start_date)
    return found[: wanted.get("limit")]


def age(executions: Iterable[Execution], seconds: float) -> int:
    """Move whole executions into the past: start, states, end."""
    moved, shift = 0, timedelta(seconds=seconds)
    for execution in executions:
        states = _states(execution)
        execution.start_date -= shift
        _set_states(execution, [(name, at - shift) for name, at in states])
        if execution.stop_date is not None:
            execution.stop_date -= shift
        for before in _redrives(execution):
            before["ended"] -= shift
            before["at"] -= shift
        moved += 1
    return moved


def started_within(executions: Iterable[Execution], seconds: float) -> int:
    """How many started in the last `seconds`."""
    since = _now() - timedelta(seconds=seconds)
    return sum(execution.start_date > since for execution in executions)


def enter(executions: Iterable[Execution], state: str) -> int:
    """The executions go on to `state` now."""
    count = 0
    for execution in executions:
        if execution.status == "RUNNING":
            _set_states(execution, [*_states(execution), (state, _now())])
            count += 1
    return count


def finish(executions: Iterable[Execution], status: str, **outcome: str | None) -> int:
    """End those still running with `status`; `output`, `error`, `cause` are kept."""
    count = 0
    for execution in executions:
        if execution.status == "RUNNING":
            execution.status, execution.stop_date = status, _now()
            execution.output = outcome.get("output") or ("{}" if status == "SUCCEEDED" else None)
            execution.error, execution.cause = outcome.get("error"), outcome.get("cause")
            count += 1
    return count


# --- the API ----------------------------------------------------------------------------------------------------------


def list_executions(call: Call) -> Reply | None:
    """ListExecutions with keyset tokens (start, ARN): a page boundary survives whatever happens to its item."""
    asked = call.json()
    machine = _machine(call, asked.get("stateMachineArn", ""))
    if machine is None:
        text = f"State Machine Does Not Exist: '{asked.get('stateMachineArn')}'"
        return refuse(call, "StateMachineDoesNotExist", text)
    if machine.type == "EXPRESS":
        return refuse(
            call, "StateMachineTypeNotSupported", "This operation is not supported by this type of state machine"
        )
    status = asked.get("statusFilter")
    rows = [(_epoch(e.start_date), e.execution_arn, e) for e in machine.executions if status in (None, e.status)]
    rows.sort(key=lambda row: (row[0], row[1]), reverse=True)
    if asked.get("nextToken"):
        try:
            start, arn = json.loads(base64.urlsafe_b64decode(asked["nextToken"]))
        except ValueError:
            return refuse(call, "InvalidToken", "Invalid Token: 'Provided token is invalid'")
        rows = [row for row in rows if (row[0], row[1]) < (start, arn)]
    size = int(asked.get("maxResults") or 100) or 100
    page, rest = rows[:size], rows[size:]
    reply: dict[str, Any] = {"executions": [_row(machine, execution) for _, _, execution in page]}
    if rest:
        reply["nextToken"] = base64.urlsafe_b64encode(json.dumps([page[-1][0], page[-1][1]]).encode()).decode()
    return answer(call, reply)


def stop_execution(call: Call) -> Reply | None:
    """StopExecution."""
    asked = call.json()
    found = _find(call, asked.get("executionArn", ""))
    if isinstance(found, Reply):
        return found
    _, execution = found
    if execution.status == "RUNNING":
        finish([execution], "ABORTED", error=asked.get("error"), cause=asked.get("cause"))
    stopped = execution.stop_date or _now()
    return answer(call, {"stopDate": _epoch(stopped)})


def describe_execution(call: Call) -> Reply | None:
    """DescribeExecution."""
    found = _find(call, call.json().get("executionArn", ""))
    if isinstance(found, Reply):
        return found
    machine, execution = found
    reply = {
        **_row(machine, execution),
        "input": execution.execution_input,
        "inputDetails": {"included": True},
        "redriveStatus": "NOT_REDRIVABLE" if _why_not(execution) else "REDRIVABLE",
        "redriveStatusReason": _why_not(execution),
        "output": execution.output,
        "error": execution.error,
        "cause": execution.cause,
    }
    return answer(call, {key: value for key, value in reply.items() if value is not None})


def redrive_execution(call: Call) -> Reply | None:
    """RedriveExecution: runs again from where it failed."""
    asked = call.json()
    found = _find(call, asked.get("executionArn", ""))
    if isinstance(found, Reply):
        return found
    _, execution = found
    token, now = asked.get("clientToken"), _now()
    for before in _redrives(execution)[-10:]:
        if token is not None and before["token"] == token and now - before["at"] < TOKEN:
            return answer(call, {"redriveDate": _epoch(before["at"])})
    if (why := _why_not(execution)) is not None:
        return refuse(call, "ExecutionNotRedrivable", f"Execution cannot be redriven: {why}")
    was = {"status": execution.status, "error": execution.error, "cause": execution.cause}
    before = {**was, "ended": execution.stop_date, "at": now, "token": token}
    setattr(execution, "emulated_redrives", [*_redrives(execution), before])  # noqa: B010 - moto's class, our mark
    execution.status, execution.stop_date = "RUNNING", None
    execution.error = execution.cause = execution.output = None
    return answer(call, {"redriveDate": _epoch(now)})


def _redrives(execution: Any) -> list[dict[str, Any]]:
    """Each with how it had ended, when, and when it was redriven."""
    redrives: list[dict[str, Any]] = getattr(execution, "emulated_redrives", [])
    return redrives


def _why_not(execution: Any) -> str | None:
    """Why it can't be redriven, as AWS words it."""
    if execution.status in ("RUNNING", "SUCCEEDED"):
        return f"Execution is {execution.status} and cannot be redriven"
    if execution.stop_date is not None and _now() - execution.stop_date > REDRIVABLE:
        return "Execution redrivable period exceeded"
    return None


def get_history(call: Call) -> Reply | None:
    """GetExecutionHistory."""
    asked = call.json()
    found = _find(call, asked.get("executionArn", ""))
    if isinstance(found, Reply):
        return found
    events = history(*found)
    if asked.get("reverseOrder"):
        events.reverse()
    token = asked.get("nextToken")
    if token:
        at = next((i for i, event in enumerate(events) if str(event["id"]) == token), None)
        if at is None:
            return refuse(call, "InvalidToken", "Invalid Token: 'Provided token is invalid'")
        events = events[at:]
    size = int(asked.get("maxResults") or 100) or 100
    reply: dict[str, Any] = {"events": events[:size]}
    if len(events) > size:
        reply["nextToken"] = str(events[size]["id"])
    return answer(call, reply)


def history(machine: StateMachine, execution: Execution) -> list[dict[str, Any]]:
    """Oldest first: started, each state entered and left, the ending if it ended."""
    kinds = _state_kinds(machine)
    started = {"input": execution.execution_input, "roleArn": machine.roleArn}
    events: list[dict[str, Any]] = [_event(1, execution.start_date, "ExecutionStarted", started)]

    def add(at: datetime, kind: str, details: dict[str, Any]) -> None:
        events.append(_event(len(events) + 1, at, kind, details))

    states, redrives = _states(execution), list(_redrives(execution))

    def redriven(until: datetime | None) -> None:
        while redrives and (until is None or redrives[0]["at"] <= until):
            before = redrives.pop(0)
            failed = {"error": before["error"], "cause": before["cause"]}
            add(before["ended"], ENDINGS[before["status"]], {key: text for key, text in failed.items() if text})
            count = len(_redrives(execution)) - len(redrives)
            add(before["at"], "ExecutionRedriven", {"redriveCount": count})

    for index, (name, at) in enumerate(states):
        redriven(at)
        kind = kinds.get(name, "Task")
        if index:
            before = states[index - 1][0]
            add(at, f"{kinds.get(before, 'Task')}StateExited", {"name": before, "output": "{}"})
        add(at, f"{kind}StateEntered", {"name": name, "input": execution.execution_input})
    redriven(None)
    if execution.status in ENDINGS and execution.stop_date is not None:
        if execution.status == "SUCCEEDED" and states:
            last = states[-1][0]
            add(execution.stop_date, f"{kinds.get(last, 'Task')}StateExited", {"name": last, "output": "{}"})
        details = {"error": execution.error, "cause": execution.cause, "output": execution.output}
        kept = {key: value for key, value in details.items() if value is not None}
        add(execution.stop_date, ENDINGS[execution.status], kept)
    return events


def _event(number: int, at: datetime, kind: str, details: dict[str, Any]) -> dict[str, Any]:
    # Entered and exited states of every type share one field of details each.
    field = "State" + kind.rsplit("State", 1)[-1] if kind.endswith(("StateEntered", "StateExited")) else kind
    key = field[0].lower() + field[1:] + "EventDetails"
    return {"timestamp": _epoch(at), "type": kind, "id": number, "previousEventId": number - 1, key: details}


def _row(machine: StateMachine, execution: Execution) -> dict[str, Any]:
    row: dict[str, Any] = {
        "executionArn": execution.execution_arn,
        "stateMachineArn": machine.arn,
        "name": execution.name,
        "status": execution.status,
        "startDate": _epoch(execution.start_date),
        "redriveCount": len(_redrives(execution)),
    }
    if _redrives(execution):
        row["redriveDate"] = _epoch(_redrives(execution)[-1]["at"])
    if execution.stop_date is not None:
        row["stopDate"] = _epoch(execution.stop_date)
    return row


def _machine(call: Call, arn: str) -> StateMachine | None:
    return next((machine for machine in machines(call.account, call.region) if machine.arn == arn), None)


def _find(call: Call, arn: str) -> tuple[StateMachine, Execution] | Reply:
    parts = arn.split(":")
    if len(parts) < 8:
        return refuse(call, "InvalidArn", f"Invalid Arn: '{arn}'")
    if parts[5] == "express":
        return refuse(call, "InvalidArn", "Invalid Arn: 'Resource type not valid in this context: express'")
    for machine in machines(call.account, call.region):
        if machine.name == parts[6]:
            for execution in machine.executions:
                if execution.execution_arn == arn:
                    return machine, execution
    return refuse(call, "ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'")


def _states(execution: Any) -> list[tuple[str, datetime]]:
    """States entered so far; a fresh execution has entered the definition's first."""
    known = getattr(execution, "emulated_states", None)
    if known is not None:
        return list(known)
    arn = execution.state_machine_arn
    machine = next((m for m in machines(arn.split(":")[4], arn.split(":")[3]) if m.arn == arn), None)
    first = _definition(machine).get("StartAt") if machine is not None else None
    return [(first, execution.start_date)] if first else []


def _set_states(execution: Any, states: list[tuple[str, datetime]]) -> None:
    execution.emulated_states = states


def _definition(machine: StateMachine) -> dict[str, Any]:
    try:
        loaded = json.loads(machine.definition)
    except ValueError:
        return {}
    return loaded if isinstance(loaded, dict) else {}


def _state_kinds(machine: StateMachine) -> dict[str, str]:
    states = _definition(machine).get("States", {})
    return {name: state.get("Type", "Task") for name, state in states.items()}


def _epoch(at: datetime) -> float:
    return at.replace(tzinfo=UTC).timestamp()  # moto's times are naive UTC


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
