"""One call: paced, guarded, sent, translated, retried. The only retry layer; the SDK makes a single attempt.

A read is retried while it may still succeed (throttled, timeout, unavailable). A mutating call likewise, but only if
it is idempotent; otherwise an outcome in doubt is reported as such and never repeated. Every attempt passes the pacer
and, for mutations, the guard. One deadline bounds all of it, the waiting included.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore import xform_name
from botocore.exceptions import ParamValidationError
from tenacity import AsyncRetrying, RetryCallState, wait_random_exponential

from monitor.aws.clients import Clients, Principal
from monitor.aws.errors import Failure, translate
from monitor.aws.health import Health
from monitor.aws.pacing import Bucket, Pacer
from monitor.aws.pricing import request_price
from monitor.aws.settings import AwsSettings
from monitor.core.model import RETRYABLE, Reason
from monitor.core.ports import AwsMeter, Clock

#: guard(service, operation, seconds the attempt may last): raises Held when it may not go out.
Guard = Callable[[str, str, float], Awaitable[None]]

_ATTEMPTS = 4
_LARGEST_BODY = 8 * 2**20


@dataclass(frozen=True, slots=True)
class Place:
    """Where a call goes."""

    principal: Principal
    region: str


@dataclass(frozen=True, slots=True)
class Mutation:
    """What a call needs besides when it changes something."""

    guard: Guard
    idempotent: bool = True


class CallFailed(Exception):
    """The call is given up; `failure` is its last attempt's."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.detail)
        self.failure = failure


#: Reads begun in one turn of the event loop: the SDK takes a millisecond to make a request of each.
BEGUN_AT_ONCE = 4


@dataclass(slots=True)
class _Progress:
    """How far a call is, to say what the deadline cut short."""

    phase: str = "queue"  # queue | guard | send | pause
    last: Failure | None = None


class Caller:
    """Makes calls for everybody in this room."""

    def __init__(
        self, settings: AwsSettings, clients: Clients, pacer: Pacer, health: Health, clock: Clock, meter: AwsMeter
    ) -> None:
        self._settings = settings
        self._clients = clients
        self._pacer = pacer
        self._health = health
        self._clock = clock
        self._meter = meter
        self._told: dict[tuple[str, str, str], float] = {}
        self._turnstile = asyncio.Semaphore(BEGUN_AT_ONCE)

    async def call(
        self,
        place: Place,
        aws_service: str,
        operation: str,
        params: Mapping[str, Any],
        mutation: Mutation | None = None,
        *,
        hot: bool = False,
        acting: bool = False,
    ) -> dict[str, Any]:
        """The reply without ResponseMetadata. Raises CallFailed, and whatever the guard raises.

        `acting`: a read that an action needs; it may use the whole quota, or a cut would wait behind the checks.
        """
        progress = _Progress()

        async def attempt() -> dict[str, Any]:
            bucket = self._pacer.bucket(place.principal.key, place.region, aws_service, operation)
            progress.phase = "queue"
            await bucket.take(read=mutation is None and not acting)
            if mutation is None and not acting:
                async with self._turnstile:  # a check of a thousand queues wants to begin a thousand at once
                    await asyncio.sleep(0)
            return await self._attempt(place, aws_service, operation, params, mutation, progress, hot)

        async def pause(seconds: float) -> None:
            progress.phase = "pause"
            await self._clock.sleep(seconds)

        attempts = AsyncRetrying(
            sleep=pause,
            wait=wait_random_exponential(multiplier=0.2, max=4),  # full jitter
            retry=lambda state: _worth_repeating(state, mutation),
            stop=lambda state: _enough(state, mutation),
            reraise=True,
        )
        try:
            async with asyncio.timeout(self._settings.deadline.total_seconds()):
                reply: dict[str, Any] = await attempts(attempt)
                return reply
        except TimeoutError:
            call = f"{aws_service}:{operation}"
            raise CallFailed(_out_of_time(progress, call, read=mutation is None)) from None

    def learn_account(self, principal: Principal, account: str) -> None:
        """STS said whose credentials these are; quotas and labels go by the account from now on."""
        if principal.account != account:
            self._pacer.rename(principal.key, account)
            principal.account = account

    async def _attempt(
        self,
        place: Place,
        aws_service: str,
        operation: str,
        params: Mapping[str, Any],
        mutation: Mutation | None,
        progress: _Progress,
        hot: bool,
    ) -> dict[str, Any]:
        account, region = place.principal.key, place.region
        bucket = self._pacer.bucket(account, region, aws_service, operation)
        limit = (self._settings.connect_timeout + self._settings.read_timeout).total_seconds()
        if mutation is not None:
            progress.phase = "guard"
            await mutation.guard(aws_service, operation, limit)
        progress.phase = "send"
        try:
            async with asyncio.timeout(limit):
                client = await self._clients.client(place.principal, region, aws_service, hot=hot)
                send = getattr(client, xform_name(operation), None)
                if send is None:
                    raise ParamValidationError(report=f"{aws_service} has no operation {operation}")
                reply = await send(**params)
                reply.pop("ResponseMetadata", None)
                await _read_streams(reply)
        except Exception as error:  # the named boundary: whatever the SDK raises becomes a Failure here
            failure = translate(error, aws_service, operation)
            self._settle(place, aws_service, operation, bucket, failure)
            progress.last = failure
            raise CallFailed(failure) from error
        self._settle(place, aws_service, operation, bucket, None)
        found: dict[str, Any] = reply
        return found

    def _settle(self, place: Place, aws_service: str, operation: str, bucket: Bucket, failure: Failure | None) -> None:
        if failure is not None and failure.identity:
            self._health.failed(place.principal, place.region, aws_service, failure)
        if failure is not None and failure.local:
            return  # nothing was sent, so there is nothing to count
        account, region = place.principal.account or "unknown", place.region
        reason = failure.reason if failure else None
        if reason is Reason.THROTTLED:
            bucket.refused()
        elif failure is None or not failure.endpoint:
            bucket.accepted()
        if failure is None:
            self._health.succeeded(place.principal, region, aws_service)
        elif not failure.identity:
            self._health.failed(place.principal, region, aws_service, failure)
        self._meter.aws_request(aws_service, operation, account, region, reason)
        if failure is None and (price := request_price(aws_service, operation)):
            self._meter.aws_cost(aws_service, price)
        if place.principal.account:  # a gauge for "unknown" would stay behind once the account is known
            self._meter.aws_up(aws_service, account, region, failure is None or not failure.endpoint)
        self._tell_quota(place, aws_service, operation, bucket)

    def _tell_quota(self, place: Place, aws_service: str, operation: str, bucket: Bucket) -> None:
        """Once a second per bucket is enough for a gauge."""
        key = (place.principal.key, place.region, bucket.name)
        now = self._clock.tick()
        if now - self._told.get(key, float("-inf")) < 1:
            return
        if len(self._told) > 4096:
            self._told.clear()
        self._told[key] = now
        shared = bucket.name.rsplit(":", 1)[-1]
        if place.principal.account:
            self._meter.aws_quota(aws_service, shared, place.principal.account, place.region, bucket.used)


