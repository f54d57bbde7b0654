"""One notice to many URLs at once, each with its own deadline and retries; failures come back as texts."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import aiohttp
import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt

from monitor.core.model import RETRYABLE
from monitor.core.ports import Clock, Secrets
from monitor.notices.address import is_reference, is_slack, mask_url, scheme_of, topic_arn
from monitor.notices.apprise_thread import notify_by_apprise
from monitor.notices.failures import Undelivered, from_error, from_status
from monitor.notices.slack_room import SCHEME, Rooms, Topic, room_of
from monitor.plugin import ActionError

#: Publishes (topic ARN, subject, message) with the daemon's own AWS session.
PublishSns = Callable[[str, str, str], Awaitable[None]]

_log = structlog.get_logger()

#: SNS takes subjects of up to 100 ASCII characters in one line and messages of 256 KiB
#: (https://docs.aws.amazon.com/sns/latest/api/API_Publish.html).
_SUBJECT = 100
_LONGEST_BODY = 16_000
_NO_TOPIC = Topic()


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds one attempt may take, attempts, URLs at once, and the longest pause between attempts."""

    timeout: float = 10.0
    attempts: int = 3
    at_once: int = 8
    longest_pause: float = 10.0


@dataclass(frozen=True, slots=True)
class Message:
    """What every transport sends in its own form."""

    title: str
    body: str
    severity: str
    at: str
    topic: Topic = _NO_TOPIC


class Channels:
    """Delivers to webhooks, Slack, SNS and (with the extra `apprise`) whatever Apprise knows."""

    def __init__(
        self,
        secrets: Secrets,
        http: Callable[[], aiohttp.ClientSession],
        publish_sns: PublishSns | None,
        clock: Clock,
        limits: Limits | None = None,
    ) -> None:
        self._secrets = secrets
        self._http = http
        self._publish_sns = publish_sns
        self._clock = clock
        self._limits = limits or Limits()
        self._rooms = Rooms(http)
        self._slots = asyncio.Semaphore(self._limits.at_once)

    async def send(
        self, urls: Sequence[str], title: str, body: str, severity: str, topic: Topic | None = None
    ) -> list[str]:
        """Deliver to each URL (a URL given twice counts once). `topic`: which incident it is about.

        Returns one text per failure, in order, URL masked; an empty list means that all took it. Never raises, except
        when cancelled."""
        if len(body) > _LONGEST_BODY:
            body = body[:_LONGEST_BODY] + "…"
        message = Message(title, body, severity, self._clock.now().isoformat(timespec="seconds"), topic or _NO_TOPIC)
        answers = await asyncio.gather(*(self._send_one(url, message) for url in dict.fromkeys(urls)))
        return [answer for answer in answers if answer is not None]

    async def _send_one(self, url: str, message: Message) -> str | None:
        shown = mask_url(url)
        async with self._slots:
            try:
                real = await self._resolve(url)
                if is_reference(url):
                    shown = f"{url} ({mask_url(real)})"
                await self._repeat(real, message)
            except Exception as error:  # noqa: BLE001 - boundary: no transport, plugin or secret store may fail a caller
                why = from_error(error).why
                _log.warning("notice.failed", channel=shown, error=why)
                return f"{shown}: {why}"
        return None

    async def _resolve(self, url: str) -> str:
        if not is_reference(url):
            return url
        try:
            async with asyncio.timeout(self._limits.timeout):
                return (await self._secrets.resolve(url)).strip()
        except ActionError as error:
            raise Undelivered(f"the secret can't be read ({error.reason})", lasting=True) from error

    async def _repeat(self, url: str, message: Message) -> None:
        retrying = AsyncRetrying(
            stop=stop_after_attempt(self._limits.attempts),
            retry=retry_if_exception(lambda error: isinstance(error, Undelivered) and not error.lasting),
            wait=self._pause,
            sleep=self._clock.sleep,
            reraise=True,
        )
        async for attempt in retrying:
            with attempt:
                await self._attempt(url, message)

    def _pause(self, state: RetryCallState) -> float:
        """What the receiver asked for, else up to 1, 2, 4 … seconds at random."""
        error = state.outcome.exception() if state.outcome is not None else None
        asked = error.wait if isinstance(error, Undelivered) else None
        longest = self._limits.longest_pause
        if asked is not None:
            return min(asked, longest)
        return random.uniform(0.0, min(2.0 ** (state.attempt_number - 1), longest))  # noqa: S311 - spreads load, hides nothing

    async def _attempt(self, url: str, message: Message) -> None:
        try:
            async with asyncio.timeout(self._limits.timeout):
                await self._deliver(url, message)
        except Exception as error:
            # Translated inside the retries, which tell lasting failures from passing ones.
            raise from_error(error) from error

    async def _deliver(self, url: str, message: Message) -> None:
        scheme = scheme_of(url)
        if scheme in {"http", "https"}:
            await self._post(url, message)
        elif scheme == "sns":
            await self._publish(url, message)
        elif scheme == SCHEME:
            room = room_of(url)
            await self._rooms.post(room, await self._resolve(room.reference), _slack(message)["text"], message.topic)
        elif scheme in {"invalid", "secret"}:
            raise Undelivered("it holds no URL (https://…, sns://arn…, or an Apprise URL)", lasting=True)
        else:
            await notify_by_apprise(url, message.title, message.body, message.severity)

    async def _post(self, url: str, message: Message) -> None:
        payload = _slack(message) if is_slack(url) else _json(message)
        async with self._http() as session, session.post(url, json=payload, allow_redirects=False) as response:
            if not 200 <= response.status < 300:
                raise from_status(response.status, response.headers.get("Retry-After"))

    async def _publish(self, url: str, message: Message) -> None:
        arn = topic_arn(url)
        if arn is None:
            raise Undelivered("write sns://arn:aws:sns:REGION:ACCOUNT:TOPIC", lasting=True)
        if self._publish_sns is None:
            raise Undelivered("no AWS session publishes to SNS here", lasting=True)
        subject = " ".join(f"[{message.severity}] {message.title}".split())
        subject = subject.encode("ascii", "replace").decode()[:_SUBJECT]
        try:
            await self._publish_sns(arn, subject, f"{message.title}\n\n{message.body}")
        except ActionError as error:
            raise Undelivered(f"SNS refused ({error.reason})", lasting=error.reason not in RETRYABLE) from error


def _json(message: Message) -> dict[str, str]:
    return {
        "source": "tripswitch",
        "title": message.title,
        "body": message.body,
        "severity": message.severity,
        "at": message.at,
    }


def _slack(message: Message) -> dict[str, str]:
    # The three characters Slack's mrkdwn reserves (https://docs.slack.dev/messaging/formatting-message-text).
    text = f"*[{message.severity}] {message.title}*\n{message.body}".replace("&", "&amp;")
    return {"text": text.replace("<", "&lt;").replace(">", "&gt;")}
