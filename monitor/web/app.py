"""The web room's composition root: routes, middlewares, headers."""

from __future__ import annotations

import asyncio
import json

from aiohttp import web

from monitor.core.view import Surface
from monitor.web import events, openapi, page, routes
from monitor.web.errors import errors_as_json
from monitor.web.settings import METRICS, SETTINGS, SURFACE, Metrics, WebSettings

# Nothing is allowed but what the page itself serves; no inline script or style, no frame around it.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def make_app(surface: Surface, metrics: Metrics, settings: WebSettings) -> web.Application:
    """The application, ready for an AppRunner; it starts no task and opens no socket.

    `metrics(accept)` returns (exposition, content type). Open event streams end on the application's shutdown signal.
    """
    app = web.Application(middlewares=[errors_as_json], client_max_size=settings.max_body)
    app[SURFACE] = surface
    app[METRICS] = metrics
    app[SETTINGS] = settings
    app[events.STREAMS] = set()
    app[events.STOPPING] = asyncio.Event()
    app[page.PRESS] = asyncio.Lock()
    app[page.SITE] = page.Site.load()
    table = routes.table()
    app[routes.DOCUMENT] = json.dumps(openapi.document(table, settings.version)).encode()
    for route in table:
        if route.method == "GET" and route.path != "/api/v1/events":
            app.router.add_get(route.path, route.endpoint)  # with HEAD, which load balancers use
        else:
            app.router.add_route(route.method, route.path, route.endpoint)
    app.on_response_prepare.append(_secure)
    app.on_shutdown.append(events.end_streams)
    return app


async def _secure(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Frame-Options"] = "DENY"
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers["Server"] = "tripswitch"  # not the library and its version
