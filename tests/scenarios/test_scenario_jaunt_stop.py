"""Jaunt Data Scout (rows A4, A5, A7, A8, A9): budgets, the emergency stop, drift, health, what is told afterwards."""

from __future__ import annotations

import json

from jaunt_world import DEAD, EXTRACT, FETCH, FRONTIER, MACHINE, MACHINE_NAME, RULE, Jaunt
from outside import Outside

from monitor.core.report import markdown
from monitor.demo.emulator.child import ACCOUNT


async def spent(scene, dollars: float, hours_ago: float = 0) -> None:
    """What the model's calls cost by its own estimate."""
    names = {"Connector": "llm"}
    point = {"namespace": "JauntDataScout", "metric": "TokenCostEstimate", "value": dollars, "dimensions": names}
    await scene.side.post("metrics", points=[{**point, "ago": hours_ago * 3600 + 60}])


async def test_a4_a_spent_budget_stops_starts_and_the_model_until_the_day_has_passed(stage):
    """Above 90 % of the day's dollars: no new starts, no model, earlier stops; all three come back by themselves."""
    scene = await stage("jaunt-data-scout", breakers=["budget"], step=20, COST_INTERVAL="24h")
    world = Jaunt(scene)
    await world.rule()
    await budget_of(scene, actual=20)
    await spent(scene, 40, hours_ago=23.5)
    await scene.begin()
    assert scene.level("llm-budget", "value") == "warning"  # 80 % of $50
    await scene.advance("2m")
    await spent(scene, 8)
    await scene.until(breaker="open", within="15m")
    assert await world.rule_state() == "DISABLED"
    assert (await world.flag("llm"), await world.flag("min-unique-rate")) == ("off", "0.3")
    assert scene.level("budget", "budget_used") == "ok"

    await scene.until(lambda: _enabled(world), within="2h")  # yesterday's calls leave the day
    assert scene.clock.tick() > 1800
    assert (await world.flag("llm"), await world.flag("min-unique-rate")) == (None, None)
    await scene.advance("20m")
    assert scene.breaker().state == "half_open"  # on trial for a whole day of its own, unless a person is sure
    await scene.reset(force=True)
    await scene.until(breaker="closed", within="5m")
    assert await world.rule_state() == "ENABLED"


async def budget_of(scene, actual: float, name: str = "jaunt-data-scout", limit: int = 100) -> None:
    """The month's budget of $100."""
    budgets = await scene.aws("budgets")
    amount = {"Amount": str(limit), "Unit": "USD"}
    costs = {"IncludeTax": False, "UseBlended": True}
    budget = {"BudgetName": name, "BudgetType": "COST", "TimeUnit": "MONTHLY", "BudgetLimit": amount}
    await budgets.create_budget(AccountId=ACCOUNT, Budget={**budget, "CostTypes": costs})
    await scene.side.post("budgets", budget=name, actual=actual, forecasted=actual * 2)


async def limit_of(scene, name: str = "jaunt-data-scout") -> str:
    """The budget's limit; nothing else of it has changed."""
    budgets = await scene.aws("budgets")
    budget = (await budgets.describe_budget(AccountId=ACCOUNT, BudgetName=name))["Budget"]
    assert budget["CostTypes"]["UseBlended"] is True  # an update by the limit alone would forget it
    return str(budget["BudgetLimit"]["Amount"])


async def test_a4_the_budget_is_raised_after_a_yes_and_lowered_by_a_reset(stage):
    """Above 90 %: $50 more are proposed with both numbers, up to a ceiling; a person says yes, and takes it back."""
    scene = await stage(
        "jaunt-data-scout", breakers=["raise-budget"], step=20, COST_INTERVAL="5m", BUDGET_CEILING="130"
    )
    await budget_of(scene, actual=95)
    await scene.begin()
    await scene.until(lambda: scene.breaker().approval is not None, within="15m")
    assert "from 100 to 130" in str(scene.breaker())
    assert await limit_of(scene) == "100"
    await scene.approve()
    await scene.until(breaker="open", within="5m")
    assert await limit_of(scene) == "130"
    await scene.until(lambda: scene.level("budget", "budget_used") == "ok", within="15m")
    await scene.reset()
    await scene.until(breaker="closed", within="10m")
    assert await limit_of(scene) == "100"


