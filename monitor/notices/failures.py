"""Why a delivery failed, in words that hold no URL: exceptions of HTTP clients like to quote it."""

from __future__ import annotations

import socket

import aiohttp


class Undelivered(Exception):
    """One attempt failed. `lasting` ones would fail again just so and are not repeated."""

    def __init__(self, why: str, *, lasting: bool = False, wait: float | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.lasting = lasting
        #: Seconds the receiver asked us to wait (`Retry-After`).
        self.wait = wait


def from_status(status: int, retry_after: str | None) -> Undelivered:
    """An HTTP answer other than success. Redirects count: following one would hand a secret path to another host."""
    if status == 429 or status >= 500:
        wait = float(retry_after) if retry_after is not None and retry_after.isdecimal() else None
        return Undelivered(f"answered HTTP {status}", wait=wait)
    hint = {401: ": the token is wrong", 403: ": the token is wrong", 404: ": the webhook was removed"}.get(status, "")
    hint = hint or (": it redirects, write the final URL" if 300 <= status < 400 else "")
    return Undelivered(f"answered HTTP {status}{hint}", lasting=True)


def from_error(error: BaseException) -> Undelivered:
    """Any exception of a transport."""
    if isinstance(error, Undelivered):
        return error
    if isinstance(error, TimeoutError):
        return Undelivered("no answer in time")
    if isinstance(error, (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError)):
        return Undelivered("the URL is not valid", lasting=True)
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return Undelivered("its TLS certificate is not trusted", lasting=True)
    if isinstance(error, (aiohttp.ClientConnectorDNSError, socket.gaierror)):
        return Undelivered("its name can't be resolved")
    if isinstance(error, (aiohttp.ClientConnectionError, OSError)):
        return Undelivered("the connection failed")
    return Undelivered(f"failed with {type(error).__name__}")
