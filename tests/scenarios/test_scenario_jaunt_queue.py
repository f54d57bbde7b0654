"""Jaunt Data Scout (rows A1 to A3): dead letters, failing executions, connectors that refuse."""

from __future__ import annotations

import json

from jaunt_world import DEAD, FETCH, FRONTIER, Jaunt


async def test_a1_dead_letters_are_sampled_then_one_and_the_rest_go_back(stage):
    """Above ten for five minutes: a sample, a yes, one message, then ten a second; closed when none returns."""
    scene = await stage("jaunt-data-scout", breakers=["dead-letters"])
    world = Jaunt(scene)
    await world.queues()
    await scene.begin()
    body = json.dumps({"city": "lisbon", "connector": "google", "error": "ReadTimeout"})
    await scene.side.post("sqs/fill", queue=DEAD, count=30, body=body)

    await scene.until(lambda: scene.breaker().approval is not None, within="10m")
    assert scene.clock.tick() >= 300
    assert await world.depth(DEAD) == 30  # a sample takes nothing away
    assert "30 x ReadTimeout" in scene.events("action.applied")[0]
    await scene.approve()
    await scene.until(lambda: _moved(world, 1), within="5m")
    await scene.advance("1m")
    assert await world.depth(FRONTIER) == 1  # two minutes to see what becomes of it
    await scene.until(breaker="open", within="10m")
    assert (await world.depth(DEAD), await world.depth(FRONTIER)) == (0, 30)
    asked = await scene.requests("sqs:StartMessageMoveTask")
    assert [one.params["MaxNumberOfMessagesPerSecond"] for one in asked] == [10]
    await scene.until(breaker="closed", within="1h")
    assert scene.level("dead-letters", "visible") == "ok"


async def _moved(world: Jaunt, count: int) -> bool:
    return await world.depth(FRONTIER) >= count


async def test_a1b_malformed_letters_are_deleted_after_a_yes_and_the_others_stay(stage):
    """Validation errors in the logs and dead letters: what can't be parsed goes after approval, what parses stays."""
    scene = await stage("jaunt-data-scout", breakers=["malformed-dead-letters"])
    world = Jaunt(scene)
    await world.queues()
    await world.logs()
    await scene.side.post("sqs/fill", queue=DEAD, count=4, body="{not json")
    await scene.side.post("sqs/fill", queue=DEAD, count=3, body='{"city": "porto"}')
    await scene.begin()
    await world.say(FETCH, *["ERROR validation error: city is missing"] * 6)

    await scene.until(lambda: scene.breaker().approval is not None, within="10m")
    await scene.advance("1m")  # a person reads the sample
    assert await world.depth(DEAD) == 7
    await scene.approve()
    await scene.until(breaker="open", within="10m")
    left = (await scene.side.get("sqs/messages", queue=DEAD))["messages"]
    assert [json.loads(one["body"]) for one in left] == [{"city": "porto"}] * 3
    await scene.until(breaker="closed", within="1h")


async def test_a1_dead_letters_that_are_about_to_expire_are_told(stage):
    """They keep the time of their first sending: near the end of the retention people hear of it."""
    scene = await stage("jaunt-data-scout", checks=["dead-letter-expiry"], step=20)
    world = Jaunt(scene)
    await world.queues()
    await scene.side.post("sqs/fill", queue=DEAD, count=2, body="{}", age=3600)
    await scene.meter("AWS/SQS", "ApproximateAgeOfOldestMessage", 3600, since="10m", QueueName=DEAD)
    await scene.begin()
    assert scene.level("dead-letter-expiry") == "ok"
    await scene.meter("AWS/SQS", "ApproximateAgeOfOldestMessage", 3.75 * 86_400, QueueName=DEAD)
    await scene.until(lambda: scene.level("dead-letter-expiry") == "critical", within="15m")  # of four days
