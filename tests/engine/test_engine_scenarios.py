"""Breakers from trip to close, told as sentences."""

from datetime import timedelta

import pytest
from engine_rig import Rig, breaker, check, holds, pipeline, step

from monitor.core.model import Level, Mode, Reason
from monitor.core.spec import LimitsSpec, RecoverSpec
from monitor.plugin import ProbeError


async def test_trips_opens_holds_recovers_and_closes_by_itself(any_rig: Rig) -> None:
    """The whole loop: the cut is in force while open, and exactly the earlier value is back at the end."""
    rig = any_rig
    await rig.start(pipeline(breaker()))
    await rig.run(12)
    assert rig.breaker().state == "closed"
    rig.load(50)
    await rig.until(rig.is_in("open"), 30)
    assert rig.world.properties["gate"] == 0
    rig.load(1)
    await rig.until(rig.is_in("half_open"), 90)
    await rig.until(lambda: rig.world.properties["gate"] == 100, 10)
    assert rig.breaker().state == "half_open"
    took = await rig.until(rig.is_in("closed"), 120)
    assert 50 <= took <= 80, "a trial of 60 s"
    assert rig.world.sets("gate") == [0, 100]
    assert [i.resolved_at is not None for i in rig.surface.incidents()] == [True]


async def test_restores_what_was_unset(rig: Rig) -> None:
    """A property that was unset is unset again."""
    rig.world.properties.pop("gate")
    await rig.start(pipeline(breaker()))
    rig.load(50)
    await rig.until(rig.is_in("open"))
    rig.load(1)
    await rig.until(rig.is_in("closed"))
    assert rig.world.sets("gate") == [0, None]


async def test_waits_out_for_before_it_trips(rig: Rig) -> None:
    """`for: 30s` needs the breach to last that long."""
    await rig.start(pipeline(check(signals=holds(30)), breaker()))
    await rig.run(12)
    rig.load(50)
    await rig.run(25)
    assert rig.breaker().state == "closed"
    await rig.until(rig.is_in("open"), 20)


async def test_unknown_neither_trips_nor_closes(rig: Rig) -> None:
    """A failing read leaves a closed breaker closed, and a trial open until it is known again."""
    await rig.start(pipeline(breaker()))
    rig.load(ProbeError(Reason.UNAVAILABLE, "down"))
    await rig.run(120)
    assert rig.level() is Level.UNKNOWN
    assert rig.breaker().state == "closed"
    rig.load(50)
    await rig.until(rig.is_in("open"))
    rig.load(1)
    await rig.until(lambda: rig.world.properties["gate"] == 100)
    rig.load(ProbeError(Reason.UNAVAILABLE, "down"))
    await rig.run(100)
    assert rig.breaker().state == "half_open"
    rig.load(1)
    await rig.until(rig.is_in("closed"), 20)


async def test_a_blind_trial_ends_by_cutting_again(rig: Rig) -> None:
    """A trial never goes on for ever: after three spans without data the cut is put back."""
    await rig.start(pipeline(breaker()))
    rig.load(50)
    await rig.until(rig.is_in("open"))
    rig.load(1)
    await rig.until(lambda: rig.world.properties["gate"] == 100)
    rig.load(ProbeError(Reason.UNAVAILABLE, "down"))
    await rig.until(rig.is_in("open"), 300)
    assert rig.world.properties["gate"] == 0
    assert any("blind" in text for text in rig.told("breaker.relapsed"))


async def test_a_relapse_doubles_the_hold_and_is_no_new_trip(rig: Rig) -> None:
    """Critical in the trial: cut again, twice as long, one trip on the record."""
    await rig.start(pipeline(breaker()))
    rig.load(50)
    await rig.until(rig.is_in("open"))
    rig.load(1)
    await rig.until(lambda: rig.world.properties["gate"] == 100)
    await rig.run(15)
    rig.load(50)
    await rig.until(rig.is_in("open"), 30)
    assert rig.world.properties["gate"] == 0
    rig.load(1)
    took = await rig.until(rig.is_in("half_open"), 200)
    assert 110 <= took <= 130
    await rig.until(rig.is_in("closed"), 120)
    assert rig.world.sets("gate") == [0, 100, 0, 100]
    assert rig.breaker().trips_today == 1


