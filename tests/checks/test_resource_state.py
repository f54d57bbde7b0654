"""resource_state: which states are good, type by type, and what can't be known."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from checks.resource_state import CHECK, ResourceState
from checks.states import TYPES
from monitor.aws import Operations
from monitor.plugin import OperationUse, ProbeError, Reason
from monitor.testing import FakeAws, assert_check_conforms, observed, run_probe


def function(state: str | None, update: str | None = None) -> dict[str, Any]:
    """GetFunction."""
    found = {"State": state, "LastUpdateStatus": update}
    return {"Configuration": {key: value for key, value in found.items() if value}}


def cluster(state: str) -> dict[str, Any]:
    """ListClustersV2, whose filter is a prefix."""
    return {"ClusterInfoList": [{"ClusterName": "x-old", "State": "FAILED"}, {"ClusterName": "x", "State": state}]}


def distribution(status: str, *, enabled: bool = True) -> dict[str, Any]:
    """GetDistribution."""
    return {"Distribution": {"Status": status, "DistributionConfig": {"Enabled": enabled}}}


def canary(state: str) -> dict[str, Any]:
    """DescribeCanariesLastRun."""
    return {"CanariesLastRun": [{"CanaryName": "x", "LastRun": {"Status": {"State": state}}}]}


#: (type, operation, good replies, bad replies with what the detail says)
TABLE: list[tuple[str, str, list[Any], list[tuple[Any, str]]]] = [
    (
        "lambda_functions", "lambda.GetFunction",
        [function("Active"), function(None), function("Active", "InProgress")],
        [(function("Inactive"), "Inactive"), (function("Failed"), "Failed"),
         (function("Active", "Failed"), "Active, its last update failed")],
    ),
    ("tables", "dynamodb.DescribeTable",
     [{"Table": {"TableStatus": "ACTIVE"}}, {"Table": {"TableStatus": "UPDATING"}}],
     [({"Table": {"TableStatus": "DELETING"}}, "DELETING")]),
    ("buckets", "s3.HeadBucket", [{}], []),
    ("rules", "events.DescribeRule", [{"State": "ENABLED"}], [({"State": "DISABLED"}, "DISABLED")]),
    ("schedules", "scheduler.GetSchedule", [{"State": "ENABLED"}], [({"State": "DISABLED"}, "DISABLED")]),
    ("state_machines", "stepfunctions.DescribeStateMachine",
     [{"status": "ACTIVE"}], [({"status": "DELETING"}, "DELETING")]),
    ("clusters", "kafka.ListClustersV2", [cluster("ACTIVE")], [(cluster("HEALING"), "HEALING")]),
    ("databases", "rds.DescribeDBInstances",
     [{"DBInstances": [{"DBInstanceStatus": status}]} for status in ("available", "backing-up")],
     [({"DBInstances": [{"DBInstanceStatus": status}]}, status) for status in ("failed", "storage-full", "stopped")]),
    ("stacks", "cloudformation.DescribeStacks",
     [{"Stacks": [{"StackStatus": status}]} for status in ("UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE")],
     [({"Stacks": [{"StackStatus": status}]}, status)
      for status in ("UPDATE_FAILED", "UPDATE_ROLLBACK_FAILED", "ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_IN_PROGRESS")]),
    ("graphql_apis", "appsync.GetGraphqlApi", [{"graphqlApi": {"apiId": "x"}}], []),
    ("user_pools", "cognito-idp.DescribeUserPool", [{"UserPool": {"Id": "x"}}], []),
    ("distributions", "cloudfront.GetDistribution", [distribution("Deployed"), distribution("InProgress")],
     [(distribution("Deployed", enabled=False), "disabled")]),
    ("canaries", "synthetics.DescribeCanariesLastRun", [canary("PASSED")], [(canary("FAILED"), "FAILED")]),
    ("event_sources", "lambda.ListEventSourceMappings", [{"EventSourceMappings": [{"State": "Enabled"}]}],
     [({"EventSourceMappings": [{"State": "Enabled"}, {"State": "Disabled"}]}, "Disabled")]),
]  # fmt: skip
CASES = [(name, operation, reply, 0.0, None) for name, operation, good, _ in TABLE for reply in good]
CASES += [(name, operation, reply, 1.0, told) for name, operation, _, bad in TABLE for reply, told in bad]


async def test_it_conforms() -> None:
    """The contract of a kind."""
    await assert_check_conforms(CHECK)


@pytest.mark.parametrize(("name", "operation", "reply", "value", "told"), CASES)
async def test_states(name: str, operation: str, reply: Any, value: float, told: str | None) -> None:
    """Good ones are 0, all others 1 and named."""
    (seen,) = await run_probe(CHECK, {name: "x"}, FakeAws({operation: reply}))
    assert (seen.target, seen.value) == ("x", value)
    assert told is None or seen.detail == told


def test_every_type_is_in_the_table() -> None:
    """A new row needs its states tested."""
    assert {name for name, *_ in TABLE} | {"aliases"} == set(TYPES)
    assert {name for name in TYPES if name not in ResourceState.model_fields} == set()


async def test_what_config_names_is_what_aws_is_asked() -> None:
    """Buses, groups, qualifiers and mappings by UUID."""
    uuid = "0a1b2c3d-0000-4000-8000-0123456789ab"
    fake = FakeAws(
        {
            "events.DescribeRule": {"State": "ENABLED"},
            "scheduler.GetSchedule": {"State": "ENABLED"},
            "lambda.GetFunction": function("Active"),
            "lambda.GetEventSourceMapping": {"State": "Enabled"},
        }
    )
    params = {"rules": "etl/loads", "schedules": "nightly/run", "aliases": "api:LIVE", "event_sources": uuid}
    seen = observed(await run_probe(CHECK, params, fake))
    assert seen == {(name, "unhealthy"): 0.0 for name in ("etl/loads", "nightly/run", "api:LIVE", uuid)}
    asked: dict[str, Mapping[str, Any]] = {call.name: call.params for call in fake.calls}
    assert asked["events.DescribeRule"] == {"Name": "loads", "EventBusName": "etl"}
    assert asked["scheduler.GetSchedule"] == {"Name": "run", "GroupName": "nightly"}
    assert asked["lambda.GetFunction"] == {"FunctionName": "api", "Qualifier": "LIVE"}


async def test_expectations_replace_the_usual_states() -> None:
    """A rule that a breaker holds has to be DISABLED."""
    for state, value in (("DISABLED", 0.0), ("ENABLED", 1.0)):
        fake = FakeAws({"events.DescribeRule": {"State": state}})
        seen = observed(await run_probe(CHECK, {"rules": "x", "expect": {"rules": "DISABLED"}}, fake))
        assert seen == {("x", "unhealthy"): value}


async def test_globs_are_listed() -> None:
    """By the type's own listing."""
    rows = [{"DBInstanceIdentifier": name, "DBInstanceStatus": "available"} for name in ("fluxa-a", "fluxa-b", "else")]

    def described(**asked: Any) -> Any:
        return {
            "DBInstances": [
                r for r in rows if asked.get("DBInstanceIdentifier", r["DBInstanceIdentifier"]) in r.values()
            ]
        }

    seen = observed(await run_probe(CHECK, {"databases": "fluxa-*"}, FakeAws({"rds.DescribeDBInstances": described})))
    assert seen == {("fluxa-a", "unhealthy"): 0.0, ("fluxa-b", "unhealthy"): 0.0}


