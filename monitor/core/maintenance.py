"""Maintenance: recurring windows from config, in a place's own time, right across clock changes.

A start that falls into a spring-forward gap opens at the first minute that exists; one that happens twice in autumn
opens the first time. A window's length is real time: two hours are 7,200 s, whatever the wall clock does meanwhile.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from monitor.core.cron import parse_cron
from monitor.core.spec import MaintenanceSpec

#: Longest window: beyond it a breaker should be disabled by a person, not by a calendar.
LONGEST = timedelta(days=31)


def check(spec: MaintenanceSpec) -> None:
    """Raise ValueError, with an example, unless `active` can judge this window."""
    parse_cron(spec.start)
    zone(spec.timezone)
    if not timedelta(0) < spec.duration <= LONGEST:
        raise ValueError(f"a maintenance window lasts up to {LONGEST.days} days (write for example 2h)")


def zone(name: str) -> tzinfo:
    """An IANA time zone. Raises ValueError with an example."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    # zoneinfo lets the file system's own refusals of odd names (a folder, a path upwards) through.
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{name!r} is not a time zone (write for example Europe/Berlin)") from None


def active(spec: MaintenanceSpec, now: datetime) -> datetime | None:
    """The end (UTC) of the window that is open at `now` (aware), or None. Of overlapping ones, the last to open.

    Raises ValueError, with an example, for a line or time zone that can't be read.
    """
    opened = last_start(spec, now)
    return None if opened is None or opened + spec.duration <= now else opened + spec.duration


def last_start(spec: MaintenanceSpec, now: datetime) -> datetime | None:
    """When (UTC) a window last opened, among those that could still be open at `now`."""
    cron, where = parse_cron(spec.start), zone(spec.timezone)
    day = now.astimezone(where).date()
    # Two days more than the window is long: one for its own start, one for a date line or a clock change.
    for back in range(spec.duration.days + 3):
        on = day - timedelta(days=back)
        if not cron.on(on):
            continue
        for hour, minute in cron.times():
            opens = _instant(on, time(hour, minute), where)
            if opens <= now:
                return opens
    return None


def _instant(day: date, at: time, where: tzinfo) -> datetime:
    """The UTC instant of a local time; of one that does not exist, the first existing minute after it."""
    local = datetime.combine(day, at)
    while True:
        instant = local.replace(tzinfo=where).astimezone(UTC)
        if instant.astimezone(where).replace(tzinfo=None) == local:
            return instant
        local += timedelta(minutes=1)
