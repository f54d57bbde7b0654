"""The queue between the engine, which must not wait, and channels, which take their time."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from monitor.core.model import Severity
from monitor.core.ports import Clock
from monitor.core.spec import ChannelSpec
from monitor.notices.address import channel_name, mask_url, scheme_of
from monitor.notices.slack_room import Topic

_log = structlog.get_logger()

_RANK = {Severity.SEV1: 1, Severity.SEV2: 2, Severity.SEV3: 3, Severity.SEV4: 4}
#: What a channel may ask for; everything else that is worth saying counts as an alert.
EVENTS = ("alert", "update", "resolved")


class Sender(Protocol):
    """What of `Channels` is needed."""

    async def send(
        self, urls: Sequence[str], title: str, body: str, severity: str, topic: Topic | None = None
    ) -> list[str]:
        """Failures, one text each."""


class NoticeMeter(Protocol):
    """Counting; `telemetry.Instruments` does it."""

    def notice_ended(self, scheme: str, delivered: bool) -> None:
        """A channel took a notice, or did not."""

    def notice_refused(self, scheme: str) -> None:
        """An attempt that a channel did not take; another one follows, or it is given up."""

    def notices_dropped(self, count: int) -> None:
        """A channel's queue was full."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something people should know. (incident, key) names it: the same is said once, e.g. ("inc-7", "alert").

    The key's first word is the kind: alert, update or resolved.
    """

    incident: str
    key: str
    severity: Severity
    title: str
    body: str

    @property
    def event(self) -> str:
        """Which of EVENTS this is."""
        kind = self.key.partition(" ")[0]
        return kind if kind in EVENTS else "alert"


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a notice ended at one channel. `last`: no other channel may still take it."""

    notice: Notice
    channel: str
    sent: bool
    detail: str
    last: bool


@dataclass(frozen=True, slots=True)
class Bounds:
    """Notices queued per channel, names remembered, and how long a channel that fails is tried again.

    `patience`, `first_pause` and `longest_pause` are seconds; pauses double in between.
    """

    depth: int = 200
    memory: int = 5_000
    patience: float = 1_800.0
    first_pause: float = 5.0
    longest_pause: float = 300.0


@dataclass(slots=True)
class _Line:
    """One channel's queue: (when posted, notice), and what stops its worker's pause."""

    waiting: deque[tuple[float, Notice]] = field(default_factory=deque)
    wake: asyncio.Event = field(default_factory=asyncio.Event)


