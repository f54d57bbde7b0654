"""How often a pattern stands in log groups within `window`.

Three ways, by what is given:

- `pattern` alone: a filter pattern of CloudWatch Logs (`ERROR`, `"too many connections"`, `{ $.status = 429 }`), read
  with FilterLogEvents, group by group. Nothing is billed, but it is slow in large groups and slots are few; reading
  ends after `max_pages`, and the count is then a lower bound.
- `pattern` with `insights: true`: a regular expression on @message, counted by a Logs Insights query over all groups.
- `query`: a Logs Insights query of your own. Where its rows have a field `matches`, that is summed; else rows count.

`matches` is the number for the target `target` (default: the groups' names), a real zero where nothing matches. With
`group_by` each value of that field is a target of its own as well, at most `top` of them; one no longer found is gone.

An Insights query is started, polled for at most `wait` and stopped if it takes longer (unknown: timeout). A group that
does not exist is unknown(not_found). Log lines never leave this module; only values of the field `group_by` do.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from pydantic import Field, model_validator

from checks.insights import insights, lines, millis
from checks.reading import attempt, number, observe, unknown
from monitor.plugin import (
    Bound,
    Check,
    Duration,
    Missing,
    Observation,
    Params,
    Permission,
    ProbeContext,
    ProbeError,
    Signal,
    SignalSpec,
    need,
    target_name,
)

MATCHES = Signal("matches", "lines", "Log lines that match within `window`.", Missing.ZERO, "window")

#: The field of a query's rows that holds a count.
COUNT = "matches"


class LogPattern(Params):
    """What to look for, and where."""

    groups: tuple[str, ...] = Field(description="Log groups by name.", min_length=1, max_length=50)
    pattern: str | None = Field(
        None, description="Filter pattern or, with `insights`, regular expression.", min_length=1
    )
    query: str | None = Field(None, description="Logs Insights query instead of a pattern.", min_length=1)
    insights: bool = Field(False, description="Count with Logs Insights: fast in large groups, $0.005 per GB scanned.")
    group_by: str | None = Field(
        None, description="Field (`@log`, `error.type`) whose values are targets of their own."
    )
    top: int = Field(20, ge=1, le=200, description="How many values of `group_by` are targets.")
    window: Duration = Field(timedelta(minutes=5), description="How far back is looked.")
    wait: Duration = Field(timedelta(seconds=15), description="How long a query may run; shorter than `timeout`.")
    max_pages: int = Field(20, ge=1, le=500, description="Pages of FilterLogEvents read per group, at most.")
    target: str | None = Field(None, description="Name of the target; default: the groups' short names.")

    @model_validator(mode="after")
    def _one_way(self) -> LogPattern:
        if (self.pattern is None) == (self.query is None):
            raise ValueError("give one of pattern and query")
        if self.query is not None and self.insights:
            raise ValueError("a query always runs in Insights: leave `insights` out")
        return self

    @property
    def name(self) -> str:
        """Of the target that counts all."""
        return self.target or "+".join(target_name(group.replace("/", ":")).rsplit(":", 1)[-1] for group in self.groups)


async def probe(params: LogPattern, ctx: ProbeContext) -> Sequence[Observation]:
    """One query, or every group's lines."""
    try:
        found, is_whole = await _by_filter(params, ctx) if _filters(params) else (await _by_query(params, ctx), True)
    except ProbeError as error:
        return unknown([MATCHES], params.name, error)
    seen = [observe(MATCHES, params.name, sum(found.values()), ctx.now, lower_bound=not is_whole)]
    if params.group_by is not None:
        seen += [
            observe(MATCHES, value, count, ctx.now, lower_bound=not is_whole)
            for value, count in found.most_common(params.top)
            if value != params.name
        ]
    return seen


def _filters(params: LogPattern) -> bool:
    return params.query is None and not params.insights


async def _by_query(params: LogPattern, ctx: ProbeContext) -> Counter[str]:
    rows = await insights(params.groups, _query(params), params.window, params.wait, ctx)
    found: Counter[str] = Counter()
    for row in rows:
        value = _label(row.get(params.group_by) if params.group_by else None)
        found[value] += int(number(row[COUNT], "matches of the query")) if COUNT in row else 1
    return found


def _query(params: LogPattern) -> str:
    if params.query is not None:
        return params.query
    # In a regular expression between slashes a slash must not end it.
    wanted = str(params.pattern).replace("/", r"\/")
    by = f" by {_field(params.group_by)}" if params.group_by else ""
    return f"filter @message like /{wanted}/ | stats count(*) as {COUNT}{by} | limit 1000"


def _field(name: str) -> str:
    """A field of Insights: names with other characters than these stand in backticks."""
    return name if name.replace("@", "").replace(".", "").replace("_", "").isalnum() else f"`{name}`"


async def _by_filter(params: LogPattern, ctx: ProbeContext) -> tuple[Counter[str], bool]:
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(attempt(_in_group(group, params, ctx))) for group in params.groups]
    found: Counter[str] = Counter()
    is_whole = True
    for result in (task.result() for task in running):
        if isinstance(result, ProbeError):
            raise result
        found += result[0]
        is_whole = is_whole and result[1]
    return found, is_whole


async def _in_group(group: str, params: LogPattern, ctx: ProbeContext) -> tuple[Counter[str], bool]:
    found: Counter[str] = Counter()
    is_whole = True
    begin, end = millis(ctx.now - params.window), millis(ctx.now)
    async for messages, is_last in lines(group, str(params.pattern), begin, end, params.max_pages, ctx):
        found.update(_label(_value(group, message, params.group_by)) for message in messages)
        is_whole = is_last
    return found, is_whole


def _value(group: str, message: str, field: str | None) -> Any:
    if field is None:
        return None
    if field == "@log":
        return group
    try:
        value: Any = json.loads(message)
    except ValueError:
        return None
    for part in field.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _label(value: Any) -> str:
    """A target's name: short, one line; what has no such field is `(none)`."""
    if value is None or isinstance(value, (Mapping, list)):
        return "(none)"
    text = target_name(" ".join(str(value).split()))[:80]
    return text or "(none)"


def needs(params: LogPattern) -> list[Permission]:
    """For IAM: what one configuration asks."""
    if _filters(params):
        return [need("logs:FilterLogEvents", log_group=params.groups)]
    return [need("logs:StartQuery", log_group=params.groups), need("logs:GetQueryResults", "logs:StopQuery")]


CHECK: Check[LogPattern] = Check(
    kind="log_pattern",
    summary="How often a pattern stands in log groups, by field if asked.",
    params=LogPattern,
    probe=probe,
    signals=(MATCHES,),
    defaults={"matches": SignalSpec(critical=Bound(above=0), missing=Missing.ZERO)},
    permissions=("logs:FilterLogEvents", "logs:StartQuery", "logs:GetQueryResults", "logs:StopQuery"),
    cost="A pattern: one free FilterLogEvents per page and group (5 to 25 a second). Insights: $0.005 per GB scanned.",
    example="""\
hash-mismatch:
  kind: log_pattern
  groups: [/aws/lambda/fluxa-processor]
  pattern: hash_mismatch
  window: 15m
  thresholds:
    matches: {critical: {above: 0}}
""",
    roaming=lambda params: params.group_by is not None,
    needs=needs,
)
