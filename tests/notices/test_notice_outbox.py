"""Queueing, routing, repeating and stopping."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from monitor.core.model import Severity
from monitor.core.spec import ChannelSpec
from monitor.notices import Bounds, Delivery, Notice, Outbox
from monitor.testing import FakeClock

ALL = [ChannelSpec("https://all.example/x")]


class Recorder:
    """A sender that keeps what it got; channels in `blocked` hang until released."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []
        self.blocked: dict[str, asyncio.Event] = {}
        self.failures: list[str] = []
        #: Channels that fail, beside `failures` for all of them.
        self.failing: set[str] = set()
        self.delivered: list[str] = []

    async def send(self, urls: Sequence[str], title: str, body: str, severity: str, topic: object = None) -> list[str]:
        [url] = urls
        if url in self.blocked:
            await self.blocked[url].wait()
        self.sent.append((url, title))
        failures = [*self.failures, *([f"{url} fails"] if url in self.failing else [])]
        if not failures:
            self.delivered.append(title)
        return failures


class Counts:
    """A meter that keeps what it was told."""

    def __init__(self) -> None:
        self.ended: list[tuple[str, bool]] = []
        self.refused: list[str] = []
        self.dropped = 0

    def notice_refused(self, scheme: str) -> None:
        self.refused.append(scheme)

    def notice_ended(self, scheme: str, delivered: bool) -> None:
        self.ended.append((scheme, delivered))

    def notices_dropped(self, count: int) -> None:
        self.dropped += count


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def outbox_of(recorder: Recorder, specs: Sequence[ChannelSpec], clock: FakeClock | None = None, **more: Any) -> Outbox:
    """An outbox on virtual time that stands still unless a test moves it."""
    return Outbox(recorder, specs, clock or FakeClock(), **more)


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
    outbox = outbox_of(recorder, ALL)
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
    outbox = outbox_of(recorder, ALL)
    assert outbox.post(notice("a"))
    assert not outbox.post(notice("a"))
    assert outbox.post(notice("a", incident="inc-2"))
    async with running(outbox):
        await settle()
    assert len(recorder.sent) == 2


async def test_the_memory_of_what_was_said_is_bounded(recorder: Recorder) -> None:
    """Beyond its size the oldest is forgotten, and may be said again."""
    outbox = outbox_of(recorder, ALL, bounds=Bounds(memory=2))
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
    outbox = outbox_of(recorder, specs)
    outbox.post(notice("a", severity))
    async with running(outbox):
        await settle()
    assert {url for url, _ in recorder.sent} == urls


async def test_unheard_notices_are_not_remembered(recorder: Recorder) -> None:
    """What no channel listens to can be said later, when one does."""
    outbox = outbox_of(recorder, [ChannelSpec("one", Severity.SEV1)])
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
    outbox = outbox_of(recorder, [ChannelSpec("slow"), ChannelSpec("quick")])
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
    outbox = outbox_of(recorder, ALL, meter=meter, bounds=Bounds(depth=3))
    for key in "abcde":
        outbox.post(notice(key))
    assert outbox.queued == 3
    assert (outbox.dropped, meter.dropped) == (2, 2)
    async with running(outbox):
        await settle()
    assert [title for _, title in recorder.sent] == ["c", "d", "e"]
    assert meter.ended == [("https", True)] * 3


async def test_a_failed_notice_is_tried_again_before_later_ones(recorder: Recorder) -> None:
    """With growing pauses, in order; one that got through is counted once, as delivered."""
    meter, clock = Counts(), FakeClock()
    recorder.failures = ["https://all.example/***: answered HTTP 500"]
    outbox = outbox_of(recorder, ALL, clock, meter=meter)
    async with running(outbox):
        outbox.post(notice("a"))
        await clock.advance(0)
        outbox.post(notice("b"))
        await clock.advance(60)
        tries = len(recorder.sent)
        recorder.failures = []
        await clock.advance(60)
    assert tries == 4  # at 0, 5, 15 and 35 seconds; the next is due at 75
    assert {title for _, title in recorder.sent[:tries]} == {"a"}
    assert [title for _, title in recorder.sent[tries:]] == ["a", "b"]
    assert meter.ended == [("https", True)] * 2
    assert meter.refused == ["https"] * tries  # and each attempt that failed, at once


