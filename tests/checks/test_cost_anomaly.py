"""cost_anomaly: what is expected of a day, which day is judged, groups, and the budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from checks.cost_anomaly import CHECK, CostAnomaly
from checks.spending import deviation, expected_spend
from monitor.plugin import ProbeError, Reason
from monitor.testing import EPOCH, FakeAws, observed, run_probe

YESTERDAY = date(2026, 3, 3)  # a Tuesday; EPOCH is the Wednesday after it
DAY = timedelta(days=1)


def days(spend: Callable[[date], float], until: date = YESTERDAY, count: int = 36) -> dict[date, float]:
    """Spend by day, `until` last."""
    return {when: spend(when) for when in (until - DAY * back for back in range(count))}


def ledger(groups: Mapping[str, Mapping[date, float]]) -> dict[str, Any]:
    """A GetCostAndUsage reply."""
    every = sorted({when for spent in groups.values() for when in spent})
    return {
        "ResultsByTime": [
            {
                "TimePeriod": {"Start": str(when), "End": str(when + DAY)},
                "Groups": [
                    {"Keys": [key], "Metrics": {"UnblendedCost": {"Amount": str(spent[when]), "Unit": "USD"}}}
                    for key, spent in groups.items()
                    if when in spent
                ],
            }
            for when in every
        ]
    }


def weekly(when: date) -> float:
    """100 on working days, 20 on weekends."""
    return 100.0 if when.weekday() < 5 else 20.0


@pytest.mark.parametrize(
    ("spend", "day", "expected"),
    [
        (lambda when: 50.0, YESTERDAY, 50.0),
        (weekly, YESTERDAY, 100.0),
        (weekly, date(2026, 2, 28), 20.0),
        (lambda when: weekly(when) * (9 if when == date(2026, 2, 24) else 1), YESTERDAY, 100.0),
        (lambda when: weekly(when) * (9 if date(2026, 2, 28) <= when else 1), YESTERDAY, 100.0),
        (lambda when: 40.0 + (200.0 if when.day == 1 else 0.0), date(2026, 4, 1), 240.0),
        (lambda when: 40.0 + (200.0 if when.day == 1 else 0.0), date(2026, 4, 2), 40.0),
        (lambda when: 0.0, YESTERDAY, 0.0),
    ],
    ids=[
        "steady",
        "a working day",
        "a weekend",
        "one past incident",
        "an incident of three days",
        "the first of a month",
        "the second of a month",
        "nothing",
    ],
)
def test_a_day_is_expected_to_cost_what_its_weekday_does(
    spend: Callable[[date], float], day: date, expected: float
) -> None:
    """Medians of weekdays; monthly bills on the first; past incidents don't become the norm."""
    assert expected_spend(days(spend, day), day) == pytest.approx(expected)


def test_growth_is_carried_along() -> None:
    """Two per cent more each day is no anomaly; the trend is bounded at a factor of two."""

    def growing(when: date) -> float:
        return float(100 * 1.02 ** (when - date(2026, 1, 1)).days)

    expected = expected_spend(days(growing), YESTERDAY)
    assert expected is not None
    assert deviation(growing(YESTERDAY), expected, 1) < 1.2
    tenfold = expected_spend(days(lambda when: 100.0 if when < date(2026, 2, 23) else 1000.0), YESTERDAY)
    assert tenfold == pytest.approx(200.0)


def test_too_few_days_tell_nothing() -> None:
    """Fewer than fourteen days before it: no expectation."""
    assert expected_spend(days(weekly, count=14), YESTERDAY) is None
    assert expected_spend(days(weekly, count=15), YESTERDAY) is not None


def test_a_monthly_bill_does_not_bend_its_weekday() -> None:
    """The first fell on a Sunday: the Sunday two weeks on is expected to cost what days do."""

    def billed(when: date) -> float:
        return 240.0 if when.day == 1 else 40.0

    assert expected_spend(days(billed, date(2026, 3, 15), count=16), date(2026, 3, 15)) == 40.0


async def test_a_jump_shows_at_its_service_and_in_the_total() -> None:
    """daily_deviation is how many times the expected spend it was, dated to the end of that day."""
    loop = days(lambda when: 400.0 if when == YESTERDAY else 99.0)
    aws = FakeAws({"ce.GetCostAndUsage": ledger({"AWS Step Functions": loop, "AWS Lambda": days(lambda _: 100.0)})})
    seen = await run_probe(CHECK, {}, aws)
    values = observed(seen)
    assert values["AWS Step Functions", "daily_deviation"] == pytest.approx(4.01)
    assert values["AWS Lambda", "daily_deviation"] == pytest.approx(1.0)
    assert values["total", "daily_dollars"] == 500.0
    assert values["total", "daily_deviation"] == pytest.approx(501 / 200)
    assert {one.at for one in seen} == {datetime(2026, 3, 4, tzinfo=UTC)}


