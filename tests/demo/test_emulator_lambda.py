"""Lambda: limits, refusals, mappings."""

import asyncio
import io
import zipfile

import pytest
from botocore.exceptions import ClientError

pytestmark = pytest.mark.process


def bundle():
    """A deployment package."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("handler.py", "def main(event, context):\n    return None\n")
    return packed.getvalue()


async def make_function(aws, name="f"):
    """A client, the function made."""
    role = (await (await aws("iam")).create_role(RoleName=name, AssumeRolePolicyDocument="{}"))["Role"]["Arn"]
    client = await aws("lambda")
    code = {"ZipFile": bundle()}
    await client.create_function(FunctionName=name, Runtime="python3.11", Role=role, Handler="handler.main", Code=code)
    return client


async def test_account_settings_follow_reservations(aws, side):
    """Unreserved is the limit less what is reserved."""
    client = await make_function(aws)
    await client.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=300)
    limits = (await client.get_account_settings())["AccountLimit"]
    assert (limits["ConcurrentExecutions"], limits["UnreservedConcurrentExecutions"]) == (1000, 700)


async def test_hundred_stay_unreserved(aws, side):
    """900 fits, 901 does not and changes nothing; lowering is possible even when the account's limit fell."""
    client = await make_function(aws)
    await client.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=900)
    with pytest.raises(ClientError, match="below its minimum value of \\[100\\]") as error:
        await client.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=901)
    assert error.value.response["Error"]["Code"] == "InvalidParameterValueException"
    assert (await client.get_function_concurrency(FunctionName="f"))["ReservedConcurrentExecutions"] == 900
    await side.post("lambda/settings", limit=500)
    await client.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=800)


async def test_zero_is_not_unset(aws, side):
    """Reserved 0 refuses invocations; unset again, it answers what the test set."""
    client = await make_function(aws)
    await side.post("lambda/settings", invocations={"f": {"payload": {"done": 1}}})
    await client.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=0)
    assert (await client.get_function_concurrency(FunctionName="f"))["ReservedConcurrentExecutions"] == 0
    with pytest.raises(client.exceptions.TooManyRequestsException):
        await client.invoke(FunctionName="f")
    await client.delete_function_concurrency(FunctionName="f")
    assert "ReservedConcurrentExecutions" not in await client.get_function_concurrency(FunctionName="f")
    reply = await client.invoke(FunctionName="f")
    assert await reply["Payload"].read() == b'{"done": 1}'


async def test_unknown_function_is_not_found(aws, side):
    """Every call on a missing function says so."""
    client = await aws("lambda")
    for call in (
        client.invoke(FunctionName="none"),
        client.get_function_concurrency(FunctionName="none"),
        client.put_function_concurrency(FunctionName="none", ReservedConcurrentExecutions=1),
    ):
        with pytest.raises(ClientError) as error:
            await call
        assert error.value.response["Error"]["Code"] == "ResourceNotFoundException"


async def test_mapping_passes_through_states(aws, side):
    """Disabling, then Disabled; an update meanwhile is refused; the same for enabling."""
    client = await make_function(aws)
    await side.post("lambda/settings", mapping_seconds=0.4)
    await (await aws("sqs")).create_queue(QueueName="q")
    arn = "arn:aws:sqs:us-east-1:123456789012:q"
    uuid = (await client.create_event_source_mapping(FunctionName="f", EventSourceArn=arn))["UUID"]
    assert (await client.get_event_source_mapping(UUID=uuid))["State"] == "Enabled"
    assert (await client.update_event_source_mapping(UUID=uuid, Enabled=False))["State"] == "Disabling"
    with pytest.raises(ClientError) as error:
        await client.update_event_source_mapping(UUID=uuid, Enabled=True)
    assert error.value.response["Error"]["Code"] == "ResourceInUseException"
    await asyncio.sleep(0.5)
    assert (await client.list_event_source_mappings(FunctionName="f"))["EventSourceMappings"][0]["State"] == "Disabled"
    assert (await client.update_event_source_mapping(UUID=uuid, Enabled=True))["State"] == "Enabling"
    await asyncio.sleep(0.5)
    assert (await client.get_event_source_mapping(UUID=uuid))["State"] == "Enabled"


async def test_unknown_mapping_is_not_found(aws, side):
    """A wrong UUID is an error, not an empty success."""
    client = await aws("lambda")
    for name in ("get_event_source_mapping", "update_event_source_mapping", "delete_event_source_mapping"):
        with pytest.raises(ClientError) as error:
            await getattr(client, name)(UUID="00000000-0000-0000-0000-000000000000")
        assert error.value.response["Error"]["Code"] == "ResourceNotFoundException"


async def test_messages_wait_for_a_consumer(aws, side):
    """A mapping runs no function here: sent messages stay until someone receives them."""
    client, sqs = await make_function(aws), await aws("sqs")
    url = (await sqs.create_queue(QueueName="q"))["QueueUrl"]
    arn = "arn:aws:sqs:us-east-1:123456789012:q"
    await client.create_event_source_mapping(FunctionName="f", EventSourceArn=arn)
    await sqs.send_message(QueueUrl=url, MessageBody="x")
    (message,) = (await sqs.receive_message(QueueUrl=url, AttributeNames=["All"]))["Messages"]
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
