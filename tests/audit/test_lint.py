"""The runbooks' defects, as far as a file alone tells: refused when it is loaded, or warned of by the linter."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from audit_helpers import REGISTRY
from typer.testing import CliRunner

from monitor.audit.lint import lint
from monitor.cli.main import build
from monitor.config import ConfigError

HEAD = "pipeline: p\naws: {region: us-east-1}\nchecks:\n"
PLAIN = HEAD + "  depth: {kind: queue_depth, queues: [orders]}\n"


def check(**body: object) -> str:
    """A file with one check."""
    name = body.pop("name", "c")
    return HEAD + f"  {name}: {json.dumps(body)}\n"


def step(**body: object) -> str:
    """A file with one step."""
    return PLAIN + f"breakers:\n  b: {{trip_when: depth.visible, mode: auto, on_trip: [{json.dumps(body)}]}}\n"


def call(service: str, operation: str, **parameters: object) -> str:
    """A file with one aws_call."""
    return step(aws_call={"service": service, "operation": operation, "parameters": parameters})


METRIC = {"kind": "metric", "window": "5m"}

#: Rows of the runbooks -> (the file, words that must be said, whether it is an error of the file).
DEFECTS = {
    "A3 reserved concurrency in the wrong call": (
        call("lambda", "update-function-configuration", FunctionName="f", ReservedConcurrentExecutions=5),
        "unknown parameter 'ReservedConcurrentExecutions'", True,
    ),
    "B13 provisioned concurrency without qualifier": (
        call("lambda", "PutProvisionedConcurrencyConfig", FunctionName="f", ProvisionedConcurrentExecutions=50),
        "Qualifier", True,
    ),
    "B13 the same as an action": (
        step(set_provisioned_concurrency={"function": "f", "amount": 50}), "qualifier", True,
    ),
    "B12 the status of a GraphQL API": (
        check(kind="aws_query", service="appsync", operation="get-graphql-api", parameters={"apiId": "a"},
              query="graphqlApi.status"),
        "no 'status'", True,
    ),
    "B5 ThrottledRequests by table alone": (
        check(**METRIC, metrics={"t": {"namespace": "AWS/DynamoDB", "metric": "ThrottledRequests",
                                       "dimensions": {"TableName": "meta"}}}),
        "ReadThrottleEvents", True,
    ),
    "B12 a load balancer by its name": (
        check(**METRIC, metrics={"t": {"namespace": "AWS/ApplicationELB", "metric": "TargetResponseTime",
                                       "stat": "Average", "dimensions": {"LoadBalancer": "pulse-alb"}}}),
        "app/NAME/ID", True,
    ),
    "E3 a metric without its dimension": (
        check(**METRIC, metrics={"t": {"namespace": "AWS/States", "metric": "ExecutionsStarted", "dimensions": {}}}),
        "per StateMachineArn only", True,
    ),
    "E1 insights query is no operation": (
        check(kind="aws_query", service="logs", operation="insights query", parameters={}, query="x"),
        "no operation", True,
    ),
    "B10 a count called a rate": (
        check(name="error-rate", **METRIC,
              metrics={"e": {"namespace": "AWS/ApiGateway", "metric": "4XXError", "dimensions": {"ApiName": "api"}}},
              thresholds={"value": {"critical": {"above": 5}}}),
        "a count, not a rate", False,
    ),
    "E5 data events in the event history": (
        check(kind="denied_calls", cloudtrail=True, events=["PutObject"]), "never returns it", False,
    ),
    "E5 the same as a query": (
        check(kind="aws_query", service="cloudtrail", operation="lookup-events", query="length(Events)",
              parameters={"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "PutObject"}]}),
        "never returns it", False,
    ),
    "B7 the second newest version": (
        check(kind="aws_query", service="lambda", operation="list-versions-by-function",
              parameters={"FunctionName": "f"}, query="Versions[-2].Version", values={"else": 0}),
        "publishing is not releasing", False,
    ),
    "E2 a path into the input": (
        check(kind="aws_query", service="stepfunctions", operation="describe-execution", query="input.detail",
              parameters={"executionArn": "arn:aws:states:us-east-1:123456789012:execution:m:e"}, equals="x"),
        "texts that hold JSON", False,
    ),
    "B9 the whole environment replaced": (
        call("lambda", "UpdateFunctionConfiguration", FunctionName="f", Environment={"Variables": {"A": "1"}}),
        "replaces the whole map", False,
    ),
    "E4 memory of the unpublished version": (
        call("lambda", "UpdateFunctionConfiguration", FunctionName="f", MemorySize=512), "unpublished version", False,
    ),
    "C1 a move task for a function's dead letters": (
        call("sqs", "StartMessageMoveTask", SourceArn="arn:aws:sqs:us-east-1:123456789012:dlq"),
        "refuses the dead letters", False,
    ),
    "B3 a resolver updated in part": (
        call("appsync", "UpdateResolver", apiId="a", typeName="Query", fieldName="f", cachingConfig={"ttl": 60}),
        "templates or code are lost", False,
    ),
    "B5 a scalable target alone": (
        call("application-autoscaling", "RegisterScalableTarget", ServiceNamespace="dynamodb",
             ResourceId="table/meta", ScalableDimension="dynamodb:table:ReadCapacityUnits", MaxCapacity=10),
        "scales nothing", False,
    ),
    "B3 capacity of a table that may be on demand": (
        call("dynamodb", "UpdateTable", TableName="meta",
             ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}),
        "refused on an on-demand table", False,
    ),
    "E4 retention of everybody's groups": (
        step(set_log_retention={"prefix": "/aws/lambda/", "days": 7}), "everybody", False,
    ),
    "E3 put-rule without a state": (
        call("events", "put-rule", Name="loop", EventPattern="{}"), "without State enables", False,
    ),
    "E3 put-rule in part": (
        call("events", "PutRule", Name="loop", EventPattern="{}", State="DISABLED"), "replaces the whole rule", False,
    ),
    "E4 archive tiers": (
        call("s3", "PutBucketIntelligentTieringConfiguration", Bucket="raw", Id="x",
             IntelligentTieringConfiguration={"Id": "x", "Status": "Enabled",
                                              "Tierings": [{"Days": 90, "AccessTier": "ARCHIVE_ACCESS"}]}),
        "Standard objects stay Standard", False,
    ),
    "B4 a client updated in part": (
        call("cognito-idp", "UpdateUserPoolClient", UserPoolId="us-east-1_abcdefghi", ClientId="client"),
        "resets every setting", False,
    ),
    "A5 one stop after the other": (
        call("stepfunctions", "StopExecution",
             executionArn="arn:aws:states:us-east-1:123456789012:execution:m:e"),
        "unpaced", False,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_is_said(load, name):
    """Each at its place, with what to do instead."""
    text, words, is_error = DEFECTS[name]
    if is_error:
        with pytest.raises(ConfigError) as error:
            load(text)
        assert words in str(error.value)
        return
    found = lint(load(text).pipelines, REGISTRY)
    assert [one for one in found if words in one.message], [one.message for one in found]
    assert all(one.todo for one in found)


RIGHT = {
    "a share": check(name="error-rate", **METRIC, expression="e / n", metrics={
        "e": {"namespace": "AWS/ApiGateway", "metric": "4XXError", "dimensions": {"ApiName": "api"}},
        "n": {"namespace": "AWS/ApiGateway", "metric": "Count", "dimensions": {"ApiName": "api"}},
    }),
    "management events": check(kind="denied_calls", cloudtrail=True, events=["PutBucketPolicy"]),
    "its own prefix": step(set_log_retention={"prefix": "/aws/lambda/etl-", "days": 7}),
    "a count by its name": check(name="errors", **METRIC, metrics={
        "e": {"namespace": "AWS/ApiGateway", "metric": "4XXError", "dimensions": {"ApiName": "api"}}}),
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_is_not_warned_of(load, name):
    """The correct form of the same wish."""
    assert lint(load(RIGHT[name]).pipelines, REGISTRY) == []


@pytest.mark.parametrize("file", sorted(Path(__file__).resolve().parents[2].glob("config/pipelines/*.yaml")))
def test_the_shipped_files_are_clean(file, monkeypatch):
    """They were written from those very runbooks."""
    monkeypatch.setenv("ACCOUNT_ID", "123456789012")
    done = CliRunner().invoke(build(), ["validate", str(file), "-o", "json"])
    assert done.exit_code == 0, done.output
    seams = [one for one in json.loads(done.stdout)["warnings"] if "tripswitch" not in one["message"]]
    assert [one for one in seams if "unpublished" in one["message"] or "count, not" in one["message"]] == []


def test_validate_says_it_with_its_place(tmp_path, monkeypatch):
    """file:line:column, as a warning: the file is valid all the same."""
    file = tmp_path / "p.yaml"
    file.write_text(DEFECTS["E3 put-rule without a state"][0])
    done = CliRunner().invoke(build(), ["validate", str(file)])
    assert done.exit_code == 0
    [line] = [line for line in done.stdout.splitlines() if "PutRule" in line]
    assert line.startswith(f"warning: {file}:6:")
    told = CliRunner().invoke(build(), ["validate", str(file), "-o", "github"])
    assert "::warning file=" in told.stdout
