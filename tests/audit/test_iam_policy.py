"""The policy of a configuration: what is in it, on what, for whom, and in pieces that IAM takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from audit_helpers import allowed
from typer.testing import CliRunner

from monitor.audit.policy import LIMIT, size_of, wild
from monitor.audit.rendering import as_cloudformation, as_terraform
from monitor.cli.main import build

HERE = "us-east-1:123456789012"
HEAD = "pipeline: p\naws: {region: us-east-1}\n"

QUEUE = (
    HEAD
    + """
checks:
  depth: {kind: queue_depth, queues: QUEUES, include_dlqs: false}
"""
)
BREAKER = """
breakers:
  b:
    trip_when: {any: [depth.visible]}
    mode: MODE
    on_trip:
      - redrive_queue: {queue: orders-dlq, to: orders}
"""


def test_names_become_arns(made):
    """A queue that is named is the only one, and nothing is listed to find it."""
    found = allowed(made(QUEUE.replace("QUEUES", "orders")))
    assert found == {
        "cloudwatch:GetMetricData": ["*"],
        "sqs:GetQueueAttributes": [f"arn:aws:sqs:{HERE}:orders"],
    }


def test_globs_become_wildcards_and_are_listed(made):
    """IAM knows no character classes: they become a question mark."""
    found = allowed(made(QUEUE.replace("QUEUES", "'orders-[ab]*'")))
    assert found["sqs:GetQueueAttributes"] == [f"arn:aws:sqs:{HERE}:orders-?*"]
    assert found["sqs:ListQueues"] == ["*"]
    assert wild("a[0-9]b${trip.id}c{yyyy}") == "a?b*c*"


def test_tags_become_conditions(made):
    """Selection by tag: any queue that carries it, and the tagging API."""
    [policy] = made(QUEUE.replace("QUEUES", "{tags: {pipeline: etl, owner: ''}}"))
    by_action = {action: one for one in policy.document["Statement"] for action in one["Action"]}
    reads = by_action["sqs:GetQueueAttributes"]
    assert reads["Resource"] == f"arn:aws:sqs:{HERE}:*"
    assert reads["Condition"] == {
        "StringEquals": {"aws:ResourceTag/pipeline": "etl"},
        "StringLike": {"aws:ResourceTag/owner": "*"},
    }
    assert "tag:GetResources" in by_action
    assert "sqs:ListQueues" not in by_action


def test_what_takes_no_resource_is_held_to_its_region(made):
    """GetMetricData goes for the whole account, but in one region."""
    [policy] = made(QUEUE.replace("QUEUES", "orders"))
    [statement] = [one for one in policy.document["Statement"] if one["Resource"] == "*"]
    assert statement["Condition"] == {"StringEquals": {"aws:RequestedRegion": "us-east-1"}}


@pytest.mark.parametrize(("mode", "observe", "acts"), [
    ("observe", False, False), ("auto", False, True), ("approve", False, True), ("auto", True, False),
])  # fmt: skip
def test_only_breakers_that_act_may_change_anything(made, mode, observe, acts):
    """Mode observe, and `--observe` for all of them, ask for reads."""
    text = QUEUE.replace("QUEUES", "orders-dlq") + BREAKER.replace("MODE", mode)
    found = allowed(made(text, observe=observe))
    changing = {"sqs:StartMessageMoveTask", "sqs:SendMessage", "sqs:DeleteMessage"}
    assert changing & set(found) == (changing if acts else set())
    if acts:
        assert found["sqs:SendMessage"] == [f"arn:aws:sqs:{HERE}:orders"]
        assert found["sqs:DeleteMessage"] == [f"arn:aws:sqs:{HERE}:orders-dlq"]


def test_an_action_on_the_trips_targets_gets_what_the_checks_select(made):
    """No queue is named in the step: those are meant that the breaker's check looks at."""
    text = QUEUE.replace("QUEUES", "['jobs-*', mail]") + BREAKER.replace("MODE", "auto").replace(
        "redrive_queue: {queue: orders-dlq, to: orders}", "sample_dlq: {}"
    )
    found = allowed(made(text))
    assert sorted(found["sqs:ReceiveMessage"]) == [f"arn:aws:sqs:{HERE}:jobs-*", f"arn:aws:sqs:{HERE}:mail"]


