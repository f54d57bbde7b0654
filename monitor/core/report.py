"""An incident as Markdown: what a post-mortem starts from (rows A9, B14 and C4 of the coverage matrix). Pure.

Text from outside can't break its tables or smuggle in markup. Times are UTC.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from monitor.core.course import Cost
from monitor.core.durations import format_duration
from monitor.core.notice import MEANS, deeds, gap_text
from monitor.core.sentence import quantity
from monitor.core.view import IncidentView

Table = Sequence[Sequence[str]]


def markdown(seen: IncidentView) -> str:
    """The whole report."""
    lines = [f"# {escaped(seen.title)}", ""]
    lines += _table(("", ""), _summary(seen))
    lines += _section("Times", ("What", "At (UTC)", "After"), _times(seen))
    lines += _section("Timeline", ("At (UTC)", "What"), [(_at(e.at), escaped(e.text)) for e in seen.timeline])
    done = [(_at(d.at), d.outcome, escaped(d.text)) for d in deeds(seen.timeline)]
    lines += _section("Actions taken", ("At (UTC)", "Outcome", "What"), done, "None.")
    lines += ["", "## Data gaps and backfill", ""]
    lines += [f"- {escaped(gap_text(gap).removeprefix('data gap: '))}" for gap in seen.gaps] or [_no_gaps(seen)]
    if seen.costs:
        lines += ["", "## Cost", "", *(f"- {escaped(_cost(cost, seen))}" for cost in seen.costs)]
    lines += _section("Follow-ups", ("Due (UTC)", "What", "Done"), _follow_ups(seen))
    notices = [
        (_at(n.at), n.kind, escaped(n.channel), "sent" if n.sent else escaped(f"failed: {n.detail}"))
        for n in seen.notices
    ]
    lines += _section("Notices", ("At (UTC)", "Kind", "Channel", "Outcome"), notices, _no_notices(seen))
    return "\n".join(lines)


def _no_gaps(seen: IncidentView) -> str:
    """A source that is cut still is missed from its cut on, but to when is known once it is let back in."""
    return (
        "None known." if seen.resolved_at is not None else "None known yet: a cut source is told here once it is back."
    )


def _no_notices(seen: IncidentView) -> str:
    """A notice is on record when a channel took it, or when it was given up; in between it is on its way."""
    return "None were recorded." if seen.resolved_at is not None else "None was taken or given up yet."


def escaped(text: str) -> str:
    """One line that Markdown takes literally."""
    for mark in ("\\", "|", "<", "`", "*", "_", "["):
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())


def _summary(seen: IncidentView) -> Table:
    what = f"breaker {seen.breaker}" if seen.breaker else f"check {seen.check}"
    return [
        ("Incident", f"`{seen.id}`"),
        ("Severity", f"{seen.severity} ({MEANS[seen.severity]})"),
        ("Status", seen.status.value),
        ("Pipeline", escaped(seen.pipeline)),
        ("Opened by", escaped(f"{what} of {seen.pipeline}")),
        ("Commander", escaped(seen.commander or "nobody")),
        ("Impact", escaped(seen.impact or "not noted yet (note it as `impact: ...`)")),
        ("Root cause", escaped(seen.root_cause or "not noted yet (note it as `root cause: ...`)")),
    ]


def _times(seen: IncidentView) -> Table:
    """Detection counts from the breach's start, everything else from the opening."""
    began = seen.began_at if seen.began_at is not None and seen.began_at < seen.opened_at else None
    rows: list[tuple[str, datetime | None, str]] = [("breach began", began, "")] if began else []
    rows.append(("detected (incident opened)", seen.opened_at, _span(seen.opened_at - began) if began else ""))
    for name, at in (
        ("response (acknowledged)", seen.acknowledged_at),
        ("containment (every step in force)", seen.contained_at),
        ("sources let back in", seen.restoring_at),
        ("recovery (resolved)", seen.resolved_at),
    ):
        rows.append((name, at, _span(at - seen.opened_at) if at else ""))
    never = "never" if seen.resolved_at is not None else "not yet"
    return [(name, _at(at) if at else never, span) for name, at, span in rows]


def _cost(cost: Cost, seen: IncidentView) -> str:
    text = f"{cost.signal} was {quantity(cost.value, cost.unit)} when it opened"
    hours = {"dollars/h": 1, "dollars/day": 24}.get(cost.unit)
    if hours is None or seen.resolved_at is None:
        return text
    began = min(seen.opened_at, seen.began_at or seen.opened_at)
    until = seen.contained_at or seen.resolved_at
    dollars = cost.value / hours * max(0.0, (until - began).total_seconds()) / 3600
    what = "contained" if seen.contained_at else "resolved"
    return f"{text}: about {dollars:.2f} dollars until it was {what}, if that rate lasted"


def _follow_ups(seen: IncidentView) -> Table:
    rows = []
    for one in seen.follow_ups:
        due = _at(one.due) if one.due else "" if seen.resolved_at else "counts from the resolution"
        rows.append((due, escaped(one.text), f"{_at(one.done_at)} by {escaped(one.by)}" if one.done_at else "open"))
    return rows


def _section(title: str, columns: Sequence[str], rows: Table, nothing: str = "None.") -> list[str]:
    return ["", f"## {title}", "", *(_table(columns, rows) if rows else [nothing])]


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    head = f"| {' | '.join(columns)} |" if any(columns) else "|" + " |" * len(columns)
    return [head, "|" + "---|" * len(columns), *(f"| {' | '.join(row)} |" for row in rows)]


def _at(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def _span(span: timedelta) -> str:
    return format_duration(float(max(0, round(span.total_seconds()))))
