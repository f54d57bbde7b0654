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


async def test_signing_in_needs_the_flow_the_user_and_a_permanent_password(aws, side):
    """Refused, challenged, let in."""
    client, pool = await aws("cognito-idp"), pool_id("pulse")
    await client.create_user_pool(PoolName="pulse")
    await client.create_user_pool_client(UserPoolId=pool, ClientName="web")
    await client.admin_create_user(UserPoolId=pool, Username="canary", TemporaryPassword="first")
    asked = {"UserPoolId": pool, "ClientId": client_id("web"), "AuthFlow": "ADMIN_USER_PASSWORD_AUTH"}
    given = {"USERNAME": "canary", "PASSWORD": "first"}
    with pytest.raises(ClientError, match="not enabled"):
        await client.admin_initiate_auth(**asked, AuthParameters=given)
    await client.update_user_pool_client(
        UserPoolId=pool, ClientId=client_id("web"), ExplicitAuthFlows=["ALLOW_ADMIN_USER_PASSWORD_AUTH"]
    )
    reply = await client.admin_initiate_auth(**asked, AuthParameters=given)
    assert reply["ChallengeName"] == "NEW_PASSWORD_REQUIRED"
    await client.admin_set_user_password(UserPoolId=pool, Username="canary", Password="second", Permanent=True)
    assert (await client.admin_get_user(UserPoolId=pool, Username="canary"))["UserStatus"] == "CONFIRMED"
    with pytest.raises(ClientError, match="NotAuthorized"):
        await client.admin_initiate_auth(**asked, AuthParameters=given)
    reply = await client.admin_initiate_auth(**asked, AuthParameters={**given, "PASSWORD": "second"})
    assert reply["AuthenticationResult"]["ExpiresIn"] == 3600
    with pytest.raises(ClientError, match="UserNotFound"):
        await client.admin_get_user(UserPoolId=pool, Username="nobody")
