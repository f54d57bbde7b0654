"""Sources that actions cut: which window was missed, once one is back or a breaker closed without bringing it back."""

from __future__ import annotations

from datetime import datetime

from monitor.core.change import Entry, Phase
from monitor.core.course import DataGap
from monitor.plugin import Registry


def gap_of(registry: Registry, entry: Entry, now: datetime) -> DataGap | None:
    """The gap that an entry, undone, drifted or abandoned at `now`, leaves; None: it kept nothing out.

    The window begins with the intent, just before the cut. What was cut already, by somebody else, is not ours to tell.
    """
    action = registry.actions.get(entry.change.action)
    if action is None or entry.at is None or not action.cuts(entry.change):
        return None
    ours = entry.receipt is None or entry.receipt.changed
    if entry.phase is Phase.ABANDONED:
        return DataGap(entry.change.resource, entry.at, None, action.backfill) if ours else None
    if entry.phase is Phase.UNDONE and not ours and entry.restore == entry.effective:
        return None
    note = ""
    if entry.phase is Phase.DRIFT:
        note = "at most: somebody else changed it meanwhile"
    elif entry.receipt is None:
        note = "at most: whether the cut came into force is not known"
    elif entry.restore == entry.effective:
        note = "and still is, for another breaker"
    return DataGap(entry.change.resource, entry.at, now, action.backfill, note)
