"""Signs a canary user in to a Cognito user pool: what follows holds until it works.

Asked by AdminInitiateAuth, so the client must allow ALLOW_ADMIN_USER_PASSWORD_AUTH. The password is a secret reference,
resolved for the one call and kept nowhere; the tokens that come back are thrown away. A refusal that may pass (a wrong
password may be on its way, a flow may be put back) is asked again every 30 s until `within` is over; then the step
fails for a person to look. It changes nothing but the user's last sign-in, and can't be undone.
Source: Cognito API reference, AdminInitiateAuth (SECRET_HASH: for clients with a secret).

Blast radius: one sign-in of one user who exists for this.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import datetime, timedelta

from pydantic import Field

from monitor.actions.secret_reference import SecretReference
from monitor.plugin import (
    Action,
    ActionContext,
    ActionError,
    Change,
    Duration,
    Json,
    Params,
    Permission,
    Reason,
    Receipt,
    Risk,
    need,
)

_PAUSE = 30.0


class LoginParams(Params):
    """Who signs in, where."""

    pool: str = Field(description="Id of the user pool.", min_length=1)
    client: str = Field(description="Id of the client.", min_length=1)
    username: str = Field(description="The canary user.", min_length=1)
    password: SecretReference = Field(description="Secret reference to its password.")
    client_secret: SecretReference | None = Field(
        default=None, description="Secret reference to the client's secret, if it has one."
    )
    within: Duration = Field(default=timedelta(0), description="It must have worked by then; 0: at once.")


def plan(params: LoginParams, now: datetime) -> Change:
    """Pure; references are shown, secrets are not known here."""
    shown = params.model_dump(mode="json")
    return Change(
        action="login_canary",
        resource=f"cognito/{params.pool}",
        wanted=None,
        summary=f"sign the canary user in to {params.pool}; it has to work"
        + (f" within {shown['within']}" if params.within else ""),
        params=shown,
    )


async def capture(change: Change, ctx: ActionContext) -> Json:
    """Nothing is changed, so nothing is kept."""
    return None


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """Raises ActionError(invalid) when it does not work in time. `data`: tries, seconds."""
    params = LoginParams.model_validate(change.params)
    if "began" not in ctx.memory:
        await ctx.remember(began=ctx.now().isoformat())
    began, tries = datetime.fromisoformat(str(ctx.memory["began"])), 0
    while True:
        tries += 1
        refused = await _sign_in(params, ctx)
        took = round((ctx.now() - began).total_seconds())
        if refused is None:
            data: dict[str, Json] = {"tries": tries, "seconds": took}
            return Receipt(change=change, changed=True, detail=f"the sign-in works (try {tries})", data=data)
        left = (began + params.within - ctx.now()).total_seconds()
        if left <= 0:
            await ctx.remember(began=ctx.now().isoformat())  # a retry of the step has the same patience
            raise ActionError(Reason.INVALID, f"the canary user can't sign in to {params.pool}: {refused}")
        await ctx.progress(0, 1, timedelta(seconds=left), "the sign-in does not work yet")
        await ctx.sleep(min(_PAUSE, left))


async def _sign_in(params: LoginParams, ctx: ActionContext) -> str | None:
    """None if it works, else what AWS answered (it names neither user nor password)."""
    asked = {"USERNAME": params.username, "PASSWORD": await ctx.secret(params.password)}
    if params.client_secret is not None:
        key = (await ctx.secret(params.client_secret)).encode()
        digest = hmac.new(key, f"{params.username}{params.client}".encode(), hashlib.sha256).digest()
        asked["SECRET_HASH"] = base64.b64encode(digest).decode()
    try:
        reply = await ctx.aws.mutate(
            "cognito-idp", "AdminInitiateAuth", UserPoolId=params.pool, ClientId=params.client,
            AuthFlow="ADMIN_USER_PASSWORD_AUTH", AuthParameters=asked,
        )  # fmt: skip
    except ActionError as error:
        if error.reason not in (Reason.INVALID, Reason.NOT_FOUND):
            raise
        return error.detail
    if reply.get("AuthenticationResult"):
        return None
    return (
        f"it is asked for {reply.get('ChallengeName', 'something')}: give it a permanent password and no second factor"
    )


def needs(params: LoginParams) -> list[Permission]:
    """For IAM: what one step asks."""
    return [need("cognito-idp:AdminInitiateAuth", user_pool=params.pool)]


ACTION = Action(
    name="login_canary",
    summary="Signs a canary user in to a Cognito user pool; later steps hold until it works.",
    params=LoginParams,
    risk=Risk.DISRUPTIVE,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=None,
    permissions=("cognito-idp:AdminInitiateAuth",),
    example="""login_canary:
  pool: us-east-1_abcdefghi
  client: 1example23456789
  username: canary
  password: ssm:/canary/password
""",
    blast_radius="One sign-in of one user who exists for this.",
    needs=needs,
)
