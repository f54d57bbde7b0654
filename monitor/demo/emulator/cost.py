"""Cost Explorer from a table, and budgets whose spend can be set.

Sources: API_GetCostAndUsage (end exclusive; up to two groupings; DAILY and MONTHLY), API_GetCostForecast,
API_GetAnomalies, API_budgets_Spend, API_budgets_UpdateBudget (it replaces all but what AWS computes). A table row is
{date: "2026-11-20", service: "AWS Lambda", amount: 12.3, tags?: {key: value}, account?: id}; every metric shows the
same amount. HOURLY granularity is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from moto.budgets.models import budgets_backends

from monitor.demo.emulator.calls import Call, Reply, answer, refuse
from monitor.demo.emulator.state import Answerer, Emulator

_FORECAST_DAYS = 7
Row = Mapping[str, Any]


def install(emulator: Emulator) -> Mapping[str, Answerer]:
    """The operations answered here."""
    books = Books(emulator)
    return {
        "ce:GetCostAndUsage": books.usage,
        "ce:GetCostForecast": books.forecast,
        "ce:GetAnomalies": books.anomalies,
        "budgets:UpdateBudget": update_budget,
    }


def spend(account: str, budget: str, actual: float, forecasted: float | None) -> bool:
    """Set a budget's calculated spend in dollars; False if there is no such budget."""
    found = budgets_backends[account]["aws"].budgets[account].get(budget)
    if found is None:
        return False
    calculated = {"ActualSpend": _dollars(actual)}
    if forecasted is not None:
        calculated["ForecastedSpend"] = _dollars(forecasted)
    found.budget["CalculatedSpend"] = calculated
    return True


def update_budget(call: Call) -> Reply | None:
    """UpdateBudget: the whole budget; what was spent stays."""
    asked = call.json()
    new = dict(asked["NewBudget"])
    found = budgets_backends[asked["AccountId"]]["aws"].budgets[asked["AccountId"]].get(str(new.get("BudgetName")))
    if found is None:
        text = f"Unable to update budget: {new.get('BudgetName')} - the budget doesn't exist."
        return refuse(call, "NotFoundException", text)
    if "BudgetLimit" not in new and "PlannedBudgetLimits" not in new and "AutoAdjustData" not in new:
        text = (
            "Unable to create/update budget - please provide one of the followings: Budget Limit/ Planned Budget Limit"
        )
        return refuse(call, "InvalidParameterException", text)
    spent = {key: found.budget[key] for key in ("CalculatedSpend",) if key in found.budget}
    period = {"TimePeriod": found.budget["TimePeriod"]}
    found.budget = {**period, **new, **spent, "LastUpdatedTime": datetime.now(UTC).timestamp()}
    return answer(call, {})


def _dollars(amount: float) -> dict[str, str]:
    return {"Amount": f"{amount:.10g}", "Unit": "USD"}


