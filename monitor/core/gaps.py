"""Windows in which something that should have happened did not: a check names them, gap record and backfill read them.

Written as ISO 8601 intervals in UTC: `2026-03-04T09:00Z/2026-03-04T10:00Z`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

#: Windows named in one text; the newest are dropped first, since a backfill begins with the oldest.
MOST = 48

_FORM = "%Y-%m-%dT%H:%MZ"
_GAP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\dZ)/(\d{4}-\d\d-\d\dT\d\d:\d\dZ)")


@dataclass(frozen=True, slots=True, order=True)
class Gap:
    """[start, end), aware UTC, whole minutes."""

    start: datetime
    end: datetime

    def __str__(self) -> str:
        return f"{self.start.astimezone(UTC):{_FORM}}/{self.end.astimezone(UTC):{_FORM}}"


def spelled_gaps(gaps: Iterable[Gap], most: int = MOST) -> str:
    """`A/B, B/C (and 3 more)`, oldest first; empty without gaps."""
    ordered = sorted(gaps)
    text = ", ".join(str(gap) for gap in ordered[:most])
    return text if len(ordered) <= most else f"{text} (and {len(ordered) - most} more)"


def gaps_in(text: str) -> list[Gap]:
    """The windows a text names, in its order; whatever is no interval is passed over."""
    found = []
    for start, end in _GAP.findall(text):
        try:
            gap = Gap(*(datetime.strptime(moment, _FORM).replace(tzinfo=UTC) for moment in (start, end)))
        except ValueError:  # a thirteenth month
            continue
        if gap.start < gap.end:
            found.append(gap)
    return found


def merged(gaps: Iterable[Gap]) -> list[Gap]:
    """Windows that touch or overlap joined into one, oldest first."""
    found: list[Gap] = []
    for gap in sorted(gaps):
        if found and gap.start <= found[-1].end:
            found[-1] = Gap(found[-1].start, max(found[-1].end, gap.end))
        else:
            found.append(gap)
    return found
