"""Talking to a daemon over its HTTP API.

Plain http.client: it starts in a blink, follows no redirect and uses no proxy, so the token goes to the daemon and to
nobody else.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from monitor.cli import options
from monitor.cli.talk import EXIT_FAILED, EXIT_REFUSED, die

DEFAULT_URL = "http://127.0.0.1:9108"
#: Seconds. A command may wait for a breaker's safe point; the daemon answers within 30.
READ, COMMAND = 10.0, 40.0
_MOST = 64 * 1024 * 1024


class Unreachable(Exception):
    """No daemon answered; the text says what to try."""


class Refused(Exception):
    """The daemon refused; nothing was changed."""

    def __init__(self, status: int, answer: Mapping[str, Any]) -> None:
        self.status = status
        self.data = answer.get("data") or {}
        hint = str(answer.get("hint") or "")
        self.error = str(answer.get("error") or f"HTTP {status}")
        super().__init__(f"{self.error} ({hint})" if hint else self.error)


@dataclass(frozen=True, slots=True)
class Daemon:
    """One daemon. `get` and `send` end the command when they fail; `ask` raises Unreachable and Refused."""

    url: str
    token: str | None = field(default=None, repr=False)
    #: Seconds to wait for an answer to a question.
    patience: float = READ

    def get(self, *path: str, **query: str) -> Any:
        """GET /api/v1/PATH."""
        return self._or_die("GET", path, None, query)

    def send(self, *path: str, method: str = "POST", **body: Any) -> dict[str, Any]:
        """A command; its outcome {ok, message, data}."""
        answer: dict[str, Any] = self._or_die(method, path, body, {})
        return answer

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, Any]:
        """(status, decoded answer) of any path. Raises Unreachable."""
        parts = urlsplit(self.url)
        secure = parts.scheme == "https"
        seconds = self.patience if body is None else COMMAND
        make = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
            if self.token:
                headers["Authorization"] = f"Bearer {self.token}"
        try:
            connection = make(parts.hostname or "", parts.port, timeout=seconds)
            try:
                content = None if body is None else json.dumps(body).encode()
                connection.request(method, parts.path.rstrip("/") + path, content, headers)
                reply = connection.getresponse()
                return reply.status, self._decoded(reply.status, reply.read(_MOST))
            finally:
                connection.close()
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise Unreachable(self._advice(error)) from error

    def _or_die(self, method: str, path: tuple[str, ...], body: Mapping[str, Any] | None, query: dict[str, str]) -> Any:
        try:
            return self.call(method, path, body, query)
        except Unreachable as error:
            die(str(error), EXIT_FAILED)
        except Refused as error:
            die(f"refused: {error}", EXIT_REFUSED)

    def call(
        self,
        method: str,
        path: tuple[str, ...],
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Any:
        """The answer of an API route. Raises Unreachable, Refused."""
        where = "/api/v1/" + "/".join(quote(part, safe="") for part in path)
        if query:
            where += f"?{urlencode(query)}"
        status, answer = self.ask(method, where, body)
        if status >= 500:
            raise Unreachable(f"{self.url} failed to answer: {Refused(status, answer)}")
        if status >= 300:
            raise Refused(status, answer)
        return answer

    def _decoded(self, status: int, content: bytes) -> Any:
        try:
            answer = json.loads(content)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise Unreachable(
                f"something answers at {self.url} (HTTP {status}), but it is no tripswitch daemon: "
                "check --url or TRIPSWITCH_URL"
            )
        return answer

    def _advice(self, error: Exception) -> str:
        why = "no answer in time" if isinstance(error, TimeoutError) else _why(error)
        return (
            f"no daemon answers at {self.url} ({why}): start one with `tripswitch run`, "
            "or name another with --url or TRIPSWITCH_URL"
        )


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) and error.strerror else str(error)) or type(error).__name__


def connect(url: str | None, token: str | None) -> Daemon:
    """The daemon that flags and environment name; a token that is a secret reference is resolved."""
    settings = options.settings(url=url, token=token)
    secret = settings.token.get_secret_value() if settings.token is not None else None
    if secret is not None and secret.split(":", 1)[0] in ("env", "file", "ssm", "secretsmanager") and ":" in secret:
        secret = _resolved(secret, settings)
    return Daemon(settings.url or DEFAULT_URL, secret)


def _resolved(reference: str, settings: Any) -> str:
    import asyncio

    from monitor.cli.round import resolve
    from monitor.plugin import ActionError
    from monitor.settings import environ

    try:
        return asyncio.run(resolve(reference, settings, environ()))
    except ActionError as error:
        die(f"the token can't be read: {error.detail}")
