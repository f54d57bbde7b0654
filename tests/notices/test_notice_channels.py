"""How one notice reaches its URLs, and how failures are told."""

from __future__ import annotations

import asyncio
import socket
import sys
import warnings
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from monitor.core.model import Reason
from monitor.notices import Channels
from monitor.notices.address import is_slack, mask_url, scheme_of
from monitor.notices.channels import Message, _slack
from monitor.plugin import ActionError

Make = Callable[..., Channels]
TOPIC = "sns://arn:aws:sns:us-east-1:123456789012:alerts"


async def test_a_webhook_gets_title_body_and_severity(make_channels: Make, receiver: Any) -> None:
    """A generic webhook is posted one JSON object."""
    assert await make_channels().send([f"{receiver.base}/x"], "Tripped", "etl/s3", "SEV1") == []
    assert receiver.got == [
        {
            "source": "tripswitch",
            "title": "Tripped",
            "body": "etl/s3",
            "severity": "SEV1",
            "at": "2026-03-01T12:00:00+00:00",
        }
    ]


async def test_a_url_given_twice_is_told_once(make_channels: Make, receiver: Any) -> None:
    """Two channels with one URL are one delivery."""
    await make_channels().send([f"{receiver.base}/x"] * 2, "t", "b", "SEV1")
    assert len(receiver.got) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_passing_failures_are_repeated(make_channels: Make, receiver: Any, clock: Any, status: int) -> None:
    """Too many requests and server errors are tried again after a pause of up to 1, then 2 seconds."""
    receiver.statuses = [status, status]
    assert await make_channels().send([f"{receiver.base}/x"], "t", "b", "SEV1") == []
    assert len(receiver.got) == 3
    assert len(clock.slept) == 2
    assert 0 <= clock.slept[0] <= 1
    assert 0 <= clock.slept[1] <= 2


async def test_after_three_attempts_it_is_a_failure(make_channels: Make, receiver: Any) -> None:
    """The text names host and status, not the path, which is the secret."""
    receiver.statuses = [500] * 9
    [text] = await make_channels().send([f"{receiver.base}/services/T0/SECRET"], "t", "b", "SEV1")
    assert text == "http://127.0.0.1/***: answered HTTP 500"
    assert len(receiver.got) == 3


@pytest.mark.parametrize(("asked", "pause"), [("3", 3.0), ("600", 10.0)])
async def test_retry_after_is_honoured_within_bounds(
    make_channels: Make, receiver: Any, clock: Any, asked: str, pause: float
) -> None:
    """The receiver's own pause counts, up to ten seconds."""
    receiver.statuses, receiver.headers = [429], {"Retry-After": asked}
    assert await make_channels().send([f"{receiver.base}/x"], "t", "b", "SEV1") == []
    assert clock.slept == [pause]


@pytest.mark.parametrize(("status", "hint"), [(404, "removed"), (403, "token"), (400, "HTTP 400"), (307, "final URL")])
async def test_lasting_failures_are_not_repeated(make_channels: Make, receiver: Any, status: int, hint: str) -> None:
    """A refusal that would come again is told at once; a redirect is not followed."""
    receiver.statuses, receiver.headers = [status], {"Location": f"{receiver.base}/else"}
    [text] = await make_channels().send([f"{receiver.base}/x"], "t", "b", "SEV1")
    assert hint in text
    assert len(receiver.got) == 1


async def test_one_bad_channel_keeps_no_other_waiting(make_channels: Make, receiver: Any) -> None:
    """Failures come in the order of the URLs; the good ones are delivered."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{free.getsockname()[1]}/secret"
    failures = await make_channels().send([closed, f"{receiver.base}/x", "nonsense"], "t", "b", "SEV1")
    assert failures == [
        "http://127.0.0.1/***: the connection failed",
        "***: it holds no URL (https://…, sns://arn…, or an Apprise URL)",
    ]
    assert len(receiver.got) == 1


async def test_a_hanging_receiver_ends_at_the_deadline(make_channels: Make, receiver: Any) -> None:
    """An attempt that gets no answer is cut off."""
    receiver.hang = True
    channels = make_channels(timeout=0.05, attempts=2)
    assert await channels.send([f"{receiver.base}/x"], "t", "b", "SEV1") == ["http://127.0.0.1/***: no answer in time"]


async def test_deliveries_at_once_are_bounded(make_channels: Make, receiver: Any) -> None:
    """Twenty channels, three at a time."""
    urls = [f"{receiver.base}/{number}" for number in range(20)]
    assert await make_channels(at_once=3).send(urls, "t", "b", "SEV1") == []
    assert len(receiver.got) == 20
    assert receiver.busiest <= 3


async def test_secrets_are_resolved_late(make_channels: Make, receiver: Any, secrets: Any) -> None:
    """A reference is read at each delivery, so a rotated secret is used at once."""
    channels = make_channels()
    [text] = await channels.send(["env:HOOK"], "t", "b", "SEV1")
    assert text == "env:HOOK: the secret can't be read (not_found)"
    secrets.values["env:HOOK"] = f"{receiver.base}/hidden\n"
    assert await channels.send(["env:HOOK"], "t", "b", "SEV1") == []
    receiver.statuses = [400]
    [text] = await channels.send(["env:HOOK"], "t", "b", "SEV1")
    assert text == "env:HOOK (http://127.0.0.1/***): answered HTTP 400"


@pytest.mark.parametrize("url", ["http://", "http://[secret/x", "https://secret host/x", "http://h:99999/secret"])
async def test_a_broken_url_is_a_failure_without_the_secret(make_channels: Make, url: str) -> None:
    """Whatever is wrong with a URL, its text stays out of the message."""
    [text] = await make_channels(attempts=1).send([url], "t", "b", "SEV1")
    assert "secret" not in text.partition(": ")[2]


async def test_an_unexpected_exception_is_a_failure(clock: Any, secrets: Any) -> None:
    """A factory that raises fails its own delivery only; nothing escapes."""

    def broken() -> aiohttp.ClientSession:
        raise RuntimeError("https://hooks.example/secret")

    channels = Channels(secrets, broken, None, clock)
    assert await channels.send(["https://a.example/x"], "t", "b", "SEV1") == [
        "https://a.example/***: failed with RuntimeError"
    ]


def test_slack_gets_text_only() -> None:
    """Slack's incoming webhooks take one text, with its three reserved characters escaped."""
    assert _slack(Message("a<b", "x & y", "SEV2", "")) == {"text": "*[SEV2] a&lt;b*\nx &amp; y"}
    assert is_slack("https://hooks.slack.com/services/T/B/x")
    assert not is_slack("https://hooks.slack.com.evil.example/services/T/B/x")


