"""Step Functions: lists, stops, histories."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

pytestmark = pytest.mark.process
ROLE = "arn:aws:iam::123456789012:role/run"
DEFINITION = {
    "StartAt": "Extract",
    "States": {
        "Extract": {"Type": "Task", "Resource": "arn:aws:lambda:x", "Next": "Hold"},
        "Hold": {"Type": "Wait", "Seconds": 5, "End": True},
    },
}


async def make_machine(client, name="m", kind="STANDARD"):
    """Its ARN."""
    made = await client.create_state_machine(name=name, definition=json.dumps(DEFINITION), roleArn=ROLE, type=kind)
    return made["stateMachineArn"]


async def start(client, machine, count):
    """ARNs, oldest first."""
    return [
        (await client.start_execution(stateMachineArn=machine, name=f"e{n}", input="{}"))["executionArn"]
        for n in range(count)
    ]


async def test_token_survives_the_end_of_the_item_at_the_boundary(aws, side):
    """Stopping what was just listed, page by page, still visits every execution."""
    client = await aws("stepfunctions")
    machine = await make_machine(client)
    arns = await start(client, machine, 25)
    seen, token = [], {}
    while True:
        page = await client.list_executions(stateMachineArn=machine, statusFilter="RUNNING", maxResults=10, **token)
        for execution in page["executions"]:
            seen.append(execution["executionArn"])
            await client.stop_execution(executionArn=execution["executionArn"])
        if "nextToken" not in page:
            break
        token = {"nextToken": page["nextToken"]}
    assert seen == list(reversed(arns))
    assert (await side.get("executions", state_machine="m"))["counts"] == {"ABORTED": 25}


async def test_stop_keeps_words_and_is_idempotent(aws, side):
    """Error and cause are shown afterwards; a second stop changes neither them nor the date."""
    client = await aws("stepfunctions")
    (arn,) = await start(client, await make_machine(client), 1)
    first = await client.stop_execution(executionArn=arn, error="Loop", cause="Event loop mitigation")
    second = await client.stop_execution(executionArn=arn, error="Other", cause="Other")
    shown = await client.describe_execution(executionArn=arn)
    assert (shown["status"], shown["error"], shown["cause"]) == ("ABORTED", "Loop", "Event loop mitigation")
    assert first["stopDate"] == second["stopDate"] == shown["stopDate"]


async def test_stopping_a_succeeded_execution_leaves_it_so(aws, side):
    """An ended execution is not turned into an aborted one."""
    client = await aws("stepfunctions")
    (arn,) = await start(client, await make_machine(client), 1)
    await side.post("executions/finish", arn=arn)
    await client.stop_execution(executionArn=arn, cause="late")
    shown = await client.describe_execution(executionArn=arn)
    assert (shown["status"], "cause" in shown) == ("SUCCEEDED", False)


async def test_express_is_refused(aws, side):
    """An EXPRESS machine stays EXPRESS; its executions can be neither listed nor stopped."""
    client = await aws("stepfunctions")
    machine = await make_machine(client, kind="EXPRESS")
    assert (await client.describe_state_machine(stateMachineArn=machine))["type"] == "EXPRESS"
    assert (await client.list_state_machines())["stateMachines"][0]["type"] == "EXPRESS"
    with pytest.raises(ClientError) as error:
        await client.list_executions(stateMachineArn=machine)
    assert error.value.response["Error"]["Code"] == "StateMachineTypeNotSupported"
    (arn,) = await start(client, machine, 1)
    assert ":express:m:" in arn
    with pytest.raises(ClientError) as error:
        await client.stop_execution(executionArn=arn)
    assert error.value.response["Error"]["Code"] == "InvalidArn"


async def test_history_of_a_running_execution(aws, side):
    """It starts when the execution started, ends in the state it is in, and has no ending."""
    client = await aws("stepfunctions")
    (arn,) = await start(client, await make_machine(client), 1)
    await side.post("executions/age", arn=arn, seconds=7200)
    await side.post("executions/enter", arn=arn, state="Hold")
    shown = await client.describe_execution(executionArn=arn)
    events = (await client.get_execution_history(executionArn=arn))["events"]
    assert [e["type"] for e in events] == [
        "ExecutionStarted",
        "TaskStateEntered",
        "TaskStateExited",
        "WaitStateEntered",
    ]
    assert events[0]["timestamp"] == shown["startDate"] < datetime.now(UTC) - timedelta(hours=1, minutes=59)
    assert events[-1]["stateEnteredEventDetails"]["name"] == "Hold"
    assert events[-1]["timestamp"] > datetime.now(UTC) - timedelta(minutes=1)


async def test_history_pages_and_reverses(aws, side):
    """maxResults and reverseOrder are honoured, and the token goes on where the page ended."""
    client = await aws("stepfunctions")
    (arn,) = await start(client, await make_machine(client), 1)
    await side.post("executions/finish", arn=arn, ending="FAILED", error="Bad", cause="because")
    first = await client.get_execution_history(executionArn=arn, maxResults=1, reverseOrder=True)
    assert first["events"][0]["type"] == "ExecutionFailed"
    assert first["events"][0]["executionFailedEventDetails"] == {"error": "Bad", "cause": "because"}
    rest = await client.get_execution_history(executionArn=arn, reverseOrder=True, nextToken=first["nextToken"])
    assert [e["type"] for e in rest["events"]] == ["TaskStateEntered", "ExecutionStarted"]


async def test_ageing_changes_order_and_start(aws, side):
    """An aged execution moves to the end of the list, as old ones are."""
    client = await aws("stepfunctions")
    machine = await make_machine(client)
    arns = await start(client, machine, 3)
    await side.post("executions/age", arn=arns[2], seconds=5400)
    listed = (await client.list_executions(stateMachineArn=machine))["executions"]
    assert [e["executionArn"] for e in listed] == [arns[1], arns[0], arns[2]]


async def test_unknown_things_are_refused(aws, side):
    """Errors carry AWS's codes."""
    client = await aws("stepfunctions")
    machine = await make_machine(client)
    with pytest.raises(ClientError) as error:
        await client.stop_execution(executionArn=machine.replace("stateMachine", "execution") + ":none")
    assert error.value.response["Error"]["Code"] == "ExecutionDoesNotExist"
    with pytest.raises(ClientError) as error:
        await client.list_executions(stateMachineArn=machine + "x")
    assert error.value.response["Error"]["Code"] == "StateMachineDoesNotExist"


