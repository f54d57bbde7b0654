"""How far the curated stage of a pipeline lies behind the raw one, by the times their newest objects were written.

`lag` is how many seconds the newest raw object is ahead of the newest curated one; 0 when the curated one is newer.
`unprocessed` counts the raw objects written after the newest curated one, `waiting` is the age of the oldest of them: a
lone raw file that nobody takes raises `waiting` while `lag` stands still. All look back `look_back`: without any raw
object there, the three are absent points, since nothing says how the stages stand. Without any curated object, all raw
objects are unprocessed and `lag` is a lower bound.

Default thresholds are the severities of the runbook: a delay of 1 h warns, one of 4 h is critical.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from pydantic import Field, field_validator

from checks.objects import Place, Recent, recent
from checks.periods import zone_of
from checks.reading import absent, observe, unknown
from monitor.plugin import (
    Bound,
    Check,
    Duration,
    Observation,
    Params,
    Permission,
    ProbeContext,
    ProbeError,
    Signal,
    SignalSpec,
    need,
)

LAG = Signal("lag", "seconds", "How much newer the newest raw object is than the newest curated one; 0 if it is not.")
UNPROCESSED = Signal("unprocessed", "objects", "Raw objects written after the newest curated one.")
WAITING = Signal("waiting", "seconds", "Age of the oldest unprocessed raw object; 0 if there is none.")
SIGNALS = (LAG, UNPROCESSED, WAITING)

_DELAY = SignalSpec(warning=Bound(above=3600), critical=Bound(above=4 * 3600))


class StageLag(Params):
    """The two stages."""

    raw: Place = Field(description="Where files arrive: `{bucket, prefix, suffix}`.")
    curated: Place = Field(description="Where the processed ones land.")
    timezone: str = Field("UTC", description="Zone of the dates in the prefixes: the writers' clock.")
    look_back: Duration = Field(timedelta(days=1), description="How far back dated prefixes are read.")
    max_pages: int = Field(20, ge=1, le=200, description="Pages of 1,000 objects read per period, at most.")
    target: str | None = Field(None, description="Name of the target; default: the raw place.")

    @field_validator("timezone")
    @classmethod
    def _known(cls, name: str) -> str:
        return zone_of(name).key


async def probe(params: StageLag, ctx: ProbeContext) -> Sequence[Observation]:
    """Both stages; a listing that fails or is cut short says nothing."""
    target = params.target or params.raw.name
    zone = zone_of(params.timezone)
    try:
        raw = await recent(params.raw, zone, params.look_back, params.max_pages, ctx)
        curated = await recent(params.curated, zone, params.look_back, params.max_pages, ctx)
    except ProbeError as error:
        return unknown(SIGNALS, target, error)
    return _compared(raw, curated, target, ctx)


def _compared(raw: Recent, curated: Recent, target: str, ctx: ProbeContext) -> list[Observation]:
    if raw.newest is None:
        return [absent(signal, target, "no raw object within look_back", exists=True) for signal in SIGNALS]
    done = curated.newest
    open_ = [time for time in raw.times if done is None or time > done]
    # With nothing curated in sight, it is at least as far behind as the look-back (or the raw stage) reaches.
    since = done or curated.since or min(raw.times)
    lag = max(0.0, (raw.newest - since).total_seconds())
    waiting = max(0.0, (ctx.now - min(open_)).total_seconds()) if open_ else 0.0
    return [
        observe(LAG, target, lag, ctx.now, lower_bound=done is None),
        observe(UNPROCESSED, target, len(open_), ctx.now),
        observe(WAITING, target, waiting, ctx.now),
    ]


def needs(params: StageLag) -> list[Permission]:
    """For IAM: what one configuration asks."""
    return [need("s3:ListBucket", bucket=[params.raw.bucket, params.curated.bucket])]


CHECK: Check[StageLag] = Check(
    kind="stage_lag",
    summary="How far curated objects lie behind the raw ones they are made from.",
    params=StageLag,
    probe=probe,
    signals=SIGNALS,
    defaults={"lag": _DELAY, "waiting": _DELAY},
    permissions=("s3:ListBucket",),
    cost="One ListObjectsV2 per 1,000 objects and period of both stages ($0.005 per 1,000 calls).",
    example="""\
etl-backlog:
  kind: stage_lag
  interval: 5m
  raw: {bucket: opendata-pulse-raw, prefix: "raw/fuel/{yyyy}/{mm}/{dd}/"}
  curated: {bucket: opendata-pulse-curated, prefix: "fuel/{yyyy}/{mm}/{dd}/"}
  thresholds:
    waiting: {warning: {above: 3600}, critical: {above: 14400}}
""",
    interval=timedelta(minutes=5),
    needs=needs,
)
