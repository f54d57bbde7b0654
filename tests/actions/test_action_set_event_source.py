"""set_event_source."""
# ruff: noqa: N803 - the fakes take AWS's own parameter names

from dataclasses import replace

import pytest

from monitor.actions.set_event_source import ACTION
from monitor.plugin import ActionError, Held, Reason
from monitor.testing import FakeActionContext, assert_action_conforms, run_action

PAUSE = {"function": "processor", "enabled": False}
A, B, C, NEW = (letter * 36 for letter in "abcn")  # ids have 36 characters


class Mappings:
    """Mappings that take `slow` reads to settle, as AWS's do."""

    def __init__(self, states, slow=0):
        self.states, self.slow, self.left = dict(states), slow, {}
        self.fail_at = None

    @property
    def replies(self):
        return {
            "lambda.ListEventSourceMappings": self.list,
            "lambda.GetEventSourceMapping": lambda *, UUID: self.rows()[UUID],
            "lambda.UpdateEventSourceMapping": self.update,
        }

    def rows(self):
        for uuid in [uuid for uuid, left in self.left.items() if left <= 0]:
            self.states[uuid] = {"Disabling": "Disabled", "Enabling": "Enabled"}[self.states[uuid]]
            del self.left[uuid]
        self.left = {uuid: left - 1 for uuid, left in self.left.items()}
        return {uuid: {"UUID": uuid, "State": state} for uuid, state in self.states.items()}

    def list(self, *, FunctionName):
        rows = list(self.rows().values())
        return [{"EventSourceMappings": rows[:1], "NextMarker": "x"}, {"EventSourceMappings": rows[1:]}]

    def update(self, *, UUID, Enabled):
        if self.fail_at == UUID:
            raise ActionError(Reason.THROTTLED, "slow down")
        self.states[UUID] = "Enabling" if Enabled else "Disabling"
        self.left[UUID] = self.slow
        return {}


@pytest.mark.parametrize(
    "states",
    [
        {A: "Enabled"},
        {A: "Enabled", B: "Disabled", C: "Enabled"},
        {A: "Disabled"},
    ],
)
@pytest.mark.parametrize("enabled", [False, True])
async def test_undo_restores_each_mapping(fake, states, enabled):
    """Also those that were as wanted before."""
    params = {"function": "processor", "enabled": enabled}
    await assert_action_conforms(ACTION, params, lambda: fake(Mappings(states, slow=2).replies, action=ACTION))


async def test_pausing_waits_until_nothing_is_read_any_more(fake):
    """Disabling is not Disabled: batches still run."""
    mappings = Mappings({A: "Enabled", B: "Enabled"}, slow=4)
    run = await run_action(ACTION, PAUSE, fake(mappings.replies, action=ACTION))
    assert mappings.states == {A: "Disabled", B: "Disabled"}
    assert (run.prior, run.receipt.applied, run.receipt.detail) == ([A, B], [], "2 of 2 mappings changed")


async def test_a_mapping_that_never_settles_is_a_retryable_failure(fake):
    """The step stays tripping and is tried again."""
    with pytest.raises(ActionError, match="still changing") as caught:
        await run_action(ACTION, PAUSE, fake(Mappings({A: "Enabled"}, slow=10_000).replies))
    assert caught.value.reason is Reason.UNAVAILABLE


async def test_one_mapping_can_be_named(fake):
    """The others of its function are left alone."""
    mappings = Mappings({A: "Enabled", B: "Enabled"})
    aws = fake(mappings.replies, action=ACTION)
    run = await run_action(ACTION, {"uuid": B, "enabled": False}, aws)
    assert run.change.resource == f"event-source-mapping/{B}"
    assert mappings.rows()[A]["State"] == "Enabled"
    assert mappings.states[B] == "Disabled"


async def test_a_function_without_mappings_is_an_error(fake):
    """Pausing nothing must not look like success."""
    with pytest.raises(ActionError, match="no event source mapping"):
        await run_action(ACTION, PAUSE, fake(Mappings({}).replies))


async def test_an_undo_leaves_mappings_alone_that_came_later(fake):
    """Someone made a disabled one meanwhile: it is not ours to enable."""
    mappings = Mappings({A: "Enabled"})
    run = await run_action(ACTION, PAUSE, fake(mappings.replies))
    mappings.states[NEW] = "Disabled"
    await run.undo(ACTION)
    assert {uuid: row["State"] for uuid, row in mappings.rows().items()} == {A: "Enabled", NEW: "Disabled"}


@pytest.mark.parametrize("undoing", [False, True])
async def test_a_change_cut_off_half_way_is_resumed_not_taken_for_drift(fake, undoing):
    """Between two mappings the live value is neither the captured nor the wanted one."""
    mappings = Mappings({A: "Enabled", B: "Enabled", C: "Disabled"})
    context = FakeActionContext(fake(mappings.replies))
    change = ACTION.plan(ACTION.params(**PAUSE), context.now())
    prior = await ACTION.capture(change, context)
    receipt = replace(await ACTION.apply(change, context), prior=prior) if undoing else None
    mappings.fail_at = B
    with pytest.raises(ActionError):
        await (ACTION.undo(receipt, context) if undoing else ACTION.apply(change, context))
    live = await ACTION.capture(change, context)
    # What the dispatcher compares: the value this attempt started from means "ours, not done yet".
    assert live == ([] if undoing else prior)
    mappings.fail_at = None
    await (ACTION.undo(receipt, context) if undoing else ACTION.apply(change, context))
    live = await ACTION.capture(change, context)
    assert live == ([A, B] if undoing else [])
    mappings.states[B] = "Disabled" if undoing else "Enabled"
    assert await ACTION.capture(change, context) != live, "an edit of someone else shows again afterwards"


async def test_a_closed_gate_passes_through(fake):
    """And nothing was sent."""
    aws = fake(Mappings({A: "Enabled"}).replies)
    aws.held = Held("approval", "waits")
    with pytest.raises(Held):
        await run_action(ACTION, PAUSE, aws)


def test_the_parameters_name_a_function_or_a_mapping():
    """One of them at least; the summary says which."""
    with pytest.raises(ValueError, match="uuid"):
        ACTION.params(enabled=False)
    assert ACTION.plan(ACTION.params(**PAUSE), None).summary == "pause all event sources of processor"


def test_what_any_holder_wants_flipped_is_flipped():
    """The aim of every holder is the empty list; a base that joins does not weaken it."""
    assert ACTION.restrictive([[], [A]]) == []
    assert ACTION.restrictive([[A, B], [B]]) == [B]