@pytest.mark.parametrize("outage", [1700, 1790])
async def test_an_outage_of_half_an_hour_loses_nothing(recorder: Recorder, outage: float) -> None:
    """A notice is given up only after thirty minutes of trying."""
    clock = FakeClock()
    recorder.failures = ["down"]
    outbox = outbox_of(recorder, ALL, clock)
    async with running(outbox):
        outbox.post(notice("a"))
        await clock.advance(outage)
        recorder.failures = []
        await clock.advance(301)
    assert outbox.queued == 0
    assert recorder.delivered == ["a"]


async def test_a_dead_channel_gives_up_what_is_old_and_keeps_what_is_new(recorder: Recorder) -> None:
    """Each notice has its own half hour; what is given up is counted and told."""
    meter, clock, ended = Counts(), FakeClock(), []
    recorder.failures = ["down"]
    outbox = outbox_of(recorder, ALL, clock, meter=meter, ended=ended.append)
    async with running(outbox):
        outbox.post(notice("old"))
        await clock.advance(1500)
        outbox.post(notice("new"))
        await clock.advance(700)
        assert meter.ended == [("https", False)]
        assert [(told.notice.title, told.sent, told.detail, told.last) for told in ended] == [
            ("old", False, "down", True)
        ]
        recorder.failures = []
        await clock.advance(301)
    assert recorder.delivered == ["new"]


async def test_a_failing_channel_delays_no_other(recorder: Recorder) -> None:
    """The pauses are each channel's own."""
    clock = FakeClock()
    recorder.failing = {"dead"}
    outbox = outbox_of(recorder, [ChannelSpec("dead"), ChannelSpec("well")], clock)
    async with running(outbox):
        for key in ("a", "b", "c"):
            outbox.post(notice(key))
        await clock.advance(0)
    assert recorder.delivered == ["a", "b", "c"]
    assert outbox.queued == 3


async def test_every_channel_s_end_is_told_and_the_last_is_marked(recorder: Recorder) -> None:
    """Names hold no secret, and tell two webhooks of one host apart."""
    ended: list[Delivery] = []
    hooks = [
        ChannelSpec("https://hooks.example/one"),
        ChannelSpec("https://hooks.example/two"),
        ChannelSpec("env:PAGER"),
    ]
    outbox = outbox_of(recorder, hooks, ended=ended.append)
    async with running(outbox):
        outbox.post(notice("a"))
        await settle()
    assert [told.last for told in ended] == [False, False, True]
    assert len({told.channel for told in ended}) == 3
    assert {told.channel.partition("#")[0] for told in ended} == {"https://hooks.example/***", "env:PAGER"}


@pytest.mark.parametrize(
    ("key", "heard"),
    [("alert", {"pager", "all"}), ("update breaker.opened 1", {"all"}), ("resolved", {"pager", "all"}),
     ("unknown since noon", {"pager", "all"})],
)  # fmt: skip
async def test_a_channel_may_want_some_kinds_only(recorder: Recorder, key: str, heard: set[str]) -> None:
    """`events: [alert, resolved]` spares a pager the updates; what has no kind counts as an alert."""
    outbox = outbox_of(recorder, [ChannelSpec("pager", events=("alert", "resolved")), ChannelSpec("all")])
    async with running(outbox):
        outbox.post(notice(key))
        await settle()
    assert {url for url, _ in recorder.sent} == heard


async def test_stopping_tries_a_failing_channel_once_more(recorder: Recorder) -> None:
    """It does not wait for the pause to end, and what is left is counted."""
    clock = FakeClock()
    recorder.failures = ["down"]
    outbox = outbox_of(recorder, ALL, clock)
    async with running(outbox):
        outbox.post(notice("a"))
        outbox.post(notice("b"))
        await clock.advance(20)
        tries = len(recorder.sent)
        assert await outbox.stop(5) == 2
        assert len(recorder.sent) > tries


async def test_stopping_delivers_what_is_queued(recorder: Recorder) -> None:
    """`stop` returns 0 when all is out, `run` ends by itself, and no more is taken."""
    outbox = outbox_of(recorder, ALL)
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
    outbox = outbox_of(recorder, ALL)
    async with running(outbox) as task:
        for key in "abc":
            outbox.post(notice(key))
        await settle()
        assert await outbox.stop(0.01) == 3
        assert not task.done()


async def test_stopping_an_idle_outbox_is_instant(recorder: Recorder) -> None:
    """Nothing queued: nothing to wait for, whether or not it runs."""
    outbox: Any = outbox_of(recorder, ALL)
    assert await outbox.stop(0) == 0
