"""What goes wrong around a breaker: gates, switches, stores, leases, storms, drift, crashes between two commits."""

import asyncio
from datetime import timedelta

import pytest
from engine_rig import ACCOUNT, REGION, Rig, breaker, check, pipeline, step

from monitor.core.model import Reason
from monitor.core.ports import StoreUnavailable
from monitor.core.spec import AwsSpec, LimitsSpec, RecoverSpec, Term
from monitor.plugin import ActionError, ProbeError

MANUAL = RecoverSpec("manual", timedelta(seconds=10))


async def test_a_kill_switch_in_mid_drain_holds_and_resumes(rig: Rig) -> None:
    """Off pauses the drain where it is; on finishes it; nothing is stopped twice."""
    rig.world.executions = 40
    await rig.start(pipeline(breaker("loop", step("drain"))))
    rig.load(50)
    await rig.until(lambda: rig.world.executions < 35, 60)
    assert (await rig.surface.set_actions(False, "ann", "wait")).ok
    await rig.run(2)
    left = rig.world.executions
    await rig.run(120)
    assert rig.world.executions == left
    assert rig.breaker().steps[0].gate == "kill_switch"
    assert (await rig.surface.set_actions(True, "ann", "")).ok
    await rig.until(rig.is_in("open"), 60)
    assert len(rig.world.done) == 40


async def test_off_also_holds_the_undo(rig: Rig) -> None:
    """A recovery waits for the switch; that is no relapse however long it takes."""
    await rig.start(pipeline(breaker()))
    rig.load(50)
    await rig.until(rig.is_in("open"))
    rig.load(1)
    assert (await rig.surface.set_actions(False, "ann", "")).ok
    await rig.run(900)
    assert rig.world.properties["gate"] == 0
    assert (await rig.surface.set_actions(True, "ann", "")).ok
    await rig.until(rig.is_in("closed"), 120)
    assert rig.told("breaker.relapsed") == []


@pytest.mark.parametrize("said", ["off", "FALSE", ProbeError(Reason.DENIED, "no")])
async def test_a_parameter_is_read_before_anything_is_done(rig: Rig, said: object) -> None:
    """At the very start too: a switch that says off, or was not read yet, holds a trip an earlier process began."""
    rig.world.before = lambda *_: (_ for _ in ()).throw(ActionError(Reason.UNAVAILABLE, "later"))
    await rig.start(pipeline(breaker()))
    rig.load(50)
    await rig.until(rig.is_in("tripping"), 20)
    await rig.stop()
    rig.world.before = None
    rig.parameters["/switch"] = said
    await rig.start(pipeline(breaker(), kill_switch_parameter="/switch"))
    await rig.run(120)
    assert rig.world.done == []
    rig.parameters["/switch"] = "on"
    await rig.until(rig.is_in("open"), 60)


async def test_a_switch_that_can_no_longer_be_read_counts_as_off(rig: Rig) -> None:
    """After 30 s without an answer actions are off, also when the wall clock is set back meanwhile."""
    rig.parameters["/switch"] = "on"
    await rig.start(pipeline(breaker(), kill_switch_parameter="/switch"))
    await rig.run(10)
    assert rig.surface.status().actions_enabled
    rig.parameters["/switch"] = ProbeError(Reason.TIMEOUT, "no answer")
    rig.clock.jump(timedelta(hours=-2))
    await rig.run(20)
    assert rig.surface.status().actions_enabled
    await rig.run(20)
    assert not rig.surface.status().actions_enabled


async def test_the_kill_file_holds_while_it_exists(rig: Rig, tmp_path) -> None:
    """Any content but `on` is off; removing the file lets the cut go."""
    rig.kill_file = tmp_path / "stop"
    rig.kill_file.write_text("maintenance\n")
    await rig.start(pipeline(breaker()))
    rig.load(50)
    await rig.run(60)
    assert rig.world.done == []
    rig.kill_file.write_text("on\n")
    await rig.until(rig.is_in("open"), 20)


