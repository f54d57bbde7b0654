"""CloudWatch Logs: Insights queries run to their end within a deadline, and lines by filter pattern, both bounded."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from checks.reading import attempt
from monitor.plugin import ProbeContext, ProbeError, Reason

#: Seconds between looks at a running query.
PAUSES = (0.5, 1.0, 1.0, 2.0)
#: How queries end other than well (API_GetQueryResults).
_BAD = {"Failed": Reason.UNAVAILABLE, "Cancelled": Reason.UNAVAILABLE, "Timeout": Reason.TIMEOUT}


def millis(moment: datetime) -> int:
    """As FilterLogEvents counts time."""
    return int(moment.timestamp() * 1000)


async def insights(
    groups: Sequence[str], query: str, window: timedelta, wait: timedelta, ctx: ProbeContext
) -> list[Mapping[str, str]]:
    """The rows of a query over the trailing window, field -> text. Raises ProbeError; stops one that takes longer."""
    started = await ctx.aws.call(
        "logs",
        "StartQuery",
        logGroupNames=list(groups),
        startTime=int((ctx.now - window).timestamp()),
        endTime=int(ctx.now.timestamp()),
        queryString=query,
        limit=1000,
    )
    number, waited, turn = str(started["queryId"]), 0.0, 0
    while True:
        reply = await _look(number, ctx)
        status = str(reply.get("status"))
        if status == "Complete":
            return [{field["field"]: field.get("value", "") for field in row} for row in reply.get("results") or ()]
        if status in _BAD:
            raise ProbeError(_BAD[status], f"the query ended as {status}")
        pause = PAUSES[min(turn, len(PAUSES) - 1)]
        if waited + pause > wait.total_seconds():
            await attempt(ctx.aws.call("logs", "StopQuery", queryId=number))
            raise ProbeError(Reason.TIMEOUT, f"the query was not through after {waited:g}s: narrow it, or raise `wait`")
        await ctx.sleep(pause)
        waited, turn = waited + pause, turn + 1


async def _look(number: str, ctx: ProbeContext) -> Mapping[str, Any]:
    # A page is never kept, a call's reply is: the same question must be asked anew here.
    async for page in ctx.aws.pages("logs", "GetQueryResults", queryId=number):
        return page
    return {}


async def lines(
    group: str, pattern: str, begin: int, end: int, max_pages: int, ctx: ProbeContext
) -> AsyncIterator[tuple[list[str], bool]]:
    """(messages of one page, False where the page cap leaves more unread). AWS's pages may be empty and go on."""
    pages = 0
    asked: dict[str, Any] = {"logGroupName": group, "startTime": begin, "endTime": end}
    if pattern:
        asked["filterPattern"] = pattern
    async for page in ctx.aws.pages("logs", "FilterLogEvents", **asked):
        pages += 1
        is_cut = bool(page.get("nextToken")) and pages >= max_pages
        yield [str(event.get("message", "")) for event in page.get("events") or ()], not is_cut
        if is_cut:
            return
