"""In which state an execution failed, read backwards from the end of its history. Pure.

The ending names no state; the chain of `previousEventId` leads from it to the innermost state that was open. Where
that is a Fail state, somebody caught an error and ended the execution properly: then the state whose error was caught
last is the culprit, and the Fail state only if nothing was caught (a Choice that led to it). AWS: Step Functions API
reference, HistoryEvent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from monitor.plugin import target_name

Event = Mapping[str, Any]

_ENDINGS = ("ExecutionFailed", "ExecutionTimedOut", "ExecutionAborted")
_FAILING = re.compile(
    r"(Task|LambdaFunction|Activity|ParallelState|MapState|MapRun)\w*(Failed|TimedOut)|EvaluationFailed"
)


@dataclass(frozen=True, slots=True)
class Failure:
    """Where it failed, and the error's name (never its cause: causes hold data)."""

    state: str
    error: str


def failure_of(events: Sequence[Event]) -> Failure | None:
    """From the newest events of a history in any order; None if they don't reach back to the state."""
    by_id = {int(event["id"]): event for event in events}
    ending = next((event for event in by_id.values() if event["type"] in _ENDINGS), None)
    if ending is None:
        return None
    own = ""
    for event in _back(ending, by_id):
        kind = event["type"]
        if _FAILING.fullmatch(kind):
            own = own or _error(event)
        if kind == "FailStateEntered":
            return _caught(event, by_id) or Failure(_state(event), _error(ending))
        if kind.endswith("StateEntered"):
            return Failure(_state(event), own or _error(ending))
    return None


def function_of(events: Sequence[Event]) -> str | None:
    """The Lambda function that was scheduled last, by whichever of the two ways to call one; None: no function."""
    for event in sorted(events, key=lambda one: int(one["id"]), reverse=True):
        kind = event["type"]
        if kind == "LambdaFunctionScheduled":
            return target_name(str(event["lambdaFunctionScheduledEventDetails"]["resource"]))
        if kind == "TaskScheduled":
            details = event["taskScheduledEventDetails"]
            if details.get("resourceType") != "lambda":
                return None
            try:
                name = json.loads(details.get("parameters") or "{}").get("FunctionName")
            except (ValueError, AttributeError):
                return None
            return target_name(str(name)) if name else None
    return None


def _caught(fail_state: Event, by_id: Mapping[int, Event]) -> Failure | None:
    """The state that was left right after it had failed, nearest to the end."""
    for event in _back(fail_state, by_id):
        if not event["type"].endswith("StateExited"):
            continue
        before = by_id.get(int(event.get("previousEventId", 0)))
        if before is not None and _FAILING.fullmatch(before["type"]):
            return Failure(event["stateExitedEventDetails"]["name"], _error(before))
    return None


def _back(event: Event, by_id: Mapping[int, Event]) -> Iterator[Event]:
    """The events that led to this one, newest first. An ending may have the predecessor 0, as if it came from
    nowhere (a stop, a timeout of the whole execution): then it is the newest event before it."""
    seen = {int(event["id"])}
    before = max((number for number in by_id if number < int(event["id"])), default=0)
    previous = by_id.get(int(event.get("previousEventId", 0)) or before)
    while previous is not None and int(previous["id"]) not in seen:
        seen.add(int(previous["id"]))
        yield previous
        previous = by_id.get(int(previous.get("previousEventId", 0)))


def _state(event: Event) -> str:
    return str(event["stateEnteredEventDetails"]["name"])


def _error(event: Event) -> str:
    """`States.Timeout`, or what a timeout without a name is."""
    for key, details in event.items():
        if key.endswith("EventDetails") and isinstance(details, Mapping) and "error" in details:
            text = str(details["error"])
            return text if re.fullmatch(r"[\w.:$-]{1,80}", text) else "an error with an odd name"
    return "States.Timeout" if event["type"].endswith("TimedOut") else ""
