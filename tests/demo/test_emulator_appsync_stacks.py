"""AppSync's resolvers and CloudFormation's ways back."""

import pytest
from botocore.exceptions import ClientError

from monitor.demo.emulator.appsync import api_id

pytestmark = pytest.mark.process

RESOLVER = {"typeName": "Query", "fieldName": "air", "dataSourceName": "table"}


async def test_update_resolver_replaces_what_it_leaves_out(aws, side):
    """A request with caching alone loses the data source: that is what the runbook's command does."""
    client = await aws("appsync")
    api = (await client.create_graphql_api(name="pulse", authenticationType="API_KEY"))["graphqlApi"]["apiId"]
    assert api == api_id("pulse")
    await client.create_resolver(apiId=api, **RESOLVER)
    caching = {"ttl": 1800, "cachingKeys": ["$context.arguments.suburb"]}
    await client.update_resolver(apiId=api, typeName="Query", fieldName="air", cachingConfig=caching)
    found = (await client.get_resolver(apiId=api, typeName="Query", fieldName="air"))["resolver"]
    assert found["cachingConfig"] == caching
    assert "dataSourceName" not in found
    assert len((await client.list_resolvers(apiId=api, typeName="Query"))["resolvers"]) == 1


@pytest.mark.parametrize("field", ["nothing", "air"])
async def test_a_resolver_that_is_not_there_is_not_found(aws, side, field):
    """Neither of a known API nor of an unknown one."""
    client = await aws("appsync")
    api = "nowhere"
    if field == "air":
        api = (await client.create_graphql_api(name="pulse", authenticationType="API_KEY"))["graphqlApi"]["apiId"]
    with pytest.raises(ClientError, match="NotFoundException"):
        await client.get_resolver(apiId=api, typeName="Query", fieldName=field)


@pytest.mark.parametrize(
    ("state", "operation"),
    [
        ("UPDATE_IN_PROGRESS", "cancel_update_stack"),
        ("UPDATE_FAILED", "rollback_stack"),
        ("UPDATE_ROLLBACK_FAILED", "continue_update_rollback"),
    ],
)
async def test_each_state_has_one_way_back(aws, side, state, operation):
    """The others are refused; the roll back takes its time."""
    client = await aws("cloudformation")
    await side.post("stacks", name="api", state=state, reason="no")
    for other in ("cancel_update_stack", "rollback_stack", "continue_update_rollback"):
        if other != operation:
            with pytest.raises(ClientError, match="ValidationError"):
                await getattr(client, other)(StackName="api")
    await getattr(client, operation)(StackName="api")
    assert await status(client) == "UPDATE_ROLLBACK_IN_PROGRESS"
    await side.post("clock", offset=60)
    assert await status(client) == "UPDATE_ROLLBACK_COMPLETE"


async def test_an_unknown_stack_is_a_validation_error(aws, side):
    """As AWS says it; a known one tells its last event."""
    client = await aws("cloudformation")
    with pytest.raises(ClientError, match="does not exist"):
        await client.describe_stacks(StackName="api")
    await side.post("stacks", name="api", state="UPDATE_FAILED", reason="quota")
    (event,) = (await client.describe_stack_events(StackName="api"))["StackEvents"]
    assert (event["ResourceStatus"], event["ResourceStatusReason"]) == ("UPDATE_FAILED", "quota")


async def status(client) -> str:
    """Of the stack."""
    return str((await client.describe_stacks(StackName="api"))["Stacks"][0]["StackStatus"])
