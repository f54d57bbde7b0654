"""Every background task has a name, an owner and an end that somebody hears of.

The shutdown ladder: `stopping` is set (nothing new starts), tasks marked `finish` get the grace period, everything is
cancelled, and what still hangs after that is reported by name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog

log = structlog.get_logger(__name__)


class Supervisor:
    """The task tree. Create it inside the running loop."""

    def __init__(self) -> None:
        self.stopping = asyncio.Event()
        self._tasks: dict[asyncio.Task[Any], bool] = {}

    def spawn(self, name: str, work: Coroutine[Any, Any, Any], *, finish: bool = False) -> asyncio.Task[Any]:
        """Run `work` as a task. `finish`: at shutdown it gets the grace period before it is cancelled.

        An unexpected exception is logged as `task.died`; the awaiting side (if any) still sees it.
        """
        task = asyncio.create_task(work, name=name)
        self._tasks[task] = finish
        task.add_done_callback(self._ended)
        return task

    def forever(self, name: str, make: Callable[[], Awaitable[None]], *, pause: float = 1.0) -> asyncio.Task[None]:
        """Run `make()` again whenever it ends by an error, with a growing pause of at most a minute."""
        return self.spawn(name, self._again(name, make, pause))

    def running(self) -> list[str]:
        """Names of live tasks, for the debug view and the leak test."""
        return sorted(task.get_name() for task in self._tasks)

    async def shutdown(self, grace: float) -> list[str]:
        """Climb down the ladder within `grace` seconds; the names of tasks that had to be abandoned."""
        self.stopping.set()
        finishing = {task for task, finish in self._tasks.items() if finish}
        if finishing:
            await asyncio.wait(finishing, timeout=grace * 0.8)
        left = {task for task in self._tasks if task is not asyncio.current_task()}
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=max(0.5, grace * 0.2))
        stuck = sorted(task.get_name() for task in left if not task.done())
        if stuck:
            log.error("shutdown.tasks_stuck", tasks=stuck)
        return stuck

    async def _again(self, name: str, make: Callable[[], Awaitable[None]], pause: float) -> None:
        wait = pause
        while not self.stopping.is_set():
            try:
                await make()
            except Exception:  # the boundary that keeps one loop's bug from ending the daemon
                log.exception("task.restarting", task=name, pause=wait, reason="bug")
            else:
                return
            await asyncio.sleep(wait)
            wait = min(60.0, wait * 2)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            log.error("task.died", task=task.get_name(), reason="bug", exc_info=error)
