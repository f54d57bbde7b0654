"""set_environment, set_memory: where the traffic is, and nothing else."""

from dataclasses import replace

import pytest
from fake_function import Function

from monitor.actions.set_environment import ACTION, masked
from monitor.actions.set_memory import ACTION as MEMORY
from monitor.plugin import ActionError, Held, Reason
from monitor.testing import FakeActionContext, assert_action_conforms, run_action

BREAK = {"function": "api", "variables": {"CIRCUIT_BREAKER": True}}
LIVE = {**BREAK, "alias": "LIVE"}
SECRET = "postgres://app:hunter2@db/prod"


@pytest.mark.parametrize("before", [None, {}, {"OTHER": "x"}, {"OTHER": "x", "CIRCUIT_BREAKER": "false"}])
@pytest.mark.parametrize("params", [BREAK, LIVE])
async def test_undo_restores_each_variable_or_that_there_was_none(fake, before, params):
    """Behind an alias and without one, with an update that takes its time."""
    function = Function(before, slow=3).release()
    await assert_action_conforms(ACTION, params, lambda: fake(function.replies, action=ACTION))
    assert (function.latest.get("Environment") or {"Variables": {}})["Variables"] == (before or {})


async def test_other_variables_survive(fake):
    """AWS replaces the whole map; the runbook's own command wiped it."""
    function = Function({"DB": SECRET, "MODE": "fast"})
    await run_action(ACTION, BREAK, fake(function.replies, action=ACTION))
    assert function.latest["Environment"]["Variables"] == {"DB": SECRET, "MODE": "fast", "CIRCUIT_BREAKER": "true"}


async def test_callers_of_an_alias_see_it(fake):
    """The runbook's defect: only the unpublished version changed, and a published one never does."""
    function = Function({"MODE": "fast"}).release().release(Timeout=60)
    await run_action(ACTION, BREAK, fake(function.replies, action=ACTION))
    assert "CIRCUIT_BREAKER" not in function.served()["Environment"]["Variables"], "without an alias nothing is served"
    function = Function({"MODE": "fast"}).release().release(Timeout=60)
    run = await run_action(ACTION, LIVE, fake(function.replies, action=ACTION))
    assert function.served()["Environment"]["Variables"] == {"MODE": "fast", "CIRCUIT_BREAKER": "true"}
    assert function.versions["2"]["Environment"]["Variables"] == {"MODE": "fast"}
    assert run.receipt.detail == "published as version 3, LIVE points to it"


async def test_undo_points_back_to_the_version_and_weights_from_before(fake):
    """Exactly: the version number and the canary's share too."""
    function = Function({"MODE": "fast"}).release().release()
    function.aliases["LIVE"] = {"FunctionVersion": "1", "weights": {"2": 0.1}, "revision": 7}
    run = await run_action(ACTION, LIVE, fake(function.replies, action=ACTION))
    assert (function.aliases["LIVE"]["FunctionVersion"], function.aliases["LIVE"]["weights"]) == ("3", {})
    await run.undo(ACTION)
    assert (function.aliases["LIVE"]["FunctionVersion"], function.aliases["LIVE"]["weights"]) == ("1", {"2": 0.1})
    assert function.latest["Environment"]["Variables"] == {"MODE": "fast"}


async def test_an_undo_after_a_deployment_keeps_the_deployment(fake):
    """Someone released meanwhile, with our variable in it: the release stays, the variable goes."""
    function = Function({"MODE": "fast"}).release()
    run = await run_action(ACTION, LIVE, fake(function.replies, action=ACTION))
    function.release(CodeSha256="c2")
    await run.undo(ACTION)
    assert (function.served()["CodeSha256"], function.served()["Environment"]["Variables"]) == ("c2", {"MODE": "fast"})


@pytest.mark.parametrize("unreleased", [False, True])
async def test_publishing_does_not_release_what_nobody_released(fake, unreleased):
    """$LATEST holds newer code than LIVE: refused with words, unless asked for."""
    function = Function({"MODE": "fast"}).release()
    function.latest["CodeSha256"] = "c2"
    params = {**LIVE, "unreleased": unreleased}
    if unreleased:
        await run_action(ACTION, params, fake(function.replies, action=ACTION))
        assert function.served()["CodeSha256"] == "c2"
    else:
        with pytest.raises(ActionError, match="differs from version 1, which LIVE serves, in CodeSha256") as caught:
            await run_action(ACTION, params, fake(function.replies, action=ACTION))
        assert caught.value.reason is Reason.INVALID
        assert (function.updates, function.served()["CodeSha256"]) == ([], "c1")


async def test_a_secret_is_never_shown(fake):
    """Neither the old nor the new value is in the summary, the value, the receipt; undo knows it all the same."""
    function = Function({"DB": SECRET})
    params = {"function": "api", "variables": {"DB": "postgres://app:hunter3@standby/prod"}}
    run = await run_action(ACTION, params, fake(function.replies, action=ACTION))
    shown = repr((run.change.summary, run.change.wanted, run.change.property, run.prior, run.receipt.applied))
    shown += repr((run.receipt.detail, run.receipt.data, run.change.resource))
    assert "hunter" not in shown
    assert run.prior["DB"].startswith("sha256:")
    await run.undo(ACTION)
    assert function.latest["Environment"]["Variables"] == {"DB": SECRET}


