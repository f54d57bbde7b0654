"""Reads against a canned endpoint: shared, retried, deadlined, isolated, honest."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from aws_doubles import CannedAws, Faulty, Harness, page, refuse

from monitor.core.model import Reason
from monitor.core.spec import AwsSpec
from monitor.plugin import ProbeError

Make = Callable[..., Harness]
BRIEF = {"deadline": timedelta(seconds=2), "read_timeout": timedelta(seconds=0.5), "connect_timeout": timedelta(0, 0.5)}


async def failing(work: Any) -> ProbeError:
    """The ProbeError that `work` raises."""
    with pytest.raises(ProbeError) as caught:
        await work
    return caught.value


async def test_identical_reads_in_flight_are_one_call(canned: CannedAws, harness: Make) -> None:
    """Twenty callers, one request."""
    canned.latency = 0.05
    canned.on["ListQueues"] = {"QueueUrls": ["u"]}
    reads = harness().reads
    replies = await asyncio.gather(*(reads.call("sqs", "ListQueues") for _ in range(20)))
    assert canned.count["ListQueues"] == 1
    assert {reply["QueueUrls"][0] for reply in replies} == {"u"}


async def test_other_parameters_are_another_call(canned: CannedAws, harness: Make) -> None:
    """Sharing never mixes up requests."""
    reads = harness().reads
    await asyncio.gather(*(reads.call("sqs", "ListQueues", QueueNamePrefix=p) for p in ("a", "b", "a")))
    assert canned.count["ListQueues"] == 2


async def test_one_callers_cancellation_leaves_the_others(canned: CannedAws, harness: Make) -> None:
    """The call goes on while anybody waits."""
    canned.latency = 0.05
    reads = harness().reads
    first, second = (asyncio.ensure_future(reads.call("sqs", "ListQueues")) for _ in range(2))
    await asyncio.sleep(0.02)
    first.cancel()
    assert await second == {}
    assert first.cancelled()


async def test_the_last_cancellation_ends_the_call(canned: CannedAws, harness: Make) -> None:
    """Nobody waits, so nothing is left behind."""
    arrived = asyncio.Event()

    async def hang() -> None:
        arrived.set()
        await asyncio.sleep(30)

    canned.on["ListQueues"] = lambda _: hang()
    made = harness()
    only = asyncio.ensure_future(made.reads.call("sqs", "ListQueues"))
    await asyncio.wait_for(arrived.wait(), 5)
    only.cancel()
    await asyncio.gather(only, return_exceptions=True)
    await asyncio.sleep(0.05)
    assert [task for task in made.tasks if task.get_name() == "aws.read"] == []


async def test_a_reply_is_shared_while_fresh(canned: CannedAws, harness: Make) -> None:
    """A second caller within the window costs nothing; failures are not kept."""
    reads = harness(freshness=timedelta(seconds=30)).reads
    for _ in range(3):
        await reads.call("sqs", "ListQueues")
    assert canned.count["ListQueues"] == 1
    canned.on["GetQueueUrl"] = refuse("AccessDenied", status=403)
    for _ in range(2):
        await failing(reads.call("sqs", "GetQueueUrl", QueueName="q"))
    assert canned.count["GetQueueUrl"] == 2


async def test_a_mutation_ends_sharing(canned: CannedAws, harness: Make) -> None:
    """After a change nobody is told the state from before it."""
    made = harness(freshness=timedelta(seconds=30))
    await made.reads.call("sqs", "ListQueues")
    await made.writes.mutate("sqs", "CreateQueue", QueueName="q")
    await made.reads.call("sqs", "ListQueues")
    assert canned.count["ListQueues"] == 2


async def test_an_action_reads_back_afresh(canned: CannedAws, harness: Make) -> None:
    """Reads of an action are never shared."""
    made = harness(freshness=timedelta(seconds=30))
    await made.reads.call("sqs", "ListQueues")
    await made.writes.call("sqs", "ListQueues")
    assert canned.count["ListQueues"] == 2


@pytest.mark.parametrize(
    ("answer", "reason", "attempts"),
    [
        (refuse("AccessDeniedException"), Reason.DENIED, 1),
        (refuse("AWS.SimpleQueueService.NonExistentQueue"), Reason.NOT_FOUND, 1),
        (refuse("InvalidAttributeName"), Reason.INVALID, 1),
        (refuse("ThrottlingException"), Reason.THROTTLED, 4),
        (refuse("InternalFailure", status=500), Reason.UNAVAILABLE, 4),
        (page(500), Reason.UNAVAILABLE, 4),
        (page(404), Reason.UNAVAILABLE, 4),
        (page(200), Reason.UNAVAILABLE, 4),
    ],
)
async def test_a_failed_read_has_its_reason(
    canned: CannedAws, harness: Make, answer: Any, reason: Reason, attempts: int
) -> None:
    """What may pass is tried again, what won't is not; a web page is never a reply."""
    canned.on["ListQueues"] = answer
    made = harness()
    error = await failing(made.reads.call("sqs", "ListQueues"))
    assert error.reason is reason
    assert canned.count["ListQueues"] == attempts
    assert made.meter.requests["sqs.ListQueues", reason] == attempts


