"""Mutating calls: guarded before every attempt, repeated only when that is safe."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from aws_doubles import CannedAws, Faulty, Harness, refuse

from monitor.core.model import Reason
from monitor.core.spec import AwsSpec
from monitor.plugin import ActionError, Held

Make = Callable[..., Harness]
STOP: dict[str, Any] = {"executionArn": "arn:aws:states:us-east-1:123456789012:execution:m:e"}
SEND: dict[str, Any] = {"QueueUrl": "http://q", "MessageBody": "b"}


async def failing(work: Any) -> ActionError:
    """The ActionError that `work` raises."""
    with pytest.raises(ActionError) as caught:
        await work
    return caught.value


async def reset(request: web.Request) -> web.StreamResponse:
    """Takes the request and cuts the line."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def test_every_attempt_passes_the_guard(canned: CannedAws, harness: Make) -> None:
    """Two throttles and a success are three attempts and three guards, each told how long the attempt may last."""
    answers = iter([refuse("ThrottlingException"), refuse("ThrottlingException"), lambda _: {"stopDate": 1.0}])

    def answer(body: dict[str, Any]) -> Any:
        return next(answers)(body)

    canned.on["StopExecution"] = answer
    made = harness()
    reply = await made.writes.mutate("stepfunctions", "StopExecution", **STOP)
    assert reply["stopDate"].tzinfo is not None
    assert made.guarded == [("stepfunctions", "StopExecution", 13.0)] * 3


async def test_a_closed_gate_lets_nothing_out(canned: CannedAws, harness: Make) -> None:
    """Held comes through untouched, also between two attempts."""
    made = harness()
    canned.on["StopExecution"] = refuse("ThrottlingException")
    calls = 0

    async def guard(aws_service: str, operation: str, seconds: float) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise Held("kill_switch", "off")

    writes = made.aws.writes(AwsSpec(), guard)
    with pytest.raises(Held) as caught:
        await writes.mutate("stepfunctions", "StopExecution", **STOP)
    assert caught.value.gate == "kill_switch"
    assert canned.count["StopExecution"] == 1


async def test_a_read_of_an_action_passes_no_guard(canned: CannedAws, harness: Make) -> None:
    """Only mutations are guarded."""
    made = harness()
    await made.writes.call("sqs", "ListQueues")
    assert made.guarded == []


@pytest.mark.parametrize("idempotent", [True, False])
async def test_a_cut_line_is_repeated_only_if_that_is_safe(canned: CannedAws, harness: Make, idempotent: bool) -> None:
    """A call that may have had its effect is not sent twice, and says so."""
    canned.on["SendMessage"] = lambda _: Faulty(reset)
    error = await failing(harness().writes.mutate("sqs", "SendMessage", idempotent=idempotent, **SEND))
    assert error.reason is Reason.UNAVAILABLE
    assert error.ambiguous is not idempotent
    assert (canned.count["SendMessage"] > 1) is idempotent


async def test_a_server_fault_is_ambiguous_for_a_call_that_is_not_idempotent(canned: CannedAws, harness: Make) -> None:
    """A 500 does not say that nothing happened."""
    canned.on["SendMessage"] = refuse("InternalFailure", status=500)
    error = await failing(harness().writes.mutate("sqs", "SendMessage", idempotent=False, **SEND))
    assert error.ambiguous
    assert canned.count["SendMessage"] == 1


async def test_a_throttle_is_never_ambiguous(canned: CannedAws, harness: Make) -> None:
    """A refused call had no effect, so even one that is not idempotent goes out again."""
    answers = iter([refuse("ThrottlingException"), lambda _: {"MessageId": "1"}])

    def answer(body: dict[str, Any]) -> Any:
        return next(answers)(body)

    canned.on["SendMessage"] = answer
    assert (await harness().writes.mutate("sqs", "SendMessage", idempotent=False, **SEND))["MessageId"] == "1"


async def test_a_hung_call_ends_at_the_deadline(canned: CannedAws, harness: Make) -> None:
    """A timeout after sending is ambiguous where repeating is not safe."""
    canned.on["SendMessage"] = lambda _: asyncio.sleep(30)
    brief = {"deadline": timedelta(seconds=1.5), "read_timeout": timedelta(seconds=10)}
    error = await failing(harness(**brief).writes.mutate("sqs", "SendMessage", idempotent=False, **SEND))
    assert (error.reason, error.ambiguous) == (Reason.TIMEOUT, True)


async def test_a_refused_connection_is_not_ambiguous(harness: Make) -> None:
    """Nothing was sent."""
    writes = harness(url="http://127.0.0.1:9").writes
    error = await failing(writes.mutate("sqs", "SendMessage", idempotent=False, **SEND))
    assert (error.reason, error.ambiguous) == (Reason.UNAVAILABLE, False)


async def test_a_guard_that_hangs_sends_nothing(canned: CannedAws, harness: Make) -> None:
    """The deadline covers the gates, and says that nothing was sent."""
    made = harness(deadline=timedelta(seconds=0.5))

    async def guard(aws_service: str, operation: str, seconds: float) -> None:
        await asyncio.sleep(30)

    writes = made.aws.writes(AwsSpec(), guard)
    error = await failing(writes.mutate("sqs", "SendMessage", idempotent=False, **SEND))
    assert (error.reason, error.ambiguous, canned.count["SendMessage"]) == (Reason.TIMEOUT, False, 0)


async def test_wrong_parameters_never_leave(canned: CannedAws, harness: Make) -> None:
    """The SDK's own validation is a plain 'invalid'."""
    made = harness()
    error = await failing(made.writes.mutate("sqs", "SendMessage", QueueUrl="http://q", MessageBody=3))
    assert error.reason is Reason.INVALID
    assert canned.count["SendMessage"] == 0
    assert made.meter.requests["sqs.SendMessage", Reason.INVALID] == 0


async def test_streamed_replies_are_read(canned: CannedAws, harness: Make) -> None:
    """A function's payload arrives as bytes, with no socket left open."""
    operation = "POST /2015-03-31/functions/f/invocations"
    canned.on[operation] = lambda _: web.Response(body=b'{"ok": true}', content_type="application/json")
    reply = await harness().writes.mutate("lambda", "Invoke", idempotent=False, FunctionName="f")
    assert reply["Payload"] == b'{"ok": true}'


async def test_the_rate_is_the_regions(harness: Make) -> None:
    """An ETA starts from the published refill (less a percent of margin)."""
    aws = harness().aws
    rates = [
        aws.writes(AwsSpec(region=region), harness().guard).rate("states", "StopExecution")
        for region in ("us-east-1", "eu-central-1")
    ]
    assert rates == pytest.approx([200, 25], rel=0.02)
