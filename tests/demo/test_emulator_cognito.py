"""Cognito's pools and clients: ids known before, settings that an update resets."""

import pytest
from botocore.exceptions import ClientError

from monitor.demo.emulator.cognito import client_id, pool_id

pytestmark = pytest.mark.process


async def test_an_update_resets_what_it_leaves_out(aws, side):
    """The name stays, the callback goes, the validity is the default again."""
    client = await aws("cognito-idp")
    assert (await client.create_user_pool(PoolName="pulse"))["UserPool"]["Id"] == pool_id("pulse")
    which = {"UserPoolId": pool_id("pulse"), "ClientId": client_id("web")}
    await client.create_user_pool_client(
        UserPoolId=pool_id("pulse"), ClientName="web", CallbackURLs=["https://a.example"], RefreshTokenValidity=7
    )
    await client.update_user_pool_client(**which, ExplicitAuthFlows=["ALLOW_REFRESH_TOKEN_AUTH"])
    found = (await client.describe_user_pool_client(**which))["UserPoolClient"]
    assert (found["ClientName"], found["RefreshTokenValidity"]) == ("web", 30)
    assert "CallbackURLs" not in found


async def test_unknown_pools_and_mixed_flows_are_refused(aws, side):
    """As AWS refuses them."""
    client = await aws("cognito-idp")
    with pytest.raises(ClientError, match="ResourceNotFound"):
        await client.describe_user_pool(UserPoolId=pool_id("pulse"))
    await client.create_user_pool(PoolName="pulse")
    with pytest.raises(ClientError, match="InvalidParameter"):
        await client.create_user_pool_client(
            UserPoolId=pool_id("pulse"),
            ClientName="web",
            ExplicitAuthFlows=["USER_PASSWORD_AUTH", "ALLOW_USER_SRP_AUTH"],
        )
