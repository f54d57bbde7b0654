"""Fluxa (rows D6, D7, D16, D17): releases that fail, a service that is down, cold starts."""

from __future__ import annotations

import pytest
from fluxa_world import INGEST, PROCESSOR, QUERY, Fluxa
from outside import Outside


@pytest.fixture
async def outside():
    """The way in, as its callers see it."""
    async with Outside() as api:
        yield api


@pytest.mark.parametrize("short", ["ingest", "processor", "query"])
async def test_d6_errors_after_a_release_take_it_back(stage, short):
    """Above 5 % right after version 2 went live: back to 1, all traffic; a person closes it when errors are gone."""
    function = f"fluxa-{short}"
    scene = await stage("fluxa", breakers=[f"{short}-release"], step=20)
    world = Fluxa(scene)
    await world.function(function, releases=1)
    await world.works(function, 100, 1, since="10m")
    await scene.meter("AWS/ApiGateway", "5XXError", 0.0, since="10m", ApiName="fluxa-api")
    await scene.begin()
    await world.release(function)
    assert await world.version(function) == "2"

    await world.works(function, 100, 12)
    await scene.until(breaker="open", within="10m")
    assert await world.version(function) == "1"
    await world.works(function, 100, 1)
    await scene.reset()
    await scene.until(breaker="closed", within="1h")
    assert scene.level(f"{short}-errors") in ("ok", "unknown")
    assert await world.version(function) == "1"


async def test_d6_errors_without_a_release_change_nothing(stage):
    """The version before is no better when the last change is a week old: an incident, and a person."""
    scene = await stage("fluxa", breakers=["processor-release"], step=20)
    world = Fluxa(scene)
    await world.function(PROCESSOR, releases=1)
    await scene.begin()
    await scene.advance("40m")
    await world.works(PROCESSOR, 100, 12, since="5m")
    await scene.until(lambda: scene.level("processor-errors") == "critical", within="10m")
    await scene.advance("5m")
    assert scene.breaker().state == "closed"
    assert await world.version(PROCESSOR) == "1"
    assert scene.incidents()[0].severity == "SEV2"


async def test_d7_server_faults_of_the_api_after_a_release_take_the_ingest_function_back(stage):
    """Above 1 % of all answers: the rate is the metric's average, not its sum."""
    scene = await stage("fluxa", breakers=["ingest-release"], step=20)
    world = Fluxa(scene)
    await world.function(INGEST, releases=1)
    await world.works(INGEST, 100, 1, since="10m")
    await scene.meter("AWS/ApiGateway", "5XXError", 0.005, since="10m", ApiName="fluxa-api")
    await scene.begin()
    await world.release(INGEST)
    await scene.advance("5m")
    assert scene.breaker().state == "closed"  # 0.5 %
    await scene.meter("AWS/ApiGateway", "5XXError", 0.05, ApiName="fluxa-api")
    await scene.until(breaker="open", within="10m")
    assert await world.version(INGEST) == "1"
    await scene.meter("AWS/ApiGateway", "5XXError", 0.0, ApiName="fluxa-api")
    await scene.reset()
    await scene.until(breaker="closed", within="1h")


async def test_d16_a_service_that_is_down_after_a_release_is_a_first_severity_and_goes_back(stage, outside):
    """Two minutes without an answer: SEV1, the release taken back, the on-call engineer told."""
    await outside.up()
    scene = await stage("fluxa", breakers=["service-down"], step=20, SERVICE_URL=outside.url)
    world = Fluxa(scene)
    await world.function(INGEST, releases=1)
    await scene.begin()
    await world.release(INGEST)
    await outside.down()
    await scene.until(breaker="open", within="10m")
    assert await world.version(INGEST) == "1"
    assert {one.severity for one in scene.incidents()} == {"SEV1"}
    await outside.up()
    await scene.reset()
    await scene.until(breaker="closed", within="1h")


async def test_d17_cold_starts_are_kept_warm_after_a_yes_and_not_for_ever(stage):
    """Fifty starts in a quarter of an hour ask for warm environments; a calm quarter of an hour gives them back."""
    scene = await stage("fluxa", breakers=["cold-starts"], step=20)
    world = Fluxa(scene)
    await world.function(QUERY, releases=1)
    await world.logs(QUERY)
    await scene.begin()
    await world.say(QUERY, *["REPORT RequestId: 1 Duration: 9 ms Init Duration: 812.33 ms"] * 60)
    await scene.until(lambda: scene.breaker().approval is not None, within="5m")
    functions = await scene.aws("lambda")

    async def warm() -> list[int]:
        told = await functions.list_provisioned_concurrency_configs(FunctionName=QUERY)
        return [one["RequestedProvisionedConcurrentExecutions"] for one in told["ProvisionedConcurrencyConfigs"]]

    assert await warm() == []
    await scene.approve()
    await scene.until(breaker="open", within="10m")
    assert await warm() == [5]
    await scene.reset()
    await scene.until(breaker="closed", within="2h")
    assert await warm() == []
