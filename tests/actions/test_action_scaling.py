"""set_schedule, set_provisioned_concurrency, scale_event_source."""
# ruff: noqa: N803 - the fakes take AWS's own parameter names

from datetime import UTC, datetime

import pytest

from monitor.actions.scale_event_source import ACTION as SCALE
from monitor.actions.set_provisioned_concurrency import ACTION as WARM
from monitor.actions.set_schedule import ACTION as SCHEDULE
from monitor.plugin import ActionError, Reason
from monitor.testing import FakeActionContext, assert_action_conforms, run_action

WHOLE = {
    "Arn": "arn:aws:scheduler:us-east-1:123456789012:schedule/default/nightly", "Name": "nightly",
    "GroupName": "default", "ScheduleExpression": "rate(1 hour)", "ScheduleExpressionTimezone": "Australia/Sydney",
    "FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15}, "Description": "loads",
    "Target": {
        "Arn": "arn:aws:lambda:us-east-1:123456789012:function:f", "RoleArn": "arn:aws:iam::123456789012:role/r",
        "Input": "{}", "RetryPolicy": {"MaximumRetryAttempts": 3},
    },
    "ActionAfterCompletion": "NONE", "StartDate": datetime(2026, 1, 1, tzinfo=UTC), "EndDate": None,
    "CreationDate": datetime(2026, 1, 1, tzinfo=UTC), "LastModificationDate": datetime(2026, 1, 2, tzinfo=UTC),
}  # fmt: skip


class Schedule:
    """UpdateSchedule replaces: what is not given is gone."""

    def __init__(self, state="ENABLED"):
        self.row = {**WHOLE, "State": state}

    @property
    def replies(self):
        return {
            "scheduler.GetSchedule": lambda *, Name, GroupName: dict(self.row),
            "scheduler.UpdateSchedule": self.put,
        }

    def put(self, **given):
        kept = {name: self.row[name] for name in ("Arn", "CreationDate", "LastModificationDate")}
        self.row = {**kept, "State": "ENABLED", "EndDate": None, **given}
        return {"ScheduleArn": self.row["Arn"]}


@pytest.mark.parametrize("before", ["ENABLED", "DISABLED"])
@pytest.mark.parametrize("state", ["ENABLED", "DISABLED"])
async def test_a_schedule_is_paused_and_nothing_else_changes(fake, before, state):
    """Zone, window, target, retries: a full replacement keeps them all, and undo restores the state."""
    schedule = Schedule(before)
    params = {"schedule": "nightly", "state": state}
    await assert_action_conforms(SCHEDULE, params, lambda: fake(schedule.replies))
    assert schedule.row == {**WHOLE, "State": before}
    await run_action(SCHEDULE, params, fake(schedule.replies))
    assert schedule.row == {**WHOLE, "State": state}


def test_a_schedules_arn_names_its_group():
    """`schedule/GROUP/NAME`; two breakers share one claim however it is written."""
    arn = "arn:aws:scheduler:us-east-1:123456789012:schedule/night/load"
    for given in ({"schedule": arn}, {"schedule": "load", "group": "night"}):
        change = SCHEDULE.plan(SCHEDULE.params(**given, state="DISABLED"), None)
        assert change.resource == "scheduler/night/load"
        assert change.summary == "pause the schedule load of the group night"
    assert SCHEDULE.restrictive(["ENABLED", "DISABLED"]) == "DISABLED"


class Warm:
    """Provisioned concurrency that takes `slow` reads to be there."""

    def __init__(self, amount=None, slow=0, status="READY"):
        self.amount, self.slow, self.left, self.status = amount, slow, 0, status

    @property
    def replies(self):
        return {
            "lambda.ListProvisionedConcurrencyConfigs": self.list,
            "lambda.PutProvisionedConcurrencyConfig": self.put,
            "lambda.DeleteProvisionedConcurrencyConfig": self.delete,
        }

    def list(self, *, FunctionName):
        row = {
            "RequestedProvisionedConcurrentExecutions": self.amount,
            "AllocatedProvisionedConcurrentExecutions": self.amount if not self.left else 0,
            "Status": "IN_PROGRESS" if self.left else self.status, "StatusReason": "not enough",
            "FunctionArn": "arn:aws:lambda:us-east-1:123456789012:function:api:LIVE",
        }  # fmt: skip
        self.left = max(0, self.left - 1)
        other = {**row, "FunctionArn": row["FunctionArn"].replace("LIVE", "BETA"), "Status": "READY"}
        pages = [{"ProvisionedConcurrencyConfigs": [{**other, "RequestedProvisionedConcurrentExecutions": 7}]}]
        return [*pages, {"ProvisionedConcurrencyConfigs": [row]}] if self.amount is not None else pages

    def put(self, *, FunctionName, Qualifier, ProvisionedConcurrentExecutions):
        self.amount, self.left = ProvisionedConcurrentExecutions, self.slow
        return {}

    def delete(self, *, FunctionName, Qualifier):
        self.amount = None
        return {}


@pytest.mark.parametrize("before", [None, 10, 50])
async def test_warm_environments_are_taken_away_again(fake, before):
    """A number comes back as it was; where there was none, the configuration is deleted, or it costs on."""
    warm = Warm(before, slow=3)
    params = {"function": "api", "qualifier": "LIVE", "amount": 50}
    await assert_action_conforms(WARM, params, lambda: fake(warm.replies, action=WARM))
    assert warm.amount == before


