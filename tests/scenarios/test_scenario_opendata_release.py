"""OpenData Pulse (rows B7, B9 to B11, B13): releases that fail, variables that drift, containment."""

from __future__ import annotations

from opendata_world import API, ETL, GOOD, HERE, changes, pulse


async def errors(scene, a_minute: float, **more) -> None:
    """Errors of the ETL per minute."""
    await scene.meter("AWS/Lambda", "Errors", a_minute, FunctionName=ETL, **more)
    await scene.meter("AWS/Lambda", "Invocations", 60, FunctionName=ETL, **more)


async def test_b7_errors_after_a_release_point_live_back_to_what_was_live_before(stage):
    """Canary weights go, LIVE gets all traffic on the version before; the runbook's second newest is the bad one."""
    scene = await stage("opendata-pulse", breakers=["etl-release"], step=20, INTERVAL="2m", **HERE)
    world, functions = await pulse(scene), await scene.aws("lambda")
    await world.function(ETL, alias="LIVE")
    await errors(scene, 0, since="10m")
    await scene.begin()
    await scene.advance("40m")  # version 1 is no recent release any more
    assert await world.release(ETL, LOG_LEVEL="DEBUG") == "2"
    await functions.update_alias(  # a canary: 2 gets a tenth of the traffic
        FunctionName=ETL, Name="LIVE", FunctionVersion="1", RoutingConfig={"AdditionalVersionWeights": {"2": 0.1}}
    )
    await functions.update_function_configuration(FunctionName=ETL, Description="published, never live")
    assert (await functions.publish_version(FunctionName=ETL))["Version"] == "3"  # so Versions[-2] is the bad one
    await scene.advance("2m")
    await errors(scene, 4)
    await scene.until(breaker="open", within="20m")
    live = await world.live(ETL)
    assert live["FunctionVersion"] == "1"
    assert not live.get("RoutingConfig", {}).get("AdditionalVersionWeights")
    assert live["variables"] == GOOD
    asked = await scene.requests("lambda:UpdateAlias")
    assert len(asked) == 1
    assert asked[0].params["RevisionId"]

    await errors(scene, 0)
    await scene.until(breaker="closed", within="3h")
    assert (await world.live(ETL))["FunctionVersion"] == "1"  # it stays until the next release


async def test_b7_a_version_that_never_served_is_passed_over(stage):
    """1 served for ten minutes, 2 was published only, 3 is live and fails: back to 1, and nobody has to guess."""
    scene = await stage("opendata-pulse", breakers=["etl-release"], step=20, INTERVAL="2m", **HERE)
    world = await pulse(scene)
    await world.function(ETL, alias="LIVE")
    await errors(scene, 0, since="10m")
    await scene.begin()
    await scene.advance("10m")
    assert await world.publish(ETL, "published, never live") == "2"
    assert await world.release(ETL, LOG_LEVEL="DEBUG") == "3"
    await errors(scene, 4)
    await scene.until(breaker="open", within="20m")
    assert (await world.live(ETL))["FunctionVersion"] == "1"
    assert "may never have been live" not in str(await scene.requests("sns:Publish"))


async def test_b7_a_guess_is_told(stage):
    """Nothing older was seen live: the newest published one before, and a notice that says so."""
    scene = await stage("opendata-pulse", breakers=["etl-release"], step=20, INTERVAL="2m", **HERE)
    world = await pulse(scene)
    await world.function(ETL, alias="LIVE")
    await world.release(ETL, LOG_LEVEL="DEBUG")
    await errors(scene, 4, since="10m")
    await scene.begin()
    await scene.until(breaker="open", within="20m")
    assert (await world.live(ETL))["FunctionVersion"] == "1"
    told = [str(one.params) for one in await scene.requests("sns:Publish")]
    assert any("may never have been live" in text for text in told)


