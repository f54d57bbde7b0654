"""set_error_page, put_object, request_quota."""
# ruff: noqa: N803 - the fakes take AWS's own parameter names

from dataclasses import replace
from datetime import timedelta

import pytest

from monitor.actions.put_object import ACTION as OBJECT
from monitor.actions.request_quota import ACTION as QUOTA
from monitor.actions.set_error_page import ACTION as PAGE
from monitor.plugin import ActionError, ProbeError, Reason
from monitor.testing import EPOCH, assert_action_conforms, run_action

SHOWN = {"distribution": "E2QWRUHAPOMQZL", "page": "/m/index.html", "codes": [502, 503]}


class Front:
    """One distribution under an ETag; `moves` edits by others come in between a read and a write."""

    def __init__(self, *responses, moves=0):
        items = {"Items": list(responses)} if responses else {}
        self.config = {
            "CallerReference": "c", "Comment": "site", "Enabled": True,
            "Origins": {"Quantity": 1, "Items": [{"Id": "o", "DomainName": "o.example.com"}]},
            "DefaultCacheBehavior": {"TargetOriginId": "o", "ViewerProtocolPolicy": "https-only"},
            "CustomErrorResponses": {"Quantity": len(responses), **items},
        }  # fmt: skip
        self.version, self.moves = 1, moves

    @property
    def replies(self):
        return {"cloudfront.GetDistributionConfig": self.get, "cloudfront.UpdateDistribution": self.update}

    def get(self, Id):
        return {"ETag": f"E{self.version}", "DistributionConfig": self.config}

    def update(self, Id, IfMatch, DistributionConfig):
        if self.moves:
            self.moves, self.version = self.moves - 1, self.version + 1
            self.config = {**self.config, "Comment": f"edit {self.version}"}
        if IfMatch != f"E{self.version}":
            return ActionError(Reason.INVALID, "PreconditionFailed: the ETag is not the present one")
        self.config, self.version = DistributionConfig, self.version + 1
        return {}


OWN = {"ErrorCode": 503, "ErrorCachingMinTTL": 60}
OTHER = {"ErrorCode": 404, "ResponsePagePath": "/404.html", "ResponseCode": "404", "ErrorCachingMinTTL": 300}


@pytest.mark.parametrize("before", [(), (OTHER,), (OWN, OTHER)], ids=["none", "another code", "a time of its own"])
async def test_error_pages_are_shown_and_taken_back_exactly(fake, before):
    """Each named code has the page, other codes theirs; undone, the configuration is what it was."""
    await assert_action_conforms(PAGE, SHOWN, lambda: fake(Front(*before).replies, action=PAGE))
    front = Front(*before)
    config = dict(front.config)
    run = await run_action(PAGE, SHOWN, fake(front.replies, action=PAGE))
    responses = {one["ErrorCode"]: one for one in front.config["CustomErrorResponses"]["Items"]}
    assert responses[502] == {
        "ErrorCode": 502, "ResponsePagePath": "/m/index.html", "ResponseCode": "503", "ErrorCachingMinTTL": 10,
    }  # fmt: skip
    assert (404 in responses) == (OTHER in before)
    await run.undo(PAGE)
    responses = front.config["CustomErrorResponses"]
    assert sorted(responses.get("Items", ()), key=str) == sorted(before, key=str)
    assert {**front.config, "CustomErrorResponses": config["CustomErrorResponses"]} == config


async def test_an_edit_in_between_is_kept(fake):
    """The write is refused by its ETag, and made again on what stands there now."""
    front = Front(moves=1)
    run = await run_action(PAGE, SHOWN, fake(front.replies, action=PAGE))
    assert run.receipt.changed
    assert front.config["Comment"] == "edit 2"
    with pytest.raises(ActionError, match="PreconditionFailed"):
        await run_action(PAGE, SHOWN, fake(Front(moves=9).replies, action=PAGE))


