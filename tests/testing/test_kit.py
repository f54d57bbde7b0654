"""The kit itself: virtual time, canned AWS, and assertions that fail when a contract is broken."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import Field

from monitor.plugin import (
    Action,
    ActionContext,
    ActionError,
    Change,
    Check,
    MetricQuery,
    Observation,
    Params,
    ProbeContext,
    ProbeError,
    Reason,
    Receipt,
    Resource,
    ResourceKind,
    Risk,
    Selector,
    Signal,
)
from monitor.testing import (
    EPOCH,
    FakeAws,
    FakeClock,
    assert_action_conforms,
    assert_check_conforms,
    observed,
    run_action,
    run_probe,
)


async def test_sleepers_wake_in_order_each_at_its_own_time() -> None:
    """advance() runs every due sleeper at the time it asked for, also one that sleeps again."""
    clock, woken = FakeClock(), []

    async def nap(name: str, *spans: float) -> None:
        for span in spans:
            await clock.sleep(span)
            woken.append((name, clock.tick()))

    async with asyncio.TaskGroup() as group:
        group.create_task(nap("slow", 30))
        group.create_task(nap("twice", 10, 15))
        await clock.advance(26)
        assert woken == [("twice", 10.0), ("twice", 25.0)]
        await clock.advance(timedelta(seconds=4))
    assert woken[-1] == ("slow", 30.0)
    assert clock.now() == EPOCH + timedelta(seconds=30)


async def test_a_clock_jump_moves_no_monotonic_time() -> None:
    """jump() is a clock correction: now moves, tick does not."""
    clock = FakeClock()
    clock.jump(timedelta(hours=-1))
    assert (clock.now(), clock.tick()) == (EPOCH - timedelta(hours=1), 0.0)


async def test_pages_end_with_the_exception_among_them() -> None:
    """A failing second page raises after the first was seen, and both count as calls."""
    error = ProbeError(Reason.THROTTLED, "slow down")
    aws = FakeAws({"sqs.ListQueues": [{"QueueUrls": ["a"]}, error]})
    pages = aws.pages("sqs", "ListQueues")
    assert await anext(pages) == {"QueueUrls": ["a"]}
    with pytest.raises(ProbeError, match="slow down"):
        await anext(pages)
    assert aws.count("sqs.ListQueues") == 2


async def test_a_mutating_operation_is_no_read() -> None:
    """call() refuses what changes things, as the real reader does."""
    with pytest.raises(ProbeError, match="only reads"):
        await FakeAws({"events.DisableRule": {}}).call("events", "DisableRule", Name="r")


async def test_metric_points_end_at_the_last_whole_period() -> None:
    """Points are aligned to the clock's periods; a None among them is an absent point."""
    aws = FakeAws(metrics={"AWS/SQS.Age[QueueName=q]": [1, None, 3]}, clock=FakeClock(EPOCH + timedelta(seconds=20)))
    query = MetricQuery("AWS/SQS", "Age", (("QueueName", "q"),), points=3)
    (series,) = await aws.metrics([query])
    assert series.points == ((EPOCH - timedelta(minutes=2), 1.0), (EPOCH, 3.0))


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("made-up", ["made-up"]),
        ("order*", ["orders"]),
        ({"tags": {"team": "data"}}, ["orders"]),
        ({"tags": {"team": ""}}, ["orders"]),
        ({"tags": {"team": "other"}}, []),
        ("nothing-*", []),
        ({"names": ["order*"], "tags": {"team": "other"}}, []),
        ({"names": ["made-up", "ord*"], "tags": {"team": "data"}}, ["made-up", "orders"]),
    ],
)
async def test_find_resolves_names_globs_and_tags(selector: Any, names: list[str]) -> None:
    """An explicit name need not exist; globs and tags find only what is there."""
    there = Resource(ResourceKind.QUEUE, "orders", "arn:aws:sqs:us-east-1:1:orders", {"tag:team": "data"})
    found = await FakeAws(resources=[there]).find(ResourceKind.QUEUE, Selector.model_validate(selector))
    assert [resource.name for resource in found] == names


class Nothing(Params):
    """No parameters."""

    name: str = Field("q", description="Which.")


async def _honest(params: Nothing, ctx: ProbeContext) -> Sequence[Observation]:
    reply = await ctx.aws.call("sqs", "GetQueueAttributes", QueueUrl=params.name)
    return [Observation("depth", params.name, float(reply["n"]), at=ctx.now)]


async def _guessing(params: Nothing, ctx: ProbeContext) -> Sequence[Observation]:
    try:
        return await _honest(params, ctx)
    except ProbeError:
        return [Observation("depth", params.name, 0.0, at=ctx.now)]


