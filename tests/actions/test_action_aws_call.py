"""aws_call."""
# ruff: noqa: N803 - the fakes take AWS's own parameter names

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from monitor.actions.aws_call import ACTION
from monitor.aws.operations import Operations
from monitor.plugin import ActionError, Held, Reason, Risk
from monitor.testing import EPOCH, FakeActionContext, assert_action_conforms, run_action

TABLE = {"TableName": "etl"}
READ = {"operation": "DescribeTable", "parameters": TABLE, "query": "Table.BillingModeSummary.BillingMode"}
UNDO = {"operation": "UpdateTable", "parameters": {**TABLE, "BillingMode": "${prior}"}}
UPDATE = {
    "service": "dynamodb",
    "operation": "UpdateTable",
    "parameters": {**TABLE, "BillingMode": "PAY_PER_REQUEST"},
}
RESTORABLE = {**UPDATE, "capture": READ, "undo": UNDO, "risk": "reversible"}
INVOKE = {"service": "lambda", "operation": "Invoke", "parameters": {"FunctionName": "ingest", "Payload": "s3cret"}}


class Table:
    """A table that remembers its billing mode."""

    def __init__(self, mode="PROVISIONED"):
        self.mode = mode

    @property
    def replies(self):
        return {
            "dynamodb.DescribeTable": lambda **p: {"Table": {"BillingModeSummary": {"BillingMode": self.mode}}},
            "dynamodb.UpdateTable": self.update,
        }

    def update(self, *, TableName, BillingMode):
        self.mode = BillingMode
        return {}


@pytest.mark.parametrize("before", ["PROVISIONED", "PAY_PER_REQUEST"])
async def test_a_restorable_call_keeps_the_contract_of_a_property(fake, before):
    """Applied, applied again without effect, undone with the captured value."""
    params = {**RESTORABLE, "expect": "PAY_PER_REQUEST"}
    await assert_action_conforms(ACTION, params, lambda: fake(Table(before).replies))


async def test_without_expect_the_value_that_shows_afterwards_counts(fake):
    """It changed: applied. It did not: the receipt says so and verifies nothing."""
    params = {**UPDATE, "capture": READ}
    run = await run_action(ACTION, params, fake(Table().replies))
    assert (run.receipt.prior, run.receipt.applied) == ("PROVISIONED", "PAY_PER_REQUEST")
    assert (run.receipt.changed, run.receipt.verified) == (True, True)
    deaf = fake({**Table().replies, "dynamodb.UpdateTable": {}})
    run = await run_action(ACTION, params, deaf)
    assert (run.receipt.changed, run.receipt.verified) == (False, False)
    assert deaf.count("dynamodb.UpdateTable") == 1


def test_what_a_restorable_call_aims_at_is_always_known():
    """Said, or read off the call's own parameters where the undo has the captured value; else refused."""
    assert ACTION.plan(ACTION.params(**RESTORABLE), EPOCH).wanted == "PAY_PER_REQUEST"
    assert ACTION.plan(ACTION.params(**RESTORABLE, expect=None), EPOCH).wanted is None
    other = {"operation": "UpdateTable", "parameters": {**TABLE, "TableClass": "${prior}"}}
    with pytest.raises(ValueError, match="`undo` needs `expect`"):
        ACTION.params(**{**RESTORABLE, "undo": other})
    with pytest.raises(ValueError, match="`undo` needs `expect`"):
        ACTION.params(**{**RESTORABLE, "undo": {**UNDO, "operation": "RestoreTable"}})


async def test_an_expected_value_that_never_shows_is_a_failure(fake):
    """Retryable: tables take a while."""
    aws = fake({**Table().replies, "dynamodb.UpdateTable": {}})
    with pytest.raises(ActionError, match="reads back as PROVISIONED") as caught:
        await run_action(ACTION, {**RESTORABLE, "expect": "PAY_PER_REQUEST"}, aws)
    assert caught.value.reason is Reason.UNAVAILABLE


async def test_without_capture_nothing_is_claimed(fake):
    """It was sent; nobody saw an effect."""
    run = await run_action(ACTION, UPDATE, fake(Table().replies))
    assert (run.change.property, run.prior) == (None, None)
    assert (run.receipt.verified, run.receipt.detail) == (False, "effect not read back")


async def test_capture_without_undo_is_read_back_but_nobody_holds_it(fake):
    """Recovery must not try to undo what has no undo."""
    run = await run_action(ACTION, {**UPDATE, "capture": READ, "expect": "PAY_PER_REQUEST"}, fake(Table().replies))
    assert run.change.property is None
    assert (run.receipt.verified, run.receipt.changed, run.receipt.applied) == (True, True, "PAY_PER_REQUEST")


