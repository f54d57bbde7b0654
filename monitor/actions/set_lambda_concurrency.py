"""Sets a Lambda function's reserved concurrency: 0 stops it, a small number throttles it, a larger one makes room.

Changes one number; undo puts the earlier number back, or deletes the reservation where there was none. AWS keeps 100
executions of the account unreserved: this is checked before the number rises, and AWS's own refusal decides where the
account's limits can't be read. Source: Lambda API reference, PutFunctionConcurrency.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from pydantic import Field

from monitor.actions.readback import confirmed, shown
from monitor.plugin import (
    Action,
    ActionContext,
    ActionError,
    Change,
    Json,
    Params,
    Permission,
    ProbeError,
    Reason,
    Receipt,
    ResourceKind,
    Risk,
    need,
)

#: What AWS refuses to let reservations eat into, per account and region.
UNRESERVED_FLOOR = 100


class ConcurrencyParams(Params):
    """Which function, how many."""

    function: str = Field(description="Name or ARN of the Lambda function.", min_length=1)
    reserved: int = Field(description="Concurrent executions to reserve and to allow; 0 stops the function.", ge=0)
    never_lower: bool = Field(
        default=False, description="Leave a reservation alone that is as large already: more room was asked for."
    )


def function_name(text: str) -> str:
    """The unqualified name: reserved concurrency belongs to the function, never to a version or an alias."""
    if text.startswith("arn:"):
        text = text.split(":function:", 1)[-1]
    return text.split(":", 1)[0]


def plan(params: ConcurrencyParams, now: datetime) -> Change:
    """Pure."""
    name = function_name(params.function)
    verb = "stop the function" if params.reserved == 0 else "set the reserved concurrency of"
    return Change(
        action="set_lambda_concurrency",
        resource=f"lambda/{name}",
        property="reserved_concurrency",
        wanted=params.reserved,
        summary=f"{verb} {name} " + ("(reserved concurrency 0)" if params.reserved == 0 else f"to {params.reserved}"),
        params={"function": name, "reserved": params.reserved, "never_lower": params.never_lower},
    )


async def capture(change: Change, ctx: ActionContext) -> Json:
    """The reserved number, or None where nothing is reserved."""
    reply = await ctx.aws.call("lambda", "GetFunctionConcurrency", FunctionName=change.params["function"])
    reserved = reply.get("ReservedConcurrentExecutions")
    return None if reserved is None else int(reserved)


async def resolve(change: Change, base: Json, ctx: ActionContext) -> Json:
    """What is wanted; with `never_lower` the present reservation where it is as large."""
    wanted = change.wanted
    larger = isinstance(base, int) and isinstance(wanted, int) and base >= wanted
    return base if change.params.get("never_lower") and larger else wanted


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """Raises ActionError(invalid) when fewer than 100 would stay unreserved."""
    return await _set(change, change.wanted, ctx)


async def undo(receipt: Receipt, ctx: ActionContext) -> Receipt:
    """The earlier number, or no reservation at all."""
    return replace(await _set(receipt.change, receipt.prior, ctx), prior=receipt.prior)


def strictest(values: Sequence[Json]) -> Json:
    """The smallest number; no reservation is the mildest of all."""
    numbers = [value for value in values if isinstance(value, int)]
    return min(numbers) if numbers else None


async def _set(change: Change, wanted: Json, ctx: ActionContext) -> Receipt:
    function, live = change.params["function"], await capture(change, ctx)
    if live == wanted:
        return Receipt(change=change, applied=live, detail=f"was {shown(live)} already")
    if wanted is None:
        await ctx.aws.mutate("lambda", "DeleteFunctionConcurrency", FunctionName=function)
    else:
        await _check_headroom(live, wanted, ctx)
        await ctx.aws.mutate(
            "lambda", "PutFunctionConcurrency", FunctionName=function, ReservedConcurrentExecutions=wanted
        )
    live = await confirmed(lambda: capture(change, ctx), wanted, ctx, f"the reserved concurrency of {change.resource}")
    return Receipt(change=change, applied=live, changed=True)


async def _check_headroom(live: Json, wanted: Json, ctx: ActionContext) -> None:
    more = (wanted if isinstance(wanted, int) else 0) - (live if isinstance(live, int) else 0)
    if more <= 0:
        return
    try:
        settings = await ctx.aws.call("lambda", "GetAccountSettings")
    except ProbeError:
        return  # not permitted or not reachable: AWS refuses by itself if the floor would break
    free = settings.get("AccountLimit", {}).get("UnreservedConcurrentExecutions")
    if free is not None and free - more < UNRESERVED_FLOOR:
        raise ActionError(
            Reason.INVALID,
            f"reserving {more} more would leave {free - more} of the account's concurrency unreserved;"
            f" AWS keeps {UNRESERVED_FLOOR} free: lower another reservation or raise the account's limit",
        )


def needs(params: ConcurrencyParams) -> list[Permission]:
    """For IAM: what one step asks, undo included."""
    own = ("lambda:GetFunctionConcurrency", "lambda:PutFunctionConcurrency", "lambda:DeleteFunctionConcurrency")
    return [need(*own, function=params.function), need("lambda:GetAccountSettings")]


ACTION = Action(
    name="set_lambda_concurrency",
    summary="Sets (or lifts from 'unset') the reserved concurrency of a Lambda function.",
    params=ConcurrencyParams,
    risk=Risk.REVERSIBLE,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=undo,
    resolve=resolve,
    permissions=(
        "lambda:GetFunctionConcurrency",
        "lambda:PutFunctionConcurrency",
        "lambda:DeleteFunctionConcurrency",
        "lambda:GetAccountSettings",
    ),
    example="set_lambda_concurrency: {function: ingest-handler, reserved: 5}",
    blast_radius="One function: calls above the number are throttled, asynchronous ones are retried by AWS for 6 h.",
    restrictive=strictest,
    resource_field="function",
    resource_kind=ResourceKind.FUNCTION,
    amount_field="reserved",
    cuts_of=lambda change: change.wanted == 0,
    backfill="repeat the direct calls that failed; asynchronous ones are retried by AWS for 6 h, queues keep theirs",
    needs=needs,
)