HONEST: Check[Nothing] = Check(
    kind="honest",
    summary="A count.",
    params=Nothing,
    probe=_honest,
    signals=(Signal("depth", "messages", "How many."),),
    defaults={},
    permissions=("sqs:GetQueueAttributes",),
    cost="one call",
    example="mine: {kind: honest, interval: 30s, name: q}",
)


async def test_an_honest_kind_conforms() -> None:
    """A kind that raises when it can't read keeps the contract."""
    await assert_check_conforms(HONEST)
    aws = FakeAws({"sqs.GetQueueAttributes": {"n": 4}})
    assert observed(await run_probe(HONEST, {}, aws)) == {("q", "depth"): 4.0}


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (replace(HONEST, probe=_guessing), "all reads failed"),
        (replace(HONEST, permissions=("sqs:get-attributes",)), "is not an IAM action"),
        (replace(HONEST, example="mine: {kind: other}"), "of another kind"),
        (replace(HONEST, signals=(Signal("depth", "messages", ""),)), "needs a unit and a help text"),
    ],
)
async def test_a_broken_kind_is_told_which_rule_it_breaks(broken: Check[Nothing], rule: str) -> None:
    """Each breach of the contract is an AssertionError naming the rule."""
    with pytest.raises(AssertionError, match=rule):
        await assert_check_conforms(broken)


async def test_an_undeclared_signal_is_refused() -> None:
    """A probe can report only what its kind declares."""
    aws = FakeAws({"sqs.GetQueueAttributes": {"n": 4}})
    with pytest.raises(AssertionError, match="not declared"):
        await run_probe(replace(HONEST, signals=(Signal("other", "s", "h"),)), {}, aws)


# --- an action over one remembered property ---------------------------------------------------------------------------


def _plan(params: Nothing, now: datetime) -> Change:
    return Change("cap", f"queue/{params.name}", 5, "cap at 5", {"name": params.name}, property="limit")


async def _capture(change: Change, ctx: ActionContext) -> Any:
    return (await ctx.aws.call("lambda", "GetFunctionConcurrency")).get("limit")


async def _put(ctx: ActionContext, value: Any) -> None:
    await ctx.aws.mutate("lambda", "PutFunctionConcurrency", limit=value)


async def _apply(change: Change, ctx: ActionContext) -> Receipt:
    if await _capture(change, ctx) == change.wanted:
        return Receipt(change, applied=change.wanted)
    await _put(ctx, change.wanted)
    return Receipt(change, applied=await _capture(change, ctx), changed=True)


async def _undo(receipt: Receipt, ctx: ActionContext) -> Receipt:
    await _put(ctx, receipt.prior)
    return replace(receipt, changed=True)


async def _forgetful(receipt: Receipt, ctx: ActionContext) -> Receipt:
    return receipt


CAP: Action[Nothing] = Action(
    name="cap",
    summary="Caps.",
    params=Nothing,
    risk=Risk.REVERSIBLE,
    plan=_plan,
    capture=_capture,
    apply=_apply,
    undo=_undo,
    permissions=("lambda:PutFunctionConcurrency",),
    example="- cap: {name: q}",
    blast_radius="one function",
)


def remembering() -> FakeAws:
    """An AWS whose reads follow its writes."""
    state: dict[str, Any] = {"limit": None}

    def put(limit: Any) -> dict[str, Any]:
        state["limit"] = limit
        return {}

    return FakeAws({"lambda.GetFunctionConcurrency": lambda **_: dict(state), "lambda.PutFunctionConcurrency": put})


async def test_an_action_that_restores_conforms() -> None:
    """plan, capture, apply, apply again, undo: the prior state is back, also when it was unset."""
    await assert_action_conforms(CAP, make_aws=remembering)
    run = await run_action(CAP, {}, remembering())
    assert (run.prior, run.receipt.prior, run.receipt.applied, run.receipt.changed) == (None, None, 5, True)


async def test_an_undo_that_restores_nothing_is_caught() -> None:
    """The kit compares what undo left with what was captured."""
    with pytest.raises(AssertionError, match="undo left 5, before it was None"):
        await assert_action_conforms(replace(CAP, undo=_forgetful), make_aws=remembering)


async def test_a_refused_write_is_an_action_error_with_its_reason() -> None:
    """Canned ProbeErrors reach an action as ActionError, as the real writer translates them."""
    aws = remembering()
    aws.replies["lambda.PutFunctionConcurrency"] = ProbeError(Reason.DENIED, "no")
    with pytest.raises(ActionError) as caught:
        await run_action(CAP, {}, aws)
    assert caught.value.reason is Reason.DENIED
