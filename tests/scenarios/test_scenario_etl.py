"""The ETL pipeline's incidents (rows E1 to E6): S3 -> EventBridge -> Step Functions -> Lambda -> DynamoDB and S3."""

from __future__ import annotations

import json
from datetime import timedelta

from etl_world import REFUSED, etl, finish, say, throttles
from scene import Scene

from monitor.demo.world import (
    BUDGET,
    DEFINITION,
    INGEST,
    MACHINE,
    MACHINE_NAME,
    PROCESSED,
    RAW,
    RULE,
    TABLE,
    TRANSFORM,
    pattern,
)

# --- E1 ---------------------------------------------------------------------------------------------------------------


async def test_e1_throttled_function_gets_more_concurrency_and_gives_it_back(stage):
    """Throttles for five minutes raise the reserved concurrency 100 -> 200; ten calm minutes give back the 100."""
    scene = await stage("etl", breakers=["ingest-throttling"], TRIAL="6m")
    world = await etl(scene)
    await throttles(scene, 0, since="10m")
    await scene.begin()

    await throttles(scene, 12)
    await scene.until(breaker="open", within="15m")
    assert await world.reserved() == 200
    assert [r.params for r in await scene.requests()] == [{"ReservedConcurrentExecutions": 200}]

    await throttles(scene, 0)
    await scene.advance("20m")
    assert scene.breaker().state == "open"  # a person has to look before it goes back
    await scene.reset()
    await scene.until(breaker="closed", within="30m")
    assert await world.reserved() == 100
    await scene.advance("10m")
    assert scene.level("ingest-throttles", "throttled") == "ok"


# --- E2 ---------------------------------------------------------------------------------------------------------------


async def test_e2_stuck_executions_are_stopped_and_run_again_once(stage):
    """An hour without progress: stopped with a cause, started once more with the same input, closed when those end."""
    scene = await stage("etl", breakers=["stuck-execution"])
    world = await etl(scene)
    machines = await scene.aws("stepfunctions")
    given = [json.dumps({"detail": {"object": {"key": f"incoming/hung-{n}.csv"}}}) for n in range(2)]
    hung = [
        (await machines.start_execution(stateMachineArn=MACHINE, name=f"hung-{n}", input=text))["executionArn"]
        for n, text in enumerate(given)
    ]
    await scene.side.post("executions/enter", arn=hung, state="Transform")
    await scene.begin()

    await scene.advance("20m")
    assert scene.level("stuck-executions", "oldest") == "warning"
    assert "incoming/hung-0.csv" in scene.rows("stuck-executions", "stuck")[0].detail
    await scene.until(breaker="open", within="1h")
    assert scene.clock.tick() > 3600
    for arn in hung:
        stopped = await machines.describe_execution(executionArn=arn)
        assert (stopped["status"], stopped["error"]) == ("ABORTED", "ExecutionTimeout")
    running = (await machines.list_executions(stateMachineArn=MACHINE, statusFilter="RUNNING"))["executions"]
    assert all(one["name"].startswith("retry-") for one in running)
    reruns = [await machines.describe_execution(executionArn=one["executionArn"]) for one in running]
    assert sorted(one["input"] for one in reruns) == given

    await finish(scene, world, [one["executionArn"] for one in running])
    await scene.until(breaker="closed", within="1h")
    assert (await world.executions())["total"] == 4  # no rerun of a rerun
    await scene.advance("2m")
    assert scene.level("stuck-executions") == "ok"


# --- E3 ---------------------------------------------------------------------------------------------------------------


