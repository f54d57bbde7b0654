"""The incident desk in a whole engine: clocks, notices, silences, gaps, and what a restart may repeat."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from engine_rig import Rig, breaker, check, pipeline, step

from monitor.core.incident import Incident
from monitor.core.incident import Notice as Sent
from monitor.core.model import Mode, Observation, Severity
from monitor.core.spec import ChannelSpec, CheckSpec, RecoverSpec, SignalSpec
from monitor.engine.board import Board
from monitor.engine.feed import Feed
from monitor.engine.incidents import Incidents
from monitor.engine.reminders import remind
from monitor.notices import Notice, Outbox, channel_name
from monitor.store.memory import MemoryStore
from monitor.testing import FakeClock

MANUAL = RecoverSpec("manual", timedelta(seconds=10))


def loop(severity: Severity = Severity.SEV1, **more: Any) -> Any:
    """The breaker, as severe as wanted; it recovers by hand."""
    return replace(breaker(recover=MANUAL), severity=severity, **more)


async def tripped(rig: Rig, *parts: Any) -> str:
    """Start, breach, wait for open; the incident's id."""
    await rig.start(pipeline(*(parts or (loop(),))))
    rig.load(50)
    await rig.until(rig.is_in("open"), 60)
    return rig.surface.incidents()[0].id


def told(rig: Rig, kind: str) -> list[str]:
    """Titles of the notices of this kind so far."""
    return [title for _, _, key, title in rig.posts if key.split(" ")[1] == kind]


def found(rig: Rig, incident: str) -> Incident:
    """The incident as the desk has it."""
    one = rig.engine.incidents.get(incident)
    assert one is not None
    return one


async def test_one_incident_tells_of_its_whole_life(rig: Rig) -> None:
    """Alert, an update each time the status moves, resolved."""
    incident = await tripped(rig)
    rig.load(1)
    assert (await rig.ask(rig.surface.reset("etl/loop", "ann"))).ok
    await rig.until(rig.is_in("closed"), 120)
    [alert], updates, [resolved] = told(rig, "alert"), told(rig, "update"), told(rig, "resolved")
    assert alert == "etl: load is critical: a level: 50 things above 10"
    assert updates[0].startswith(f"etl: {incident} investigating: loop tripped: a level: 50 things above 10")
    assert [title.split(":")[1].split()[-1] for title in updates[1:]] == ["identified", "monitoring"]
    assert resolved.startswith(f"etl: {incident} resolved after ")
    [seen] = rig.surface.incidents()
    assert seen.status == "resolved"
    assert seen.contained_at is not None
    assert seen.restoring_at is not None
    assert seen.began_at is not None
    assert seen.began_at <= seen.opened_at


async def test_an_unanswered_incident_is_told_once(rig: Rig) -> None:
    """After 15 minutes at SEV1, and as an alert: a channel for alerts alone must hear it."""
    await tripped(rig)
    await rig.run(14 * 60)
    assert len(told(rig, "alert")) == 1
    await rig.run(1200)
    alerts = told(rig, "alert")
    assert len(alerts) == 2
    assert alerts[1].endswith("nobody acknowledged it within 15m")


async def test_an_acknowledged_incident_is_not_overdue(rig: Rig) -> None:
    """Whoever answered commands it, and the others hear of it."""
    incident = await tripped(rig)
    assert (await rig.ask(rig.surface.acknowledge(incident, "ann"))).ok
    await rig.run(1000)
    assert len(told(rig, "alert")) == 1
    [seen] = rig.surface.incidents()
    assert (seen.commander, seen.respond_by) == ("ann", None)
    assert any(title.endswith("ann has taken command") for title in told(rig, "update"))