def test_a_fingerprint_tells_functions_and_names_apart():
    """The same secret elsewhere looks different; switch words are readable."""
    assert len({masked("a", "K", "s3cret"), masked("b", "K", "s3cret"), masked("a", "L", "s3cret")}) == 3
    assert [masked("a", "K", value) for value in (None, "true", "OFF", "0")] == [None, "true", "OFF", "0"]


async def test_an_edit_at_the_same_time_is_refused_and_tried_again(fake):
    """The revision is stale: nothing is overwritten, the step is retried."""
    function = Function({"MODE": "fast"})
    aws = fake(function.replies, action=ACTION)
    function.race = lambda: function.release(Environment={"Variables": {"MODE": "slow"}})
    with pytest.raises(ActionError, match="changed by someone else") as caught:
        await run_action(ACTION, BREAK, aws)
    assert caught.value.reason is Reason.UNAVAILABLE
    assert function.latest["Environment"]["Variables"] == {"MODE": "slow"}
    await run_action(ACTION, BREAK, aws)
    assert function.latest["Environment"]["Variables"] == {"MODE": "slow", "CIRCUIT_BREAKER": "true"}


@pytest.mark.parametrize("step", ["update", "publish", "move"])
@pytest.mark.parametrize("undoing", [False, True])
async def test_a_change_cut_off_half_way_is_resumed(fake, step, undoing):
    """At every call; until then the value reads as what this attempt started from."""
    function = Function({"MODE": "fast"}).release()
    context = FakeActionContext(fake(function.replies, action=ACTION))
    change = ACTION.plan(ACTION.params.model_validate(LIVE), context.now())
    prior = await ACTION.capture(change, context)
    receipt = replace(await ACTION.apply(change, context), prior=prior) if undoing else None
    function.fail_at = step
    began = await ACTION.capture(change, context)
    try:
        await (ACTION.undo(receipt, context) if undoing else ACTION.apply(change, context))
    except ActionError:
        assert await ACTION.capture(change, context) == began, "half done is not somebody's edit"
        await (ACTION.undo(receipt, context) if undoing else ACTION.apply(change, context))
    else:
        assert undoing, "an undo publishes nothing"
        assert step == "publish"
    assert await ACTION.capture(change, context) == (prior if undoing else change.wanted)
    if undoing:
        assert function.aliases["LIVE"]["FunctionVersion"] == "1"


async def test_an_unreadable_map_is_not_overwritten(fake):
    """Without kms:Decrypt AWS shows an error in place of the variables."""
    function = Function()
    function.latest["Environment"] = {"Error": {"ErrorCode": "AccessDeniedException", "Message": "kms"}}
    with pytest.raises(ActionError, match="kms:Decrypt") as caught:
        await run_action(ACTION, BREAK, fake(function.replies, action=ACTION))
    assert (caught.value.reason, function.updates) == (Reason.DENIED, [])


async def test_an_update_that_failed_is_told(fake):
    """LastUpdateStatus: Failed."""
    function = Function()
    replies = {
        **function.replies,
        "lambda.GetFunctionConfiguration": {
            **function.latest, "LastUpdateStatus": "Failed", "LastUpdateStatusReasonCode": "EniLimitExceeded",
        },
    }  # fmt: skip
    with pytest.raises(ActionError, match="EniLimitExceeded"):
        await run_action(ACTION, BREAK, fake(replies, action=ACTION))


@pytest.mark.parametrize("params", [{"memory": 512}, {"memory": 512, "alias": "LIVE"}])
async def test_memory_is_set_where_the_traffic_is_and_restored(fake, params):
    """A number, or two of them behind an alias."""
    function = Function(memory=1024).release()
    await assert_action_conforms(MEMORY, {"function": "api", **params}, lambda: fake(function.replies, action=MEMORY))
    assert (function.latest["MemorySize"], function.aliases["LIVE"]["FunctionVersion"]) == (1024, "1")
    run = await run_action(MEMORY, {"function": "api", **params}, fake(function.replies, action=MEMORY))
    assert function.latest["MemorySize"] == 512
    assert function.served()["MemorySize"] == (512 if "alias" in params else 1024)
    assert run.change.summary.startswith("set the memory of api to 512 MB")


@pytest.mark.parametrize("alias", [{}, {"alias": "LIVE"}], ids=["$LATEST", "LIVE"])
@pytest.mark.parametrize(("has", "gets"), [(512, 1024), (1024, 1024), (2048, 2048)])
async def test_more_memory_is_never_less(fake, alias, has, gets):
    """A function that is short of two gigabytes is not helped with one."""
    function = Function(memory=has).release()
    params = {"function": "api", "memory": 1024, "never_lower": True, **alias}
    run = await run_action(MEMORY, params, fake(function.replies, action=MEMORY))
    assert (function.served() if alias else function.latest)["MemorySize"] == gets
    assert run.receipt.changed == (has < gets)
    assert run.change.summary.startswith("raise the memory of api to 1024 MB")


async def test_a_closed_gate_passes_through(fake):
    """And nothing was sent."""
    aws = fake(Function().replies)
    aws.held = Held("approval", "waits")
    with pytest.raises(Held):
        await run_action(ACTION, BREAK, aws)


@pytest.mark.parametrize("variables", [{}, {"1A": "x"}, {"A-B": "x"}])
def test_variables_have_names(variables):
    """As AWS wants them."""
    with pytest.raises(ValueError, match="variable"):
        ACTION.params(function="api", variables=variables)
