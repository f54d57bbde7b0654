"""What was good is seen while all is well, and handed to the step that puts it back."""

from dataclasses import replace
from datetime import timedelta

import engine_rig
import pytest
from engine_rig import ACTIONS, Rig, breaker, check, pipeline, step

from monitor.core.model import Mode
from monitor.core.spec import RecoverSpec, Term
from monitor.engine.snapshots import EVERY, FIRST
from monitor.plugin import ActionError, ProbeError, Reason

MANUAL = RecoverSpec("manual", timedelta(seconds=10))
#: Past a look.
LOOK = EVERY + 5


async def _last_good(change, base, ctx):
    for value in await ctx.healthy():
        if value != base:
            return value
    raise ActionError(Reason.INVALID, "nothing is known")


@pytest.fixture
def back(monkeypatch):
    """`back(name="gate")`: a breaker whose one step puts the last good value back."""
    good = replace(
        ACTIONS["cut"], name="good", resolve=_last_good, restrictive=None, remembers=True,
        plan=lambda params, now: replace(ACTIONS["cut"].plan(params, now), action="good", wanted="the last good one"),
    )  # fmt: skip
    monkeypatch.setitem(engine_rig.ACTIONS, "good", good)
    return lambda name="loop", **more: breaker(name, step("good", name="gate"), recover=MANUAL, **more)


async def test_what_was_good_comes_back(any_rig: Rig, back) -> None:
    """100, then 80 while all is well; somebody sets 7 and it breaks: 80. Also after a restart."""
    rig = any_rig
    await rig.start(pipeline(back()))
    await rig.run(FIRST + 5)
    rig.world.properties["gate"] = 80
    await rig.run(LOOK)
    await rig.kill()
    await rig.start(pipeline(back()))
    await rig.run(20)
    rig.world.properties["gate"] = 7
    rig.load(50)
    await rig.until(rig.is_in("open"), 60)
    assert rig.world.properties["gate"] == 80
    rig.load(1)
    assert (await rig.ask(rig.surface.reset("etl/loop", "ann"))).ok
    await rig.until(rig.is_in("closed"), 60)
    assert rig.world.properties["gate"] == 7  # undo is what was captured, good or not


async def test_nothing_is_looked_at_while_it_breaks(rig: Rig, back) -> None:
    """What is live during a breach is no good value, however short the breach is; unknown proves nothing."""
    await rig.start(pipeline(back(condition=Term("load", hold=timedelta(hours=2)))))
    for value, load in ((1, ProbeError(Reason.UNAVAILABLE, "down")), (2, 50), (90, 1)):
        rig.world.properties["gate"] = value
        rig.load(load)
        await rig.run(FIRST + LOOK)
    known = await rig.engine.services.journal.good("123456789012/us-east-1/gate/value")
    assert known.newest_first() == [90]
    assert rig.breaker().state == "closed"


async def test_what_a_breaker_set_is_not_taken_for_good(rig: Rig, back) -> None:
    """While another breaker holds the property it is left out."""
    cut = breaker("cutter", step("cut", name="gate", value=0), condition=Term("other"), recover=MANUAL)
    rig.load(1, "other")
    await rig.start(pipeline(check("load"), check("other"), back(), cut))
    await rig.run(20)
    rig.load(50, "other")
    await rig.until(rig.is_in("open", "etl/cutter"), 60)
    assert rig.world.properties["gate"] == 0
    await rig.run(FIRST + LOOK)
    known = await rig.engine.services.journal.good("123456789012/us-east-1/gate/value")
    assert known.newest_first() == []


async def test_ten_values_are_kept_and_one_that_returns_is_the_newest(rig: Rig, back) -> None:
    """Bounded, without doubles."""
    await rig.start(pipeline(back()))
    for value in (*range(12), 5):
        rig.world.properties["gate"] = value
        await rig.run(LOOK)
    known = await rig.engine.services.journal.good("123456789012/us-east-1/gate/value")
    assert known.newest_first() == [5, 11, 10, 9, 8, 7, 6, 4, 3, 2]


async def test_a_breaker_that_observes_asks_nothing(rig: Rig, back) -> None:
    """Its policy may not permit the reads."""
    await rig.start(pipeline(back(mode=Mode.OBSERVE)))
    await rig.run(FIRST + LOOK)
    known = await rig.engine.services.journal.good("123456789012/us-east-1/gate/value")
    assert known.newest_first() == []


async def test_a_look_that_fails_costs_a_look(rig: Rig, back, monkeypatch) -> None:
    """The next one finds what is there."""
    fails = [True]
    capture = ACTIONS["good"].capture

    async def sometimes(change, ctx):
        if fails:
            fails.pop()
            raise ProbeError(Reason.UNAVAILABLE, "down")
        return await capture(change, ctx)

    monkeypatch.setitem(engine_rig.ACTIONS, "good", replace(ACTIONS["good"], capture=sometimes))
    await rig.start(pipeline(back()))
    await rig.run(FIRST + LOOK)
    known = await rig.engine.services.journal.good("123456789012/us-east-1/gate/value")
    assert known.newest_first() == [100]


async def test_a_bug_in_one_look_costs_no_other_one(rig: Rig, back, monkeypatch) -> None:
    """An answer that an action can't read, at every look: the other breakers' values are remembered all the same."""
    capture = ACTIONS["good"].capture

    async def clumsy(change, ctx):
        if change.resource == "door":
            raise ValueError("no JSON at all")
        return await capture(change, ctx)

    monkeypatch.setitem(engine_rig.ACTIONS, "good", replace(ACTIONS["good"], capture=clumsy))
    await rig.start(pipeline(breaker("a", step("good", name="door"), recover=MANUAL), back()))
    await rig.run(FIRST + LOOK)
    known = await rig.engine.services.journal.good("123456789012/us-east-1/gate/value")
    assert known.newest_first() == [100]
