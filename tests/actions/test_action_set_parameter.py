"""set_parameter."""
# ruff: noqa: N803 - the fakes take AWS's own parameter names

import pytest

from monitor.actions.set_parameter import ACTION
from monitor.plugin import ActionError, ProbeError, Reason
from monitor.testing import assert_action_conforms, run_action

FLAG = {"name": "/etl/connector", "value": "mock"}


class Store:
    """One parameter."""

    def __init__(self, value=None, kind="String"):
        self.value, self.kind = value, kind

    @property
    def replies(self):
        return {"ssm.GetParameter": self.get, "ssm.PutParameter": self.put, "ssm.DeleteParameter": self.delete}

    def get(self, *, Name):
        if self.value is None:
            raise ProbeError(Reason.NOT_FOUND, Name)
        return {"Parameter": {"Name": Name, "Type": self.kind, "Value": self.value}}

    def put(self, *, Name, Value, Type, Overwrite):
        self.value = Value
        return {"Version": 2}

    def delete(self, *, Name):
        self.value = None
        return {}


@pytest.mark.parametrize("before", [None, "live", "mock"])
async def test_undo_restores_the_value_or_deletes_what_was_absent(fake, before):
    """Also where the flag had the wanted value all along."""
    await assert_action_conforms(ACTION, FLAG, lambda: fake(Store(before).replies, action=ACTION))


@pytest.mark.parametrize("kind", ["SecureString", "StringList"])
async def test_other_types_are_refused_before_anything_is_journalled(fake, kind):
    """A secret must not become a captured value."""
    aws = fake(Store("s3cret", kind).replies)
    with pytest.raises(ActionError, match=kind) as caught:
        await run_action(ACTION, FLAG, aws)
    assert (caught.value.reason, aws.mutations) == (Reason.INVALID, [])
    assert "s3cret" not in str(caught.value)


async def test_a_denied_read_is_not_an_absent_flag(fake):
    """Else an undo would delete a parameter that was there."""
    with pytest.raises(ProbeError):
        await run_action(ACTION, FLAG, fake({"ssm.GetParameter": ProbeError(Reason.DENIED, "no")}))


def test_a_long_value_is_cut_in_the_summary_only():
    """The change still holds it whole."""
    change = ACTION.plan(ACTION.params(name="/f", value="x" * 500), None)
    assert len(change.summary) < 120
    assert change.wanted == "x" * 500