async def truncated(request: web.Request) -> web.StreamResponse:
    """Promises more than it sends."""
    response = web.StreamResponse(headers={"Content-Length": "1000", "Content-Type": "application/x-amz-json-1.0"})
    await response.prepare(request)
    await response.write(b'{"QueueUrls": ["u"')
    assert request.transport is not None
    request.transport.close()
    return response


@pytest.mark.parametrize("body", [b'{"QueueUrls": ["u"', b'{"QueueUrls": [{}', b"<html></html>", b"\xff\xfe{}"])
async def test_an_undecodable_body_is_no_empty_reply(canned: CannedAws, harness: Make, body: bytes) -> None:
    """A cut body with a whole length would read as 'no queues' to the SDK."""
    canned.on["ListQueues"] = lambda _: web.Response(body=body, content_type="application/x-amz-json-1.0")
    assert (await failing(harness().reads.call("sqs", "ListQueues"))).reason is Reason.UNAVAILABLE


async def test_a_truncated_transfer_is_unavailable(canned: CannedAws, harness: Make) -> None:
    """The connection breaks in the middle of the body."""
    canned.on["ListQueues"] = lambda _: Faulty(truncated)
    assert (await failing(harness().reads.call("sqs", "ListQueues"))).reason is Reason.UNAVAILABLE


async def test_a_hung_endpoint_is_a_timeout(canned: CannedAws, harness: Make) -> None:
    """The deadline bounds all attempts."""
    canned.on["ListQueues"] = lambda _: asyncio.sleep(30)
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert (await failing(harness(**BRIEF).reads.call("sqs", "ListQueues"))).reason is Reason.TIMEOUT
    assert loop.time() - began < 6


async def test_a_dead_endpoint_is_unavailable(harness: Make) -> None:
    """Nobody listens."""
    error = await failing(harness(url="http://127.0.0.1:9").reads.call("sqs", "ListQueues"))
    assert error.reason is Reason.UNAVAILABLE
    assert "can't reach the endpoint" in error.detail


async def test_a_recovering_endpoint_is_read_by_a_retry(canned: CannedAws, harness: Make) -> None:
    """Two failures and a reply are a reply."""
    answers = iter([refuse("InternalFailure", status=500), refuse("Throttling"), lambda _: {"QueueUrls": ["u"]}])

    def answer(body: dict[str, Any]) -> Any:
        return next(answers)(body)

    canned.on["ListQueues"] = answer
    assert (await harness().reads.call("sqs", "ListQueues"))["QueueUrls"] == ["u"]


async def test_hung_calls_of_one_service_do_not_starve_another(canned: CannedAws, harness: Make) -> None:
    """Each client has its own connections."""
    canned.on["ListQueues"] = lambda _: asyncio.sleep(30)
    reads = harness(max_connections=2, **BRIEF).reads
    await reads.call("dynamodb", "ListTables", Limit=1)
    hung = [asyncio.ensure_future(reads.call("sqs", "ListQueues", QueueNamePrefix=str(i))) for i in range(10)]
    await asyncio.sleep(0.1)
    async with asyncio.timeout(0.5):
        await reads.call("dynamodb", "ListTables", Limit=2)
    for error in await asyncio.gather(*hung, return_exceptions=True):
        assert isinstance(error, ProbeError)
        assert error.reason is Reason.TIMEOUT


async def test_waiting_for_the_quota_counts_against_the_deadline(canned: CannedAws, harness: Make) -> None:
    """Held back too long is 'throttled', and says by whom."""
    quotas = {"sqs": (2.0, 0.01)}
    reads = harness(quotas=quotas, deadline=timedelta(seconds=1.5)).reads
    await reads.call("sqs", "ListQueues", QueueNamePrefix="a")
    error = await failing(reads.call("sqs", "ListQueues", QueueNamePrefix="b"))
    assert error.reason is Reason.THROTTLED
    assert "held back" in error.detail
    assert canned.count["ListQueues"] == 1


