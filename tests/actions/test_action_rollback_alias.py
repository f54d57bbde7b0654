"""rollback_alias."""

import pytest
from fake_function import Function

from monitor.actions.rollback_alias import ACTION
from monitor.actions.set_environment import ACTION as ENVIRONMENT
from monitor.plugin import ActionError, Reason
from monitor.testing import FakeActionContext, assert_action_conforms, run_action

BACK = {"function": "api", "alias": "LIVE"}


def released(count, weights=None, at=None):
    """A function with `count` versions, the last of them live."""
    function = Function()
    for number in range(count):
        function.release(CodeSha256=f"c{number}")
    function.aliases["LIVE"] |= {"weights": weights or {}, "FunctionVersion": at or str(count)}
    return function


@pytest.mark.parametrize(
    ("function", "to", "version"),
    [
        (released(3), "previous", "2"),
        (released(12), "previous", "11"),
        (released(3), 1, "1"),
        (released(3, {"3": 0.1}, at="2"), "previous", "2"),
        (released(3, {"2": 0.1}, at="3"), "previous", "2"),
        (released(5, at="2"), "previous", "1"),
    ],
    ids=["last", "by number, not by text", "named", "canary withdrawn", "shift withdrawn", "of the live one"],
)
async def test_the_version_before_serves_everything_and_undo_brings_it_back(fake, function, to, version):
    """`previous` during a shift of traffic is the older one that shares it; weights are cleared and restored."""
    before = dict(function.aliases["LIVE"])
    run = await run_action(ACTION, {**BACK, "to": to}, fake(function.replies, action=ACTION))
    row = function.aliases["LIVE"]
    assert (row["FunctionVersion"], row["weights"]) == (version, {})
    await run.undo(ACTION)
    row = function.aliases["LIVE"]
    assert (row["FunctionVersion"], row["weights"]) == (before["FunctionVersion"], before["weights"])


async def test_it_conforms_with_a_named_version(fake):
    """Apply, apply again, undo."""
    await assert_action_conforms(ACTION, {**BACK, "to": 1}, lambda: fake(released(3).replies, action=ACTION))


async def test_all_pages_are_read(fake):
    """The runbook took the last but one of the first page."""
    aws = fake(released(3).replies, action=ACTION)
    await run_action(ACTION, BACK, aws)
    assert aws.count("lambda.ListVersionsByFunction") == 2


async def test_our_own_versions_are_passed_over(fake):
    """What the containment published is a copy of a release: going back means the release before that one."""
    function = released(3)
    aws = fake(function.replies)
    params = {"function": "api", "variables": {"CIRCUIT_BREAKER": "true"}, "alias": "LIVE"}
    await run_action(ENVIRONMENT, params, aws)
    assert function.aliases["LIVE"]["FunctionVersion"] == "4"
    await run_action(ACTION, BACK, aws)
    assert function.aliases["LIVE"]["FunctionVersion"] == "2"


async def test_two_breakers_go_back_one_version(fake):
    """`previous` is seen from the value before any change of ours, which the dispatcher hands in."""
    function = released(3)
    aws = fake(function.replies)
    first = await run_action(ACTION, BACK, aws)
    context = FakeActionContext(aws)
    wanted = await ACTION.resolve(first.change, first.prior, context)
    assert wanted == first.change.wanted == {"version": "2", "routing": {}}


async def test_the_first_version_has_none_before(fake):
    """A sentence, not a guess."""
    with pytest.raises(ActionError, match="no published version before 1") as caught:
        await run_action(ACTION, BACK, fake(released(1).replies))
    assert caught.value.reason is Reason.INVALID


async def test_a_deployment_at_the_same_moment_is_not_overwritten(fake):
    """The alias' revision is stale: read again."""
    function = released(3)
    function.race = lambda: function.release(CodeSha256="new")
    with pytest.raises(ActionError, match="changed by someone else") as caught:
        await run_action(ACTION, BACK, fake(function.replies))
    assert (caught.value.reason, function.aliases["LIVE"]["FunctionVersion"]) == (Reason.UNAVAILABLE, "4")


@pytest.mark.parametrize("to", ["latest", "$LATEST", "0", 0, True])
def test_a_version_is_a_number(to):
    """Or `previous`."""
    with pytest.raises(ValueError, match="previous"):
        ACTION.params(function="api", alias="LIVE", to=to)


def place(version):
    """Where the alias was seen."""
    return {"version": version, "routing": {}}


@pytest.mark.parametrize(
    ("seen", "version"),
    [
        (["5", "3", "1"], "3"),
        (["3"], "3"),
        (["9", "2"], "2"),
        (["8", "1"], "1"),
    ],
    ids=["4 was published only", "seen by another breaker", "9 was deleted since", "never forward"],
)
async def test_what_was_live_before_wins_over_what_was_published(fake, seen, version):
    """A version that was published and never served does not count where tripswitch saw what did."""
    function = released(8, at="5")
    aws = fake(function.replies, action=ACTION)
    context = FakeActionContext(aws, good=[place(one) for one in seen])
    await run_action(ACTION, BACK, aws, context)
    assert function.aliases["LIVE"]["FunctionVersion"] == version
    assert context.notices == []


@pytest.mark.parametrize("seen", [[], ["5"]], ids=["nothing seen", "only the live one"])
async def test_a_guess_is_told(fake, seen):
    """The newest published one before, and a notice that it may never have been live."""
    function = released(5)
    aws = fake(function.replies, action=ACTION)
    context = FakeActionContext(aws, good=[place(one) for one in seen])
    await run_action(ACTION, BACK, aws, context)
    assert function.aliases["LIVE"]["FunctionVersion"] == "4"
    [(urls, title, body)] = context.notices
    assert urls == ()
    assert "version 4 may never have been live" in title
    assert "point the alias elsewhere" in body