# --- SNS --------------------------------------------------------------------------------------------------------------


async def test_sns_goes_through_the_publisher(make_channels: Make) -> None:
    """The topic's ARN, a subject SNS accepts, the whole message."""
    sent: list[tuple[str, str, str]] = []

    async def publish(topic: str, subject: str, message: str) -> None:
        sent.append((topic, subject, message))

    assert await make_channels(publish).send([TOPIC], "Tripped\nütz " + "x" * 200, "why", "SEV1") == []
    [(topic, subject, message)] = sent
    assert topic == "arn:aws:sns:us-east-1:123456789012:alerts"
    assert subject.startswith("[SEV1] Tripped ?tz x")
    assert len(subject) == 100
    assert message.endswith("\n\nwhy")


@pytest.mark.parametrize(("reason", "attempts"), [(Reason.DENIED, 1), (Reason.THROTTLED, 3)])
async def test_sns_refusals_carry_their_reason(make_channels: Make, reason: Reason, attempts: int) -> None:
    """Only passing reasons are tried again."""
    tried: list[str] = []

    async def publish(topic: str, subject: str, message: str) -> None:
        tried.append(topic)
        raise ActionError(reason, "no")

    assert await make_channels(publish).send([TOPIC], "t", "b", "SEV1") == [f"{TOPIC}: SNS refused ({reason})"]
    assert len(tried) == attempts


async def test_sns_without_session_or_topic_says_so(make_channels: Make) -> None:
    """Both mistakes have their own text."""
    [text] = await make_channels().send([TOPIC], "t", "b", "SEV1")
    assert "no AWS session" in text
    [text] = await make_channels().send(["sns://alerts"], "t", "b", "SEV1")
    assert "write sns://arn:aws:sns:" in text


# --- Apprise ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def apprise_extra() -> None:
    """Apprise, imported and its plugins loaded; their own deprecated imports are not ours to fail on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("apprise").Apprise().add("json://localhost")


@pytest.mark.usefixtures("apprise_extra")
async def test_apprise_delivers_in_a_thread(make_channels: Make, receiver: Any) -> None:
    """An Apprise URL (its own JSON service, here) reaches the receiver; the loop goes on meanwhile."""
    url = receiver.base.replace("http://", "json://") + "/hook"
    assert await make_channels().send([url], "Tripped", "why", "SEV1") == []
    assert receiver.got[0]["title"] == "[SEV1] Tripped"
    assert receiver.got[0]["type"] == "failure"


@pytest.mark.usefixtures("apprise_extra")
async def test_an_unknown_apprise_url_is_told(make_channels: Make) -> None:
    """A scheme nobody knows fails at once."""
    assert await make_channels().send(["nosuchthing://secret"], "t", "b", "SEV1") == [
        "nosuchthing://***: Apprise does not know this kind of URL"
    ]


async def test_without_the_extra_the_text_says_what_to_install(
    make_channels: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Apprise is optional."""
    monkeypatch.setitem(sys.modules, "apprise", None)
    [text] = await make_channels().send(["slack://a/b/c"], "t", "b", "SEV1")
    assert text == "slack://***: this kind of URL needs the extra: pip install 'tripswitch[apprise]'"


@pytest.mark.usefixtures("apprise_extra")
async def test_a_hung_apprise_plugin_is_left_behind(make_channels: Make, receiver: Any) -> None:
    """The deadline holds for threads, too."""
    receiver.hang = True
    url = receiver.base.replace("http://", "json://") + "/hook?rto=1"
    async with asyncio.timeout(3):
        assert await make_channels(timeout=0.2, attempts=1).send([url], "t", "b", "SEV1") == [
            "json://***: no answer in time"
        ]


# --- what is shown ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "shown", "scheme"),
    [
        ("https://hooks.slack.com/services/T/B/x", "https://hooks.slack.com/***", "https"),
        ("https://user:pw@h.example:8443/x?token=1", "https://h.example/***", "https"),
        ("slack://token/a/b", "slack://***", "slack"),
        ("mailto://user:pw@example.com", "mailto://***", "mailto"),
        (TOPIC, TOPIC, "sns"),
        ("sns://AKIAIOSFODNN7EXAMPLE/secret/topic", "sns://***", "sns"),
        ("env:SLACK_URL", "env:SLACK_URL", "secret"),
        ("hunter2", "***", "invalid"),
        ("https://[", "https://***", "https"),
    ],
)
def test_only_the_harmless_part_of_a_url_is_shown(url: str, shown: str, scheme: str) -> None:
    """Hosts, schemes, references and topics are harmless; paths, users and tokens are not."""
    assert mask_url(url) == shown
    assert scheme_of(url) == scheme
