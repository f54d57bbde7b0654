"""object_freshness, stage_lag and missing_cycles: what lies in buckets, when, and what is missing there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from checks import missing_cycles, object_freshness, stage_lag
from monitor.plugin import ProbeError, Reason, gaps_in
from monitor.testing import EPOCH, FakeAws, observed, run_probe

HOUR = timedelta(hours=1)
INVOCATIONS = "AWS/Lambda.Invocations[FunctionName=ingest]"


def bucket(objects: Mapping[str, datetime], page: int = 1000) -> Callable[..., Any]:
    """ListObjectsV2 over these keys, by prefix, in pages."""

    def listed(Prefix: str, **_: Any) -> Sequence[Mapping[str, Any]]:  # noqa: N803 - AWS's own name
        found = [{"Key": key, "LastModified": objects[key]} for key in sorted(objects) if key.startswith(Prefix)]
        pages = [found[start : start + page] for start in range(0, len(found), page)] or [[]]
        return [{"Contents": one, "IsTruncated": one is not pages[-1]} for one in pages]

    return listed


def aws(objects: Mapping[str, datetime], page: int = 1000) -> FakeAws:
    """An S3 with these objects."""
    return FakeAws({"s3.ListObjectsV2": bucket(objects, page)})


# --- object_freshness -----------------------------------------------------------------------------------------------

RAW = {"bucket": "raw", "prefix": "fuel/{yyyy}/{mm}/{dd}/"}


async def test_the_newest_object_of_the_day() -> None:
    """Age of the newest, count of today's; yesterday is not asked."""
    fake = aws({"fuel/2026/03/04/a": EPOCH - 3 * HOUR, "fuel/2026/03/04/b": EPOCH - HOUR, "fuel/2026/03/03/c": EPOCH})
    seen = observed(await run_probe(object_freshness.CHECK, RAW, fake))
    assert seen == {("raw/fuel", "age"): 3600.0, ("raw/fuel", "count"): 2.0}
    assert fake.count("s3.ListObjectsV2") == 1


async def test_before_the_first_object_of_the_day_yesterday_counts() -> None:
    """Just after midnight nothing is missing yet: the age goes on from yesterday's last."""
    now = datetime(2026, 3, 4, 0, 5, tzinfo=UTC)
    seen = observed(await run_probe(object_freshness.CHECK, RAW, aws({"fuel/2026/03/03/z": now - HOUR / 2}), now))
    assert seen == {("raw/fuel", "age"): 1800.0, ("raw/fuel", "count"): 0.0}


async def test_the_writers_clock_finds_what_the_local_date_misses() -> None:
    """Written under UTC's date: by Sydney's clock the present day is empty, by UTC's it is not."""
    now = datetime(2026, 3, 3, 21, 30, tzinfo=UTC)
    fake = aws({"fuel/2026/03/03/a": now - HOUR})
    assert observed(await run_probe(object_freshness.CHECK, RAW, fake, now))["raw/fuel", "count"] == 1.0
    local = {**RAW, "timezone": "Australia/Sydney"}
    assert observed(await run_probe(object_freshness.CHECK, local, fake, now))["raw/fuel", "count"] == 0.0


async def test_nothing_within_the_look_back_is_a_lower_bound() -> None:
    """Nothing today or in the two days before: at least as old as the oldest day read."""
    seen = await run_probe(object_freshness.CHECK, RAW, aws({}))
    age = next(one for one in seen if one.signal == "age")
    assert (age.value, age.lower_bound) == (timedelta(days=2, hours=12).total_seconds(), True)
    assert "no object since 2026-03-02T00:00Z" in age.detail


async def test_an_empty_prefix_without_a_date_is_absent() -> None:
    """Nothing says since when, so there is no value."""
    seen = await run_probe(object_freshness.CHECK, {"bucket": "raw", "prefix": "in/"}, aws({}))
    age = next(one for one in seen if one.signal == "age")
    assert (age.value, age.reason, age.exists) == (None, None, True)