def _worth_repeating(state: RetryCallState, mutation: Mutation | None) -> bool:
    error = state.outcome.exception() if state.outcome else None
    if not isinstance(error, CallFailed) or error.failure.reason not in RETRYABLE:
        return False
    return mutation is None or mutation.idempotent or not error.failure.ambiguous


def _enough(state: RetryCallState, mutation: Mutation | None) -> bool:
    """Reads give up soon, to say why within their check's timeout; a throttled mutation waits for its turn."""
    error = state.outcome.exception() if state.outcome else None
    throttled = isinstance(error, CallFailed) and error.failure.reason is Reason.THROTTLED
    return state.attempt_number >= _ATTEMPTS and not (throttled and mutation is not None)


def _out_of_time(progress: _Progress, call: str, *, read: bool) -> Failure:
    if progress.phase == "queue":
        share = "our share of the quota" if read else "the quota"
        return Failure(Reason.THROTTLED, f"{call}: held back to stay under {share}, and the time ran out")
    if progress.phase == "guard":
        return Failure(Reason.TIMEOUT, f"{call}: the gates did not answer in time; nothing was sent")
    if progress.phase == "pause" and progress.last is not None:
        return progress.last
    return Failure(Reason.TIMEOUT, f"{call}: no answer in time", ambiguous=True, endpoint=True)


async def _read_streams(reply: dict[str, Any]) -> None:
    """Bodies that the SDK hands out as streams (Invoke, GetObject) become bytes, so that no socket is left open."""
    for name, value in reply.items():
        if hasattr(value, "read"):
            async with value as stream:
                body = bytearray()
                # A read gives what has arrived; only an empty one is the end, or tells that the connection broke.
                while chunk := await stream.read(_LARGEST_BODY + 1 - len(body)):
                    body += chunk
                    if len(body) > _LARGEST_BODY:
                        raise ValueError(f"{name} is larger than {_LARGEST_BODY} bytes")
                reply[name] = bytes(body)