async def test_only_a_running_incident_can_be_commanded(rig: Rig) -> None:
    """Unknown and resolved ones are refused, with words."""
    incident = await tripped(rig)
    assert (await rig.surface.acknowledge("nope", "ann")).data["not_found"]
    rig.load(1)
    await rig.ask(rig.surface.reset("etl/loop", "ann"))
    await rig.until(rig.is_in("closed"), 120)
    assert not (await rig.surface.acknowledge(incident, "ann")).ok


async def test_what_people_note_is_in_the_next_update(rig: Rig) -> None:
    """So a person's line reaches everyone within the cadence."""
    incident = await tripped(rig)
    await rig.ask(rig.surface.acknowledge(incident, "ann"))
    await rig.run(60)
    await rig.ask(rig.surface.note(incident, "ben", "bucket owner informed"))
    await rig.run(15 * 60)
    due = found(rig, incident).outbound[-1]
    assert "ben: bucket owner informed" in due.body
    assert not due.title.endswith("nothing changed")


async def test_a_silence_holds_reminders_back_until_it_ends(rig: Rig) -> None:
    """What came due meanwhile is said then, once."""
    await tripped(rig)
    assert (await rig.ask(rig.surface.add_silence({"breaker": "loop"}, 1200, "ann", ""))).ok
    count = len(rig.posts)
    await rig.run(1100)
    assert len(rig.posts) == count
    await rig.run(200)
    assert len(told(rig, "alert")) == 2
    assert sum("still identified" in title for title in told(rig, "update")) <= 1


async def test_the_runbooks_follow_ups_are_asked_for_when_they_are_late(rig: Rig) -> None:
    """SEV1: once when their date has passed; what was ticked off is left out."""
    incident = await tripped(rig)
    rig.load(1)
    await rig.ask(rig.surface.reset("etl/loop", "ann"))
    await rig.until(rig.is_in("closed"), 120)
    await rig.ask(rig.surface.note(incident, "ann", "done: timeline"))
    rig.clock.jump(timedelta(hours=25))
    await rig.run(60)
    late = [title for title in told(rig, "update") if "overdue" in title]
    assert late == [
        f"etl: {incident}: overdue: data integrity verified, financial impact assessed, stakeholders informed"
    ]


async def test_a_source_that_is_back_leaves_a_data_gap(rig: Rig) -> None:
    """From the cut to the undo, in the timeline and as data, with the backfill to propose."""
    incident = await tripped(rig)
    cut_at = found(rig, incident).timeline[-1].at
    await rig.run(300)
    rig.load(1)
    await rig.ask(rig.surface.reset("etl/loop", "ann"))
    await rig.until(rig.is_in("closed"), 120)
    [gap] = rig.surface.incidents()[0].gaps
    assert (gap.resource, gap.proposal, gap.note) == ("gate", "run it again", "")
    assert gap.end is not None
    assert timedelta(seconds=300) <= gap.end - gap.start <= timedelta(seconds=330)
    assert abs((gap.start - cut_at).total_seconds()) < 15
    [line] = [e.text for e in found(rig, incident).timeline if e.event == "gap.recorded"]
    assert line == (
        f"data gap: gate was cut from {gap.start:%H:%M:%S} to {gap.end:%H:%M:%S} UTC;"
        " nothing in that window was processed; proposed backfill: run it again"
    )


async def test_a_source_left_cut_is_an_unfinished_gap_until_it_is_back(rig: Rig) -> None:
    """A forced close says so; undoing what it left ends the gap of the old incident."""
    incident = await tripped(rig)
    assert (await rig.ask(rig.surface.reset("etl/loop", "ann", force=True))).ok
    [gap] = found(rig, incident).course.gaps
    assert gap.end is None
    rig.load(1)
    await rig.run(60)
    assert (await rig.ask(rig.surface.reset("etl/loop", "ann"))).ok
    await rig.until(lambda: rig.world.properties["gate"] == 100, 60)
    await rig.run(5)
    [ended] = found(rig, incident).course.gaps
    assert ended.start == gap.start
    assert ended.end is not None


