"""CloudWatch and money."""

from datetime import UTC, date, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

pytestmark = pytest.mark.process


def query(stat="Sum", dimensions=(), metric="Throttles", period=60):
    """One GetMetricData query."""
    pairs = [{"Name": name, "Value": value} for name, value in dimensions]
    return {"Id": "q", "MetricStat": {"Metric": {"Namespace": "AWS/Lambda", "MetricName": metric, "Dimensions": pairs},
                                      "Period": period, "Stat": stat}}  # fmt: skip


async def read(client, *queries, minutes=10):
    """The results of one call over the last minutes."""
    now = datetime.now(UTC)
    span = {"StartTime": now - timedelta(minutes=minutes), "EndTime": now + timedelta(seconds=1)}
    return (await client.get_metric_data(MetricDataQueries=list(queries), **span))["MetricDataResults"]


async def test_dimensions_are_exact(aws, side):
    """A metric without dimensions is another metric, in both APIs."""
    client = await aws("cloudwatch")
    point = {"namespace": "AWS/Lambda", "metric": "Throttles", "value": 5, "ago": 120}
    await side.post("metrics", points=[{**point, "dimensions": {"FunctionName": "f"}}])
    (plain,) = await read(client, query())
    (exact,) = await read(client, query(dimensions=[("FunctionName", "f")]))
    (more,) = await read(client, query(dimensions=[("FunctionName", "f"), ("Resource", "f")]))
    assert (plain["Values"], exact["Values"], more["Values"]) == ([], [5.0], [])
    now = datetime.now(UTC)
    span = {"StartTime": now - timedelta(minutes=10), "EndTime": now, "Period": 60, "Statistics": ["Sum"]}
    shown = await client.get_metric_statistics(Namespace="AWS/Lambda", MetricName="Throttles", **span)
    assert shown["Datapoints"] == []


async def test_periods_lie_on_the_clock_newest_first(aws, side):
    """Timestamps are whole minutes whatever the window, newest first, one value per minute."""
    client = await aws("cloudwatch")
    for ago in (65, 70, 200):
        await side.post("metrics", points=[{"namespace": "AWS/Lambda", "metric": "Throttles", "value": 1, "ago": ago}])
    (result,) = await read(client, query())
    assert all(at.second == 0 for at in result["Timestamps"])
    assert result["Timestamps"] == sorted(result["Timestamps"], reverse=True)
    assert sum(result["Values"]) == 3


async def test_percentiles_are_computed(aws, side):
    """p50 and p99 of a hundred values."""
    client = await aws("cloudwatch")
    point = {"namespace": "AWS/Lambda", "metric": "Duration", "ago": 600}
    await side.post("metrics", points=[{**point, "value": value} for value in range(101)])
    (half,) = await read(client, query("p50", metric="Duration", period=3600), minutes=180)
    (high,) = await read(client, query("p99", metric="Duration", period=3600), minutes=180)
    assert (half["Values"], high["Values"]) == ([50.0], [99.0])


@pytest.mark.parametrize("stat", ["TM(10%:90%)", "IQM", "p400"])
async def test_what_is_not_computed_is_refused(aws, side, stat):
    """An unknown statistic is an error as soon as it is asked, not an empty result."""
    client = await aws("cloudwatch")
    await side.post("metrics", points=[{"namespace": "AWS/Lambda", "metric": "Throttles", "value": 1}])
    with pytest.raises(ClientError):
        await read(client, query(stat))


async def test_expressions_are_refused(aws, side):
    """Metric math never answers `Complete` with nothing in it."""
    client = await aws("cloudwatch")
    with pytest.raises(ClientError, match="expressions"):
        await read(client, query(), {"Id": "e", "Expression": "q * 2"})


async def test_more_than_500_queries_are_refused(aws, side):
    """The limit of one call."""
    client = await aws("cloudwatch")
    with pytest.raises(ClientError, match="500"):
        await read(client, *({**query(), "Id": f"q{n}"} for n in range(501)))


def table():
    """Ten days of two services."""
    today = datetime.now(UTC).date()
    return [
        {
            "date": (today - timedelta(days=n)).isoformat(),
            "service": service,
            "amount": amount,
            "tags": {"pipeline": tag},
        }
        for n in range(1, 11)
        for service, amount, tag in (("AWS Lambda", 10 if n > 1 else 70, "etl"), ("Amazon S3", 2, "other"))
    ]


def span(days):
    """The last `days` whole days."""
    today = datetime.now(UTC).date()
    return {"Start": (today - timedelta(days=days)).isoformat(), "End": today.isoformat()}


