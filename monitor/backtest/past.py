"""AWS as a probe would have seen it: metrics as they stood at the virtual now, descriptions as they are today.

A metric's point is there once its period has ended and `lag` has passed; the window of a query ends at the newest whole
period, as in the daemon, so a point that is late is an absent one. What describes a resource (its limits, its type) is
read once, as it is now. What tells a state (which executions run, how many messages wait) has no past: it is refused,
and the signal is unknown.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from monitor.backtest.library import Library, Wish
from monitor.core.model import Reason
from monitor.core.ports import Clock
from monitor.plugin import MetricQuery, MetricSeries, ProbeError, Reads, Resource, ResourceKind, Selector

#: Descriptions that change rarely. Everything else is a state, or too near one.
DESCRIPTIONS = frozenset(
    {
        "apigateway.GetRestApis", "cloudwatch.ListMetrics", "dynamodb.DescribeTable", "kafka.ListClustersV2",
        "kafka.ListNodes", "lambda.GetAccountSettings", "lambda.GetFunctionConcurrency",
        "lambda.GetFunctionConfiguration", "service-quotas.GetAWSDefaultServiceQuota",
        "service-quotas.GetServiceQuota", "sqs.GetQueueUrl", "stepfunctions.DescribeStateMachine",
    }
)  # fmt: skip


@dataclass(slots=True)
class Asked:
    """What one check's probe asked for."""

    queries: list[MetricQuery] = field(default_factory=list)
    #: Descriptions read as they are today, and states that have no past: `service.Operation`.
    today: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Memory:
    """What one identity answered, kept for the whole replay: replies, or the errors."""

    replies: dict[str, Any] = field(default_factory=dict)


class PastReads:
    """`Reads` at a virtual now. While `library` is None it only listens: every series is empty."""

    def __init__(self, live: Reads, place: str, memory: Memory, clock: Clock, lag: timedelta) -> None:
        self._live = live
        self._place = place
        self._memory = memory
        self._clock = clock
        self._lag = lag.total_seconds()
        self.library: Library | None = None
        self.asked = Asked()

    @property
    def region(self) -> str:
        """Region in use."""
        return self._live.region

    async def account(self) -> str:
        """Account id, as it is now."""
        return str(await self._kept("account", self._live.account))

    async def call(
        self, aws_service: str, operation: str, *, region: str | None = None, **params: Any
    ) -> Mapping[str, Any]:
        """A description as it is today. Raises ProbeError for a state."""
        self._described(aws_service, operation)
        key = repr((aws_service, operation, region, params))
        reply: Mapping[str, Any] = await self._kept(
            key, lambda: self._live.call(aws_service, operation, region=region, **params)
        )
        return reply

    async def pages(
        self, aws_service: str, operation: str, *, region: str | None = None, **params: Any
    ) -> AsyncIterator[Mapping[str, Any]]:
        """The same for lists."""
        self._described(aws_service, operation)

        async def read() -> list[Mapping[str, Any]]:
            return [page async for page in self._live.pages(aws_service, operation, region=region, **params)]

        for page in await self._kept(repr(("pages", aws_service, operation, region, params)), read):
            yield page

    async def find(self, kind: ResourceKind, selector: Selector) -> list[Resource]:
        """The resources that are selected today: what was deleted meanwhile is not found."""
        found: list[Resource] = await self._kept(repr((kind, selector)), lambda: self._live.find(kind, selector))
        return list(found)

    async def metrics(self, queries: Sequence[MetricQuery]) -> list[MetricSeries]:
        """What CloudWatch would have answered at the virtual now."""
        library = self.library
        if library is None:
            self.asked.queries.extend(queries)
            return [MetricSeries(query, ()) for query in queries]
        now = self._clock.now().timestamp()
        wishes = [self.wish(query, library) for query in queries]
        lacking = [wish for wish in wishes if library.get(wish.name) is None]
        if lacking:
            await library.load(lacking)
        answers = []
        for query, wish in zip(queries, wishes, strict=True):
            series = library.get(wish.name)
            assert series is not None, "just loaded"
            if series.error is not None:
                raise series.error
            period = query.period.total_seconds()
            end = now // period * period
            answers.append(MetricSeries(query, series.window(end - query.points * period, min(end, now - self._lag))))
        return answers

    def keep_time(self, clock: Clock) -> None:
        """Look at the past by this clock from now on."""
        self._clock = clock

    def wish(self, query: MetricQuery, library: Library) -> Wish:
        """The series behind a query, from as long before the span as its window reaches."""
        back = (query.points + 1) * query.period.total_seconds() + self._lag
        return Wish(self._place, self._live, query, library.span.start.timestamp() - back)

    def _described(self, aws_service: str, operation: str) -> None:
        name = f"{aws_service}.{operation}"
        if name not in DESCRIPTIONS:
            self.asked.refused.add(name)
            raise ProbeError(Reason.INVALID, f"{name} tells the present only: it has no history to replay")
        self.asked.today.add(name)

    async def _kept(self, key: str, read: Callable[[], Any]) -> Any:
        replies = self._memory.replies
        if key not in replies:
            try:
                replies[key] = await read()
            except ProbeError as error:
                replies[key] = error
        found = replies[key]
        if isinstance(found, ProbeError):
            raise found
        return found