async def test_a_store_that_fails_stops_every_action_and_recovers(rig: Rig) -> None:
    """No mutating call, not ready, one notice; once it writes again the trip goes on."""
    await rig.start(pipeline(breaker()))
    await rig.run(20)
    whole, down = rig.store.commit, True

    async def commit(*args: object, **more: object) -> object:
        if down:
            raise StoreUnavailable("the disk is full")
        return await whole(*args, **more)

    rig.store.commit = commit
    await rig.run(15)
    assert not rig.surface.status().ready
    posts = len(rig.posts)
    rig.load(50)
    await rig.run(300)
    assert rig.world.done == []
    assert len(rig.posts) - posts <= 2, "an outage is not told again and again"
    down = False
    await rig.until(rig.is_in("open"), 60)
    assert rig.surface.status().ready
    assert rig.world.sets("gate") == [0]


async def test_an_owner_that_lost_its_lease_issues_no_further_call(rig: Rig) -> None:
    """Another owner takes over in mid-drain: the old one stops before its next call, the new one finishes."""
    rig.world.executions = 60
    await rig.start(pipeline(breaker("loop", step("drain"))))
    rig.load(50)
    await rig.until(lambda: rig.world.executions < 55, 60)
    rig.store._leases.clear()
    taken = await rig.store.acquire("etl", "two", timedelta(seconds=60), rig.clock.now())
    assert taken is not None
    await rig.run(2)
    left = rig.world.executions
    await rig.run(40)
    assert rig.world.executions == left
    await rig.store.release(taken)
    await rig.until(rig.is_in("open"), 200)
    assert len(rig.world.done) == 60


async def test_a_lease_that_merely_ran_out_stops_nothing_for_good(rig: Rig) -> None:
    """A daemon that slept through its lease holds, renews it and goes on."""
    await rig.start(pipeline(breaker()))
    await rig.run(12)
    rig.clock.jump(timedelta(seconds=90))
    rig.load(50)
    await rig.run(2)
    assert rig.surface.status().leases == {"etl": False}
    await rig.until(lambda: rig.surface.status().leases == {"etl": True}, 40)
    await rig.until(rig.is_in("open"), 40)


async def test_state_that_could_not_be_read_is_taken_up_at_the_next_beat(rig: Rig) -> None:
    """A lease won while the store stumbles does not leave the pipeline without workers."""
    whole, failures = rig.store.scan, 2

    async def scan(kind: str, prefix: str = "") -> object:
        nonlocal failures
        if kind == "timers" and failures:
            failures -= 1
            raise StoreUnavailable("stumbled")
        return await whole(kind, prefix)

    rig.store.scan = scan
    await rig.start(pipeline(breaker()))
    assert rig.surface.breakers() == []
    await rig.until(lambda: len(rig.surface.breakers()) == 1, 90)
    rig.load(50)
    await rig.until(rig.is_in("open"), 30)


async def test_a_storm_holds_what_disrupts_but_never_the_cut(rig: Rig) -> None:
    """Three of three pipelines trip at once: cuts are made, drains wait until a person says that it is real."""
    names = ("one", "two", "three")
    rig.world.executions = 200
    rig.world.properties |= dict.fromkeys(names, 9)
    pipelines = [
        pipeline(check(), breaker("loop", step("cut", name=n, value=0), step("drain"), pipeline=n), name=n)
        for n in names
    ]
    await rig.start(*pipelines)
    await rig.run(40)
    rig.load(50)
    await rig.until(lambda: all(rig.world.properties[n] == 0 for n in names), 60)
    # The first to trip may have begun before there was a storm; what is left waits.
    await rig.run(20)
    left = rig.world.executions
    await rig.run(300)
    assert rig.world.executions == left > 150
    assert rig.surface.status().storm is not None
    assert (await rig.surface.lift_storm("ann")).ok
    await rig.until(lambda: rig.world.executions < left - 20, 60)


async def test_a_broken_identity_holds_what_disrupts(rig: Rig) -> None:
    """The observer itself looks broken: drains wait."""
    rig.world.executions = 3
    rig.broken[ACCOUNT, REGION] = "AWS refuses the daemon's identity"
    await rig.start(pipeline(breaker("loop", step("cut", name="gate", value=0), step("drain"))))
    rig.load(50)
    await rig.run(60)
    assert rig.world.properties["gate"] == 0
    assert rig.world.executions == 3
    rig.broken.clear()
    await rig.until(rig.is_in("open"), 30)