async def test_a_relapse_tells_what_is_seen_now(rig: Rig) -> None:
    """In the words of a trip, numbers included: steps read in `${trip.reason}` what they are to fill."""
    await rig.start(pipeline(breaker()))
    rig.load(50)
    await rig.until(rig.is_in("open"))
    rig.load(1)
    await rig.until(lambda: rig.world.properties["gate"] == 100)
    await rig.run(15)
    rig.load(73)
    await rig.until(rig.is_in("open"), 30)
    [told] = rig.told("breaker.relapsed")
    assert told.startswith("relapse: a level: 73 things above 10")


async def test_what_is_seen_before_the_undo_is_no_relapse(rig: Rig) -> None:
    """While the cut keeps the check critical, the recovery still gets its trial; then it is judged anew."""
    await rig.start(pipeline(breaker()))
    rig.load(50)
    await rig.until(rig.is_in("open"))
    await rig.until(lambda: rig.world.properties["gate"] == 100, 120)
    rig.load(1)
    await rig.until(rig.is_in("closed"), 120)
    assert rig.told("breaker.relapsed") == []


async def test_unknown_does_not_end_a_verify(rig: Rig) -> None:
    """A verify's timer stands still while nothing is known, for `ok` and for other levels."""
    for level in ("ok", "warning"):
        steps = (step("verify", check="load", level=level, **{"for": "40s"}), step("undo", steps=["cut"]))
        recover = RecoverSpec("auto", timedelta(seconds=10), timedelta(seconds=30), steps)
        rig.world.properties["gate"] = 100
        rig.load(1)
        await rig.start(pipeline(breaker(recover=recover)))
        rig.load(50)
        await rig.until(rig.is_in("open"))
        rig.load(1)
        await rig.run(30)
        rig.load(ProbeError(Reason.THROTTLED, "slow down"))
        await rig.run(300)
        assert rig.breaker().state == "open", level
        assert rig.world.properties["gate"] == 0
        rig.load(1)
        await rig.until(rig.is_in("half_open"), 60)
        await rig.until(rig.is_in("closed"), 60)
        await rig.stop()


async def test_observe_plans_and_touches_nothing(rig: Rig) -> None:
    """A shadow goes through the same states; AWS is not changed, no limit is used up, no storm is wished."""
    await rig.start(pipeline(breaker("loop", step("cut", name="gate", value=0), step("drain"), mode=Mode.OBSERVE)))
    rig.load(50)
    await rig.until(rig.is_in("open"))
    steps = rig.breaker().steps
    assert [s.phase for s in steps] == ["would", "would"]
    assert "set gate to 0" in steps[0].detail
    rig.load(1)
    await rig.until(rig.is_in("closed"), 300)
    incident = rig.surface.incidents()[0]
    said = [entry.text for entry in incident.timeline]
    assert any("nothing was changed: it observes" in text for text in said)
    assert not any("in force" in text or "restoring" in text for text in said)
    assert (incident.contained_at, incident.restoring_at) == (None, None)
    assert rig.world.done == []
    assert rig.breaker().trips_today == 0
    assert rig.engine.surroundings.storms.wishes == ()


async def test_manual_recovery_waits_for_a_person(rig: Rig) -> None:
    """`recover: manual` stays open however long all is well; reset restores and closes without a trial."""
    recover = RecoverSpec("manual", timedelta(seconds=10))
    await rig.start(pipeline(breaker(recover=recover)))
    rig.load(50)
    await rig.until(rig.is_in("open"))
    rig.load(1)
    await rig.run(600)
    assert rig.breaker().state == "open"
    answer = await rig.ask(rig.surface.reset("etl/loop", "ann"))
    assert answer.ok
    await rig.until(rig.is_in("closed"), 10)
    assert rig.world.sets("gate") == [0, 100]


