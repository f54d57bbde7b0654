"""Where a Step Functions execution stands, read off its newest history events. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Progress:
    """When it entered its present state (or at the latest then), and when it last did anything."""

    entered: datetime
    last: datetime
    is_whole: bool


def progress_of(events: Sequence[Mapping[str, Any]], *, is_whole: bool) -> Progress:
    """From the newest events in any order; `is_whole` if they reach back to its start.

    Parallel and Map states count only while no state inside them is open. A state that was entered before a redrive
    counts from the redrive.
    """
    newest_first = sorted(events, key=lambda event: (event["timestamp"], event["id"]), reverse=True)
    last = newest_first[0]["timestamp"]
    redriven = next((event["timestamp"] for event in newest_first if event["type"] == "ExecutionRedriven"), None)
    exited: Counter[str] = Counter()
    entered = []
    has_inner = False
    for event in newest_first:
        kind = event["type"]
        if kind.endswith("StateExited"):
            exited[event["stateExitedEventDetails"]["name"]] += 1
        elif kind.endswith("StateEntered"):
            name = event["stateEnteredEventDetails"]["name"]
            is_outer = kind.startswith(("Parallel", "Map"))
            if exited[name]:
                exited[name] -= 1
            elif not (is_outer and has_inner):
                entered.append(event["timestamp"])
                has_inner = True
    if entered:
        oldest = min(entered)
        return Progress(oldest if redriven is None else max(oldest, redriven), last, is_whole=True)
    return Progress(newest_first[-1]["timestamp"], last, is_whole)
