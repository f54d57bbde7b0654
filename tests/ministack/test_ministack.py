"""The key scenarios on MiniStack, an implementation of AWS that nobody tuned to tripswitch."""

import json

import pytest
from botocore.exceptions import ClientError
from mini_rig import ACCOUNT, REGION, Mini, with_origins

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("ministack")]

MACHINE = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:etl-workflow"


def by_hand(*steps: str) -> str:
    """A pipeline whose breaker is tripped by hand only, with these steps."""
    listed = "\n".join(f"      - {step}" for step in steps)
    return f"""
pipeline: etl
aws: {{region: {REGION}}}
checks:
  depth:
    kind: queue_depth
    interval: 1s
    queues: [watched]
    thresholds: {{visible: {{critical: {{above: 100000}}}}}}
breakers:
  guard:
    mode: auto
    trip_when: depth.visible
    on_trip:
{listed}
    recover: {{mode: manual}}
"""


LOOP = f"""
pipeline: etl
aws: {{region: {REGION}}}
checks:
  hanging:
    kind: stuck_executions
    interval: 1s
    state_machines: ["{MACHINE}"]
    expected: 1s
    thresholds: {{stuck: {{critical: {{above: 3}}}}}}
breakers:
  loop:
    severity: SEV1
    mode: auto
    trip_when: hanging.stuck
    on_trip:
      - disable_rule: {{rule: etl-s3-events}}
      - stop_executions: {{state_machines: ["{MACHINE}"], cause: Event loop mitigation, error: EventLoop}}
    recover: {{mode: manual}}
"""


async def _put_events(mini: Mini, count: int) -> None:
    entry = {"Source": "orders", "DetailType": "created", "Detail": "{}"}
    told = await (await mini.aws("events")).put_events(Entries=[entry] * count)
    assert told["FailedEntryCount"] == 0


async def _executions(mini: Mini, **wanted: str) -> list[str]:
    told = await (await mini.aws("stepfunctions")).list_executions(stateMachineArn=MACHINE, **wanted)
    return [one["executionArn"] for one in told["executions"]]


async def _invoke(mini: Mini, name: str) -> str:
    """What the function says, or the error code."""
    try:
        told = await (await mini.aws("lambda")).invoke(FunctionName=name)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return str(json.loads(await told["Payload"].read()))


async def test_a_loop_is_cut_at_the_rule_stopped_and_given_back(mini: Mini) -> None:
    """The disabled rule starts nothing more, what ran is stopped with its cause, and reset lets events through."""
    events, machines = await mini.aws("events"), await mini.aws("stepfunctions")
    role = f"arn:aws:iam::{ACCOUNT}:role/r"
    definition = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 900, "End": True}}}
    await machines.create_state_machine(name="etl-workflow", definition=json.dumps(definition), roleArn=role)
    await events.put_rule(Name="etl-s3-events", EventPattern=json.dumps({"source": ["orders"]}), State="ENABLED")
    await events.put_targets(Rule="etl-s3-events", Targets=[{"Id": "m", "Arn": MACHINE, "RoleArn": role}])
    guard = await mini.guard(LOOP)
    await _put_events(mini, 6)

    await guard.until("open")
    assert (await events.describe_rule(Name="etl-s3-events"))["State"] == "DISABLED"
    stopped = await _executions(mini, statusFilter="ABORTED")
    assert len(stopped) == 6
    assert not await _executions(mini, statusFilter="RUNNING")
    told = await machines.describe_execution(executionArn=stopped[0])
    assert (told["error"], told["cause"].startswith("Event loop mitigation")) == ("EventLoop", True)
    await _put_events(mini, 3)
    assert len(await _executions(mini)) == 6

    await guard.reset()
    assert (await events.describe_rule(Name="etl-s3-events"))["State"] == "ENABLED"
    await _put_events(mini, 1)
    assert len(await _executions(mini)) == 7


async def test_reserved_concurrency_is_lowered_and_given_back_exactly(mini: Mini) -> None:
    """Undo deletes what was unset and restores 100; a function at 0 refuses calls until then."""
    await mini.queue("watched")
    for name, reserved in (("unset", None), ("capped", 100), ("stopped", None)):
        await mini.function(name, reserved)
    wanted = {"unset": 5, "capped": 5, "stopped": 0}
    steps = [f"set_lambda_concurrency: {{function: {name}, reserved: {number}}}" for name, number in wanted.items()]
    guard = await mini.guard(by_hand(*steps))
    assert await _invoke(mini, "stopped") == "done"

    await guard.trip()
    assert {name: await mini.reserved(name) for name in wanted} == wanted
    assert await _invoke(mini, "stopped") == "TooManyRequestsException"
    assert await _invoke(mini, "capped") == "done"

    await guard.reset()
    assert {name: await mini.reserved(name) for name in wanted} == {"unset": None, "capped": 100, "stopped": None}
    assert await _invoke(mini, "stopped") == "done"


