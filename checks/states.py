"""What each type of resource says of its own state: one row per type, for `resource_state`.

A row knows the call that tells the state, which states are good, and how resources of the type are listed for globs.
Where AWS has no state to tell (buckets, GraphQL APIs, user pools), that the call succeeds is the state: `present`. An
AppSync API has no status member, and a user pool's is no longer filled in, whatever old scripts read there.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from checks.reading import Bare
from monitor.plugin import (
    Permission,
    ProbeContext,
    ProbeError,
    Reason,
    Resource,
    ResourceKind,
    Selector,
    discovery,
    mappings_of,
    need,
)

PRESENT = "present"

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


Target = Resource | Bare


@dataclass(frozen=True, slots=True)
class Listing:
    """How all resources of a type are listed: the operation, where its pages hold them, and the key of their name."""

    service: str
    operation: str
    path: tuple[str, ...]
    key: str
    parameters: Mapping[str, Any]

    async def names(self, ctx: ProbeContext) -> list[str]:
        """All of them."""
        found: list[str] = []
        async for page in ctx.aws.pages(self.service, self.operation, **self.parameters):
            rows: Any = page
            for step in self.path:
                rows = rows.get(step) or {}
            found += [str(row[self.key]) for row in rows or ()]
        return found


@dataclass(frozen=True, slots=True)
class Type:
    """`good` are globs over states; a resource with several states (its mappings) is good if all of them are."""

    good: tuple[str, ...]
    read: Callable[[Target, ProbeContext], Awaitable[Sequence[str]]]
    found_by: ResourceKind | Listing
    permissions: tuple[str, ...]


def _told(
    service: str, operation: str, parameter: str, state: Callable[[Mapping[str, Any]], str]
) -> Callable[[Target, ProbeContext], Awaitable[Sequence[str]]]:
    """Types whose state is one call with their name away."""

    async def read(target: Target, ctx: ProbeContext) -> Sequence[str]:
        return [state(await ctx.aws.call(service, operation, **{parameter: target.name}))]

    return read


# --- Lambda -----------------------------------------------------------------------------------------------------------


def _function_state(reply: Mapping[str, Any]) -> str:
    found = reply["Configuration"]
    # Functions that were never touched since states were introduced have none.
    state = str(found.get("State") or "Active")
    return f"{state}, its last update failed" if found.get("LastUpdateStatus") == "Failed" else state


async def _alias(target: Target, ctx: ProbeContext) -> Sequence[str]:
    function, _, alias = target.name.partition(":")
    return [_function_state(await ctx.aws.call("lambda", "GetFunction", FunctionName=function, Qualifier=alias))]


async def _mappings(target: Target, ctx: ProbeContext) -> Sequence[str]:
    if _UUID.fullmatch(target.name):
        return [str((await ctx.aws.call("lambda", "GetEventSourceMapping", UUID=target.name))["State"])]
    pages = ctx.aws.pages("lambda", "ListEventSourceMappings", FunctionName=target.name)
    states = [str(one["State"]) async for page in pages for one in page.get("EventSourceMappings", ())]
    if not states:
        raise ProbeError(Reason.NOT_FOUND, f"{target.name} has no event source mapping")
    return states


# --- the others that need more than one call with a name --------------------------------------------------------------


async def _machine(target: Target, ctx: ProbeContext) -> Sequence[str]:
    assert isinstance(target, Resource)
    return [str((await ctx.aws.call("stepfunctions", "DescribeStateMachine", stateMachineArn=target.arn))["status"])]


async def _bucket(target: Target, ctx: ProbeContext) -> Sequence[str]:
    await ctx.aws.call("s3", "HeadBucket", Bucket=target.name)
    return [PRESENT]


async def _rule(target: Target, ctx: ProbeContext) -> Sequence[str]:
    assert isinstance(target, Resource)
    bus, _, rule = target.name.rpartition("/")
    name, bus = target.facts.get("rule", rule), target.facts.get("event_bus", bus or "default")
    return [str((await ctx.aws.call("events", "DescribeRule", Name=name, EventBusName=bus))["State"])]


async def _schedule(target: Target, ctx: ProbeContext) -> Sequence[str]:
    group, _, name = target.name.rpartition("/")
    return [str((await ctx.aws.call("scheduler", "GetSchedule", Name=name, GroupName=group or "default"))["State"])]


async def _cluster(target: Target, ctx: ProbeContext) -> Sequence[str]:
    # The filter is a prefix.
    async for page in ctx.aws.pages("kafka", "ListClustersV2", ClusterNameFilter=target.name):
        for cluster in page.get("ClusterInfoList", ()):
            if cluster["ClusterName"] == target.name:
                return [str(cluster["State"])]
    raise ProbeError(Reason.NOT_FOUND, f"no MSK cluster is called {target.name}")


async def _stack(target: Target, ctx: ProbeContext) -> Sequence[str]:
    try:
        reply = await ctx.aws.call("cloudformation", "DescribeStacks", StackName=target.name)
    except ProbeError as error:
        # CloudFormation calls a missing stack a ValidationError.
        if error.reason is Reason.INVALID and "does not exist" in error.detail:
            raise ProbeError(Reason.NOT_FOUND, error.detail) from error
        raise
    return [str(stack["StackStatus"]) for stack in reply.get("Stacks", ())[:1]]


async def _canary(target: Target, ctx: ProbeContext) -> Sequence[str]:
    reply = await ctx.aws.call("synthetics", "DescribeCanariesLastRun", Names=[target.name])
    runs = [one.get("LastRun") or {} for one in reply.get("CanariesLastRun", ())]
    if not runs:
        raise ProbeError(Reason.NOT_FOUND, f"no canary called {target.name} has run")
    return [str((run.get("Status") or {}).get("State", "")) for run in runs]


def _distribution_state(reply: Mapping[str, Any]) -> str:
    found = reply["Distribution"]
    return str(found["Status"]) if found["DistributionConfig"].get("Enabled", True) else "disabled"


#: By the name of the parameter that selects them.
TYPES: Mapping[str, Type] = {
    "lambda_functions": Type(
        ("Active",),
        _told("lambda", "GetFunction", "FunctionName", _function_state),
        ResourceKind.FUNCTION,
        ("lambda:GetFunction", "lambda:ListFunctions"),
    ),
    "aliases": Type(("Active",), _alias, ResourceKind.FUNCTION, ("lambda:GetFunction",)),
    "event_sources": Type(
        ("Enabled", "Enabling", "Updating"),
        _mappings,
        Listing("lambda", "ListEventSourceMappings", ("EventSourceMappings",), "UUID", {}),
        ("lambda:GetEventSourceMapping", "lambda:ListEventSourceMappings"),
    ),
    "tables": Type(
        # A table whose capacity or indexes change serves all the while.
        ("ACTIVE", "UPDATING"),
        _told("dynamodb", "DescribeTable", "TableName", lambda reply: str(reply["Table"]["TableStatus"])),
        ResourceKind.TABLE,
        ("dynamodb:DescribeTable", "dynamodb:ListTables"),
    ),
    "buckets": Type(
        (PRESENT,),
        _bucket,
        Listing("s3", "ListBuckets", ("Buckets",), "Name", {}),
        ("s3:ListBucket", "s3:ListAllMyBuckets"),
    ),
    "rules": Type(
        ("ENABLED", "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"),
        _rule,
        ResourceKind.RULE,
        ("events:DescribeRule", "events:ListRules", "events:ListEventBuses", "events:ListTagsForResource"),
    ),
    "schedules": Type(
        ("ENABLED",),
        _schedule,
        Listing("scheduler", "ListSchedules", ("Schedules",), "Name", {"GroupName": "default"}),
        ("scheduler:GetSchedule", "scheduler:ListSchedules"),
    ),
    "state_machines": Type(
        ("ACTIVE",), _machine, ResourceKind.STATE_MACHINE, ("states:DescribeStateMachine", "states:ListStateMachines")
    ),
    "clusters": Type(
        ("ACTIVE",),
        _cluster,
        Listing("kafka", "ListClustersV2", ("ClusterInfoList",), "ClusterName", {}),
        ("kafka:ListClustersV2",),
    ),
    "databases": Type(
        # Those in which the instance serves (RDS User Guide, DB instance status).
        (
            "available", "backing-up", "storage-optimization", "configuring-enhanced-monitoring",
            "configuring-iam-database-auth", "configuring-log-exports", "configuring-associated-roles",
            "storage-config-upgrade",
        ),
        _told(
            "rds", "DescribeDBInstances", "DBInstanceIdentifier",
            lambda reply: str(reply["DBInstances"][0]["DBInstanceStatus"]),
        ),
        Listing("rds", "DescribeDBInstances", ("DBInstances",), "DBInstanceIdentifier", {}),
        ("rds:DescribeDBInstances",),
    ),
    "stacks": Type(
        # A rollback that completed left a stack that can be updated again, one of a creation did not.
        (
            "CREATE_COMPLETE", "CREATE_IN_PROGRESS", "UPDATE_COMPLETE", "UPDATE_IN_PROGRESS",
            "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE", "REVIEW_IN_PROGRESS",
            "IMPORT_COMPLETE", "IMPORT_IN_PROGRESS", "IMPORT_ROLLBACK_COMPLETE",
        ),
        _stack,
        Listing("cloudformation", "DescribeStacks", ("Stacks",), "StackName", {}),
        ("cloudformation:DescribeStacks",),
    ),
    "graphql_apis": Type(
        (PRESENT,),
        _told("appsync", "GetGraphqlApi", "apiId", lambda reply: PRESENT),
        Listing("appsync", "ListGraphqlApis", ("graphqlApis",), "apiId", {}),
        ("appsync:GetGraphqlApi", "appsync:ListGraphqlApis"),
    ),
    "user_pools": Type(
        (PRESENT,),
        _told("cognito-idp", "DescribeUserPool", "UserPoolId", lambda reply: PRESENT),
        Listing("cognito-idp", "ListUserPools", ("UserPools",), "Id", {"MaxResults": 60}),
        ("cognito-idp:DescribeUserPool", "cognito-idp:ListUserPools"),
    ),
    "distributions": Type(
        ("Deployed", "InProgress"),
        _told("cloudfront", "GetDistribution", "Id", _distribution_state),
        Listing("cloudfront", "ListDistributions", ("DistributionList", "Items"), "Id", {}),
        ("cloudfront:GetDistribution", "cloudfront:ListDistributions"),
    ),
    "canaries": Type(
        ("PASSED", "RUNNING"),
        _canary,
        Listing("synthetics", "DescribeCanaries", ("Canaries",), "Name", {}),
        ("synthetics:DescribeCanariesLastRun", "synthetics:DescribeCanaries"),
    ),
}  # fmt: skip


# --- what IAM has to allow --------------------------------------------------------------------------------------------

#: By type: the read, the kind of resource it is authorised on, and the listing for globs where `find` is not used.
_ASKED: Mapping[str, tuple[str, str, str]] = {
    "lambda_functions": ("lambda:GetFunction", "function", ""),
    "aliases": ("lambda:GetFunction", "function", ""),
    "tables": ("dynamodb:DescribeTable", "table", ""),
    "buckets": ("s3:ListBucket", "bucket", "s3:ListAllMyBuckets"),
    "rules": ("events:DescribeRule", "rule", ""),
    "schedules": ("scheduler:GetSchedule", "schedule", "scheduler:ListSchedules"),
    "state_machines": ("states:DescribeStateMachine", "machine", ""),
    "clusters": ("kafka:ListClustersV2", "", ""),
    "databases": ("rds:DescribeDBInstances", "database", "rds:DescribeDBInstances"),
    "stacks": ("cloudformation:DescribeStacks", "stack", "cloudformation:DescribeStacks"),
    "graphql_apis": ("appsync:GetGraphqlApi", "graphql_api", "appsync:ListGraphqlApis"),
    "user_pools": ("cognito-idp:DescribeUserPool", "user_pool", "cognito-idp:ListUserPools"),
    "distributions": ("cloudfront:GetDistribution", "distribution", "cloudfront:ListDistributions"),
    "canaries": ("synthetics:DescribeCanariesLastRun", "", "synthetics:DescribeCanaries"),
}


def needs_of(name: str, selector: Selector) -> list[Permission]:
    """What looking at the selected resources of a type asks."""
    found_by = TYPES[name].found_by
    found = discovery(found_by, selector) if isinstance(found_by, ResourceKind) and name != "aliases" else []
    if name == "event_sources":
        by_id = [one for one in selector.names if _UUID.fullmatch(one)]
        if len(by_id) < len(selector.names):
            found.append(need("lambda:ListEventSourceMappings"))
        if selector.discovers:  # what is listed is then read one by one
            return [*found, mappings_of("lambda:GetEventSourceMapping")]
        return [*found, *(mappings_of("lambda:GetEventSourceMapping", uuid=one) for one in by_id)]
    read, kind, listing = _ASKED[name]
    region = "us-east-1" if name == "distributions" else None
    if selector.discovers and listing:
        found.append(need(listing, region=region, **({kind: None} if listing == read else {})))
    if not kind:
        return [*found, need(read)]
    if name == "schedules":
        return [*found, need(read, schedule=[one if "/" in one else f"default/{one}" for one in selector.names])]
    return [*found, need(read, region=region, **{kind: selector})]