@pytest.mark.parametrize(
    ("service", "operation", "params"),
    [
        ("sqs", "SendMessage", {"QueueUrl": "u", "MessageBody": "b"}),
        ("sqs", "ReceiveMessage", {"QueueUrl": "u"}),
        ("stepfunctions", "TestState", {}),
        ("secretsmanager", "GetSecretValue", {"SecretId": "x"}),
        ("ssm", "GetParameter", {"Name": "x", "WithDecryption": True}),
        ("sts", "AssumeRole", {}),
    ],
)
async def test_reads_refuse_to_change_or_reveal(
    canned: CannedAws, harness: Make, service: str, operation: str, params: dict[str, Any]
) -> None:
    """A check can't mutate, and can't read a secret, whatever its config says."""
    assert (await failing(harness().reads.call(service, operation, **params))).reason is Reason.INVALID
    assert canned.count[operation] == 0


async def test_other_spellings_are_understood(canned: CannedAws, harness: Make) -> None:
    """The CLI's names work too."""
    await harness().reads.call("states", "list-state-machines")
    assert canned.count["ListStateMachines"] == 1


async def test_pages_go_to_the_end(canned: CannedAws, harness: Make) -> None:
    """Empty pages with a token do not end a listing."""
    pages = {None: (["a"], "1"), "1": ([], "2"), "2": (["b"], None)}

    def answer(body: dict[str, Any]) -> dict[str, Any]:
        urls, token = pages[body.get("NextToken")]
        return {"QueueUrls": urls} | ({"NextToken": token} if token else {})

    canned.on["ListQueues"] = answer
    reads = harness().reads
    found = [url async for one in reads.pages("sqs", "ListQueues", MaxResults=1) for url in one["QueueUrls"]]
    assert found == ["a", "b"]


async def test_a_failing_page_fails_the_listing(canned: CannedAws, harness: Make) -> None:
    """A partial list is no list."""
    canned.on["ListQueues"] = lambda body: (
        refuse("AccessDenied")(body) if "NextToken" in body else {"QueueUrls": ["a"], "NextToken": "1"}
    )

    async def listed() -> list[Any]:
        return [one async for one in harness().reads.pages("sqs", "ListQueues", MaxResults=1)]

    assert (await failing(listed())).reason is Reason.DENIED


async def test_a_token_that_repeats_itself_is_an_error(canned: CannedAws, harness: Make) -> None:
    """A listing can't go round for ever."""
    canned.on["ListQueues"] = {"QueueUrls": ["a"], "NextToken": "1"}

    async def listed() -> list[Any]:
        return [one async for one in harness().reads.pages("sqs", "ListQueues", MaxResults=1)]

    assert (await failing(listed())).reason is Reason.UNAVAILABLE


async def test_the_account_is_learned_in_the_background(canned: CannedAws, harness: Make) -> None:
    """A hung STS delays no read; a role's account needs no STS at all."""
    canned.on["GetCallerIdentity"] = lambda _: asyncio.sleep(30)
    made = harness(**BRIEF)
    async with asyncio.timeout(1.8):
        await made.reads.call("sqs", "ListQueues")
    role = made.aws.reads(AwsSpec(role_arn="arn:aws:iam::210987654321:role/watcher"))
    assert await role.account() == "210987654321"


async def test_health_names_what_is_broken_until_it_answers(canned: CannedAws, harness: Make) -> None:
    """Three failures in a row are suspicious, one success clears."""
    made = harness()
    canned.on["ListQueues"] = page(502)
    await failing(made.reads.call("sqs", "ListQueues"))
    assert [(place.aws_service, place.reason) for place in made.aws.health()] == [("sqs", Reason.UNAVAILABLE)]
    canned.on["ListQueues"] = {}
    await made.reads.call("sqs", "ListQueues")
    assert made.aws.health() == ()


async def test_refused_credentials_break_the_identity(canned: CannedAws, harness: Make) -> None:
    """Expired credentials are one broken identity, however many services refuse them."""
    made = harness()
    for operation in ("ListQueues", "ListTables", "GetCallerIdentity"):
        canned.on[operation] = refuse("ExpiredTokenException")
    for service, operation in (("sqs", "ListQueues"), ("dynamodb", "ListTables"), ("sqs", "ListQueues")):
        await failing(made.reads.call(service, operation))
    broken = made.aws.health()
    assert [place.aws_service for place in broken] == [""]
    assert broken[0].detail == "the credentials have expired"


async def test_closing_leaves_no_socket(canned: CannedAws, harness: Make) -> None:
    """A closed room refuses, and warns of nothing when collected."""
    made = harness()
    await asyncio.gather(*(made.reads.call("sqs", "ListQueues", QueueNamePrefix=str(i)) for i in range(20)))
    await made.aws.close()
    await made.aws.close()
    assert (await failing(made.reads.call("sqs", "ListQueues"))).reason is Reason.UNAVAILABLE
    gc.collect()
