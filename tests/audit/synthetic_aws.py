"""An AWS that answers every call with something of the right shape, so that code goes on and its calls are seen."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel
from botocore.validate import ParamValidator

from monitor.aws.operations import Operations
from monitor.plugin import ActionError, ProbeError, Resource, ResourceKind, Selector
from monitor.testing import Call, FakeAws

#: What a member of this name holds, whatever its service.
_VALUES: Mapping[str, Any] = {
    "QueueUrl": "https://sqs.us-east-1.amazonaws.com/123456789012/{queue}",
    "queueUrls": ["https://sqs.us-east-1.amazonaws.com/123456789012/origin"],
    "State": "Enabled", "status": "RUNNING", "NextToken": None, "nextToken": None, "Marker": None, "marker": None,
    "NextMarker": None, "NextPageToken": None, "position": None, "IsTruncated": False, "LastUpdateStatus": "Successful",
    "PaginationToken": None, "pageToken": None, "ReservedConcurrentExecutions": 7, "LastEvaluatedTableName": None,
    "type": "STANDARD", "Body": "{}", "Timeout": 60, "definition": "{\"States\": {}}", "EventPattern": "{}",
    "executionArn": "arn:aws:states:us-east-1:123456789012:execution:{machine}:one",
    "CodeGenConfigurationNodes": None,
    "Name": "etl-1", "UserPoolId": "us-east-1_abcdefghi",
    "BackupArn": "arn:aws:dynamodb:us-east-1:123456789012:table/opendata-pulse-api/backup/01489173575360-b308cd7d",
    "stateMachineArn": "arn:aws:states:us-east-1:123456789012:stateMachine:{machine}",
}  # fmt: skip


@functools.lru_cache(maxsize=64)
def model(service: str) -> ServiceModel:
    """The SDK's model of a service."""
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


def fault(call: Call) -> str:
    """What the SDK finds wrong with a request; empty if nothing."""
    service, operation = call.name.split(".")
    shape = model(service).operation_model(operation).input_shape
    if shape is None:
        return "takes nothing" if call.params else ""
    report = ParamValidator().validate(dict(call.params), shape)
    return str(report.generate_report()) if report.has_errors() else ""


class SyntheticAws(FakeAws):
    """Every operation that exists is answered; `names` fill the placeholders of well-known members."""

    def __init__(self, **names: str) -> None:
        super().__init__()
        self._names = {"queue": "orders", "machine": "etl-workflow", **names}

    async def pages(
        self, aws_service: str, operation: str, *, region: str | None = None, **params: Any
    ) -> AsyncIterator[Mapping[str, Any]]:
        """One page."""
        name = Operations().canonical(aws_service, operation)
        yield self._answer(Call(f"{aws_service}.{name}", params))[0]

    async def find(self, kind: ResourceKind, selector: Selector) -> list[Resource]:
        """The names, and for globs and tags one resource that they match."""
        globs = [name.replace("*", "x").replace("?", "x") for name in selector.names] or ["by-tag"]
        return await super().find(kind, Selector(names=tuple(globs)))

    def _answer(self, call: Call) -> Sequence[Any]:
        self.calls.append(call)
        service, name = call.name.split(".")
        return [self._whole(model(service).operation_model(name))]

    def _whole(self, operation: OperationModel) -> dict[str, Any]:
        shape = operation.output_shape
        return {} if shape is None else self._value(shape, "", 0)

    def _value(self, shape: Any, name: str, depth: int) -> Any:
        if name in _VALUES:
            value = _VALUES[name]
            return value.format(**self._names) if isinstance(value, str) and name[0] not in "dEB" else value
        kind = shape.type_name
        if kind == "structure":
            deep = depth > 3
            wanted = {one: inner for one, inner in shape.members.items() if not deep or one in shape.required_members}
            made = {one: self._value(inner, one, depth + 1) for one, inner in wanted.items()}
            return {key: value for key, value in made.items() if value is not None}
        if kind == "list":
            return [self._value(shape.member, "", depth + 1)] * max(1, shape.metadata.get("min", 1))
        if kind == "map":
            return {"x": self._value(shape.value, "", depth + 1)}
        least = shape.metadata.get("min", 1)
        plain: Mapping[str, Any] = {
            "string": shape.enum[0] if getattr(shape, "enum", None) else "1" * max(1, least), "character": "1",
            "timestamp": self.clock.now() - timedelta(minutes=5), "boolean": False, "blob": b"{}",
        }  # fmt: skip
        return plain.get(kind, max(1, least))


class FakeContext:
    """ActionContext around a SyntheticAws."""

    def __init__(self, aws: SyntheticAws, trip: Any) -> None:
        self.aws, self.trip, self.memory = aws, trip, dict[str, Any]()

    def now(self) -> Any:
        """Virtual time."""
        return self.aws.clock.now()

    async def sleep(self, seconds: float) -> None:
        """Virtual seconds; a poll that never ends is cut off."""
        self.memory["__polls"] = self.memory.get("__polls", 0) + 1
        if self.memory["__polls"] > 200:
            raise TimeoutError("polls for ever")
        await self.aws.clock.sleep(seconds)

    async def remember(self, **values: Any) -> None:
        """Kept."""
        self.memory.update(values)

    async def progress(self, *args: Any, **more: Any) -> None:
        """Nobody looks."""

    async def notify(self, urls: Sequence[str], title: str, body: str) -> list[str]:
        """Nobody hears."""
        return []

    async def healthy(self) -> Sequence[Any]:
        """Nothing is known."""
        return []

    async def secret(self, reference: str) -> str:
        """As it is."""
        return reference

    async def permit(self, *args: Any) -> None:
        """Always."""


#: What code may end with that was given made-up answers.
STOPPED = (
    ActionError, ProbeError, TimeoutError, KeyError, ValueError, TypeError, AttributeError, IndexError, AssertionError,
)  # fmt: skip