@pytest.mark.parametrize(
    ("ambiguous", "again"),
    [(True, 0), (False, 1)],
)
async def test_a_call_that_may_have_been_made_is_not_repeated(fake, ambiguous, again):
    """Invoke has an effect each time; only a clear refusal permits another attempt."""
    error = ActionError(Reason.TIMEOUT, "no answer", ambiguous=ambiguous)
    aws = fake({"lambda.Invoke": error})
    context = FakeActionContext(aws)
    change = ACTION.plan(ACTION.params(**INVOKE), EPOCH)
    with pytest.raises(ActionError):
        await ACTION.apply(change, context)
    aws.replies["lambda.Invoke"] = {"StatusCode": 200}
    receipt = await ACTION.apply(change, context)
    assert aws.count("lambda.Invoke") == 1 + again
    assert receipt.verified is False
    assert ("may have been made" in receipt.detail) is ambiguous


async def test_a_gate_that_closed_before_the_call_leaves_it_to_be_made(fake):
    """Held means nothing was sent."""
    aws = fake({"lambda.Invoke": {"StatusCode": 200}})
    aws.held = Held("approval", "waits")
    context = FakeActionContext(aws)
    change = ACTION.plan(ACTION.params(**INVOKE), EPOCH)
    with pytest.raises(Held):
        await ACTION.apply(change, context)
    aws.held = None
    await ACTION.apply(change, context)
    assert aws.count("lambda.Invoke") == 1


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "idempotent"),
    [
        ("lambda", "Invoke", {"FunctionName": "f"}, False),
        ("sns", "Publish", {"Message": "m"}, False),
        ("sqs", "SendMessage", {"QueueUrl": "u", "MessageBody": "b"}, False),
        ("sqs", "send-message", {"QueueUrl": "u", "MessageBody": "b"}, False),
        ("stepfunctions", "StartExecution", {"stateMachineArn": "a"}, False),
        ("stepfunctions", "StartExecution", {"stateMachineArn": "a", "name": "n"}, True),
        ("events", "PutEvents", {"Entries": []}, False),
        ("events", "PutRule", {"Name": "r"}, True),
        ("dynamodb", "UpdateTable", TABLE, True),
        ("dynamodb", "UpdateItem", {**TABLE, "Key": {}}, False),
        ("glue", "BatchStopJobRun", {"JobName": "j", "JobRunIds": ["r"]}, False),
    ],
)
async def test_only_calls_known_to_be_repeatable_are_repeated(service, operation, parameters, idempotent):
    """The safe side for everything else."""

    class Asked:
        said = None

        async def mutate(self, service, operation, *, idempotent=True, **params):
            self.said = idempotent
            return {}

    asked = Asked()
    context = FakeActionContext(asked)
    change = ACTION.plan(ACTION.params(service=service, operation=operation, parameters=parameters), EPOCH)
    await ACTION.apply(change, context)
    assert asked.said is idempotent


@pytest.mark.parametrize(
    ("operation", "risk", "real"),
    [
        ("UpdateTable", "reversible", Risk.REVERSIBLE),
        ("UpdateTable", None, Risk.DISRUPTIVE),
        ("DeleteTable", "reversible", Risk.DESTRUCTIVE),
        ("delete-table", "reversible", Risk.DESTRUCTIVE),
        ("BatchDeleteImage", "disruptive", Risk.DESTRUCTIVE),
        ("PurgeQueue", "reversible", Risk.DESTRUCTIVE),
        ("TerminateInstances", "reversible", Risk.DESTRUCTIVE),
        ("ScheduleKeyDeletion", "reversible", Risk.DESTRUCTIVE),
        ("CancelKeyDeletion", "reversible", Risk.REVERSIBLE),
    ],
)
def test_what_deletes_is_destructive_whatever_it_is_called(operation, risk, real):
    """Config can make a call riskier, never milder than it is."""
    params = {"service": "x", "operation": operation} | ({"risk": risk} if risk else {})
    assert ACTION.risk_of(ACTION.params(**params)) is real