async def test_drift_is_told_once_and_left_alone(rig: Rig) -> None:
    """Somebody changes the cut value: one notice, still open, not set again, and the undo leaves it too."""
    await rig.start(pipeline(breaker(recover=MANUAL)))
    rig.load(50)
    await rig.until(rig.is_in("open"))
    rig.world.properties["gate"] = 77
    await rig.run(200)
    assert len(rig.told("action.drifted")) == 1
    assert rig.breaker().state == "open"
    assert rig.breaker().drifted == 1
    assert rig.world.properties["gate"] == 77
    rig.load(1)
    assert (await rig.ask(rig.surface.reset("etl/loop", "ann"))).ok
    await rig.until(rig.is_in("closed"), 20)
    assert rig.breaker().drifted == 0  # that trip is over
    assert rig.world.properties["gate"] == 77
    assert await rig.store.scan("claim") == []


async def test_enforce_sets_it_again(rig: Rig) -> None:
    """Only where the step says so."""
    await rig.start(pipeline(breaker("loop", step("cut", name="gate", value=0, enforce=True), recover=MANUAL)))
    rig.load(50)
    await rig.until(rig.is_in("open"))
    rig.world.properties["gate"] = 77
    await rig.until(lambda: rig.world.properties["gate"] == 0, 60)
    assert len(rig.told("action.enforced")) == 1


async def test_what_changed_nothing_reports_so_and_is_let_go(rig: Rig) -> None:
    """The gate was at its value already: no call, and no claim left behind when nothing undoes it."""
    rig.world.properties["gate"] = 0
    recover = RecoverSpec("auto", timedelta(seconds=10), timedelta(seconds=30), ())
    await rig.start(pipeline(breaker(recover=recover)))
    rig.load(50)
    await rig.until(rig.is_in("open"))
    assert "was so already" in rig.breaker().steps[0].detail
    rig.load(1)
    await rig.until(rig.is_in("closed"), 120)
    assert rig.world.done == []
    assert await rig.store.scan("claim") == []


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("which", range(1, 24))
async def test_a_crash_at_any_commit_has_no_second_effect(rig: Rig, which: int, moment: str) -> None:
    """The tasks vanish around commit N of a trip with two changes; the next process ends it all the same."""
    whole, seen, dead = rig.store.commit, 0, asyncio.Event()

    async def commit(writes: list, lease: object = None) -> object:
        nonlocal seen
        if dead.is_set():
            await asyncio.sleep(3600)
        ours = any(write.kind in ("breaker", "change", "claim") for write in writes)
        seen += ours
        if ours and seen == which and moment == "before":
            dead.set()
            await asyncio.sleep(3600)
        answer = await whole(writes, lease)
        if ours and seen == which:
            dead.set()
            await asyncio.sleep(3600)
        return answer

    rig.store.commit = commit
    rig.world.properties.pop("door", None)
    config = pipeline(breaker("loop", step("cut", name="gate", value=0), step("cut", id="door", name="door", value=1)))
    await rig.start(config)
    rig.load(50)
    for _ in range(40):
        await rig.run(5)
        if rig.world.properties["gate"] == 0:
            rig.load(1)
        if dead.is_set():
            break
    await rig.kill()
    dead.clear()
    rig.store.commit = whole
    if rig.world.sets("gate") == []:
        rig.load(50)
    await rig.start(config)
    await rig.until(lambda: len(rig.world.sets("gate")) >= 1, 120)
    rig.load(1)
    await rig.until(rig.is_in("closed"), 400)
    assert rig.world.sets("gate") == [0, 100]
    assert rig.world.sets("door") == [1, None]
    assert await rig.store.scan("claim") == []


