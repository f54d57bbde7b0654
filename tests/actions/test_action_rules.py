"""disable_rule and enable_rule."""
# ruff: noqa: N803 - the fakes take AWS's own parameter names

from dataclasses import replace

import pytest

from monitor.actions.disable_rule import ACTION as DISABLE
from monitor.actions.enable_rule import ACTION as ENABLE
from monitor.plugin import ActionError, Held, ProbeError, Reason
from monitor.testing import FakeActionContext, assert_action_conforms, run_action

ALL_EVENTS = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"


class Bus:
    """One rule that remembers its state."""

    def __init__(self, state="ENABLED", *, deaf=0, **more):
        self.rule = {"Name": "etl-s3-events", "State": state, "EventPattern": "{}", "RoleArn": "arn:r", **more}
        self.deaf = deaf  # how many reads still show the old state
        self.shown = dict(self.rule)

    @property
    def replies(self):
        return {
            "events.DescribeRule": self.describe,
            "events.DisableRule": lambda **p: self.put("DISABLED"),
            "events.EnableRule": lambda **p: self.put("ENABLED"),
            "events.PutRule": self.put_rule,
        }

    def describe(self, **params):
        if self.deaf > 0:
            self.deaf -= 1
            return self.shown
        return self.rule

    def put(self, state):
        self.shown = dict(self.rule)
        self.rule = {**self.rule, "State": state}
        return {}

    def put_rule(self, *, EventBusName, **fields):
        self.rule = fields
        return {}


@pytest.mark.parametrize("action", [DISABLE, ENABLE], ids=["disable", "enable"])
@pytest.mark.parametrize("before", ["ENABLED", "DISABLED"])
async def test_undo_restores_either_state(fake, action, before):
    """Applied, applied again without effect, undone: the state is what it was."""
    await assert_action_conforms(action, {"rule": "etl-s3-events"}, lambda: fake(Bus(before).replies, action=action))


async def test_the_plan_names_rule_and_bus():
    """The same rule by name and by ARN is the same resource, so that claims meet."""
    cases = {
        ("etl", "default"): "events/default/etl",
        ("etl", "arn:aws:events:us-east-1:123456789012:event-bus/orders"): "events/orders/etl",
        ("arn:aws:events:us-east-1:123456789012:rule/etl", "default"): "events/default/etl",
        ("arn:aws:events:us-east-1:123456789012:rule/orders/etl", "default"): "events/orders/etl",
    }
    for (rule, bus), resource in cases.items():
        change = DISABLE.plan(DISABLE.params(rule=rule, event_bus=bus), None)
        assert change.resource == resource
        assert change.params == {"rule": "etl", "event_bus": resource.split("/")[1]}


async def test_a_rule_that_sees_management_events_gets_exactly_that_state_back(fake):
    """EnableRule can't restore the third state, PutRule with every other field can."""
    bus = Bus(ALL_EVENTS, Description="loop")
    kept = dict(bus.rule)
    run = await run_action(DISABLE, {"rule": "etl-s3-events"}, fake(bus.replies, action=DISABLE))
    assert (run.prior, run.receipt.applied, run.receipt.changed) == (ALL_EVENTS, "DISABLED", True)
    undone = await run.undo(DISABLE)
    assert bus.rule == kept
    assert undone.applied == ALL_EVENTS
    assert "not atomic" in undone.detail


async def test_enabling_leaves_the_wider_state_alone(fake):
    """A rule that sees even more events is enabled: narrowing it would be a change nobody asked for."""
    aws = fake(Bus(ALL_EVENTS).replies, action=ENABLE)
    run = await run_action(ENABLE, {"rule": "etl-s3-events"}, aws)
    assert (run.receipt.applied, run.receipt.changed, aws.mutations) == (ALL_EVENTS, False, [])


async def test_a_managed_rule_is_refused_by_name_of_its_manager(fake):
    """Nothing is sent, and the message says who could."""
    aws = fake(Bus(ManagedBy="states.amazonaws.com").replies, action=DISABLE)
    with pytest.raises(ActionError, match=r"managed by states\.amazonaws\.com") as caught:
        await run_action(DISABLE, {"rule": "etl-s3-events"}, aws)
    assert caught.value.reason is Reason.INVALID
    assert aws.mutations == []


async def test_a_stale_answer_is_read_again(fake):
    """Reads may lag behind writes; only a state that was seen counts."""
    bus = Bus()
    aws = fake({**bus.replies, "events.DisableRule": lambda **p: (setattr(bus, "deaf", 3), bus.put("DISABLED"))[1]})
    run = await run_action(DISABLE, {"rule": "etl-s3-events"}, aws)
    assert run.receipt.applied == "DISABLED"
    assert aws.count("events.DescribeRule") == 2 + 4


async def test_an_effect_that_never_shows_is_a_failure(fake):
    """AWS said yes and the state stayed: failed, not applied."""
    aws = fake({**Bus().replies, "events.DisableRule": {}})
    with pytest.raises(ActionError, match="reads back as ENABLED") as caught:
        await run_action(DISABLE, {"rule": "etl-s3-events"}, aws)
    assert caught.value.reason is Reason.UNAVAILABLE


async def test_a_missing_rule_and_a_closed_gate_pass_through(fake):
    """Neither is translated: the dispatcher knows what they mean."""
    with pytest.raises(ProbeError):
        await run_action(DISABLE, {"rule": "x"}, fake({"events.DescribeRule": ProbeError(Reason.NOT_FOUND, "x")}))
    held = fake(Bus().replies)
    held.held = Held("kill_switch", "off")
    with pytest.raises(Held):
        await run_action(DISABLE, {"rule": "x"}, held)


async def test_disabled_wins_a_claim_and_apply_sets_what_the_claim_wants(fake):
    """The dispatcher hands apply the strictest wanted value, whatever this action's own was."""
    assert ENABLE.restrictive(["ENABLED", "DISABLED", "ENABLED"]) == "DISABLED"
    assert ENABLE.restrictive(["ENABLED"]) == "ENABLED"
    bus = Bus()
    context = FakeActionContext(fake(bus.replies, action=ENABLE))
    change = replace(ENABLE.plan(ENABLE.params(rule="etl-s3-events"), context.now()), wanted="DISABLED")
    receipt = await ENABLE.apply(change, context)
    assert (bus.rule["State"], receipt.applied, receipt.changed) == ("DISABLED", "DISABLED", True)