def test_operations_are_narrowed_by_their_parameters(made):
    """aws_query and aws_call: the IAM action is not always the operation's name, nor its spelling the CLI's."""
    text = HEAD + """
checks:
  state:
    {kind: aws_query, service: lambda, operation: get-function, parameters: {FunctionName: ingest},
     query: Configuration.State, equals: Active}
  objects:
    {kind: aws_query, service: s3, operation: ListObjectsV2, parameters: {Bucket: raw}, query: KeyCount}
  databases:
    {kind: aws_query, service: rds, operation: describe-db-instances, parameters: {DBInstanceIdentifier: main},
     query: "DBInstances[0].DBInstanceStatus", equals: available}
breakers:
  b:
    trip_when: {any: [state]}
    mode: auto
    on_trip:
      - aws_call:
          service: dynamodb
          operation: UpdateTable
          parameters: {TableName: meta, BillingMode: PAY_PER_REQUEST}
          capture:
            {operation: DescribeTable, parameters: {TableName: meta}, query: Table.BillingModeSummary.BillingMode}
          expect: PAY_PER_REQUEST
"""  # fmt: skip
    assert allowed(made(text)) == {
        "lambda:GetFunction": [f"arn:aws:lambda:{HERE}:function:ingest"],
        "s3:ListBucket": ["arn:aws:s3:::raw"],
        "rds:DescribeDBInstances": [f"arn:aws:rds:{HERE}:db:main"],
        "dynamodb:UpdateTable": [f"arn:aws:dynamodb:{HERE}:table/meta"],
        "dynamodb:DescribeTable": [f"arn:aws:dynamodb:{HERE}:table/meta"],
    }


def test_mappings_are_held_to_their_function(made):
    """Their ids are not known beforehand, their function is."""
    text = QUEUE.replace("QUEUES", "orders") + BREAKER.replace("MODE", "auto").replace(
        "redrive_queue: {queue: orders-dlq, to: orders}", "set_event_source: {function: processor, enabled: false}"
    )
    [policy] = made(text)
    [one] = [s for s in policy.document["Statement"] if "lambda:UpdateEventSourceMapping" in s["Action"]]
    assert one["Resource"] == f"arn:aws:lambda:{HERE}:event-source-mapping:*"
    function = f"arn:aws:lambda:{HERE}:function:processor"
    assert one["Condition"] == {"ArnLike": {"lambda:FunctionArn": [function, f"{function}:*"]}}


def test_notices_secrets_and_the_kill_switch(made):
    """What is needed besides AWS's own checks: topics, references wherever they stand, the parameter."""
    text = (
        QUEUE.replace("QUEUES", "orders")
        + """
  api:
    {kind: probe, urls: ["https://api.example.com/health"], headers: {Authorization: "secretsmanager:api#token"}}
kill_switch: {ssm_parameter: /ops/tripswitch}
notify:
  - {url: "sns://arn:aws:sns:us-east-1:123456789012:alerts"}
  - {url: "ssm:/ops/slack"}
"""
    )
    found = allowed(made(text, references=("ssm:/ops/token",)))
    assert found["sns:Publish"] == [f"arn:aws:sns:{HERE}:alerts"]
    assert sorted(found["ssm:GetParameter"]) == [
        f"arn:aws:ssm:{HERE}:parameter/ops/{name}" for name in ("slack", "token", "tripswitch")
    ]
    assert found["secretsmanager:GetSecretValue"] == [f"arn:aws:secretsmanager:{HERE}:secret:api-??????"]


def test_an_assumed_role_has_a_policy_of_its_own(made):
    """The daemon may assume it; what the pipeline needs is the role's, in the role's account."""
    role = "arn:aws:iam::999999999999:role/watcher"
    text = QUEUE.replace("QUEUES", "orders").replace(
        "{region: us-east-1}", f"{{region: eu-west-1, role_arn: '{role}'}}"
    )
    own, assumed = sorted(made(text), key=lambda one: one.principal)
    assert allowed([own]) == {"sts:AssumeRole": [role]}
    assert assumed.principal == role
    assert assumed.name == "tripswitch-watcher"
    assert allowed([assumed])["sqs:GetQueueAttributes"] == ["arn:aws:sqs:eu-west-1:999999999999:orders"]


