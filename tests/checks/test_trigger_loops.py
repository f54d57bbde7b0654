"""trigger_loops: the loop of the runbook, found before it runs, and the ways in which it is none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from checks.machine_outputs import outputs_of
from checks.trigger_loops import CHECK, TriggerLoops
from monitor.plugin import ProbeError, Reason, Text
from monitor.testing import FakeAws, observed, run_probe

ACCOUNT = "us-east-1:123456789012"
MACHINE = f"arn:aws:states:{ACCOUNT}:stateMachine:etl-workflow"
TRANSFORM = f"arn:aws:lambda:{ACCOUNT}:function:transform-handler"
QUEUE, TOPIC = f"arn:aws:sqs:{ACCOUNT}:jobs", f"arn:aws:sns:{ACCOUNT}:done"
WRITES = {"writes": {"transform-handler": ["s3://processed/out/"]}}


def pattern(*names: str, **obj: Any) -> str:
    """A rule's pattern on buckets."""
    detail = {"bucket": {"name": list(names)}} | ({"object": obj} if obj else {})
    return json.dumps({"source": ["aws.s3"], "detail-type": ["Object Created"], "detail": detail})


def task(resource: str, **parameters: Any) -> dict[str, Any]:
    """A definition with one task."""
    return {
        "StartAt": "A",
        "States": {"A": {"Type": "Task", "Resource": resource, "Parameters": parameters, "End": True}},
    }


def only(name: str, value: str) -> dict[str, Any]:
    """The filter of a bucket notification."""
    return {"Filter": {"Key": {"FilterRules": [{"Name": name, "Value": value}]}}}


def world(**more: Any) -> FakeAws:
    """S3 -> rule -> machine -> function -> processed bucket; the rule also listens to that: the runbook's loop."""
    given = {
        "pattern": pattern("raw", "processed"), "state": "ENABLED", "targets": [MACHINE],
        "definition": task("arn:aws:states:::lambda:invoke", FunctionName="transform-handler:LIVE"),
        "notices": {"EventBridgeConfiguration": {}}, "environment": {}, "mappings": [], "subscriptions": [], **more,
    }  # fmt: skip
    return FakeAws({
        "events.ListRules": {"Rules": [
            {"Name": "etl-s3-events", "EventPattern": given["pattern"], "State": given["state"]},
            {"Name": "nightly", "ScheduleExpression": "rate(1 day)", "State": "ENABLED"},
        ]},
        "events.ListTargetsByRule": {"Targets": [{"Id": str(n), "Arn": arn} for n, arn in enumerate(given["targets"])]},
        "stepfunctions.DescribeStateMachine": {"definition": json.dumps(given["definition"])},
        "s3.GetBucketNotificationConfiguration": given["notices"],
        "lambda.GetFunctionConfiguration": {"Environment": {"Variables": given["environment"]}},
        "lambda.ListEventSourceMappings": {"EventSourceMappings": given["mappings"]},
        "sns.ListSubscriptionsByTopic": {"Subscriptions": given["subscriptions"]},
    })  # fmt: skip


async def cycles(aws: FakeAws, **params: Any) -> tuple[float | None, str]:
    """Number and words."""
    (seen,) = await run_probe(CHECK, {**WRITES, **params}, aws)
    return seen.value, seen.detail


async def test_the_runbooks_loop_is_named() -> None:
    """The processed bucket sets off the rule that fills it."""
    count, said = await cycles(world())
    assert count == 1.0
    assert said == (
        "function transform-handler -> s3://processed/out/* -> rule etl-s3-events -> machine etl-workflow"
        " -> function transform-handler"
    )


@pytest.mark.parametrize(
    "cure",
    [
        {"pattern": pattern("raw")},
        {"pattern": pattern("raw", "processed", key=[{"prefix": "incoming/"}])},
        {"pattern": pattern("raw", "processed", key=[{"anything-but": {"prefix": "out/"}}])},
        {"state": "DISABLED"},
        {"notices": {}},
        {"targets": [f"arn:aws:logs:{ACCOUNT}:log-group:/events"]},
    ],
    ids=["raw bucket only", "prefix", "anything but", "rule disabled", "no EventBridge", "another target"],
)
async def test_each_cure_breaks_it(cure: dict[str, Any]) -> None:
    """What the corrected configuration does is seen to end the loop."""
    assert (await cycles(world(**cure)))[0] == 0.0


async def test_a_disabled_rule_can_be_asked_about_before_it_is_enabled() -> None:
    """The question of the runbook's last step."""
    assert (await cycles(world(state="DISABLED"), include_disabled=True))[0] == 1.0


async def test_an_environment_variable_says_where_a_function_writes() -> None:
    """The bucket's name stands there at run time."""
    aws = world(environment={"OUTPUT_BUCKET": "processed"})
    params = {"writes": {"transform-handler": ["env:OUTPUT_BUCKET"]}}
    assert (await cycles(aws, **params))[0] == 1.0


async def test_functions_of_which_nothing_is_said_are_named() -> None:
    """A graph that can't know is not silent about it."""
    count, said = await cycles(world(), writes={})
    assert count == 0.0
    assert said == "not known what these write: transform-handler"


