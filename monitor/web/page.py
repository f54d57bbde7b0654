"""The status page: one server-rendered document, readable without JavaScript."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import jinja2
from aiohttp import web

from monitor.web.attention import ADVICE, pipeline_panels
from monitor.web.errors import Refused
from monitor.web.overview import Scope, Snapshot, overview, snapshot, within
from monitor.web.probes import accepts_gzip
from monitor.web.settings import SETTINGS, SURFACE
from monitor.web.words import FILTERS

_HERE = Path(__file__).parent
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class Asset:
    """A static file: its bytes, and the hash that names its version and vouches for it in the page."""

    body: bytes
    content_type: str
    integrity: str

    @property
    def version(self) -> str:
        """Short and URL-safe; changes whenever the file does."""
        return hashlib.sha256(self.body).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Site:
    """Templates and static files, read once."""

    templates: jinja2.Environment
    assets: Mapping[str, Asset]

    @classmethod
    def load(cls) -> Site:
        """From the package's own folders."""
        templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_HERE / "templates"),
            autoescape=True,  # names and details come from AWS
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        templates.filters.update(FILTERS, advice=lambda gate: ADVICE.get(gate, ""))
        return cls(templates, {path.name: _asset(path) for path in sorted((_HERE / "static").iterdir())})

    def render(self, ask: Ask, seen: Snapshot) -> bytes | None:
        """HTML, gzipped when packed; None if nothing of `scope` exists. Pure, so that it may run in a thread."""
        own = within(seen, ask.scope)
        if own is None:
            return None
        view = overview(own, ask.secret and seen.status.mutations_enabled, ask.scope)
        html = self.templates.get_template(ask.template).render(view=view, assets=self.assets).encode()
        return gzip.compress(html, 1, mtime=0) if ask.packed else html


@dataclass(frozen=True, slots=True)
class Ask:
    """Which document, of what, for whom."""

    template: str
    scope: Scope
    secret: bool
    packed: bool


#: One page is rendered at a time: many open browsers share one thread, not all of them.
PRESS = web.AppKey("press", asyncio.Lock)

#: The site of an application.
SITE = web.AppKey("site", Site)


async def index(request: web.Request) -> web.Response:
    return await _page(request, "page.html", Scope())


async def pipeline(request: web.Request) -> web.Response:
    return await _page(request, "page.html", Scope(pipeline=request.match_info["pipeline"]))


async def incident(request: web.Request) -> web.Response:
    return await _page(request, "page.html", Scope(incident=request.match_info["id"]))


async def fragment(request: web.Request) -> web.Response:
    scope = Scope(request.query.get("pipeline", ""), request.query.get("incident", ""))
    return await _page(request, "fragment.html", scope)


async def badge(request: web.Request) -> web.Response:
    """A pipeline's state as a small picture, for wikis and READMEs. 404 (as JSON) for an unknown one."""
    surface, name = request.app[SURFACE], request.match_info["pipeline"]
    panels = pipeline_panels(surface.status(), surface.checks(), surface.breakers())
    panel = next((one for one in panels if one.name == name), None)
    if panel is None:
        raise Refused(404, f"there is no pipeline {name}", "GET /api/v1/status lists them")
    word = f"{panel.tripped} tripped" if panel.tripped else panel.level.value
    svg = request.app[SITE].templates.get_template("badge.svg").render(name=name, word=word, level=panel.level)
    headers = {"Cache-Control": "no-cache", "Cross-Origin-Resource-Policy": "cross-origin"}
    return web.Response(text=svg, content_type="image/svg+xml", charset="utf-8", headers=headers)


async def static(request: web.Request) -> web.Response:
    asset = request.app[SITE].assets.get(request.match_info["name"])
    if asset is None:
        raise Refused(404, "there is no such file")
    # Only the address that carries this very version may be kept for good.
    current = request.query.get("v") == asset.version
    headers = {
        "Cache-Control": "public, max-age=31536000, immutable" if current else "no-cache",
        "ETag": f'"{asset.version}"',
    }
    if request.headers.get("If-None-Match") == headers["ETag"]:
        return web.Response(status=304, headers=headers)
    return web.Response(body=asset.body, content_type=asset.content_type, charset="utf-8", headers=headers)


async def _page(request: web.Request, template: str, scope: Scope) -> web.Response:
    # The values are copied here, in the loop; the rendering may then take its time in a thread without delaying anyone.
    packed = accepts_gzip(request.headers.get("Accept-Encoding", ""))
    ask = Ask(template, scope, bool(request.app[SETTINGS].secret), packed)
    async with request.app[PRESS]:
        seen = await snapshot(request.app[SURFACE])
        html = await asyncio.to_thread(request.app[SITE].render, ask, seen)
    if html is None:
        what = f"incident {scope.incident}" if scope.incident else f"pipeline {scope.pipeline}"
        raise Refused(404, f"there is no {what}", "the page at / shows what there is")
    headers = {"Vary": "Accept-Encoding"} | ({"Content-Encoding": "gzip"} if packed else {})
    return web.Response(body=html, content_type="text/html", charset="utf-8", headers=headers)


def _asset(path: Path) -> Asset:
    body = path.read_bytes()
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    return Asset(body, _TYPES[path.suffix], f"sha256-{digest}")