async def test_b11_errors_without_a_release_roll_nothing_back(stage):
    """More than five errors in five minutes are an incident; an alias that nobody moved is left alone."""
    scene = await stage("opendata-pulse", breakers=["etl-release"], step=20, INTERVAL="2m", **HERE)
    world = await pulse(scene)
    await world.function(ETL, alias="LIVE")
    await errors(scene, 0, since="10m")
    await scene.begin()
    await scene.advance("40m")
    await errors(scene, 1)
    await scene.advance("8m")
    assert scene.level("etl-errors", "value") == "warning"  # five are not more than five
    await errors(scene, 4)
    await scene.until(lambda: scene.level("etl-errors", "value") == "critical", within="10m")
    assert scene.breaker().state == "closed"
    assert [one.check for one in scene.incidents()] == ["etl-errors"]
    assert await changes(scene) == []


async def api_errors(scene, client: float, server: float, requests: float, **more) -> None:
    """Of the GraphQL API per minute."""
    for metric, value in (("4XXError", client), ("5XXError", server), ("Requests", requests)):
        await scene.meter("AWS/AppSync", metric, value, GraphQLAPIId="opendatapulse", **more)


async def test_b10_api_errors_are_judged_by_count_and_by_rate(stage):
    """Ten refusals in a thousand requests are a warning by count, none by rate; 8 % after a release roll it back."""
    scene = await stage(
        "opendata-pulse", breakers=["api-release"], checks=["api-client-errors"], step=20, INTERVAL="2m", **HERE
    )
    world = await pulse(scene)
    await world.function(API, alias="LIVE")
    await api_errors(scene, 2, 0, 1000, since="15m")
    await scene.begin()
    await scene.advance("8m")
    assert scene.level("api-client-errors", "value") == "warning"  # the runbook's alarm would call this 5 %
    assert scene.level("api-error-rate", "value") == "ok"
    await scene.advance("25m")
    assert await world.release(API, LOG_LEVEL="DEBUG") == "2"
    await api_errors(scene, 20, 60, 1000)
    await scene.until(breaker="open", within="20m")
    assert (await world.live(API))["FunctionVersion"] == "1"
    await api_errors(scene, 0, 0, 1000)
    await scene.until(breaker="closed", within="3h")


async def test_b9_drifted_variables_are_put_back_live_and_alone(stage):
    """After a yes: the two drifted variables are right behind LIVE again, the one that is nobody's business stays."""
    scene = await stage("opendata-pulse", breakers=["etl-environment"], step=20, **HERE)
    world = await pulse(scene)
    await world.function(ETL, alias="LIVE")
    await world.release(ETL, S3_BUCKET="somewhere-else", LOG_LEVEL="TRACE", CIRCUIT_BREAKER="false")
    await scene.begin()
    await scene.until(lambda: scene.breaker().approval is not None, within="10m")
    assert (await world.live(ETL))["variables"]["S3_BUCKET"] == "somewhere-else"
    await scene.approve()
    await scene.until(breaker="open", within="10m")
    assert (await world.live(ETL))["variables"] == {**GOOD, "CIRCUIT_BREAKER": "false"}
    await scene.until(breaker="closed", within="1h")


async def test_b13_containment_reaches_live_traffic_and_is_taken_back(stage):
    """Ten minutes of errors: the flag beside the other variables, behind LIVE, 50 warm environments; both go again."""
    scene = await stage("opendata-pulse", breakers=["containment"], step=20, **HERE)
    world, functions = await pulse(scene), await scene.aws("lambda")
    await world.function(ETL, API, alias="LIVE")
    await errors(scene, 0, since="10m")
    await scene.begin()
    await errors(scene, 4)
    await scene.until(breaker="open", within="30m")
    assert (await world.live(ETL))["variables"] == {**GOOD, "CIRCUIT_BREAKER": "true"}  # the runbook left this alone
    warm = await functions.get_provisioned_concurrency_config(FunctionName=API, Qualifier="LIVE")
    assert warm["RequestedProvisionedConcurrentExecutions"] == 50

    await errors(scene, 0)
    await scene.reset()
    await scene.until(breaker="closed", within="2h")
    assert (await world.live(ETL))["variables"] == GOOD
    told = await functions.list_provisioned_concurrency_configs(FunctionName=API)
    assert told["ProvisionedConcurrencyConfigs"] == []
