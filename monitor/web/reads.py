"""The API's GETs: the surface's values, copied into response models."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Protocol, TypeVar

import pydantic_core
from aiohttp import web
from pydantic import BaseModel

from monitor.web import models
from monitor.web.errors import Refused
from monitor.web.settings import SURFACE

#: Rows between two turns of the loop: about four milliseconds.
_TURN = 100


class _Owned(Protocol):
    @property
    def pipeline(self) -> str: ...


T = TypeVar("T", bound=_Owned)


def answer(model: BaseModel) -> web.Response:
    """The model as JSON."""
    return web.Response(body=model.model_dump_json().encode(), content_type="application/json")


async def status(request: web.Request) -> web.Response:
    return answer(models.Status.model_validate(request.app[SURFACE].status()))


async def checks(request: web.Request) -> web.Response:
    return answer(models.Checks.model_validate({"checks": _asked(request, request.app[SURFACE].checks())}))


async def observations(request: web.Request) -> web.Response:
    rows = _asked(request, request.app[SURFACE].rows())
    if "check" in request.query:
        rows = [row for row in rows if row.check == request.query["check"]]
    # Ten thousand rows with their courses are megabytes: made in pieces, between which the loop has its turn.
    pieces = []
    for first in range(0, len(rows), _TURN):
        part = models.Observations.model_validate({"observations": rows[first : first + _TURN]}).model_dump_json()
        pieces.append(part.removeprefix('{"observations":[').removesuffix("]}").encode())
        await asyncio.sleep(0)
    body = b"".join((b'{"observations":[', b",".join(pieces), b"]}"))
    return web.Response(body=body, content_type="application/json")


async def breakers(request: web.Request) -> web.Response:
    return answer(models.Breakers.model_validate({"breakers": _asked(request, request.app[SURFACE].breakers())}))


async def breaker(request: web.Request) -> web.Response:
    pipeline, name = request.match_info["pipeline"], request.match_info["breaker"]
    for view in request.app[SURFACE].breakers():
        if (view.pipeline, view.name) == (pipeline, name):
            return answer(models.Breaker.model_validate(view))
    raise Refused(404, f"there is no breaker {pipeline}/{name}", "GET /api/v1/breakers lists them")


async def incidents(request: web.Request) -> web.Response:
    return answer(models.Incidents.model_validate({"incidents": _asked(request, request.app[SURFACE].incidents())}))


async def incident(request: web.Request) -> web.Response:
    wanted = request.match_info["id"]
    for view in request.app[SURFACE].incidents():
        if view.id == wanted:
            return answer(models.Incident.model_validate(view))
    raise Refused(404, f"there is no incident {wanted}", "GET /api/v1/incidents lists them")


async def silences(request: web.Request) -> web.Response:
    return answer(models.Silences.model_validate({"silences": request.app[SURFACE].silences()}))


async def config(request: web.Request) -> web.Response:
    document: Any = request.app[SURFACE].config()
    return web.Response(body=pydantic_core.to_json(document, inf_nan_mode="null"), content_type="application/json")


def _asked(request: web.Request, views: Iterable[T]) -> list[T]:
    """Only those of `?pipeline=`, when it is given."""
    pipeline = request.query.get("pipeline")
    return [view for view in views if pipeline is None or view.pipeline == pipeline]