async def test_what_was_cut_before_is_no_gap_of_ours(rig: Rig) -> None:
    """Somebody had the source off already: nothing was changed, so nothing is claimed."""
    rig.world.properties["gate"] = 0
    incident = await tripped(rig)
    rig.load(1)
    await rig.ask(rig.surface.reset("etl/loop", "ann"))
    await rig.until(rig.is_in("closed"), 120)
    assert found(rig, incident).course.gaps == ()


async def test_an_action_that_cuts_nothing_leaves_no_gap(rig: Rig) -> None:
    """A cap is no cut."""
    incident = await tripped(rig, replace(loop(), on_trip=(step("cut", name="gate", value=5),)))
    rig.load(1)
    await rig.ask(rig.surface.reset("etl/loop", "ann"))
    await rig.until(rig.is_in("closed"), 120)
    assert found(rig, incident).course.gaps == ()


async def test_an_observing_breaker_leaves_no_gap(rig: Rig) -> None:
    """It cut nothing; its incident says what it would have done."""
    await tripped(rig, loop(mode=Mode.OBSERVE))
    await rig.run(60)
    assert rig.surface.incidents()[0].gaps == ()


async def test_windows_that_a_check_found_missing_are_gaps(rig: Rig) -> None:
    """Named by the probe, in the trip's evidence; the incident proposes to run them again."""
    seen = [
        Observation(
            "level",
            "a",
            50,
            detail="nothing ran in 2026-03-04T09:00Z/2026-03-04T10:00Z, 2026-03-04T10:00Z/2026-03-04T11:00Z",
        )
    ]
    await rig.start(pipeline(loop(), check()))
    rig.world.readings["load"] = seen
    await rig.until(rig.is_in("open"), 60)
    [gap] = rig.surface.incidents()[0].gaps
    assert (f"{gap.start:%H:%M}", f"{gap.end:%H:%M}", gap.cut) == ("09:00", "11:00", False)
    assert "oldest first" in gap.proposal


async def test_dollars_among_the_reasons_are_kept(rig: Rig) -> None:
    """The report makes a cost hint of them."""
    spec = replace(check(), units={"level": "dollars/h"})
    await rig.start(pipeline(loop(), spec))
    rig.load(50)
    await rig.until(rig.is_in("open"), 60)
    [cost] = rig.surface.incidents()[0].costs
    assert (cost.signal, cost.value, cost.unit) == ("a level", 50, "dollars/h")


# --- the desk and a real outbox -------------------------------------------------------------------------------------


