"""Keeps within what AWS allows: one adaptive token bucket per (account, region, API bucket).

Reads draw from a share of the bucket, mutations from all of it. A bucket starts from the published quota and learns
from refusals: after the first one it holds the refill rate; every later one sets the rate to what was really accepted
since the last decision. There is one decision per 250 ms however many refusals are in flight, because each of them
tells of the same moment (a cut per refusal collapses the rate to nothing). Successes raise the rate by 0.05 % each
while callers queue, ten times slower close to the rate at which AWS refused last.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping

from monitor.aws.quotas import Quota, quota
from monitor.core.ports import Clock

_DECIDE_EVERY = 0.25
_GROWTH = 0.0005
_SLOW_GROWTH = _GROWTH / 10
#: Just below the published figures: our clock and AWS's never agree on when a token fell in.
_MARGIN = 0.99
_FORGET_AFTER = 300.0
_RESTED_AFTER = 5.0
#: A burst is spread at this rate, so that a bucket smaller than assumed refuses tens of calls and not hundreds.
_BURST_SPEED = 2000.0
_MOST_BUCKETS = 4096


class _Tokens:
    """A token bucket whose waiters are served in order. Tokens come from the clock, so late wake-ups lose nothing."""

    def __init__(self, clock: Clock, burst: float, rate: float) -> None:
        self._clock = clock
        self._turn = asyncio.Lock()
        self._at = clock.tick()
        self._next = self._at
        self.burst = burst
        self.rate = rate
        self.tokens = burst

    async def take(self) -> bool:
        """Wait for a token; True if there was none at first. Cancelling it takes none."""
        waited = self._turn.locked()
        async with self._turn:
            while (wait := self._wait()) > 0:
                waited = waited or self.tokens < 1
                await self._clock.sleep(wait)
            self.tokens -= 1
            self._next = max(self._next, self._at - 0.005) + 1 / _BURST_SPEED
        return waited

    def fill(self) -> None:
        now = self._clock.tick()
        self.tokens = min(max(1.0, self.burst), self.tokens + (now - self._at) * self.rate)
        self._at = now

    def _wait(self) -> float:
        self.fill()
        if self.tokens < 1:
            return max(0.001, (1 - self.tokens) / self.rate)
        return max(0.0, self._next - self._at)


class Bucket:
    """The pace of one API bucket. `rate` is requests per second as believed now."""

    def __init__(self, clock: Clock, limits: Quota, read_share: float) -> None:
        self._clock = clock
        self._limits = limits
        self._share = read_share
        self._all = _Tokens(clock, limits.burst * _MARGIN, limits.refill * _MARGIN)
        self._reads = _Tokens(clock, max(1.0, limits.burst * read_share), limits.refill * read_share)
        self._decided = float("-inf")
        self._accepted = 0
        self._ceiling: float | None = None
        self._queued = self._reads_queued = False
        self._minute = _Minute(clock)

    @property
    def name(self) -> str:
        """`service:Operation`, or `service:*` where operations share."""
        return self._limits.bucket

    @property
    def rate(self) -> float:
        """Sustained requests per second, for mutations."""
        return self._all.rate

    @property
    def used(self) -> float:
        """Share of the assumed quota used over the last minute, 0 to 1."""
        return min(1.0, self._minute.count() / (60 * self._limits.refill))

    async def take(self, *, read: bool) -> None:
        """Wait for permission to send one request."""
        self._reads_queued = await self._reads.take() if read else False
        self._queued = await self._all.take()
        self._minute.add()

    def accepted(self) -> None:
        """A request was not refused."""
        self._accepted += 1
        rate, refill = self._all.rate, self._limits.refill * _MARGIN
        if rate < refill and self._clock.tick() - self._decided > _FORGET_AFTER:
            self._set(refill)  # whoever used the quota up is gone
        elif self._queued or (self._reads_queued and rate < refill):
            # Reads alone, held at their share, prove nothing about rates above the published one.
            near = self._ceiling is not None and rate > 0.98 * self._ceiling
            self._set(rate * (1 + (_SLOW_GROWTH if near else _GROWTH)))

    def refused(self) -> None:
        """AWS throttled a request: decide anew, once per quarter second."""
        now = self._clock.tick()
        elapsed = now - self._decided
        if elapsed < _DECIDE_EVERY:
            return
        self._all.fill()
        rate, refill = self._all.rate, self._limits.refill
        # Later on, tokens in hand only tell of a burst that had time to build up; else somebody shares the quota.
        rested = elapsed > _RESTED_AFTER and self._all.tokens >= self._all.burst / 2
        burst_ended = rested or self._decided == float("-inf")
        if burst_ended and rate > 0.5 * refill:
            # Somebody (we, at first) emptied the bucket: what is left to know is how fast it fills.
            self._set(min(rate, refill))
        else:
            taken = self._accepted / elapsed
            self._ceiling = min(max(taken, rate / 2), rate)
            self._set(0.98 * self._ceiling)
        self._all.tokens = min(self._all.tokens, 0.0)
        self._decided, self._accepted = now, 0

    def _set(self, rate: float) -> None:
        floor = self._limits.refill / 50
        self._all.rate = max(floor, rate)
        # Reads never exceed their share of the published quota, and shrink with it when AWS allows less.
        self._reads.rate = self._share * max(floor, min(self._limits.refill, rate))


class _Minute:
    """Requests of the last minute, in twelve slots of five seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._slots = [0] * 12
        self._slot = int(clock.tick() / 5)

    def add(self) -> None:
        self._turn()
        self._slots[self._slot % 12] += 1

    def count(self) -> int:
        self._turn()
        return sum(self._slots)

    def _turn(self) -> None:
        slot = int(self._clock.tick() / 5)
        for passed in range(self._slot + 1, min(slot, self._slot + 12) + 1):
            self._slots[passed % 12] = 0
        self._slot = slot


class Pacer:
    """All buckets, made on first use. `overrides` are quotas by `service:Operation` or `service`."""

    def __init__(self, clock: Clock, read_share: float, overrides: Mapping[str, tuple[float, float]]) -> None:
        self._clock = clock
        self._share = read_share
        self._overrides = overrides
        self._buckets: OrderedDict[tuple[str, str, str], Bucket] = OrderedDict()
        self._quotas: dict[tuple[str, str, str], Quota] = {}

    def bucket(self, account: str, region: str, aws_service: str, operation: str) -> Bucket:
        """The bucket that this call draws from. Bounded: the least recently used are forgotten."""
        asked = (region, aws_service, operation)
        limits = self._quotas.get(asked)
        if limits is None:
            if len(self._quotas) >= _MOST_BUCKETS:
                self._quotas.clear()
            limits = self._quotas[asked] = quota(aws_service, operation, region, self._overrides)
        key = (account, region, limits.bucket)
        found = self._buckets.get(key)
        if found is None:
            found = self._buckets[key] = Bucket(self._clock, limits, self._share)
            if len(self._buckets) > _MOST_BUCKETS:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(key)
        return found

    def rename(self, known_as: str, account: str) -> None:
        """The identity's account became known: what was learned under its old name goes on under the account."""
        for key in [key for key in self._buckets if key[0] == known_as]:
            bucket = self._buckets.pop(key)
            self._buckets.setdefault((account, *key[1:]), bucket)

    def each(self, see: Callable[[str, str, Bucket], None]) -> None:
        """Call `see(account, region, bucket)` for every bucket in use."""
        for (account, region, _), bucket in self._buckets.items():
            see(account, region, bucket)