async def test_a_redrive_by_hand_conserves_every_message(mini: Mini) -> None:
    """Forty poisoned messages go back to their queue, each once.

    AWS has ListDeadLetterSourceQueues and message move tasks, MiniStack neither: the first is answered in front of it,
    and a redrive with `max` needs no task.
    """
    sqs = await mini.aws("sqs")
    await mini.queue("watched")
    dead_arn, orders_arn = (f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}" for name in ("orders-dlq", "orders"))
    dead = await mini.queue("orders-dlq")
    policy = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 1})
    orders = await mini.queue("orders", RedrivePolicy=policy)
    bodies = {f"order {number}" for number in range(40)}
    for body in sorted(bodies):
        await sqs.send_message(QueueUrl=orders, MessageBody=body)
    for _ in range(20):
        await sqs.receive_message(QueueUrl=orders, MaxNumberOfMessages=10, VisibilityTimeout=0)
    assert (await mini.depth(orders), await mini.depth(dead)) == (0, 40)

    async with with_origins(mini, {dead_arn: dead, orders_arn: orders}) as door:
        guard = await mini.guard(by_hand("redrive_queue: {queue: orders-dlq, max: 40}"), door)
        await guard.trip()
    assert (await mini.depth(orders), await mini.depth(dead)) == (40, 0)
    found: list[str] = []
    while messages := (await sqs.receive_message(QueueUrl=orders, MaxNumberOfMessages=10)).get("Messages"):
        found += [message["Body"] for message in messages]
    assert sorted(found) == sorted(bodies)


async def test_a_value_that_somebody_changed_is_left_alone(mini: Mini) -> None:
    """The reset reports drift for it, keeps it, and gives the other function back."""
    await mini.queue("watched")
    await mini.function("touched", 100)
    await mini.function("other", 100)
    steps = [f"set_lambda_concurrency: {{function: {name}, reserved: 5}}" for name in ("touched", "other")]
    guard = await mini.guard(by_hand(*steps))
    await guard.trip()
    functions = await mini.aws("lambda")
    await functions.put_function_concurrency(FunctionName="touched", ReservedConcurrentExecutions=50)

    await guard.reset()
    assert (await mini.reserved("touched"), await mini.reserved("other")) == (50, 100)
    assert [text for text in guard.texts("action.drifted") if "lambda/touched" in text]
    assert not [text for text in guard.texts("action.drifted") if "lambda/other" in text]
    assert len(guard.texts("action.undone")) == 1


RERUN = f"""
pipeline: etl
aws: {{region: {REGION}}}
checks:
  hanging:
    kind: stuck_executions
    interval: 1s
    state_machines: ["{MACHINE}"]
    expected: 1s
    key: detail.object.key
    thresholds: {{stuck: {{critical: {{above: 1}}}}}}
breakers:
  stuck-execution:
    mode: auto
    trip_when: hanging.stuck
    on_trip:
      - stop_executions:
          {{state_machines: ["{MACHINE}"], older_than: 1s, error: ExecutionTimeout, cause: hung, rerun: true}}
    recover: {{mode: manual}}
"""


async def test_stuck_executions_are_stopped_and_run_again_with_their_input(mini: Mini) -> None:
    """Each once, under a name of its own, with the same input; a rerun is not stopped by the same trip."""
    machines = await mini.aws("stepfunctions")
    definition = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 900, "End": True}}}
    role = f"arn:aws:iam::{ACCOUNT}:role/r"
    await machines.create_state_machine(name="etl-workflow", definition=json.dumps(definition), roleArn=role)
    given = [json.dumps({"detail": {"object": {"key": f"incoming/{number}.csv"}}}) for number in range(2)]
    for number, text in enumerate(given):
        await machines.start_execution(stateMachineArn=MACHINE, name=f"hung-{number}", input=text)
    guard = await mini.guard(RERUN)
    await guard.until("open")
    stopped = [
        await machines.describe_execution(executionArn=arn) for arn in await _executions(mini, statusFilter="ABORTED")
    ]
    assert sorted(one["name"] for one in stopped) == ["hung-0", "hung-1"]
    assert {one["error"] for one in stopped} == {"ExecutionTimeout"}
    again = [
        await machines.describe_execution(executionArn=arn) for arn in await _executions(mini, statusFilter="RUNNING")
    ]
    assert all(one["name"].startswith("retry-") for one in again)
    assert sorted(one["input"] for one in again) == given


