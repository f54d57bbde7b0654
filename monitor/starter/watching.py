"""Which checks a group gets, with bounds from its past and comments that say where each number comes from."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from monitor.starter import watch_rest, watch_work
from monitor.starter.desk import Desk, Watch

#: In the order in which a reader meets them in the file: the flow, what it feeds, what stands beside.
_DRAFTERS: Sequence[Callable[[Desk], list[Watch]]] = (
    watch_work.rates,
    watch_work.failures,
    watch_work.stuck,
    watch_rest.queues,
    watch_rest.letters,
    watch_work.throttles,
    watch_work.errors,
    watch_work.tables,
    watch_work.jobs,
    watch_rest.clusters,
    watch_rest.alarms,
    watch_rest.loops,
    watch_rest.fresh,
)


def watch(desk: Desk) -> list[Watch]:
    """The checks of a group."""
    return [one for draw in _DRAFTERS for one in draw(desk)]
