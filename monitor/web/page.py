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

from monitor.web.errors import Refused
from monitor.web.overview import Snapshot, overview, snapshot
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
        templates.filters.update(FILTERS)
        return cls(templates, {path.name: _asset(path) for path in sorted((_HERE / "static").iterdir())})

    def render(self, template: str, seen: Snapshot, *, commands: bool, packed: bool) -> bytes:
        """HTML, gzipped when `packed`. Pure, so that it may run in a thread."""
        view = overview(seen, commands)
        html = self.templates.get_template(template).render(view=view, assets=self.assets).encode()
        return gzip.compress(html, 1, mtime=0) if packed else html


#: One page is rendered at a time: many open browsers share one thread, not all of them.
PRESS = web.AppKey("press", asyncio.Lock)

#: The site of an application.
SITE = web.AppKey("site", Site)


async def index(request: web.Request) -> web.Response:
    return await _page(request, "page.html")


async def fragment(request: web.Request) -> web.Response:
    return await _page(request, "fragment.html")


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


async def _page(request: web.Request, template: str) -> web.Response:
    # The values are copied here, in the loop; the rendering may then take its time in a thread without delaying anyone.
    packed = accepts_gzip(request.headers.get("Accept-Encoding", ""))
    site = request.app[SITE]
    async with request.app[PRESS]:
        seen = snapshot(request.app[SURFACE])
        commands = bool(request.app[SETTINGS].secret) and seen.status.mutations_enabled
        html = await asyncio.to_thread(site.render, template, seen, commands=commands, packed=packed)
    headers = {"Vary": "Accept-Encoding"} | ({"Content-Encoding": "gzip"} if packed else {})
    return web.Response(body=html, content_type="text/html", charset="utf-8", headers=headers)


def _asset(path: Path) -> Asset:
    body = path.read_bytes()
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    return Asset(body, _TYPES[path.suffix], f"sha256-{digest}")