@pytest.mark.parametrize(
    ("notice", "loops"),
    [
        ({"Events": ["s3:ObjectCreated:*"]}, 1.0),
        ({"Events": ["s3:ObjectRemoved:*"]}, 0.0),
        ({"Events": ["s3:ObjectCreated:Put"], **only("Prefix", "in/")}, 0.0),
        ({"Events": ["s3:ObjectCreated:Put"], **only("suffix", ".json")}, 1.0),
    ],
)  # fmt: skip
async def test_a_bucket_notification_closes_a_loop_too(notice: dict[str, Any], loops: float) -> None:
    """S3 -> Lambda -> S3, without EventBridge between."""
    notices = {"LambdaFunctionConfigurations": [{"LambdaFunctionArn": TRANSFORM, **notice}]}
    assert (await cycles(world(notices=notices)))[0] == loops


@pytest.mark.parametrize(("state", "loops"), [("Enabled", 1.0), ("Disabled", 0.0)])
async def test_queues_and_topics_lie_on_the_way(state: str, loops: float) -> None:
    """Bucket -> topic -> queue -> function -> bucket."""
    aws = world(
        notices={"TopicConfigurations": [{"TopicArn": TOPIC, "Events": ["s3:ObjectCreated:*"]}]},
        subscriptions=[{"Protocol": "sqs", "Endpoint": QUEUE}, {"Protocol": "email", "Endpoint": "a@b"}],
        mappings=[{"FunctionArn": TRANSFORM, "State": state}],
    )
    assert (await cycles(aws))[0] == loops


async def test_a_machine_that_hears_of_its_own_end() -> None:
    """A rule on execution status changes that starts the same machine."""
    own = json.dumps({"source": ["aws.states"], "detail": {"stateMachineArn": [MACHINE], "status": ["SUCCEEDED"]}})
    count, said = await cycles(world(pattern=own, definition={"States": {}}))
    assert (count, said) == (1.0, "machine etl-workflow -> rule etl-s3-events -> machine etl-workflow")


async def test_a_deleted_target_sets_off_nothing(gone: ProbeError) -> None:
    """A rule may point at what is no more."""
    aws = world()
    aws.replies["stepfunctions.DescribeStateMachine"] = gone
    assert (await cycles(aws))[0] == 0.0


async def test_a_part_that_cannot_be_read_makes_it_unknown(down: ProbeError) -> None:
    """A graph with a hole proves nothing."""
    aws = world()
    aws.replies["s3.GetBucketNotificationConfiguration"] = down
    assert observed(await run_probe(CHECK, WRITES, aws)) == {("default", "cycles"): Reason.UNAVAILABLE}


PUT = "arn:aws:states:::aws-sdk:s3:putObject"


@pytest.mark.parametrize(
    ("definition", "writes"),
    [
        (task(PUT, Bucket="b", Key="k"), [("b", Text("k", exact=True))]),
        (task(PUT, Bucket="b", **{"Key.$": "$.key"}), [("b", Text())]),
        (task(PUT, Bucket="b", **{"Key.$": "States.Format('out/{}.json', $.id)"}), [("b", Text("out/", ".json"))]),
        (task("arn:aws:states:::aws-sdk:s3:getObject", Bucket="b", Key="k"), []),
        ({"States": {"M": {"Type": "Map", "ItemProcessor": task(PUT, Bucket="b", Key="{% $k %}")}}}, [("b", Text())]),
        ({"States": {"P": {"Type": "Parallel", "Branches": [task(PUT, Bucket="b", Key="k")]}}},
         [("b", Text("k", exact=True))]),
        ({"States": {"M": {"Type": "Map", "ResultWriter": {"Parameters": {"Bucket": "b", "Prefix": "r/"}}}}},
         [("b", Text("r/"))]),
        ({"States": {"A": {"Type": "Task", "Resource": PUT, "Arguments": {"Bucket": "b", "Key": "k"}}}},
         [("b", Text("k", exact=True))]),
    ],
)  # fmt: skip
def test_what_a_definition_writes(definition: dict[str, Any], writes: list[tuple[str, Text]]) -> None:
    """SDK integrations in every place a state can stand, with keys as far as they are known."""
    assert outputs_of(definition).writes == writes


@pytest.mark.parametrize(
    ("definition", "calls"),
    [
        (task(TRANSFORM), [TRANSFORM]),
        (task("arn:aws:states:::lambda:invoke.waitForTaskToken", FunctionName="f:LIVE"), ["function f"]),
        (task("arn:aws:states:::states:startExecution.sync:2", StateMachineArn=MACHINE), [MACHINE]),
        (task("arn:aws:states:::glue:startJobRun.sync", JobName="curate"), ["job curate"]),
        (task("arn:aws:states:::lambda:invoke", **{"FunctionName.$": "$.f"}), []),
    ],
)
def test_whom_a_definition_calls(definition: dict[str, Any], calls: list[str]) -> None:
    """Functions, machines and jobs that are named in it."""
    assert outputs_of(definition).calls == calls


def test_a_place_is_an_s3_url_or_a_variable() -> None:
    """Anything else is an error of the file."""
    with pytest.raises(ValidationError, match="s3://bucket/prefix"):
        TriggerLoops.model_validate({"writes": {"f": ["processed"]}})
