"""`validate --online` against the emulator: dead checks, dead steps, denied calls, each at its place."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, suppress

import pytest
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from typer.testing import CliRunner

from monitor.cli.main import build
from monitor.demo.emulator import child
from monitor.demo.emulator.child import ACCOUNT, KEYS, REGION, Child, Side

pytestmark = pytest.mark.process
HERE = f"{REGION}:{ACCOUNT}"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/lambda"


@pytest.fixture(scope="module")
def emulator() -> Iterator[Child]:
    """The process."""
    with child.start() as running:
        yield running


@pytest.fixture
async def side(emulator: Child) -> AsyncIterator[Side]:
    """Its side door, everything reset."""
    async with Side(emulator.url) as door:
        await door.post("reset")
        yield door
        await door.post("reset")


@pytest.fixture
async def aws(emulator: Child, side: Side):
    """`await aws("sqs")`."""
    async with AsyncExitStack() as stack:

        async def client(service: str):
            making = get_session().create_client(
                service,
                region_name=REGION,
                endpoint_url=emulator.url,
                aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
                config=AioConfig(retries={"total_max_attempts": 1}),
            )
            return await stack.enter_async_context(making)

        yield client


@pytest.fixture
def asked(emulator: Child, tmp_path, monkeypatch):
    """`await asked(text)`: (exit code, findings as (severity, path, line, message, suggestion))."""
    for name, value in emulator.environment().items():
        monkeypatch.setenv(name, value)

    async def ask(text: str, *more: str):
        file = tmp_path / "p.yaml"
        file.write_text(text)
        command = ["validate", str(file), "--online", "-o", "json", *more]
        done = await asyncio.to_thread(CliRunner().invoke, build(), command)
        assert done.exit_code in (0, 1), done.output
        rows = json.loads(done.stdout)["findings"]
        return done.exit_code, [
            (one["severity"], one["path"], one["line"], one["message"], one["suggestion"]) for one in rows
        ]

    return ask


HEAD = "pipeline: p\naws: {region: us-east-1}\nchecks:\n"
DEPTH = HEAD + "  depth: {kind: queue_depth, queues: [orders]}\n"


def acting(step: str) -> str:
    """A file with one step."""
    return DEPTH + f"breakers:\n  b:\n    trip_when: depth.visible\n    mode: auto\n    on_trip:\n      - {step}\n"


async def function(aws, name: str, *, alias: str | None = None) -> None:
    """A function, perhaps served through an alias."""
    functions, roles = await aws("lambda"), await aws("iam")
    with suppress(roles.exceptions.EntityAlreadyExistsException):
        await roles.create_role(RoleName="lambda", AssumeRolePolicyDocument="{}")
    await functions.create_function(
        FunctionName=name, Runtime="python3.12", Role=ROLE, Handler="h", Code={"ZipFile": b"x"}, Publish=True
    )
    if alias is not None:
        await functions.create_alias(FunctionName=name, Name=alias, FunctionVersion="1")


async def test_a_world_that_fits_has_no_finding(aws, asked):
    """Queue and rule exist, everything is permitted: exit code 0."""
    await (await aws("sqs")).create_queue(QueueName="orders")
    await (await aws("events")).put_rule(Name="etl", EventPattern="{}")
    assert await asked(acting("disable_rule: {rule: etl}")) == (0, [])


async def test_what_does_not_exist_is_found_where_it_is_named(aws, asked):
    """A queue and a rule with a slip in their names; the breaker that sees nothing is named too."""
    await (await aws("sqs")).create_queue(QueueName="order")
    code, found = await asked(acting("disable_rule: {rule: elt}"))
    assert code == 1
    by_path = {path: (severity, line, message, todo) for severity, path, line, message, todo in found}
    severity, line, message, todo = by_path["checks.depth"]
    assert (severity, line) == ("error", 4)
    assert "orders" in message
    assert "correct the name" in todo
    assert by_path["breakers.b.on_trip[0]"][1] == 10
    assert "disable_rule" in by_path["breakers.b.on_trip[0]"][2]
    assert by_path["breakers.b.trip_when"][2].startswith("can never trip")


@pytest.mark.parametrize(("kind", "step"), [
    ("function", "set_lambda_concurrency: {function: ghost, reserved: 5}"),
    ("alias", "rollback_alias: {function: ghost, alias: live}"),
    ("table", "scale_table: {table: ghost, read: 5}"),
    ("queue", "purge_queue: {queue: ghost}"),
    ("schedule", "set_schedule: {schedule: ghost, state: DISABLED}"),
])  # fmt: skip
async def test_a_step_on_nothing_is_found(aws, asked, kind, step):
    """Every action reads what it would change; here there is nothing to read."""
    await (await aws("sqs")).create_queue(QueueName="orders")
    code, found = await asked(acting(step))
    assert code == 1, kind
    [(severity, path, line, message, _)] = found
    assert (severity, path, line) == ("error", "breakers.b.on_trip[0]", 10)
    assert step.split(":")[0] in message


async def test_a_glob_that_matches_nothing_is_found(aws, asked):
    """No target is no observation: nothing would ever trip."""
    await (await aws("sqs")).create_queue(QueueName="orders")
    code, found = await asked(HEAD + "  depth: {kind: queue_depth, queues: ['jobs-*']}\n")
    assert code == 1
    assert found[0][:3] == ("error", "checks.depth", 4)
    assert "nothing matches" in found[0][3]


METRIC = (
    HEAD
    + """  errors:
    kind: metric
    window: 5m
    metrics:
      e: {namespace: App, metric: Failures, dimensions: DIMENSIONS}
