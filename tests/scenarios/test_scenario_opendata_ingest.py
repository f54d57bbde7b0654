"""OpenData Pulse (rows B1 and B2): hours without data, a rule that is off, a backlog."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from opendata_world import CURATED, DLQ, ETL, HERE, INGEST, RAW, Pulse, changes, pulse
from outside import Outside

from monitor.demo.emulator.child import ACCOUNT

#: Half past: the hour before ended half an hour ago.
HALF_PAST = datetime(2026, 3, 4, 12, 30, tzinfo=UTC)


async def hourly(scene, world: Pulse, hours: range) -> None:
    """An object in the middle of each of these hours before now; the scene's clock stands still, S3's goes back."""
    for ago in hours:
        at = world.hours_ago(ago).timestamp() + 1800
        await scene.side.door.post("clock", at=at)
        await world.put(RAW, "raw", f"{world.hours_ago(ago):%dT%H}")
    await scene.side.door.post("clock", at=scene.clock.now().timestamp())


async def test_b1_missing_hours_are_backfilled_one_by_one_once_the_source_answers(stage):
    """Two hours without an object: the rule is enabled, the source must answer, then a test and those two hours."""
    async with Outside() as api:
        scene = await stage(
            "opendata-pulse",
            breakers=["ingestion"],
            at=HALF_PAST,
            step=20,
            UPSTREAM=api.url,
            CYCLE_INTERVAL="1m",
            CYCLES_TRIAL="1h",
            **HERE,
        )
        world = await pulse(scene)
        await world.buckets()
        await world.function(INGEST)
        await world.rule("DISABLED")
        await hourly(scene, world, range(3, 8))  # 11:00 and 10:00 are missing
        await scene.begin()
        await scene.until(breaker="tripping", within="10m")
        assert await world.rule_state() == "ENABLED"
        assert scene.value("raw-cycles", "missing") == 2

        await scene.advance("10m")
        assert await world.invoked(INGEST) == []  # B1c: the source is down, so the backfill waits
        await api.up()
        await scene.until(breaker="open", within="15m")
        sent = await world.invoked(INGEST)
        assert sent[0] == {"test": True}
        stamps = [one["timestamp"][:16] for one in sent[1:]]
        assert stamps == ["2026-03-04T10:00", "2026-03-04T11:00"]
        assert all(one["backfill"] is True for one in sent[1:])

        await hourly(scene, world, range(1, 3))  # what the backfill writes
        await scene.until(breaker="half_open", within="30m")
        await scene.until(breaker="open", within="1h")  # 12:00 is missing, too: a relapse, and that hour is filled
        sent = await world.invoked(INGEST)
        assert [one["timestamp"][:16] for one in sent if "timestamp" in one] == [*stamps, "2026-03-04T12:00"]
        await hourly(scene, world, range(2))
        await scene.until(breaker="closed", within="2h")


async def test_b1b_a_disabled_rule_is_enabled_and_stays_so(stage):
    """Off for five minutes is an accident; it is not switched off again when the breaker closes."""
    scene = await stage("opendata-pulse", breakers=["hourly-rule"], step=20, **HERE)
    world = await pulse(scene)
    await world.rule("DISABLED")
    await scene.begin()
    await scene.advance("4m")
    assert await world.rule_state() == "DISABLED"
    await scene.until(breaker="open", within="5m")
    assert await world.rule_state() == "ENABLED"
    await scene.until(breaker="closed", within="1h")
    assert await world.rule_state() == "ENABLED"


async def test_b1c_a_source_that_refuses_is_told_and_changes_nothing(stage):
    """503 to the HEAD for three minutes: an incident of its own, no call that changes anything."""
    async with Outside() as api:
        await api.up(503)
        scene = await stage("opendata-pulse", checks=["upstream"], UPSTREAM=api.url, **HERE)
        await pulse(scene)
        await scene.begin()
        await scene.until(lambda: scene.level("upstream", "down") == "critical", within="10m")
        assert [one.check for one in scene.incidents()] == ["upstream"]
        await api.up(200)
        await scene.until(lambda: scene.level("upstream", "down") == "ok", within="10m")
        assert await changes(scene) == []


async def test_b1d_a_refused_ingest_gets_its_policies_back_after_a_yes_and_is_tested(stage):
    """The missing action is read out of the log; a yes puts the role's and the bucket's policy back as they were."""
    scene = await stage("opendata-pulse", breakers=["ingest-denied"], step=20, **HERE)
    world, iam, s3 = await pulse(scene), await scene.aws("iam"), await scene.aws("s3")
    await world.logs(INGEST)
    await world.function(INGEST)
    await world.buckets()
    good, theirs = policy("s3:PutObject"), policy("s3:GetObject", Principal="*")
    await iam.put_role_policy(RoleName=INGEST, PolicyName="ingest", PolicyDocument=json.dumps(good))
    await s3.put_bucket_policy(Bucket=RAW, Policy=json.dumps(theirs))
    await scene.begin()
    await scene.advance("7m")  # all is well, and tripswitch looks how it is
    bad = policy("s3:ListBucket")
    await iam.put_role_policy(RoleName=INGEST, PolicyName="ingest", PolicyDocument=json.dumps(bad))
    await s3.delete_bucket_policy(Bucket=RAW)
    await world.say(
        INGEST,
        "ERROR AccessDenied: User: arn:aws:sts::123456789012:assumed-role/ingest/f is not authorized"
        f' to perform: s3:PutObject on resource: "arn:aws:s3:::{RAW}/x.json"',
    )
    await scene.until(lambda: scene.breaker().approval is not None, within="15m")
    assert any("s3:PutObject" in row.target + row.detail for row in scene.rows("ingest-denied"))
    assert await changes(scene) == []
    await scene.approve()
    await scene.until(breaker="open", within="10m")
    live = await iam.get_role_policy(RoleName=INGEST, PolicyName="ingest")
    assert live["PolicyDocument"] == good
    assert json.loads((await s3.get_bucket_policy(Bucket=RAW))["Policy"]) == theirs
    assert [one.name for one in await changes(scene)] == ["iam:PutRolePolicy", "s3:PutBucketPolicy", "lambda:Invoke"]
    assert await world.invoked(INGEST) == [{"test": True}]
    await scene.until(breaker="closed", within="2h")
    assert (await iam.get_role_policy(RoleName=INGEST, PolicyName="ingest"))["PolicyDocument"] == good


def policy(action: str, **more: str) -> dict:
    """One statement."""
    statement = {"Effect": "Allow", "Action": action, "Resource": f"arn:aws:s3:::{RAW}/*", **more}
    return {"Version": "2012-10-17", "Statement": [statement]}


async def test_b1_an_hour_without_an_invocation_and_errors_are_told(stage):
    """The log says ERROR, and an hour passed in which the ingest was not called."""
    scene = await stage(
        "opendata-pulse", checks=["ingest-invocations", "ingest-errors"], at=HALF_PAST, step=20,
        CYCLE_INTERVAL="1m", **HERE,
    )  # fmt: skip
    world = await pulse(scene)
    await world.logs(INGEST)
    await world.function(INGEST)
    point = {"namespace": "AWS/Lambda", "metric": "Invocations", "value": 1, "dimensions": {"FunctionName": INGEST}}
    await scene.side.post("metrics", points=[{**point, "ago": 3600 * hours} for hours in (2, 3, 4)])
    await world.say(INGEST, "ERROR upstream timed out")
    await scene.begin()
    await scene.until(lambda: scene.level("ingest-invocations") == "warning", within="10m")
    await scene.until(lambda: scene.level("ingest-errors") == "warning", within="10m")


async def test_b1d_a_changed_policy_is_told_with_its_age(stage):
    """Somebody put a role policy an hour ago: a warning; nobody touched the bucket's: long ago."""
    scene = await stage("opendata-pulse", checks=["role-policy-change", "bucket-policy-change"], **HERE)
    at = (scene.clock.now() - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    put = {"eventName": "PutRolePolicy", "eventSource": "iam.amazonaws.com", "eventTime": at}
    await scene.side.post("cloudtrail", records=[put])
    await scene.begin()
    assert scene.level("role-policy-change", "value") == "warning"
    assert scene.value("role-policy-change", "value") == pytest.approx(3600, abs=60)
    assert scene.level("bucket-policy-change", "value") == "ok"
    now = scene.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    put = {"eventName": "PutBucketPolicy", "eventSource": "s3.amazonaws.com", "eventTime": now}
    await scene.side.post("cloudtrail", records=[put])
    await scene.until(lambda: scene.level("bucket-policy-change", "value") == "warning", within="15m")


async def test_b2_a_backlog_gets_concurrency_and_todays_files_again(stage):
    """An hour behind: 20 at once, today's raw files without a curated one once more, the old concurrency afterwards."""
    scene = await stage(
        "opendata-pulse", breakers=["backlog"], checks=["processing-dead-letters", "etl-log-errors"], step=20,
        CYCLE_INTERVAL="5m", **HERE,
    )  # fmt: skip
    world = await pulse(scene)
    await world.logs(ETL)
    await world.say(ETL, "ERROR ParseError")
    await world.buckets(f"incident-logs-{ACCOUNT}")
    await world.function(ETL)
    await (await scene.aws("lambda")).put_function_concurrency(FunctionName=ETL, ReservedConcurrentExecutions=5)
    await (await scene.aws("sqs")).create_queue(QueueName=DLQ)
    await scene.side.post("sqs/fill", queue=DLQ, count=3, body='{"error": "ParseError"}')
    await world.put(RAW, "raw", "a")
    await world.put(CURATED, "curated", "a")
    await scene.begin()
    assert scene.level("processing-dead-letters", "visible") == scene.level("etl-log-errors", "matches") == "warning"
    await scene.advance("1m")
    for name in ("b", "c"):
        await world.put(RAW, "raw", name)
    await scene.until(breaker="open", within="2h")
    assert scene.clock.tick() > 3600
    functions = await scene.aws("lambda")
    assert (await functions.get_function_concurrency(FunctionName=ETL))["ReservedConcurrentExecutions"] == 20
    keys = [one["Records"][0]["s3"]["object"]["key"].rsplit("/", 1)[-1] for one in await world.invoked(ETL)]
    assert keys == ["b.json", "c.json"]  # the runbook runs all of today's files again
    kept = await (await scene.aws("s3")).list_objects_v2(Bucket=f"incident-logs-{ACCOUNT}")
    assert kept["KeyCount"] >= 3  # one each
    assert (await scene.side.get("sqs/messages", queue=DLQ))["messages"] == []
    assert "sqs:StartMessageMoveTask" not in [one.name for one in await changes(scene)]

    for name in ("b", "c"):
        await world.put(CURATED, "curated", name)
    await scene.until(breaker="closed", within="2h")
    assert (await functions.get_function_concurrency(FunctionName=ETL))["ReservedConcurrentExecutions"] == 5
