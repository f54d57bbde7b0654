"""Sets the password of one user of a Cognito user pool. The old one is gone for good: nobody can read it to restore it.

The new password is a secret reference, resolved for the one call and kept nowhere. Read back is what AWS tells of a
user: that its status is what the call leads to (CONFIRMED for a permanent password, else FORCE_CHANGE_PASSWORD) and
that it was modified. Source: Cognito API reference, AdminSetUserPassword and AdminGetUser.

Blast radius: one user, who can sign in with the new password only; running sessions go on until their tokens expire.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from pydantic import Field

from monitor.actions.polling import until
from monitor.actions.secret_reference import SecretReference
from monitor.plugin import Action, ActionContext, Change, Json, Params, Permission, Receipt, Risk, need

#: How far AWS's clock and ours may differ.
_SKEW = timedelta(minutes=5)


class PasswordParams(Params):
    """Whose password."""

    pool: str = Field(description="Id of the user pool.", min_length=1)
    username: str = Field(description="The user.", min_length=1)
    password: SecretReference = Field(description="Secret reference to the new password.")
    permanent: bool = Field(default=True, description="False: the user has to choose another one at the next sign-in.")


def plan(params: PasswordParams, now: datetime) -> Change:
    """Pure; references are shown, secrets are not known here."""
    return Change(
        action="reset_password",
        resource=f"cognito/{params.pool}/{params.username}",
        wanted=None,
        summary=f"set the password of {params.username} in {params.pool} (can't be undone)"
        + ("" if params.permanent else ", to be changed at the next sign-in"),
        params=params.model_dump(mode="json"),
    )


async def capture(change: Change, ctx: ActionContext) -> Json:
    """The user's status, for the journal. Raises ProbeError(not_found) without such a user."""
    return {"status": (await _status(PasswordParams.model_validate(change.params), ctx))[0]}


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """Sets it; a second time sets the same."""
    params = PasswordParams.model_validate(change.params)
    began, secret = ctx.now(), await ctx.secret(params.password)
    await ctx.aws.mutate(
        "cognito-idp", "AdminSetUserPassword", UserPoolId=params.pool, Username=params.username, Password=secret,
        Permanent=params.permanent,
    )  # fmt: skip
    wanted = "CONFIRMED" if params.permanent else "FORCE_CHANGE_PASSWORD"

    def settled(seen: tuple[str, datetime | None]) -> bool:
        status, modified = seen
        return status == wanted and (modified is None or modified >= began - _SKEW)

    await until(lambda: _status(params, ctx), settled, ctx, f"the user {params.username}", minutes=1)
    return Receipt(change=change, changed=True, detail=f"the user is {wanted}")


async def _status(params: PasswordParams, ctx: ActionContext) -> tuple[str, datetime | None]:
    seen = await ctx.aws.call("cognito-idp", "AdminGetUser", UserPoolId=params.pool, Username=params.username)
    return str(seen["UserStatus"]), seen.get("UserLastModifiedDate")


def needs(params: PasswordParams) -> list[Permission]:
    """For IAM: what one step asks."""
    return [need("cognito-idp:AdminGetUser", "cognito-idp:AdminSetUserPassword", user_pool=params.pool)]


ACTION = Action(
    name="reset_password",
    summary="Sets the password of one Cognito user; the old one can't be restored.",
    params=PasswordParams,
    risk=Risk.DESTRUCTIVE,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=None,
    permissions=("cognito-idp:AdminGetUser", "cognito-idp:AdminSetUserPassword"),
    example="reset_password: {pool: us-east-1_abcdefghi, username: canary, password: 'ssm:/canary/password'}",
    blast_radius="One user, who can sign in with the new password only.",
    needs=needs,
)
