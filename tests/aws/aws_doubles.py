"""Virtual time for pacing, and a canned AWS on loopback with faults for everything that needs a socket."""

from __future__ import annotations

import asyncio
import json
import selectors
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from monitor.aws import Aws, AwsSettings
from monitor.core.model import Reason
from monitor.core.spec import AwsSpec


class _NoWaiting(selectors.DefaultSelector):
    """Instead of waiting, moves the clock of its loop."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        self.now += max(0.0, timeout or 0.0)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in which an hour takes no time."""

    def __init__(self) -> None:
        self._clock_selector = _NoWaiting()
        super().__init__(self._clock_selector)

    def time(self) -> float:
        return self._clock_selector.now


class LoopClock:
    """A clock that shows its loop's time, virtual or real."""

    def now(self) -> datetime:
        return datetime(2026, 3, 1, 12, 0, tzinfo=UTC) + timedelta(seconds=self.tick())

    def tick(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class FixedClock(LoopClock):
    """Wall time is set by the test; sleeping is real."""

    def __init__(self, at: datetime = datetime(2026, 3, 1, 12, 34, 40, tzinfo=UTC)) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at


class CountingMeter:
    """Remembers what was counted."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, Reason | None]] = Counter()
        self.metrics = 0
        self.dollars: Counter[str] = Counter()
        self.up: dict[str, bool] = {}
        self.quota: dict[str, float] = {}

    def aws_request(
        self, aws_service: str, operation: str, account_id: str, aws_region: str, reason: Reason | None
    ) -> None:
        self.requests[f"{aws_service}.{operation}", reason] += 1

    def aws_metrics_requested(self, count: int) -> None:
        self.metrics += count

    def aws_cost(self, aws_service: str, dollars: float) -> None:
        self.dollars[aws_service] += dollars

    def aws_quota(self, aws_service: str, operation: str, account_id: str, aws_region: str, ratio: float) -> None:
        self.quota[f"{aws_service}.{operation}"] = ratio

    def aws_up(self, aws_service: str, account_id: str, aws_region: str, up: bool) -> None:
        self.up[aws_service] = up


Answer = Callable[[dict[str, Any]], Any]


class CannedAws:
    """An endpoint that speaks awsJson. `on[operation]` is a reply, a function of the request, or a web.Response.

    Counts every request by operation; `seen` keeps the bodies.
    """

    def __init__(self) -> None:
        self.url = ""
        self.on: dict[str, Any] = {"GetCallerIdentity": IDENTITY}
        self.count: Counter[str] = Counter()
        self.seen: list[tuple[str, dict[str, Any]]] = []
        self.latency = 0.0
        self.inflight = 0
        self.most_inflight = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        target = request.headers.get("X-Amz-Target", "")
        raw = await request.read()
        if target:
            operation, body = target.rsplit(".", 1)[-1], json.loads(raw or b"{}")
        elif b"Action=" in raw:
            operation = raw.split(b"Action=")[1].split(b"&")[0].decode()
            body = {}
        else:
            operation, body = f"{request.method} {request.path}", {}
        self.count[operation] += 1
        self.seen.append((operation, body))
        self.inflight += 1
        self.most_inflight = max(self.most_inflight, self.inflight)
        try:
            if self.latency:
                await asyncio.sleep(self.latency)
            answer = self.on.get(operation, {})
            if callable(answer):
                answer = answer(body)
            if isinstance(answer, Awaitable):
                answer = await answer
            if isinstance(answer, Faulty):
                return await answer.send(request)
            if isinstance(answer, web.StreamResponse):
                return answer
            if isinstance(answer, bytes):
                return web.Response(body=answer, content_type="text/xml")
            return web.Response(body=json.dumps(answer).encode(), content_type="application/x-amz-json-1.0")
        finally:
            self.inflight -= 1


class Faulty:
    """A broken answer: `send` breaks it."""

    def __init__(self, send: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> None:
        self.send = send


IDENTITY = (
    b'<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
    b"<Arn>arn:aws:iam::123456789012:user/u</Arn><UserId>U</UserId><Account>123456789012</Account>"
    b"</GetCallerIdentityResult></GetCallerIdentityResponse>"
)


def refuse(code: str, message: str = "no", status: int = 400) -> Answer:
    """An AWS error as awsJson writes it, afresh for each request."""

    def answer(_: dict[str, Any]) -> web.Response:
        body = json.dumps({"__type": code, "message": message}).encode()
        return web.Response(status=status, body=body, content_type="application/x-amz-json-1.0")

    return answer


def page(status: int) -> Answer:
    """A web page where AWS should be."""

    def answer(_: dict[str, Any]) -> web.Response:
        return web.Response(status=status, text="<html><body><h1>Oops</h1></body></html>", content_type="text/html")

    return answer


class Harness:
    """An Aws against a canned endpoint, its meter, and the tasks it spawned."""

    def __init__(self, url: str, **settings: Any) -> None:
        self.meter = CountingMeter()
        self.clock = FixedClock()
        self.tasks: set[asyncio.Task[None]] = set()
        self.guarded: list[tuple[str, str, float]] = []
        known = AwsSettings(endpoint_url=url, default_region="us-east-1", **settings)
        self.aws = Aws(known, self.clock, self.meter, self.spawn)
        self.reads = self.aws.reads(AwsSpec())
        self.writes = self.aws.writes(AwsSpec(), self.guard)

    def spawn(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def guard(self, aws_service: str, operation: str, seconds: float) -> None:
        self.guarded.append((aws_service, operation, seconds))