async def test_a_distribution_that_is_not_there_is_asked_for_by_its_id(fake):
    """A domain name is no id."""
    gone = {"cloudfront.GetDistributionConfig": ProbeError(Reason.NOT_FOUND, "NoSuchDistribution")}
    with pytest.raises(ActionError, match="give its id"):
        await run_action(PAGE, SHOWN, fake(gone))
    with pytest.raises(ValueError, match="has no page for 599"):
        PAGE.params(distribution="E2QWRUHAPOMQZL", page="/m", codes=(599,))


class Bucket:
    """One key."""

    def __init__(self, body=None, kind="text/plain"):
        self.now = None if body is None else (body, kind)

    @property
    def replies(self):
        return {"s3.GetObject": self.get, "s3.PutObject": self.put, "s3.DeleteObject": self.delete}

    def get(self, Bucket, Key):
        if self.now is None:
            return ProbeError(Reason.NOT_FOUND, "NoSuchKey: The specified key does not exist.")
        return {"Body": self.now[0], "ContentType": self.now[1]}

    def put(self, Bucket, Key, Body, ContentType):
        self.now = (Body, ContentType)
        return {}

    def delete(self, Bucket, Key):
        self.now = None
        return {}


PUT = {"bucket": "site", "key": "m/index.html", "text": "<p>soon"}


@pytest.mark.parametrize("before", [None, b"what stood there"], ids=["none", "another"])
async def test_an_object_is_put_and_what_was_there_comes_back(fake, before):
    """Deleted where there was none; bytes and type where there was one."""
    await assert_action_conforms(OBJECT, PUT, lambda: fake(Bucket(before).replies, action=OBJECT))
    bucket = Bucket(before)
    was = bucket.now
    run = await run_action(OBJECT, PUT, fake(bucket.replies, action=OBJECT))
    assert bucket.now == (b"<p>soon", "text/html; charset=utf-8")
    await run.undo(OBJECT)
    assert bucket.now == was


async def test_a_second_attempt_remembers_the_first_ones_before(fake):
    """Killed after the write: what is remembered is still what stood there first."""
    bucket = Bucket(b"first")
    aws = fake(bucket.replies, action=OBJECT)
    run = await run_action(OBJECT, PUT, aws)
    bucket.now = (b"half written", "text/html")
    again = await OBJECT.apply(run.change, run.context)
    assert again.changed
    await run.undo(OBJECT)
    assert bucket.now == (b"first", "text/plain")


async def test_another_breakers_page_is_no_prior_state(fake):
    """What is restored is what the claim says, not what this step found: nothing here, and no page of another one's."""
    bucket = Bucket(b"another breaker's page")
    run = await run_action(OBJECT, PUT, fake(bucket.replies, action=OBJECT))
    undone = await OBJECT.undo(replace(run.receipt, prior=None), run.context)
    assert (bucket.now, undone.changed) == (None, True)


async def test_an_unknown_text_is_not_guessed(fake):
    """The text from before another breaker's page is not known here: a sentence, and no other text in its place."""
    bucket = Bucket(b"another breaker's page")
    run = await run_action(OBJECT, PUT, fake(bucket.replies, action=OBJECT))
    with pytest.raises(ActionError, match="restore it by hand"):
        await OBJECT.undo(replace(run.receipt, prior={"sha256": "0" * 64, "type": "text/html"}), run.context)
    assert bucket.now[0] == b"<p>soon"


async def test_a_newer_holders_text_is_not_written_over(fake):
    """Resumed after another breaker joined: its text is wanted now, and only it knows that."""
    bucket = Bucket(b"first")
    run = await run_action(OBJECT, PUT, fake(bucket.replies, action=OBJECT))
    bucket.now = (b"first", "text/plain")
    theirs = replace(run.change, wanted={"sha256": "0" * 64, "type": "text/html"})
    with pytest.raises(ActionError, match="another breaker") as caught:
        await OBJECT.apply(theirs, run.context)
    assert (caught.value.reason, bucket.now[0]) == (Reason.UNAVAILABLE, b"first")


