"""Windows of time as an action's parameter: named one by one, read from a text, or from one moment to another.

Windows are half open, [start, end), and cut on the step's grid in the named zone (an hour begins at the full hour
there). Relative moments count back from when the trip began, so that a second attempt means the same windows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from monitor.plugin import ActionError, Duration, Gap, Reason, gaps_in

_RELATIVE = re.compile(r"-?(?:\d+(?:\.\d+)?(?:ms|s|m|h|d|w))+")
_PLACEHOLDER = re.compile(r"\$\{window\.([a-z_]+)\}")
#: What `${window.NAME}` may be; all but the first four in the zone.
FIELDS = (
    "start", "end", "start_epoch", "end_epoch", "date", "year", "month", "day", "hour", "minute", "start_local",
    "end_local",
)  # fmt: skip


class Windows(BaseModel):
    """Which windows. Written as a text that names ISO intervals, a list of them, or {from, to, step, timezone}."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    named: str | None = Field(
        default=None,
        description="Intervals `START/END` in a text, e.g. `${trip.reason}` of a check of missing windows.",
    )
    since: str | None = Field(
        default=None,
        alias="from",
        description="Start of the first: a time (ISO 8601), or how long before the trip (6h).",
    )
    to: str | None = Field(default=None, description="End of the last; by default the last whole window before now.")
    step: Duration = Field(default=timedelta(hours=1), description="How long one window is.")
    timezone: str = Field(default="UTC", description="Where windows begin at the full step, e.g. Australia/Sydney.")

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, data: Any) -> Any:
        if isinstance(data, (list, tuple)):
            return {"named": ", ".join(str(one) for one in data)}
        return {"named": data} if isinstance(data, str) else data

    @field_validator("since", "to", mode="before")
    @classmethod
    def _moment(cls, value: Any) -> Any:
        text = value.isoformat() if isinstance(value, datetime) else value
        # While a file is loaded, `trip-started-at` stands for what the trip fills in.
        if isinstance(text, str) and not _RELATIVE.fullmatch(text) and not text.startswith("trip-"):
            parsed_moment(text)
        return text

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError(f"no time zone is called {value!r}")
        return value

    @model_validator(mode="after")
    def _names_some(self) -> Windows:
        if (self.named is None) == (self.since is None):
            raise ValueError("name the windows, or say `from` when")
        if self.step < timedelta(minutes=1):
            raise ValueError("a window is a minute at least")
        return self

    def found(self, trip_at: datetime, now: datetime) -> list[Gap]:
        """The windows that are over, oldest first, none twice. Raises ActionError(invalid) if there is none."""
        spans = gaps_in(self.named) if self.named is not None else [Gap(*self._bounds(trip_at, now))]
        found = {window for span in spans for window in self._cut(span) if window.end <= now}
        if not found:
            raise ActionError(Reason.INVALID, "no window is named that is over by now: nothing to fill")
        return sorted(found)

    def _bounds(self, trip_at: datetime, now: datetime) -> tuple[datetime, datetime]:
        start, end = _at(str(self.since), trip_at), now if self.to is None else _at(self.to, trip_at)
        return start, max(end, start)

    def _cut(self, span: Gap) -> list[Gap]:
        """Whole windows on the grid that begin in the span."""
        at = self._floor(span.start)
        if at < span.start:
            at += self.step
        windows = []
        while at + self.step <= span.end:
            windows.append(Gap(at, at + self.step))
            at += self.step
        return windows

    def _floor(self, at: datetime) -> datetime:
        offset = at.astimezone(ZoneInfo(self.timezone)).utcoffset() or timedelta(0)
        since = at - datetime(1970, 1, 1, tzinfo=UTC) + offset
        return at - since % self.step


def fill(value: Any, window: Gap, zone: str) -> Any:
    """`value` with every `${window.NAME}` in place."""
    if isinstance(value, Mapping):
        return {key: fill(part, window, zone) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [fill(part, window, zone) for part in value]
    if isinstance(value, str):
        words = _words(window, zone)
        return _PLACEHOLDER.sub(lambda found: words[found.group(1)], value)
    return value


def require_known(value: Any) -> None:
    """Raises ValueError for a `${window.NAME}` that does not exist."""
    if isinstance(value, str):
        for name in _PLACEHOLDER.findall(value):
            if name not in FIELDS:
                raise ValueError(f"${{window.{name}}} does not exist; there are {', '.join(FIELDS)}")
    elif isinstance(value, Mapping):
        require_known(list(value.values()))
    elif isinstance(value, Sequence):
        for part in value:
            require_known(part)


def parsed_moment(text: str) -> datetime:
    """Aware; a time without zone is UTC. Raises ValueError."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is neither a time (2026-03-04T09:00Z) nor how long ago (6h)") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _at(text: str, trip_at: datetime) -> datetime:
    if _RELATIVE.fullmatch(text):
        return trip_at - _Span.model_validate({"span": text.lstrip("-")}).span
    return parsed_moment(text)


class _Span(BaseModel):
    span: Duration


def _words(window: Gap, zone: str) -> dict[str, str]:
    start, end = window.start.astimezone(UTC), window.end.astimezone(UTC)
    local, until = (at.astimezone(ZoneInfo(zone)) for at in (start, end))
    return {
        "start": f"{start:%Y-%m-%dT%H:%M:%SZ}", "end": f"{end:%Y-%m-%dT%H:%M:%SZ}",
        "start_epoch": str(int(start.timestamp())), "end_epoch": str(int(end.timestamp())),
        "date": f"{local:%Y-%m-%d}", "year": f"{local:%Y}", "month": f"{local:%m}", "day": f"{local:%d}",
        "hour": f"{local:%H}", "minute": f"{local:%M}",
        "start_local": local.isoformat(), "end_local": until.isoformat(),
    }  # fmt: skip
