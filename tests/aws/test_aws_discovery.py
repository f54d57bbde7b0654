"""Selectors become resources with as few calls as possible."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aws_doubles import CannedAws, Harness, refuse

from monitor.plugin import ProbeError, Resource, ResourceKind, Selector

Make = Callable[..., Harness]


def names(found: list[Resource]) -> list[str]:
    """Their short names."""
    return [one.name for one in found]


async def test_explicit_queues_cost_no_listing(canned: CannedAws, harness: Make) -> None:
    """A name, an ARN and a URL each give name, ARN and URL; they need not exist."""
    found = await harness().reads.find(
        ResourceKind.QUEUE,
        Selector(names=("a", "arn:aws:sqs:us-east-1:210987654321:b", "http://elsewhere/123456789012/c")),
    )
    assert [(one.name, one.arn.split(":")[4], one.facts["url"]) for one in found] == [
        ("a", "123456789012", f"{canned.url}/123456789012/a"),
        ("b", "210987654321", f"{canned.url}/210987654321/b"),
        ("c", "123456789012", "http://elsewhere/123456789012/c"),
    ]
    assert set(canned.count) == {"GetCallerIdentity"}


@pytest.mark.parametrize(
    ("kind", "name", "arn"),
    [
        (ResourceKind.STATE_MACHINE, "m", "arn:aws:states:us-east-1:123456789012:stateMachine:m"),
        (ResourceKind.FUNCTION, "f", "arn:aws:lambda:us-east-1:123456789012:function:f"),
        (ResourceKind.TABLE, "t", "arn:aws:dynamodb:us-east-1:123456789012:table/t"),
        (ResourceKind.RULE, "r", "arn:aws:events:us-east-1:123456789012:rule/r"),
        (ResourceKind.RULE, "bus/r", "arn:aws:events:us-east-1:123456789012:rule/bus/r"),
    ],
)
async def test_an_arn_is_built_from_a_name(harness: Make, kind: ResourceKind, name: str, arn: str) -> None:
    """Account and region complete it."""
    found = await harness().reads.find(kind, Selector(names=(name,)))
    assert [(one.name, one.arn) for one in found] == [(name, arn)]


async def test_a_glob_lists_and_keeps_what_matches(canned: CannedAws, harness: Make) -> None:
    """The literal start of the glob filters at AWS."""
    canned.on["ListQueues"] = {"QueueUrls": [f"{canned.url}/123456789012/{name}" for name in ("etl-a", "etl-b", "etl")]}
    assert names(await harness().reads.find(ResourceKind.QUEUE, Selector(names=("etl-?",)))) == ["etl-a", "etl-b"]
    assert ("ListQueues", {"QueueNamePrefix": "etl-", "MaxResults": 1000}) in canned.seen


async def test_a_glob_that_matches_nothing_finds_nothing(harness: Make) -> None:
    """Whether that is a fault is the caller's to say."""
    assert await harness().reads.find(ResourceKind.TABLE, Selector(names=("x*",))) == []


async def test_tags_go_through_empty_pages(canned: CannedAws, harness: Make) -> None:
    """The tagging API may send an empty page with a token, and resources that lost the tag."""
    arn = "arn:aws:sqs:us-east-1:123456789012:"
    tagged = [{"Key": "pipeline", "Value": "etl"}]
    pages: dict[str, dict[str, Any]] = {
        "": {"ResourceTagMappingList": [], "PaginationToken": "1"},
        "1": {
            "ResourceTagMappingList": [
                {"ResourceARN": arn + "q", "Tags": tagged},
                {"ResourceARN": arn + "lost", "Tags": []},
            ],
            "PaginationToken": "",
        },
    }
    canned.on["GetResources"] = lambda body: pages[body.get("PaginationToken", "")]
    found = await harness().reads.find(ResourceKind.QUEUE, Selector(tags={"pipeline": "etl"}))
    assert names(found) == ["q"]
    assert canned.seen[-1][1]["ResourceTypeFilters"] == ["sqs"]


async def test_globs_are_narrowed_by_tags_and_names_are_always_in(canned: CannedAws, harness: Make) -> None:
    """Both given: a listed resource must match both."""
    arn = "arn:aws:dynamodb:us-east-1:123456789012:table/"
    canned.on["ListTables"] = {"TableNames": ["etl-a", "etl-b"]}
    canned.on["GetResources"] = {
        "ResourceTagMappingList": [{"ResourceARN": arn + "etl-b", "Tags": [{"Key": "team", "Value": "x"}]}]
    }
    selector = Selector(names=("etl-*", "mine"), tags={"team": ""})
    assert names(await harness().reads.find(ResourceKind.TABLE, selector)) == ["etl-b", "mine"]


