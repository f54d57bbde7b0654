"""The ETL pipeline at its limits (rows E1, E2, E4b): the account's quota, dead letters, AWS's own word, memory."""

from __future__ import annotations

from etl_world import etl, say, throttles

from monitor.demo.emulator.child import ACCOUNT
from monitor.demo.world import DEAD, INGEST, QUEUE, TRANSFORM

QUOTA = {"ServiceCode": "lambda", "QuotaCode": "L-B99A9384"}


async def test_e1_a_higher_quota_is_requested_once_and_only_after_a_yes(stage):
    """950 of 1,000 at once: 2,000 are asked for after a yes; while AWS decides nothing is asked twice."""
    scene = await stage("etl", breakers=["quota-increase"])
    await etl(scene)
    quotas = await scene.aws("service-quotas")
    await scene.side.post("service-quotas", quotas=[{"service": "lambda", "code": "L-B99A9384", "default": 1000}])
    await scene.meter("AWS/Lambda", "ConcurrentExecutions", 300, since="20m")
    await scene.begin()
    assert scene.level("concurrency-quota", "used") == "ok"

    await scene.meter("AWS/Lambda", "ConcurrentExecutions", 950)
    await scene.until(lambda: scene.breaker().approval is not None, within="15m")
    assert await scene.requests() == []
    await scene.approve()
    await scene.until(breaker="open", within="5m")
    [request] = (await quotas.list_requested_service_quota_change_history_by_quota(**QUOTA))["RequestedQuotas"]
    assert (request["DesiredValue"], request["Status"]) == (2000, "PENDING")

    await scene.reset(force=True)  # a person closes it while AWS decides; the breach lasts
    await scene.until(lambda: scene.breaker().approval is not None, within="30m")
    await scene.approve()
    await scene.until(breaker="open", within="5m")
    assert "under way" in scene.events("action.applied")[-1]
    assert len(await scene.requests("servicequotas:RequestServiceQuotaIncrease")) == 1

    await scene.side.post("quota-requests", status="APPROVED")
    await scene.side.post("lambda/settings", limit=2000)
    await scene.reset()
    await scene.until(breaker="closed", within="1h")
    assert (await quotas.get_service_quota(**QUOTA))["Quota"]["Value"] == 2000


async def test_e1_dead_letters_go_back_after_a_yes(stage):
    """More than ten for five minutes: nothing moves before somebody repaired the consumer; then all, ten a second."""
    scene = await stage("etl", breakers=["ingest-dead-letters"])
    world = await etl(scene)
    await scene.begin()
    assert scene.level("ingest-dead-letters", "visible") == "ok"
    await scene.side.post("sqs/fill", queue=DEAD, count=12, body='{"key": "incoming/1.csv"}')
    await scene.until(lambda: scene.breaker().approval is not None, within="15m")
    assert (await world.depth(DEAD), await world.depth(QUEUE)) == (12, 0)
    await scene.approve()
    await scene.until(breaker="open", within="10m")
    assert (await world.depth(DEAD), await world.depth(QUEUE)) == (0, 12)
    [asked] = await scene.requests("sqs:StartMessageMoveTask")
    assert asked.params["MaxNumberOfMessagesPerSecond"] == 10
    await scene.until(breaker="closed", within="2h")


async def test_e2_what_aws_says_of_itself_is_read_and_its_refusal_is_told_to_nobody(stage):
    """Without a support plan: unknown, with the reason, once, and no notice; with one, an open issue is a warning."""
    scene = await stage("etl", checks=["aws-health"])
    await etl(scene)
    await scene.begin()
    await scene.advance("1h")
    assert scene.level("aws-health") == "unknown"
    [row] = scene.rows("aws-health")
    assert "paid AWS Support plan" in row.detail
    assert len([one for one in scene.log if one["event"] == "level.changed"]) == 1
    assert scene.events("check.unknown") == []
    assert scene.incidents() == []

    issue = {"service": "STATES", "region": "us-east-1", "statusCode": "open", "eventTypeCategory": "issue"}
    others = [{**issue, "region": "eu-west-1"}, {**issue, "statusCode": "closed"}, {**issue, "service": "EC2"}]
    await scene.side.post("health", account=ACCOUNT, events=[{"arn": f"e{n}", **one} for n, one in enumerate(others)])
    await scene.until(lambda: scene.level("aws-health") == "ok", within="10m")
    await scene.side.post("health", account=ACCOUNT, events=[{"arn": "e", **issue}])
    await scene.until(lambda: scene.level("aws-health") == "warning", within="10m")


def report(number: int, size: int, used: int) -> str:
    """The line with which Lambda ends an invocation."""
    return (
        f"REPORT RequestId: r-{number} Duration: 812.5 ms Billed Duration: 813 ms Memory Size: {size} MB "
        f"Max Memory Used: {used} MB"
    )


async def test_e4b_memory_that_is_never_used_is_named(stage):
    """A gigabyte of which 180 MB are used at the busiest: the size that would do; nothing is changed."""
    scene = await stage("etl", checks=["memory"])
    await etl(scene)
    await say(scene, TRANSFORM, *[report(n, 1024, 150 + n) for n in range(30)])
    await say(scene, INGEST, *[report(n, 512, 400) for n in range(30)])
    await scene.begin()
    said = {row.target: row for row in scene.rows("memory", "used")}
    assert (said[TRANSFORM].level, said[INGEST].level) == ("warning", "ok")
    assert "179 of 1024 MB at most in 30 invocations; 256 MB would do" in said[TRANSFORM].detail
    assert await scene.requests() == []


async def test_e1_a_busy_account_is_seen_before_it_is_full(stage):
    """Above 80 % of the account's limit: a warning, and no request."""
    scene = await stage("etl", breakers=["quota-increase"])
    await etl(scene)
    await throttles(scene, 0, since="20m")
    await scene.meter("AWS/Lambda", "ConcurrentExecutions", 850, since="20m")
    await scene.begin()
    await scene.advance("20m")
    assert scene.level("concurrency-quota", "used") == "warning"
    assert scene.breaker().state == "closed"
