"""Every kind and action declares what it calls, on which resources, and nothing that IAM does not know."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from typing import Any

import pytest
from ruamel.yaml import YAML
from synthetic_aws import STOPPED, FakeContext, SyntheticAws, fault, model

from checks import KINDS
from monitor.actions import ACTIONS
from monitor.audit.needs import Asked, of_operation
from monitor.audit.policy import statements
from monitor.core.change import Receipt
from monitor.core.iam import ARNS, PREFIXES, Demand, Where, actions_of, allows, resources_of
from monitor.plugin import Action, Check, Permission, Risk, TripInfo
from monitor.testing import FakeProbeContext, example_params

PLACE = Where("aws", "us-east-1", "123456789012")
NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
#: Checked by AWS on somebody's behalf: no operation is called so.
ON_BEHALF = {"iam:PassRole"}
SERVICES = {prefix: name for name, prefix in PREFIXES.items() if prefix not in ("apigateway", "dynamodb", "rds")}


def kinds() -> list[Any]:
    """Each kind, by name."""
    return [pytest.param(kind, id=kind.kind) for kind in KINDS]


def actions() -> list[Any]:
    """Each action, by name."""
    return [pytest.param(action, id=action.name) for action in ACTIONS]


@functools.lru_cache(maxsize=64)
def known(prefix: str) -> frozenset[str]:
    """The IAM actions of a prefix that some operation of the SDK needs."""
    service = SERVICES.get(prefix, prefix)
    return frozenset(one for name in model(service).operation_names for one in actions_of(service, name))


@pytest.mark.parametrize("thing", [*kinds(), *actions()])
def test_every_declared_permission_is_an_action_of_an_operation(thing: Check[Any] | Action[Any]) -> None:
    """A misspelt action would allow nothing, and nobody would notice before the incident."""
    for permission in thing.permissions:
        prefix = permission.split(":")[0]
        assert permission in ON_BEHALF or permission in known(prefix), permission


def kind_params(check: Check[Any]) -> Any:
    """Those of the example."""
    given = example_params(check.example)
    given.pop("__kind__")
    return check.params.model_validate(given)


def action_params(action: Action[Any]) -> Any:
    """Those of the example."""
    document = YAML(typ="safe").load(action.example)
    return action.params.model_validate(document[action.name])


def needed_by(thing: Any, params: Any) -> list[Permission]:
    """What it says it needs, operations that the parameters name included."""
    found = list(thing.needs(params)) if thing.needs is not None else [Permission(thing.permissions)]
    uses = thing.operations(params) if thing.operations is not None else ()
    from monitor.aws.operations import Operations
    from monitor.aws.quotas import sdk_service

    for use in uses:
        service = sdk_service(use.aws_service)
        name = Operations().canonical(service, use.operation) or use.operation
        found += of_operation(type(use)(service, name, use.parameters, use.mutating), PLACE, None)
    return found


@pytest.mark.parametrize("thing", [*kinds(), *actions()])
def test_what_one_configuration_needs_was_declared(thing: Any) -> None:
    """The overview (`explain`, the reference) is never smaller than what a configuration asks."""
    if thing.needs is None:
        return
    params = kind_params(thing) if isinstance(thing, Check) else action_params(thing)
    for permission in thing.needs(params):
        assert set(permission.actions) <= set(thing.permissions)
        assert permission.kind in (*ARNS, "")
        assert permission.names or not permission.kind


def assert_allowed(aws: SyntheticAws, permissions: list[Permission], what: str) -> None:
    """Every call that was made is valid for the SDK, and allowed on its resources by the policy of `permissions`."""
    asked = [Asked("", "Act", one, PLACE) for one in permissions]
    allowed = statements(asked)
    for call in aws.calls:
        assert fault(call) == "", f"{call.name}: {fault(call)}"
        service, operation = call.name.split(".")
        for action in actions_of(service, operation):
            for resource in resources_of(service, operation, call.params, PLACE, action):
                keys = {"aws:requestedregion": "us-east-1", "lambda:functionarn": function_arn(permissions)}
                keys |= {f"aws:resourcetag/{key.lower()}": one for p in permissions for key, one in p.tags.items()}
                demand = Demand(action, resource, keys)
                assert allows(allowed, demand), f"{what} calls {action} on {resource} and does not say so"
    if aws.asked:
        assert allows(allowed, Demand("cloudwatch:GetMetricData", "*", {"aws:requestedregion": "us-east-1"})), what


def function_arn(permissions: list[Permission]) -> str:
    """Of the function whose mappings are meant."""
    names = [name for one in permissions for name in one.of_function]
    return f"arn:aws:lambda:us-east-1:123456789012:function:{(names or ['x'])[0]}"


@pytest.mark.parametrize("check", kinds())
async def test_a_probe_calls_only_what_it_needs(check: Check[Any]) -> None:
    """The probe of the example, on an AWS that answers everything."""
    params = kind_params(check)
    permissions = needed_by(check, params)
    names = {one.kind: one.names[0] for one in permissions if one.names}
    aws = SyntheticAws(
        queue=names.get("queue", "orders"), machine=names.get("machine", names.get("execution", "etl-workflow"))
    )
    ctx = FakeProbeContext(aws, NOW)
    try:
        await check.probe(params, ctx)  # type: ignore[arg-type]
    except STOPPED:
        pass
    except BaseExceptionGroup as group:
        assert group.split(STOPPED)[1] is None  # noqa: PT017
    assert aws.calls or aws.asked or not check.permissions, f"{check.kind} asked nothing"
    assert_allowed(aws, permissions, check.kind)


@pytest.mark.parametrize("action", actions())
async def test_an_action_calls_only_what_it_needs(action: Action[Any]) -> None:
    """Planning, capturing, applying and undoing the example, on an AWS that answers everything."""
    params = action_params(action)
    permissions = needed_by(action, params)
    names = {one.kind: one.names[0] for one in permissions if one.names}
    aws = SyntheticAws(
        queue=str(names.get("queue", "orders")).rsplit(":", 1)[-1],
        machine=str(names.get("machine", "etl-workflow")).rsplit(":", 1)[-1],
    )
    trip = TripInfo("t1", "etl", "b", "SEV1", "why", NOW, ("x",))
    ctx: Any = FakeContext(aws, trip)
    change = action.plan(params, NOW)
    receipt = Receipt(change=change)

    async def capture() -> None:
        nonlocal receipt
        prior = await action.capture(change, ctx)
        receipt = Receipt(change=change, prior=prior, applied=prior)

    async def expand() -> None:
        if action.expand is not None:
            for one in await action.expand(params, NOW, aws):
                assert one.action

    async def undo() -> None:
        if action.undo is not None:
            await action.undo(receipt, ctx)

    for work in (expand, capture, lambda: action.apply(change, ctx), undo):
        try:
            await work()
        except STOPPED:
            pass
        except BaseExceptionGroup as group:
            assert group.split(STOPPED)[1] is None  # noqa: PT017
    assert_allowed(aws, permissions, action.name)
    assert aws.calls or action.risk is Risk.NOTIFY or not action.permissions