class Books:
    """Answers from the table that the control door set."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    def _rows(self, call: Call) -> Iterator[Row]:
        for row in self._emulator.cost.get("rows", ()):
            if row.get("account", call.account) == call.account:
                yield row

    def usage(self, call: Call) -> Reply | None:
        """GetCostAndUsage."""
        asked = call.json()
        start, end = (date.fromisoformat(asked["TimePeriod"][key][:10]) for key in ("Start", "End"))
        if start >= end:
            return refuse(call, "ValidationException", "Start date (and hour) should be before end date (and hour)")
        if asked["Granularity"] not in ("DAILY", "MONTHLY"):
            return refuse(call, "ValidationException", "the emulator keeps days: granularity DAILY or MONTHLY")
        metrics = asked.get("Metrics") or ["UnblendedCost"]
        groups = asked.get("GroupBy") or []
        rows = [row for row in self._rows(call) if _passes(row, asked.get("Filter"))]
        today, results = datetime.now(UTC).date(), []
        for first, last in _windows(start, end, asked["Granularity"]):
            inside = [row for row in rows if first <= date.fromisoformat(row["date"]) < last]
            results.append(
                {
                    "TimePeriod": {"Start": first.isoformat(), "End": last.isoformat()},
                    "Total": {} if groups else _total(inside, metrics),
                    "Groups": _grouped(inside, groups, metrics) if groups else [],
                    "Estimated": last > today,
                }
            )
        reply = {"ResultsByTime": results, "DimensionValueAttributes": []}
        return answer(call, {**reply, "GroupDefinitions": groups} if groups else reply)

    def forecast(self, call: Call) -> Reply | None:
        """GetCostForecast: the total set at the control door, or the mean of the last week's days carried on."""
        asked = call.json()
        start, end = (date.fromisoformat(asked["TimePeriod"][key][:10]) for key in ("Start", "End"))
        if start < datetime.now(UTC).date():
            return refuse(call, "ValidationException", "Start date must be equal to or no later than the current date")
        days, total = (end - start).days, self._emulator.cost.get("forecast")
        if total is None:
            known = [r for r in self._rows(call) if start - timedelta(days=_FORECAST_DAYS) <= _day(r) < start]
            if not known:
                text = "Insufficient amount of historical data to generate forecast."
                return refuse(call, "DataUnavailableException", text)
            total = sum(float(row["amount"]) for row in known) / _FORECAST_DAYS * days
        each = {"TimePeriod": {"Start": start.isoformat(), "End": end.isoformat()}, "MeanValue": f"{total:.10g}"}
        return answer(call, {"Total": _dollars(float(total)), "ForecastResultsByTime": [each]})

    def anomalies(self, call: Call) -> Reply | None:
        """GetAnomalies: those set at the control door, as AWS shapes them."""
        return answer(call, {"Anomalies": self._emulator.cost.get("anomalies", [])})


def _day(row: Row) -> date:
    return date.fromisoformat(row["date"])


def _windows(start: date, end: date, granularity: str) -> Iterator[tuple[date, date]]:
    at = start
    while at < end:
        after = at + timedelta(days=1)
        if granularity == "MONTHLY":
            after = (at.replace(day=1) + timedelta(days=32)).replace(day=1)
        yield at, min(after, end)
        at = after


def _total(rows: Iterable[Row], metrics: Sequence[str]) -> dict[str, Any]:
    amount = sum(float(row["amount"]) for row in rows)
    return {metric: _dollars(amount) for metric in metrics}


def _grouped(rows: Sequence[Row], groups: Sequence[Mapping[str, str]], metrics: Sequence[str]) -> list[dict[str, Any]]:
    found: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(_group_key(row, group) for group in groups), []).append(row)
    return [{"Keys": list(keys), "Metrics": _total(part, metrics)} for keys, part in sorted(found.items())]


def _group_key(row: Row, group: Mapping[str, str]) -> str:
    if group["Type"] == "TAG":
        return f"{group['Key']}${row.get('tags', {}).get(group['Key'], '')}"
    return _dimension(row, group["Key"])


def _dimension(row: Row, key: str) -> str:
    return str({"SERVICE": row.get("service", ""), "LINKED_ACCOUNT": row.get("account", "")}.get(key, ""))


def _passes(row: Row, wanted: Mapping[str, Any] | None) -> bool:
    if not wanted:
        return True
    if "And" in wanted:
        return all(_passes(row, part) for part in wanted["And"])
    if "Or" in wanted:
        return any(_passes(row, part) for part in wanted["Or"])
    if "Not" in wanted:
        return not _passes(row, wanted["Not"])
    if "Dimensions" in wanted:
        return _dimension(row, wanted["Dimensions"]["Key"]) in wanted["Dimensions"]["Values"]
    if "Tags" in wanted:
        return row.get("tags", {}).get(wanted["Tags"]["Key"], "") in wanted["Tags"]["Values"]
    return True
