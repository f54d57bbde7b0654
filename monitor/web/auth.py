"""Who may command. One shared bearer token; no cookies, so a foreign page in a browser can't ride on a session."""

from __future__ import annotations

import hashlib
import hmac

from aiohttp import web

from monitor.web.errors import Refused
from monitor.web.settings import SETTINGS


def require_token(request: web.Request) -> None:
    """Raises Refused: 403 when no token is configured (commands are off), 401 when the given one is absent or wrong."""
    token = request.app[SETTINGS].secret
    if not token:
        raise Refused(403, "commands are switched off", "start the daemon with TRIPSWITCH_TOKEN set to switch them on")
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not given.strip():
        raise Refused(401, "this needs a token", "send the header Authorization: Bearer TOKEN")
    # Equal-length digests: neither the content nor the length of the token shows in the time taken.
    if not hmac.compare_digest(_digest(given.strip()), _digest(token)):
        raise Refused(401, "the token is wrong", "compare it with the daemon's TRIPSWITCH_TOKEN")


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