async def test_it_waits_until_they_are_warm(fake):
    """IN_PROGRESS serves nobody yet; progress is told."""
    warm = Warm(slow=4)
    context = FakeActionContext(fake(warm.replies, action=WARM))
    run = await run_action(WARM, {"function": "api", "qualifier": "LIVE", "amount": 50}, context.aws, context)
    assert (run.receipt.applied, context.steps[0]) == (50, (0, 50))


async def test_what_aws_cannot_allocate_is_told(fake):
    """FAILED is permanent."""
    with pytest.raises(ActionError, match="not enough") as caught:
        await run_action(
            WARM, {"function": "api", "qualifier": "LIVE", "amount": 50}, fake(Warm(status="FAILED").replies)
        )
    assert caught.value.reason is Reason.INVALID


def test_the_unpublished_version_is_refused():
    """The runbook left the qualifier out: AWS wants one, and not $LATEST."""
    for given in ({"function": "f", "amount": 1}, {"function": "f", "amount": 1, "qualifier": "$LATEST"}):
        with pytest.raises(ValueError, match="qualifier"):
            WARM.params(**given)
    assert WARM.restrictive([5, None, 50]) == 50


A, B, C, NEW = (letter * 36 for letter in "abcn")


class Mappings:
    """A queue, another one, a stream."""

    def __init__(self):
        queue = "arn:aws:sqs:us-east-1:123456789012:"
        self.rows = {
            A: {"EventSourceArn": queue + "a", "BatchSize": 10, "ScalingConfig": {"MaximumConcurrency": 5}},
            B: {"EventSourceArn": queue + "b", "BatchSize": 10},
            C: {"EventSourceArn": "arn:aws:kinesis:us-east-1:123456789012:stream/s", "BatchSize": 100,
                "ParallelizationFactor": 1},
        }  # fmt: skip
        self.fail_at = None

    @property
    def replies(self):
        return {
            "lambda.ListEventSourceMappings": lambda *, FunctionName: {"EventSourceMappings": [*self.all().values()]},
            "lambda.GetEventSourceMapping": lambda *, UUID: self.all()[UUID],
            "lambda.UpdateEventSourceMapping": self.update,
        }

    def all(self):
        return {uuid: {"UUID": uuid, "State": "Enabled", **row} for uuid, row in self.rows.items()}

    def update(self, *, UUID, **changes):
        if self.fail_at == UUID:
            self.fail_at = None
            raise ActionError(Reason.UNAVAILABLE, "HTTP 500")
        self.rows[UUID] = {**self.rows[UUID], **changes}
        if changes.get("ScalingConfig") == {}:
            del self.rows[UUID]["ScalingConfig"]
        return {}


@pytest.mark.parametrize(
    "settings",
    [
        {"maximum_concurrency": 50},
        {"batch_size": 5},
        {"parallelization": 10},
        {"maximum_concurrency": 50, "parallelization": 2, "batch_size": 20},
    ],
)
async def test_each_mapping_gets_its_own_values_back(fake, settings):
    """Unset too; a setting goes only to mappings that know it."""
    mappings = Mappings()
    before = {uuid: dict(row) for uuid, row in mappings.rows.items()}
    aws = fake(mappings.replies, action=SCALE)
    await assert_action_conforms(SCALE, {"function": "f", **settings}, lambda: aws)
    assert mappings.rows == before
    sent = [name for call in aws.mutations for name in call.params if call.params["UUID"] == C]
    assert "ScalingConfig" not in sent


async def test_a_mapping_that_came_later_is_not_ours(fake):
    """Neither drift, nor touched by the undo."""
    mappings = Mappings()
    context = FakeActionContext(fake(mappings.replies, action=SCALE))
    run = await run_action(SCALE, {"function": "f", "batch_size": 5}, context.aws, context)
    mappings.rows[NEW] = {"EventSourceArn": "arn:aws:sqs:us-east-1:123456789012:n", "BatchSize": 3}
    assert await SCALE.capture(run.change, context) == run.receipt.applied
    await run.undo(SCALE)
    assert [row["BatchSize"] for row in mappings.rows.values()] == [10, 10, 100, 3]


async def test_scaling_cut_off_between_two_mappings_is_resumed(fake):
    """Half done reads as where it started."""
    mappings = Mappings()
    context = FakeActionContext(fake(mappings.replies, action=SCALE))
    mappings.fail_at = B
    with pytest.raises(ActionError):
        await run_action(SCALE, {"function": "f", "batch_size": 5}, context.aws, context)
    change = SCALE.plan(SCALE.params(function="f", batch_size=5), None)
    assert await SCALE.capture(change, context) == {
        A: {"batch_size": 10},
        B: {"batch_size": 10},
        C: {"batch_size": 100},
    }
    assert [row["BatchSize"] for row in mappings.rows.values()] == [5, 10, 100]
    run = await run_action(SCALE, {"function": "f", "batch_size": 5}, context.aws, context)
    assert run.receipt.applied == {uuid: {"batch_size": 5} for uuid in (A, B, C)}


async def test_a_function_whose_sources_cannot_be_told_so_is_an_error(fake):
    """Scaling nothing must not look like success."""
    mappings = Mappings()
    del mappings.rows[C]
    with pytest.raises(ActionError, match="knows parallelization"):
        await run_action(SCALE, {"function": "f", "parallelization": 2}, fake(mappings.replies))
    with pytest.raises(ValueError, match="at least one"):
        SCALE.params(function="f")