async def test_a_redriven_execution_goes_on_and_its_history_tells_of_it(aws, side):
    """The count and the date, the failure and the redrive in the history; the same token is the same request."""
    client = await aws("stepfunctions")
    (arn,) = await start(client, await make_machine(client), 1)
    with pytest.raises(ClientError, match="ExecutionNotRedrivable"):
        await client.redrive_execution(executionArn=arn)
    await side.post("executions/finish", arn=arn, ending="FAILED", error="Boom")
    first = await client.redrive_execution(executionArn=arn, clientToken="t")
    again = await client.redrive_execution(executionArn=arn, clientToken="t")
    assert first["redriveDate"] == again["redriveDate"]
    shown = await client.describe_execution(executionArn=arn)
    assert (shown["status"], shown["redriveCount"], shown["redriveStatus"]) == ("RUNNING", 1, "NOT_REDRIVABLE")
    assert "error" not in shown
    await side.post("executions/finish", arn=arn)
    events = (await client.get_execution_history(executionArn=arn))["events"]
    kinds = [event["type"] for event in events]
    assert kinds[-4:-2] == ["ExecutionFailed", "ExecutionRedriven"]
    assert kinds[-1] == "ExecutionSucceeded"
    assert events[-3]["executionRedrivenEventDetails"] == {"redriveCount": 1}
    rows = (await client.list_executions(stateMachineArn=shown["stateMachineArn"]))["executions"]
    assert rows[0]["redriveCount"] == 1


async def test_fourteen_days_after_its_end_nothing_is_redriven(aws, side):
    """With the reason in DescribeExecution."""
    client = await aws("stepfunctions")
    (arn,) = await start(client, await make_machine(client), 1)
    await side.post("executions/finish", arn=arn, ending="FAILED", error="Boom")
    await side.post("executions/age", arn=arn, seconds=15 * 86400)
    assert "period exceeded" in (await client.describe_execution(executionArn=arn))["redriveStatusReason"]
    with pytest.raises(ClientError, match="ExecutionNotRedrivable"):
        await client.redrive_execution(executionArn=arn)
