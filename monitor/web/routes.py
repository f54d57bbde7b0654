"""The route table: the one place that names every path. The router and the OpenAPI document are both made from it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web
from pydantic import BaseModel

from monitor.web import commands, events, models, page, probes, reads

Endpoint = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    """A path, what answers it, and what the OpenAPI document says of it.

    `answer` is a model (JSON) or a media type; `statuses` are the refusals it may give. A `body` makes it a command:
    it needs the bearer token.
    """

    method: str
    path: str
    endpoint: Endpoint
    summary: str
    answer: type[BaseModel] | str
    body: type[models.Command] | None = None
    query: tuple[str, ...] = ()
    statuses: tuple[int, ...] = ()

    @property
    def refusals(self) -> tuple[int, ...]:
        """Statuses answered with `{error, hint}`."""
        return (*self.statuses, 400, 401, 403, 409, 413, 415, 504) if self.body else self.statuses


def table() -> tuple[Route, ...]:
    """Every route of the daemon."""
    return (*_pages(), *_reads(), *_commands())


def _pages() -> tuple[Route, ...]:
    return (
        Route("GET", "/", page.index, "The status page", "text/html"),
        Route("GET", "/pipelines/{pipeline}", page.pipeline, "One pipeline's page", "text/html", statuses=(404,)),
        Route("GET", "/incidents/{id}", page.incident, "One incident's page", "text/html", statuses=(404,)),
        Route(
            "GET",
            "/fragment",
            page.fragment,
            "A status page's changing part",
            "text/html",
            query=("pipeline", "incident"),
            statuses=(404,),
        ),
        Route(
            "GET",
            "/badge/{pipeline}.svg",
            page.badge,
            "A pipeline's state as a badge",
            "image/svg+xml",
            statuses=(404,),
        ),
        Route("GET", "/static/{name}", page.static, "The status page's script, style and icon", "*/*", statuses=(404,)),
        Route("GET", "/metrics", probes.metrics, "Prometheus or OpenMetrics exposition, by Accept", "text/plain"),
        Route("GET", "/healthz", probes.healthz, "The event loop answers; says nothing of AWS", models.Health),
        Route("GET", "/readyz", probes.readyz, "Ready, or 503 with the reasons", models.Readiness),
    )


def _reads() -> tuple[Route, ...]:
    v1 = "/api/v1"
    return (
        Route("GET", "/api/openapi.json", openapi, "This document", "application/json"),
        Route("GET", f"{v1}/status", reads.status, "The daemon in one look", models.Status),
        Route("GET", f"{v1}/checks", reads.checks, "Checks and their last runs", models.Checks, query=("pipeline",)),
        Route(
            "GET",
            f"{v1}/observations",
            reads.observations,
            "The last reading of every (check, target, signal)",
            models.Observations,
            query=("pipeline", "check"),
        ),
        Route("GET", f"{v1}/breakers", reads.breakers, "Breakers", models.Breakers, query=("pipeline",)),
        Route(
            "GET",
            f"{v1}/breakers/{{pipeline}}/{{breaker}}",
            reads.breaker,
            "One breaker",
            models.Breaker,
            statuses=(404,),
        ),
        Route("GET", f"{v1}/incidents", reads.incidents, "Incidents", models.Incidents, query=("pipeline",)),
        Route("GET", f"{v1}/incidents/{{id}}", reads.incident, "One incident", models.Incident, statuses=(404,)),
        Route("GET", f"{v1}/silences", reads.silences, "Silences that last", models.Silences),
        Route("GET", f"{v1}/config", reads.config, "The resolved configuration, secrets masked", "application/json"),
        Route("GET", f"{v1}/events", events.stream, "Server-sent events", "text/event-stream", statuses=(503,)),
    )


def _commands() -> tuple[Route, ...]:
    v1, done = "/api/v1", models.Done
    told = {
        "trip": "Trip now, by hand; it then never recovers by itself",
        "reset": "Skip the hold and run the recovery now",
        "approve": "Permit the steps that wait for a person",
        "disable": "Stop judging; receipts are kept",
        "enable": "Judge again, from the state its receipts imply",
    }
    return (
        *(
            Route(
                "POST",
                f"{v1}/breakers/{{pipeline}}/{{breaker}}/{verb}",
                commands.breaker(verb),
                summary,
                done,
                models.BreakerCommand,
                statuses=(404,),
            )
            for verb, summary in told.items()
        ),
        Route("POST", f"{v1}/silences", commands.add_silence, "Mute notices, for a while", done, models.NewSilence),
        Route(
            "DELETE",
            f"{v1}/silences/{{id}}",
            commands.remove_silence,
            "End a silence",
            done,
            models.Command,
            statuses=(404,),
        ),
        Route(
            "POST",
            f"{v1}/incidents/{{id}}/notes",
            commands.note,
            "Add a line to a timeline",
            done,
            models.NewNote,
            statuses=(404,),
        ),
        Route(
            "POST",
            f"{v1}/incidents/{{id}}/ack",
            commands.acknowledge,
            "Take command of an incident",
            done,
            models.Command,
            statuses=(404,),
        ),
        Route("POST", f"{v1}/actions", commands.actions, "The kill switch of the API", done, models.ActionsSwitch),
        Route("POST", f"{v1}/storm/lift", commands.lift_storm, "Lift the storm brake", done, models.Command),
        Route("POST", f"{v1}/config/reload", commands.reload, "Read the configuration again", done, models.Command),
        Route("POST", "/-/reload", commands.reload, "Read the configuration again", done, models.Command),
    )


async def openapi(request: web.Request) -> web.Response:
    """The OpenAPI document, made once per application."""
    return web.Response(body=request.app[DOCUMENT], content_type="application/json")


#: The encoded OpenAPI document.
DOCUMENT = web.AppKey("openapi", bytes)