async def test_a_listing_cut_short_knows_no_newest() -> None:
    """S3 lists by key: the count is a lower bound, the age is not known."""
    objects = {f"in/{number:04}": EPOCH - HOUR for number in range(30)}
    seen = await run_probe(
        object_freshness.CHECK, {"bucket": "raw", "prefix": "in/", "max_pages": 2}, aws(objects, page=10)
    )
    count, age = seen
    assert (count.value, count.lower_bound) == (20.0, True)
    assert age.reason is Reason.INVALID


async def test_markers_and_other_endings_are_no_objects() -> None:
    """Folder markers and files with another suffix don't make a stage fresh."""
    fake = aws({"in/": EPOCH, "in/a.tmp": EPOCH, "in/b.json": EPOCH - HOUR})
    params = {"bucket": "raw", "prefix": "in/", "suffix": ".json"}
    assert observed(await run_probe(object_freshness.CHECK, params, fake))["raw/in", "age"] == 3600.0


async def test_a_bucket_that_is_gone_is_unknown(gone: ProbeError) -> None:
    """Both signals say why."""
    seen = observed(await run_probe(object_freshness.CHECK, RAW, FakeAws({"s3.ListObjectsV2": gone})))
    assert set(seen.values()) == {Reason.NOT_FOUND}


def test_an_unknown_zone_is_an_error_of_the_file() -> None:
    """With the way to write it."""
    with pytest.raises(ValidationError, match="no time zone"):
        object_freshness.ObjectFreshness(bucket="raw", timezone="Mars/Base")


# --- stage_lag ------------------------------------------------------------------------------------------------------

STAGES = {"raw": {"bucket": "lake", "prefix": "raw/"}, "curated": {"bucket": "lake", "prefix": "curated/"}}


def stages(raw: Sequence[float], curated: Sequence[float]) -> FakeAws:
    """Objects written so many hours ago."""
    names = {f"raw/{n}": EPOCH - HOUR * ago for n, ago in enumerate(raw)}
    return aws(names | {f"curated/{n}": EPOCH - HOUR * ago for n, ago in enumerate(curated)})


@pytest.mark.parametrize(
    ("raw", "curated", "lag", "unprocessed", "waiting"),
    [
        ([3, 2], [1], 0, 0, 0),
        ([6, 3, 1], [5], 4, 2, 3),
        ([5], [6], 1, 1, 5),
    ],
    ids=["curated is newer", "two wait", "one file nobody takes"],
)
async def test_lag(
    raw: Sequence[float], curated: Sequence[float], lag: float, unprocessed: float, waiting: float
) -> None:
    """How far ahead raw is, how many wait, and how long the first of them has."""
    seen = observed(await run_probe(stage_lag.CHECK, STAGES, stages(raw, curated)))
    assert seen["lake/raw", "lag"] == lag * 3600
    assert seen["lake/raw", "unprocessed"] == unprocessed
    assert seen["lake/raw", "waiting"] == waiting * 3600


async def test_without_anything_curated_the_lag_is_a_lower_bound() -> None:
    """All raw objects wait; how far behind can't be said."""
    seen = {one.signal: one for one in await run_probe(stage_lag.CHECK, STAGES, stages([3, 1], []))}
    assert (seen["lag"].value, seen["lag"].lower_bound) == (7200.0, True)
    assert seen["unprocessed"].value == 2.0


async def test_without_anything_raw_nothing_is_said() -> None:
    """No raw file in sight is another check's alarm; this one has no value."""
    seen = await run_probe(stage_lag.CHECK, STAGES, stages([], [1]))
    assert {(one.value, one.reason, one.exists) for one in seen} == {(None, None, True)}


async def test_a_stage_that_is_too_large_is_unknown() -> None:
    """A partial list is no list."""
    fake = aws({f"raw/{n}": EPOCH for n in range(30)}, page=10)
    seen = observed(await run_probe(stage_lag.CHECK, {**STAGES, "max_pages": 2}, fake))
    assert set(seen.values()) == {Reason.INVALID}


# --- missing_cycles -------------------------------------------------------------------------------------------------

