"""Running an action and holding it to its contract."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from ruamel.yaml import YAML

from monitor.core.model import Json
from monitor.plugin import Action, ActionError, Change, Held, Reason, Receipt, TripInfo
from monitor.testing.aws import FakeAws
from monitor.testing.clock import EPOCH
from monitor.testing.rules import NAME, PERMISSION, is_documented, require

TRIP = TripInfo(
    id="trip-1",
    pipeline="etl",
    breaker="s3-event-loop",
    severity="SEV1",
    reason="execution-rate.started_per_minute on etl-workflow is 512 (critical above 200)",
    started_at=EPOCH,
    targets=("etl-workflow",),
)


@dataclass(slots=True)
class FakeActionContext:
    """ActionContext around a FakeAws; keeps what the action remembered, said and sent."""

    aws: FakeAws
    trip: TripInfo = TRIP
    memory: Mapping[str, Json] = field(default_factory=lambda: MappingProxyType({}))
    steps: list[tuple[int, int | None]] = field(default_factory=list)
    notices: list[tuple[tuple[str, ...], str, str]] = field(default_factory=list)
    #: What `notify` answers: one text per channel that failed.
    failing: Sequence[str] = ()
    #: What `healthy` answers: the values seen while all was well, newest first.
    good: Sequence[Json] = ()
    #: What `secret` knows.
    secrets: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    #: What was asked of the gates, `service:operation`, for calls that are not AWS's.
    permits: list[str] = field(default_factory=list)
    #: Set: these gates are shut.
    shut: str | None = None

    def now(self) -> datetime:
        """The fake AWS's own clock."""
        return self.aws.clock.now()

    async def sleep(self, seconds: float) -> None:
        """Virtual seconds."""
        await self.aws.clock.sleep(seconds)

    async def remember(self, **values: Json) -> None:
        """Kept as JSON would keep it."""
        self.memory = MappingProxyType({**self.memory, **json.loads(json.dumps(values))})

    async def healthy(self) -> Sequence[Json]:
        """`good`."""
        return tuple(self.good)

    async def secret(self, reference: str) -> str:
        """Of `secrets`; a plain value stands for itself."""
        if reference not in self.secrets and reference.startswith(("env:", "file:", "ssm:", "secretsmanager:")):
            raise ActionError(Reason.NOT_FOUND, f"nothing stands behind {reference}")
        return self.secrets.get(reference, reference)

    async def progress(self, done: int, remaining: int | None, eta: timedelta | None = None, note: str = "") -> None:
        """Kept in `steps`."""
        self.steps.append((done, remaining))

    async def permit(self, service: str, operation: str, seconds: float) -> None:
        """Kept in `permits`; held while `shut`."""
        if self.shut is not None:
            raise Held(self.shut, f"{self.shut} (before {service}:{operation})")
        self.permits.append(f"{service}:{operation}")

    async def notify(self, urls: Sequence[str], title: str, body: str) -> list[str]:
        """Kept in `notices`."""
        self.notices.append((tuple(urls), title, body))
        return list(self.failing)


@dataclass(frozen=True, slots=True)
class ActionRun:
    """What one apply did; `undo` on it puts things back."""

    change: Change
    prior: Json
    receipt: Receipt
    context: FakeActionContext

    async def undo(self, action: Action[Any]) -> Receipt:
        """The undo of this run's receipt."""
        if action.undo is None:
            raise AssertionError(f"{action.name} cannot be undone")
        return await action.undo(self.receipt, self.context)


async def run_action(
    action: Action[Any], params: Mapping[str, Any] | Any, aws: FakeAws, context: FakeActionContext | None = None
) -> ActionRun:
    """plan, capture, apply as the dispatcher does; change and prior pass through JSON as in the journal.

    The receipt of a property's change carries what `capture` saw. Raises ActionError, Held, ProbeError as the action.
    """
    model = action.params.model_validate(params) if isinstance(params, Mapping) else params
    context = context or FakeActionContext(aws)
    change = journalled(action.plan(model, context.now()))
    prior = json.loads(json.dumps(await action.capture(change, context)))
    if action.resolve is not None:
        change = journalled(replace(change, wanted=await action.resolve(change, prior, context)))
    receipt = await action.apply(change, context)
    if change.property is not None:
        receipt = replace(receipt, prior=prior)
    json.dumps([receipt.prior, receipt.applied, dict(receipt.data)])
    return ActionRun(change, prior, receipt, context)


def journalled(change: Change) -> Change:
    """The change as it comes back from the journal; fails if it is not plain JSON."""
    return replace(
        change, wanted=json.loads(json.dumps(change.wanted)), params=json.loads(json.dumps(dict(change.params)))
    )


async def assert_action_conforms(
    action: Action[Any], params: Mapping[str, Any] | None = None, make_aws: Callable[[], FakeAws] | None = None
) -> None:
    """The contract of an action.

    Always: whole declarations, an example that parses, a pure plan that is plain JSON. With `make_aws` (an AWS whose
    replies remember what was set) also: apply sets what it planned, a second apply changes nothing, undo puts the
    captured state back. `params` default to the example's.
    """
    name = action.name
    require(NAME.fullmatch(name), f"{name}: an action is snake_case")
    require(action.summary and action.blast_radius, f"{name}: say what it does and how far it reaches")
    require(is_documented(action.apply), f"{name}: the module of the action needs a docstring")
    for permission in action.permissions:
        require(PERMISSION.fullmatch(permission), f"{name}: {permission!r} is not an IAM action")
    for parameter, about in action.params.model_fields.items():
        require(about.description, f"{name}: parameter {parameter!r} needs a description")
    if action.resource_field is not None:
        require(action.resource_field in action.params.model_fields, f"{name}: no parameter {action.resource_field!r}")
    document = YAML(typ="safe").load(action.example)
    step = document[0] if isinstance(document, list) else document
    require(
        isinstance(step, dict) and name in step, f"{name}: the example must be a step with the action's name as key"
    )
    model = action.params.model_validate(params if params is not None else (step[name] or {}))
    first, second = action.plan(model, EPOCH), action.plan(model, EPOCH)
    require(first == second, f"{name}: plan is not pure, two calls differ")
    require(journalled(first) == first, f"{name}: the change is not plain JSON")
    require(first.action == name and first.resource and first.summary, f"{name}: the change must name itself")
    if first.property is not None:
        require(action.undo is not None, f"{name}: a property that was set can be put back: give it an undo")
    if make_aws is not None and first.property is not None:
        await _assert_restores(action, model, make_aws())


async def _assert_restores(action: Action[Any], params: Any, aws: FakeAws) -> None:
    context: FakeActionContext = FakeActionContext(aws)
    run = await run_action(action, params, aws, context)
    live = await action.capture(run.change, context)
    require(live == run.receipt.applied, f"{action.name}: the receipt says {run.receipt.applied!r}, AWS says {live!r}")
    again = await action.apply(run.change, context)
    require(not again.changed, f"{action.name}: a second apply says that it changed something")
    undone = await run.undo(action)
    require(undone.verified, f"{action.name}: the undo was not read back")
    restored = await action.capture(run.change, context)
    require(restored == run.prior, f"{action.name}: undo left {restored!r}, before it was {run.prior!r}")
