"""config_drift: what each rule calls wrong, and that no secret is told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from checks.config_drift import CHECK, ConfigDrift
from monitor.aws import Operations
from monitor.plugin import OperationUse, ProbeError, Reason, Resource, ResourceKind
from monitor.testing import FakeAws, assert_check_conforms, observed, run_probe

QUEUE = "arn:aws:sqs:us-east-1:123456789012:events"
DEAD = "arn:aws:sqs:us-east-1:123456789012:events-dlq"


def queues(**attributes: dict[str, Any]) -> Any:
    """GetQueueAttributes by queue name (`-` written `_`)."""

    def answer(**asked: Any) -> Any:
        name = asked["QueueUrl"].rsplit("/", 1)[-1].replace("-", "_")
        if name not in attributes:
            return ProbeError(Reason.NOT_FOUND, "no such queue")
        return {"Attributes": {key: str(value) for key, value in attributes[name].items()}}

    return answer


def urls(**asked: Any) -> dict[str, Any]:
    """GetQueueUrl."""
    return {"QueueUrl": f"https://sqs/123456789012/{asked['QueueName']}"}


async def wrong(rule: dict[str, Any], replies: dict[str, Any]) -> str:
    """The detail of the one target, checked against the count."""
    fake = FakeAws({"sqs.GetQueueUrl": urls, **replies})
    (seen,) = await run_probe(CHECK, {"rules": [rule]}, fake)
    assert seen.reason is None, seen.detail
    assert seen.value == (len(seen.detail.split("; ")) if seen.detail else 0)
    return seen.detail


async def test_it_conforms() -> None:
    """The contract of a kind."""
    await assert_check_conforms(CHECK)


@pytest.mark.parametrize(
    ("hidden", "window", "factor", "told"),
    [
        (1800, 0, 6, ""),
        (1799, 0, 6, "hides messages for 1799s, its reader may take 5m: set VisibilityTimeout to 1800"),
        (1800, 20, 6, "set VisibilityTimeout to 1820"),
        (300, 0, 1, ""),
    ],
)
async def test_visibility_timeout(hidden: int, window: int, factor: float, told: str) -> None:
    """Six times the function's timeout, and the batching window."""
    mapping = {"EventSourceArn": QUEUE, "MaximumBatchingWindowInSeconds": window}
    stream = {"EventSourceArn": "arn:aws:kinesis:us-east-1:123456789012:stream/s"}
    replies = {
        "lambda.GetFunctionConfiguration": {"Timeout": 300},
        "lambda.ListEventSourceMappings": {"EventSourceMappings": [stream, mapping]},
        "sqs.GetQueueAttributes": queues(events={"VisibilityTimeout": hidden}),
    }
    found = await wrong({"visibility_timeout": {"lambda_functions": "f", "factor": factor}}, replies)
    assert told in found
    assert bool(found) == bool(told)


@pytest.mark.parametrize(("size", "told"), [(10, ""), (100, "set BatchSize to 10 or less")])
async def test_batch_size(size: int, told: str) -> None:
    """Ten at most."""
    replies = {
        "lambda.ListEventSourceMappings": {"EventSourceMappings": [{"EventSourceArn": QUEUE, "BatchSize": size}]}
    }
    found = await wrong({"batch_size": {"lambda_functions": "f"}}, replies)
    assert told in found
    assert bool(found) == bool(told)


@pytest.mark.parametrize(("kept", "told"), [(345_600, ""), (86_400, "1d only: set MessageRetentionPeriod to 345600")])
async def test_retention(kept: int, told: str) -> None:
    """Four days at least."""
    replies = {"sqs.GetQueueAttributes": queues(events={"MessageRetentionPeriod": kept})}
    found = await wrong({"retention": {"queues": "events"}}, replies)
    assert told in found
    assert bool(found) == bool(told)


POLICY = json.dumps({"deadLetterTargetArn": DEAD, "maxReceiveCount": 5})
OWN = {"RedrivePolicy": POLICY, "MessageRetentionPeriod": 345_600}


