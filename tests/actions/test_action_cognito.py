"""set_auth_flows, login_canary, reset_password."""
# ruff: noqa: N803 - the fakes take AWS's own parameter names

import json

import pytest

from monitor.actions.login_canary import ACTION as LOGIN
from monitor.actions.reset_password import ACTION as PASSWORD
from monitor.actions.set_auth_flows import ACTION as FLOWS
from monitor.plugin import ActionError, ProbeError, Reason
from monitor.testing import FakeActionContext, assert_action_conforms, run_action

POOL, CLIENT = "us-east-1_abc", "client1"
HERE = {"pool": POOL, "client": CLIENT}
WANTED = ["ALLOW_REFRESH_TOKEN_AUTH", "ALLOW_USER_PASSWORD_AUTH"]
SETTINGS = {
    "UserPoolId": POOL, "ClientId": CLIENT, "ClientName": "web", "CallbackURLs": ["https://a.example"],
    "RefreshTokenValidity": 7, "TokenValidityUnits": {"RefreshToken": "days"}, "AllowedOAuthScopes": ["openid"],
    "EnableTokenRevocation": False, "SupportedIdentityProviders": ["COGNITO", "Corporate"],
}  # fmt: skip
SECRET = "Tr0ub4dor&3"


class Cognito:
    """One client and one user; an update replaces everything."""

    def __init__(self, flows=None, password=SECRET, status="CONFIRMED"):
        self.client = {**SETTINGS, **({"ExplicitAuthFlows": flows} if flows else {})}
        self.password, self.status, self.refusals = password, status, []

    @property
    def replies(self):
        return {
            "cognito-idp.DescribeUserPoolClient": lambda **p: {
                "UserPoolClient": {**self.client, "ClientSecret": "s3cret", "CreationDate": 1, "LastModifiedDate": 2}
            },
            "cognito-idp.UpdateUserPoolClient": self.update,
            "cognito-idp.AdminInitiateAuth": self.sign_in,
            "cognito-idp.AdminGetUser": lambda **p: {"Username": "canary", "UserStatus": self.status},
            "cognito-idp.AdminSetUserPassword": self.set_password,
        }

    def update(self, **asked):
        self.client = {"UserPoolId": POOL, "ClientId": CLIENT, "ClientName": "web", **asked}
        return {"UserPoolClient": self.client}

    def sign_in(self, *, UserPoolId, ClientId, AuthFlow, AuthParameters):
        self.asked = AuthParameters
        if self.refusals:
            raise self.refusals.pop(0)
        if AuthParameters["PASSWORD"] != self.password:
            raise ActionError(Reason.INVALID, "cognito-idp:AdminInitiateAuth: NotAuthorizedException: Incorrect")
        if self.status != "CONFIRMED":
            return {"ChallengeName": "NEW_PASSWORD_REQUIRED"}
        return {"AuthenticationResult": {"AccessToken": "never-shown"}}

    def set_password(self, *, UserPoolId, Username, Password, Permanent):
        self.password, self.status = Password, "CONFIRMED" if Permanent else "FORCE_CHANGE_PASSWORD"
        return {}


def context(aws, secret=SECRET):
    """With what stands behind the references."""
    return FakeActionContext(aws, secrets={"env:CANARY": secret, "env:CLIENT": "client-secret"})


