"""AWS as it would be asked: every read is counted and answered with something of the right shape, nothing is sent.

For estimates before a configuration runs. Replies come from the service models: one element per list, resources in
use (a queue holds something, an execution runs), so that what a run asks is rather over- than underestimated.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from botocore.model import Shape

from monitor.aws.flights import freeze
from monitor.aws.operations import Operations
from monitor.aws.quotas import sdk_service
from monitor.plugin import MetricQuery, MetricSeries, ProbeError, Reason, Resource, ResourceKind, Selector, is_glob

#: Seconds in which metric queries gather, as in the reader.
_COLLECT = 0.02
_BATCH = 500
_DEPTH = 4
_WHERE = "us-east-1:123456789012"
_ENDS = ("nexttoken", "marker", "nextmarker", "nextpagetoken", "paginationtoken", "position", "lastevaluatedtablename")
_KNOWN: Mapping[str, Any] = {
    "State": "Enabled", "status": "RUNNING", "StateValue": "OK", "IsTruncated": False, "definition": '{"States": {}}',
    "EventPattern": "{}", "type": "STANDARD", "LastUpdateStatus": "Successful", "Timeout": 60, "RedrivePolicy": None,
    "ReservedConcurrentExecutions": None, "queueUrls": [],
    "GlobalSecondaryIndexes": [], "Start": "2026-03-04", "End": "2026-03-05",
}  # fmt: skip

Find = Callable[[ResourceKind, Selector], Awaitable[Sequence[Resource]]]


class Rehearsal:
    """Reads for one group of checks that run together.

    `calls` counts distinct requests by (service, operation); `requested` metrics; `selected` what discovery was asked
    for. `found` gives the resources of globs and tags (None: `assumed` of them).
    """

    def __init__(self, operations: Operations, now: datetime, assumed: int, found: Find | None = None) -> None:
        self.region = "us-east-1"
        self.calls: Counter[tuple[str, str]] = Counter()
        self.requested = 0
        self.selected: list[tuple[ResourceKind, Selector]] = []
        self._operations = operations
        self._now = now
        self._assumed = assumed
        self._found = found
        self._asked: set[Any] = set()
        self._wave: tuple[asyncio.Event, set[MetricQuery]] | None = None

    async def account(self) -> str:
        """Some account."""
        return "123456789012"

    async def call(
        self, aws_service: str, operation: str, *, region: str | None = None, **params: Any
    ) -> Mapping[str, Any]:
        """A reply of the right shape. Raises ProbeError(invalid) for an operation that does not exist."""
        service = sdk_service(aws_service)
        name = self._operations.canonical(service, operation)
        if name is None:
            raise ProbeError(Reason.INVALID, f"{aws_service} has no operation {operation}")
        key = (service, name, region, freeze(dict(params)))
        if key not in self._asked:  # the same read at the same moment is one call
            self._asked.add(key)
            self.calls[service, name] += 1
        shape = self._operations.output_shape(service, name)
        reply = {} if shape is None else self._value(shape, "", 0)
        if (service, name) == ("sqs", "GetQueueAttributes"):
            wanted = [one for one in params.get("AttributeNames") or () if one != "RedrivePolicy"]
            return {"Attributes": dict.fromkeys(wanted, "1")}
        return dict(reply)

    async def pages(
        self, aws_service: str, operation: str, *, region: str | None = None, **params: Any
    ) -> AsyncIterator[Mapping[str, Any]]:
        """One page."""
        yield await self.call(aws_service, operation, region=region, **params)

    async def metrics(self, queries: Sequence[MetricQuery]) -> list[MetricSeries]:
        """A point each; queries of the same moment share calls of 500."""
        if self._wave is None:
            self._wave = (asyncio.Event(), set())
            asyncio.get_running_loop().call_later(_COLLECT, self._send)
        sent, waiting = self._wave
        waiting.update(queries)
        await sent.wait()
        return [MetricSeries(query, ((self._now, 1.0),)) for query in queries]

    async def find(self, kind: ResourceKind, selector: Selector) -> list[Resource]:
        """Explicit names, and as many more as a glob or tag is assumed (or was seen) to find."""
        found = [_resource(kind, name) for name in selector.explicit]
        if selector.discovers:
            self.selected.append((kind, selector))
            if self._found is not None:
                return list(await self._found(kind, selector))
            globs = [name for name in selector.names if is_glob(name)]
            stem = globs[0].replace("*", "").replace("?", "").replace("[", "").replace("]", "") if globs else "tagged-"
            found += [_resource(kind, f"{stem}{n}") for n in range(self._assumed)]
        return found

    def _send(self) -> None:
        assert self._wave is not None, "it was begun"
        sent, queries = self._wave
        self._wave = None
        by_region = Counter(query.region for query in queries)
        self.calls["cloudwatch", "GetMetricData"] += sum(-(-count // _BATCH) for count in by_region.values())
        self.requested += len(queries)
        sent.set()

    def _value(self, shape: Shape, name: str, depth: int) -> Any:
        if name in _KNOWN:
            return _KNOWN[name]
        if name.lower() in _ENDS:
            return None
        kind = shape.type_name
        if kind == "structure":
            made = {one: self._value(inner, one, depth + 1) for one, inner in shape.members.items() if depth < _DEPTH}
            return {key: value for key, value in made.items() if value is not None}
        if kind == "list":
            return [self._value(shape.member, "", depth + 1)] if depth < _DEPTH else []
        if kind == "map":
            return {}
        if kind == "timestamp":
            return self._now - timedelta(minutes=5)
        return {"string": "1", "character": "1", "boolean": False, "blob": b"{}"}.get(kind, 1)


def _resource(kind: ResourceKind, name: str) -> Resource:
    short = name.rstrip("/").rsplit("/", 1)[-1].rsplit(":", 1)[-1] if name.startswith(("arn:", "http")) else name
    service, _, tail = kind.value.partition(":")
    facts = {"url": f"https://sqs.us-east-1.amazonaws.com/123456789012/{short}"} if kind is ResourceKind.QUEUE else {}
    arn = f"arn:aws:{service}:{_WHERE}:{tail}:{short}" if tail else f"arn:aws:{service}:{_WHERE}:{short}"
    return Resource(kind, short, arn, facts)