class Sender:
    """Channels that take everything, but for those in `down`."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []
        self.down: set[str] = set()

    async def send(self, urls: Sequence[str], title: str, body: str, severity: str, topic: object = None) -> list[str]:
        if urls[0] in self.down:
            return ["down"]
        self.sent.append((urls[0], title))
        return []


SPEC = CheckSpec(
    "etl", "depth", "gauge", None, timedelta(seconds=10), timedelta(seconds=5), {"level": SignalSpec()}, {},
    severity=Severity.SEV2,
)  # fmt: skip
CHANNELS = (ChannelSpec("env:CHAT"), ChannelSpec("https://hooks.example/a/b"))


@asynccontextmanager
async def desk(store: MemoryStore, clock: FakeClock, sender: Sender) -> AsyncIterator[Any]:
    """One process: a desk, an outbox that runs, and the wiring between them."""
    lease = await store.acquire("etl", "one", timedelta(days=1), clock.now())
    assert lease is not None

    posts: list[tuple[str, str]] = []

    def post(name: str, severity: Severity, key: str, title: str, body: str) -> None:
        posts.append((key, title))
        incident, _, rest = key.partition(" ")
        left = [spec for spec in CHANNELS if channel_name(spec.url) not in made.taken(incident, rest)]
        outbox.post(Notice(incident, rest, severity, title, body), left)

    made = Incidents(store, clock, Feed(clock), lambda name: lease, post, Board())
    outbox = Outbox(
        sender, (), clock,
        ended=lambda end: made.delivered(
            end.notice.incident,
            Sent(clock.now(), end.notice.event, end.channel, end.sent, end.detail, end.notice.key),
            last=end.last,
        ),
    )  # fmt: skip
    await made.load("etl")
    tasks = [asyncio.ensure_future(outbox.run()), asyncio.ensure_future(remind(made, clock))]
    try:
        yield SimpleNamespace(incidents=made, outbox=outbox, posts=posts)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await store.release(lease)


@pytest.mark.parametrize(
    ("severity", "minutes"), [(Severity.SEV1, 15), (Severity.SEV2, 30), (Severity.SEV3, 240), (Severity.SEV4, None)]
)
@pytest.mark.parametrize("down", [set(), {"env:CHAT", "https://hooks.example/a/b"}], ids=["well", "down"])
async def test_updates_are_due_at_the_severity_s_cadence(
    severity: Severity, minutes: int | None, down: set[str]
) -> None:
    """One per span, not one per look, whether or not a channel takes them; SEV4 has none."""
    clock, sender = FakeClock(), Sender()
    store = MemoryStore(clock)
    await store.open()
    sender.down = down
    async with desk(store, clock, sender) as one:
        one.incidents.critical(replace(SPEC, severity=severity), "12 above 10")
        [incident] = one.incidents.views()
        await one.incidents.acknowledge(incident.id, "ann")
        one.posts.clear()
        span = (minutes or 300) * 60
        await clock.advance(span - 30)
        assert one.posts == []
        await clock.advance(60 + 2 * span)
    due = [title for key, title in one.posts if " update due " in key]
    assert len(due) == (3 if minutes else 0)
    assert all(f"{incident.id} investigating: still investigating after " in title for title in due)
    assert all(title.endswith("nothing changed") for title in due)


async def test_a_restart_repeats_nothing_that_was_sent() -> None:
    """`notified` is durable: neither the alert nor anything else goes out twice."""
    clock, sender = FakeClock(), Sender()
    store = MemoryStore(clock)
    await store.open()
    async with desk(store, clock, sender) as one:
        one.incidents.critical(SPEC, "12 above 10")
        await clock.advance(1)
        await one.incidents.flush()
    assert len(sender.sent) == 2
    async with desk(store, clock, sender) as two:
        await clock.advance(60)
        [incident] = two.incidents.views()
        assert [(n.kind, n.sent) for n in incident.notices] == [("alert", True)] * 2
    assert len(sender.sent) == 2


async def test_a_restart_goes_on_where_a_channel_was_down() -> None:
    """What one channel took stays taken; the other gets it as soon as it is back."""
    clock, sender = FakeClock(), Sender()
    store = MemoryStore(clock)
    await store.open()
    sender.down = {"env:CHAT"}
    async with desk(store, clock, sender) as one:
        one.incidents.critical(SPEC, "12 above 10")
        await clock.advance(30)
        await one.incidents.flush()
    assert [url for url, _ in sender.sent] == ["https://hooks.example/a/b"]
    sender.down = set()
    async with desk(store, clock, sender):
        await clock.advance(1)
    assert [url for url, _ in sender.sent] == ["https://hooks.example/a/b", "env:CHAT"]


async def test_a_channel_that_stays_down_is_on_record() -> None:
    """After half an hour it is given up, and the incident says so, without the webhook's secret."""
    clock, sender = FakeClock(), Sender()
    store = MemoryStore(clock)
    await store.open()
    sender.down = {"https://hooks.example/a/b"}
    async with desk(store, clock, sender) as one:
        one.incidents.critical(SPEC, "12 above 10")
        await clock.advance(2400)
        [incident] = one.incidents.views()
    failed = [n for n in incident.notices if not n.sent]
    assert [(n.channel.partition("#")[0], n.detail) for n in failed] == [("https://hooks.example/***", "down")]