@pytest.mark.parametrize("first", ["soft", "hard"])
@pytest.mark.parametrize("leave", ["soft", "hard"])
@pytest.mark.parametrize("gap", [False, True])
async def test_shared_claims_restore_the_base_in_every_order(rig: Rig, first: str, leave: str, gap: bool) -> None:
    """Whoever comes first and goes first, held half-way or not: the strictest rules, the last restores the base."""
    values = {"soft": 50, "hard": 20}
    sources = {"soft": "load", "hard": "other"}
    parts = [
        breaker(n, step("cut", name="gate", value=values[n]), condition=Term(sources[n]), recover=MANUAL)
        for n in values
    ]
    rig.load(1, "other")
    await rig.start(pipeline(check("load"), check("other"), *parts))
    await rig.run(12)
    second = "hard" if first == "soft" else "soft"
    rig.load(50, sources[first])
    await rig.until(rig.is_in("open", f"etl/{first}"), 30)
    if gap:  # the second one has written its intent, and is held before its call
        rig.world.before = lambda *_: (_ for _ in ()).throw(ActionError(Reason.UNAVAILABLE, "later"))
    rig.load(50, sources[second])
    await rig.until(rig.is_in("tripping" if gap and second == "hard" else "open", f"etl/{second}"), 30)
    await rig.run(1)
    rig.world.before = None
    rig.load(1, "load")
    rig.load(1, "other")
    assert (await rig.ask(rig.surface.reset(f"etl/{leave}", "ann"))).ok
    await rig.until(rig.is_in("closed", f"etl/{leave}"), 60)
    stays = "hard" if leave == "soft" else "soft"
    await rig.until(rig.is_in("open", f"etl/{stays}"), 120)
    assert rig.world.properties["gate"] == values[stays]
    assert (await rig.ask(rig.surface.reset(f"etl/{stays}", "ann"))).ok
    await rig.until(rig.is_in("closed", f"etl/{stays}"), 60)
    assert rig.world.properties["gate"] == 100
    assert rig.told("action.drifted") == []
    assert await rig.store.scan("claim") == []


@pytest.mark.parametrize("leave", ["etl", "web"])
async def test_pipelines_of_two_regions_share_what_belongs_to_none(rig: Rig, leave: str) -> None:
    """One bucket, held from two regions: the last to let go restores what was there before both."""
    cut = breaker("cut", step("cut", name="s3/site", value=5), recover=MANUAL)
    rig.world.properties["s3/site"] = 100
    await rig.start(pipeline(cut), pipeline(cut, name="web", aws=AwsSpec(region="eu-west-1")))
    rig.load(50)
    for name in ("etl", "web"):
        await rig.until(rig.is_in("open", f"{name}/cut"), 60)
    rig.load(1)
    stays = "web" if leave == "etl" else "etl"
    assert (await rig.ask(rig.surface.reset(f"{leave}/cut", "ann"))).ok
    await rig.until(rig.is_in("closed", f"{leave}/cut"), 60)
    assert rig.world.properties["s3/site"] == 5
    assert (await rig.ask(rig.surface.reset(f"{stays}/cut", "ann"))).ok
    await rig.until(rig.is_in("closed", f"{stays}/cut"), 60)
    assert rig.world.properties["s3/site"] == 100


async def test_incidents_are_adopted_and_resolved(rig: Rig) -> None:
    """A critical check opens one, the breaker's trip takes it over, the close resolves it."""
    await rig.start(pipeline(breaker(limits=LimitsSpec(trips_per_day=None))))
    rig.load(50)
    await rig.until(rig.is_in("open"))
    assert len(rig.surface.incidents()) == 1
    rig.load(1)
    await rig.until(rig.is_in("closed"), 300)
    (incident,) = rig.surface.incidents()
    assert incident.resolved_at is not None
    assert [kind for _, _, key, _ in rig.posts if (kind := key.split(" ", 2)[1]) == "resolved"] == ["resolved"]


async def test_a_command_to_a_stopped_engine_is_answered(rig: Rig) -> None:
    """Nobody waits for an answer that can't come."""
    await rig.start(pipeline(breaker()))
    await rig.run(1)
    worker = rig.engine.workers["etl/loop"]
    worker.stop("test")
    answer = await rig.ask(rig.surface.trip("etl/loop", "ann", ""), 5)
    assert not answer.ok
