"""One HTTP question and whether its answer is the expected one. Bodies are judged here and go no further."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp
import jmespath
from jmespath.exceptions import JMESPathError

MOST_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Expected:
    """What an answer must be. No `status`: any of 200 to 299."""

    status: tuple[int, ...] = ()
    body: str | None = None
    json_path: str | None = None
    equals: str | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """How to ask."""

    method: str
    headers: Mapping[str, str]
    expected: Expected
    follow: bool
    max_body: int
    trust: ssl.SSLContext


@dataclass(frozen=True, slots=True)
class Seen:
    """What came; `why` is empty if it is as expected."""

    why: str
    seconds: float


async def ask(url: str, question: Question) -> Seen:
    """Raises OSError (aiohttp's connection errors are) and ssl.SSLError; the caller sets the deadline."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    connector = aiohttp.TCPConnector(ssl=question.trust, force_close=True)
    # The caller's deadline is the only one, and no cookie outlives a run.
    session = aiohttp.ClientSession(
        connector=connector, timeout=aiohttp.ClientTimeout(total=None), cookie_jar=aiohttp.DummyCookieJar()
    )
    try:
        async with session:
            for _ in range(MOST_REDIRECTS + 1):
                async with session.request(
                    question.method, url, headers=dict(question.headers), allow_redirects=False
                ) as answer:
                    following = _following(url, answer) if question.follow else None
                    if following is None:
                        body = await _body(answer, question.max_body)
                        why = unexpected(answer.status, *body, question.expected)
                        return Seen(why, loop.time() - began)
                    url = following
            return Seen(f"more than {MOST_REDIRECTS} redirects", loop.time() - began)
    except aiohttp.ClientConnectorCertificateError as error:
        raise error.certificate_error from None
    except aiohttp.ClientConnectorSSLError as error:
        raise ssl.SSLError(*error.os_error.args) from None
    except aiohttp.ClientConnectorError as error:
        raise error.os_error from None
    except aiohttp.ClientError as error:
        raise ConnectionError(f"the answer broke off ({type(error).__name__})") from None


def _following(url: str, answer: aiohttp.ClientResponse) -> str | None:
    """Where a redirect on the same host leads; one to elsewhere, or out of TLS, is an answer like any other."""
    place = answer.headers.get("Location")
    if answer.status not in _REDIRECTS or not place:
        return None
    following = urljoin(url, place)
    old, new = urlsplit(url), urlsplit(following)
    upward = (old.scheme, new.scheme) in (("http", "http"), ("https", "https"), ("http", "https"))
    return following if upward and old.hostname == new.hostname else None


async def _body(answer: aiohttp.ClientResponse, most: int) -> tuple[bytes, bool]:
    """At most `most` bytes, and whether that is all."""
    held = bytearray()
    async for chunk in answer.content.iter_chunked(8192):
        held += chunk
        if len(held) > most:
            return bytes(held[:most]), False
    return bytes(held), True


def unexpected(status: int, body: bytes, is_whole: bool, expected: Expected) -> str:
    """Why this is not the expected answer; empty if it is. Says nothing of the body's content. Pure."""
    fits = status in expected.status if expected.status else 200 <= status < 300
    if not fits:
        return f"status {status}"
    if expected.body is not None and not re.search(expected.body, body.decode("utf-8", "replace")):
        return "the body does not hold the expected text"
    if expected.json_path is None:
        return ""
    if not is_whole:
        return "the body is longer than max_body, so it can't be read as JSON"
    return _unexpected_json(body, expected.json_path, expected.equals)


def _unexpected_json(body: bytes, path: str, equals: str | None) -> str:
    try:
        found: Any = jmespath.search(path, json.loads(body))
    except (ValueError, RecursionError):
        return "the body is no JSON"
    except JMESPathError:
        return f"{path} does not fit the body"
    if equals is None:
        return "" if found not in (None, False) else f"{path} is {json.dumps(found)}"
    text = found if isinstance(found, str) else json.dumps(found)
    return "" if text == equals else f"{path} is not {equals}"
