"""Sends a notice as a step of a playbook, with the facts of the trip below the given words.

Changes nothing on AWS. A notice that went out is remembered, so a resumed step does not send it again; a crash between
sending and remembering doubles it rather than losing it. URLs may be secret references, resolved when sending; they
never appear in a summary, a detail or a log.
"""

from __future__ import annotations

import re
from datetime import datetime

from pydantic import Field

from monitor.plugin import Action, ActionContext, ActionError, Change, Json, Params, Reason, Receipt, Risk, TripInfo

_URL = re.compile(r"\b[A-Za-z][\w+.-]*://\S+")


class NotifyParams(Params):
    """What to say, and where."""

    message: str = Field(description="The text; the trip's facts are added below it.", min_length=1, max_length=4000)
    title: str | None = Field(default=None, description="Title line; by default severity and breaker.")
    urls: tuple[str, ...] | None = Field(
        default=None,
        description="Channels (better as secret references such as `env:SLACK_URL`); by default the pipeline's own.",
    )


def plan(params: NotifyParams, now: datetime) -> Change:
    """Pure; names no URL."""
    where = _channels(len(params.urls)) if params.urls else "the pipeline's channels"
    return Change(
        action="notify",
        resource="notify",
        wanted=None,
        summary=f"notify {where}: {params.message.splitlines()[0][:80]}",
        params=params.model_dump(mode="json"),
    )


async def capture(change: Change, ctx: ActionContext) -> Json:
    """Nothing to capture."""
    return None


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """Sends once. Raises ActionError(unavailable) when not one of the named channels took it."""
    if ctx.memory.get("sent") is True:
        return Receipt(change=change, changed=True, detail="sent before")
    params = NotifyParams.model_validate(change.params)
    urls = list(params.urls or ())
    title = params.title or f"[{ctx.trip.severity}] {ctx.trip.pipeline}/{ctx.trip.breaker}"
    failures = [_URL.sub("<url>", text) for text in await ctx.notify(urls, title, _body(params.message, ctx.trip))]
    if urls and len(failures) >= len(urls):
        raise ActionError(Reason.UNAVAILABLE, f"no channel took the notice: {'; '.join(failures)[:300]}")
    await ctx.remember(sent=True)
    detail = f"{_channels(len(failures))} failed: {'; '.join(failures)[:300]}" if failures else "sent"
    return Receipt(change=change, changed=True, verified=not failures, detail=detail)


def _channels(count: int) -> str:
    return "one channel" if count == 1 else f"{count} channels"


def _body(message: str, trip: TripInfo) -> str:
    lines = [message, "", f"Breaker: {trip.pipeline}/{trip.breaker} ({trip.severity})", f"Why: {trip.reason}"]
    if trip.targets:
        more = f" and {len(trip.targets) - 10} more" if len(trip.targets) > 10 else ""
        lines.append(f"Targets: {', '.join(trip.targets[:10])}{more}")
    lines.append(f"Since: {trip.started_at:%Y-%m-%d %H:%M:%S} UTC")
    if trip.runbook:
        lines.append(f"Runbook: {trip.runbook}")
    return "\n".join(lines)


ACTION = Action(
    name="notify",
    summary="Sends a notice to channels.",
    params=NotifyParams,
    risk=Risk.NOTIFY,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=None,
    permissions=(),
    example="notify: {message: 'Connector google is mocked until its quota resets.'}",
    blast_radius="None: words only.",
)
