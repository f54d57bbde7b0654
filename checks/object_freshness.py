"""How old the newest object under a prefix is, and how many arrived in the present period.

A prefix may hold the date its writer puts there: `raw/{yyyy}/{mm}/{dd}/{hh}/`, in UTC or in `timezone`. Whoever looks
under the local date for what was written under UTC's sees nothing for part of every day, so say which clock the
*writer* uses. The periods are read newest first until one holds an object, at most `look_back` far.

`age` is the seconds since the newest object was written (LastModified). Nothing at all within the look-back: it is at
least as old as the oldest period read, and observed as that lower bound. A prefix without a date that holds nothing is
an absent point: nothing says since when. `count` is the number of objects in the present period (the present hour or
day; without a date all of them).

S3 lists by key, not by date. Where `max_pages` ends a listing, `count` is a lower bound and `age` unknown(invalid).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from pydantic import Field, field_validator

from checks.objects import Place, dated, listing, too_many
from checks.periods import zone_of
from checks.reading import absent, observe, unknown
from monitor.plugin import (
    Bound,
    Check,
    Duration,
    Observation,
    Permission,
    ProbeContext,
    ProbeError,
    Signal,
    SignalSpec,
    need,
)

AGE = Signal("age", "seconds", "Since the newest object was written.")
COUNT = Signal("count", "objects", "Objects in the present period of the prefix.")


class ObjectFreshness(Place):
    """Where objects arrive."""

    timezone: str = Field("UTC", description="Zone of the dates in the prefix: the writer's clock, not yours.")
    look_back: Duration = Field(timedelta(days=2), description="How far back older periods are read.")
    max_pages: int = Field(10, ge=1, le=100, description="Pages of 1,000 objects read per period, at most.")
    target: str | None = Field(None, description="Name of the target; default: bucket and prefix.")

    @field_validator("timezone")
    @classmethod
    def _known(cls, name: str) -> str:
        return zone_of(name).key


async def probe(params: ObjectFreshness, ctx: ProbeContext) -> Sequence[Observation]:
    """The periods newest first, until one holds something."""
    target = params.target or params.name
    try:
        return await _observe(params, target, ctx)
    except ProbeError as error:
        return unknown((AGE, COUNT), target, error)


async def _observe(params: ObjectFreshness, target: str, ctx: ProbeContext) -> list[Observation]:
    found = dated(params, zone_of(params.timezone), ctx.now, params.look_back)
    present = await listing(params, found[0].text, params.max_pages, ctx)
    count = observe(COUNT, target, len(present.times), ctx.now, lower_bound=not present.is_whole)
    listed, period = present, found[0]
    for older in found[1:]:
        if listed.times or not listed.is_whole:
            break
        listed, period = await listing(params, older.text, params.max_pages, ctx), older
    if not listed.is_whole:
        return [count, *unknown([AGE], target, too_many(params, period.text, params.max_pages))]
    if (newest := listed.newest) is not None:
        return [count, observe(AGE, target, _seconds(ctx.now - newest), ctx.now)]
    if params.prefix == found[0].text:
        return [count, absent(AGE, target, "no object under the prefix", exists=True)]
    age = observe(AGE, target, _seconds(ctx.now - found[-1].start), ctx.now, lower_bound=True)
    return [count, replace(age, detail=f"no object since {_written(found[-1].start)}")]


def _seconds(span: timedelta) -> float:
    return max(0.0, span.total_seconds())


def _written(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%MZ}"


def needs(params: ObjectFreshness) -> list[Permission]:
    """For IAM: what one configuration asks."""
    return [need("s3:ListBucket", bucket=params.bucket)]


CHECK: Check[ObjectFreshness] = Check(
    kind="object_freshness",
    summary="Age of the newest object under a (dated) prefix, and how many arrived in this period.",
    params=ObjectFreshness,
    probe=probe,
    signals=(AGE, COUNT),
    defaults={
        "age": SignalSpec(
            warning=Bound(above=timedelta(hours=1).total_seconds()),
            critical=Bound(above=timedelta(hours=4).total_seconds()),
        )
    },
    permissions=("s3:ListBucket",),
    cost="One ListObjectsV2 per 1,000 objects of a period ($0.005 per 1,000 calls); one per empty period before it.",
    example="""\
raw-files:
  kind: object_freshness
  interval: 5m
  bucket: opendata-pulse-raw
  prefix: raw/fuel/{yyyy}/{mm}/{dd}/
  timezone: UTC
  thresholds:
    age: {warning: {above: 5400}, critical: {above: 14400}}
""",
    interval=timedelta(minutes=5),
    needs=needs,
)
