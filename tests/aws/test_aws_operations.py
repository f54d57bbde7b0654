"""Operations named in config are checked against the SDK's own models."""

from __future__ import annotations

from typing import Any

import pytest

from monitor.aws import Operations
from monitor.aws.operations import is_mutating, refusal
from monitor.plugin import OperationUse


@pytest.fixture(scope="module")
def operations() -> Operations:
    """Shared: models are read once."""
    return Operations()


def problems(
    operations: Operations,
    service: str,
    operation: str,
    mutating: bool = False,
    query: str | None = None,
    **params: Any,
) -> list[tuple[tuple[str | int, ...], str]]:
    """What is wrong with a use."""
    return operations.problems(OperationUse(service, operation, params, mutating, query))


@pytest.mark.parametrize(
    ("service", "operation", "params", "query"),
    [
        ("lambda", "get-function", {"FunctionName": "f"}, "Configuration.State"),
        ("lambda", "GetFunction", {"FunctionName": "${target}"}, "length(keys(Configuration))"),
        ("states", "describe_execution", {"executionArn": "arn"}, "status"),
        ("sqs", "GetQueueAttributes", {"QueueUrl": "u", "AttributeNames": ["All"]}, "Attributes.Whatever"),
        ("s3", "list-objects-v2", {"Bucket": "b", "MaxKeys": "${n}"}, "Contents[0].LastModified"),
        ("logs", "StartQuery", {"startTime": 1, "endTime": 2, "queryString": "x"}, None),
        ("budgets", "DescribeBudget", {"AccountId": "123456789012", "BudgetName": "b"}, "Budget.CalculatedSpend"),
    ],
)
def test_a_right_read_has_no_problems(
    operations: Operations, service: str, operation: str, params: dict[str, Any], query: str | None
) -> None:
    """Both spellings, aliases, placeholders and cleverer queries pass."""
    assert problems(operations, service, operation, query=query, **params) == []


@pytest.mark.parametrize(
    ("service", "operation", "params", "path", "words"),
    [
        ("lamda", "GetFunction", {}, (), "did you mean 'lambda'"),
        ("lambda", "GetFunctoin", {}, (), "did you mean 'GetFunction'"),
        ("lambda", "get-functoin", {}, (), "did you mean 'get-function'"),
        ("lambda", "GetFunction", {}, (), "FunctionName is missing"),
        ("lambda", "GetFunction", {"FunctionNam": "f"}, ("FunctionNam",), "did you mean 'FunctionName'"),
        ("lambda", "GetFunction", {"FunctionName": 3}, ("FunctionName",), "expected text, not a number"),
        ("sqs", "GetQueueAttributes", {"QueueUrl": "u", "AttributeNames": "All"}, ("AttributeNames",), "a list"),
        ("sqs", "GetQueueAttributes", {"QueueUrl": "u", "AttributeNames": [1]}, ("AttributeNames", 0), "text"),
        ("sqs", "ListQueues", {"MaxResults": True}, ("MaxResults",), "whole number, not true/false"),
        ("sts", "GetCallerIdentity", {"x": 1}, ("x",), "unknown parameter"),
        ("lambda", "ListFunctions", {"MaxItems": 0}, ("MaxItems",), "at least 1"),
        (
            "cloudwatch",
            "GetMetricData",
            {"StartTime": "x", "EndTime": "y", "MetricDataQueries": [{"Id": "a", "MetricStat": {"Metrik": {}}}]},
            ("MetricDataQueries", 0, "MetricStat", "Metrik"),
            "did you mean 'Metric'",
        ),
        ("sqs", "PurgeQueue", {"QueueUrl": "u"}, (), "changes something"),
        ("secretsmanager", "GetSecretValue", {"SecretId": "x"}, (), "returns secrets"),
    ],
)
def test_a_wrong_read_says_where_and_what_instead(
    operations: Operations, service: str, operation: str, params: dict[str, Any], path: tuple[Any, ...], words: str
) -> None:
    """Each fault has its path and a suggestion."""
    found = problems(operations, service, operation, **params)
    assert any(where == path and words in text for where, text in found), found


def test_all_faults_are_told_at_once(operations: Operations) -> None:
    """One load, every mistake."""
    assert len(problems(operations, "lambda", "GetFunction", FunctionNam=1, Qualifier=2)) == 3


@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("update-function-configuration", {"FunctionName": "f", "ReservedConcurrentExecutions": 5}),
        ("put-provisioned-concurrency-config", {"FunctionName": "f", "ProvisionedConcurrencyConfig": 50}),
    ],
)
def test_the_runbooks_broken_commands_are_refused(
    operations: Operations, operation: str, params: dict[str, Any]
) -> None:
    """What the CLI refuses, config refuses too."""
    assert problems(operations, "lambda", operation, mutating=True, **params)


def test_a_field_the_reply_does_not_have_is_found(operations: Operations) -> None:
    """A query for a member that AWS never returns would be a check that is always red."""
    found = problems(operations, "appsync", "get-graphql-api", query="graphqlApi.status", apiId="a")
    assert "has no 'status'" in found[0][1]


def test_a_broken_query_is_found(operations: Operations) -> None:
    """JMESPath syntax is checked at load."""
    assert "no JMESPath" in problems(operations, "sqs", "ListQueues", query="a[")[0][1]


def test_a_read_is_no_action(operations: Operations) -> None:
    """`aws_call` is for what changes something."""
    assert "only reads" in problems(operations, "sqs", "ListQueues", mutating=True)[0][1]


@pytest.mark.parametrize(
    ("service", "operation", "mutating"),
    [
        ("sqs", "GetQueueUrl", False),
        ("sqs", "ReceiveMessage", True),
        ("s3", "HeadBucket", False),
        ("dynamodb", "BatchGetItem", False),
        ("dynamodb", "Query", False),
        ("dynamodb", "ExecuteStatement", True),
        ("cloudtrail", "LookupEvents", False),
        ("logs", "FilterLogEvents", False),
        ("logs", "StartQuery", False),
        ("events", "TestEventPattern", False),
        ("stepfunctions", "TestState", True),
        ("elasticache", "TestFailover", True),
        ("apigateway", "TestInvokeMethod", True),
        ("athena", "StartQueryExecution", True),
        ("lambda", "Invoke", True),
        ("cloudformation", "DetectStackDrift", True),
        ("x", "Getaway", True),
    ],
)
def test_what_changes_something_is_known_by_name(service: str, operation: str, mutating: bool) -> None:
    """Only what surely reads counts as reading."""
    assert is_mutating(service, operation) is mutating


def test_every_known_read_only_name_exists(operations: Operations) -> None:
    """The exceptions are spelled as the models spell them."""
    for service, operation in [("logs", "TestMetricFilter"), ("iam", "SimulatePrincipalPolicy"),
                               ("secretsmanager", "BatchGetSecretValue"), ("sts", "GetFederationToken")]:  # fmt: skip
        assert operations.canonical(service, operation) == operation


def test_decryption_is_refused_only_where_asked_for() -> None:
    """Plain parameters can be read."""
    assert refusal("ssm", "GetParameter", {"Name": "x"}) is None
    assert refusal("ssm", "GetParametersByPath", {"WithDecryption": True})
