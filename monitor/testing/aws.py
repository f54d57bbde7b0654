"""An AWS of canned replies."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

from monitor.core.model import Reason
from monitor.plugin import (
    ActionError,
    MetricQuery,
    MetricSeries,
    ProbeError,
    Resource,
    ResourceKind,
    Selector,
    is_glob,
    target_name,
)
from monitor.testing.clock import FakeClock

_READS = re.compile(
    r"(AdminGet|AdminList|Get|List|Describe|Head|Lookup|Filter|Search|BatchGet|Query|Scan|Test|Simulate|Select)[A-Z].*|(Start|Stop)Query"
)


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was made: `name` is `service.Operation`."""

    name: str
    params: Mapping[str, Any]
    mutating: bool = False


#: A reply (one page), a list of replies (pages), an exception to raise, or a function of the request's parameters
#: that returns or raises any of these.
Reply = Mapping[str, Any] | Sequence[Mapping[str, Any] | Exception] | Exception | Callable[..., Any]

#: Values per period, newest last (None: no datapoint), an exception, or a function of the query that returns these.
Points = Sequence[float | None] | Exception | Callable[[MetricQuery], Any]


def metric_key(query: MetricQuery) -> str:
    """How FakeAws names a metric: `AWS/SQS.ApproximateAgeOfOldestMessage[QueueName=orders]`, dimensions sorted."""
    dimensions = ",".join(f"{name}={value}" for name, value in sorted(query.dimensions))
    return f"{query.namespace}.{query.metric}[{dimensions}]"


class FakeAws:
    """Reads and Writes from canned replies; every request lands in `calls`, every metric asked for in `asked`.

    A request without a canned reply is an AssertionError: a test must say what AWS would answer. Metrics without
    points are empty series, as with AWS. Tags of a resource are facts named `tag:KEY`. Set `held` to make `mutate`
    raise it, as a closed gate does.
    """

    def __init__(
        self,
        replies: Mapping[str, Reply] | None = None,
        *,
        metrics: Mapping[str, Points] | None = None,
        resources: Sequence[Resource] = (),
        clock: FakeClock | None = None,
        account: str = "123456789012",
        region: str = "us-east-1",
    ) -> None:
        self.replies: dict[str, Reply] = dict(replies or {})
        self.points: dict[str, Points] = dict(metrics or {})
        self.resources = list(resources)
        self.clock = clock or FakeClock(auto=True)
        self.calls: list[Call] = []
        self.asked: list[MetricQuery] = []
        self.held: Exception | None = None
        self._account, self._region = account, region

    @property
    def region(self) -> str:
        """Region in use."""
        return self._region

    @property
    def mutations(self) -> list[Call]:
        """The mutating calls, in order."""
        return [call for call in self.calls if call.mutating]

    def count(self, name: str) -> int:
        """How often `service.Operation` was called (each page is a call)."""
        return sum(call.name == name for call in self.calls)

    async def account(self) -> str:
        """Account id."""
        return self._account

    async def call(
        self, aws_service: str, operation: str, *, region: str | None = None, **params: Any
    ) -> Mapping[str, Any]:
        """The canned reply, or its first page."""
        if not _READS.fullmatch(operation):
            raise ProbeError(Reason.INVALID, f"{aws_service}.{operation} changes things; a check only reads")
        return dict(self._answer(Call(f"{aws_service}.{operation}", params))[0])

    async def pages(
        self, aws_service: str, operation: str, *, region: str | None = None, **params: Any
    ) -> AsyncIterator[Mapping[str, Any]]:
        """Every canned page; an exception among them is raised in its turn. Pages count as calls once consumed."""
        call = Call(f"{aws_service}.{operation}", params)
        for number, page in enumerate(self._answer(call)):
            if number:
                self.calls.append(call)
            if isinstance(page, Exception):
                raise page
            yield page

    async def metrics(self, queries: Sequence[MetricQuery]) -> list[MetricSeries]:
        """The canned points, the newest ending at the last whole period before the clock's time."""
        self.asked.extend(queries)
        return [MetricSeries(query, self._series(query)) for query in queries]

    async def find(self, kind: ResourceKind, selector: Selector) -> list[Resource]:
        """Explicit names always (they need not exist); of `resources` those that match a glob and all tags."""
        known = {resource.name: resource for resource in self.resources if resource.kind is kind}
        found = {}
        for name in (target_name(text) for text in selector.names if not is_glob(text)):
            found[name] = known.get(name) or self._made_up(kind, name)
        globs = [name for name in selector.names if is_glob(name)]
        for name, resource in known.items():
            tagged = all(
                f"tag:{key}" in resource.facts and value in ("", resource.facts[f"tag:{key}"])
                for key, value in selector.tags.items()
            )
            named = any(fnmatchcase(name, glob) for glob in globs)
            if tagged and (named or (selector.tags and not globs)):
                found[name] = resource
        return [found[name] for name in sorted(found)]

    async def mutate(
        self, aws_service: str, operation: str, *, idempotent: bool = True, **params: Any
    ) -> Mapping[str, Any]:
        """The canned reply; a ProbeError among the replies becomes the ActionError it would be."""
        if self.held is not None:
            raise self.held
        try:
            return dict(self._answer(Call(f"{aws_service}.{operation}", params, mutating=True))[0])
        except ProbeError as error:
            raise ActionError(error.reason, error.detail) from error

    def rate(self, aws_service: str, operation: str) -> float:
        """Calls per second; the same for every operation."""
        return 100.0

    def _answer(self, call: Call) -> Sequence[Any]:
        self.calls.append(call)
        if call.name not in self.replies:
            raise AssertionError(f"no canned reply for {call.name} {dict(call.params)}")
        reply = _resolve(self.replies[call.name], **call.params)
        pages = [reply] if isinstance(reply, Mapping) else list(reply)
        if pages and isinstance(pages[0], Exception):
            raise pages[0]
        return pages or [{}]

    def _series(self, query: MetricQuery) -> tuple[tuple[datetime, float], ...]:
        values = _resolve(self.points.get(metric_key(query), ()), query)
        period = query.period.total_seconds()
        end = self.clock.now().timestamp() // period * period
        newest_first = list(reversed(values))[: query.points]
        return tuple(
            (datetime.fromtimestamp(end - age * period, tz=UTC), float(value))
            for age, value in reversed(list(enumerate(newest_first)))
            if value is not None
        )

    def _made_up(self, kind: ResourceKind, name: str) -> Resource:
        service, _, tail = kind.value.partition(":")
        path = f"{tail}:{name}" if tail else name
        facts = {"url": f"https://sqs.{self._region}.amazonaws.com/{self._account}/{name}"}
        return Resource(
            kind,
            name,
            f"arn:aws:{service}:{self._region}:{self._account}:{path}",
            facts if kind is ResourceKind.QUEUE else {},
        )


def _resolve(reply: Any, *args: Any, **params: Any) -> Any:
    while callable(reply) and not isinstance(reply, Exception):
        reply = reply(*args, **params)
    if isinstance(reply, Exception):
        raise reply
    return reply