def test_nothing_is_allowed_twice(made):
    """What a check reads and an action reads as well stands once, and a name under a wildcard not at all."""
    text = QUEUE.replace("QUEUES", "['orders-*', orders-dlq]") + BREAKER.replace("MODE", "auto")
    policies = made(text)
    for action, resources in allowed(policies).items():
        assert len(set(resources)) == len(resources), action
    assert f"arn:aws:sqs:{HERE}:orders-dlq" not in allowed(policies)["sqs:GetQueueAttributes"]


def test_more_than_iam_takes_is_split(made):
    """Two hundred queues are more than 6,144 characters: several policies, each within the limit, nothing lost."""
    names = [f"a-rather-long-name-of-a-queue-{n:04d}" for n in range(200)]
    policies = made(QUEUE.replace("QUEUES", json.dumps(names)))
    assert len(policies) > 1
    assert all(one.size <= LIMIT for one in policies)
    assert len({one.name for one in policies}) == len(policies)
    assert sorted(allowed(policies)["sqs:GetQueueAttributes"]) == [f"arn:aws:sqs:{HERE}:{name}" for name in names]


def test_cloudformation_and_terraform_hold_the_same_documents(made):
    """A template of managed policies, and Terraform's JSON."""
    [policy] = made(QUEUE.replace("QUEUES", "orders"))
    template = as_cloudformation([policy])
    assert template["Resources"]["TripswitchPolicy"]["Properties"]["PolicyDocument"] == policy.document
    made_of = as_terraform([policy])["resource"]["aws_iam_policy"]["tripswitch"]
    assert json.loads(made_of["policy"]) == policy.document


SHIPPED = Path(__file__).resolve().parents[2] / "config" / "pipelines"


@pytest.mark.parametrize("file", sorted(SHIPPED.glob("*.yaml")), ids=lambda file: file.stem)
def test_the_command_on_the_shipped_files(file, monkeypatch):
    """One document (or a list of them) on stdout, counts on stderr; every document fits."""
    monkeypatch.setenv("ACCOUNT_ID", "123456789012")
    done = CliRunner().invoke(build(), ["iam-policy", str(file), "--region", "us-east-1"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    documents = [one["PolicyDocument"] for one in told] if isinstance(told, list) else [told]
    assert all(size_of(one) <= LIMIT for one in documents)
    assert "statements" in done.stderr
    if len(documents) > 1:
        assert "attach all of them" in done.stderr


def test_the_command_says_what_an_unknown_account_means(tmp_path, monkeypatch):
    """Without an account the ARNs name any, and that is said."""
    file = tmp_path / "p.yaml"
    file.write_text(QUEUE.replace("QUEUES", "orders"))
    monkeypatch.delenv("ACCOUNT_ID", raising=False)
    done = CliRunner().invoke(build(), ["iam-policy", str(file)])
    assert done.exit_code == 0, done.output
    assert "arn:aws:sqs:us-east-1:*:orders" in done.stdout
    assert "--account" in done.stderr
    told = CliRunner().invoke(build(), ["iam-policy", str(file), "--account", "123456789012"])
    assert "--account" not in told.stderr


@pytest.mark.parametrize("typed", ["abc", "12345678901", "arn:aws:iam::123456789012:root"])
def test_an_account_that_is_none_is_refused(tmp_path: Path, typed: str) -> None:
    """A mistyped account would be in every ARN of a policy that allows nothing."""
    file = tmp_path / "p.yaml"
    file.write_text(HEAD)
    told = CliRunner().invoke(build(), ["iam-policy", str(file), "--account", typed])
    assert told.exit_code == 2
    assert "write its 12 digits" in told.stderr


def test_help_shows_how():
    """Examples to copy."""
    told = CliRunner().invoke(build(), ["iam-policy", "--help"]).stdout
    assert "tripswitch iam-policy etl.yaml > policy.json" in told
    assert "--observe" in told
