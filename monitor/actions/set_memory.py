"""Sets the memory (and with it the CPU share) of a Lambda function, for live traffic too, and takes it back.

Changes one number; undo puts the earlier one back. With `alias` a version is published and the alias moved to it, since
a published version never changes. Cheaper per second is not cheaper per file when the run takes longer: watch the
duration. Source: Lambda API reference, UpdateFunctionConfiguration (128 MB to 10,240 MB).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from pydantic import Field

from monitor.actions.function_settings import Place, Setting, captured, move, needs_of, place_of, wanted_at
from monitor.actions.set_lambda_concurrency import function_name
from monitor.plugin import (
    Action,
    ActionContext,
    Change,
    Json,
    Params,
    Permission,
    Receipt,
    ResourceKind,
    Risk,
)

_SETTING = Setting(
    read=lambda config: int(config["MemorySize"]),
    request=lambda config, value: {"MemorySize": value},
    rest=lambda config: {name: part for name, part in config.items() if name != "MemorySize"},
)


class MemoryParams(Params):
    """Which function, how much."""

    function: str = Field(description="Name or ARN of the Lambda function.", min_length=1)
    memory: int = Field(description="Megabytes.", ge=128, le=10_240)
    alias: str | None = Field(
        default=None, min_length=1, description="The alias that serves the traffic: publish a version and move it."
    )
    never_lower: bool = Field(
        default=False, description="Leave a function alone that has as much already; what was good enough stays."
    )
    unreleased: bool = Field(
        default=False, description="Publish even if $LATEST holds code or settings that the alias does not serve yet."
    )


def plan(params: MemoryParams, now: datetime) -> Change:
    """Pure."""
    name = function_name(params.function)
    where = f", and publish it to {params.alias}" if params.alias else ""
    return Change(
        action="set_memory",
        resource=f"lambda/{name}",
        property="memory" + (f"@{params.alias}" if params.alias else ""),
        wanted=wanted_at(Place(name, params.alias), params.memory),
        summary=f"{'raise' if params.never_lower else 'set'} the memory of {name} to {params.memory} MB{where}",
        params={
            "function": name, "memory": params.memory, "alias": params.alias, "unreleased": params.unreleased,
            "never_lower": params.never_lower,
        },
    )  # fmt: skip


async def capture(change: Change, ctx: ActionContext) -> Json:
    """Megabytes; with an alias of $LATEST and of what it serves."""
    return await captured(place_of(change), _SETTING, ctx)


async def resolve(change: Change, base: Json, ctx: ActionContext) -> Json:
    """What is wanted; with `never_lower` the present size where that is as large."""
    asked = change.params["memory"]
    assert isinstance(asked, int)
    served = base.get("served") if isinstance(base, Mapping) else base
    mixed = served.get("mixed") if isinstance(served, Mapping) else None
    sizes = mixed.values() if isinstance(mixed, Mapping) else (served,)
    enough = any(isinstance(size, int) and size >= asked for size in sizes)
    return base if change.params.get("never_lower") and enough else change.wanted


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """Updates, publishes if there is an alias, reads back."""
    return await move(change, place_of(change), _SETTING, change.wanted, ctx)


async def undo(receipt: Receipt, ctx: ActionContext) -> Receipt:
    """The earlier size, and the version and weights the alias had."""
    moved = await move(receipt.change, place_of(receipt.change), _SETTING, receipt.prior, ctx)
    return replace(moved, prior=receipt.prior)


def needs(params: MemoryParams) -> list[Permission]:
    """For IAM: what one step asks, undo included."""
    return needs_of(params.function, params.alias)


ACTION = Action(
    name="set_memory",
    summary="Sets the memory of a Lambda function, for live traffic too.",
    params=MemoryParams,
    risk=Risk.REVERSIBLE,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=undo,
    resolve=resolve,
    permissions=(
        "lambda:GetFunctionConfiguration",
        "lambda:UpdateFunctionConfiguration",
        "lambda:PublishVersion",
        "lambda:GetAlias",
        "lambda:UpdateAlias",
    ),
    example="set_memory: {function: etl-transform, memory: 512}",
    blast_radius="One function (or one alias of it): runs become slower or faster, and may run out of memory.",
    resource_field="function",
    resource_kind=ResourceKind.FUNCTION,
    needs=needs,
)