async def test_rules_of_a_bus_are_named_with_it(canned: CannedAws, harness: Make) -> None:
    """`bus/rule` looks on that bus alone, a plain glob on the default bus."""
    canned.on["ListRules"] = lambda body: {
        "Rules": [{"Name": f"r-{body['EventBusName']}", "Arn": f"arn:{body['EventBusName']}"}]
    }
    reads = harness().reads
    on_bus = await reads.find(ResourceKind.RULE, Selector(names=("orders/r*",)))
    assert [(one.name, dict(one.facts)) for one in on_bus] == [
        ("orders/r-orders", {"event_bus": "orders", "rule": "r-orders"})
    ]
    assert names(await reads.find(ResourceKind.RULE, Selector(names=("r*",)))) == ["r-default"]


async def test_rules_by_tag_are_asked_one_by_one(canned: CannedAws, harness: Make) -> None:
    """Rules are found by their own tags."""
    canned.on["ListEventBuses"] = {"EventBuses": [{"Name": "default"}]}
    canned.on["ListRules"] = {"Rules": [{"Name": "a", "Arn": "arn:a"}, {"Name": "b", "Arn": "arn:b"}]}
    canned.on["ListTagsForResource"] = lambda body: {
        "Tags": [{"Key": "pipeline", "Value": "etl"}] if body["ResourceARN"] == "arn:b" else []
    }
    assert names(await harness().reads.find(ResourceKind.RULE, Selector(tags={"pipeline": "etl"}))) == ["b"]


async def test_an_api_is_found_by_name_or_id(canned: CannedAws, harness: Make) -> None:
    """CloudWatch needs the name, actions the id."""
    canned.on["GET /restapis"] = {"item": [{"id": "abc123", "name": "orders", "tags": {"team": "x"}}]}
    reads = harness().reads
    for name in ("abc123", "orders"):
        found = await reads.find(ResourceKind.REST_API, Selector(names=(name,)))
        assert [(one.name, dict(one.facts)) for one in found] == [(name, {"id": "abc123", "name": "orders"})]
    assert names(await reads.find(ResourceKind.REST_API, Selector(tags={"team": "x"}))) == ["orders"]
    assert (await reads.find(ResourceKind.REST_API, Selector(names=("gone",))))[0].arn == ""


async def test_discovery_is_shared_and_kept(canned: CannedAws, harness: Make) -> None:
    """Ten checks on one glob list once, also later; a failure is not kept."""
    canned.on["ListTables"] = {"TableNames": ["a"]}
    reads = harness().reads
    selector = Selector(names=("*",))
    await asyncio.gather(*(reads.find(ResourceKind.TABLE, selector) for _ in range(10)))
    await reads.find(ResourceKind.TABLE, selector)
    assert canned.count["ListTables"] == 1
    canned.on["ListFunctions"] = canned.on["ListStateMachines"] = refuse("AccessDeniedException")
    for _ in range(2):
        with pytest.raises(ProbeError):
            await reads.find(ResourceKind.STATE_MACHINE, selector)
    assert canned.count["ListStateMachines"] == 2


async def test_a_discovered_resource_that_is_gone_is_looked_for_anew(canned: CannedAws, harness: Make) -> None:
    """A read says that it isn't there: the list that had it is outdated, others stay; what the config names is not."""
    canned.on["ListQueues"] = {"QueueUrls": [f"{canned.url}/123456789012/{name}" for name in ("etl-a", "etl-b")]}
    canned.on["GetQueueAttributes"] = refuse("AWS.SimpleQueueService.NonExistentQueue")
    reads = harness().reads
    glob, other = Selector(names=("etl-*", "mine")), Selector(names=("web-*",))
    found = await reads.find(ResourceKind.QUEUE, glob)
    assert names(found) == ["etl-a", "etl-b", "mine"]
    canned.on["ListQueues"] = {"QueueUrls": [f"{canned.url}/123456789012/etl-b"]}
    await reads.find(ResourceKind.QUEUE, other)
    asked = canned.count["ListQueues"]

    async def miss(queue: Resource) -> list[str]:
        with pytest.raises(ProbeError):
            await reads.call("sqs", "GetQueueAttributes", QueueUrl=queue.facts["url"], AttributeNames=["All"])
        await reads.find(ResourceKind.QUEUE, other)
        return names(await reads.find(ResourceKind.QUEUE, glob))

    assert await miss(found[2]) == ["etl-a", "etl-b", "mine"]
    assert canned.count["ListQueues"] == asked
    assert await miss(found[0]) == ["etl-b", "mine"]
    assert canned.count["ListQueues"] == asked + 1
