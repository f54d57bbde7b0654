"""Lambda: revisions, versions, provisioned concurrency; DynamoDB and Application Auto Scaling: what AWS refuses."""

import asyncio

import pytest
from botocore.exceptions import ClientError
from test_emulator_lambda import make_function

pytestmark = pytest.mark.process


def code_of(error):
    """AWS's code."""
    return error.value.response["Error"]["Code"]


async def test_a_stale_revision_is_refused(aws, side):
    """Of a function and of an alias; a fresh one is accepted and is a new one afterwards."""
    client = await make_function(aws)
    config = await client.get_function_configuration(FunctionName="f")
    first = await client.publish_version(FunctionName="f")
    alias = await client.create_alias(FunctionName="f", Name="LIVE", FunctionVersion=first["Version"])
    changed = await client.update_function_configuration(
        FunctionName="f", MemorySize=256, RevisionId=config["RevisionId"]
    )
    assert changed["RevisionId"] != config["RevisionId"]
    for call in (
        client.update_function_configuration(FunctionName="f", MemorySize=512, RevisionId=config["RevisionId"]),
        client.publish_version(FunctionName="f", RevisionId=config["RevisionId"]),
        client.update_alias(FunctionName="f", Name="LIVE", RevisionId="0"),
    ):
        with pytest.raises(ClientError) as error:
            await call
        assert code_of(error) == "PreconditionFailedException"
    moved = await client.update_alias(FunctionName="f", Name="LIVE", Description="x", RevisionId=alias["RevisionId"])
    assert moved["RevisionId"] != alias["RevisionId"]


async def test_a_published_version_never_changes(aws, side):
    """An update is seen by $LATEST only; publishing twice without a change gives the same version."""
    client = await make_function(aws)
    one = (await client.publish_version(FunctionName="f"))["Version"]
    await client.update_function_configuration(FunctionName="f", Environment={"Variables": {"A": "1"}})
    two = (await client.publish_version(FunctionName="f"))["Version"]
    again = (await client.publish_version(FunctionName="f"))["Version"]
    seen = [
        (await client.get_function_configuration(FunctionName="f", Qualifier=v)).get("Environment") for v in (one, two)
    ]
    assert (seen, again) == ([None, {"Variables": {"A": "1"}}], two)
    with pytest.raises(ClientError) as error:
        await client.publish_version(FunctionName="f", CodeSha256="other")
    assert code_of(error) == "InvalidParameterValueException"


async def test_an_update_takes_its_time(aws, side):
    """Meanwhile LastUpdateStatus says so, and another update is refused."""
    client = await make_function(aws)
    await side.post("lambda/settings", function_seconds=0.5)
    reply = await client.update_function_configuration(FunctionName="f", MemorySize=256)
    assert reply["LastUpdateStatus"] == "InProgress"
    with pytest.raises(ClientError) as error:
        await client.update_function_configuration(FunctionName="f", MemorySize=512)
    assert code_of(error) == "ResourceConflictException"
    await asyncio.sleep(0.6)
    assert (await client.get_function_configuration(FunctionName="f"))["LastUpdateStatus"] == "Successful"


async def test_versions_come_by_the_page(aws, side):
    """Two per page, to the end."""
    client = await make_function(aws)
    for number in range(4):
        await client.update_function_configuration(FunctionName="f", MemorySize=128 + number)
        await client.publish_version(FunctionName="f")
    found, marker = [], {}
    while True:
        page = await client.list_versions_by_function(FunctionName="f", MaxItems=2, **marker)
        found += [row["Version"] for row in page["Versions"]]
        assert len(page["Versions"]) <= 2
        if "NextMarker" not in page:
            break
        marker = {"Marker": page["NextMarker"]}
    assert found == ["$LATEST", "1", "2", "3", "4"]