class Loop:
    """Every execution writes two objects after a while; a rule that takes the processed bucket feeds on them."""

    GENERATION = 10.0
    MOST = 400  # executions that still write: beyond the trip they would prove nothing

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._seen = 0
        self._writing: list[tuple[float, str]] = []

    async def go_on(self) -> None:
        """Write what is due by now; most executions end when they have written."""
        scene, s3 = self._scene, await self._scene.aws("s3")
        told = await scene.side.get("executions", state_machine=MACHINE_NAME, arns="1", skip=str(self._seen))
        self._seen += len(told["arns"])
        now = scene.clock.tick()
        if self._seen < self.MOST:
            self._writing += [(now + self.GENERATION, arn) for arn in told["arns"]]
        due = [arn for at, arn in self._writing if at <= now]
        self._writing = [pair for pair in self._writing if pair[0] > now]
        for arn in due:
            for part in range(2):
                await s3.put_object(Bucket=PROCESSED, Key=f"{arn[-36:]}/{part}.parquet", Body=b"p")
        await scene.side.post("executions/finish", arn=due[: len(due) * 3 // 4] or ["none"])


async def test_e3_event_loop_is_cut_before_it_is_drained_and_let_back_by_a_person(stage):
    """A rule that takes its own outputs: cut within two minutes, drained after five, back with a tested pattern.

    What came meanwhile runs after a yes.
    """
    scene = await stage("etl", breakers=["s3-event-loop"], RATE_INTERVAL="10s", TRIAL="5m", step=10)
    world = await etl(scene)
    events, s3 = await scene.aws("events"), await scene.aws("s3")
    await scene.begin()
    await events.put_rule(Name=RULE, EventPattern=json.dumps(pattern(RAW, PROCESSED)), State="ENABLED")
    for number in range(15):
        await s3.put_object(Bucket=RAW, Key=f"incoming/{number}.csv", Body=b"a")
    scene.play(Loop(scene).go_on)

    await scene.until(breaker="tripping", within="2m")
    began = scene.clock.now()
    assert await world.rule_state() == "DISABLED"
    assert (await world.executions())["RUNNING"] > 0
    await scene.advance("20s")
    missed = {f"incoming/missed-{number}.csv" for number in range(3)}
    for key in missed:
        await s3.put_object(Bucket=RAW, Key=key, Body=b"a")
    await scene.until(breaker="open", within="15m")
    assert (await world.executions())["RUNNING"] == 0
    asked = await scene.requests()
    assert asked[0].name == "events:DisableRule"
    stops = [one.at for one in asked if one.name == "stepfunctions:StopExecution"]
    assert stops
    assert (min(stops) - began).total_seconds() >= 290  # what was in flight had its five minutes

    await scene.reset()
    await scene.until(lambda: scene.breaker().approval is not None, within="1m")
    await correct(scene)
    total = (await world.executions())["total"]
    await scene.approve()
    await scene.until(lambda: scene.breaker().approval is not None, within="30m")
    assert await world.rule_state() == "ENABLED"
    [gap] = scene.incidents()[0].gaps
    assert gap.resource == f"events/default/{RULE}"
    assert (await world.executions())["total"] == total  # nothing runs again before the yes
    await scene.approve()
    await scene.until(breaker="closed", within="30m")
    started = await scene.requests("stepfunctions:StartExecution")
    keys = [json.loads(one.params["input"])["detail"]["object"]["key"] for one in started]
    assert sorted(keys) == sorted(missed)  # each once, and none that ran before the cut
    before = (await world.executions())["total"]
    await s3.put_object(Bucket=PROCESSED, Key="late.parquet", Body=b"p")
    assert (await world.executions())["total"] == before
    await s3.put_object(Bucket=RAW, Key="incoming/new.csv", Body=b"a")
    assert (await world.executions())["total"] == before + 1


async def correct(scene: Scene) -> None:
    """The runbook's correction done right: tested, and written without enabling the rule."""
    events, fixed = await scene.aws("events"), json.dumps(pattern(RAW))
    event = {
        "id": "1", "account": "1", "time": "2026-03-04T12:00:00Z", "region": "us-east-1", "resources": [],
        "source": "aws.s3", "detail-type": "Object Created", "detail": {"bucket": {"name": PROCESSED}},
    }  # fmt: skip
    assert not (await events.test_event_pattern(EventPattern=fixed, Event=json.dumps(event)))["Result"]
    await events.put_rule(Name=RULE, EventPattern=fixed, State="DISABLED")


# --- E4 ---------------------------------------------------------------------------------------------------------------

DAYS = 42


async def spend(scene: Scene, *, runaway: bool) -> None:
    """Daily costs by service, the month's budget, and the traffic behind them; `runaway` for the last two days."""
    today = scene.clock.now().date()
    rows = [
        {"date": (today - timedelta(days=ago)).isoformat(), "service": service, "tags": {"pipeline": "etl"},
         "amount": (41.0 if runaway and ago <= 2 else 3.0) * share}
        for ago in range(1, DAYS + 1)
        for service, share in (("AWS Lambda", 0.6), ("AWS Step Functions", 0.3), ("Amazon DynamoDB", 0.1))
    ]  # fmt: skip
    actual, forecasted = (86.0, 171.0) if runaway else (61.0, 78.0)
    await scene.side.post("cost", rows=rows)
    await scene.side.post("budgets", budget=BUDGET, actual=actual, forecasted=forecasted)
    factor = 50 if runaway else 1
    function, machine = {"FunctionName": TRANSFORM}, {"StateMachineArn": MACHINE}
    await scene.meter("AWS/Lambda", "Invocations", 200 * factor, since="15m", **function)
    await scene.meter("AWS/Lambda", "Duration", 200 * factor * 2500, since="15m", **function)
    await scene.meter("AWS/States", "ExecutionsStarted", 40 * factor, since="15m", **machine)


async def test_e4_cost_spike_is_answered_by_a_flag_and_by_approved_cuts(stage):
    """Past 80 % of the month: economy at once; four lasting cuts after a yes each; normal when it is over."""
    scene = await stage("etl", breakers=["cost-spike"], COST_INTERVAL="1h")
    world = await etl(scene)
    await spend(scene, runaway=True)
    await scene.begin()

    await scene.until(lambda: scene.breaker().approval is not None, within="10m")
    assert scene.level("cost", "budget_used") == "critical"
    assert await world.flag() == "economy"
    before = await world.economies()
    assert (before["memory"], before["retention"]) == (1024, 30)  # nothing lasting without a person
    for _ in range(4):
        await scene.until(lambda: scene.breaker().approval is not None, within="10m")
        await scene.approve()
    await scene.until(breaker="open", within="10m")
    assert await world.economies() == {"memory": 512, "billing": "PAY_PER_REQUEST", "retention": 7}
    tiers = await (await scene.aws("s3")).get_bucket_lifecycle_configuration(Bucket=PROCESSED)
    assert [move["StorageClass"] for move in tiers["Rules"][0]["Transitions"]] == ["INTELLIGENT_TIERING"]

    await spend(scene, runaway=False)
    await scene.reset()
    await scene.until(breaker="closed", within="2h")
    assert await world.flag() == "normal"
    assert (await world.economies())["memory"] == 512  # lasting cuts last
    assert scene.level("cost", "budget_used") in ("ok", "unknown")


async def test_e4b_waste_is_named_with_its_remedy(stage):
    """Thirty days of logs and a table that is hardly read: warnings that say what to change, and nothing is changed."""
    scene = await stage("etl", checks=["wasteful-settings", "idle-capacity"])
    world = await etl(scene)
    names = {"TableName": TABLE}
    await scene.meter("AWS/DynamoDB", "ProvisionedReadCapacityUnits", 20, since="2h", **names)
    await scene.meter("AWS/DynamoDB", "ConsumedReadCapacityUnits", 60, since="2h", **names)
    await scene.begin()

    assert scene.level("wasteful-settings", "violations") == "warning"
    details = {row.target: row.detail for row in scene.rows("wasteful-settings")}
    assert "PutRetentionPolicy" in details["ingest-logs"]
    assert scene.level("idle-capacity", "value") == "warning"
    assert abs((scene.value("idle-capacity", "value") or 0) - 0.05) < 0.01
    assert await scene.requests() == []

    waste = {row.target: row.detail for row in scene.rows("wasteful-settings")}
    assert "add a lifecycle transition" in waste[PROCESSED]
    logs = await scene.aws("logs")
    for function in (INGEST, TRANSFORM):
        await logs.put_retention_policy(logGroupName=f"/aws/lambda/{function}", retentionInDays=7)
    moved = {"ID": "cold", "Status": "Enabled", "Filter": {"Prefix": ""},
             "Transitions": [{"Days": 0, "StorageClass": "INTELLIGENT_TIERING"}]}  # fmt: skip
    await (await scene.aws("s3")).put_bucket_lifecycle_configuration(
        Bucket=PROCESSED, LifecycleConfiguration={"Rules": [moved]}
    )
    await scene.meter("AWS/DynamoDB", "ConsumedReadCapacityUnits", 600, since="1h", **names)
    await scene.advance("6h")
    assert scene.level("wasteful-settings") == "ok"
    assert scene.level("idle-capacity") == "ok"
    assert (await world.economies())["retention"] == 7


# --- E5 ---------------------------------------------------------------------------------------------------------------


async def test_e5_denied_call_cuts_the_source_and_one_execution_proves_the_fix(stage):
    """The missing permission is named with its statement, the rule is off until a person's fix was proven by a run."""
    scene = await stage("etl", breakers=["access-denied"])
    world = await etl(scene)
    await scene.begin()

    await say(scene, TRANSFORM, REFUSED)
    await scene.until(breaker="open", within="5m")
    assert await world.rule_state() == "DISABLED"
    told = " ".join(row.detail for row in scene.rows("denied-calls"))
    assert "kms:GenerateDataKey" in told
    assert "lambda-execution-role" in told
    assert {one.name for one in await scene.requests()} == {"events:DisableRule"}  # no policy is touched

    await scene.reset()
    await scene.until(lambda: scene.breaker().approval is not None, within="1m")
    await scene.approve()

    async def has_started() -> bool:
        return (await world.executions())["RUNNING"] == 1

    await scene.until(has_started, within="5m")
    await say(scene, INGEST, "Successfully processed test-input")
    await scene.side.post("executions/finish", state_machine=MACHINE_NAME)
    await scene.until(breaker="closed", within="15m")
    assert await world.rule_state() == "ENABLED"


# --- E6 ---------------------------------------------------------------------------------------------------------------


async def test_e6_prevention_list_is_checked_and_goes_green_when_followed(stage):
    """No timeout of the machine, alarms that are not there: each named; followed, the list is green."""
    scene = await stage("etl", checks=["prevention", "trigger-loops"])
    await etl(scene)
    await scene.begin()
    assert scene.level("trigger-loops", "cycles") == "ok"
    wrong = {row.target: row.detail for row in scene.rows("prevention") if row.level == "warning"}
    assert set(wrong) == {MACHINE_NAME, "LambdaThrottlingAlarm", "etl-execution-rate-spike"}
    assert "TimeoutSeconds" in wrong[MACHINE_NAME]

    machines, alarms, events = (
        await scene.aws("stepfunctions"),
        await scene.aws("cloudwatch"),
        await scene.aws("events"),
    )
    definition = json.dumps({**DEFINITION, "TimeoutSeconds": 600})
    await machines.update_state_machine(stateMachineArn=MACHINE, definition=definition)
    watched = {
        "LambdaThrottlingAlarm": ("AWS/Lambda", "Throttles", {"Name": "FunctionName", "Value": INGEST}),
        "etl-execution-rate-spike": ("AWS/States", "ExecutionsStarted", {"Name": "StateMachineArn", "Value": MACHINE}),
    }
    for name, (space, metric, dimension) in watched.items():
        await alarms.put_metric_alarm(
            AlarmName=name, Namespace=space, MetricName=metric, Dimensions=[dimension], Statistic="Sum", Period=60,
            EvaluationPeriods=2, Threshold=200, ComparisonOperator="GreaterThanThreshold",
            AlarmActions=["arn:aws:sns:us-east-1:123456789012:ops"],
        )  # fmt: skip
    await events.put_rule(Name=RULE, EventPattern=json.dumps(pattern(RAW, PROCESSED)), State="DISABLED")
    await scene.advance("1h")
    assert scene.level("prevention") == "ok"
    assert scene.level("trigger-loops", "cycles") == "critical"  # seen in the configuration, before it ever ran
    assert RULE in scene.rows("trigger-loops")[0].detail
