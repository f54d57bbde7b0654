"""Yesterday's spend against what the days before it promise, and a budget's use. For minutes, use `cost_rate`.

Spend comes from Cost Explorer by day and by service or tag: the largest groups are targets of their own, the rest is
`other`, all of it `total`. `daily_deviation` is how many times the expected spend the newest complete day cost (see
`checks.spending`): 1 is as expected, and about `ignore` dollars never look like a jump. A day counts as complete
`settle` after its end, since Cost Explorer fills in late; credits and refunds are left out, because they hide use.

`budget_used` and `forecast` are the named AWS budget's actual and forecast spend over its limit; the target is the
budget's name. A budget too young for a forecast has an absent point.

Default thresholds: the runbook's 80 % of the budget, and the 90 % at which a cap is near; a day at 1.5 and 3 times
what was expected, because the runbook gives no number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal

from pydantic import Field, field_validator

from checks.reading import absent, attempt, number, observe, unknown
from checks.spending import LEAST_DAYS, deviation, expected_spend
from monitor.plugin import (
    Bound,
    Check,
    Duration,
    Observation,
    Params,
    Permission,
    ProbeContext,
    ProbeError,
    Reason,
    Signal,
    SignalSpec,
    need,
)

DAY = timedelta(days=1)

DEVIATION = Signal(
    "daily_deviation", "ratio", "Spend of the newest complete day over what was expected of it.", window=DAY
)
DOLLARS = Signal("daily_dollars", "dollars", "Spend of the newest complete day.", window=DAY)
USED = Signal("budget_used", "ratio", "The budget's actual spend over its limit.")
FORECAST = Signal("forecast", "ratio", "The budget's forecast spend at the end of its period over its limit.")
SIGNALS = (DEVIATION, DOLLARS, USED, FORECAST)

TOTAL, OTHER = "total", "other"

#: Cost Explorer and Budgets answer here only.
HOME = "us-east-1"
MAX_PAGES = 20

_USE_ONLY = {"Not": {"Dimensions": {"Key": "RECORD_TYPE", "Values": ["Credit", "Refund"]}}}


class ByTag(Params):
    """Group by a cost allocation tag."""

    tag: str = Field(description="Key of an activated cost allocation tag.")


class CostAnomaly(Params):
    """What is compared, and with what."""

    group_by: Literal["SERVICE"] | ByTag = Field("SERVICE", description="SERVICE, or `{tag: KEY}`.")
    filter: Mapping[str, Any] | None = Field(None, description="A Cost Explorer filter expression, in AWS's spelling.")
    budget: str | None = Field(None, description="Name of an AWS budget to observe as well.")
    history: Duration = Field(timedelta(days=35), description="How far back the expectation looks; at least 14d.")
    settle: Duration = Field(timedelta(hours=12), description="How long after its end a day counts as complete.")
    top: int = Field(10, ge=0, le=100, description="How many groups are targets of their own.")
    ignore: float = Field(1.0, ge=0, description="Dollars by which a day may differ without looking like a jump.")

    @field_validator("history")
    @classmethod
    def _long_enough(cls, history: timedelta) -> timedelta:
        if history < LEAST_DAYS * DAY:
            raise ValueError(f"at least {LEAST_DAYS}d: fewer days tell no weekday and no trend")
        return history


async def probe(params: CostAnomaly, ctx: ProbeContext) -> Sequence[Observation]:
    """The days from Cost Explorer and the budget, each failing alone."""
    day = (ctx.now - params.settle).date() - DAY
    spent = await attempt(_spent(params, day, ctx))
    seen = unknown((DEVIATION, DOLLARS), TOTAL, spent) if isinstance(spent, ProbeError) else _days(params, spent, day)
    if params.budget:
        used = await attempt(_budget(params.budget, ctx))
        seen += unknown((USED, FORECAST), params.budget, used) if isinstance(used, ProbeError) else used
    return seen


async def _spent(params: CostAnomaly, day: date, ctx: ProbeContext) -> dict[str, dict[date, float]]:
    """Dollars by group and day, `day` last; a group without an entry on a day spent nothing."""
    by_tag = isinstance(params.group_by, ByTag)
    group = {"Type": "DIMENSION", "Key": "SERVICE"}
    if isinstance(params.group_by, ByTag):
        group = {"Type": "TAG", "Key": params.group_by.tag}
    request: dict[str, Any] = {
        "TimePeriod": {"Start": str(day - params.history), "End": str(day + DAY)},
        "Granularity": "DAILY",
        "Metrics": ["UnblendedCost"],
        "GroupBy": [group],
        "Filter": {"And": [_USE_ONLY, params.filter]} if params.filter else _USE_ONLY,
    }
    spent: dict[str, dict[date, float]] = {}
    for _ in range(MAX_PAGES):
        reply = await ctx.aws.call("ce", "GetCostAndUsage", region=HOME, **request)
        for result in reply.get("ResultsByTime", ()):
            when = date.fromisoformat(result["TimePeriod"]["Start"])
            for one in result.get("Groups", ()):
                name = _name(one["Keys"][0], by_tag=by_tag)
                dollars = number(one["Metrics"]["UnblendedCost"]["Amount"], f"the cost of {name}")
                days = spent.setdefault(name, {})
                days[when] = days.get(when, 0.0) + dollars
        if not reply.get("NextPageToken"):
            return spent
        request["NextPageToken"] = reply["NextPageToken"]
    raise ProbeError(Reason.INVALID, f"more than {MAX_PAGES} pages of costs: give a filter")


def _name(key: str, *, by_tag: bool) -> str:
    name = key.partition("$")[2] or "untagged" if by_tag else key
    return f"{name} (group)" if name in (TOTAL, OTHER) else name


def _days(params: CostAnomaly, spent: Mapping[str, Mapping[date, float]], day: date) -> list[Observation]:
    """Both daily signals of the largest groups, of the rest and of everything."""
    total = _added(spent.values())
    ranked = sorted(spent, key=lambda name: -max(spent[name].get(day, 0.0), _mean(spent[name])))
    shown: dict[str, Mapping[date, float]] = {name: spent[name] for name in ranked[: params.top]}
    if len(ranked) > params.top:
        shown[OTHER] = _added(spent[name] for name in ranked[params.top :])
    shown[TOTAL] = total
    # Before the first dollar of all there was nothing to learn from; a new service among old ones is a jump.
    begin = min((when for when, dollars in total.items() if dollars), default=day)
    known = [begin + DAY * number for number in range((day - begin).days)]
    at = datetime.combine(day + DAY, time(), UTC)
    seen = []
    for name, dollars in shown.items():
        if day not in total:
            late = "Cost Explorer has nothing for that day yet"
            seen += [absent(signal, name, late, exists=True) for signal in (DOLLARS, DEVIATION)]
            continue
        spend = dollars.get(day, 0.0)
        expected = expected_spend({when: dollars.get(when, 0.0) for when in known}, day)
        seen.append(observe(DOLLARS, name, spend, at))
        if expected is None:
            seen.append(absent(DEVIATION, name, f"fewer than {LEAST_DAYS} days of spend to compare with", exists=True))
        else:
            seen.append(observe(DEVIATION, name, deviation(spend, expected, params.ignore), at))
    return seen


def _added(parts: Any) -> dict[date, float]:
    total: dict[date, float] = {}
    for part in parts:
        for when, dollars in part.items():
            total[when] = total.get(when, 0.0) + dollars
    return total


def _mean(days: Mapping[date, float]) -> float:
    return sum(days.values()) / max(1, len(days))


async def _budget(name: str, ctx: ProbeContext) -> list[Observation]:
    account = await ctx.aws.account()
    reply = await ctx.aws.call("budgets", "DescribeBudget", region=HOME, AccountId=account, BudgetName=name)
    budget = reply["Budget"]
    limit = number(budget.get("BudgetLimit", {}).get("Amount"), f"the limit of budget {name}")
    if limit <= 0:
        raise ProbeError(Reason.INVALID, f"budget {name} has a limit of {limit:g}")
    spend = budget.get("CalculatedSpend", {})
    seen = [
        observe(USED, name, number(spend.get("ActualSpend", {}).get("Amount"), f"spend of {name}") / limit, ctx.now)
    ]
    if "ForecastedSpend" not in spend:
        return [*seen, absent(FORECAST, name, "AWS has no forecast for this budget yet", exists=True)]
    forecast = number(spend["ForecastedSpend"].get("Amount"), f"the forecast of {name}")
    return [*seen, observe(FORECAST, name, forecast / limit, ctx.now)]


def needs(params: CostAnomaly) -> list[Permission]:
    """For IAM: what one configuration asks."""
    budgets = [need("budgets:ViewBudget", region=HOME, budget=params.budget)] if params.budget else []
    return [need("ce:GetCostAndUsage", region=HOME), *budgets]


CHECK: Check[CostAnomaly] = Check(
    kind="cost_anomaly",
    summary="A day's spend against its own past, by service or tag, and a budget's use.",
    params=CostAnomaly,
    probe=probe,
    signals=SIGNALS,
    defaults={
        "daily_deviation": SignalSpec(warning=Bound(above=1.5), critical=Bound(above=3)),
        "budget_used": SignalSpec(warning=Bound(above=0.8), critical=Bound(above=0.9)),
        "forecast": SignalSpec(warning=Bound(above=1)),
    },
    permissions=("ce:GetCostAndUsage", "budgets:ViewBudget"),
    cost="One Cost Explorer request ($0.01 per page; every 6 h: about $1.20 a month); a budget is free to read.",
    example="""\
daily-cost:
  kind: cost_anomaly
  interval: 6h
  group_by: SERVICE
  budget: etl-pipeline
  thresholds:
    budget_used: {warning: {above: 0.8}}
""",
    interval=timedelta(hours=6),
    needs=needs,
)
