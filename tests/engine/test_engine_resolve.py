"""What is wanted and only AWS knows: asked once, from the value before any change of ours."""

from dataclasses import replace
from datetime import timedelta

import engine_rig
import pytest
from engine_rig import ACTIONS, Rig, breaker, check, pipeline, step

from monitor.core.spec import RecoverSpec, Term
from monitor.plugin import ActionError, Reason

MANUAL = RecoverSpec("manual", timedelta(seconds=10))


async def _the_one_before(change, base, ctx):
    return base - 10


@pytest.fixture
def back(monkeypatch):
    """An action that sets the gate to ten less than it was, whatever that is."""
    lower = replace(
        ACTIONS["cut"], name="lower", resolve=_the_one_before, restrictive=None,
        plan=lambda params, now: replace(ACTIONS["cut"].plan(params, now), action="lower", wanted="the one before"),
    )  # fmt: skip
    monkeypatch.setitem(engine_rig.ACTIONS, "lower", lower)


async def test_two_holders_of_the_one_before_go_back_once(rig: Rig, back) -> None:
    """The second one sees the base, not what the first one set; the last to go restores it."""
    parts = [
        breaker(name, step("lower", name="gate"), condition=Term(source), recover=MANUAL)
        for name, source in (("first", "load"), ("second", "other"))
    ]
    rig.load(1, "other")
    await rig.start(pipeline(check("load"), check("other"), *parts))
    await rig.run(12)
    rig.load(50)
    await rig.until(rig.is_in("open", "etl/first"), 30)
    assert rig.world.properties["gate"] == 90
    rig.load(50, "other")
    await rig.until(rig.is_in("open", "etl/second"), 30)
    assert rig.world.sets("gate") == [90]
    rig.load(1)
    rig.load(1, "other")
    for name in ("first", "second"):
        assert (await rig.ask(rig.surface.reset(f"etl/{name}", "ann"))).ok
        await rig.until(rig.is_in("closed", f"etl/{name}"), 60)
    assert rig.world.properties["gate"] == 100
    assert rig.told("action.drifted") == []


async def test_a_retried_change_keeps_its_answer(rig: Rig, back) -> None:
    """Somebody moves the gate between the intent and the retry: that is drift, not a new answer."""
    await rig.start(pipeline(breaker("first", step("lower", name="gate"), recover=MANUAL)))
    await rig.run(12)
    rig.world.before = lambda *_: (_ for _ in ()).throw(ActionError(Reason.UNAVAILABLE, "later"))
    rig.load(50)
    await rig.until(rig.is_in("tripping", "etl/first"), 30)
    await rig.run(3)
    rig.world.before = None
    rig.world.properties["gate"] = 70
    await rig.run(60)
    assert rig.world.sets("gate") == []
    assert rig.world.properties["gate"] == 70
