"""Metrics, alarms, failures, states, settings, deployments and quotas through the real reader on the emulator."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from monitor.demo import world as etl
from monitor.demo.world import World
from monitor.plugin import ProbeError, Reason

pytestmark = pytest.mark.process

#: One run of a kind now: what was observed.
Run = Callable[[str, Mapping[str, Any]], Awaitable[dict[tuple[str, str], Any]]]

HOUR = 3600


def point(metric: str, value: float, ago: float, namespace: str, **dimensions: str) -> dict[str, Any]:
    """One datum."""
    return {"namespace": namespace, "metric": metric, "value": value, "ago": ago, "dimensions": dimensions}


async def start(world: World, *names: str) -> None:
    """Start executions of the workflow."""
    client = await world.aws("stepfunctions")
    for name in names:
        await client.start_execution(stateMachineArn=etl.MACHINE, name=name, input="{}")


async def test_a_ratio_by_connector(world: World, run: Run) -> None:
    """Embedded custom metrics: two connectors, one of them failing, one too quiet to judge."""
    scout = "JauntDataScout"
    points = [point("Calls", 1, 90, scout, Connector="google") for _ in range(40)]
    points += [point("Errors", 6, 90, scout, Connector="google"), point("Calls", 3, 90, scout, Connector="tavily")]
    points += [point("Errors", 999, 90, scout, Connector="google", City="Rome")]
    await world.side.post("metrics", points=points)
    source = {"namespace": scout, "dimensions": {}}
    params = {
        "metrics": {"errors": {**source, "metric": "Errors"}, "calls": {**source, "metric": "Calls"}},
        "expression": "errors / calls",
        "split_by": "Connector",
        "minimum": {"calls": 20},
    }
    assert await run("metric", params) == {("google", "value"): 0.15, ("tavily", "value"): None}
    with pytest.raises(ProbeError, match="no metric here had a dimension Conector"):
        await run("metric", {**params, "split_by": "Conector"})


async def test_averages_percentiles_and_rates(world: World, run: Run) -> None:
    """Weighted average of two minutes; starts per minute."""
    api = {"GraphQLAPIId": "abc"}
    points = [point("Latency", 100, 90, "AWS/AppSync", **api) for _ in range(9)]
    points += [point("Latency", 1100, 150, "AWS/AppSync", **api)]
    points += [point("ExecutionsStarted", 30, 90, "AWS/States", StateMachineArn=etl.MACHINE)]
    await world.side.post("metrics", points=points)
    latency = {"namespace": "AWS/AppSync", "metric": "Latency", "stat": "Average", "dimensions": api}
    seen = await run("metric", {"metrics": {"latency": latency}})
    assert seen == {("abc", "value"): pytest.approx(200.0)}
    seen = await run("metric", {"metrics": {"latency": {**latency, "stat": "p95", "period": "1m"}}})
    assert seen == {("abc", "value"): pytest.approx(1100.0)}
    started = {"namespace": "AWS/States", "metric": "ExecutionsStarted", "dimensions": {"StateMachineArn": etl.MACHINE}}
    seen = await run("metric", {"metrics": {"started": started}, "expression": "per_minute(started)"})
    assert seen == {(etl.MACHINE_NAME, "value"): pytest.approx(6.0)}


async def test_alarms_of_both_sorts(world: World, run: Run) -> None:
    """A composite alarm follows its children; names that are no alarm are not found."""
    cloudwatch = await world.aws("cloudwatch")
    for name, state in (("etl-dlq", "ALARM"), ("etl-errors", "OK"), ("etl-new", "INSUFFICIENT_DATA")):
        await cloudwatch.put_metric_alarm(
            AlarmName=name, Namespace="AWS/SQS", MetricName="ApproximateNumberOfMessagesVisible", Period=60,
            Dimensions=[{"Name": "QueueName", "Value": etl.DEAD}], Statistic="Maximum", EvaluationPeriods=1,
            Threshold=10, ComparisonOperator="GreaterThanThreshold",
        )  # fmt: skip
        await cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="test")
    await cloudwatch.disable_alarm_actions(AlarmNames=["etl-errors"])
    rule = "ALARM(etl-dlq) AND NOT ALARM(etl-errors)"
    await cloudwatch.put_composite_alarm(AlarmName="etl-all", AlarmRule=rule)
    seen = await run("alarm", {"alarms": ["etl-*", "nowhere"]})
    states = {target: value for (target, signal), value in seen.items() if signal == "in_alarm"}
    expected = {"etl-dlq": 1.0, "etl-errors": 0.0, "etl-new": None, "etl-all": 1.0, "nowhere": Reason.NOT_FOUND}
    assert states == expected
    assert seen["etl-errors", "actions_enabled"] == 0.0
    await cloudwatch.set_alarm_state(AlarmName="etl-errors", StateValue="ALARM", StateReason="test")
    assert (await run("alarm", {"alarms": "etl-all"}))["etl-all", "in_alarm"] == 0.0


async def test_failures_in_the_same_state(world: World, run: Run) -> None:
    """Three of four failed in Transform, one timed out in Extract; a stopped one does not count."""
    await start(world, "a", "b", "c", "d", "e")
    (*arns,) = (await world.side.get("executions", state_machine=etl.MACHINE_NAME, arns="1"))["arns"]
    await world.side.post("executions/enter", arn=arns[:3], state="Transform")
    await world.side.post("executions/finish", arn=arns[:3], ending="FAILED", error="Http.429", cause="secret")
    await world.side.post("executions/finish", arn=arns[3], ending="TIMED_OUT")
    await (await world.aws("stepfunctions")).stop_execution(executionArn=arns[4])
    points = [
        point(metric, value, 90, "AWS/States", StateMachineArn=etl.MACHINE)
        for metric, value in (("ExecutionsFailed", 3), ("ExecutionsTimedOut", 1), ("ExecutionsSucceeded", 36))
    ]
    await world.side.post("metrics", points=points)
    seen = await run("failures", {"state_machines": [etl.MACHINE_NAME, "nowhere"]})
    assert seen[etl.MACHINE_NAME, "failed"] == 4.0
    assert seen[etl.MACHINE_NAME, "same_state"] == 3.0
    assert seen[etl.MACHINE_NAME, "failure_rate"] == pytest.approx(0.1)
    assert seen["nowhere", "failed"] is Reason.NOT_FOUND


async def test_slower_than_on_other_days(world: World, run: Run) -> None:
    """Twice the p95 of the same hour of three past days."""
    own = {"StateMachineArn": etl.MACHINE}
    points = []
    for day in (0, 1, 2, 3):
        took = 8000 if day == 0 else 4000
        points += [point("ExecutionTime", took, HOUR + day * 24 * HOUR, "AWS/States", **own) for _ in range(12)]
    await world.side.post("metrics", points=points)
    seen = await run("duration_drift", {"state_machines": etl.MACHINE_NAME, "window": "1h"})
    assert seen == {(etl.MACHINE_NAME, "drift"): 2.0, (etl.MACHINE_NAME, "duration"): 8.0}


async def test_the_parts_of_the_pipeline(world: World, run: Run) -> None:
    """All healthy; then the rule is disabled; what does not exist is unknown."""
    params = {
        "lambda_functions": {"tags": {"pipeline": "etl"}},
        "tables": [etl.TABLE, "nowhere"],
        "state_machines": "etl-*",
        "rules": etl.RULE,
        "buckets": "*-data-bucket",
    }
    seen = await run("resource_state", params)
    healthy = {etl.INGEST, etl.TRANSFORM, etl.TABLE, etl.MACHINE_NAME, etl.RULE, etl.RAW, etl.PROCESSED}
    assert seen == {(name, "unhealthy"): 0.0 for name in healthy} | {("nowhere", "unhealthy"): Reason.NOT_FOUND}
    await (await world.aws("events")).disable_rule(Name=etl.RULE)
    assert await run("resource_state", {"rules": etl.RULE}) == {(etl.RULE, "unhealthy"): 1.0}
    held = {"rules": etl.RULE, "expect": {"rules": "DISABLED"}}
    assert await run("resource_state", held) == {(etl.RULE, "unhealthy"): 0.0}
    (mapping,) = (await (await world.aws("lambda")).list_event_source_mappings())["EventSourceMappings"]
    assert await run("resource_state", {"event_sources": [etl.INGEST]}) == {(etl.INGEST, "unhealthy"): 0.0}
    await world.side.post("lambda/settings", mapping_seconds=0)
    await (await world.aws("lambda")).update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    assert await run("resource_state", {"event_sources": mapping["UUID"]}) == {(mapping["UUID"], "unhealthy"): 1.0}


async def test_services_of_other_pipelines(world: World, run: Run) -> None:
    """A database, a schedule that is off, and an API."""
    await (await world.aws("rds")).create_db_instance(
        DBInstanceIdentifier="fluxa", DBInstanceClass="db.t3.small", Engine="postgres", MasterUsername="u",
        MasterUserPassword="not-a-secret", AllocatedStorage=20,
    )  # fmt: skip
    api = await (await world.aws("appsync")).create_graphql_api(name="pulse", authenticationType="API_KEY")
    schedules = await world.aws("scheduler")
    await schedules.create_schedule(
        Name="hourly", ScheduleExpression="rate(1 hour)", FlexibleTimeWindow={"Mode": "OFF"}, State="DISABLED",
        Target={"Arn": etl.MACHINE, "RoleArn": "arn:aws:iam::123456789012:role/r"},
    )  # fmt: skip
    params = {
        "databases": "fl*",
        "schedules": "hourly",
        "graphql_apis": api["graphqlApi"]["apiId"],
    }
    seen = await run("resource_state", params)
    assert seen == {
        ("fluxa", "unhealthy"): 0.0,
        ("hourly", "unhealthy"): 1.0,
        (api["graphqlApi"]["apiId"], "unhealthy"): 0.0,
    }


async def test_cluster_and_canary(world: World, run: Run) -> None:
    """States that need a moment or a run."""
    kafka = await world.aws("kafka")
    nodes = {"InstanceType": "kafka.m5.large", "ClientSubnets": ["subnet-1"]}
    await kafka.create_cluster(ClusterName="x", KafkaVersion="3.6.0", NumberOfBrokerNodes=3, BrokerNodeGroupInfo=nodes)
    params = {"clusters": ["x", "y"], "canaries": "api-*"}
    gone = {("y", "unhealthy"): Reason.NOT_FOUND}
    assert await run("resource_state", {"clusters": ["x", "y"]}) == {("x", "unhealthy"): 0.0, **gone}
    await world.side.post("kafka/state", cluster="x", state="HEALING")
    await _canary(world, "api-login", "FAILED")
    await _canary(world, "api-read", "PASSED")
    canaries = {("api-login", "unhealthy"): 1.0, ("api-read", "unhealthy"): 0.0}
    assert await run("resource_state", params) == {("x", "unhealthy"): 1.0, **gone, **canaries}


async def _canary(world: World, name: str, state: str) -> None:
    """One that has run."""
    await (await world.aws("synthetics")).create_canary(
        Name=name, Code={"Handler": "h.handler"}, ArtifactS3Location=f"s3://{etl.RAW}/canary",
        ExecutionRoleArn="arn:aws:iam::123456789012:role/r", Schedule={"Expression": "rate(5 minutes)"},
        RuntimeVersion="syn-nodejs-puppeteer-9.1",
    )  # fmt: skip
    await world.side.post("canaries", name=name, state=state)


async def test_deployments(world: World, run: Run) -> None:
    """A function of just now; an alias on a published version; a CodeDeploy group with and without deployments."""
    functions = await world.aws("lambda")
    version = (await functions.publish_version(FunctionName=etl.INGEST))["Version"]
    await functions.create_alias(FunctionName=etl.INGEST, Name="LIVE", FunctionVersion=version)
    params = {"lambda_functions": etl.TRANSFORM, "aliases": f"{etl.INGEST}:LIVE"}
    seen = await run("deployment_recency", params)
    assert (seen[etl.TRANSFORM, "recent"], seen[f"{etl.INGEST}:LIVE", "recent"]) == (1.0, 1.0)
    deploys = await world.aws("codedeploy")
    await deploys.create_application(applicationName="shop", computePlatform="Lambda")
    await deploys.create_deployment_group(
        applicationName="shop", deploymentGroupName="api", serviceRoleArn="arn:aws:iam::123456789012:role/r"
    )
    seen = await run("deployment_recency", {"deployment_groups": ["shop/api"]})
    assert seen["shop/api", "recent"] is None
    await deploys.create_deployment(
        applicationName="shop", deploymentGroupName="api",
        revision={"revisionType": "S3", "s3Location": {"bucket": etl.RAW, "key": "x.zip", "bundleType": "zip"}},
    )  # fmt: skip
    seen = await run("deployment_recency", {"deployment_groups": ["shop/api"]})
    assert seen["shop/api", "recent"] == 1.0


async def test_headroom(world: World, run: Run) -> None:
    """Concurrency, open executions, a timeout, and a quota with a usage metric."""
    points = [
        point("ConcurrentExecutions", 800, 90, "AWS/Lambda"),
        point("OpenExecutionCount", 250_000, 90, "AWS/States"),
        point("Duration", 150_000, 90, "AWS/Lambda", FunctionName=etl.INGEST),
        point("ResourceCount", 4, 90, "AWS/Usage", Service="MSK", Type="Resource", Resource="Clusters", Class="None"),
    ]
    await world.side.post("metrics", points=points)
    usage = {
        "MetricNamespace": "AWS/Usage", "MetricName": "ResourceCount", "MetricStatisticRecommendation": "Maximum",
        "MetricDimensions": {"Service": "MSK", "Type": "Resource", "Resource": "Clusters", "Class": "None"},
    }  # fmt: skip
    await world.side.post(
        "service-quotas", quotas=[{"service": "kafka", "code": "L-0A1B2C3D", "default": 5, "usage": usage}]
    )
    params = {
        "lambda_concurrency": True,
        "open_executions": True,
        "lambda_timeouts": etl.INGEST,
        "quotas": {"clusters": {"service": "kafka", "code": "L-0A1B2C3D"}},
    }
    seen = await run("quota_headroom", params)
    used = {target: value for (target, signal), value in seen.items() if signal == "used"}
    assert used == {"lambda-concurrency": 0.8, "open-executions": 0.25, etl.INGEST: 0.5, "clusters": 0.8}


async def test_the_world_breaks_rules(world: World, run: Run) -> None:
    """The demo's queue hides messages for 30 s while its reader may take five minutes, and more of the kind."""
    rules: list[Any] = [
        {"visibility_timeout": {"lambda_functions": etl.INGEST}},
        {"batch_size": {"lambda_functions": etl.INGEST}},
        {"function_timeout": {"lambda_functions": "*-handler"}},
        {"retention": {"queues": etl.QUEUE}},
        {"dead_letter_queue": {"queues": etl.QUEUE}},
        {"machine_timeout": {"state_machines": etl.MACHINE_NAME}},
        {"bucket": {"buckets": [etl.RAW], "replication": True}},
        {"alarms": {"alarms": "nowhere"}},
        {"environment": {"lambda_function": etl.TRANSFORM, "variables": {"MODE": "on"}}},
        {"custom": {"service": "dynamodb", "operation": "describe-table", "parameters": {"TableName": etl.TABLE},
                    "query": "Table.ProvisionedThroughput.ReadCapacityUnits", "at_least": 100, "target": etl.TABLE}},
    ]  # fmt: skip
    seen = await run("config_drift", {"rules": rules})
    assert seen == {
        (etl.INGEST, "violations"): 1.0,
        (etl.TRANSFORM, "violations"): 1.0,
        (etl.QUEUE, "violations"): 1.0,
        (etl.MACHINE_NAME, "violations"): 1.0,
        (etl.RAW, "violations"): 2.0,
        ("nowhere", "violations"): 1.0,
        (etl.TABLE, "violations"): 1.0,
    }
    s3 = await world.aws("s3")
    await s3.put_bucket_versioning(Bucket=etl.RAW, VersioningConfiguration={"Status": "Enabled"})
    seen = await run("config_drift", {"rules": [{"bucket": {"buckets": [etl.RAW, "no-such-bucket-here"]}}]})
    assert seen == {(etl.RAW, "violations"): 0.0, ("no-such-bucket-here", "violations"): Reason.NOT_FOUND}
