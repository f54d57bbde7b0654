"""Scales how fast a Lambda function reads its queues and streams: its event source mappings.

Changes only what is named: `maximum_concurrency` (queues), `batch_size`, `parallelization` (streams), `pollers`
(Kafka, and queues with provisioned pollers); undo puts each mapping's earlier values back, or removes what was unset.
With a function, every one of its mappings that knows the named settings is scaled; those that come later are left
alone. Source: Lambda API reference, UpdateEventSourceMapping (ScalingConfig, ProvisionedPollerConfig).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from monitor.actions.readback import confirmed
from monitor.actions.set_lambda_concurrency import function_name
from monitor.actions.transition import arrive, depart, steady
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
    mappings_of,
    need,
)

_NAMES = ("maximum_concurrency", "batch_size", "parallelization", "pollers")
_SETTLE_SECONDS, _POLL_SECONDS = 180.0, 3.0


class Pollers(BaseModel):
    """Provisioned pollers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    minimum: int = Field(ge=1, le=200, description="Pollers kept.")
    maximum: int = Field(ge=1, le=2000, description="Pollers at most.")


class ScaleParams(Params):
    """A function with all its mappings, or one mapping; and what to set."""

    function: str | None = Field(default=None, description="Name or ARN of the function: all its mappings.")
    uuid: str | None = Field(
        default=None, min_length=36, max_length=36, description="Only the event source mapping with this id."
    )
    maximum_concurrency: int | None = Field(
        default=None, ge=2, le=1000, description="Concurrent invocations that a queue may cause."
    )
    batch_size: int | None = Field(default=None, ge=1, le=10_000, description="Records per invocation.")
    parallelization: int | None = Field(
        default=None, ge=1, le=10, description="Batches per shard of a stream at the same time."
    )
    pollers: Pollers | None = Field(default=None, description="Provisioned pollers: {minimum, maximum}.")

    @model_validator(mode="after")
    def _names_something(self) -> ScaleParams:
        if self.function is None and self.uuid is None:
            raise ValueError("name a `function`, or the `uuid` of a mapping")
        if all(getattr(self, name) is None for name in _NAMES):
            raise ValueError(f"set at least one of {', '.join(_NAMES)}")
        return self


def plan(params: ScaleParams, now: datetime) -> Change:
    """Pure; which mappings there are is asked before the intent is written."""
    name = params.uuid or function_name(params.function or "")
    wanted = {key: value for key, value in params.model_dump(include=set(_NAMES)).items() if value is not None}
    what = f"the event source mapping {name}" if params.uuid else f"the event sources of {name}"
    text = ", ".join(f"{key} {_words(wanted[key])}" for key in _NAMES if key in wanted)
    return Change(
        action="scale_event_source",
        resource=f"event-source-mapping/{name}" if params.uuid else f"lambda/{name}",
        property="event_source_scaling:" + ",".join(sorted(wanted)),
        wanted=wanted,
        summary=f"scale {what}: {text}",
        params={"uuid" if params.uuid else "function": name, "settings": wanted},
    )


async def capture(change: Change, ctx: ActionContext) -> Json:
    """{mapping id: {setting: value}}; None: unset. Only the named settings, where the mapping knows them."""
    live, wanted = await _look(change, ctx), change.wanted
    if isinstance(wanted, Mapping) and not wanted.keys() & set(_NAMES):  # resolved: later mappings are not ours
        live = {uuid: value for uuid, value in live.items() if uuid in wanted}
    return steady(live, ctx)


async def resolve(change: Change, base: Json, ctx: ActionContext) -> Json:
    """The same for each mapping there was. Raises ActionError(invalid) if none knows the settings."""
    assert isinstance(base, Mapping)
    settings = change.params["settings"]
    assert isinstance(settings, Mapping)
    if not base:
        raise ActionError(
            Reason.INVALID, f"{change.resource} has no event source mapping that knows {', '.join(sorted(settings))}"
        )
    return {uuid: {name: settings[name] for name in _names(known)} for uuid, known in base.items()}


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """Updates each mapping that differs and waits for it."""
    return await _move(change, change.wanted, ctx)


async def undo(receipt: Receipt, ctx: ActionContext) -> Receipt:
    """Each mapping's own earlier values."""
    return replace(await _move(receipt.change, receipt.prior, ctx), prior=receipt.prior)


