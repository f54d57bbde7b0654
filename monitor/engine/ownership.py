"""Who owns which pipeline: takes leases, renews them, and lets go of what was lost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from datetime import timedelta

import structlog

from monitor.core.ports import Clock, Fenced, Lease, Store, StoreError

log = structlog.get_logger(__name__)

#: A lease outlasts any call's deadline with margin; a third of it is the heartbeat.
TTL = timedelta(seconds=60)


class Ownership:
    """The leases of this process."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        owner: str,
        gained: Callable[[str], Awaitable[None]],
        lost: Callable[[str], Awaitable[None]],
    ) -> None:
        self._store = store
        self._clock = clock
        self._owner = owner
        self._gained = gained
        self._lost = lost
        self._leases: dict[str, Lease] = {}
        #: Monotonic time at which each lease ends, whatever happens to the wall clock.
        self._ends: dict[str, float] = {}
        self._wanted: set[str] = set()
        self._doubted: set[str] = set()

    def lease(self, pipeline: str) -> Lease | None:
        """The lease in hand, unless it has run out, by the wall clock or by the monotonic one, whichever is sooner.

        A wall clock set back must not make a lease last that another replica has taken.
        """
        lease = self._leases.get(pipeline)
        if lease is None or pipeline in self._doubted:
            return None
        now = self._clock.now()
        end = min(lease.expires_at, now + timedelta(seconds=self._ends[pipeline] - self._clock.tick()))
        return replace(lease, expires_at=end) if end > now else None

    def doubt(self, pipeline: str) -> None:
        """The store refused a write as fenced: the lease is not believed before it was renewed once more."""
        self._doubted.add(pipeline)

    def leases(self) -> dict[str, bool]:
        """Whether each wanted pipeline is ours."""
        return {name: self.lease(name) is not None for name in sorted(self._wanted)}

    def want(self, pipelines: Iterable[str]) -> None:
        """The pipelines to own from the next beat on (those of the config and of orphaned breakers)."""
        self._wanted = set(pipelines)

    async def beat(self) -> None:
        """Renew what we have, take what is free. A store that fails leaves the leases to run out."""
        for name in sorted(self._wanted | set(self._leases)):
            try:
                await self._one(name)
            except StoreError as error:
                log.warning("lease.unrenewed", pipeline=name, detail=str(error))
            except Exception:  # the boundary that keeps one pipeline's unreadable state from the others' leases
                log.exception("lease.failed", pipeline=name, reason="bug")

    async def loop(self) -> None:
        """Beat three times per lease."""
        while True:
            await self._clock.sleep(TTL.total_seconds() / 3)
            await self.beat()

    async def release(self) -> None:
        """Give everything back, so that another replica need not wait."""
        for name in list(self._leases):
            lease = self._leases.pop(name)
            try:
                await self._store.release(lease)
            except StoreError as error:
                log.warning("lease.unreleased", pipeline=name, detail=str(error))

    async def _one(self, name: str) -> None:
        held = self._leases.get(name)
        now, end = self._clock.now(), self._clock.tick() + TTL.total_seconds()
        if held is not None and name not in self._wanted:
            del self._leases[name]
            await self._lost(name)
            await self._store.release(held)
            return
        if held is not None:
            try:
                self._leases[name] = await self._store.renew(held, TTL, now)
                self._ends[name] = end
                self._doubted.discard(name)
            except Fenced:
                del self._leases[name]
                log.warning("lease.lost", pipeline=name)
                await self._lost(name)
            return
        lease = await self._store.acquire(name, self._owner, TTL, now)
        if lease is not None:
            self._leases[name], self._ends[name] = lease, end
            self._doubted.discard(name)
            log.info("lease.acquired", pipeline=name, epoch=lease.epoch)
            try:
                await self._gained(name)
            except Exception:  # the boundary passes it on; what it leaves behind must not stand
                # A lease without workers protects nothing: give it back, the next beat begins anew.
                del self._leases[name]
                await self._lost(name)
                await self._store.release(lease)
                raise
