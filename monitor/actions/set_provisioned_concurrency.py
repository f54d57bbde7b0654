"""Keeps environments of a Lambda alias or version warm: its provisioned concurrency.

Changes one number; undo puts the earlier one back, or deletes the configuration where there was none (it costs money by
the hour). It belongs to an alias or a published version, never to $LATEST, and counts against the account's
concurrency. It is done when AWS says READY: allocating takes a minute or two.
Source: Lambda API reference, PutProvisionedConcurrencyConfig, ListProvisionedConcurrencyConfigs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from pydantic import Field, field_validator

from monitor.actions.readback import shown
from monitor.actions.set_lambda_concurrency import function_name
from monitor.plugin import (
    Action,
    ActionContext,
    ActionError,
    Change,
    Json,
    Params,
    Permission,
    Reason,
    Receipt,
    ResourceKind,
    Risk,
    need,
)

_READY_SECONDS, _POLL_SECONDS = 600.0, 5.0


class ProvisionedParams(Params):
    """Which function, which alias or version, how many."""

    function: str = Field(description="Name or ARN of the Lambda function.", min_length=1)
    qualifier: str = Field(description="The alias (or published version) that serves the traffic.", min_length=1)
    amount: int = Field(description="Environments to keep warm.", ge=1)

    @field_validator("qualifier", mode="before")
    @classmethod
    def _published(cls, value: Any) -> Any:
        if value == "$LATEST":
            raise ValueError("$LATEST can't have provisioned concurrency: name an alias or a published version")
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def plan(params: ProvisionedParams, now: datetime) -> Change:
    """Pure."""
    name = function_name(params.function)
    return Change(
        action="set_provisioned_concurrency",
        resource=f"lambda/{name}:{params.qualifier}",
        property="provisioned_concurrency",
        wanted=params.amount,
        summary=f"keep {params.amount} environments of {name}:{params.qualifier} warm",
        params={"function": name, "qualifier": params.qualifier, "amount": params.amount},
    )


async def capture(change: Change, ctx: ActionContext) -> Json:
    """The number asked for, or None where there is none. Raises ProbeError(not_found) without the function."""
    row = await _read(change, ctx)
    return None if row is None else int(row["RequestedProvisionedConcurrentExecutions"])


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """Asks for them and waits until they are warm. Raises ActionError(invalid) when AWS can't allocate them."""
    return await _set(change, change.wanted, ctx)


async def undo(receipt: Receipt, ctx: ActionContext) -> Receipt:
    """The earlier number, or none."""
    return replace(await _set(receipt.change, receipt.prior, ctx), prior=receipt.prior)


def largest(values: Sequence[Json]) -> Json:
    """All holders get enough."""
    numbers = [value for value in values if isinstance(value, int)]
    return max(numbers) if numbers else None


async def _set(change: Change, wanted: Json, ctx: ActionContext) -> Receipt:
    live = await capture(change, ctx)
    changed = live != wanted
    where: dict[str, Any] = {"FunctionName": change.params["function"], "Qualifier": change.params["qualifier"]}
    if changed and wanted is None:
        await ctx.aws.mutate("lambda", "DeleteProvisionedConcurrencyConfig", **where)
    elif changed:
        await ctx.aws.mutate(
            "lambda", "PutProvisionedConcurrencyConfig", **where, ProvisionedConcurrentExecutions=wanted
        )
    live = await _ready(change, wanted, ctx)
    return Receipt(change=change, applied=live, changed=changed, detail="" if changed else f"was {shown(live)} already")


async def _ready(change: Change, wanted: Json, ctx: ActionContext) -> Json:
    waited = 0.0
    while True:
        row = await _read(change, ctx)
        live = None if row is None else int(row["RequestedProvisionedConcurrentExecutions"])
        status = "READY" if row is None else str(row.get("Status", "READY"))
        if status == "FAILED" and row is not None:
            raise ActionError(
                Reason.INVALID, f"AWS can't keep {live} warm: {row.get('StatusReason', 'no reason given')}"
            )
        if live == wanted and status == "READY":
            return live
        if waited >= _READY_SECONDS:
            raise ActionError(
                Reason.UNAVAILABLE, f"the provisioned concurrency of {change.resource} is {shown(live)} and {status}"
            )
        if row is not None:
            there = int(row.get("AllocatedProvisionedConcurrentExecutions") or 0)
            await ctx.progress(there, max(0, (live or 0) - there))
        await ctx.sleep(_POLL_SECONDS)
        waited += _POLL_SECONDS


async def _read(change: Change, ctx: ActionContext) -> Mapping[str, Any] | None:
    """The row of the list: asked for one by one, AWS says "not found" for a missing function as well."""
    function, end = change.params["function"], f":{change.params['qualifier']}"
    async for page in ctx.aws.pages("lambda", "ListProvisionedConcurrencyConfigs", FunctionName=function):
        for row in page.get("ProvisionedConcurrencyConfigs", ()):
            if str(row["FunctionArn"]).endswith(end):
                return dict(row)
    return None


def needs(params: ProvisionedParams) -> list[Permission]:
    """For IAM: what one step asks, undo included."""
    own = ("lambda:PutProvisionedConcurrencyConfig", "lambda:DeleteProvisionedConcurrencyConfig")
    return [
        need("lambda:ListProvisionedConcurrencyConfigs", function=params.function),
        need(*own, function=f"{params.function}:{params.qualifier}"),
    ]


ACTION = Action(
    name="set_provisioned_concurrency",
    summary="Keeps environments of a Lambda alias warm; undo deletes what was not there.",
    params=ProvisionedParams,
    risk=Risk.REVERSIBLE,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=undo,
    permissions=(
        "lambda:ListProvisionedConcurrencyConfigs",
        "lambda:PutProvisionedConcurrencyConfig",
        "lambda:DeleteProvisionedConcurrencyConfig",
    ),
    example="set_provisioned_concurrency: {function: opendata-pulse-api, qualifier: LIVE, amount: 50}",
    blast_radius="One alias or version: it costs by the hour, and takes its number out of the account's concurrency.",
    restrictive=largest,
    amount_field="amount",
    resource_field="function",
    resource_kind=ResourceKind.FUNCTION,
    needs=needs,
)