"""
)


async def test_a_metric_under_other_dimensions_is_hinted_at(side, asked):
    """With exactly these dimensions there is none; which sets and values there are is said."""
    points = [
        {"namespace": "App", "metric": "Failures", "value": 1, "ago": 60, "dimensions": {"Stage": x, "Service": "api"}}
        for x in ("prod", "test")
    ]
    await side.post("metrics", points=points)
    assert await asked(METRIC.replace("DIMENSIONS", "{Stage: prod, Service: api}")) == (0, [])
    code, found = await asked(METRIC.replace("DIMENSIONS", "{Stage: prod}"))
    assert code == 1
    assert found[0][:3] == ("error", "checks.errors.metrics.e", 8)
    assert "it exists by: Service+Stage" in found[0][4]
    _, found = await asked(METRIC.replace("DIMENSIONS", "{Stage: prd, Service: api}"))
    assert "there are: Service=api, Stage=prod" in found[0][4] or "Stage=prod" in found[0][4]
    _, found = await asked(METRIC.replace("DIMENSIONS", "{}").replace("Failures", "Failure"))
    assert "no metric Failure" in found[0][3]


async def test_capacity_of_an_on_demand_table_is_found(aws, asked):
    """B3, B5: AWS refuses units there."""
    await (await aws("sqs")).create_queue(QueueName="orders")
    await (await aws("dynamodb")).create_table(
        TableName="meta", BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
    )  # fmt: skip
    code, found = await asked(acting("scale_table: {table: meta, read: 50}"))
    assert code == 1
    assert "on demand" in " ".join(one[3] for one in found)
    written = (
        "aws_call: {service: dynamodb, operation: UpdateTable, parameters: {TableName: meta,"
        " ProvisionedThroughput: {ReadCapacityUnits: 5, WriteCapacityUnits: 5}}}"
    )
    _, found = await asked(acting(written))
    assert any(severity == "error" and "on demand" in message for severity, _, _, message, _ in found)


async def test_a_setting_that_live_traffic_never_sees_is_found(aws, asked):
    """B9, B13: the function is served through an alias, and the step changes the unpublished version."""
    await (await aws("sqs")).create_queue(QueueName="orders")
    await function(aws, "api", alias="LIVE")
    code, found = await asked(acting("set_memory: {function: api, memory: 512, unreleased: true}"))
    assert code == 1
    [(severity, _, _, message, todo)] = found
    assert severity == "error"
    assert "LIVE" in message
    assert "alias: LIVE" in todo
    code, found = await asked(acting("set_memory: {function: api, memory: 512, alias: LIVE}"))
    assert (code, found) == (0, [])


async def test_dead_letters_of_a_function_have_nowhere_to_go_back_to(aws, asked):
    """C1: no queue sends them here, so a move task is refused."""
    queues = await aws("sqs")
    await queues.create_queue(QueueName="orders")
    await queues.create_queue(QueueName="function-dlq")
    code, found = await asked(acting("redrive_queue: {queue: function-dlq}"))
    assert code == 1
    assert "dead-letter queue" in " ".join(one[3] for one in found)
    assert await asked(acting("redrive_queue: {queue: function-dlq, to: orders}")) == (0, [])


async def test_a_call_that_is_not_permitted_is_found(aws, side, asked):
    """IAM's simulation says it before the incident does; an observing breaker needs nothing."""
    await (await aws("sqs")).create_queue(QueueName="orders")
    await (await aws("events")).put_rule(Name="etl", EventPattern="{}")
    reads = [{"Effect": "Allow", "Resource": "*", "Action": ["sqs:*", "cloudwatch:*", "events:Describe*"]}]
    await side.post("iam", statements=reads, agent="tripswitch")
    code, found = await asked(acting("disable_rule: {rule: etl}"))
    assert code == 1
    denied = {message for severity, _, _, message, _ in found if severity == "error"}
    rule = f"arn:aws:events:{HERE}:rule/etl"
    assert denied == {f"not permitted: events:{name} on {rule}" for name in ("DisableRule", "EnableRule", "PutRule")}
    code, found = await asked(acting("disable_rule: {rule: etl}").replace("mode: auto", "mode: observe"))
    assert (code, found) == (0, [])


async def test_what_can_not_be_told_is_a_note(aws, side, asked):
    """Without iam:SimulatePrincipalPolicy nothing is guessed, and the exit code stays 0."""
    await (await aws("sqs")).create_queue(QueueName="orders")
    await side.post("iam", simulate=False)
    code, found = await asked(DEPTH)
    assert code == 0
    [(severity, _, _, message, todo)] = found
    assert severity == "note"
    assert "could not be told" in message
    assert "iam:SimulatePrincipalPolicy" in todo


async def test_the_linter_changes_nothing(aws, side, asked):
    """Whatever the steps are."""
    await (await aws("sqs")).create_queue(QueueName="orders")
    await function(aws, "api")
    await side.post("reset-log")
    await asked(acting("purge_queue: {queue: orders}\n      - set_lambda_concurrency: {function: api, reserved: 5}"))
    counts = (await side.get("log"))["counts"]
    assert counts
    changing = [name for name in counts if not name.split(":")[1].startswith(("Get", "List", "Describe", "Simulate"))]
    assert changing == []


async def test_annotations_for_a_workflow(asked, emulator, tmp_path):
    """`--output github`: one command per finding."""
    file = tmp_path / "g.yaml"
    file.write_text(DEPTH)
    command = ["validate", str(file), "--online", "-o", "github", "--endpoint", emulator.url]
    done = await asyncio.to_thread(CliRunner().invoke, build(), command)
    assert done.exit_code == 1
    assert f"::error file={file},line=4,col=" in done.stdout
    assert "1 finding" in done.stderr
