"""Listing S3 objects by dated prefixes, bounded. S3 lists by key, never by date: a list cut short knows no newest."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator

from checks.periods import Period, check_template, fixed_part, periods
from monitor.plugin import Params, ProbeContext, ProbeError, Reason


class Place(Params):
    """Where objects land."""

    bucket: str = Field(description="Bucket.", min_length=3)
    prefix: str = Field(
        "", description="Prefix of the keys; `{yyyy}`, `{mm}`, `{dd}`, `{hh}` are the date its writer puts there."
    )
    suffix: str = Field("", description="Only keys that end so (`.json`).")

    @field_validator("prefix")
    @classmethod
    def _dated(cls, prefix: str) -> str:
        return check_template(prefix)

    @property
    def name(self) -> str:
        """Bucket and the unchanging part of the prefix."""
        fixed = fixed_part(self.prefix).strip("/")
        return f"{self.bucket}/{fixed}" if fixed else self.bucket


@dataclass(frozen=True, slots=True)
class Listing:
    """When the objects under one prefix were last written, and whether that is all of them."""

    times: tuple[datetime, ...]
    is_whole: bool

    @property
    def newest(self) -> datetime | None:
        """Of what was listed."""
        return max(self.times, default=None)


async def listing(place: Place, prefix: str, max_pages: int, ctx: ProbeContext) -> Listing:
    """The objects under `prefix`; folder markers are none. Raises ProbeError."""
    times: list[datetime] = []
    pages = 0
    async for page in ctx.aws.pages("s3", "ListObjectsV2", Bucket=place.bucket, Prefix=prefix):
        pages += 1
        times += [
            one["LastModified"]
            for one in page.get("Contents") or ()
            if one["Key"].endswith(place.suffix) and not one["Key"].endswith("/")
        ]
        if page.get("IsTruncated") and pages >= max_pages:
            return Listing(tuple(times), False)
    return Listing(tuple(times), True)


def too_many(place: Place, prefix: str, max_pages: int) -> ProbeError:
    """S3 lists by key: the newest object may stand anywhere."""
    return ProbeError(
        Reason.INVALID,
        f"s3://{place.bucket}/{prefix} holds more than {max_pages},000 objects: date the prefix, or raise max_pages",
    )


@dataclass(frozen=True, slots=True)
class Recent:
    """What lies under the periods of a look-back; `since` is where the oldest of them begins (None: no date)."""

    times: tuple[datetime, ...]
    since: datetime | None

    @property
    def newest(self) -> datetime | None:
        """None: nothing there."""
        return max(self.times, default=None)


def dated(place: Place, zone: ZoneInfo, now: datetime, look_back: timedelta) -> list[Period]:
    """The place's prefixes, newest first; one without dates for a prefix without them."""
    return periods(place.prefix, zone, now, look_back) or [Period(now, now, place.prefix)]


async def recent(place: Place, zone: ZoneInfo, look_back: timedelta, max_pages: int, ctx: ProbeContext) -> Recent:
    """Everything within the look-back. Raises ProbeError, also when `max_pages` ends a listing."""
    times: list[datetime] = []
    found = dated(place, zone, ctx.now, look_back)
    for period in found:
        listed = await listing(place, period.text, max_pages, ctx)
        if not listed.is_whole:
            raise too_many(place, period.text, max_pages)
        times += listed.times
    has_dates = place.prefix != found[0].text
    return Recent(tuple(times), found[-1].start if has_dates else None)
