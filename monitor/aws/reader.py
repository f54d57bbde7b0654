"""What a probe reads through: shared, paced, retried reads in one account and region."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from monitor.aws import discovery
from monitor.aws.calls import Caller, CallFailed, Place
from monitor.aws.clients import Clients, Principal
from monitor.aws.errors import translate
from monitor.aws.flights import Flights, Spawn, freeze
from monitor.aws.metrics import MetricReader
from monitor.aws.operations import Operations, refusal
from monitor.aws.paging import Pages
from monitor.aws.quotas import sdk_service
from monitor.aws.settings import AwsSettings
from monitor.core.model import Reason
from monitor.core.ports import AwsMeter, Clock
from monitor.plugin import MetricQuery, MetricSeries, ProbeError, Resource, ResourceKind, Selector, target_name


@dataclass(eq=False, slots=True)
class Room:
    """What all readers and writers of a daemon share."""

    settings: AwsSettings
    clock: Clock
    meter: AwsMeter
    spawn: Spawn
    clients: Clients
    caller: Caller
    flights: Flights
    found: Flights
    operations: Operations
    pages: Pages
    metrics: dict[tuple[Principal, str], MetricReader] = field(default_factory=dict)
    identities: dict[Principal, tuple[float, str]] = field(default_factory=dict)

    def metric_reader(self, place: Place) -> MetricReader:
        """The collector of one identity in one region."""
        key = (place.principal, place.region)
        reader = self.metrics.get(key)
        if reader is None:
            reader = self.metrics[key] = MetricReader(
                place, self.settings, self.caller, self.clock, self.meter, self.spawn
            )
        return reader


class AwsReads:
    """Reads in one account and region. Cheap to make; everything costly is shared in the room."""

    def __init__(self, room: Room, principal: Principal, region: str) -> None:
        self._room = room
        self._principal = principal
        self._region = region

    @property
    def region(self) -> str:
        """Region in use; "" if neither config nor the SDK names one (calls then say so)."""
        return self._region

    async def account(self) -> str:
        """Account id (12 digits): from the role's ARN, else from STS, once."""
        if self._principal.account is None:
            reply = await self._shared("sts", "GetCallerIdentity", {}, None, keep=True)
            self._room.caller.learn_account(self._principal, str(reply["Account"]))
        return self._principal.account or ""

    async def call(
        self, aws_service: str, operation: str, *, region: str | None = None, **params: Any
    ) -> Mapping[str, Any]:
        """One read; the reply without ResponseMetadata. It is shared: don't change it."""
        service, name = self._allowed(aws_service, operation, params)
        self._learn_account()
        reply: Mapping[str, Any] = await self._shared(service, name, params, region, keep=True)
        return reply

    async def pages(
        self, aws_service: str, operation: str, *, region: str | None = None, **params: Any
    ) -> AsyncIterator[Mapping[str, Any]]:
        """Every page to the end; an operation that does not page gives one."""
        service, name = self._allowed(aws_service, operation, params)
        self._learn_account()
        paging = self._room.pages.of(service, name)
        token: Mapping[str, Any] = {}
        while True:
            # Pages are shared in flight only: a thousand rows each are too much to keep.
            reply = await self._shared(service, name, {**params, **token}, region, keep=False)
            yield reply
            following = paging.following(reply)
            if not following:
                return
            if following == token:
                raise ProbeError(Reason.UNAVAILABLE, f"{service}:{name} returns the same page token again and again")
            token = following

    async def metrics(self, queries: Sequence[MetricQuery]) -> list[MetricSeries]:
        """One series per query, in order; raises if any of them is unknown."""
        self._learn_account()
        regions = {query.region or self._region for query in queries}
        if len(regions) <= 1:
            return await self._metric_reader(next(iter(regions), self._region)).read(queries)
        found: dict[int, MetricSeries] = {}
        for region in sorted(regions):
            here = [(i, query) for i, query in enumerate(queries) if (query.region or self._region) == region]
            series = await self._metric_reader(region).read([query for _, query in here])
            found.update(zip((i for i, _ in here), series, strict=True))
        return [found[i] for i in range(len(queries))]

    async def find(self, kind: ResourceKind, selector: Selector) -> list[Resource]:
        """The selected resources, by name; shared and kept for the discovery window."""
        names, tags = tuple(sorted(selector.names)), tuple(sorted(selector.tags.items()))
        key = (id(self._principal), self._region, kind, names, tags)
        found: list[Resource] = await self._room.found.share(key, lambda: discovery.find(self, kind, selector))
        return list(found)

    async def reveal(self, aws_service: str, operation: str, **params: Any) -> Mapping[str, Any]:
        """A read that may return secrets: never shared or kept. For the secret resolver only, not for checks."""
        try:
            return await self._room.caller.call(self._place(None), sdk_service(aws_service), operation, params)
        except CallFailed as error:
            raise error.failure.as_probe_error() from None

    async def endpoint(self, aws_service: str) -> str:
        """The base URL that calls to this service go to."""
        try:
            client = await self._room.clients.client(self._principal, self._region, sdk_service(aws_service))
        except Exception as error:  # the SDK's errors end here, as everywhere in this room
            raise translate(error, aws_service, "endpoint").as_probe_error() from error
        return str(client.meta.endpoint_url)

    def partition(self) -> str:
        """`aws`, `aws-cn` or `aws-us-gov`."""
        return self._room.clients.partition(self._region)

    async def _shared(
        self, service: str, operation: str, params: Mapping[str, Any], region: str | None, *, keep: bool
    ) -> Any:
        place = self._place(region)

        async def read() -> Any:
            try:
                return await self._room.caller.call(place, service, operation, params)
            except CallFailed as error:
                if error.failure.reason is Reason.NOT_FOUND:
                    self._missed({value for value in params.values() if isinstance(value, str)})
                raise error.failure.as_probe_error() from error

        key = (service, id(place.principal), place.region, operation, freeze(dict(params)))
        return await self._room.flights.share(key, read, keep=keep)

    def _missed(self, named: set[str]) -> None:
        """A resource is not there. If a glob or a tag had found it, that list is outdated: the next run lists anew, so
        that a deleted target vanishes with it. One that the config names is left: it would be missed in every run."""

        def holds(key: tuple[int, str, ResourceKind, tuple[str, ...], Any], found: list[Resource]) -> bool:
            explicit = {target_name(name) for name in key[3]}
            return any(named & {one.name, one.arn, *one.facts.values()} and one.name not in explicit for one in found)

        self._room.found.forget_replies(holds)

    def _place(self, region: str | None) -> Place:
        return Place(self._principal, region or self._region)

    def _metric_reader(self, region: str) -> MetricReader:
        return self._room.metric_reader(Place(self._principal, region))

    def _allowed(self, aws_service: str, operation: str, params: Mapping[str, Any]) -> tuple[str, str]:
        """The SDK's names of a call that a check may make."""
        service, name = self._named(aws_service, operation)
        why = refusal(service, name, params)
        if why:
            raise ProbeError(Reason.INVALID, why)
        return service, name

    def _named(self, aws_service: str, operation: str) -> tuple[str, str]:
        service = sdk_service(aws_service)
        if operation[:1].isupper():
            return service, operation
        return service, self._room.operations.canonical(service, operation) or operation

    def _learn_account(self) -> None:
        """Ask who we are in the background: labels and quotas want the account, but no read may wait for STS."""
        if self._principal.account is not None:
            return
        now = self._room.clock.tick()
        asked = self._room.identities.get(self._principal)
        if asked is None or now - asked[0] > 30:
            self._room.identities[self._principal] = (now, self._region)
            self._room.spawn("aws.identity", self._learn())

    async def _learn(self) -> None:
        try:
            await self.account()
        except ProbeError:
            return  # counted and, if it lasts, reported by health
