"""set_lambda_concurrency."""
# ruff: noqa: N803 - the fakes take AWS's own parameter names

import pytest

from monitor.actions.set_lambda_concurrency import ACTION
from monitor.plugin import ActionError, ProbeError, Reason
from monitor.testing import assert_action_conforms, run_action


class Account:
    """A function's reservation in an account of 1000, as AWS keeps it."""

    def __init__(self, reserved=None, free=900, settings=None):
        self.reserved, self.free, self.settings = reserved, free, settings

    @property
    def replies(self):
        return {
            "lambda.GetFunctionConcurrency": lambda **p: (
                {} if self.reserved is None else {"ReservedConcurrentExecutions": self.reserved}
            ),
            "lambda.PutFunctionConcurrency": self.put,
            "lambda.DeleteFunctionConcurrency": self.delete,
            "lambda.GetAccountSettings": self.settings
            or (lambda: {"AccountLimit": {"ConcurrentExecutions": 1000, "UnreservedConcurrentExecutions": self.free}}),
        }

    def put(self, *, FunctionName, ReservedConcurrentExecutions):
        self.reserved = ReservedConcurrentExecutions
        return {"ReservedConcurrentExecutions": self.reserved}

    def delete(self, *, FunctionName):
        self.reserved = None
        return {}


@pytest.mark.parametrize("before", [None, 0, 5, 100])
@pytest.mark.parametrize("reserved", [0, 5, 200])
async def test_undo_restores_the_number_or_that_there_was_none(fake, before, reserved):
    """Unset is a state of its own: 0 stops a function, no reservation does not."""
    await assert_action_conforms(
        ACTION,
        {"function": "ingest-handler", "reserved": reserved},
        lambda: fake(Account(before).replies, action=ACTION),
    )


async def test_a_number_that_is_set_already_changes_nothing(fake):
    """And the receipt says so."""
    aws = fake(Account(5).replies)
    run = await run_action(ACTION, {"function": "f", "reserved": 5}, aws)
    assert (run.receipt.changed, run.receipt.applied, aws.mutations) == (False, 5, [])
    assert run.receipt.detail == "was 5 already"


@pytest.mark.parametrize(
    ("before", "reserved", "free", "refused"),
    [
        (100, 200, 199, True),
        (100, 200, 200, False),
        (None, 5, 104, True),
        (None, 5, 105, False),
        (100, 5, 0, False),
        (None, 0, 0, False),
    ],
)
async def test_a_rise_leaves_a_hundred_unreserved(fake, before, reserved, free, refused):
    """Only a rise is checked: a cut must never fail on it."""
    account = Account(before, free)
    aws = fake(account.replies, action=ACTION)
    if refused:
        with pytest.raises(ActionError, match="AWS keeps 100 free") as caught:
            await run_action(ACTION, {"function": "f", "reserved": reserved}, aws)
        assert caught.value.reason is Reason.INVALID
        assert account.reserved == before
    else:
        await run_action(ACTION, {"function": "f", "reserved": reserved}, aws)
        assert account.reserved == reserved
    assert aws.count("lambda.GetAccountSettings") == (reserved > (before or 0))


@pytest.mark.parametrize("settings", [ProbeError(Reason.DENIED, "no"), {"AccountLimit": {}}])
async def test_unreadable_limits_leave_the_decision_to_aws(fake, settings):
    """The rise goes out; AWS refuses by itself if it must."""
    account = Account(100, settings=settings)
    await run_action(ACTION, {"function": "f", "reserved": 200}, fake(account.replies))
    assert account.reserved == 200


@pytest.mark.parametrize(
    "text",
    [
        "ingest",
        "ingest:LIVE",
        "arn:aws:lambda:us-east-1:123456789012:function:ingest",
        "arn:aws:lambda:us-east-1:123456789012:function:ingest:LIVE",
    ],
)
def test_every_way_to_name_a_function_is_one_resource(text):
    """Concurrency belongs to the function, so an alias in the name must not make another claim."""
    change = ACTION.plan(ACTION.params(function=text, reserved=0), None)
    assert (change.resource, change.params["function"]) == ("lambda/ingest", "ingest")
    assert change.summary == "stop the function ingest (reserved concurrency 0)"


def test_the_smallest_number_wins_a_claim():
    """None, no reservation, is the mildest."""
    assert ACTION.restrictive([200, 5, None]) == 5
    assert ACTION.restrictive([None]) is None


@pytest.mark.parametrize(("before", "after"), [(300, 300), (200, 200), (100, 200), (0, 200), (None, 200)])
async def test_never_lower_leaves_a_larger_reservation_alone(fake, before, after):
    """A function that got more room by hand must not lose it to a breaker that means to give more."""
    account = Account(before)
    run = await run_action(ACTION, {"function": "f", "reserved": 200, "never_lower": True}, fake(account.replies))
    assert account.reserved == after
    assert run.receipt.changed is (before != after)