async def test_usage_follows_period_and_grouping(aws, side):
    """One result per day, end exclusive; grouped by service or tag; filtered."""
    client = await aws("ce")
    await side.post("cost", rows=table())
    days = await client.get_cost_and_usage(TimePeriod=span(7), Granularity="DAILY", Metrics=["BlendedCost"])
    totals = [float(day["Total"]["BlendedCost"]["Amount"]) for day in days["ResultsByTime"]]
    assert totals == [12.0] * 6 + [72.0]
    grouped = await client.get_cost_and_usage(
        TimePeriod=span(1), Granularity="DAILY", Metrics=["UnblendedCost"],
        GroupBy=[{"Type": "DIMENSION", "Key": "SERVICE"}, {"Type": "TAG", "Key": "pipeline"}],
    )  # fmt: skip
    keys = [group["Keys"] for group in grouped["ResultsByTime"][0]["Groups"]]
    assert keys == [["AWS Lambda", "pipeline$etl"], ["Amazon S3", "pipeline$other"]]
    only = await client.get_cost_and_usage(
        TimePeriod=span(2), Granularity="DAILY", Metrics=["UnblendedCost"],
        Filter={"Tags": {"Key": "pipeline", "Values": ["other"]}},
    )  # fmt: skip
    assert [float(d["Total"]["UnblendedCost"]["Amount"]) for d in only["ResultsByTime"]] == [2.0, 2.0]


async def test_usage_of_an_empty_table_is_zero(aws, side):
    """No rows: every day is there, at zero."""
    client = await aws("ce")
    days = await client.get_cost_and_usage(TimePeriod=span(3), Granularity="DAILY", Metrics=["BlendedCost"])
    assert [day["Total"]["BlendedCost"]["Amount"] for day in days["ResultsByTime"]] == ["0", "0", "0"]


async def test_forecast_carries_the_week_on(aws, side):
    """Without data DataUnavailableException; with it the week's mean times the days asked for."""
    client, today = await aws("ce"), datetime.now(UTC).date()
    ahead = {"Start": today.isoformat(), "End": (today + timedelta(days=10)).isoformat()}
    wanted = {"TimePeriod": ahead, "Metric": "UNBLENDED_COST", "Granularity": "MONTHLY"}
    with pytest.raises(client.exceptions.DataUnavailableException):
        await client.get_cost_forecast(**wanted)
    rows = [{"date": (today - timedelta(days=n)).isoformat(), "service": "x", "amount": 7} for n in range(1, 8)]
    await side.post("cost", rows=rows)
    assert float((await client.get_cost_forecast(**wanted))["Total"]["Amount"]) == 70


async def test_budget_shows_what_was_set(aws, side):
    """Actual and forecast spend of a budget are what the side door said."""
    client = await aws("budgets")
    limit = {
        "BudgetName": "etl",
        "BudgetType": "COST",
        "TimeUnit": "MONTHLY",
        "BudgetLimit": {"Amount": "100", "Unit": "USD"},
    }
    await client.create_budget(AccountId="123456789012", Budget=limit)
    await side.post("budgets", budget="etl", actual=85.5, forecasted=160)
    (shown,) = (await client.describe_budgets(AccountId="123456789012"))["Budgets"]
    assert shown["CalculatedSpend"]["ActualSpend"]["Amount"] == "85.5"
    assert shown["CalculatedSpend"]["ForecastedSpend"]["Amount"] == "160"
    with pytest.raises(RuntimeError, match="no budget"):
        await side.post("budgets", budget="none", actual=1)


async def test_months_are_whole_or_cut_by_the_window(aws, side):
    """MONTHLY results begin at the window's start and at each first of a month."""
    client = await aws("ce")
    period = {"Start": "2026-01-15", "End": "2026-03-02"}
    rows = [{"date": date(2026, month, 20).isoformat(), "service": "x", "amount": month} for month in (1, 2)]
    await side.post("cost", rows=rows)
    shown = await client.get_cost_and_usage(TimePeriod=period, Granularity="MONTHLY", Metrics=["BlendedCost"])
    assert [(r["TimePeriod"]["Start"], r["Total"]["BlendedCost"]["Amount"]) for r in shown["ResultsByTime"]] == [
        ("2026-01-15", "1"), ("2026-02-01", "2"), ("2026-03-01", "0"),
    ]  # fmt: skip


async def test_an_update_replaces_the_budget_but_not_what_was_spent(aws, side):
    """Cost types that are left out are the default again; without a limit it is refused, as is an unknown one."""
    client, account = await aws("budgets"), "123456789012"
    limit = {"Amount": "100", "Unit": "USD"}
    budget = {"BudgetName": "b", "BudgetType": "COST", "TimeUnit": "MONTHLY"}
    kept = {"BudgetLimit": limit, "CostTypes": {"UseBlended": True}}
    await client.create_budget(AccountId=account, Budget={**budget, **kept})
    await side.post("budgets", budget="b", actual=42)
    await client.update_budget(AccountId=account, NewBudget={**budget, "BudgetLimit": {**limit, "Amount": "150"}})
    found = (await client.describe_budget(AccountId=account, BudgetName="b"))["Budget"]
    assert (found["BudgetLimit"]["Amount"], found["CostTypes"]["UseBlended"]) == ("150", False)
    assert found["CalculatedSpend"]["ActualSpend"]["Amount"] == "42"
    with pytest.raises(ClientError, match="InvalidParameter"):
        await client.update_budget(AccountId=account, NewBudget=budget)
    with pytest.raises(ClientError, match="NotFound"):
        await client.update_budget(AccountId=account, NewBudget={**budget, "BudgetName": "c", "BudgetLimit": limit})
