"""Invokes a Lambda function once.

A process that can't be undone: what the function does, it does. Intent and outcome are remembered durably; after an
outcome in doubt (no answer in time, a kill between sending and noting) the function is not invoked again by itself.
`Event` hands the payload to Lambda's own queue and sees no result; `RequestResponse` waits for the answer (ten seconds
at most) and fails when the function does, naming the class of the error only: answers may hold secrets. A function that
failed is not invoked again by itself either. Source: Lambda API reference, Invoke.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, Protocol

from pydantic import Field

from monitor.actions.set_lambda_concurrency import function_name
from monitor.plugin import (
    Action,
    ActionContext,
    ActionError,
    Change,
    Held,
    Json,
    Params,
    Permission,
    Reason,
    Receipt,
    ResourceKind,
    Risk,
    need,
)


class InvokeParams(Params):
    """Which function, with what."""

    function: str = Field(description="Name or ARN of the Lambda function.", min_length=1)
    payload: dict[str, Any] = Field(default_factory=dict, description="The event it gets.")
    qualifier: str | None = Field(default=None, min_length=1, description="An alias or a version.")
    type: Literal["Event", "RequestResponse"] = Field(
        default="Event", description="Event hands it over, RequestResponse waits for the answer."
    )


def plan(params: InvokeParams, now: datetime) -> Change:
    """Pure; the payload is not shown."""
    where = named(params)
    shown = where["function"] + (f":{where['qualifier']}" if where["qualifier"] else "")
    return Change(
        action="invoke",
        resource=f"lambda/{shown}",
        wanted=None,
        summary=f"invoke {shown} once" + (" and wait for its answer" if params.type != "Event" else ""),
        params={**params.model_dump(mode="json"), **where},
    )


class Named(Protocol):
    """Parameters that name a function and perhaps one of its aliases or versions."""

    @property
    def function(self) -> str | None:
        """Name or ARN, perhaps qualified."""

    @property
    def qualifier(self) -> str | None:
        """Alias or version."""


def named(params: Named) -> dict[str, Any]:
    """{"function": unqualified name, "qualifier": the alias or version given beside it or in it, or None}."""
    text = str(params.function).rsplit(":function:", 1)[-1]
    return {"function": function_name(text), "qualifier": params.qualifier or text.partition(":")[2] or None}


async def capture(change: Change, ctx: ActionContext) -> Json:
    """Nothing; that the function exists. Raises ProbeError(not_found)."""
    qualifier: dict[str, Any] = {"Qualifier": change.params["qualifier"]} if change.params["qualifier"] else {}
    await ctx.aws.call("lambda", "GetFunctionConfiguration", FunctionName=change.params["function"], **qualifier)
    return None


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """Once. Raises ActionError, `ambiguous` where it may have run; (invalid) where it ran and failed."""
    if (failed := ctx.memory.get("failed")) is not None:
        raise ActionError(Reason.INVALID, str(failed))
    if ctx.memory.get("calling"):
        raise ActionError(Reason.UNAVAILABLE, f"interrupted while {change.resource} was being invoked", ambiguous=True)
    await ctx.remember(calling=True)
    try:
        reply = await call(change.params, change.params["payload"], ctx, waits=change.params["type"] != "Event")
    except Held:
        await ctx.remember(calling=False)
        raise
    except ActionError as error:
        if not error.ambiguous:
            await ctx.remember(calling=False)
        raise
    if (failure := reply.get("FunctionError")) is not None:
        text = f"{change.resource} ran and failed ({failure}: {_class_of(reply)}); it is not invoked again by itself"
        await ctx.remember(failed=text)
        raise ActionError(Reason.INVALID, text)
    version = reply.get("ExecutedVersion")
    return Receipt(change=change, changed=True, verified=change.params["type"] != "Event", data={"version": version})


async def call(
    where: Mapping[str, Json], payload: Json, ctx: ActionContext, *, waits: bool = False, repeatable: bool = False
) -> Mapping[str, Any]:
    """Invoke `where["function"]` (`where["qualifier"]`), the payload as JSON; the reply."""
    qualifier: dict[str, Any] = {"Qualifier": where["qualifier"]} if where.get("qualifier") else {}
    return await ctx.aws.mutate(
        "lambda", "Invoke", idempotent=repeatable, FunctionName=where["function"], **qualifier,
        InvocationType="RequestResponse" if waits else "Event", Payload=json.dumps(payload).encode(),
    )  # fmt: skip


def _class_of(reply: Mapping[str, Any]) -> str:
    try:
        answer = json.loads(reply.get("Payload") or b"{}")
    except ValueError:
        return "unknown"
    return str(answer.get("errorType", "unknown"))[:80] if isinstance(answer, Mapping) else "unknown"


def needs(params: InvokeParams) -> list[Permission]:
    """For IAM: what one step asks, undo included."""
    name = f"{params.function}:{params.qualifier}" if params.qualifier else params.function
    return [need(*ACTION.permissions, function=name)]


ACTION = Action(
    name="invoke",
    summary="Invokes a Lambda function once.",
    params=InvokeParams,
    risk=Risk.DISRUPTIVE,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=None,
    permissions=("lambda:GetFunctionConfiguration", "lambda:InvokeFunction"),
    example="invoke: {function: opendata-pulse-ingest, payload: {test: true}, type: RequestResponse}",
    blast_radius="Whatever one run of the function does.",
    resource_field="function",
    resource_kind=ResourceKind.FUNCTION,
    needs=needs,
)
