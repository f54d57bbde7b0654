"""Which resources a selector means. Explicit names, ARNs and queue URLs cost no listing and need not exist.

With globs and tags together, a listed resource must match a glob and all tags; explicit names are always in.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Protocol

from monitor.plugin import Reads, Resource, ResourceKind, Selector, is_glob, target_name


class Seeker(Reads, Protocol):
    """Reads that also know where they go."""

    async def endpoint(self, aws_service: str) -> str:
        """Base URL of a service."""

    def partition(self) -> str:
        """`aws`, `aws-cn` or `aws-us-gov`."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """How one kind is listed, named by hand, and whether the tagging API knows it."""

    listed: Callable[[Seeker, Sequence[str]], AsyncIterator[Resource]]
    named: Callable[[Seeker, str], Awaitable[Resource]]
    tagged: Callable[[Seeker, Mapping[str, str]], Awaitable[set[str]]]


async def find(aws: Seeker, kind: ResourceKind, selector: Selector) -> list[Resource]:
    """The selected resources, by name, each once. A glob or tag that matches nothing adds nothing."""
    how = _KINDS[kind]
    found = {resource.name: resource for resource in [await how.named(aws, name) for name in selector.explicit]}
    globs = [name for name in selector.names if is_glob(name)]
    if globs or selector.tags:
        arns = await how.tagged(aws, selector.tags) if selector.tags else None
        if globs or kind is ResourceKind.RULE or kind is ResourceKind.REST_API:
            async for resource in how.listed(aws, globs or ["*"]):
                if arns is None or resource.arn in arns:
                    found.setdefault(resource.name, resource)
        else:
            for arn in arns or ():
                resource = await how.named(aws, arn)
                found.setdefault(resource.name, resource)
    return [found[name] for name in sorted(found)]


def _matches(name: str, globs: Sequence[str]) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)


def _prefix(globs: Sequence[str]) -> str:
    """The literal start of a single glob, for listings that can filter by it."""
    if len(globs) != 1:
        return ""
    ends = [globs[0].index(char) for char in "*?[" if char in globs[0]]
    return globs[0][: min(ends, default=len(globs[0]))]


async def _by_tags(aws: Seeker, kind: ResourceKind, tags: Mapping[str, str]) -> set[str]:
    """ARNs with all tags. Pages may be short or empty and still have a successor; once tagged, now untagged resources
    are listed too (tagging API reference), so the tags that come back decide."""
    filters = [{"Key": key, "Values": [value]} if value else {"Key": key} for key, value in sorted(tags.items())]
    arns: set[str] = set()
    pages = aws.pages("resourcegroupstaggingapi", "GetResources", ResourceTypeFilters=[kind.value], TagFilters=filters)
    async for page in pages:
        for entry in page.get("ResourceTagMappingList", ()):
            if _has(entry.get("Tags", ()), tags):
                arns.add(entry["ResourceARN"])
    return arns


def _has(given: Sequence[Mapping[str, str]], tags: Mapping[str, str]) -> bool:
    own = {tag["Key"]: tag["Value"] for tag in given}
    return all(key in own and (not value or own[key] == value) for key, value in tags.items())


def _tagging_api(kind: ResourceKind) -> Callable[[Seeker, Mapping[str, str]], Awaitable[set[str]]]:
    async def tagged(aws: Seeker, tags: Mapping[str, str]) -> set[str]:
        return await _by_tags(aws, kind, tags)

    return tagged


# --- queues ---------------------------------------------------------------------------------------------------------


async def _queue(aws: Seeker, name: str) -> Resource:
    if name.startswith(("http://", "https://")):
        *_, account, short = name.rstrip("/").split("/")
        arn = f"arn:{aws.partition()}:sqs:{aws.region}:{account}:{short}"
        return Resource(ResourceKind.QUEUE, short, arn, {"url": name})
    if name.startswith("arn:"):
        account, short = name.split(":")[4:6]
        arn = name
    else:
        account, short = await aws.account(), name
        arn = f"arn:{aws.partition()}:sqs:{aws.region}:{account}:{short}"
    url = f"{(await aws.endpoint('sqs')).rstrip('/')}/{account}/{short}"
    return Resource(ResourceKind.QUEUE, short, arn, {"url": url})


async def _queues(aws: Seeker, globs: Sequence[str]) -> AsyncIterator[Resource]:
    prefix = _prefix(globs)
    given = {"QueueNamePrefix": prefix} if prefix else {}
    async for page in aws.pages("sqs", "ListQueues", MaxResults=1000, **given):
        for url in page.get("QueueUrls", ()):
            if _matches(target_name(url), globs):
                yield await _queue(aws, url)


# --- state machines, functions, tables ------------------------------------------------------------------------------


def _plain(kind: ResourceKind, service: str, prefix: str) -> Callable[[Seeker, str], Awaitable[Resource]]:
    """Kinds whose ARN is built from account, region and name."""

    async def named(aws: Seeker, name: str) -> Resource:
        if name.startswith("arn:"):
            return Resource(kind, target_name(name), name)
        arn = f"arn:{aws.partition()}:{service}:{aws.region}:{await aws.account()}:{prefix}{name}"
        return Resource(kind, name, arn)

    return named


async def _state_machines(aws: Seeker, globs: Sequence[str]) -> AsyncIterator[Resource]:
    async for page in aws.pages("stepfunctions", "ListStateMachines", maxResults=1000):
        for machine in page.get("stateMachines", ()):
            if _matches(machine["name"], globs):
                facts = {"type": str(machine.get("type", "STANDARD"))}
                yield Resource(ResourceKind.STATE_MACHINE, machine["name"], machine["stateMachineArn"], facts)


async def _functions(aws: Seeker, globs: Sequence[str]) -> AsyncIterator[Resource]:
    async for page in aws.pages("lambda", "ListFunctions"):
        for function in page.get("Functions", ()):
            if _matches(function["FunctionName"], globs):
                yield Resource(ResourceKind.FUNCTION, function["FunctionName"], function["FunctionArn"])


async def _tables(aws: Seeker, globs: Sequence[str]) -> AsyncIterator[Resource]:
    named = _KINDS[ResourceKind.TABLE].named
    async for page in aws.pages("dynamodb", "ListTables"):
        for name in page.get("TableNames", ()):
            if _matches(name, globs):
                yield await named(aws, name)


# --- rules: `rule` on the default bus, `bus/rule` elsewhere ---------------------------------------------------------


async def _rule(aws: Seeker, name: str) -> Resource:
    path = name.split(":", 5)[5].removeprefix("rule/") if name.startswith("arn:") else name
    bus, _, rule = path.rpartition("/")
    facts = {"event_bus": bus or "default", "rule": rule}
    if name.startswith("arn:"):
        return Resource(ResourceKind.RULE, target_name(name), name, facts)
    arn = f"arn:{aws.partition()}:events:{aws.region}:{await aws.account()}:rule/{path}"
    return Resource(ResourceKind.RULE, name, arn, facts)


async def _rules(aws: Seeker, globs: Sequence[str]) -> AsyncIterator[Resource]:
    for bus in await _buses(aws, globs):
        async for page in aws.pages("events", "ListRules", EventBusName=bus):
            for rule in page.get("Rules", ()):
                name = rule["Name"] if bus == "default" else f"{bus}/{rule['Name']}"
                if _matches(name, globs):
                    yield Resource(ResourceKind.RULE, name, rule["Arn"], {"event_bus": bus, "rule": rule["Name"]})


async def _buses(aws: Seeker, globs: Sequence[str]) -> list[str]:
    """Buses that the globs can match: listed only if one of them says so."""
    wanted = {glob.rpartition("/")[0] or "default" for glob in globs}
    if "*" in globs:
        wanted.add("*")
    if not any(is_glob(bus) for bus in wanted):
        return sorted(wanted)
    every = {bus["Name"] async for page in aws.pages("events", "ListEventBuses") for bus in page.get("EventBuses", ())}
    return sorted(bus for bus in every if any(fnmatchcase(bus, one) for one in wanted))


async def _rules_by_tags(aws: Seeker, tags: Mapping[str, str]) -> set[str]:
    """Asked rule by rule: rules inherit no tags and the tagging API is slow to learn of them."""
    arns: set[str] = set()
    async for rule in _rules(aws, ["*"]):
        reply = await aws.call("events", "ListTagsForResource", ResourceARN=rule.arn)
        if _has(reply.get("Tags", ()), tags):
            arns.add(rule.arn)
    return arns


# --- REST APIs: CloudWatch calls them by name, API Gateway by id ----------------------------------------------------


async def _apis(aws: Seeker, globs: Sequence[str]) -> AsyncIterator[Resource]:
    async for page in aws.pages("apigateway", "GetRestApis", limit=500):
        for api in page.get("items", ()):
            if _matches(api["name"], globs):
                yield _api_resource(aws, api["name"], api)


async def _api(aws: Seeker, name: str) -> Resource:
    wanted = target_name(name)
    async for page in aws.pages("apigateway", "GetRestApis", limit=500):
        for api in page.get("items", ()):
            if wanted in (api["name"], api["id"]):
                return _api_resource(aws, wanted, api)
    return Resource(ResourceKind.REST_API, wanted, "", {"name": wanted})


def _api_resource(aws: Seeker, name: str, api: Mapping[str, Any]) -> Resource:
    arn = f"arn:{aws.partition()}:apigateway:{aws.region}::/restapis/{api['id']}"
    return Resource(ResourceKind.REST_API, name, arn, {"id": api["id"], "name": api["name"]})


async def _apis_by_tags(aws: Seeker, tags: Mapping[str, str]) -> set[str]:
    arns: set[str] = set()
    async for page in aws.pages("apigateway", "GetRestApis", limit=500):
        for api in page.get("items", ()):
            own = [{"Key": key, "Value": value} for key, value in (api.get("tags") or {}).items()]
            if _has(own, tags):
                arns.add(_api_resource(aws, api["name"], api).arn)
    return arns


_KINDS: Mapping[ResourceKind, _Kind] = {
    ResourceKind.QUEUE: _Kind(_queues, _queue, _tagging_api(ResourceKind.QUEUE)),
    ResourceKind.STATE_MACHINE: _Kind(
        _state_machines,
        _plain(ResourceKind.STATE_MACHINE, "states", "stateMachine:"),
        _tagging_api(ResourceKind.STATE_MACHINE),
    ),
    ResourceKind.FUNCTION: _Kind(
        _functions, _plain(ResourceKind.FUNCTION, "lambda", "function:"), _tagging_api(ResourceKind.FUNCTION)
    ),
    ResourceKind.TABLE: _Kind(
        _tables, _plain(ResourceKind.TABLE, "dynamodb", "table/"), _tagging_api(ResourceKind.TABLE)
    ),
    ResourceKind.RULE: _Kind(_rules, _rule, _rules_by_tags),
    ResourceKind.REST_API: _Kind(_apis, _api, _apis_by_tags),
}
