"""Every refusal and failure is JSON `{error, hint}`; internals go to the log, never to the client."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from monitor.web.models import Refusal

_HINTS = {
    404: "the routes are listed in /api/openapi.json",
    405: "the methods are listed in /api/openapi.json",
    413: "send a smaller body",
}


class Refused(Exception):
    """A request that is answered with `status` and `{error, hint, data}`; nothing was changed."""

    def __init__(self, status: int, error: str, hint: str = "", data: Mapping[str, Any] | None = None) -> None:
        super().__init__(error)
        self.status = status
        self.refusal = Refusal(error=error, hint=hint, data=dict(data or {}))


def refuse(status: int, error: str, hint: str = "") -> web.Response:
    """The answer itself, for places that don't raise."""
    return refusal_response(Refused(status, error, hint))


def refusal_response(refused: Refused) -> web.Response:
    """The JSON answer of a refusal."""
    headers = {"WWW-Authenticate": 'Bearer realm="tripswitch"'} if refused.status == 401 else {}
    body = refused.refusal.model_dump_json().encode()
    return web.Response(status=refused.status, body=body, content_type="application/json", headers=headers)


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The boundary of the web room: whatever a handler raises becomes one JSON answer."""
    try:
        return await handler(request)
    except Refused as refused:
        return refusal_response(refused)
    except web.HTTPException as answer:
        if answer.status < 400:
            raise
        response = refuse(answer.status, HTTPStatus(answer.status).phrase.lower(), _HINTS.get(answer.status, ""))
        if "Allow" in answer.headers:
            response.headers["Allow"] = answer.headers["Allow"]
        return response
    except Exception:
        log = structlog.get_logger()
        log.exception("web.failed", method=request.method, route=_route(request))
        return refuse(500, "the daemon failed to answer", "its log has the cause under the event web.failed")


def _route(request: web.Request) -> str:
    """The route's pattern rather than the path: what a client typed stays out of the log."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else ""