@pytest.mark.parametrize("prior", ["text", 7, True, ["a"], {"k": "v"}, 0, False])
async def test_the_captured_value_keeps_its_type_in_the_undo(prior):
    """`${prior}` alone is the value itself; within a text it is written out."""
    sent = {}

    class Aws:
        live = "old"

        async def call(self, service, operation, **params):
            return {"Value": self.live}

        async def mutate(self, service, operation, *, idempotent=True, **params):
            sent.update(params)
            self.live = prior if "A" in params else "new"
            return {}

    undo = {"operation": "PutX", "parameters": {"A": "${prior}", "B": ["was ${prior}", {"C": "${prior}"}], "D": 1}}
    read = {"operation": "GetX", "query": "Value"}
    change = ACTION.plan(ACTION.params(service="s", operation="PutX", capture=read, undo=undo, expect="new"), EPOCH)
    context = FakeActionContext(Aws())
    receipt = await ACTION.apply(change, context)
    undone = await ACTION.undo(replace(receipt, prior=prior), context)
    assert (sent["A"], type(sent["A"])) == (prior, type(prior))
    assert sent["B"][1]["C"] == prior
    assert sent["D"] == 1
    if prior == 7:
        assert sent["B"][0] == "was 7"
    assert (undone.applied, undone.changed) == (prior, True)


async def test_an_undo_that_needs_a_value_says_so_where_there_was_none(fake):
    """Guessing what 'unset' means for an arbitrary call would not be restoring."""
    table = Table(None)
    run = await run_action(ACTION, {**RESTORABLE, "expect": "PAY_PER_REQUEST"}, fake(table.replies))
    assert run.prior is None
    with pytest.raises(ActionError, match="unset before") as caught:
        await run.undo(ACTION)
    assert caught.value.reason is Reason.INVALID


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({**UPDATE, "undo": UNDO}, "need a `capture`"),
        ({**UPDATE, "expect": 1}, "need a `capture`"),
        ({**UPDATE, "capture": {**READ, "query": "Table..x"}}, "JMESPath"),
        ({**UPDATE, "risk": "notify"}, "reversible"),
    ],
)
def test_half_a_configuration_is_refused(broken, message):
    """At load, not during an incident."""
    with pytest.raises(ValueError, match=message):
        ACTION.params(**broken)


def test_the_summary_keeps_parameters_to_itself():
    """They may hold payloads and secrets; the object acted on is named."""
    change = ACTION.plan(ACTION.params(**INVOKE), EPOCH)
    assert change.summary == "call lambda:Invoke on lambda/ingest"
    change = ACTION.plan(ACTION.params(service="x", operation="Y", parameters={"Secret": "s"}), EPOCH)
    assert change.resource == "x/Y"


def test_one_value_is_one_property():
    """Two steps that read the same thing meet in one claim; another query is another property."""
    first = ACTION.plan(ACTION.params(**RESTORABLE), EPOCH)
    other = {**RESTORABLE, "parameters": {**TABLE, "BillingMode": "PROVISIONED"}}
    assert ACTION.plan(ACTION.params(**other), EPOCH).property == first.property
    assert first.property.startswith("dynamodb:DescribeTable:")
    moved = {**RESTORABLE, "capture": {**READ, "query": "Table.TableStatus"}}
    assert ACTION.plan(ACTION.params(**moved), EPOCH).property != first.property


async def test_times_are_captured_as_text_and_bytes_refused(fake):
    """The journal is JSON."""
    params = {**RESTORABLE, "capture": {**READ, "query": "Table.X"}}
    change = ACTION.plan(ACTION.params(**params), EPOCH)
    aws = fake({"dynamodb.DescribeTable": {"Table": {"X": datetime(2026, 1, 2, tzinfo=UTC)}}})
    assert await ACTION.capture(change, FakeActionContext(aws)) == "2026-01-02 00:00:00+00:00"
    with pytest.raises(ActionError, match="binary"):
        await ACTION.capture(change, FakeActionContext(fake({"dynamodb.DescribeTable": {"Table": {"X": b"\x00"}}})))


def test_every_operation_named_is_checked_against_the_service_models():
    """The call, the read and the undo; a placeholder fits any scalar."""
    operations = Operations()

    def problems(params):
        return [problem for use in ACTION.operations(ACTION.params(**params)) for problem in operations.problems(use)]

    assert problems(RESTORABLE) == []
    wrong = {**RESTORABLE, "parameters": {**TABLE, "BilingMode": "x"}, "expect": "x"}
    assert "BilingMode" in str(problems(wrong))
    assert problems({**RESTORABLE, "capture": {**READ, "operation": "DeleteTable"}})
    assert problems({**RESTORABLE, "undo": {"operation": "DescribeTable", "parameters": TABLE}, "expect": 1})