@pytest.mark.parametrize(
    ("hour", "judged"),
    [(12, date(2026, 3, 3)), (11, date(2026, 3, 2))],
    ids=["settled at noon", "not before"],
)
async def test_a_day_is_judged_once_it_has_settled(hour: int, judged: date) -> None:
    """Cost Explorer fills in late: the newest day counts `settle` after its end, and nothing newer is asked for."""
    aws = FakeAws({"ce.GetCostAndUsage": ledger({"S3": days(weekly)})})
    seen = await run_probe(CHECK, {}, aws, now=EPOCH.replace(hour=hour))
    assert {one.at for one in seen} == {datetime.combine(judged + DAY, datetime.min.time(), UTC)}
    assert aws.calls[0].params["TimePeriod"] == {"Start": str(judged - 35 * DAY), "End": str(judged + DAY)}


async def test_a_day_without_any_entry_is_absent_not_free() -> None:
    """Cost Explorer being late must not look like a cheap day."""
    aws = FakeAws({"ce.GetCostAndUsage": ledger({"S3": days(weekly, YESTERDAY - DAY)})})
    seen = await run_probe(CHECK, {}, aws)
    assert {(one.value, one.reason, one.exists) for one in seen} == {(None, None, True)}


async def test_a_new_service_is_a_jump_from_nothing() -> None:
    """Among old services a new one was expected to cost nothing; pennies are ignored."""
    spent = {"S3": days(weekly), "SageMaker": {YESTERDAY: 49.0}, "Config": {YESTERDAY: 0.2}}
    values = observed(await run_probe(CHECK, {}, FakeAws({"ce.GetCostAndUsage": ledger(spent)})))
    assert values["SageMaker", "daily_deviation"] == pytest.approx(50.0)
    assert values["Config", "daily_deviation"] == pytest.approx(1.2)


async def test_small_groups_are_summed_as_other() -> None:
    """The largest by yesterday's or their mean spend stand alone; labels stay bounded."""
    spent = {f"s{size}": days(lambda when, size=size: float(size)) for size in range(1, 6)}  # type: ignore[misc]
    values = observed(await run_probe(CHECK, {"top": 2}, FakeAws({"ce.GetCostAndUsage": ledger(spent)})))
    dollars = {target: value for (target, signal), value in values.items() if signal == "daily_dollars"}
    assert dollars == {"s5": 5.0, "s4": 4.0, "other": 6.0, "total": 15.0}


async def test_tags_pages_and_filters_are_passed_on() -> None:
    """Groups by tag lose AWS's prefix, every page counts, a filter joins the one that leaves credits out."""
    first = ledger({"Function$ingest": days(lambda _: 1.0), "Function$": days(lambda _: 2.0)})
    second = ledger({"Function$transform": days(lambda _: 3.0)})

    def pages(**request: Any) -> Any:
        return second if "NextPageToken" in request else {**first, "NextPageToken": "2"}

    aws = FakeAws({"ce.GetCostAndUsage": pages})
    mine = {"Dimensions": {"Key": "SERVICE", "Values": ["AWS Lambda"]}}
    values = observed(await run_probe(CHECK, {"group_by": {"tag": "Function"}, "filter": mine}, aws))
    assert {target for target, _ in values} == {"ingest", "untagged", "transform", "total"}
    assert values["total", "daily_dollars"] == 6.0
    assert aws.calls[0].params["GroupBy"] == [{"Type": "TAG", "Key": "Function"}]
    assert mine in aws.calls[0].params["Filter"]["And"]


def budget(forecast: str | None) -> dict[str, Any]:
    """A DescribeBudget reply: 1,000 dollars a month, 850 spent."""
    spend: dict[str, Any] = {"ActualSpend": {"Amount": "850", "Unit": "USD"}}
    if forecast is not None:
        spend["ForecastedSpend"] = {"Amount": forecast, "Unit": "USD"}
    return {"Budget": {"BudgetLimit": {"Amount": "1000", "Unit": "USD"}, "CalculatedSpend": spend}}


@pytest.mark.parametrize(("amount", "ratio"), [("1200", 1.2), (None, None)])
async def test_a_budget_reports_its_use_and_forecast(amount: str | None, ratio: float | None) -> None:
    """Actual and forecast over the limit; no forecast yet is an absent point."""
    aws = FakeAws({"ce.GetCostAndUsage": {}, "budgets.DescribeBudget": budget(amount)})
    values = observed(await run_probe(CHECK, {"budget": "etl"}, aws))
    assert (values["etl", "budget_used"], values["etl", "forecast"]) == (0.85, ratio)


async def test_costs_and_budget_fail_alone(down: ProbeError, gone: ProbeError) -> None:
    """Each source makes only its own signals unknown."""
    aws = FakeAws({"ce.GetCostAndUsage": down, "budgets.DescribeBudget": budget("900")})
    values = observed(await run_probe(CHECK, {"budget": "etl"}, aws))
    assert (values["total", "daily_deviation"], values["etl", "forecast"]) == (Reason.UNAVAILABLE, 0.9)
    aws = FakeAws({"ce.GetCostAndUsage": ledger({"S3": days(weekly)}), "budgets.DescribeBudget": gone})
    values = observed(await run_probe(CHECK, {"budget": "etl"}, aws))
    assert (values["total", "daily_dollars"], values["etl", "forecast"]) == (100.0, Reason.NOT_FOUND)


def test_a_history_too_short_to_compare_is_a_config_error() -> None:
    """Fewer than two weeks tell no weekday."""
    with pytest.raises(ValidationError, match="at least 14d"):
        CostAnomaly.model_validate({"history": "7d"})
