"""The AWS room's front door, made once by `app`."""

from __future__ import annotations

from monitor.aws.calls import Caller, Guard
from monitor.aws.clients import Clients
from monitor.aws.flights import Flights, Spawn
from monitor.aws.health import Broken, Health
from monitor.aws.operations import Operations
from monitor.aws.pacing import Pacer
from monitor.aws.paging import Pages
from monitor.aws.reader import AwsReads, Room
from monitor.aws.settings import AwsSettings
from monitor.aws.writer import AwsWrites
from monitor.core.ports import AwsMeter, Clock
from monitor.core.spec import AwsSpec


class Aws:
    """One SDK session and its clients, shared by every pipeline. `spawn(name, work)` runs background reads."""

    def __init__(self, settings: AwsSettings, clock: Clock, meter: AwsMeter, spawn: Spawn) -> None:
        self._clients = Clients(settings)
        self._pacer = Pacer(clock, settings.read_share, settings.quotas)
        self._health = Health(clock)
        loader = self._clients.loader
        self._room = Room(
            settings=settings,
            clock=clock,
            meter=meter,
            spawn=spawn,
            clients=self._clients,
            caller=Caller(settings, self._clients, self._pacer, self._health, clock, meter),
            flights=Flights(clock, spawn, settings.freshness),
            found=Flights(clock, spawn, settings.discovery, most=4096),
            operations=Operations(loader),
            pages=Pages(loader),
        )

    @property
    def operations(self) -> Operations:
        """The OperationValidator, over the same model files as the clients."""
        return self._room.operations

    async def open(self) -> None:
        """Prepare. Reaches no network: AWS being down must not keep a replica from starting."""

    async def close(self) -> None:
        """Close every connection. Calls still in flight fail as unavailable. Idempotent."""
        await self._clients.close()

    def reads(self, spec: AwsSpec) -> AwsReads:
        """Reads with the spec's identity in its region."""
        return AwsReads(self._room, self._clients.principal(spec), self._clients.home_region(spec))

    def writes(self, spec: AwsSpec, guard: Guard) -> AwsWrites:
        """Reads and writes. `guard(service, operation, seconds)` is awaited before every attempt of a mutating call."""
        principal, region = self._clients.principal(spec), self._clients.home_region(spec)
        return AwsWrites(self._room, principal, region, self._pacer, guard)

    async def identity(self, spec: AwsSpec) -> tuple[str, str]:
        """(account id, region) as STS sees it; raises ProbeError. Proves that the credentials work."""
        reads = self.reads(spec)
        reply = await reads.call("sts", "GetCallerIdentity")
        account = str(reply["Account"])
        self._room.caller.learn_account(self._clients.principal(spec), account)
        return account, reads.region

    def health(self) -> tuple[Broken, ...]:
        """Identities and services that failed three times in a row or more; empty when all is well."""
        return self._health.broken()

    def rates(self) -> dict[tuple[str, str, str], float]:
        """(account or identity, region, bucket) -> requests per second as learned; for the debug view."""
        found: dict[tuple[str, str, str], float] = {}
        self._pacer.each(lambda account, region, bucket: found.__setitem__((account, region, bucket.name), bucket.rate))
        return found