INGEST = {"function": "ingest", "look_back": "3h", "grace": "15m"}
FUNCTION = {"lambda.GetFunctionConfiguration": {"FunctionName": "ingest"}}


def invoked(*hours: int) -> list[float | None]:
    """Five-minute sums over five hours before noon; a run at the start of each named hour."""
    marks: list[float | None] = [None] * 60
    for hour in hours:
        marks[(hour - 7) * 12] = 1.0
    return marks


async def test_hours_without_a_run_are_counted_and_named() -> None:
    """Of 08, 09 and 10 (11 is not over by its grace) the hour 09 saw no run; a backfill reads it off the detail."""
    fake = FakeAws(FUNCTION, metrics={INVOCATIONS: invoked(8, 10)})
    (seen,) = await run_probe(missing_cycles.CHECK, INGEST, fake)
    assert seen.value == 1.0
    assert [str(gap) for gap in gaps_in(seen.detail)] == ["2026-03-04T09:00Z/2026-03-04T10:00Z"]


async def test_a_cycle_is_not_missing_before_its_grace_is_over() -> None:
    """11:00 to 12:00 is judged from 12:15 on."""
    fake = FakeAws(FUNCTION, metrics={INVOCATIONS: invoked(8, 9, 10)})
    assert (await run_probe(missing_cycles.CHECK, INGEST, fake))[0].value == 0.0
    (late,) = await run_probe(missing_cycles.CHECK, INGEST, fake, EPOCH + timedelta(minutes=16))
    assert "2026-03-04T11:00Z" in late.detail


async def test_silence_of_a_function_that_exists_is_all_cycles() -> None:
    """No datapoint at all means that nothing ran; of a function that does not exist it means nothing."""
    assert (await run_probe(missing_cycles.CHECK, INGEST, FakeAws(FUNCTION)))[0].value == 3.0


async def test_silence_of_a_function_that_is_gone_is_unknown(gone: ProbeError) -> None:
    """CloudWatch would answer for any name."""
    fake = FakeAws({"lambda.GetFunctionConfiguration": gone})
    assert (await run_probe(missing_cycles.CHECK, INGEST, fake))[0].reason is Reason.NOT_FOUND


async def test_a_backfill_closes_the_gap_of_dated_prefixes() -> None:
    """An object under the hour's own prefix serves the hour, whenever it was written."""
    place = {"bucket": "raw", "prefix": "in/{yyyy}/{mm}/{dd}/{hh}/"}
    objects = {"in/2026/03/04/08/a": EPOCH - 4 * HOUR, "in/2026/03/04/10/a": EPOCH - 2 * HOUR}
    params = {"objects": place, "look_back": "3h"}
    assert (await run_probe(missing_cycles.CHECK, params, aws(objects)))[0].value == 1.0
    filled = {**objects, "in/2026/03/04/09/a": EPOCH}
    assert (await run_probe(missing_cycles.CHECK, params, aws(filled)))[0].value == 0.0


async def test_objects_without_an_hour_count_by_when_they_were_written() -> None:
    """A prefix by day: an object written at 09:10 serves the hour 09."""
    place = {"bucket": "raw", "prefix": "in/{yyyy}/{mm}/{dd}/"}
    written = datetime(2026, 3, 4, 9, 10, tzinfo=UTC)
    (seen,) = await run_probe(
        missing_cycles.CHECK, {"objects": place, "look_back": "3h"}, aws({"in/2026/03/04/a": written})
    )
    assert [gap.start.hour for gap in gaps_in(seen.detail)] == [8, 10]


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({}, "one of function and objects"),
        ({"function": "f", "every": "7h"}, "cycles are"),
        ({"function": "f", "every": "1m"}, "cycles are"),
        ({"function": "f", "look_back": "30m"}, "at least one cycle"),
        ({"function": "f", "objects": {"bucket": "raw"}}, "one of function and objects"),
    ],
)
def test_what_makes_no_sense_is_refused(params: Any, said: str) -> None:
    """With what to write instead."""
    with pytest.raises(ValidationError, match=said):
        missing_cycles.MissingCycles.model_validate(params)