async def test_a_tables_capacity_is_raised_and_given_back(mini: Mini) -> None:
    """200 and 100 units while it throttles; then exactly what it had."""
    await mini.queue("watched")
    tables = await mini.aws("dynamodb")
    await tables.create_table(
        TableName="serving",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        ProvisionedThroughput={"ReadCapacityUnits": 20, "WriteCapacityUnits": 10},
    )

    async def units() -> tuple[int, int]:
        told = (await tables.describe_table(TableName="serving"))["Table"]["ProvisionedThroughput"]
        return told["ReadCapacityUnits"], told["WriteCapacityUnits"]

    guard = await mini.guard(by_hand("scale_table: {table: serving, read: 200, write: 100}"))
    await guard.trip()
    assert await units() == (200, 100)
    await guard.reset()
    assert await units() == (20, 10)


async def _released(mini: Mini, name: str) -> None:
    """Version 1, version 2 with other variables, and `live` on the second."""
    functions = await mini.aws("lambda")
    await mini.function(name)
    await functions.publish_version(FunctionName=name)
    variables = {"Variables": {"MODE": "fast", "TABLE": "t"}}
    await functions.update_function_configuration(FunctionName=name, Environment=variables)
    version = (await functions.publish_version(FunctionName=name))["Version"]
    await functions.create_alias(FunctionName=name, Name="live", FunctionVersion=version)


async def test_an_alias_goes_back_a_version_and_comes_forward_again(mini: Mini) -> None:
    """The version before serves everything; undone, the newer one does."""
    await mini.queue("watched")
    await _released(mini, "api")
    functions = await mini.aws("lambda")

    async def live() -> str:
        return str((await functions.get_alias(FunctionName="api", Name="live"))["FunctionVersion"])

    guard = await mini.guard(by_hand("rollback_alias: {function: api, alias: live}"))
    assert await live() == "2"
    await guard.trip()
    assert await live() == "1"
    await guard.reset()
    assert await live() == "2"


async def test_a_variable_reaches_live_traffic_and_leaves_the_others_alone(mini: Mini) -> None:
    """Merged, published, and behind the alias; undone, the alias serves the version it had."""
    await mini.queue("watched")
    await _released(mini, "api")
    functions = await mini.aws("lambda")

    async def served() -> dict[str, str]:
        told = await functions.get_function_configuration(FunctionName="api", Qualifier="live")
        return dict(told["Environment"]["Variables"])

    step = 'set_environment: {function: api, variables: {CIRCUIT_BREAKER: "true"}, alias: live}'
    guard = await mini.guard(by_hand(step))
    await guard.trip()
    assert await served() == {"MODE": "fast", "TABLE": "t", "CIRCUIT_BREAKER": "true"}
    await guard.reset()
    assert await served() == {"MODE": "fast", "TABLE": "t"}
    latest = await functions.get_function_configuration(FunctionName="api")
    assert latest["Environment"]["Variables"] == {"MODE": "fast", "TABLE": "t"}


async def test_an_object_and_a_policy_are_put_and_what_was_there_comes_back(mini: Mini) -> None:
    """A page where none was, a bucket's policy in place of another: undone, neither shows that anything happened."""
    await mini.queue("watched")
    s3 = await mini.aws("s3")
    await s3.create_bucket(Bucket="site")
    before = {"Version": "2012-10-17", "Statement": []}
    await s3.put_bucket_policy(Bucket="site", Policy=json.dumps(before))
    document = '{Version: "2012-10-17", Statement: [{Effect: Deny, Principal: "*", Action: "s3:*", Resource: "*"}]}'
    steps = (
        "put_object: {bucket: site, key: maintenance.html, text: soon}",
        f"put_policy: {{bucket: site, document: {document}}}",
    )

    async def policy() -> dict[str, object]:
        found: dict[str, object] = json.loads((await s3.get_bucket_policy(Bucket="site"))["Policy"])
        return found

    guard = await mini.guard(by_hand(*steps))
    await guard.trip()
    assert (await s3.list_objects_v2(Bucket="site"))["KeyCount"] == 1
    assert await policy() != before
    await guard.reset()
    assert (await s3.list_objects_v2(Bucket="site"))["KeyCount"] == 0
    assert await policy() == before