@pytest.mark.parametrize(
    ("attributes", "told"),
    [
        ({"events": OWN, "events_dlq": {"MessageRetentionPeriod": 1_209_600}}, ""),
        ({"events": OWN, "events_dlq": {"MessageRetentionPeriod": 345_600}}, "keeps messages for 4d, no longer than"),
        ({"events": OWN}, "events-dlq does not exist"),
        ({"events": {"MessageRetentionPeriod": 1}}, "has no dead-letter queue"),
    ],
    ids=["outlives its source", "drops messages early", "gone", "none"],
)
async def test_dead_letter_queue(attributes: Any, told: str) -> None:
    """Messages keep the time they were first sent when they move."""
    found = await wrong({"dead_letter_queue": {"queues": "events"}}, {"sqs.GetQueueAttributes": queues(**attributes)})
    assert told in found
    assert bool(found) == bool(told)


async def test_too_many_attempts() -> None:
    """Only where the rule has a number."""
    attributes = queues(events=OWN, events_dlq={"MessageRetentionPeriod": 1_209_600})
    found = await wrong(
        {"dead_letter_queue": {"queues": "events", "max_receives": 3}}, {"sqs.GetQueueAttributes": attributes}
    )
    assert found == "tries 5 times: set maxReceiveCount to 3 or less"


@pytest.mark.parametrize(("timeout", "told"), [(300, ""), (900, "times out after 15m: set Timeout to 300 or less")])
async def test_function_timeout(timeout: int, told: str) -> None:
    """Five minutes at most."""
    replies = {"lambda.GetFunctionConfiguration": {"Timeout": timeout}}
    assert await wrong({"function_timeout": {"lambda_functions": "f"}}, replies) == told


