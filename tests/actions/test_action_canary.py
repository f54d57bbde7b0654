"""canary."""
# ruff: noqa: N803 - the fakes take AWS's own parameter names

import pytest

from monitor.actions.canary import ACTION
from monitor.plugin import ActionError, Reason
from monitor.testing import FakeActionContext, run_action

MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:jaunt-discovery"
PARAMS = {"state_machine": "jaunt-discovery", "input": {"city": "lisbon"}, "within": "5m"}


class Machine:
    """Executions that end as `status` after `after` looks."""

    def __init__(self, status="SUCCEEDED", after=3, kind="STANDARD", error=None):
        self.status, self.after, self.kind, self.error = status, after, kind, error
        self.started, self.looks, self.stopped, self.lost = [], {}, [], False

    @property
    def replies(self):
        return {
            "stepfunctions.DescribeStateMachine": {"type": self.kind},
            "stepfunctions.StartExecution": self.start,
            "stepfunctions.DescribeExecution": self.describe,
            "stepfunctions.StopExecution": self.stop,
        }

    def start(self, *, stateMachineArn, name, input):
        assert stateMachineArn == MACHINE
        arn = f"{MACHINE.replace('stateMachine', 'execution')}:{name}"
        if arn in self.started and self.looks.get(arn, 0) >= self.after:
            raise ActionError(Reason.INVALID, "stepfunctions:StartExecution: ExecutionAlreadyExists: there")
        if arn not in self.started:
            self.started.append(arn)
        if self.lost:
            self.lost = False
            raise ActionError(Reason.TIMEOUT, "no answer in time")
        return {"executionArn": arn}

    def describe(self, *, executionArn):
        self.looks[executionArn] = self.looks.get(executionArn, 0) + 1
        ended = self.looks[executionArn] > self.after
        status = {"status": self.status if ended else "RUNNING"}
        return status | ({"error": self.error, "cause": "token hunter2"} if ended and self.error else {})

    def stop(self, *, executionArn, error, cause):
        self.stopped.append(executionArn)
        return {}


async def test_a_canary_that_succeeds_lets_the_steps_go_on(fake):
    """One execution, named, watched to its end."""
    machine = Machine()
    run = await run_action(ACTION, PARAMS, fake(machine.replies, action=ACTION))
    assert run.receipt.data["execution"] == machine.started[0]
    assert run.receipt.detail == "succeeded within 15 s"


@pytest.mark.parametrize("status", ["FAILED", "TIMED_OUT", "ABORTED"])
async def test_a_canary_that_fails_fails_the_step_for_good(fake, status):
    """Permanent: what follows holds; the retries of the step start no second one; the cause is not told."""
    machine = Machine(status, error="States.TaskFailed")
    context = FakeActionContext(fake(machine.replies, action=ACTION))
    for _ in range(2):
        with pytest.raises(ActionError, match=f"ended as {status} .States.TaskFailed.") as caught:
            await run_action(ACTION, PARAMS, context.aws, context)
        assert caught.value.reason is Reason.INVALID
        assert "hunter2" not in caught.value.detail
    assert len(machine.started) == 1


async def test_a_late_canary_is_stopped_and_counts_as_failed(fake):
    """Within means from its start, whatever restarts lie between."""
    machine = Machine(after=10_000)
    aws = fake(machine.replies, action=ACTION)
    began = aws.clock.now()
    with pytest.raises(ActionError, match="did not end within 5m and was stopped"):
        await run_action(ACTION, PARAMS, aws)
    assert machine.stopped == machine.started
    assert (aws.clock.now() - began).total_seconds() == 300


async def test_a_canary_whose_start_is_in_doubt_is_started_once(fake):
    """Its name was remembered before: the next attempt means the same execution."""
    machine = Machine()
    machine.lost = True
    context = FakeActionContext(fake(machine.replies, action=ACTION))
    with pytest.raises(ActionError):
        await run_action(ACTION, PARAMS, context.aws, context)
    await run_action(ACTION, PARAMS, context.aws, context)
    assert len(machine.started) == 1


async def test_a_canary_that_ended_while_nobody_watched_is_judged(fake):
    """AWS refuses its name by then."""
    machine = Machine(after=0)
    context = FakeActionContext(fake(machine.replies, action=ACTION))
    machine.lost = True
    with pytest.raises(ActionError):
        await run_action(ACTION, PARAMS, context.aws, context)
    run = await run_action(ACTION, PARAMS, context.aws, context)
    assert (len(machine.started), run.receipt.changed) == (1, True)


async def test_more_attempts_are_more_executions(fake):
    """Only where they are asked for."""
    machine = Machine("FAILED")
    context = FakeActionContext(fake(machine.replies, action=ACTION))
    for _ in range(4):
        with pytest.raises(ActionError):
            await run_action(ACTION, {**PARAMS, "attempts": 2}, context.aws, context)
    assert len(set(machine.started)) == len(machine.started) == 2


async def test_an_express_machine_cannot_be_a_canary(fake):
    """Its executions can't be described."""
    with pytest.raises(ActionError, match="Express"):
        await run_action(ACTION, PARAMS, fake(Machine(kind="EXPRESS").replies))