@pytest.mark.parametrize(
    "before",
    [None, ["ADMIN_NO_SRP_AUTH"], ["ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]],
    ids=["default", "legacy", "others"],
)
async def test_flows_change_and_nothing_else_does(fake, before):
    """Every other setting is written back; undo puts the flows back, legacy ones too."""
    cognito = Cognito(before)
    aws = fake(cognito.replies, action=FLOWS)
    run = await run_action(FLOWS, {**HERE, "flows": WANTED[::-1]}, aws)
    assert cognito.client == {**SETTINGS, "ExplicitAuthFlows": WANTED}
    assert run.receipt.applied == WANTED
    cognito.client["CallbackURLs"] = ["https://b.example"]  # somebody adds a redirect meanwhile
    await run.undo(FLOWS)
    flows = {"ExplicitAuthFlows": sorted(before)} if before else {}
    assert cognito.client == {**SETTINGS, "CallbackURLs": ["https://b.example"], **flows}


async def test_flows_conform(fake):
    """Apply, apply again, undo."""
    await assert_action_conforms(FLOWS, {**HERE, "flows": WANTED}, lambda: fake(Cognito(["ALLOW_USER_AUTH"]).replies))


@pytest.mark.parametrize("flow", ["ADMIN_NO_SRP_AUTH", "USER_PASSWORD_AUTH", "ALLOW_ANYTHING"])
def test_legacy_flows_are_refused_at_load(flow):
    """They can't stand beside the others."""
    with pytest.raises(ValueError, match="ALLOW_USER_SRP_AUTH"):
        FLOWS.params(**HERE, flows=[flow])


WHO = {**HERE, "username": "canary", "password": "env:CANARY"}


async def test_a_sign_in_that_works_tells_no_secret(fake):
    """Neither the password nor a token is in the change, the receipt or the memory."""
    aws = fake(Cognito().replies, action=LOGIN)
    ctx = context(aws)
    run = await run_action(LOGIN, WHO, aws, ctx)
    assert run.receipt.data == {"tries": 1, "seconds": 0}
    kept = json.dumps([run.change.params, run.change.summary, run.receipt.detail, dict(ctx.memory)], default=str)
    assert SECRET not in kept
    assert "never-shown" not in kept


async def test_a_client_with_a_secret_gets_the_hash(fake):
    """HMAC-SHA256 of user and client, keyed by the client's secret."""
    cognito = Cognito()
    aws = fake(cognito.replies)
    await run_action(LOGIN, {**WHO, "client_secret": "env:CLIENT"}, aws, context(aws))
    assert cognito.asked["SECRET_HASH"] == "qYMppUOCSoiCYYVWrB5FmYtPtJbnF8fhlACcAX7RXlI="


async def test_a_refusal_is_asked_again_until_it_works(fake):
    """A flow that is being put back."""
    cognito = Cognito()
    cognito.refusals = [ActionError(Reason.INVALID, "InvalidParameterException: Auth flow not enabled")] * 2
    aws = fake(cognito.replies)
    ctx = context(aws)
    run = await run_action(LOGIN, {**WHO, "within": "5m"}, aws, ctx)
    assert run.receipt.data == {"tries": 3, "seconds": 60}


@pytest.mark.parametrize(
    ("cognito", "words"),
    [
        (Cognito(password="another"), "Incorrect"),
        (Cognito(status="FORCE_CHANGE_PASSWORD"), "permanent password"),
    ],
)
async def test_a_sign_in_that_fails_fails_the_step(fake, cognito, words):
    """With AWS's words, or the challenge's name; a retry has the same patience."""
    aws = fake(cognito.replies)
    ctx = context(aws)
    for _ in range(2):
        with pytest.raises(ActionError, match=words) as caught:
            await run_action(LOGIN, {**WHO, "within": "1m"}, aws, ctx)
        assert caught.value.reason is Reason.INVALID
    assert aws.count("cognito-idp.AdminInitiateAuth") == 6
    assert SECRET not in str(caught.value)


async def test_what_is_no_verdict_on_the_sign_in_is_left_to_the_retries(fake):
    """Throttled, or not allowed to the daemon."""
    cognito = Cognito()
    cognito.refusals = [ActionError(Reason.THROTTLED, "slow down")]
    aws = fake(cognito.replies)
    with pytest.raises(ActionError, match="slow down"):
        await run_action(LOGIN, WHO, aws, context(aws))


@pytest.mark.parametrize("action", [LOGIN, PASSWORD], ids=lambda action: action.name)
def test_a_password_in_the_file_is_an_error(action):
    """References only."""
    given = {**WHO, "password": SECRET}
    if action is PASSWORD:
        given.pop("client")
    with pytest.raises(ValueError, match="a secret belongs in no file"):
        action.params(**given)


@pytest.mark.parametrize(("permanent", "status"), [(True, "CONFIRMED"), (False, "FORCE_CHANGE_PASSWORD")])
async def test_a_password_is_set_and_seen_by_its_effect(fake, permanent, status):
    """The plan says that there is no way back."""
    cognito = Cognito(password="forgotten", status="RESET_REQUIRED")
    aws = fake(cognito.replies, action=PASSWORD)
    params = {"pool": POOL, "username": "canary", "password": "env:CANARY", "permanent": permanent}
    run = await run_action(PASSWORD, params, aws, context(aws))
    assert (cognito.password, cognito.status) == (SECRET, status)
    assert run.prior == {"status": "RESET_REQUIRED"}
    assert "can't be undone" in run.change.summary
    assert SECRET not in json.dumps([run.change.params, run.receipt.detail])


async def test_no_user_no_password(fake):
    """Not found, before anything is called."""
    aws = fake({"cognito-idp.AdminGetUser": ProbeError(Reason.NOT_FOUND, "UserNotFoundException")})
    with pytest.raises(ProbeError, match="UserNotFound"):
        await run_action(PASSWORD, {"pool": POOL, "username": "x", "password": "env:CANARY"}, aws, context(aws))
    assert aws.mutations == []