WAITING = {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken", "End": True}
PLAIN = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": True}


@pytest.mark.parametrize(
    ("definition", "heartbeat", "told"),
    [
        ({"TimeoutSeconds": 600, "States": {"A": PLAIN}}, "waiting", ""),
        ({"TimeoutSeconds": "{% $x %}", "States": {}}, "waiting", ""),
        ({"States": {"A": PLAIN}}, "waiting", "has no timeout: set TimeoutSeconds to 600 or less"),
        ({"TimeoutSeconds": 3600, "States": {}}, "waiting", "times out after 1h: set TimeoutSeconds to 600 or less"),
        ({"TimeoutSeconds": 60, "States": {"A": WAITING}}, "waiting", "task A has no heartbeat: set HeartbeatSeconds"),
        ({"TimeoutSeconds": 60, "States": {"A": {**WAITING, "HeartbeatSeconds": 30}}}, "waiting", ""),
        ({"TimeoutSeconds": 60, "States": {"A": WAITING}}, "none", ""),
        ({"TimeoutSeconds": 60, "States": {"A": PLAIN}}, "all", "task A has no heartbeat: set HeartbeatSeconds"),
        (
            {"TimeoutSeconds": 60, "States": {
                "P": {"Type": "Parallel", "Branches": [{"States": {"In": WAITING}}]},
                "M": {"Type": "Map", "ItemProcessor": {"States": {"Item": WAITING}}},
            }},
            "waiting",
            "task In has no heartbeat: set HeartbeatSeconds; task Item has no heartbeat: set HeartbeatSeconds",
        ),
    ],
)  # fmt: skip
async def test_machine_timeout(definition: Any, heartbeat: str, told: str) -> None:
    """A bound for the whole, and for tasks that wait for somebody."""
    replies = {"stepfunctions.DescribeStateMachine": {"definition": json.dumps(definition), "type": "STANDARD"}}
    assert await wrong({"machine_timeout": {"state_machines": "m", "heartbeat": heartbeat}}, replies) == told


async def test_express_machines_end_by_themselves() -> None:
    """After five minutes."""
    replies = {"stepfunctions.DescribeStateMachine": {"definition": "{}", "type": "EXPRESS"}}
    assert await wrong({"machine_timeout": {"state_machines": "m"}}, replies) == ""


@pytest.mark.parametrize(
    ("live", "more", "told"),
    [
        ({"MODE": "on", "KEY": "s3cret"}, {}, ""),
        ({"MODE": "on", "KEY": "other-s3cret"}, {}, "variable KEY differs from the last good value: restore it"),
        ({"MODE": "on"}, {}, "variable KEY is missing: put it back"),
        ({"MODE": "on", "KEY": "s3cret", "X": "1"}, {}, "variable X is new: remove it or add it to the snapshot"),
        ({"MODE": "on", "KEY": "s3cret", "X": "1"}, {"others": True}, ""),
        ({"MODE": "off", "KEY": "s3cret"}, {"ignore": ["MO*"]}, ""),
    ],
)
async def test_environment(live: dict[str, str], more: Any, told: str) -> None:
    """Names are told, values never."""
    rule = {"environment": {"lambda_function": "f", "variables": {"MODE": "on", "KEY": "s3cret"}, **more}}
    found = await wrong(rule, {"lambda.GetFunctionConfiguration": {"Environment": {"Variables": live}}})
    assert found == told
    assert "s3cret" not in found


async def test_the_environment_that_is_served() -> None:
    """Behind an alias the published version counts, whatever $LATEST says."""
    asked: dict[str, Any] = {}

    def answer(**given: Any) -> Any:
        asked.update(given)
        return {"Environment": {"Variables": {}}}

    await wrong(
        {"environment": {"lambda_function": "f", "alias": "LIVE", "variables": {}}},
        {"lambda.GetFunctionConfiguration": answer},
    )
    assert asked == {"FunctionName": "f", "Qualifier": "LIVE"}


@pytest.mark.parametrize(
    ("instance", "told"),
    [
        ({"BackupRetentionPeriod": 7, "MultiAZ": True}, ""),
        ({"BackupRetentionPeriod": 1, "MultiAZ": False},
         "keeps backups for 1 days: set BackupRetentionPeriod to 7; has no standby: set MultiAZ"),
    ],
)  # fmt: skip
async def test_database(instance: Any, told: str) -> None:
    """Seven days and a standby."""
    replies = {"rds.DescribeDBInstances": {"DBInstances": [instance]}}
    assert await wrong({"database": {"databases": "fluxa"}}, replies) == told


@pytest.mark.parametrize(
    ("versioning", "replication", "told"),
    [
        ({"Status": "Enabled"}, {"ReplicationConfiguration": {"Rules": [{"Status": "Enabled"}]}}, ""),
        ({}, {"ReplicationConfiguration": {"Rules": [{"Status": "Disabled"}]}},
         "versioning is off: enable it; nothing is replicated: add a replication rule"),
        ({"Status": "Suspended"}, ProbeError(Reason.INVALID, "ReplicationConfigurationNotFoundError"),
         "versioning is suspended: enable it; nothing is replicated: add a replication rule"),
    ],
)  # fmt: skip
async def test_bucket(versioning: Any, replication: Any, told: str) -> None:
    """S3 answers 404 where replication was never set."""
    replies = {"s3.GetBucketVersioning": versioning, "s3.GetBucketReplication": replication}
    assert await wrong({"bucket": {"buckets": "raw", "replication": True}}, replies) == told


ALARM = {
    "AlarmName": "a", "ActionsEnabled": True, "AlarmActions": ["arn:x"], "Namespace": "AWS/States",
    "MetricName": "ExecutionsStarted", "Dimensions": [{"Name": "StateMachineArn", "Value": "arn:m"}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("alarm", "told"),
    [
        (ALARM, ""),
        (None, "does not exist: create it"),
        ({**ALARM, "AlarmActions": []}, "tells nobody"),
        ({**ALARM, "ActionsEnabled": False}, "tells nobody"),
        ({**ALARM, "Dimensions": []}, "can never fire: AWS/States ExecutionsStarted exists per StateMachineArn only"),
        (
            {"AlarmName": "a", "AlarmActions": ["x"], "Metrics": [{"Id": "m", "MetricStat": {"Metric": {
                "Namespace": "AWS/DynamoDB", "MetricName": "ThrottledRequests",
                "Dimensions": [{"Name": "TableName", "Value": "t"}]}}}]},
            "can never fire: ThrottledRequests exists per Operation only",
        ),
    ],
)  # fmt: skip
async def test_alarms(alarm: Any, told: str) -> None:
    """The runbooks' own alarms, one without dimensions and one on a metric that is none, never fire."""
    replies = {"cloudwatch.DescribeAlarms": {"MetricAlarms": [alarm] if alarm else []}}
    found = await wrong({"alarms": {"alarms": "a"}}, replies)
    assert told in found
    assert bool(found) == bool(told)


@pytest.mark.parametrize(
    ("judge", "told"),
    [
        ({"query": "MemorySize", "at_least": 512}, "the setting is 128, less than 512: raise it"),
        ({"query": "MemorySize", "at_most": 128}, ""),
        ({"query": "MemorySize", "expect": [128, 256]}, ""),
        ({"query": "Tracing.Mode", "expect": "Active", "what": "tracing"}, "tracing is not Active: raise it"),
        ({"query": "Gone", "expect": [None]}, ""),
        ({"query": "Handler", "expect": "x"}, "the setting is not x: raise it"),
    ],
)
async def test_any_read(judge: dict[str, Any], told: str) -> None:
    """An expectation or bounds over one value, which itself is not repeated."""
    custom = {"service": "lambda", "operation": "GetFunctionConfiguration", "target": "f", "fix": "raise it",
              "parameters": {"FunctionName": "f"}, **judge}  # fmt: skip
    reply = {"MemorySize": 128, "Tracing": {"Mode": "PassThrough"}, "Handler": "token=abc"}
    assert await wrong({"custom": custom}, {"lambda.GetFunctionConfiguration": reply}) == told


async def test_rules_over_one_target_add_up_and_one_unread_makes_it_unknown(down: ProbeError) -> None:
    """A count with a hole would be too small."""
    rules = [{"function_timeout": {"lambda_functions": "f"}}, {"batch_size": {"lambda_functions": ["f", "g"]}}]
    mappings = {"EventSourceMappings": [{"EventSourceArn": QUEUE, "BatchSize": 100}]}
    replies: dict[str, Any] = {
        "lambda.GetFunctionConfiguration": {"Timeout": 900},
        "lambda.ListEventSourceMappings": mappings,
    }
    seen = observed(await run_probe(CHECK, {"rules": rules}, FakeAws(replies)))
    assert seen == {("f", "violations"): 2.0, ("g", "violations"): 1.0}
    replies["lambda.GetFunctionConfiguration"] = down
    seen = observed(await run_probe(CHECK, {"rules": rules}, FakeAws(replies)))
    assert seen == {("f", "violations"): Reason.UNAVAILABLE, ("g", "violations"): 1.0}


async def test_whom_a_glob_means_is_unknown_when_the_list_is() -> None:
    """Then the whole run fails; named targets elsewhere would be unknown by it too."""

    class Blind(FakeAws):
        async def find(self, kind: ResourceKind, selector: Any) -> list[Resource]:
            raise ProbeError(Reason.DENIED, "no list")

    with pytest.raises(ProbeError, match="no list"):
        await run_probe(CHECK, {"rules": [{"retention": {"queues": "fluxa-*"}}]}, Blind())


def test_targets_and_operations_are_known_from_config() -> None:
    """Custom reads are checked by the service model at load, at their own place."""
    custom = {"service": "lambda", "operation": "get-function", "target": "f", "query": "X", "expect": 1}
    params = ConfigDrift.model_validate({"rules": [{"bucket": {"buckets": ["a", "b"]}}, {"custom": custom}]})
    assert CHECK.targets(params) == ("a", "b", "f")
    assert not CHECK.discovers(params)
    assert CHECK.discovers(ConfigDrift.model_validate({"rules": [{"retention": {"queues": "x-*"}}]}))
    assert CHECK.operations is not None
    (use,) = CHECK.operations(params)
    assert use.path == ("rules", 1, "custom", "parameters")
    assert Operations().problems(use)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({}, "a rule is one of"),
        ({"retention": {"queues": "x"}, "batch_size": {"lambda_functions": "f"}}, "a rule is one of"),
        ({"retention": None}, "a rule is one of"),
        ({"custom": {"service": "s", "operation": "o", "query": "x", "target": "t"}}, "either expect or bounds"),
        ({"custom": {"service": "s", "operation": "o", "query": "x[", "target": "t", "at_least": 1}}, "JMESPath"),
    ],
)
def test_mistakes_are_told_at_load(rule: Any, message: str) -> None:
    """With what to write."""
    with pytest.raises(ValidationError, match=message):
        ConfigDrift.model_validate({"rules": [rule]})