async def test_a4_money_of_other_jobs_moves_over_after_a_yes_and_back(stage):
    """Still above 90 % after a while: the other budget is lowered first, by as much; a reset moves it back."""
    scene = await stage(
        "jaunt-data-scout", breakers=["redistribute-budget"], step=20, COST_INTERVAL="5m", BUDGET_PATIENCE="10m"
    )
    await budget_of(scene, actual=95)
    await budget_of(scene, actual=1, name="jaunt-spare", limit=80)
    await scene.begin()
    await scene.until(lambda: scene.breaker().approval is not None, within="30m")
    assert scene.clock.tick() >= 600
    await scene.approve()
    await scene.until(breaker="open", within="5m")
    assert (await limit_of(scene), await limit_of(scene, "jaunt-spare")) == ("150", "30")
    asked = [one.params["NewBudget"]["BudgetName"] for one in await scene.requests("budgets:UpdateBudget")]
    assert asked == ["jaunt-spare", "jaunt-data-scout"]
    await scene.reset()
    await scene.until(breaker="closed", within="10m")
    assert (await limit_of(scene), await limit_of(scene, "jaunt-spare")) == ("100", "80")


async def test_a4_executions_that_stop_early_are_told(stage):
    """More than ten early stops in an hour are a warning: the rate of new results may be set too high."""
    scene = await stage("jaunt-data-scout", checks=["early-stops"])
    logs, group = await scene.aws("logs"), "/aws/vendedlogs/states/jaunt-city-discovery"
    await logs.create_log_group(logGroupName=group)
    await logs.create_log_stream(logGroupName=group, logStreamName="s")
    await scene.begin()
    assert scene.level("early-stops", "matches") == "ok"
    at = int(scene.clock.now().timestamp() * 1000)
    line = '{"type": "ChoiceStateExited", "details": {"name": "EarlyStop"}}'
    events = [{"timestamp": at, "message": line}] * 11
    await logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=events)
    await scene.until(lambda: scene.level("early-stops", "matches") == "warning", within="5m")


OTHERS = ("legacy-jaunt-import", "billing-export")


async def test_a5_emergency_stop_cuts_the_source_then_stops_all_and_restarts_one_city(stage):
    """Twice the day's budget: the rule first, connectors to mock, all named jaunt aborted; one city comes back."""
    scene = await stage("jaunt-data-scout", breakers=["emergency-stop"], step=20)
    world = Jaunt(scene)
    await world.rule()
    await world.queues()
    await world.functions()
    for name in (MACHINE_NAME, *OTHERS):
        await world.machine(name)
        for number in range(2):
            await world.start(f"{name}-{number}", machine=MACHINE.replace(MACHINE_NAME, name), city="porto")
    events = await scene.aws("events")
    await events.put_rule(Name="old-cron", ScheduleExpression="rate(1 day)", State="ENABLED")
    import_arn = MACHINE.replace(MACHINE_NAME, OTHERS[0])
    await events.put_targets(
        Rule="old-cron", Targets=[{"Id": "1", "Arn": import_arn, "RoleArn": "arn:aws:iam::1:role/r"}]
    )
    await scene.begin()
    await spent(scene, 120)
    await scene.until(breaker="open", within="15m")

    asked = [one.name for one in await scene.requests()]
    assert asked[:2] == ["events:DisableRule"] * 2  # the runbook stops first, and races new starts
    assert await world.rule_state() == "DISABLED"
    assert (await events.describe_rule(Name="old-cron"))["State"] == "DISABLED"  # found by its target
    assert await world.flag("connectors/all") == "mock"
    assert await world.running() == []
    assert await world.running(MACHINE.replace(MACHINE_NAME, OTHERS[0])) == []
    assert len(await world.running(MACHINE.replace(MACHINE_NAME, OTHERS[1]))) == 2  # not ours
    stops = await scene.requests("stepfunctions:StopExecution")
    assert {one.params["error"] for one in stops} == {"EmergencyStop"}
    assert "sqs:PurgeQueue" not in asked

    await scene.side.post("sqs/fill", queue=DEAD, count=2, body='{"error": "EmergencyStop", "city": "porto"}')
    await scene.reset()
    await scene.until(lambda: scene.breaker().approval is not None, within="30m")
    assert any("EmergencyStop" in text for text in scene.events("action.applied"))
    assert await world.rule_state() == "DISABLED"
    await scene.approve()
    await scene.until(lambda: _runs(world, 1), within="10m")
    assert json.loads((await world.running())[0]["input"]) == {"city": "lisbon"}
    assert await world.rule_state() == "DISABLED"  # one city first
    await world.succeed_canaries()
    await scene.until(breaker="closed", within="1h")
    assert await world.flag("connectors/all") is None
    assert await world.rule_state() == "ENABLED"
    assert (await events.describe_rule(Name="old-cron"))["State"] == "ENABLED"


async def _runs(world: Jaunt, count: int) -> bool:
    return len(await world.running()) == count


