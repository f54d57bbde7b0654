"""Jaunt Data Scout (rows A2, A6): executions that fail, states that fail everywhere, states without end."""

from __future__ import annotations

import json

import pytest
from jaunt_world import FETCH, MACHINE, Jaunt

CITIES = ("lisbon", "porto", "faro", "braga", "evora", "sintra", "tavira")


async def fail(world: Jaunt, cities: tuple[str, ...], state: str, error: str = "ReadTimeout") -> None:
    """A city job each, which fails in that state."""
    arns = [await world.start(f"{city}-{state}", city=city) for city in cities]
    await world.scene.side.post("executions/enter", arn=arns, state=state)
    await world.scene.side.post("executions/finish", arn=arns, ending="FAILED", error=error)


@pytest.fixture
async def failing(stage):
    """A scene with the machine, for these breakers."""

    async def make(*breakers):
        scene = await stage("jaunt-data-scout", breakers=breakers, step=20, INTERVAL="2m")
        world = Jaunt(scene)
        await world.machine()
        await world.logs()
        return scene, world

    return make


async def test_a2_failing_jobs_get_smaller_batches_until_a_reduced_one_succeeds(failing):
    """More than five failures: reduced batches; a reduced canary succeeds, then what failed is taken up again.

    What timed out starts anew with ten a batch, the rest goes on from the state that failed; the flag is gone again.
    """
    scene, world = await failing("execution-failures")
    await scene.begin()
    await fail(world, CITIES[:5], "Fetch", "ConnectionReset")
    await scene.advance("3m")
    assert scene.breaker().state == "closed"  # five are not more than five
    await fail(world, CITIES[5:], "Geocode", "ReadTimeout")
    await scene.until(breaker="open", within="5m")
    assert await world.flag("batch-size") == "10"

    await scene.reset()
    await scene.until(lambda: _one_runs(world), within="10m")
    canary = json.loads((await world.running())[0]["input"])
    assert canary == {"city": "lisbon", "batch_size": 10}
    assert await scene.requests("stepfunctions:RedriveExecution") == []  # one reduced job first
    await world.succeed_canaries()
    await scene.until(lambda: _run(world, len(CITIES)), within="10m")
    now = {one["name"]: one for one in await world.running()}
    redriven = {name: one["redriveCount"] for name, one in now.items() if not name.startswith("restart-")}
    assert redriven == {f"{city}-Fetch": 1 for city in CITIES[:5]}
    anew = [json.loads(one["input"]) for name, one in now.items() if name.startswith("restart-")]
    assert sorted(anew, key=str) == [{"city": city, "batch_size": 10} for city in sorted(CITIES[5:])]
    await world.succeed_canaries()
    await scene.until(breaker="closed", within="3h")
    assert await world.flag("batch-size") is None  # it was unset before
    assert len(await scene.requests("stepfunctions:RedriveExecution")) == 5


async def _run(world: Jaunt, count: int) -> bool:
    return len(await world.running()) == count


async def _one_runs(world: Jaunt) -> bool:
    return len(await world.running()) == 1


async def test_a2_a_failed_canary_keeps_the_reduced_batches(failing):
    """While the reduced job fails as well, nothing is put back."""
    scene, world = await failing("execution-failures")
    await fail(world, CITIES, "Fetch")
    await scene.begin()
    await scene.until(breaker="open", within="5m")
    await scene.reset()
    await scene.until(lambda: _one_runs(world), within="10m")
    arn = (await world.running())[0]["executionArn"]
    await scene.side.post("executions/finish", arn=arn, ending="FAILED", error="ReadTimeout")
    await scene.advance("30m")
    assert scene.breaker().state != "closed"
    assert await world.flag("batch-size") == "10"


async def test_a2b_one_state_failing_in_several_cities_is_named_and_made_safe(failing):
    """Two cities fail in Fetch: the reading names it, the flag is set; a canary city passes before it closes."""
    scene, world = await failing("failing-state")
    await fail(world, CITIES[:1], "Geocode")
    await scene.begin()
    await fail(world, CITIES[1:2], "Fetch")
    await scene.advance("3m")
    assert scene.breaker().state == "closed"  # two failures, but in two states
    await fail(world, CITIES[2:3], "Fetch")
    await scene.until(breaker="open", within="5m")
    assert "Fetch" in scene.rows("failures", "same_state")[0].detail
    assert await world.flag("safe-states") == "on"

    await scene.reset()
    await scene.until(lambda: _one_runs(world), within="10m")
    assert await world.flag("safe-states") is None  # the canary goes through the very state
    await world.succeed_canaries()
    await scene.advance("1h")  # the failures leave the hour
    await scene.until(breaker="closed", within="2h")


async def test_a2c_tasks_that_time_out_reduce_the_batches_as_well(failing):
    """More than five `Task timed out` in a quarter of an hour trip the same breaker, and the duration shows it."""
    scene, world = await failing("execution-failures")
    await scene.begin()
    await world.say(FETCH, *["2026-03-04 Task timed out after 60.00 seconds"] * 6)
    await scene.until(breaker="open", within="5m")
    assert await world.flag("batch-size") == "10"
    assert scene.level("failures", "failed") == "ok"


async def test_a2c_durations_near_the_timeout_are_told_before_tasks_time_out(stage):
    """A function that uses 55 of its 60 seconds is a warning."""
    scene = await stage("jaunt-data-scout", checks=["function-timeouts"])
    world = Jaunt(scene)
    await world.functions()
    await scene.meter("AWS/Lambda", "Duration", 55_000, since="20m", unit="Milliseconds", FunctionName=FETCH)
    await scene.begin()
    await scene.until(lambda: scene.level("function-timeouts", "used", FETCH) == "warning", within="15m")


async def test_a6_a_state_over_fifteen_minutes_is_stopped_and_retried_after_a_yes(failing):
    """The plan waits for a person; then it is stopped with a cause and starts once more; one that goes on is left."""
    scene, world = await failing("long-state")
    arn = await world.start("lisbon-1", city="lisbon")
    older = await world.start("porto-1", city="porto")
    await scene.side.post("executions/age", arn=older, seconds=7200)
    await scene.side.post("executions/enter", arn=[arn, older], state="Fetch")
    await scene.begin()
    await scene.until(lambda: scene.breaker().approval is not None, within="20m")
    assert scene.clock.tick() > 15 * 60
    await scene.side.post("executions/enter", arn=older, state="Geocode")  # old, and on its way
    await scene.approve()
    await scene.until(breaker="open", within="10m")
    machines = await scene.aws("stepfunctions")
    assert (await machines.describe_execution(executionArn=arn))["error"] == "StateTimeout"
    again = {one["name"]: one for one in await world.running()}
    assert again.pop("porto-1")["executionArn"] == older
    assert [json.loads(one["input"]) for one in again.values()] == [{"city": "lisbon"}]
    assert {one["stateMachineArn"] for one in again.values()} == {MACHINE}
    await world.succeed_canaries()
    await scene.until(breaker="closed", within="1h")