async def test_provisioned_concurrency_belongs_to_what_is_published(aws, side):
    """It warms up, is listed, can be deleted; $LATEST and too many are refused."""
    client = await make_function(aws)
    version = (await client.publish_version(FunctionName="f"))["Version"]
    await client.create_alias(FunctionName="f", Name="LIVE", FunctionVersion=version)
    await side.post("lambda/settings", provisioned_seconds=0.3)
    live = {"FunctionName": "f", "Qualifier": "LIVE"}
    with pytest.raises(ClientError) as error:
        await client.get_provisioned_concurrency_config(**live)
    assert code_of(error) == "ProvisionedConcurrencyConfigNotFoundException"
    for qualifier, amount in (("$LATEST", 1), ("LIVE", 901)):
        with pytest.raises(ClientError) as error:
            await client.put_provisioned_concurrency_config(
                FunctionName="f", Qualifier=qualifier, ProvisionedConcurrentExecutions=amount
            )
        assert code_of(error) == "InvalidParameterValueException"
    await client.put_provisioned_concurrency_config(**live, ProvisionedConcurrentExecutions=50)
    assert (await client.get_provisioned_concurrency_config(**live))["Status"] == "IN_PROGRESS"
    await asyncio.sleep(0.4)
    (row,) = (await client.list_provisioned_concurrency_configs(FunctionName="f"))["ProvisionedConcurrencyConfigs"]
    assert (row["Status"], row["AllocatedProvisionedConcurrentExecutions"]) == ("READY", 50)
    assert row["FunctionArn"].endswith(":function:f:LIVE")
    await client.delete_provisioned_concurrency_config(**live)
    assert (await client.list_provisioned_concurrency_configs(FunctionName="f"))["ProvisionedConcurrencyConfigs"] == []


async def test_an_event_is_handed_over(aws, side):
    """202 and no answer; a qualifier that does not exist is not found."""
    client = await make_function(aws)
    reply = await client.invoke(FunctionName="f", InvocationType="Event", Payload=b'{"a": 1}')
    assert (reply["StatusCode"], await reply["Payload"].read()) == (202, b"")
    with pytest.raises(ClientError) as error:
        await client.invoke(FunctionName="f", Qualifier="LIVE")
    assert code_of(error) == "ResourceNotFoundException"


async def make_table(client, **more):
    """`t`, with one index."""
    units = {"ReadCapacityUnits": 10, "WriteCapacityUnits": 5}
    await client.create_table(
        TableName="hot", KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in ("k", "g")],
        GlobalSecondaryIndexes=[{
            "IndexName": "geo", "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"}, "ProvisionedThroughput": units,
        }],
        ProvisionedThroughput=units, **more,
    )  # fmt: skip


def units(read, write):
    """As the API writes them."""
    return {"ReadCapacityUnits": read, "WriteCapacityUnits": write}


async def test_one_update_of_a_table_at_a_time(aws, side):
    """UPDATING for a while, then ACTIVE with the new units; the same units again are refused."""
    client = await aws("dynamodb")
    await make_table(client)
    await side.post("lambda/settings", table_seconds=0.4)
    await client.update_table(TableName="hot", ProvisionedThroughput=units(20, 5))
    assert (await client.describe_table(TableName="hot"))["Table"]["TableStatus"] == "UPDATING"
    with pytest.raises(ClientError) as error:
        await client.update_table(TableName="hot", ProvisionedThroughput=units(30, 5))
    assert code_of(error) == "ResourceInUseException"
    await asyncio.sleep(0.5)
    with pytest.raises(ClientError) as error:
        await client.update_table(TableName="hot", ProvisionedThroughput=units(20, 5))
    assert code_of(error) == "ValidationException"
    seen = (await client.describe_table(TableName="hot"))["Table"]
    assert (seen["TableStatus"], seen["ProvisionedThroughput"]["ReadCapacityUnits"]) == ("ACTIVE", 20)


async def test_decreases_are_limited(aws, side):
    """Four, then one an hour."""
    client = await aws("dynamodb")
    await make_table(client)
    for read in (9, 8, 7, 6):
        await client.update_table(TableName="hot", ProvisionedThroughput=units(read, 5))
    with pytest.raises(ClientError) as error:
        await client.update_table(TableName="hot", ProvisionedThroughput=units(5, 5))
    assert code_of(error) == "LimitExceededException"
    await client.update_table(TableName="hot", ProvisionedThroughput=units(50, 5))


