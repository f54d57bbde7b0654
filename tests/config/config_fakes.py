"""Small kinds and actions for the loader's tests; they do nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from monitor.plugin import (
    Action,
    ActionContext,
    Bound,
    Change,
    Check,
    Clear,
    Duration,
    Json,
    Missing,
    Observation,
    OperationUse,
    Params,
    ProbeContext,
    Receipt,
    Registry,
    ResourceKind,
    Risk,
    Selector,
    Signal,
    SignalSpec,
)


class RateParams(Params):
    """State machines."""

    state_machines: Selector = Field(description="Which machines.")
    window: Duration = Field(timedelta(minutes=1), description="Trailing window.")


class QueueParams(Params):
    """Queues."""

    queues: Selector = Field(description="Which queues.")


class ThrottleParams(Params):
    """Functions."""

    lambda_functions: Selector = Field(description="Which functions.")


class Probe(BaseModel):
    """A nested model."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    path: str = Field(description="Path.")
    expected: int = Field(200, description="Status.", ge=100, le=599)


class HttpParams(Params):
    """Addresses."""

    url: str = Field(description="Address.")
    retries: int = Field(0, ge=0, le=5, description="More attempts.")
    probes: tuple[Probe, ...] = Field((), description="Paths below it.")
    follow: bool = Field(True, description="Follow redirects.")
    token: str | None = Field(None, description="Bearer token.")


class QueryParams(Params):
    """A read."""

    service: str = Field(description="AWS service.")
    operation: str = Field(description="Operation.")
    parameters: Mapping[str, Any] = Field(default_factory=dict, description="Parameters.")
    query: str = Field("@", description="JMESPath.")


async def probe(params: Any, ctx: ProbeContext) -> Sequence[Observation]:
    """Sees nothing."""
    return []


def uses(params: QueryParams) -> Sequence[OperationUse]:
    """The one read."""
    return [
        OperationUse(
            params.service,
            params.operation,
            params.parameters,
            mutating=False,
            query=params.query,
            path=("parameters",),
        )
    ]


def kind(name: str, params: type[Params], signals: tuple[Signal, ...], **rest: Any) -> Check[Any]:
    """A Check around the empty probe."""
    return Check(
        kind=name, summary=f"{name}.", params=params, probe=probe, signals=signals, permissions=(), cost="nothing",
        example=f"x: {{kind: {name}}}", **rest,
    )  # fmt: skip


KINDS = (
    kind(
        "execution_rate",
        RateParams,
        (
            Signal("started_per_minute", "1/min", "Starts.", window="window"),
            Signal("running", "executions", "Running now."),
        ),
        defaults={
            "started_per_minute": SignalSpec(
                Bound(above=100), Bound(above=200, hold=timedelta(minutes=2), clear=Clear(below=100))
            )
        },
        target_kind=ResourceKind.STATE_MACHINE,
        selectors=("state_machines",),
        interval=timedelta(seconds=30),
    ),
    kind(
        "queue_depth",
        QueueParams,
        (
            Signal("visible", "messages", "Waiting.", Missing.ZERO),
            Signal("oldest_age", "seconds", "Age of the oldest."),
            Signal("size", "bytes", "Bytes."),
            Signal("used", "ratio", "Share of the quota."),
            Signal("cpu", "percent", "Processor."),
        ),
        defaults={"visible": SignalSpec(None, Bound(above=1000), Missing.ZERO)},
        target_kind=ResourceKind.QUEUE,
        selectors=("queues",),
    ),
    kind(
        "throttles",
        ThrottleParams,
        (Signal("throttled", "count", "Throttles.", Missing.ZERO),),
        defaults={"throttled": SignalSpec(None, Bound(above=0), Missing.ZERO)},
        target_kind=ResourceKind.FUNCTION,
        selectors=("lambda_functions",),
    ),
    kind("http", HttpParams, (Signal("failed", "count", "Failures."),), defaults={}),
    kind("aws_query", QueryParams, (Signal("value", "count", "Value."),), defaults={}, operations=uses),
)


class RuleParams(Params):
    """A rule."""

    rule: str = Field(description="Rule name.")
    bus: str = Field("default", description="Event bus.")


