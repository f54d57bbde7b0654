"""OpenData Pulse (rows B5 and B8): a table that refuses, a table that is damaged."""

from __future__ import annotations

from opendata_world import HERE, TABLE, changes, pulse


async def throttled(scene, reads: float, **more) -> None:
    """Throttled reads of the table per minute, beside its traffic."""
    await scene.meter("AWS/DynamoDB", "ReadThrottleEvents", reads, TableName=TABLE, **more)
    await scene.meter("AWS/DynamoDB", "ConsumedReadCapacityUnits", 900, TableName=TABLE, **more)


async def test_b5_throttles_raise_table_and_index_and_give_both_back(stage):
    """One throttled read in five minutes is enough: 200/100 and 100/50, then 20/20 and 10/10 again."""
    scene = await stage("opendata-pulse", breakers=["table-throttling"], step=20, **HERE)
    world = await pulse(scene)
    await world.table()
    await throttled(scene, 0, since="10m")
    await scene.begin()
    await throttled(scene, 1)
    await scene.until(breaker="open", within="15m")
    assert await world.units() == ((200, 100), (100, 50))
    await throttled(scene, 0)
    await scene.advance("30m")
    assert await world.units() == ((200, 100), (100, 50))
    await scene.until(breaker="closed", within="3h")
    assert await world.units() == ((20, 20), (10, 10))


async def test_b5_a_throttled_index_counts_as_well(stage):
    """The runbook's alarm looks at the table alone, with a metric that has no data there."""
    scene = await stage("opendata-pulse", checks=["table-throttles"], **HERE)
    await (await pulse(scene)).table()
    names = {"TableName": TABLE, "GlobalSecondaryIndexName": "GeographicIndex"}
    await scene.meter("AWS/DynamoDB", "WriteThrottleEvents", 1, since="10m", **names)
    await scene.begin()
    assert scene.level("table-throttles", "throttled") == "critical"


async def test_b5_a_table_on_demand_gets_a_ceiling_not_units(stage):
    """UpdateTable with units fails on such a table; its ceiling is what can be raised, and comes back."""
    scene = await stage("opendata-pulse", breakers=["table-throttling"], step=20, **HERE)
    world = await pulse(scene)
    await world.table(on_demand=True)
    await throttled(scene, 1, since="10m")
    await scene.begin()
    await scene.until(breaker="open", within="15m")
    asked = await scene.requests("dynamodb:UpdateTable")
    assert [one.status for one in asked] == [200, 200]
    assert asked[0].params["OnDemandThroughput"] == {"MaxReadRequestUnits": 8000, "MaxWriteRequestUnits": 4000}


async def test_b5_autoscaling_is_target_and_policy_after_a_yes(stage):
    """Half an hour of throttles proposes it; target and policy come together, for reads and writes."""
    scene = await stage("opendata-pulse", breakers=["table-autoscaling"], step=20, **HERE)
    world = await pulse(scene)
    await world.table()
    await throttled(scene, 2, since="10m")
    await scene.begin()
    await scene.until(lambda: scene.breaker().approval is not None, within="1h")
    await scene.approve()
    await scene.until(breaker="open", within="10m")
    scaling = await scene.aws("application-autoscaling")
    targets = (await scaling.describe_scalable_targets(ServiceNamespace="dynamodb"))["ScalableTargets"]
    policies = (await scaling.describe_scaling_policies(ServiceNamespace="dynamodb"))["ScalingPolicies"]
    assert {(one["MinCapacity"], one["MaxCapacity"]) for one in targets} == {(5, 1000)}
    assert len(targets) == len(policies) == 2


async def test_b8_a_damaged_table_is_backed_up_and_the_last_good_backup_restored_beside_it(stage):
    """The index is gone: a backup of the damage after a yes, then the one from before it into a table of its own."""
    scene = await stage("opendata-pulse", breakers=["table-damage"], step=20, DAMAGE="30m", **HERE)
    world, tables = await pulse(scene), await scene.aws("dynamodb")
    await world.table()
    await tables.put_item(TableName=TABLE, Item={"pk": {"S": "newtown"}, "suburb": {"S": "Newtown"}})
    good = (await tables.create_backup(TableName=TABLE, BackupName="nightly"))["BackupDetails"]["BackupArn"]
    await scene.begin()
    assert scene.level("table-schema", "value") == "ok"
    await scene.advance("40m")
    gone = [{"Delete": {"IndexName": "GeographicIndex"}}]
    await tables.update_table(TableName=TABLE, GlobalSecondaryIndexUpdates=gone)
    await tables.delete_item(TableName=TABLE, Key={"pk": {"S": "newtown"}})
    await scene.until(lambda: scene.breaker().approval is not None, within="10m")
    assert await changes(scene) == []
    await scene.approve()
    await scene.until(lambda: _asks_for(scene, "restore_table"), within="10m")
    await scene.approve()
    await scene.until(breaker="open", within="30m")
    assert [one.name for one in await changes(scene)] == ["dynamodb:CreateBackup", "dynamodb:RestoreTableFromBackup"]
    asked = (await scene.requests("dynamodb:RestoreTableFromBackup"))[0].params
    assert asked["BackupArn"] == good  # not the one of the damage, which is newer
    restored = (await tables.describe_table(TableName=f"{TABLE}-restored"))["Table"]
    assert restored["TableStatus"] == "ACTIVE"
    assert [one["IndexName"] for one in restored["GlobalSecondaryIndexes"]] == ["GeographicIndex"]
    found = await tables.get_item(TableName=f"{TABLE}-restored", Key={"pk": {"S": "newtown"}})
    assert found["Item"]["suburb"] == {"S": "Newtown"}
    damaged = (await tables.describe_table(TableName=TABLE))["Table"]
    assert not damaged.get("GlobalSecondaryIndexes")  # the repair or the switch is a person's


def _asks_for(scene, verb: str) -> bool:
    """Whether a step of that action waits for a yes."""
    waiting = [one for one in scene.breaker().steps if one.gate == "approval"]
    return scene.breaker().approval is not None and [one.verb for one in waiting] == [verb]


async def test_b5_reads_near_what_is_provisioned_are_told(stage):
    """Seventeen of twenty units a second are a warning, before anything is throttled."""
    scene = await stage("opendata-pulse", checks=["table-capacity"], **HERE)
    await (await pulse(scene)).table()
    await scene.meter("AWS/DynamoDB", "ProvisionedReadCapacityUnits", 20, since="10m", TableName=TABLE)
    await scene.meter("AWS/DynamoDB", "ConsumedReadCapacityUnits", 17 * 60, since="10m", TableName=TABLE)
    await scene.begin()
    assert scene.level("table-capacity", "value") == "warning"


async def test_b2_a_table_that_nobody_writes_to_is_told(stage):
    """Units in the first hour, none for two hours after it."""
    scene = await stage("opendata-pulse", checks=["table-writes"], step=20, **HERE)
    await (await pulse(scene)).table()
    await scene.meter("AWS/DynamoDB", "ConsumedWriteCapacityUnits", 5, since="3h", TableName=TABLE)
    await scene.begin()
    assert scene.level("table-writes", "value") == "ok"
    await scene.meter("AWS/DynamoDB", "ConsumedWriteCapacityUnits", None, TableName=TABLE)
    await scene.until(lambda: scene.level("table-writes", "value") == "warning", within="3h")