async def _move(change: Change, wanted: Json, ctx: ActionContext) -> Receipt:
    assert isinstance(wanted, Mapping)

    async def read() -> Json:
        # A mapping that was deleted or made since is not ours to judge.
        return {uuid: value for uuid, value in (await _look(change, ctx)).items() if uuid in wanted}

    live = await read()
    assert isinstance(live, Mapping)
    aim = {uuid: value for uuid, value in wanted.items() if uuid in live}
    differing = [uuid for uuid in sorted(aim) if live[uuid] != aim[uuid]]
    if differing:
        await depart(live, dict(wanted), ctx)
    for uuid in differing:
        await _settled(uuid, ctx)
        await ctx.aws.mutate("lambda", "UpdateEventSourceMapping", UUID=uuid, **_request(aim[uuid]))
        await _settled(uuid, ctx)
    live = await confirmed(read, aim, ctx, f"the event sources of {change.resource}")
    await arrive(ctx)
    detail = f"{len(differing)} of {len(aim)} mappings changed" if differing else "nothing to change"
    return Receipt(change=change, applied=live, changed=bool(differing), detail=detail)


async def _look(change: Change, ctx: ActionContext) -> dict[str, Json]:
    settings = change.params["settings"]
    assert isinstance(settings, Mapping)
    found: dict[str, Json] = {}
    for row in await _rows(change, ctx):
        values = _values(row)
        known: dict[str, Json] = {name: values[name] for name in settings if name in values}
        if known and row.get("State") != "Deleting":
            found[str(row["UUID"])] = known
    return found


def _values(row: Mapping[str, Any]) -> dict[str, Json]:
    """What this sort of source can be told, and its present values."""
    source = str(row.get("EventSourceArn", "")).split(":")
    service = source[2] if len(source) > 2 else "kafka"
    values: dict[str, Json] = {"batch_size": row.get("BatchSize")}
    if service == "sqs":
        values["maximum_concurrency"] = (row.get("ScalingConfig") or {}).get("MaximumConcurrency")
    if service in ("kinesis", "dynamodb"):
        values["parallelization"] = row.get("ParallelizationFactor")
    if service in ("kafka", "sqs"):
        config = row.get("ProvisionedPollerConfig") or {}
        both = {"minimum": config.get("MinimumPollers"), "maximum": config.get("MaximumPollers")}
        values["pollers"] = both if config else None
    return values


def _request(wanted: Json) -> dict[str, Any]:
    assert isinstance(wanted, Mapping)
    request: dict[str, Any] = {}
    for name, value in wanted.items():
        if name == "maximum_concurrency":  # an empty configuration removes it
            request["ScalingConfig"] = {} if value is None else {"MaximumConcurrency": value}
        elif name == "pollers":
            both = value if isinstance(value, Mapping) else {}
            members = {"MinimumPollers": both.get("minimum"), "MaximumPollers": both.get("maximum")}
            request["ProvisionedPollerConfig"] = {key: one for key, one in members.items() if one is not None}
        elif value is not None:
            request["BatchSize" if name == "batch_size" else "ParallelizationFactor"] = value
    return request


async def _rows(change: Change, ctx: ActionContext) -> list[Mapping[str, Any]]:
    if uuid := change.params.get("uuid"):
        return [await ctx.aws.call("lambda", "GetEventSourceMapping", UUID=uuid)]
    pages = ctx.aws.pages("lambda", "ListEventSourceMappings", FunctionName=change.params["function"])
    return [row async for page in pages for row in page.get("EventSourceMappings", ())]


async def _settled(uuid: str, ctx: ActionContext) -> None:
    """AWS refuses an update while another one is in progress."""
    waited = 0.0
    while True:
        row = await ctx.aws.call("lambda", "GetEventSourceMapping", UUID=uuid)
        if row.get("State") in ("Enabled", "Disabled"):
            return
        if waited >= _SETTLE_SECONDS:
            raise ActionError(Reason.UNAVAILABLE, f"the event source mapping {uuid} is still {row.get('State')}")
        await ctx.sleep(_POLL_SECONDS)
        waited += _POLL_SECONDS


def _names(value: Json) -> list[str]:
    return list(value) if isinstance(value, Mapping) else []


def _words(value: Any) -> str:
    return f"{value['minimum']} to {value['maximum']}" if isinstance(value, Mapping) else str(value)


def needs(params: ScaleParams) -> list[Permission]:
    """For IAM: what one step asks, undo included."""
    one = ("lambda:GetEventSourceMapping", "lambda:UpdateEventSourceMapping")
    if params.uuid is not None:
        return [mappings_of(*one, uuid=params.uuid)]
    return [need("lambda:ListEventSourceMappings"), mappings_of(*one, function=params.function)]


ACTION = Action(
    name="scale_event_source",
    summary="Scales how fast a Lambda function reads its queues and streams.",
    params=ScaleParams,
    risk=Risk.REVERSIBLE,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=undo,
    resolve=resolve,
    permissions=(
        "lambda:ListEventSourceMappings",
        "lambda:GetEventSourceMapping",
        "lambda:UpdateEventSourceMapping",
    ),
    example="scale_event_source: {function: ingest-processor, maximum_concurrency: 50}",
    blast_radius="One function (or one mapping): what it calls downstream feels the other pace.",
    resource_field="function",
    resource_kind=ResourceKind.FUNCTION,
    amount_field="maximum_concurrency",
    needs=needs,
)
