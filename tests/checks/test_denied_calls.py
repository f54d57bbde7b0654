"""denied_calls: the missing permission out of logs, failed executions and CloudTrail."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from checks.denied_calls import CHECK, of_event
from monitor.plugin import ProbeError, Reason
from monitor.testing import EPOCH, FakeAws, observed, run_probe

ROLE = "arn:aws:sts::123456789012:assumed-role/etl-role/f"
LINE = f"User: {ROLE} is not authorized to perform: s3:PutObject on resource: arn:aws:s3:::out/day/{{}}.json"
PUT = "s3:PutObject on out/day/*"
INVOKE = "lambda:InvokeFunction on function:transform-handler"
CAUSE = (
    f"User: {ROLE} is not authorized to perform: lambda:InvokeFunction "
    "on resource: arn:aws:lambda:r:1:function:transform-handler"
)
ARN = "arn:aws:states:us-east-1:123456789012:execution:etl-workflow:{}"


def logs(*messages: str) -> dict[str, Any]:
    """One page of lines."""
    return {"logs.FilterLogEvents": {"events": [{"message": text} for text in messages]}}


def executions(**ages: int) -> dict[str, Any]:
    """FAILED executions by name and age in minutes, newest first; all lack the permission to invoke."""
    listed = [
        {"executionArn": ARN.format(name), "startDate": EPOCH - timedelta(minutes=age), "status": "FAILED"}
        for name, age in sorted(ages.items(), key=lambda item: item[1])
    ]
    return {
        "stepfunctions.ListExecutions": {"executions": listed},
        "stepfunctions.DescribeExecution": {"error": "Lambda.AWSLambdaException", "cause": CAUSE},
    }


def record(code: str | None, message: str = "", **more: Any) -> str:
    """A CloudTrail record."""
    base = {"eventSource": "glue.amazonaws.com", "eventName": "StartJobRun", "userIdentity": {"arn": ROLE}, **more}
    return json.dumps(base | ({"errorCode": code, "errorMessage": message} if code else {}))


async def test_denials_in_logs_by_action_and_resource() -> None:
    """Two keys of one folder are one target; its detail proposes the smallest statement."""
    fake = FakeAws(logs(LINE.format("a"), LINE.format("b"), "all is well"))
    seen = await run_probe(CHECK, {"log_groups": ["/aws/lambda/f"]}, fake)
    assert observed(seen) == {("denied", "denied"): 2.0, (PUT, "denied"): 2.0}
    proposal = json.loads(seen[1].detail.split("proposal: ")[1])
    assert proposal == {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::out/day/*"}


async def test_denials_of_failed_executions() -> None:
    """Causes of what failed within the window; older executions are not read."""
    fake = FakeAws(executions(new=5, old=90))
    seen = observed(await run_probe(CHECK, {"state_machines": "etl-workflow"}, fake))
    assert seen == {("denied", "denied"): 1.0, (INVOKE, "denied"): 1.0}
    assert fake.count("stepfunctions.DescribeExecution") == 1


async def test_more_failures_than_are_read_is_a_lower_bound() -> None:
    """The newest are read."""
    fake = FakeAws(executions(a=1, b=2, c=3))
    seen = await run_probe(CHECK, {"state_machines": "etl-workflow", "executions": 2}, fake)
    assert (seen[0].value, seen[0].lower_bound) == (2.0, True)


async def test_the_error_code_stands_inside_the_event() -> None:
    """The runbook's filter on errorCode beside it finds nothing; and data events are not in LookupEvents at all."""
    events = [record("AccessDeniedException", CAUSE), record("Client.UnauthorizedOperation"), record(None),
              record("ThrottlingException")]  # fmt: skip
    fake = FakeAws({"cloudtrail.LookupEvents": {"Events": [{"CloudTrailEvent": text} for text in events]}})
    seen = observed(await run_probe(CHECK, {"cloudtrail": True, "events": ["StartJobRun"]}, fake))
    assert seen == {("denied", "denied"): 2.0, (INVOKE, "denied"): 1.0, ("glue:StartJobRun", "denied"): 1.0}
    assert fake.calls[0].params["LookupAttributes"] == [{"AttributeKey": "EventName", "AttributeValue": "StartJobRun"}]


def test_an_event_that_is_no_json_is_passed_over() -> None:
    """One broken record takes nothing else with it."""
    assert of_event("{") == of_event(None) == []


async def test_no_denial_is_a_real_zero() -> None:
    """So that the level clears."""
    assert observed(await run_probe(CHECK, {"log_groups": ["g"]}, FakeAws(logs("fine")))) == {("denied", "denied"): 0.0}


async def test_one_source_that_fails_leaves_a_lower_bound(down: ProbeError) -> None:
    """What the other source found stands; that nothing else happened is not known."""
    fake = FakeAws({**logs(LINE.format("a")), "cloudtrail.LookupEvents": down})
    seen = await run_probe(CHECK, {"log_groups": ["g"], "cloudtrail": True}, fake)
    assert (seen[0].value, seen[0].lower_bound) == (1.0, True)
    assert "one source failed" in seen[0].detail


async def test_when_all_sources_fail_it_is_unknown(down: ProbeError) -> None:
    """Never zero."""
    seen = await run_probe(CHECK, {"log_groups": ["g"]}, FakeAws({"logs.FilterLogEvents": down}))
    assert observed(seen) == {("denied", "denied"): Reason.UNAVAILABLE}


async def test_an_explicit_deny_gets_no_proposal() -> None:
    """A statement would not help."""
    text = LINE.format("a") + " with an explicit deny in a resource-based policy"
    seen = await run_probe(CHECK, {"log_groups": ["g"]}, FakeAws(logs(text)))
    assert "no allow overrides" in seen[1].detail
    assert "proposal" not in seen[1].detail