def test_a_custom_rule_only_reads() -> None:
    """The same refusal as for any check."""
    use = OperationUse("lambda", "delete-function", {"FunctionName": "f"}, mutating=False)
    assert Operations().problems(use)


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ([{"Status": "Enabled", "Transitions": [{"Days": 0, "StorageClass": "INTELLIGENT_TIERING"}]}], ""),
        ([{"Status": "Disabled", "Transitions": [{"Days": 0}]}], "every object stays in its class for ever"),
        ([{"Status": "Enabled", "Expiration": {"Days": 9}}], "every object stays in its class for ever"),
        (ProbeError(Reason.NOT_FOUND, "The lifecycle configuration does not exist"), "every object stays"),
    ],
)
async def test_a_bucket_without_a_transition_is_told(rules: Any, told: str) -> None:
    """Expiring is not tiering; a rule that is off is none."""
    reply = rules if isinstance(rules, ProbeError) else {"Rules": rules}
    found = await wrong(
        {"bucket": {"buckets": "raw", "versioning": False, "tiered": True}},
        {"s3.GetBucketLifecycleConfiguration": reply},
    )
    assert found.startswith(told)
    assert bool(found) == bool(told)


def analyzer(*findings: tuple[str, str]) -> dict[str, Any]:
    """A role with one policy, a bucket without, and what ValidatePolicy finds in each document."""
    listed = [{"findingType": kind, "issueCode": code, "findingDetails": "Say less."} for kind, code in findings]
    return {
        "iam.ListRolePolicies": {"PolicyNames": ["write"]},
        "iam.GetRolePolicy": {"PolicyDocument": '%7B%22Statement%22%3A%5B%5D%7D'},
        "s3.GetBucketPolicy": ProbeError(Reason.NOT_FOUND, "s3:GetBucketPolicy: The bucket policy does not exist"),
        "accessanalyzer.ValidatePolicy": {"findings": listed},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("least", "told"),
    [
        ("WARNING", "the policy write has E: Say less.; the policy write has W: Say less."),
        ("ERROR", "the policy write has E: Say less."),
    ],
)
async def test_policies_pass_access_analyzer(least: str, told: str) -> None:
    """The worst first, suggestions never; a document is decoded before it is judged."""
    replies = analyzer(("SUGGESTION", "S"), ("WARNING", "W"), ("ERROR", "E"))
    documents: list[str] = []

    def validate(**asked: Any) -> Any:
        documents.append(asked["policyDocument"])
        assert asked["policyType"] == "IDENTITY_POLICY"
        return replies["accessanalyzer.ValidatePolicy"]

    rule = {"policies": {"roles": "ingest", "least": least}}
    assert await wrong(rule, {**replies, "accessanalyzer.ValidatePolicy": validate}) == told
    assert documents == ['{"Statement":[]}']


async def test_a_bucket_without_a_policy_is_fine() -> None:
    """One whose policy can't be read is not."""
    rule = {"policies": {"buckets": "raw"}}
    assert await wrong(rule, analyzer(("ERROR", "E"))) == ""
    denied = ProbeError(Reason.DENIED, "s3:GetBucketPolicy is not allowed")
    params = ConfigDrift.model_validate({"rules": [rule]})
    (seen,) = await run_probe(CHECK, params, FakeAws({"s3.GetBucketPolicy": denied}))
    assert seen.reason is Reason.DENIED
    with pytest.raises(ValueError, match="name roles or buckets"):
        ConfigDrift.model_validate({"rules": [{"policies": {}}]})
