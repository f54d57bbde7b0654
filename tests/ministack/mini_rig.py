"""MiniStack as a process, a world inside it, and the daemon's engine against it, in real time."""

from __future__ import annotations

import asyncio
import io
import json
import os
import socket
import subprocess
import time
import urllib.request
import zipfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from aiohttp import web

from monitor.app import Boot, Running, alone, read_config, registry
from monitor.core.view import BreakerView
from monitor.settings import Settings
from monitor.telemetry import Redactor

ROOT = Path(__file__).resolve().parents[2]
#: Its own environment, for it pins another botocore than ours; `make ministack` leaves the stamp when it is whole.
PYTHON, READY = ROOT / ".venv-ministack" / "bin" / "python", ROOT / ".venv-ministack" / ".ready"
REGION, ACCOUNT = "us-east-1", "210987654321"
#: An access key of 12 digits names the account. AWS's default limit of concurrent executions stands in for the host's.
KEYS = {"AWS_ACCESS_KEY_ID": ACCOUNT, "AWS_SECRET_ACCESS_KEY": "nobody", "AWS_DEFAULT_REGION": REGION}
_LIMITS = {"LAMBDA_ACCOUNT_CONCURRENCY": "1000"}


def start(folder: Path, seconds: float = 20) -> tuple[str, subprocess.Popen[bytes]]:
    """(URL, process) of a MiniStack that answers, on a free port of loopback. Raises RuntimeError with its log."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTHON"))}
    env = {**bare, **_LIMITS, "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port)}
    words, url = folder / "log", f"http://127.0.0.1:{port}"
    with words.open("wb") as log:
        process = subprocess.Popen([str(PYTHON), "-m", "ministack"], stdout=log, stderr=log, env=env, cwd=folder)
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/_ministack/health", timeout=1):
                return url, process
        except OSError:
            time.sleep(0.05)
    stop(process)
    raise RuntimeError(f"MiniStack did not start: {words.read_text()[-2000:]}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End it; idempotent."""
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@dataclass(slots=True)
class Guard:
    """An engine that runs one pipeline."""

    running: Running

    def breaker(self) -> BreakerView:
        """The only one."""
        (view,) = self.running.surface.breakers()
        return view

    def texts(self, event: str) -> list[str]:
        """What the events of this name said, oldest first."""
        _, events = self.running.engine.feed.since(0)
        return [str(one["text"]) for one in events if one["event"] == event]

    async def trip(self) -> None:
        """Trip by hand and wait until everything is cut."""
        view = self.breaker()
        outcome = await self.running.surface.trip(f"{view.pipeline}/{view.name}", "operator", "by hand")
        assert outcome.ok, outcome.message
        await self.until("open")

    async def reset(self) -> None:
        """Recover and wait until it is closed."""
        view = self.breaker()
        outcome = await self.running.surface.reset(f"{view.pipeline}/{view.name}", "operator")
        assert outcome.ok, outcome.message
        await self.until("closed")

    async def until(self, state: str) -> None:
        """Wait until the breaker is in this state and no step is left to do."""
        await until(lambda: self.breaker().state == state and not self._at_work(), self._story)

    def _at_work(self) -> bool:
        return any(step.phase in ("pending", "running", "held", "waiting", "retrying") for step in self.breaker().steps)

    def _story(self) -> str:
        view = self.breaker()
        return "\n".join([f"{view.state}: {view.reason}", *(f"{s.verb} {s.phase} {s.detail}" for s in view.steps)])