async def test_on_demand_has_no_units_but_a_ceiling(aws, side):
    """Units are refused there, going back needs them for the index too, and the fifth switch a day is refused."""
    client = await aws("dynamodb")
    await make_table(client)
    back = {
        "BillingMode": "PROVISIONED", "ProvisionedThroughput": units(10, 5),
        "GlobalSecondaryIndexUpdates": [{"Update": {"IndexName": "geo", "ProvisionedThroughput": units(10, 5)}}],
    }  # fmt: skip
    await client.update_table(TableName="hot", BillingMode="PAY_PER_REQUEST")
    for wrong in ({"ProvisionedThroughput": units(1, 1)}, {**back, "GlobalSecondaryIndexUpdates": []}):
        with pytest.raises(ClientError) as error:
            await client.update_table(TableName="hot", **{k: v for k, v in wrong.items() if v})
        assert code_of(error) == "ValidationException"
    await client.update_table(TableName="hot", OnDemandThroughput={"MaxReadRequestUnits": 100})
    seen = (await client.describe_table(TableName="hot"))["Table"]
    assert seen["OnDemandThroughput"] == {"MaxReadRequestUnits": 100}
    assert seen["ProvisionedThroughput"]["ReadCapacityUnits"] == 0
    await client.update_table(TableName="hot", OnDemandThroughput={"MaxReadRequestUnits": -1})
    assert "OnDemandThroughput" not in (await client.describe_table(TableName="hot"))["Table"]
    for _ in range(3):
        await client.update_table(TableName="hot", **back)
        await client.update_table(TableName="hot", BillingMode="PAY_PER_REQUEST")
    await client.update_table(TableName="hot", **back)
    with pytest.raises(ClientError) as error:
        await client.update_table(TableName="hot", BillingMode="PAY_PER_REQUEST")
    assert code_of(error) == "LimitExceededException"


async def test_a_scaling_target_takes_its_policies_with_it(aws, side):
    """A policy needs a target, there is one per metric, and deregistering deletes it."""
    await make_table(await aws("dynamodb"))
    client = await aws("application-autoscaling")
    where = {
        "ServiceNamespace": "dynamodb", "ResourceId": "table/t",
        "ScalableDimension": "dynamodb:table:ReadCapacityUnits",
    }  # fmt: skip
    metric = {"PredefinedMetricType": "DynamoDBReadCapacityUtilization"}
    policy = {
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {"TargetValue": 70.0, "PredefinedMetricSpecification": metric},
    }
    for refused in (
        client.put_scaling_policy(**where, PolicyName="p", **policy),
        client.deregister_scalable_target(**where),
    ):
        with pytest.raises(ClientError) as error:
            await refused
        assert code_of(error) == "ObjectNotFoundException"
    await client.register_scalable_target(**where, MinCapacity=5, MaxCapacity=1000)
    await client.put_scaling_policy(**where, PolicyName="p", **policy)
    with pytest.raises(ClientError) as error:
        await client.put_scaling_policy(**where, PolicyName="q", **policy)
    assert code_of(error) == "ValidationException"
    await client.deregister_scalable_target(**where)
    assert (await client.describe_scaling_policies(ServiceNamespace="dynamodb"))["ScalingPolicies"] == []


async def test_a_restored_table_is_being_created_until_its_data_is_there(aws, side):
    """CREATING, then ACTIVE with its items and billing mode, and where it came from; never over a table."""
    client = await aws("dynamodb")
    key = [{"AttributeName": "pk", "KeyType": "HASH"}]
    names = [{"AttributeName": "pk", "AttributeType": "S"}]
    await client.create_table(TableName="hot", KeySchema=key, AttributeDefinitions=names, BillingMode="PAY_PER_REQUEST")
    await client.put_item(TableName="hot", Item={"pk": {"S": "a"}})
    arn = (await client.create_backup(TableName="hot", BackupName="nightly"))["BackupDetails"]["BackupArn"]
    await side.post("lambda/settings", table_seconds=60)
    await client.restore_table_from_backup(TargetTableName="hot-2", BackupArn=arn)
    seen = (await client.describe_table(TableName="hot-2"))["Table"]
    assert (seen["TableStatus"], seen["RestoreSummary"]["RestoreInProgress"]) == ("CREATING", True)
    assert seen["RestoreSummary"]["SourceBackupArn"] == arn
    await side.post("clock", offset=61)
    seen = (await client.describe_table(TableName="hot-2"))["Table"]
    assert (seen["TableStatus"], seen["BillingModeSummary"]["BillingMode"]) == ("ACTIVE", "PAY_PER_REQUEST")
    assert (await client.scan(TableName="hot-2"))["Count"] == 1
    with pytest.raises(ClientError, match="TableAlreadyExists"):
        await client.restore_table_from_backup(TargetTableName="hot-2", BackupArn=arn)
