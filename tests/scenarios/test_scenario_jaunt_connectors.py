"""Jaunt Data Scout (rows A1c, A3, A3b): connectors that fail, refuse, or do not answer."""

from __future__ import annotations

import pytest
from jaunt_world import FETCH, Jaunt
from outside import Outside


@pytest.fixture
async def outside():
    """An API outside AWS that can be up or down."""
    async with Outside() as api:
        yield api


async def test_a1c_a_connector_that_does_not_answer_is_mocked_until_it_does(stage, outside):
    """Three minutes without an answer set the flag; ten minutes of answers take it away again."""
    await outside.up()
    scene = await stage("jaunt-data-scout", breakers=["google-connector"], GOOGLE_URL=outside.url)
    world = Jaunt(scene)
    await world.connector("google", 100, 0, since="10m")
    await scene.begin()
    assert scene.level("google-up", "down") == "ok"

    await outside.down()
    await scene.until(breaker="open", within="10m")
    assert 180 <= scene.clock.tick() < 360
    assert await world.flag("connectors/google") == "mock"

    await scene.advance("20m")
    assert scene.breaker().state != "closed"  # still silent
    assert await world.flag("connectors/google") == "mock"
    await outside.up()
    await scene.until(breaker="closed", within="3h")
    assert await world.flag("connectors/google") is None


async def test_a1c_a_refused_probe_is_an_answer(stage, outside):
    """401 to a probe without a key is an answer; 503 is none."""
    await outside.up(401)
    scene = await stage("jaunt-data-scout", checks=["tavily-up"], TAVILY_URL=outside.url)
    await scene.begin()
    assert scene.level("tavily-up", "down") == "ok"
    await outside.up(503)
    await scene.until(lambda: scene.level("tavily-up", "down") == "critical", within="10m")
    [incident] = scene.incidents()
    assert incident.severity == "SEV2"


async def test_a3b_an_error_spike_of_one_connector_mocks_that_one(stage, outside):
    """Above 10 % for ten minutes trips; 5 % is a warning; the other connector keeps its own flag."""
    await outside.up()
    scene = await stage(
        "jaunt-data-scout", breakers=["google-connector"], checks=["connector-errors"], GOOGLE_URL=outside.url
    )
    world = Jaunt(scene)
    await world.connector("google", 100, 5, since="10m")
    await world.connector("tavily", 100, 1, since="10m")
    await scene.begin()
    assert scene.level("connector-errors", "value", "google") == "warning"
    assert scene.level("connector-errors", "value", "tavily") == "ok"

    await world.connector("google", 100, 30)
    await scene.advance("9m")
    assert scene.breaker().state == "closed"
    await scene.until(breaker="open", within="10m")
    assert await world.flag("connectors/google") == "mock"
    assert await world.flag("connectors/tavily") is None

    await world.connector("google", 100, 0)
    await scene.until(breaker="closed", within="2h")
    assert await world.flag("connectors/google") is None


async def test_a3b_tavily_has_a_flag_of_its_own(stage, outside):
    """The other connector's spike sets the other flag, and takes it away again."""
    await outside.up()
    scene = await stage("jaunt-data-scout", breakers=["tavily-connector"], step=20, TAVILY_URL=outside.url)
    world = Jaunt(scene)
    await world.connector("tavily", 100, 30, since="10m")
    await scene.begin()
    await scene.until(breaker="open", within="15m")
    assert (await world.flag("connectors/tavily"), await world.flag("connectors/google")) == ("mock", None)
    await world.connector("tavily", 100, 0)
    await scene.until(breaker="closed", within="2h")
    assert await world.flag("connectors/tavily") is None


async def test_a3_refused_fetches_are_throttled_and_let_back_by_rungs(stage):
    """429s cut jaunt-web-fetch to 5; after an hour without 5, 10, 20, then unset as it was, each watched."""
    scene = await stage("jaunt-data-scout", breakers=["web-fetch-throttling"], step=20)
    world = Jaunt(scene)
    await world.functions()
    await world.logs()
    await scene.begin()
    await world.say(FETCH, *["GET https://places: HTTP 429 Too Many Requests"] * 11)
    await scene.until(breaker="open", within="5m")
    assert await world.reserved() == 5

    await scene.advance("50m")
    assert await world.reserved() == 5  # a quota resets by the hour
    await scene.until(breaker="closed", within="4h")
    assert await world.reserved() is None
    asked = await scene.requests("lambda:PutFunctionConcurrency")
    assert [one.params["ReservedConcurrentExecutions"] for one in asked] == [5, 10, 20]
    assert [one.name for one in await scene.requests("lambda:DeleteFunctionConcurrency")]


async def test_a3_a_relapse_on_a_rung_cuts_again(stage):
    """Refused again at 10: back to 5, and the breaker is open for longer."""
    scene = await stage("jaunt-data-scout", breakers=["web-fetch-throttling"], step=20, QUOTA_RESET="15m")
    world = Jaunt(scene)
    await world.functions()
    await world.logs()
    await world.say(FETCH, *["HTTP 429"] * 11)
    await scene.begin()
    await scene.until(breaker="open", within="5m")
    await scene.until(lambda: _reserves(world, 10), within="2h")

    async def refuse() -> None:
        if scene.clock.now().second == 0:
            await world.say(FETCH, *["HTTP 429"] * 5)

    scene.play(refuse)
    await scene.until(breaker="open", within="10m")
    assert await world.reserved() == 5


async def _reserves(world: Jaunt, count: int) -> bool:
    return await world.reserved() == count


async def test_a3_starts_pause_while_connectors_refuse_and_errors_spike(stage):
    """A quarter of an hour of 429s with 30 % errors disables the rule that starts cities; quiet enables it."""
    scene = await stage("jaunt-data-scout", breakers=["starts-paused"], step=20)
    world = Jaunt(scene)
    await world.logs()
    await world.rule()
    await world.connector("google", 100, 30, since="10m")

    async def refuse() -> None:
        if scene.clock.tick() < 1800 and scene.clock.now().second == 0:
            await world.say(FETCH, *["HTTP 429"] * 11)

    scene.play(refuse)
    await scene.begin()
    await scene.until(breaker="open", within="30m")
    assert scene.clock.tick() >= 900
    assert await world.rule_state() == "DISABLED"
    await world.connector("google", 100, 0)
    await scene.until(breaker="closed", within="2h")
    assert await world.rule_state() == "ENABLED"


async def test_a3_a_connector_that_is_called_more_than_was_bought_is_told(stage):
    """More than a thousand calls in five minutes, of the connector that makes them."""
    scene = await stage("jaunt-data-scout", checks=["connector-calls"], step=20)
    world = Jaunt(scene)
    await world.connector("google", 250, 0, since="10m")
    await world.connector("tavily", 20, 0, since="10m")
    await scene.begin()
    assert scene.level("connector-calls", "value", "google") == "warning"
    assert scene.level("connector-calls", "value", "tavily") == "ok"
