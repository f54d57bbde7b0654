"""duration_drift: the same hours of other days are the measure, never the present."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from checks.duration_drift import CHECK, DurationDrift
from monitor.plugin import MetricQuery, Reason
from monitor.testing import EPOCH, FakeAws, assert_check_conforms, metric_key, observed, run_probe

FN = "AWS/Lambda.Duration[FunctionName=ingest]"


def hours(newest: float | None, usual: dict[int, float | None], *, others: float = 9000.0) -> list[float | None]:
    """170 hourly values, newest last: the newest hour, the same hour of each past day, and all other hours."""
    values: list[float | None] = [others] * 170
    values[-1] = newest
    for day in range(1, 8):
        values[-1 - 24 * day] = usual.get(day)
    return values


def aws(durations: list[float | None], samples: float | list[Any] = 50.0) -> FakeAws:
    """Durations, and how many samples each has."""

    def points(query: MetricQuery) -> list[Any]:
        if query.stat == "SampleCount":
            counts = samples if isinstance(samples, list) else [samples] * len(durations)
            return [None if value is None else count for value, count in zip(durations, counts, strict=True)]
        return durations

    return FakeAws(metrics={FN: points})


async def run(fake: FakeAws, **params: Any) -> Any:
    """What was observed."""
    return observed(await run_probe(CHECK, {"lambda_functions": "ingest", **params}, fake))


async def test_it_conforms() -> None:
    """The contract of a kind."""
    await assert_check_conforms(CHECK)


@pytest.mark.parametrize(
    ("newest", "usual", "drift"),
    [
        (2000.0, dict.fromkeys(range(1, 8), 1000.0), 2.0),
        (1000.0, dict.fromkeys(range(1, 8), 1000.0), 1.0),
        (3000.0, {1: 9000.0, 2: 1000.0, 3: 1000.0, 4: 1000.0, 5: 1000.0}, 3.0),
        (2000.0, {1: 1000.0, 2: 1000.0}, None),
        (2000.0, {}, None),
    ],
    ids=["twice", "as usual", "one slow day among five", "two days are no baseline", "a new function"],
)
async def test_drift_is_against_the_same_hour(newest: float, usual: Any, drift: float | None) -> None:
    """Other hours, however slow, do not matter."""
    seen = await run(aws(hours(newest, usual)))
    assert seen == {("ingest", "drift"): drift, ("ingest", "duration"): newest / 1000}


async def test_few_samples_have_no_percentile() -> None:
    """Now: absent. Then: that day does not count."""
    values = hours(2000.0, dict.fromkeys(range(1, 8), 1000.0))
    assert await run(aws(values, 9)) == {("ingest", "drift"): None, ("ingest", "duration"): None}
    counts = [50.0] * 170
    for day in range(1, 6):
        counts[-1 - 24 * day] = 3.0
    assert (await run(aws(values, counts)))["ingest", "drift"] is None


async def test_yesterdays_hour_is_not_the_present_one() -> None:
    """Nothing in the last window is absent, not the last thing that was seen, once CloudWatch had time to publish."""
    fake = aws(hours(None, dict.fromkeys(range(1, 8), 1000.0), others=1000.0))
    for minutes, values in ((5, {1.0}), (20, {None})):
        seen = await run_probe(CHECK, {"lambda_functions": "ingest"}, fake, EPOCH + timedelta(minutes=minutes))
        assert set(observed(seen).values()) == values


async def test_short_windows_never_take_the_last_two_hours_for_past() -> None:
    """The baseline begins a day back, whatever the window."""
    fake = FakeAws(metrics={FN: lambda query: [60.0] * query.points})
    seen = await run(fake, window="15m", minimum=1)
    assert seen["ingest", "drift"] == 1.0
    assert {query.points for query in fake.asked} == {7 * 96 + 2}


async def test_machines_are_read_by_arn() -> None:
    """ExecutionTime, percentile and sample count of the same metric."""
    fake = FakeAws()
    seen = await run_probe(CHECK, {"state_machines": "etl"}, fake)
    assert {one.reason for one in seen} == {None}
    arn = "arn:aws:states:us-east-1:123456789012:stateMachine:etl"
    assert {(metric_key(query), query.stat) for query in fake.asked} == {
        (f"AWS/States.ExecutionTime[StateMachineArn={arn}]", stat) for stat in ("p95", "SampleCount")
    }


async def test_an_unreadable_metric_is_unknown(down: Exception) -> None:
    """Both signals."""
    assert set((await run(FakeAws(metrics={FN: down}))).values()) == {Reason.UNAVAILABLE}  # type: ignore[dict-item]


@pytest.mark.parametrize("window", ["7m", "7h", "24h", "50m"])
def test_windows_lie_on_the_same_hours_every_day(window: str) -> None:
    """Others would compare different times of day."""
    with pytest.raises(ValidationError, match="divisor of the day"):
        DurationDrift.model_validate({"lambda_functions": "x", "window": window})