async def _enabled(world: Jaunt) -> bool:
    return await world.rule_state() == "ENABLED"


async def test_a5_the_frontier_is_purged_only_when_asked_for_and_approved(stage):
    """A trip by hand (security, compliance) still waits for a yes: there is no way back."""
    scene = await stage("jaunt-data-scout", breakers=["purge-frontier"], step=20)
    world = Jaunt(scene)
    await world.queues()
    await world.machine()
    await scene.side.post("sqs/fill", queue=FRONTIER, count=40, body="{}")
    await scene.begin()
    await scene.trip(reason="compliance")
    await scene.until(lambda: scene.breaker().approval is not None, within="5m")
    assert await world.depth(FRONTIER) == 40
    await scene.approve()
    await scene.until(breaker="open", within="10m")
    assert await world.depth(FRONTIER) == 0


async def test_a7_executions_slower_than_usual_at_this_hour_are_told(stage):
    """Ten minutes where a week of middays took five is a warning, and changes nothing."""
    scene = await stage("jaunt-data-scout", checks=["duration"])
    await Jaunt(scene).machine()
    point = {"namespace": "AWS/States", "metric": "ExecutionTime", "dimensions": {"StateMachineArn": MACHINE}}
    past = [
        {**point, "value": 600_000 if day == 0 else 300_000, "ago": day * 86400 + minute * 60}
        for day in range(8)
        for minute in range(2, 60, 3)
    ]
    await scene.side.post("metrics", points=past)
    await scene.begin()
    assert scene.level("duration", "drift") == "warning"
    assert scene.value("duration", "drift") == 2
    assert await scene.requests() == []


async def test_a8_health_sweep_names_the_part_and_the_alarm(stage):
    """Everything well is green; a missing function and a raised alarm are red, each by name."""
    scene = await stage("jaunt-data-scout", checks=["parts", "alarms", "dead-letters", "frontier"], step=20)
    world = Jaunt(scene)
    for build in (world.queues, world.functions, world.machine, world.rule):
        await build()
    alarms = await scene.aws("cloudwatch")
    for name in ("jaunt-dlq-depth-high", "jaunt-step-functions-failures", "jaunt-budget-cap-nearing"):
        await alarms.put_metric_alarm(
            AlarmName=name, Namespace="X", MetricName="x", Statistic="Sum", Period=60, EvaluationPeriods=1,
            Threshold=1, ComparisonOperator="GreaterThanThreshold",
        )  # fmt: skip
        await alarms.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="well")
    await scene.begin()
    assert scene.level("parts") == "ok"
    assert scene.level("alarms", "in_alarm") == "ok"

    await (await scene.aws("lambda")).delete_function(FunctionName=FETCH)
    await alarms.set_alarm_state(AlarmName="jaunt-dlq-depth-high", StateValue="ALARM", StateReason="12 messages")
    await scene.advance("2m")
    assert scene.level("parts", "unhealthy", FETCH) == "critical"
    assert scene.level("parts", "unhealthy", EXTRACT) == "ok"
    assert scene.level("alarms", "in_alarm", "jaunt-dlq-depth-high") == "critical"
    assert scene.level("alarms", "in_alarm", "jaunt-budget-cap-nearing") == "ok"
    assert {one.check for one in scene.incidents()} == {"parts", "alarms"}
    assert RULE in {row.target for row in scene.rows("parts")}


async def test_a9_the_report_has_timeline_actions_and_what_is_still_to_do(stage):
    """After it is over: every action with its time, what people noted, and the follow-ups with their days."""
    async with Outside() as api:
        await api.up()
        scene = await stage("jaunt-data-scout", breakers=["google-connector"], GOOGLE_URL=api.url)
        await Jaunt(scene).connector("google", 100, 0, since="10m")
        await scene.begin()
        await scene.trip(reason="Google announced an outage", by="ana")
        await scene.until(breaker="open", within="5m")
        [incident] = scene.incidents()
        await scene.running.surface.note(incident.id, "ana", "No data was lost: the jobs wait.")
        await scene.reset(by="ana")
        await scene.until(breaker="closed", within="1h")
        [incident] = scene.incidents()
        report = markdown(incident)
    for part in ("Google announced an outage", "No data was lost", "/jaunt/dev/connectors/google", "ana"):
        assert part in report
    assert incident.resolved_at is not None
    due = {one.text: (one.due - incident.resolved_at).days for one in incident.follow_ups}
    assert (due["data integrity verified"], due["financial impact assessed"], due["root cause analysis"]) == (1, 1, 7)
    assert due["hardening"] == 30
