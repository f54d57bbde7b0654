"""Queueing, routing, repeating and stopping."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from monitor.core.model import Severity
from monitor.core.spec import ChannelSpec
from monitor.notices import Notice, Outbox

ALL = [ChannelSpec("https://all.example/x")]


class Recorder:
    """A sender that keeps what it got; channels in `blocked` hang until released."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []
        self.blocked: dict[str, asyncio.Event] = {}
        self.failures: list[str] = []

    async def send(self, urls: Sequence[str], title: str, body: str, severity: str) -> list[str]:
        [url] = urls
        if url in self.blocked:
            await self.blocked[url].wait()
        self.sent.append((url, title))
        return list(self.failures)


class Counts:
    """A meter that keeps what it was told."""

    def __init__(self) -> None:
        self.ended: list[tuple[str, bool]] = []
        self.dropped = 0

    def notice_ended(self, scheme: str, delivered: bool) -> None:
        self.ended.append((scheme, delivered))

    def notices_dropped(self, count: int) -> None:
        self.dropped += count


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def notice(title: str, severity: Severity = Severity.SEV1, incident: str = "inc-1") -> Notice:
    """A notice whose key is its title."""
    return Notice(incident, title, severity, title, "")


@asynccontextmanager
async def running(outbox: Outbox) -> AsyncIterator[asyncio.Task[None]]:
    """The outbox with its worker, as the supervisor keeps it."""
    task = asyncio.ensure_future(outbox.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def settle() -> None:
    """Enough turns of the loop for all that can go on to go on."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_notices_arrive_in_order(recorder: Recorder) -> None:
    """Also those posted before the worker ran."""
    outbox = Outbox(recorder, ALL)
    outbox.post(notice("a"))
    async with running(outbox):
        outbox.post(notice("b"))
        await settle()
        outbox.post(notice("c"))
        await settle()
    assert [title for _, title in recorder.sent] == ["a", "b", "c"]
    assert outbox.queued == 0


async def test_the_same_is_said_once(recorder: Recorder) -> None:
    """Same incident and key: once. Another incident: again."""
    outbox = Outbox(recorder, ALL)
    assert outbox.post(notice("a"))
    assert not outbox.post(notice("a"))
    assert outbox.post(notice("a", incident="inc-2"))
    async with running(outbox):
        await settle()
    assert len(recorder.sent) == 2


async def test_the_memory_of_what_was_said_is_bounded(recorder: Recorder) -> None:
    """Beyond its size the oldest is forgotten, and may be said again."""
    outbox = Outbox(recorder, ALL, memory=2)
    for key in ("a", "b", "c"):
        outbox.post(notice(key))
    assert outbox.post(notice("a"))
    assert not outbox.post(notice("c"))


@pytest.mark.parametrize(
    ("severity", "urls"),
    [(Severity.SEV1, {"one", "three", "four"}), (Severity.SEV3, {"three", "four"}), (Severity.SEV4, {"four"})],
)
async def test_channels_get_what_reaches_their_severity(recorder: Recorder, severity: Severity, urls: set[str]) -> None:
    """`min_severity: SEV3` means SEV3 and worse."""
    specs = [ChannelSpec("one", Severity.SEV1), ChannelSpec("three", Severity.SEV3), ChannelSpec("four")]
    outbox = Outbox(recorder, specs)
    outbox.post(notice("a", severity))
    async with running(outbox):
        await settle()
    assert {url for url, _ in recorder.sent} == urls


async def test_unheard_notices_are_not_remembered(recorder: Recorder) -> None:
    """What no channel listens to can be said later, when one does."""
    outbox = Outbox(recorder, [ChannelSpec("one", Severity.SEV1)])
    assert not outbox.post(notice("a", Severity.SEV4))
    outbox.route(ALL)
    assert outbox.post(notice("a", Severity.SEV4))
    assert outbox.post(notice("b"), specs=[ChannelSpec("elsewhere")])
    async with running(outbox):
        await settle()
    assert set(recorder.sent) == {("https://all.example/x", "a"), ("elsewhere", "b")}


async def test_a_slow_channel_delays_no_other(recorder: Recorder) -> None:
    """Each channel has its own queue and pace."""
    recorder.blocked["slow"] = asyncio.Event()
    outbox = Outbox(recorder, [ChannelSpec("slow"), ChannelSpec("quick")])
    async with running(outbox):
        for key in ("a", "b"):
            outbox.post(notice(key))
        await settle()
        assert recorder.sent == [("quick", "a"), ("quick", "b")]
        recorder.blocked["slow"].set()
        await settle()
        assert recorder.sent[2:] == [("slow", "a"), ("slow", "b")]


async def test_a_full_queue_drops_its_oldest(recorder: Recorder) -> None:
    """Bounded per channel; what was dropped is counted."""
    meter = Counts()
    outbox = Outbox(recorder, ALL, meter, depth=3)
    for key in "abcde":
        outbox.post(notice(key))
    assert outbox.queued == 3
    assert (outbox.dropped, meter.dropped) == (2, 2)
    async with running(outbox):
        await settle()
    assert [title for _, title in recorder.sent] == ["c", "d", "e"]
    assert meter.ended == [("https", True)] * 3


async def test_failures_are_counted_and_do_not_stop_the_worker(recorder: Recorder) -> None:
    """The next notice still goes out."""
    meter = Counts()
    recorder.failures = ["https://all.example/***: answered HTTP 500"]
    outbox = Outbox(recorder, ALL, meter)
    async with running(outbox):
        outbox.post(notice("a"))
        await settle()
        recorder.failures = []
        outbox.post(notice("b"))
        await settle()
    assert meter.ended == [("https", False), ("https", True)]


async def test_stopping_delivers_what_is_queued(recorder: Recorder) -> None:
    """`stop` returns 0 when all is out, `run` ends by itself, and no more is taken."""
    outbox = Outbox(recorder, ALL)
    async with running(outbox) as task:
        for key in "abc":
            outbox.post(notice(key))
        assert await outbox.stop(5) == 0
        await asyncio.wait_for(task, 1)
    assert len(recorder.sent) == 3
    assert not outbox.post(notice("late"))


async def test_stopping_is_bounded(recorder: Recorder) -> None:
    """What a hanging channel still has when the time is up is counted and left."""
    recorder.blocked["https://all.example/x"] = asyncio.Event()
    outbox = Outbox(recorder, ALL)
    async with running(outbox) as task:
        for key in "abc":
            outbox.post(notice(key))
        await settle()
        assert await outbox.stop(0.01) == 3
        assert not task.done()


async def test_stopping_an_idle_outbox_is_instant(recorder: Recorder) -> None:
    """Nothing queued: nothing to wait for, whether or not it runs."""
    outbox: Any = Outbox(recorder, ALL)
    assert await outbox.stop(0) == 0
