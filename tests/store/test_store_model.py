"""Any sequence of calls leaves a store as it leaves a plain dict."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from monitor.core.ports import Conflict, Delete, Fenced, Lease, Put, Store
from monitor.store import open_store

KINDS = st.sampled_from(["thing", "other"])
KEYS = st.sampled_from(["a", "a/b", "a/c", "ä"])
TTL = timedelta(seconds=5)


@dataclass
class ModelClock:
    """`ports.Clock` that a rule moves."""

    at: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def tick(self) -> float:
        return self.at.timestamp()

    async def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@dataclass
class Model:
    """What a store means: (version, body, expiry) by name, and (epoch, owner, end) by pipeline."""

    documents: dict[tuple[str, str], tuple[int, int, datetime | None]]
    leases: dict[str, tuple[int, str | None, datetime]]


class StoreMachine(RuleBasedStateMachine):
    """Rules call the store and the model alike; answers and contents must agree."""

    url = "memory:"

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = ModelClock()
        self.folder = tempfile.TemporaryDirectory()
        self.store: Store = open_store(self.url.format(folder=self.folder.name), self.clock)
        self.do(self.store.open())
        self.model = Model({}, {})
        self.taken: list[Lease] = []
        self.count = 0

    def teardown(self) -> None:
        self.do(self.store.close())
        self.runner.close()
        self.folder.cleanup()

    def do(self, call: Any) -> Any:
        """Await on this machine's own loop."""
        return self.runner.run(call)

    def version(self, name: tuple[str, str]) -> int:
        """The live version in the model."""
        version, _, end = self.model.documents.get(name, (0, 0, None))
        return 0 if end is not None and end <= self.clock.at else version

    def holds(self, lease: Lease) -> bool:
        """True if the model says this lease is the newest."""
        epoch, owner, _ = self.model.leases.get(lease.pipeline, (0, None, self.clock.at))
        return owner is not None and epoch == lease.epoch

    @rule(
        writes=st.lists(
            st.tuples(KINDS, KEYS, st.booleans(), st.integers(-1, 1), st.none() | st.integers(1, 10)),
            min_size=1, max_size=4, unique_by=lambda write: write[:2],
        ),
        which=st.none() | st.integers(0, 20),
    )  # fmt: skip
    def commit(self, writes: list[tuple[str, str, bool, int, int | None]], which: int | None) -> None:
        """Writes that are mostly right and sometimes stale, with or without a lease."""
        lease = self.taken[which % len(self.taken)] if which is not None and self.taken else None
        batch: list[Put | Delete] = []
        for kind, key, is_put, off, seconds in writes:
            self.count += 1
            version = self.version((kind, key)) + (off if self.count % 3 == 0 else 0)
            end = None if seconds is None else self.clock.at + timedelta(seconds=seconds)
            if is_put:
                batch.append(Put(kind, key, {"n": self.count}, max(version, 0), end))
            elif version > 0:
                batch.append(Delete(kind, key, version))
        try:
            self.do(self.store.commit(batch, lease))
        except Fenced:
            assert lease is not None
            assert not self.holds(lease)
            return
        except Conflict:
            assert lease is None or self.holds(lease)
            assert any(self.version((write.kind, write.key)) != write.version for write in batch)
            return
        assert lease is None or self.holds(lease)
        for write in batch:
            assert self.version((write.kind, write.key)) == write.version
            if isinstance(write, Put):
                self.model.documents[write.kind, write.key] = (write.version + 1, write.body["n"], write.expires_at)
            else:
                del self.model.documents[write.kind, write.key]

    @rule(pipeline=st.sampled_from(["etl", "web"]), owner=st.sampled_from(["me", "you"]))
    def acquire(self, pipeline: str, owner: str) -> None:
        """None exactly while another's lease lasts; otherwise the epoch rises."""
        epoch, holder, end = self.model.leases.get(pipeline, (0, None, self.clock.at))
        got = self.do(self.store.acquire(pipeline, owner, TTL, self.clock.at))
        if holder not in {None, owner} and end > self.clock.at:
            assert got is None
            return
        assert got == Lease(pipeline, owner, epoch + 1, self.clock.at + TTL)
        self.model.leases[pipeline] = (got.epoch, owner, got.expires_at)
        self.taken.append(got)

    @rule(which=st.integers(0, 20), give_back=st.booleans())
    def renew_or_release(self, which: int, give_back: bool) -> None:
        """Renewing works for the newest only; releasing a lost one does nothing."""
        if not self.taken:
            return
        lease = self.taken[which % len(self.taken)]
        held = self.holds(lease)
        if give_back:
            self.do(self.store.release(lease))
            if held:
                self.model.leases[lease.pipeline] = (lease.epoch, None, self.clock.at)
            return
        with contextlib.suppress(Fenced):
            renewed = self.do(self.store.renew(lease, TTL, self.clock.at))
            assert held
            self.model.leases[lease.pipeline] = (lease.epoch, lease.owner, renewed.expires_at)
            return
        assert not held

    @rule(seconds=st.integers(1, 6))
    def wait(self, seconds: int) -> None:
        """Time passes."""
        self.clock.at += timedelta(seconds=seconds)

    @rule()
    def prune(self) -> None:
        """As many go as have expired."""
        dead = [name for name in self.model.documents if self.version(name) == 0]
        assert self.do(self.store.prune(self.clock.at)) == len(dead)
        for name in dead:
            del self.model.documents[name]

    @rule()
    def reopen(self) -> None:
        """Documents and epochs stay, ownership ends."""
        self.do(self.store.close())
        self.do(self.store.open())
        for pipeline, (epoch, _, end) in self.model.leases.items():
            self.model.leases[pipeline] = (epoch, None, end)

    @invariant()
    def contents_agree(self) -> None:
        """Every scan and every get show what the model holds, in order."""
        for kind in ("thing", "other"):
            for prefix in ("", "a", "a/"):
                found = [(item.key, item.version, item.body["n"]) for item in self.do(self.store.scan(kind, prefix))]
                assert found == sorted(
                    (key, version, body)
                    for (of, key), (version, body, _) in self.model.documents.items()
                    if of == kind and key.startswith(prefix) and self.version((of, key))
                )


class SqliteMachine(StoreMachine):
    """The same on a file."""

    url = "sqlite:///{folder}/state.db"


QUICK = settings(max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck))
TestMemoryModel = StoreMachine.TestCase
TestMemoryModel.settings = QUICK
TestSqliteModel = SqliteMachine.TestCase
TestSqliteModel.settings = QUICK
