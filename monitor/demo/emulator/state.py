"""Everything the emulator knows besides moto's own backends; one value, passed to every module."""

from __future__ import annotations

import fnmatch
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from monitor.demo.emulator.calls import Call, Reply
from monitor.demo.emulator.clock import EmulatedClock
from monitor.demo.emulator.iam import Guard

Answerer = Callable[[Call], Reply | None]

#: Requests kept in the log; the counts go on beyond it.
LOG_LENGTH = 50_000
_LONGEST_BODY = 4_000
_READS = ("Get", "List", "Describe", "Head", "Query", "Scan", "Receive")


@dataclass(slots=True)
class Fault:
    """A disturbance for the next `count` calls that match `target` (a glob over the call's aliases).

    `delay` answers late; `hang` holds the connection that long and then drops it; `status` and `code` refuse;
    `drop` closes the connection in the middle of the real answer; `truncate` cuts that answer's body in half but
    ends it properly, which botocore takes for a reply with nothing in it but a `message`.
    """

    target: str
    count: int = 1
    status: int | None = None
    code: str = "InternalFailure"
    message: str = ""
    delay: float = 0.0
    hang: float = 0.0
    truncate: bool = False
    drop: bool = False


@dataclass(slots=True)
class Bucket:
    """A token bucket: `size` at once, `refill` per second."""

    size: float
    refill: float
    tokens: float
    at: float

    def take(self, tick: float) -> bool:
        """One token, if there is one."""
        self.tokens = min(self.size, self.tokens + (tick - self.at) * self.refill)
        self.at = tick
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@dataclass(slots=True)
class Settings:
    """What a test may turn."""

    lambda_limit: int = 1000
    mapping_seconds: float = 1.0
    #: How long updates of functions and tables, and warming up, take.
    function_seconds: float = 0.0
    provisioned_seconds: float = 0.0
    table_seconds: float = 0.0
    invocations: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: Glue job runs by (account, region, job), oldest first.
    job_runs: dict[tuple[str, str, str], list[dict[str, Any]]] = field(default_factory=dict)
    #: AWS Health's events by account; an account without an entry has no support plan.
    health: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)
    #: Access Analyzer's findings by (account, region); without an entry there is no analyzer.
    analyzers: dict[tuple[str, str], list[Mapping[str, Any]]] = field(default_factory=dict)


@dataclass(slots=True)
class Emulator:
    """The shared state. `lock` is held by whoever touches a backend: the door's requests and the message movers."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    clock: EmulatedClock = field(default_factory=EmulatedClock)
    faults: list[Fault] = field(default_factory=list)
    quotas: dict[str, Bucket] = field(default_factory=dict)
    settings: Settings = field(default_factory=Settings)
    counts: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    log: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=LOG_LENGTH))
    answerers: dict[str, Answerer] = field(default_factory=dict)
    #: Message move tasks by source ARN, newest last.
    moves: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    #: Events given to targets, by rule ARN and by target ARN.
    deliveries: Counter[str] = field(default_factory=Counter)
    #: Provisioned concurrency by (account, region, function, qualifier).
    provisioned: dict[tuple[str, ...], dict[str, Any]] = field(default_factory=dict)
    #: Cost Explorer: rows, forecast, anomalies.
    cost: dict[str, Any] = field(default_factory=dict)
    #: Cognito's user pools by (account, region, id).
    pools: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)
    #: CloudFormation's stacks by (account, region, name).
    stacks: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)
    #: IAM at the door.
    guard: Guard = field(default_factory=Guard)
    #: CloudTrail's records.
    trail: list[dict[str, Any]] = field(default_factory=list)

    def fault_for(self, call: Call) -> Fault | None:
        """The first armed fault that names this call, one use spent."""
        with self.lock:
            for fault in self.faults:
                if fault.count > 0 and any(fnmatch.fnmatchcase(alias, fault.target) for alias in call.aliases):
                    fault.count -= 1
                    return fault
        return None

    def permits(self, call: Call) -> bool:
        """Whether the quota of this operation in this account and region has a token left (no quota: always)."""
        with self.lock:
            limit = self.quotas.get(call.name)
            if limit is None:
                return True
            key = f"{call.name}@{call.account}/{call.region}"
            now = self.clock.tick()
            mine = self.quotas.setdefault(key, Bucket(limit.size, limit.refill, limit.size, now))
            return mine.take(now)

    def record(self, call: Call, status: int, seconds: float, agent: str = "") -> None:
        """Note a finished request; of those that may change something, also what was asked (cut at 4,000 bytes)."""
        with self.lock:
            self.counts[call.name] += 1
            if status >= 400:
                self.refused[call.name] += 1
            entry = {"at": time.time(), "service": call.service, "operation": call.operation, "status": status}
            entry.update(account=call.account, region=call.region, seconds=seconds, agent=agent)
            if not call.operation.startswith(_READS):
                asked = call.body[:_LONGEST_BODY].decode(errors="replace")
                entry.update(path=call.path, query=dict(call.query), body=asked)
            self.log.append(entry)

    def forget_log(self) -> None:
        """Counts and entries back to nothing."""
        with self.lock:
            self.counts.clear()
            self.refused.clear()
            self.log.clear()

    def forget(self) -> None:
        """Back to the state of a fresh process (moto's backends are reset by the control door)."""
        with self.lock:
            self.forget_log()
            self.faults.clear()
            self.quotas.clear()
            for tasks in self.moves.values():
                for task in tasks:
                    task["Status"] = "CANCELLED"
            self.moves.clear()
            self.deliveries.clear()
            self.provisioned.clear()
            self.cost.clear()
            self.trail.clear()
            self.stacks.clear()
            self.pools.clear()
            self.guard.enforce(None, "")
            self.settings = Settings()


def patch(owner: type, name: str, wrap: Callable[[Any], Any]) -> None:
    """Put `wrap(original)` in place of a method or property of moto's class."""
    setattr(owner, name, wrap(owner.__dict__[name]))