async def test_reset_in_a_breach_starts_for_anew_and_says_so(rig: Rig) -> None:
    """After a reset only what is seen later counts, and the breach that lasts is told."""
    recover = RecoverSpec("manual", timedelta(seconds=10))
    await rig.start(pipeline(check(signals=holds(30)), breaker(recover=recover)))
    rig.load(50)
    await rig.until(rig.is_in("open"), 60)
    assert (await rig.ask(rig.surface.reset("etl/loop", "ann"))).ok
    await rig.until(rig.is_in("closed"), 10)
    assert any("breach lasts" in text for text in rig.told("breaker.closed"))
    await rig.run(25)
    assert rig.breaker().state == "closed"
    await rig.until(rig.is_in("open"), 40)


async def test_a_persons_trip_never_recovers_by_itself(rig: Rig) -> None:
    """`breaker trip` stays until `breaker reset`, though recovery is automatic."""
    await rig.start(pipeline(breaker()))
    await rig.run(12)
    assert (await rig.ask(rig.surface.trip("etl/loop", "ann", "drill"))).ok
    await rig.until(rig.is_in("open"), 10)
    await rig.run(600)
    assert rig.breaker().state == "open"
    assert (await rig.ask(rig.surface.reset("etl/loop", "ann"))).ok
    await rig.until(rig.is_in("closed"), 10)
    assert rig.world.sets("gate") == [0, 100]


async def test_the_last_permitted_trip_latches_but_still_cuts(rig: Rig) -> None:
    """`trips_per_day: 2`: the second trip cuts and stays open until a person resets it."""
    await rig.start(pipeline(breaker(limits=LimitsSpec(trips_per_day=2))))
    rig.load(50)
    await rig.until(rig.is_in("open"))
    rig.load(1)
    await rig.until(rig.is_in("closed"), 300)
    rig.load(50)
    await rig.until(rig.is_in("open"))
    assert rig.world.properties["gate"] == 0
    assert rig.breaker().latched
    rig.load(1)
    await rig.run(600)
    assert rig.breaker().state == "open"
    assert (await rig.ask(rig.surface.reset("etl/loop", "ann"))).ok
    await rig.until(rig.is_in("closed"), 10)


async def test_a_jump_of_the_wall_clock_trips_nothing(rig: Rig) -> None:
    """Neither an hour forward nor a day back is a breach, and the pipeline stays ours."""
    await rig.start(pipeline(check(signals=holds(600)), breaker()))
    rig.load(50)
    await rig.run(60)
    rig.clock.jump(timedelta(hours=1))
    await rig.run(60)
    assert rig.breaker().state == "closed"
    rig.clock.jump(timedelta(days=-1))
    await rig.run(60)
    assert rig.breaker().state == "closed"
    assert rig.surface.status().leases == {"etl": True}
    rig.load(1)
    await rig.run(30)
    assert rig.level() is Level.OK


@pytest.mark.parametrize("order", [("load", "other"), ("other", "load")])
async def test_two_breakers_on_one_property_restore_the_base(rig: Rig, order: tuple[str, str]) -> None:
    """The strictest value holds while both are open; the last to recover puts the first value back."""
    from monitor.core.spec import Term

    soft = breaker("soft", step("cut", name="gate", value=50), condition=Term("load"))
    hard = breaker("hard", step("cut", name="gate", value=20), condition=Term("other"))
    await rig.start(pipeline(check("load"), check("other"), soft, hard))
    rig.load(1, "other")
    both = {"load": "etl/soft", "other": "etl/hard"}
    await rig.run(12)
    for source in order:
        rig.load(50, source)
        await rig.until(rig.is_in("open", both[source]))
    assert rig.world.properties["gate"] == 20
    rig.load(1, order[0])
    await rig.until(rig.is_in("closed", both[order[0]]), 300)
    first = {"load": 20, "other": 50}[order[0]]
    # The other one may have recovered by its own hold already; then the base is back.
    assert rig.world.properties["gate"] in (first, 100)
    rig.load(1, order[1])
    await rig.until(rig.is_in("closed", both[order[1]]), 600)
    assert rig.world.properties["gate"] == 100
    assert await rig.store.scan("claim") == []
    assert rig.told("action.drifted") == []
