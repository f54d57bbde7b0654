"""The queue between the engine, which must not wait, and channels, which take their time."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from monitor.core.model import Severity
from monitor.core.spec import ChannelSpec
from monitor.notices.address import mask_url, scheme_of

_log = structlog.get_logger()

_RANK = {Severity.SEV1: 1, Severity.SEV2: 2, Severity.SEV3: 3, Severity.SEV4: 4}


class Sender(Protocol):
    """What of `Channels` is needed."""

    async def send(self, urls: Sequence[str], title: str, body: str, severity: str) -> list[str]:
        """Failures, one text each."""


class NoticeMeter(Protocol):
    """Counting; `telemetry.Instruments` does it."""

    def notice_ended(self, scheme: str, delivered: bool) -> None:
        """A channel took a notice, or did not."""

    def notices_dropped(self, count: int) -> None:
        """A channel's queue was full."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something people should know. (incident, key) names it: the same is said once, e.g. ("inc-7", "opened")."""

    incident: str
    key: str
    severity: Severity
    title: str
    body: str


class Outbox:
    """Routes notices to channels by severity; each channel has its own bounded queue and its own pace.

    A slow channel delays no other, and one channel's notices keep their order. Full queues drop their oldest. The
    memory of what was said is bounded and does not survive a restart.
    """

    def __init__(
        self,
        channels: Sender,
        specs: Sequence[ChannelSpec],
        meter: NoticeMeter | None = None,
        *,
        depth: int = 200,
        memory: int = 5_000,
    ) -> None:
        self._channels = channels
        self._specs = tuple(specs)
        self._meter = meter
        self._depth = depth
        self._memory = memory
        self._said: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._queues: dict[str, deque[Notice]] = {}
        self._working: set[str] = set()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopping = False
        #: Notices given up because a queue was full.
        self.dropped = 0

    def route(self, specs: Sequence[ChannelSpec]) -> None:
        """The channels from now on (a reload). What is queued still goes where it was meant to."""
        self._specs = tuple(specs)

    def post(self, notice: Notice, specs: Sequence[ChannelSpec] | None = None) -> bool:
        """Queue for every channel whose `min_severity` it reaches; never waits, never raises.

        `specs` replaces the usual channels for this notice. False: said before, nobody listens, or stopped.
        """
        name = (notice.incident, notice.key)
        urls = [spec.url for spec in (self._specs if specs is None else specs) if _reaches(notice, spec)]
        if self._stopping or not urls or name in self._said:
            return False
        self._said[name] = None
        if len(self._said) > self._memory:
            self._said.popitem(last=False)
        for url in dict.fromkeys(urls):
            queue = self._queues.setdefault(url, deque())
            if len(queue) >= self._depth:
                self._drop(url, queue)
            queue.append(notice)
        self._idle.clear()
        self._wake.set()
        return True

    @property
    def queued(self) -> int:
        """Notices not yet given to their channels, counted per channel."""
        return sum(len(queue) for queue in self._queues.values())

    async def run(self) -> None:
        """Deliver until cancelled or stopped; the supervisor's task."""
        async with asyncio.TaskGroup() as workers:
            while not self._stopping:
                self._start_workers(workers)
                await self._wake.wait()
                self._wake.clear()
            self._start_workers(workers)

    async def stop(self, seconds: float) -> int:
        """Take no more, deliver what is queued for at most `seconds`; how many notices are left undelivered.

        `run` ends by itself once the queues are empty; when some are left, cancel it.
        """
        self._stopping = True
        self._wake.set()
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            left = self.queued + len(self._working)
            _log.warning("notices.abandoned", count=left)
            return left
        return 0

    def _start_workers(self, workers: asyncio.TaskGroup) -> None:
        for url in self._queues.keys() - self._working:
            self._working.add(url)
            workers.create_task(self._drain(url), name=f"notices {mask_url(url)}")

    async def _drain(self, url: str) -> None:
        """One channel's worker, for as long as it has work; so channels that a reload removed leave nothing behind."""
        queue = self._queues[url]
        try:
            while queue:
                notice = queue.popleft()
                failures = await self._channels.send([url], notice.title, notice.body, notice.severity.value)
                if self._meter is not None:
                    self._meter.notice_ended(scheme_of(url), not failures)
        finally:
            self._working.discard(url)
            if not queue:
                del self._queues[url]
            if not self._queues:
                self._idle.set()

    def _drop(self, url: str, queue: deque[Notice]) -> None:
        queue.popleft()
        self.dropped += 1
        if self._meter is not None:
            self._meter.notices_dropped(1)
        _log.warning("notice.dropped", channel=mask_url(url), queued=len(queue))


def _reaches(notice: Notice, spec: ChannelSpec) -> bool:
    return _RANK[notice.severity] <= _RANK[spec.min_severity]