class StopParams(Params):
    """Machines."""

    state_machines: tuple[str, ...] = Field(description="Names or ARNs.", min_length=1)
    cause: str = Field("tripswitch", description="Cause text.", max_length=256)
    rerun: bool = Field(False, description="Start them again.")


class ConcurrencyParams(Params):
    """A cap."""

    function: str = Field(description="Function name.")
    reserved: int = Field(description="Executions at once.", ge=0)


class SourceParams(Params):
    """A function's sources, or one source."""

    function: str | None = Field(None, description="Function name.")
    uuid: str | None = Field(None, description="One mapping.")
    enabled: bool = Field(description="Whether it reads.")

    @model_validator(mode="after")
    def _names_one(self) -> SourceParams:
        if self.function is None and self.uuid is None:
            raise ValueError("name a function or a uuid")
        return self


class NoticeParams(Params):
    """Words."""

    message: str = Field(description="Text.")
    urls: tuple[str, ...] | None = Field(None, description="Channels.")


class PurgeParams(Params):
    """A queue."""

    queue: str = Field(description="Queue name.")


class CallParams(Params):
    """A call."""

    service: str = Field(description="AWS service.")
    operation: str = Field(description="Operation.")
    parameters: Mapping[str, Any] = Field(default_factory=dict, description="Parameters.")


def plan(params: Any, now: datetime) -> Change:
    """Nothing."""
    return Change("none", "none", None, "nothing", {})


async def capture(change: Change, ctx: ActionContext) -> Json:
    """Nothing."""
    return None


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """Nothing."""
    return Receipt(change)


async def undo(receipt: Receipt, ctx: ActionContext) -> Receipt:
    """Nothing."""
    return receipt


def call_uses(params: CallParams) -> Sequence[OperationUse]:
    """The one call."""
    return [OperationUse(params.service, params.operation, params.parameters, mutating=True)]


def action(name: str, params: type[Params], risk: Risk, *, undoable: bool = True, **rest: Any) -> Action[Any]:
    """An Action around the empty functions."""
    return Action(
        name=name, summary=f"{name}.", params=params, risk=risk, plan=plan, capture=capture, apply=apply,
        undo=undo if undoable else None, permissions=(), example=f"{name}: {{}}", blast_radius="none", **rest,
    )  # fmt: skip


ACTIONS = (
    action("disable_rule", RuleParams, Risk.REVERSIBLE, resource_field="rule", resource_kind=ResourceKind.RULE),
    action(
        "stop_executions", StopParams, Risk.DISRUPTIVE, undoable=False,
        resource_field="state_machines", resource_kind=ResourceKind.STATE_MACHINE, takes_many=True,
    ),
    action(
        "set_lambda_concurrency", ConcurrencyParams, Risk.REVERSIBLE,
        resource_field="function", resource_kind=ResourceKind.FUNCTION,
    ),
    action(
        "set_event_source", SourceParams, Risk.REVERSIBLE,
        resource_field="function", resource_kind=ResourceKind.FUNCTION,
    ),
    action("notify", NoticeParams, Risk.NOTIFY, undoable=False),
    action(
        "purge_queue", PurgeParams, Risk.DESTRUCTIVE, undoable=False,
        resource_field="queue", resource_kind=ResourceKind.QUEUE,
    ),
    action("aws_call", CallParams, Risk.DESTRUCTIVE, operations=call_uses, risk_of=lambda params: Risk.REVERSIBLE),
)  # fmt: skip

REGISTRY = Registry({check.kind: check for check in KINDS}, {each.name: each for each in ACTIONS})


class FakeOperations:
    """Knows two SQS operations."""

    def problems(self, use: OperationUse) -> list[tuple[tuple[str | int, ...], str]]:
        """Unknown operations, unknown parameters, and mutating operations where only reads may stand."""
        known = {"GetQueueAttributes": ({"QueueUrl"}, False), "PurgeQueue": ({"QueueUrl"}, True)}
        if use.operation not in known:
            return [(("operation",), f"unknown operation '{use.operation}'")]
        names, mutating = known[use.operation]
        if mutating and not use.mutating:
            return [(("operation",), f"{use.operation} changes things: a check only reads")]
        return [((name,), f"unknown parameter '{name}'") for name in use.parameters if name not in names]
