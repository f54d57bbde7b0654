"""Which resources a state machine's definition names. Names chosen at run time can't be followed.

Source: Step Functions developer guide, optimised integrations and AWS SDK integrations.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

#: A task's parameter and what its value names: an ARN, a URL or a bare name of that service.
_NAMING: Mapping[str, str] = {
    "functionname": "function",
    "queueurl": "queue",
    "tablename": "table",
    "jobname": "job",
    "statemachinearn": "arn",
    "topicarn": "arn",
    "bucket": "bucket",
}
_FUNCTION = re.compile(r"arn:aws[a-z-]*:lambda:")


def named_in(definition: str) -> list[tuple[str, str]]:
    """(`function` | `queue` | `table` | `job` | `bucket` | `arn`, its name) of every task; none if it is no JSON."""
    try:
        root = json.loads(definition)
    except ValueError:
        return []
    found = [pair for state in _states(root) for pair in _of_task(state)]
    return list(dict.fromkeys(found))


def has_wait_token(definition: str) -> bool:
    """True if some state waits for a person or a callback: then an execution may idle for good reason."""
    return ".waitForTaskToken" in definition or ":activity:" in definition


def _states(machine: Any) -> Iterator[Mapping[str, Any]]:
    states = machine.get("States") if isinstance(machine, Mapping) else None
    for state in states.values() if isinstance(states, Mapping) else ():
        if not isinstance(state, Mapping):
            continue
        yield state
        branches = state.get("Branches")
        for inner in (
            state.get("Iterator"),
            state.get("ItemProcessor"),
            *(branches if isinstance(branches, list) else ()),
        ):
            yield from _states(inner)


def _of_task(state: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    resource = state.get("Resource")
    if isinstance(resource, str) and _FUNCTION.match(resource):
        yield "arn", resource
    for given in (state.get("Parameters"), state.get("Arguments")):
        if isinstance(given, Mapping):
            yield from _named(given)


def _named(given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in given.items():
        kind = _NAMING.get(key.lower())
        if kind is not None and isinstance(value, str) and value and not value.startswith(("$", "{%")):
            yield ("arn" if value.startswith("arn:") else kind), value
