"""Redriving by AWS itself: a message move task, which loses and doubles nothing and survives us.

AWS allows one running task per queue, and names a task's handle only while it runs; so a task of ours is known by its
start, which is not before we asked. Source: SQS API reference, StartMessageMoveTask and ListMessageMoveTasks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from monitor.plugin import ActionContext, ActionError, Change, Json, Reason, Receipt

_POLL_SECONDS = 5.0
#: How far AWS's clock and ours may differ, in milliseconds.
_SKEW = 5_000
_RUNNING = frozenset({"RUNNING", "CANCELLING"})


async def move(change: Change, source: str, destination: str | None, ctx: ActionContext) -> Receipt | None:
    """Starts or resumes the task from queue ARN to queue ARN and follows it to its end.

    A task that someone else runs already is adopted: it moves the same messages. None: AWS refuses a task for this
    queue (its messages don't come from an SQS queue), and nothing was moved. Raises ActionError(unavailable) when the
    task failed; the next attempt starts a new one.
    """
    started = ctx.memory.get("task_started")
    if started is None:
        started = await _begin(change, source, destination, ctx)
        if started is None:
            return None
        await ctx.remember(task_started=started)
    while True:
        task = _by_start(await _tasks(source, ctx), started)
        moved, total = int(task.get("ApproximateNumberOfMessagesMoved", 0)), _total(task)
        left = max(0, total - moved) if total is not None else None
        rate = task.get("MaxNumberOfMessagesPerSecond")
        eta = timedelta(seconds=left / rate) if rate and left is not None else None
        await ctx.progress(moved, left, eta)
        if task["Status"] not in _RUNNING:
            return await _ended(change, task, moved, total, ctx)
        await ctx.sleep(_POLL_SECONDS)


async def _begin(change: Change, source: str, destination: str | None, ctx: ActionContext) -> int | None:
    """The start (epoch milliseconds) of the task to follow: ours from before a crash, someone else's, or a new one."""
    tasks = await _tasks(source, ctx)
    asked = ctx.memory.get("task_asked")
    if isinstance(asked, int):
        ours = [task for task in tasks if task["StartedTimestamp"] >= asked - _SKEW]
        if ours:
            return int(ours[0]["StartedTimestamp"])
    running = [task for task in tasks if task["Status"] in _RUNNING]
    if running:
        await ctx.remember(adopted=True)
        return int(running[0]["StartedTimestamp"])
    if not isinstance(asked, int):
        asked = round(ctx.now().timestamp() * 1000)
        await ctx.remember(task_asked=asked)
    wanted: dict[str, Any] = {"SourceArn": source}
    if destination is not None:
        wanted["DestinationArn"] = destination
    if rate := change.params.get("rate"):
        wanted["MaxNumberOfMessagesPerSecond"] = rate
    try:
        await ctx.aws.mutate("sqs", "StartMessageMoveTask", idempotent=False, **wanted)
    except ActionError as error:
        if error.reason is not Reason.INVALID:
            raise
        # Either the queue can't have a task, or someone started one since we looked.
        running = [task for task in await _tasks(source, ctx) if task["Status"] in _RUNNING]
        if not running:
            return None
        await ctx.remember(adopted=True)
        return int(running[0]["StartedTimestamp"])
    for _ in range(10):
        ours = [task for task in await _tasks(source, ctx) if task["StartedTimestamp"] >= asked - _SKEW]
        if ours:
            return int(ours[0]["StartedTimestamp"])
        await ctx.sleep(1.0)
    raise ActionError(Reason.UNAVAILABLE, "AWS accepted the move task but does not list it")


async def _ended(change: Change, task: Mapping[str, Any], moved: int, total: int | None, ctx: ActionContext) -> Receipt:
    status, adopted = str(task["Status"]), ctx.memory.get("adopted") is True
    if status == "FAILED":
        await ctx.remember(task_started=None, task_asked=None, adopted=None)
        why = task.get("FailureReason") or "no reason given"
        raise ActionError(Reason.UNAVAILABLE, f"the move task failed after {moved} messages: {why}")
    data: dict[str, Json] = {"method": "move_task", "moved": moved, "status": status, "adopted": adopted}
    whose = " by a task that was running already" if adopted else ""
    detail = f"{moved} messages moved{whose}"
    if status == "CANCELLED":
        detail += "; someone cancelled the task"
    elif total is not None and moved < total:
        detail += f" of {total}"
    done = status == "COMPLETED"
    return Receipt(change=change, changed=moved > 0, verified=done, detail=detail, data=data)


async def _tasks(source: str, ctx: ActionContext) -> Sequence[Mapping[str, Any]]:
    """The ten newest tasks of the queue, newest first."""
    reply = await ctx.aws.call("sqs", "ListMessageMoveTasks", SourceArn=source, MaxResults=10)
    return sorted(reply.get("Results", ()), key=lambda task: -int(task["StartedTimestamp"]))


def _by_start(tasks: Sequence[Mapping[str, Any]], started: Json) -> Mapping[str, Any]:
    for task in tasks:
        if task["StartedTimestamp"] == started:
            return task
    raise ActionError(Reason.NOT_FOUND, "the move task is no longer among the queue's ten newest")


def _total(task: Mapping[str, Any]) -> int | None:
    total = task.get("ApproximateNumberOfMessagesToMove")
    return None if total is None else int(total)