class Mini:
    """An empty AWS, and what a test wants of it."""

    def __init__(self, url: str, folder: Path, stack: AsyncExitStack) -> None:
        self.url = url
        self._folder, self._stack = folder, stack
        self._clients: dict[str, Any] = {}

    async def aws(self, service: str) -> Any:
        """The client of a service, made once; it tries once."""
        if service not in self._clients:
            maker = get_session().create_client(
                service,
                region_name=REGION,
                endpoint_url=self.url,
                aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
                config=AioConfig(retries={"total_max_attempts": 1}, read_timeout=20),
            )
            self._clients[service] = await self._stack.enter_async_context(maker)
        return self._clients[service]

    async def guard(self, pipeline: str, endpoint: str | None = None) -> Guard:
        """Start the engine on this pipeline file, with a store on disk; returns when every check has run once."""
        path = self._folder / "pipeline.yaml"
        path.write_text(pipeline)
        known, environ = registry(), {"ACCOUNT_ID": ACCOUNT, **KEYS}
        loaded = read_config([path], environ, known)
        flags = {"store": f"sqlite:///{self._folder / 'state.db'}", "endpoint": endpoint or self.url, "grace": "5s"}
        boot = Boot((path,), Settings.from_sources(flags), environ, known)
        running = await self._stack.enter_async_context(alone(boot, loaded, Redactor()))
        await until(running.engine.scheduler.first_round_done, lambda: "the first round of checks")
        return Guard(running)

    async def function(self, name: str, reserved: int | None = None) -> None:
        """A Python function that answers "done"."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("h.py", "def m(event, context):\n    return 'done'\n")
        functions = await self.aws("lambda")
        role = f"arn:aws:iam::{ACCOUNT}:role/r"
        await functions.create_function(
            FunctionName=name, Runtime="python3.11", Role=role, Handler="h.m", Code={"ZipFile": packed.getvalue()}
        )
        if reserved is not None:
            await functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=reserved)

    async def reserved(self, name: str) -> int | None:
        """Reserved concurrency; None where it is unset."""
        told = await (await self.aws("lambda")).get_function_concurrency(FunctionName=name)
        found: int | None = told.get("ReservedConcurrentExecutions")
        return found

    async def queue(self, name: str, **attributes: str) -> str:
        """A queue's URL."""
        told = await (await self.aws("sqs")).create_queue(QueueName=name, Attributes=attributes)
        return str(told["QueueUrl"])

    async def depth(self, url: str) -> int:
        """Messages in a queue, in flight ones too."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        told = await (await self.aws("sqs")).get_queue_attributes(QueueUrl=url, AttributeNames=names)
        return sum(int(told["Attributes"][name]) for name in names)


async def until(holds: Callable[[], Any], why: Callable[[], str], seconds: float = 30) -> None:
    """Poll until `holds()` is true; fails after `seconds` and says `why()`."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"not within {seconds}s: {why()}"
        await asyncio.sleep(0.05)


@asynccontextmanager
async def with_origins(mini: Mini, queues: Mapping[str, str]) -> AsyncIterator[str]:
    """The URL of a door to MiniStack that also answers ListDeadLetterSourceQueues, which MiniStack lacks.

    `queues`: URLs by ARN. The answer is AWS's: URLs of the queues whose RedrivePolicy names the asked one (SQS API
    reference, ListDeadLetterSourceQueues). Everything else is MiniStack's own.
    """
    arns = {url: arn for arn, url in queues.items()}

    async def answer(request: web.Request) -> web.Response:
        body = await request.read()
        if request.headers.get("X-Amz-Target") == "AmazonSQS.ListDeadLetterSourceQueues":
            asked, sqs = arns[json.loads(body)["QueueUrl"]], await mini.aws("sqs")
            found = []
            for url in queues.values():
                told = await sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])
                policy = json.loads(told.get("Attributes", {}).get("RedrivePolicy", "{}"))
                if policy.get("deadLetterTargetArn") == asked:
                    found.append(url)
            return web.json_response({"queueUrls": found}, content_type="application/x-amz-json-1.0")
        # Without our Host, which MiniStack would put into queue URLs.
        headers = {k: v for k, v in request.headers.items() if k.lower() not in ("host", "content-length")}
        async with session.request(request.method, mini.url + request.path_qs, headers=headers, data=body) as reply:
            kept = {
                name: value
                for name, value in reply.headers.items()
                if name.lower().startswith(("x-amz", "content-type"))
            }
            return web.Response(status=reply.status, body=await reply.read(), headers=kept)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    async with aiohttp.ClientSession() as session:
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()
