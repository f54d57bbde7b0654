"""ramp: rung by rung back to what there was, over one claim, whatever interrupts it."""

from dataclasses import replace
from datetime import timedelta

import engine_rig
from engine_rig import breaker, check, pipeline, step

from monitor.core.model import Mode
from monitor.core.spec import RecoverSpec
from monitor.plugin import Change, Registry


def ramp(*rungs, every="60s", verify=None, within="120s"):
    """As config writes it."""
    params = {
        "action": "cut", "params": {"name": "gate"}, "amount": "value", "steps": list(rungs), "every": every,
        "within": within, "for": f"{120 * len(rungs)}s",
    }  # fmt: skip
    return step("ramp", **params, **({"verify": verify} if verify else {}))


def ramped(*steps, **more):
    """Cuts `gate` to 2, comes back by these steps; 60 s open, 60 s trial."""
    recover = RecoverSpec("auto", timedelta(seconds=60), timedelta(seconds=60), steps)
    return breaker("loop", step("cut", name="gate", value=2), recover=recover, **more)


async def tripped(rig, *parts):
    """Open, and the load gone again."""
    await rig.start(pipeline(*parts))
    await rig.until(rig.is_in("closed"))
    rig.load(50)
    await rig.until(rig.is_in("open"))
    rig.load(1)


async def test_each_rung_is_set_watched_and_left_for_the_next(rig):
    """2 -> 5 -> 10 -> 20 -> 100, a minute apart; then a trial as after any recovery."""
    await tripped(rig, ramped(ramp(5, 10, 20, verify={"check": "load", "level": "ok", "for": "0s"})))
    await rig.until(lambda: rig.world.properties["gate"] == 5)
    took = [await rig.until(lambda v=v: rig.world.properties["gate"] == v) for v in (10, 20, 100)]
    assert all(58 <= seconds <= 75 for seconds in took), took
    assert rig.breaker().state.value == "half_open"
    await rig.until(rig.is_in("closed"))
    assert rig.world.sets("gate") == [2, 5, 10, 20, 100]
    assert await rig.store.scan("claim") == []


async def test_a_rung_is_not_left_before_its_check_is_well(rig):
    """The check has no reading after the rung: the ramp waits, and says what for; it never goes on blind."""
    verified = ramped(ramp(5, 10, verify={"check": "other", "level": "ok", "for": "30s"}, within="600s"))
    await rig.start(pipeline(check(), check("other"), verified))
    rig.load(1, "other")
    await rig.until(rig.is_in("closed"))
    rig.load(50)
    await rig.until(rig.is_in("open"))
    rig.load(1)
    rig.load(8, "other")
    await rig.until(lambda: rig.world.properties["gate"] == 5)
    rig.load(50, "other")
    await rig.run(150)
    assert rig.world.properties["gate"] == 5
    assert "other is critical" in rig.breaker().steps[0].detail
    rig.load(1, "other")
    await rig.until(lambda: rig.world.properties["gate"] == 10)


async def test_a_relapse_on_a_rung_cuts_again_with_a_doubled_hold(rig):
    """The breach comes back at rung 10: the trip is applied again, and the second ramp begins at the bottom."""
    await tripped(rig, ramped(ramp(5, 10, 20)))
    await rig.until(lambda: rig.world.properties["gate"] == 10)
    rig.load(50)
    await rig.until(rig.is_in("open"))
    assert rig.world.properties["gate"] == 2
    rig.load(1)
    assert 118 <= await rig.until(rig.is_in("half_open")) <= 125
    await rig.until(rig.is_in("closed"), most=900)
    assert rig.world.sets("gate") == [2, 5, 10, 2, 5, 10, 20, 100]


async def test_a_check_that_never_becomes_well_is_a_relapse(rig):
    """After the rung's own time and its patience, half open ends: the cut is put back."""
    verified = ramped(ramp(5, 10, verify={"check": "other", "level": "ok", "for": "0s"}, within="120s"))
    await rig.start(pipeline(check(), check("other"), verified))
    rig.load(1, "other")
    await rig.until(rig.is_in("closed"))
    rig.load(50)
    await rig.until(rig.is_in("open"))
    rig.load(1)
    rig.load(50, "other")
    await rig.until(lambda: rig.world.properties["gate"] == 5)
    await rig.until(lambda: rig.world.properties["gate"] == 2, most=200)
    assert rig.told("breaker.relapsed")