@pytest.mark.parametrize("body", [b"\xff\xfe\x00", b"x" * 70_000], ids=["no text", "too large"])
async def test_what_could_not_be_put_back_is_not_replaced(fake, body):
    """Refused before anything is written."""
    bucket = Bucket(body)
    with pytest.raises(ActionError, match="choose another key"):
        await run_action(OBJECT, PUT, fake(bucket.replies, action=OBJECT))
    assert bucket.now[0] == body


class Quotas:
    """One quota and its requests."""

    def __init__(self, value=1000.0, requests=(), answer=None):
        self.value, self.requests, self.answer = value, list(requests), answer

    @property
    def replies(self):
        return {
            "service-quotas.GetServiceQuota": ProbeError(Reason.NOT_FOUND, "NoSuchResourceException"),
            "service-quotas.GetAWSDefaultServiceQuota": {"Quota": {"Value": self.value}},
            "service-quotas.ListRequestedServiceQuotaChangeHistoryByQuota": lambda **p: {
                "RequestedQuotas": self.requests
            },
            "service-quotas.RequestServiceQuotaIncrease": self.ask,
        }

    def ask(self, ServiceCode, QuotaCode, DesiredValue):
        self.requests.append(request("PENDING", DesiredValue))
        return self.answer or {"RequestedQuota": self.requests[-1]}


def request(status, value=2000.0, days=0):
    """One of the history's, so many days old."""
    at = EPOCH - timedelta(days=days)
    return {"Id": f"r-{status}", "Status": status, "DesiredValue": value, "Created": at, "LastUpdated": at}


ASKED = {"service": "lambda", "quota": "L-B99A9384", "value": 2000}


async def test_a_quota_is_requested_once(fake):
    """Asked; asked again nothing is sent while AWS decides."""
    await assert_action_conforms(QUOTA)
    quotas = Quotas()
    aws = fake(quotas.replies)
    run = await run_action(QUOTA, ASKED, aws)
    assert run.receipt.changed
    assert run.receipt.data == {"id": "r-PENDING", "status": "PENDING"}
    again = await run_action(QUOTA, ASKED, aws)
    assert not again.receipt.changed
    assert "under way" in again.receipt.detail
    assert [call.params["DesiredValue"] for call in aws.mutations] == [2000]


@pytest.mark.parametrize(
    ("quotas", "said"),
    [
        (Quotas(value=3000.0), "is 3000 already"),
        (Quotas(requests=[request("CASE_OPENED", days=30)]), "under way"),
        (Quotas(requests=[request("DENIED", days=2)]), "take it up with support"),
    ],
    ids=["high enough", "open for long", "refused lately"],
)
async def test_nothing_is_requested_where_it_would_win_nothing(fake, quotas, said):
    """The receipt says why."""
    aws = fake(quotas.replies)
    run = await run_action(QUOTA, ASKED, aws)
    assert said in run.receipt.detail
    assert aws.mutations == []


@pytest.mark.parametrize("old", [request("DENIED", days=8), request("DENIED", 1500.0), request("APPROVED")])
async def test_an_old_or_smaller_refusal_does_not_stand_in_the_way(fake, old):
    """Asked anew."""
    run = await run_action(QUOTA, ASKED, fake(Quotas(requests=[old]).replies))
    assert run.receipt.changed


async def test_a_lost_answer_is_looked_up_not_asked_again(fake):
    """The history shows the request that was made."""
    lost = ActionError(Reason.UNAVAILABLE, "no answer", ambiguous=True)
    aws = fake(Quotas(answer=lost).replies)
    run = await run_action(QUOTA, ASKED, aws)
    assert run.receipt.changed
    assert len(aws.mutations) == 1