@pytest.mark.parametrize(("choice", "value"), [(False, Reason.NOT_FOUND), (True, 1.0)])
async def test_what_does_not_exist(choice: bool, value: Any, gone: ProbeError) -> None:
    """Unknown, unless its absence is the thing to be seen; what is refused stays unknown."""
    params = {"tables": "x", "gone_is_unhealthy": choice}
    assert observed(await run_probe(CHECK, params, FakeAws({"dynamodb.DescribeTable": gone}))) == {
        ("x", "unhealthy"): value
    }
    denied = ProbeError(Reason.DENIED, "no")
    seen = observed(await run_probe(CHECK, params, FakeAws({"dynamodb.DescribeTable": denied})))
    assert seen == {("x", "unhealthy"): Reason.DENIED}


async def test_a_missing_stack_is_not_an_invalid_call() -> None:
    """CloudFormation answers ValidationError for it."""
    missing = ProbeError(Reason.INVALID, "ValidationError: Stack with id x does not exist")
    fake = FakeAws({"cloudformation.DescribeStacks": missing})
    assert observed(await run_probe(CHECK, {"stacks": "x"}, fake)) == {("x", "unhealthy"): Reason.NOT_FOUND}


async def test_a_graphql_api_has_no_status_to_be_red_about() -> None:
    """The runbook's script read graphqlApi.status, which does not exist: always red."""
    fake = FakeAws({"appsync.GetGraphqlApi": {"graphqlApi": {"apiId": "x", "name": "pulse"}}})
    assert observed(await run_probe(CHECK, {"graphql_apis": "x"}, fake)) == {("x", "unhealthy"): 0.0}
    wrong = OperationUse("appsync", "get-graphql-api", {"apiId": "x"}, mutating=False, query="graphqlApi.status")
    assert any("status" in text for _, text in Operations().problems(wrong))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "at least one"),
        ({"tables": "x", "expect": {"rules": "DISABLED"}}, "nothing is selected"),
        ({"clusters": "arn:aws:kafka:us-east-1:1:cluster/x/y"}, "not by tag or ARN"),
        ({"databases": {"tags": {"a": "b"}}}, "not by tag or ARN"),
        ({"aliases": "api"}, "function:alias"),
        ({"tables": "x", "stacks": "x"}, "a check of its own"),
        ({"event_sources": "etl-*"}, "without globs"),
    ],
)
def test_mistakes_are_told_at_load(params: Any, message: str) -> None:
    """With what to write."""
    with pytest.raises(ValidationError, match=message):
        ResourceState.model_validate(params)


def test_every_call_is_one_aws_has() -> None:
    """Operations and parameters of the table's source, checked against AWS's models."""
    source = Path(CHECK.probe.__code__.co_filename).with_name("states.py").read_text()
    calls = re.findall(r'(?:call|pages|_told)\(\s*"([\w-]+)",\s*"(\w+)"(?:,\s*"(\w+)"|,\s*(\w+)=)?', source)
    assert len(calls) > 12
    for service, operation, named, keyword in calls:
        model = Operations()
        assert model.canonical(service, operation) == operation
        problems = model.problems(OperationUse(service, operation, {named or keyword: "x"}, mutating=False))
        assert not any("unknown" in text for _, text in problems), problems
