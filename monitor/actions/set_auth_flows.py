"""Sets the sign-in flows of a Cognito user pool's client, and leaves every other setting of it as it is.

UpdateUserPoolClient sets what is left out to its default (redirects, token lifetimes, scopes), so all settings are read
and written back and only the flows change; AWS has no revision id for clients, so an edit by someone else within that
second is lost. Flows without ALLOW_ are the legacy ones, which can't stand beside the others: they are not accepted
here, but an undo puts back what was there. Source: Cognito API reference, UpdateUserPoolClient.

Blast radius: how the users of one application may sign in, from their next sign-in on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from monitor.actions.readback import confirmed
from monitor.plugin import Action, ActionContext, Change, Json, Params, Permission, Receipt, Risk, need

#: Of the description, what is AWS's own and not to be set.
_OWN = frozenset({"ClientSecret", "CreationDate", "LastModifiedDate"})

Flow = Literal[
    "ALLOW_ADMIN_USER_PASSWORD_AUTH",
    "ALLOW_CUSTOM_AUTH",
    "ALLOW_REFRESH_TOKEN_AUTH",
    "ALLOW_USER_AUTH",
    "ALLOW_USER_PASSWORD_AUTH",
    "ALLOW_USER_SRP_AUTH",
]


class AuthFlowsParams(Params):
    """Which client, which flows."""

    pool: str = Field(description="Id of the user pool.", min_length=1)
    client: str = Field(description="Id of the client.", min_length=1)
    flows: tuple[Flow, ...] = Field(description="All flows that are allowed from then on.", min_length=1)


def plan(params: AuthFlowsParams, now: datetime) -> Change:
    """Pure."""
    flows = sorted(set(params.flows))
    return Change(
        action="set_auth_flows",
        resource=f"cognito/{params.pool}/{params.client}",
        property="auth_flows",
        wanted=flows,
        summary=f"let users of the client {params.client} sign in by {', '.join(flows)} only, its other settings kept",
        params={"pool": params.pool, "client": params.client},
    )


async def capture(change: Change, ctx: ActionContext) -> Json:
    """The flows, sorted; None where none were ever set (AWS's default)."""
    flows = (await _read(change, ctx)).get("ExplicitAuthFlows")
    return sorted(str(flow) for flow in flows) if flows else None


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """Writes the client back as it is, but for its flows."""
    return await _set(change, change.wanted, ctx)


async def undo(receipt: Receipt, ctx: ActionContext) -> Receipt:
    """The flows that were there; other settings that were changed meanwhile are kept."""
    return replace(await _set(receipt.change, receipt.prior, ctx), prior=receipt.prior)


async def _set(change: Change, wanted: Json, ctx: ActionContext) -> Receipt:
    client = await _read(change, ctx)
    flows = client.get("ExplicitAuthFlows")
    if (sorted(flows) if flows else None) == wanted:
        return Receipt(change=change, applied=wanted, detail="was so already")
    kept: dict[str, Any] = {name: value for name, value in client.items() if name not in _OWN and value is not None}
    kept.pop("ExplicitAuthFlows", None)
    if wanted is not None:
        kept["ExplicitAuthFlows"] = wanted
    await ctx.aws.mutate("cognito-idp", "UpdateUserPoolClient", **kept)
    live = await confirmed(lambda: capture(change, ctx), wanted, ctx, f"the flows of {change.resource}")
    return Receipt(change=change, applied=live, changed=True, detail="the client's other settings were written back")


async def _read(change: Change, ctx: ActionContext) -> Mapping[str, Any]:
    which: dict[str, Any] = {"UserPoolId": change.params["pool"], "ClientId": change.params["client"]}
    return dict((await ctx.aws.call("cognito-idp", "DescribeUserPoolClient", **which))["UserPoolClient"])


def needs(params: AuthFlowsParams) -> list[Permission]:
    """For IAM: what one step asks."""
    return [need("cognito-idp:DescribeUserPoolClient", "cognito-idp:UpdateUserPoolClient", user_pool=params.pool)]


ACTION = Action(
    name="set_auth_flows",
    summary="Sets the sign-in flows of a Cognito user pool's client and keeps all its other settings.",
    params=AuthFlowsParams,
    risk=Risk.DISRUPTIVE,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=undo,
    permissions=("cognito-idp:DescribeUserPoolClient", "cognito-idp:UpdateUserPoolClient"),
    example="""set_auth_flows:
  pool: us-east-1_abcdefghi
  client: 1example23456789
  flows: [ALLOW_USER_SRP_AUTH, ALLOW_REFRESH_TOKEN_AUTH]
""",
    blast_radius="How the users of one application may sign in.",
    needs=needs,
)
