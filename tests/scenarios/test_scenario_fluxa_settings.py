"""Fluxa (rows D2, D8, D13, D16, D17): a port that is shut, a host that moved, memory that is short, AWS's own word."""

from __future__ import annotations

from typing import Any

from fluxa_world import PROCESSOR, Fluxa
from scene import Scene

from monitor.demo.emulator.child import ACCOUNT

GROUP, CALLERS = "sg-0f1uxa00000000000", "sg-0f1uxa0000000000a"
HOST, OLD = "fluxa-dev.new.us-east-1.rds.amazonaws.com", "fluxa-dev.old.us-east-1.rds.amazonaws.com"


async def groups(scene: Scene) -> None:
    """The database's security group, which lets the functions' in, and theirs."""
    ec2 = await scene.aws("ec2")
    for number in (CALLERS, GROUP):
        tags = [{"ResourceType": "security-group", "Tags": [{"Key": "_custom_id_", "Value": number}]}]
        await ec2.create_security_group(GroupName=number, Description=number, TagSpecifications=tags)
    await ec2.authorize_security_group_ingress(GroupId=GROUP, IpPermissions=[rule()])


def rule() -> dict[str, Any]:
    """PostgreSQL, from the functions."""
    pairs = [{"GroupId": CALLERS, "UserId": ACCOUNT}]
    return {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "UserIdGroupPairs": pairs}


async def test_d2_a_port_that_was_shut_is_opened_again_only_after_a_yes(stage):
    """The rule is gone: a plan to let the functions in, and nobody else; done after a yes."""
    scene = await stage("fluxa", breakers=["database-ingress"], step=20)
    ec2 = await scene.aws("ec2")
    await groups(scene)

    async def permissions() -> list[dict[str, Any]]:
        told = await ec2.describe_security_groups(GroupIds=[GROUP])
        return list(told["SecurityGroups"][0]["IpPermissions"])

    await scene.begin()
    assert scene.level("database-ingress") == "ok"
    await ec2.revoke_security_group_ingress(GroupId=GROUP, IpPermissions=[rule()])
    await scene.until(lambda: scene.breaker().approval is not None, within="15m")
    assert await permissions() == []
    await scene.approve()
    await scene.until(breaker="open", within="5m")
    [opened] = await permissions()
    assert (opened["FromPort"], opened["IpRanges"]) == (5432, [])
    assert [one["GroupId"] for one in opened["UserIdGroupPairs"]] == [CALLERS]
    await scene.reset()
    await scene.until(breaker="closed", within="1h")


async def test_d13_a_host_that_moved_is_told_to_live_traffic_after_a_yes(stage):
    """DB_HOST is another instance's: set on a new version behind the alias, all other variables kept."""
    scene = await stage("fluxa", breakers=["stale-endpoint"], step=20, DB_HOST=HOST)
    world, functions = Fluxa(scene), await scene.aws("lambda")
    await world.function(PROCESSOR, releases=1, DB_HOST=OLD, DB_POOL_SIZE="10")
    await scene.begin()
    await scene.until(lambda: scene.breaker().approval is not None, within="15m")
    assert await world.version(PROCESSOR) == "1"
    await scene.approve()
    await scene.until(breaker="open", within="5m")
    live = await functions.get_function_configuration(FunctionName=PROCESSOR, Qualifier="live")
    assert live["Environment"]["Variables"] == {"DB_HOST": HOST, "DB_POOL_SIZE": "10"}
    assert await world.version(PROCESSOR) == "2"
    await scene.reset()
    await scene.until(breaker="closed", within="1h")


async def test_d17_a_function_short_of_memory_gets_more_after_a_yes(stage):
    """126 of 128 MB: proposed for that function alone; after a yes its live version has a gigabyte."""
    scene = await stage("fluxa", breakers=["memory-short"], step=20)
    world, functions = Fluxa(scene), await scene.aws("lambda")
    names = ("fluxa-ingest", "fluxa-processor", "fluxa-query")
    for name in names:
        await world.function(name, releases=1)
    await world.logs(*names)
    text = "REPORT RequestId: r Duration: 9 ms Billed Duration: 9 ms Memory Size: {} MB Max Memory Used: {} MB"
    for name in names:
        await world.say(name, *[text.format(128, 126 if name == PROCESSOR else 60)] * 25)
    await scene.begin()
    await scene.until(lambda: scene.breaker().approval is not None, within="5m")
    assert scene.value("memory", "used", PROCESSOR) == 126 / 128
    await scene.approve()
    await scene.until(breaker="open", within="5m")

    async def sizes() -> dict[str, int]:
        told = [await functions.get_function_configuration(FunctionName=one, Qualifier="live") for one in names]
        return {one["FunctionName"]: one["MemorySize"] for one in told}

    assert await sizes() == {name: 1024 if name == PROCESSOR else 128 for name in names}

    async def works() -> None:
        if scene.clock.now().second == 0 and scene.clock.now().minute % 30 == 0:
            await world.say(PROCESSOR, *[text.format(1024, 140)] * 25)

    scene.play(works)
    await scene.reset()
    await scene.until(breaker="closed", within="5h")
    assert (await sizes())[PROCESSOR] == 1024


async def test_d16_an_open_issue_of_aws_is_an_incident_and_a_missing_plan_is_none(stage):
    """Refused for lack of a support plan: unknown, once, with the reason, told to nobody; an issue is told."""
    scene = await stage("fluxa", checks=["aws-health"], step=20)
    await scene.begin()
    await scene.advance("1h")
    [row] = scene.rows("aws-health")
    assert row.level == "unknown"
    assert "paid AWS Support plan" in row.detail
    assert scene.events("check.unknown") == []
    assert scene.incidents() == []
    issue = {"arn": "e", "service": "RDS", "region": "us-east-1", "statusCode": "open", "eventTypeCategory": "issue"}
    await scene.side.post("health", account=ACCOUNT, events=[issue])
    await scene.until(lambda: scene.level("aws-health") == "critical", within="10m")
    assert scene.incidents()[0].severity == "SEV3"
    await scene.side.post("health", account=ACCOUNT, events=[{**issue, "statusCode": "closed"}])
    await scene.until(lambda: scene.level("aws-health") == "ok", within="10m")
