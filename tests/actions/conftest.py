"""A fake AWS whose every request is held against the SDK's own service models and the action's permissions."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator
from live_action import live

from monitor.demo.emulator import child
from monitor.demo.emulator.child import KEYS, Side
from monitor.plugin import Action
from monitor.testing import Call, FakeAws

#: Where IAM's prefix differs from the service's name, and where its action differs from the operation.
IAM = {"stepfunctions": "states"}
IAM_ACTIONS = {
    "lambda:Invoke": "lambda:InvokeFunction",
    "s3:ListObjectsV2": "s3:ListBucket",
    "budgets:DescribeBudget": "budgets:ViewBudget",
    "budgets:UpdateBudget": "budgets:ModifyBudget",
}


class Models:
    """The SDK's service models, loaded once each."""

    def __init__(self) -> None:
        self._loader, self._known = Loader(), dict[str, ServiceModel]()

    def fault(self, call: Call) -> str:
        """What the SDK finds wrong with a request; empty if nothing."""
        service, operation = call.name.split(".")
        if service not in self._known:
            self._known[service] = ServiceModel(self._loader.load_service_model(service, "service-2"), service)
        shape = self._known[service].operation_model(operation).input_shape
        if shape is None:
            return "takes nothing" if call.params else ""
        report = ParamValidator().validate(dict(call.params), shape)
        return report.generate_report() if report.has_errors() else ""


@pytest.fixture(scope="session")
def models() -> Models:
    """Shared: loading takes a while."""
    return Models()


@pytest.fixture
def fake(models: Models) -> Iterator[Callable[..., FakeAws]]:
    """`fake(replies, action=ACTION, ...)`: a FakeAws; when the test ends its requests must have been valid."""
    made: list[tuple[FakeAws, Action[Any] | None]] = []

    def make(*args: Any, action: Action[Any] | None = None, **options: Any) -> FakeAws:
        made.append((FakeAws(*args, **options), action))
        return made[-1][0]

    yield make
    for aws, action in made:
        for call in aws.calls:
            assert models.fault(call) == "", f"{call.name}: {models.fault(call)}"
            if action is not None and action.permissions:
                service, operation = call.name.split(".")
                permission = f"{IAM.get(service, service)}:{operation}"
                permission = IAM_ACTIONS.get(permission, permission)
                assert permission in action.permissions, f"{action.name} calls {permission} without declaring it"


@pytest.fixture(scope="module")
def emulator():
    """A process that the tests of a module share."""
    with child.start() as running:
        yield running


@pytest.fixture
async def side(emulator, monkeypatch):
    """Its side door, everything reset; our environment points nowhere else."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    async with Side(emulator.url) as door:
        await door.post("reset")
        yield door


@pytest.fixture
async def aws(emulator, side):
    """Writes with every gate open."""
    async with live(emulator.url) as writes:
        yield writes