async def test_a_kill_resumes_at_the_rung(rig):
    """At whichever call the process dies, the next one goes on where it stood, and sets nothing twice in vain."""
    for fatal in (2, 3, 4):
        seen = []

        def die(operation, name, seen=seen, fatal=fatal):
            seen.append(name)
            if len(seen) == fatal:
                raise RuntimeError("killed here")

        rig.world.done.clear()
        rig.world.properties["gate"] = 100
        rig.world.after = die
        await tripped(rig, ramped(ramp(5, 10)))
        await rig.until(lambda seen=seen, fatal=fatal: len(seen) >= fatal)
        await rig.kill()
        rig.world.after = None
        await rig.start(pipeline(ramped(ramp(5, 10))))
        await rig.until(rig.is_in("closed"), most=900)
        assert rig.world.sets("gate") in ([2, 5, 10, 100], [2, 5, 5, 10, 100]), fatal
        assert await rig.store.scan("claim") == []
        await rig.stop()


async def test_a_stricter_breaker_is_never_overruled(rig):
    """While another breaker holds 3, no rung above it reaches AWS; the base returns with the last holder."""
    recover = RecoverSpec("manual")
    other = breaker("other", step("cut", name="gate", value=3), recover=recover)
    await tripped(rig, ramped(ramp(5, 10)), other)
    await rig.until(rig.is_in("closed"), most=900)
    assert rig.world.properties["gate"] == 3
    await rig.ask(rig.surface.reset("etl/other", "ann", force=False))
    assert rig.world.properties["gate"] == 100


async def test_a_value_of_somebody_else_is_left_alone(rig):
    """Someone sets 50 by hand on the first rung: the ramp reports drift, ends, and never touches it."""
    await tripped(rig, ramped(ramp(5, 10)))
    await rig.until(lambda: rig.world.properties["gate"] == 5)
    rig.world.properties["gate"] = 50
    await rig.until(rig.is_in("closed"), most=900)
    assert rig.world.properties["gate"] == 50
    assert rig.told("action.drifted")


async def test_observe_says_what_a_ramp_would_do(rig):
    """A shadow sets nothing."""
    await rig.start(pipeline(ramped(ramp(5, 10), mode=Mode.OBSERVE)))
    await rig.until(rig.is_in("closed"))
    rig.load(50)
    await rig.until(rig.is_in("open"))
    rig.load(1)
    await rig.until(lambda: any("would raise it to 5, 10" in text for text in rig.told("step.planned")), most=300)
    assert rig.world.done == []


async def test_a_step_may_expand_into_changes_of_other_actions(rig, monkeypatch):
    """Each change has its own claim; the undo of the step takes all of them back."""

    async def gates(params, now, aws):
        seen = (await aws.call("test", "GetProperty", Name=params.name))["Value"]
        return [
            Change("cut", name, 0, f"cut {name}", {"name": name, "value": 0}, "value") for name in str(seen).split(",")
        ]

    cut_all = replace(engine_rig.ACTIONS["kick"], name="cut_all", expand=gates)
    monkeypatch.setattr(
        engine_rig, "REGISTRY", Registry({"gauge": engine_rig.GAUGE}, {**engine_rig.ACTIONS, "cut_all": cut_all})
    )
    rig.world.properties |= {"gates": "north,south", "north": 7, "south": 8}
    recover = RecoverSpec("auto", timedelta(seconds=60), timedelta(seconds=60), (step("undo", steps=["cut_all"]),))
    await tripped(rig, breaker("loop", step("cut_all", id="first", name="gates"), recover=recover))
    assert (rig.world.properties["north"], rig.world.properties["south"]) == (0, 0)
    assert len(await rig.store.scan("claim")) == 2
    await rig.until(rig.is_in("closed"))
    assert (rig.world.properties["north"], rig.world.properties["south"]) == (7, 8)
