"""A nursery of daemons, an emulator, and what is asked of both."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp

from monitor.demo.emulator.child import ACCOUNT, REGION, ROOT, Child, Side
from monitor.demo.world import World

TOKEN = "faults-token"


class Nursery:
    """One process that forks daemons."""

    def __init__(self, emulator: Child) -> None:
        bare = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "TRIPSWITCH_"))}
        path = os.pathsep.join(filter(None, (str(ROOT), bare.get("PYTHONPATH"))))
        env = {
            **bare, **emulator.environment(), "PYTHONPATH": path, "ACCOUNT_ID": ACCOUNT, "TRIPSWITCH_TOKEN": TOKEN,
            "TRIPSWITCH_LISTEN": "127.0.0.1:0", "TRIPSWITCH_GRACE": "6s",
        }  # fmt: skip
        script = str(Path(__file__).with_name("nursery.py"))
        self._process = subprocess.Popen(
            [sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env, text=True
        )

    def fork(self, **order: Any) -> int:
        """The pid of a new daemon."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """No more daemons."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


class Daemon:
    """A daemon in a folder of its own, which may die and be started again there."""

    def __init__(self, nursery: Nursery, folder: Path, config: str, **env: str) -> None:
        self.nursery, self.folder = nursery, folder
        self.env = {"TRIPSWITCH_STORE": f"sqlite:///{folder / 'state.db'}", **env}
        self.path = folder / "etl.yaml"
        folder.mkdir(parents=True, exist_ok=True)
        self.path.write_text(config)
        self.pid = 0
        self.url = ""
        self.session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Daemon:
        self.session = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {TOKEN}"}, timeout=aiohttp.ClientTimeout(total=30)
        )
        return self

    async def __aexit__(self, *error: object) -> None:
        assert self.session is not None
        await self.session.close()
        if self.lives():
            os.kill(self.pid, signal.SIGKILL)
            await until(lambda: not self.lives(), 5)

    async def start(self, kill: tuple[int, str] | None = None) -> None:
        """Fork it and wait until it listens (or died)."""
        self.pid = self.nursery.fork(path=str(self.path), folder=str(self.folder), env=self.env, kill=kill)
        told = self.folder / "url"
        await until(lambda: told.exists() or not self.lives(), 20)
        self.url = told.read_text() if told.exists() else ""

    def lives(self) -> bool:
        """Whether the process is there."""
        if not self.pid:
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def signal(self, number: int) -> None:
        """Send a signal."""
        os.kill(self.pid, number)

    def log(self) -> str:
        """Everything it logged so far."""
        path = self.folder / "log"
        return path.read_text() if path.exists() else ""

    def commits(self) -> int:
        """Journal commits so far."""
        path = self.folder / "commits"
        return path.stat().st_size if path.exists() else 0

    async def get(self, path: str) -> Any:
        """JSON of a GET; None if nobody answers."""
        return await self._ask("GET", path)

    async def post(self, path: str, **body: Any) -> Any:
        """JSON of a POST; None if nobody answers."""
        return await self._ask("POST", path, json=body)

    async def breaker(self, name: str = "loop") -> dict[str, Any] | None:
        """One breaker; None if nobody answers or it has not been taken up yet."""
        told = await self.get("/api/v1/breakers")
        if told is None:
            return None
        items = told if isinstance(told, list) else next((v for v in told.values() if isinstance(v, list)), [])
        return next((one for one in items if one["name"] == name), None)

    async def _ask(self, method: str, path: str, **more: Any) -> Any:
        assert self.session is not None
        try:
            async with self.session.request(method, self.url + path, **more) as reply:
                return await reply.json()
        except (TimeoutError, aiohttp.ClientError):
            return None


async def until(holds: Callable[[], Any], seconds: float, every: float = 0.05) -> Any:
    """Poll until `holds()` (which may be awaitable) is true; fails after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        found = holds()
        if isinstance(found, Awaitable):
            found = await found
        if found:
            return found
        assert time.monotonic() < end, f"not within {seconds}s"
        await asyncio.sleep(every)


class Pieces:
    """Rules, functions and machines by number, one set per daemon."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def prepare(self) -> None:
        """What all share."""
        await self.world.side.post("lambda/settings", limit=100_000)
        iam = await self.world.aws("iam")
        trust = json.dumps({"Version": "2012-10-17", "Statement": []})
        self.role = (await iam.create_role(RoleName="r", AssumeRolePolicyDocument=trust))["Role"]["Arn"]

    async def make(self, name: str, reserved: int | None) -> None:
        """A rule, a function with this concurrency, and a machine with one running execution."""
        functions, events = await self.world.aws("lambda"), await self.world.aws("events")
        machines = await self.world.aws("stepfunctions")
        await functions.create_function(
            FunctionName=f"fn-{name}", Runtime="python3.11", Role=self.role, Handler="h.m", Code={"ZipFile": _bundle()}
        )
        if reserved is not None:
            await functions.put_function_concurrency(FunctionName=f"fn-{name}", ReservedConcurrentExecutions=reserved)
        await events.put_rule(Name=f"rule-{name}", EventPattern=json.dumps({"source": ["x"]}), State="ENABLED")
        definition = json.dumps({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 900, "End": True}}})
        await machines.create_state_machine(name=f"sm-{name}", definition=definition, roleArn=self.role)
        await machines.start_execution(stateMachineArn=machine(name))

    async def state(self, name: str) -> tuple[Any, Any, int]:
        """(rule state, reserved concurrency, running executions)."""
        functions, events = await self.world.aws("lambda"), await self.world.aws("events")
        machines = await self.world.aws("stepfunctions")
        rule = (await events.describe_rule(Name=f"rule-{name}"))["State"]
        told = await functions.get_function_concurrency(FunctionName=f"fn-{name}")
        running = await machines.list_executions(stateMachineArn=machine(name), statusFilter="RUNNING")
        return rule, told.get("ReservedConcurrentExecutions"), len(running["executions"])

    async def counts(self) -> dict[str, int]:
        """Requests that succeeded since the log was forgotten, by service:Operation."""
        told = await self.world.side.get("log")
        return {name: count - told["refused"].get(name, 0) for name, count in told["counts"].items()}


def machine(name: str) -> str:
    """ARN."""
    return f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:sm-{name}"


def playbook(name: str, extra: str = "") -> str:
    """Cut the rule, cap the function, stop what runs; undone by the default recovery."""
    return f"""
pipeline: etl
aws: {{region: {REGION}}}
checks:
  rate:
    kind: execution_rate
    interval: 1h
    state_machines: ["{machine(name)}"]
    cross_check: false
    thresholds: {{started_per_minute: {{critical: {{above: 100000}}}}}}
breakers:
  loop:
    severity: SEV2
    mode: auto
    trip_when: rate.started_per_minute
    on_trip:
      - disable_rule: {{rule: rule-{name}}}
      - set_lambda_concurrency: {{function: fn-{name}, reserved: 5}}
      - stop_executions: {{state_machines: ["{machine(name)}"]}}
    recover: {{mode: manual}}
{extra}"""


def _bundle() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("h.py", "def m(event, context):\n    return None\n")
    return packed.getvalue()


__all__ = ["Child", "Daemon", "Nursery", "Pieces", "Side", "machine", "playbook", "until"]