class Outbox:
    """Routes notices to channels by severity and kind; each channel has its own bounded queue and its own pace.

    A slow or failing channel delays no other, and one channel's notices keep their order: what fails is tried again,
    before anything that came later, until it is `patience` old. Full queues drop their oldest. The memory of what was
    said is bounded and does not survive a restart; `ended` hears of every delivery, for memories that do.
    """

    def __init__(
        self,
        channels: Sender,
        specs: Sequence[ChannelSpec],
        clock: Clock,
        meter: NoticeMeter | None = None,
        ended: Callable[[Delivery], None] | None = None,
        bounds: Bounds | None = None,
    ) -> None:
        self._channels = channels
        self._specs = tuple(specs)
        self._clock = clock
        self._meter = meter
        self._ended = ended
        self._bounds = bounds or Bounds()
        self._said: OrderedDict[tuple[str, str], None] = OrderedDict()
        #: Channels that may still take a notice, by its name.
        self._open: dict[tuple[str, str], int] = {}
        self._lines: dict[str, _Line] = {}
        self._working: set[str] = set()
        self._sending: set[str] = set()
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
        """Queue for every channel that wants it; never waits, never raises.

        `specs` replaces the usual channels for this notice. False: said before, nobody listens, or stopped.
        """
        name = (notice.incident, notice.key)
        wanted = [spec.url for spec in (self._specs if specs is None else specs) if _wants(spec, notice)]
        urls = list(dict.fromkeys(wanted))
        if self._stopping or not urls or name in self._said:
            return False
        self._said[name] = None
        if len(self._said) > self._bounds.memory:
            self._said.popitem(last=False)
        self._open[name] = self._open.get(name, 0) + len(urls)
        for url in urls:
            line = self._lines.setdefault(url, _Line())
            if len(line.waiting) >= self._bounds.depth:
                self._drop(url, line)
            line.waiting.append((self._clock.tick(), notice))
        self._idle.clear()
        self._wake.set()
        return True

    @property
    def queued(self) -> int:
        """Notices not yet given to their channels, counted per channel."""
        return sum(len(line.waiting) for line in self._lines.values())

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

        Channels that fail are tried once more. `run` ends by itself once the queues are empty; when some are left,
        cancel it.
        """
        self._stopping = True
        self._wake.set()
        for line in self._lines.values():
            line.wake.set()
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            pass
        left = self.queued + len(self._sending)
        if left:
            _log.warning("notices.abandoned", count=left)
        return left

    def _start_workers(self, workers: asyncio.TaskGroup) -> None:
        for url in self._lines.keys() - self._working:
            self._working.add(url)
            workers.create_task(self._drain(url), name=f"notices {mask_url(url)}")

    async def _drain(self, url: str) -> None:
        """One channel's worker, for as long as it has work; so channels that a reload removed leave nothing behind."""
        line, pause = self._lines[url], 0.0
        try:
            while line.waiting:
                posted, notice = line.waiting.popleft()
                self._sending.add(url)
                topic = Topic(notice.incident, notice.event)
                failures = await self._channels.send([url], notice.title, notice.body, notice.severity.value, topic)
                self._sending.discard(url)
                if not failures:
                    self._end(url, notice, "")
                    pause = 0.0
                    continue
                if self._meter is not None:
                    self._meter.notice_refused(scheme_of(url))
                line.waiting.appendleft((posted, notice))
                self._give_up_old(url, line, failures[0])
                if self._stopping:
                    return
                pause = min(self._bounds.longest_pause, pause * 2 or self._bounds.first_pause)
                await self._rest(line, pause)
        finally:
            self._sending.discard(url)
            self._working.discard(url)
            if not line.waiting:
                del self._lines[url]
            if not self._lines or (self._stopping and not self._working):
                self._idle.set()

    def _give_up_old(self, url: str, line: _Line, why: str) -> None:
        """The channel failed just now: what was waiting for longer than its patience will not be repeated."""
        while line.waiting and self._clock.tick() - line.waiting[0][0] >= self._bounds.patience:
            _, notice = line.waiting.popleft()
            self._end(url, notice, why)

    async def _rest(self, line: _Line, seconds: float) -> None:
        """Until the pause is over; `stop` ends it early."""

        async def nap() -> None:
            await self._clock.sleep(seconds)
            line.wake.set()

        async with asyncio.TaskGroup() as group:
            alarm = group.create_task(nap(), name="notices pause")
            await line.wake.wait()
            alarm.cancel()
        line.wake.clear()

    def _drop(self, url: str, line: _Line) -> None:
        _, notice = line.waiting.popleft()
        self.dropped += 1
        if self._meter is not None:
            self._meter.notices_dropped(1)
        _log.warning("notice.dropped", channel=mask_url(url), queued=len(line.waiting))
        self._hear(url, notice, "dropped: the queue was full")

    def _end(self, url: str, notice: Notice, failure: str) -> None:
        if self._meter is not None:
            self._meter.notice_ended(scheme_of(url), not failure)
        if failure:
            _log.warning("notice.given_up", channel=mask_url(url), incident=notice.incident, error=failure)
        self._hear(url, notice, failure)

    def _hear(self, url: str, notice: Notice, failure: str) -> None:
        name = (notice.incident, notice.key)
        left = self._open.get(name, 1) - 1
        if left > 0:
            self._open[name] = left
        else:
            self._open.pop(name, None)
        if self._ended is not None:
            self._ended(Delivery(notice, channel_name(url), not failure, failure, left <= 0))


def _wants(spec: ChannelSpec, notice: Notice) -> bool:
    if _RANK[notice.severity] > _RANK[spec.min_severity]:
        return False
    return not spec.events or notice.event in spec.events
