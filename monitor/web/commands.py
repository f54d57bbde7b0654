"""The API's mutating requests: token, body, then one call of the surface."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from aiohttp import web
from pydantic import ValidationError

from monitor.core.view import Outcome, Surface
from monitor.web import models
from monitor.web.auth import require_token
from monitor.web.errors import Refused
from monitor.web.reads import answer
from monitor.web.settings import SETTINGS, SURFACE

B = TypeVar("B", bound=models.Command)


def breaker(verb: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler of one breaker verb: trip, reset, approve, disable or enable."""

    async def command(request: web.Request) -> web.Response:
        body = await _body(request, models.BreakerCommand)
        name = f"{request.match_info['pipeline']}/{request.match_info['breaker']}"
        return await _run(request, _call(request.app[SURFACE], verb, name, body))

    return command


def _call(surface: Surface, verb: str, name: str, body: models.BreakerCommand) -> Awaitable[Outcome]:
    match verb:
        case "trip":
            return surface.trip(name, body.by, body.reason)
        case "reset":
            return surface.reset(name, body.by, force=body.force)
        case "approve":
            return surface.approve(name, body.by, body.plan)
        case "disable":
            return surface.disable(name, body.by, body.reason)
        case "enable":
            return surface.enable(name, body.by)
    raise ValueError(verb)


async def add_silence(request: web.Request) -> web.Response:
    body = await _body(request, models.NewSilence)
    seconds = body.duration.total_seconds()
    return await _run(
        request,
        request.app[SURFACE].add_silence(
            dict(body.matchers), seconds, body.by, body.comment, hold_actions=body.hold_actions
        ),
    )


async def remove_silence(request: web.Request) -> web.Response:
    body = await _body(request, models.Command)
    return await _run(request, request.app[SURFACE].remove_silence(request.match_info["id"], body.by))


async def note(request: web.Request) -> web.Response:
    body = await _body(request, models.NewNote)
    return await _run(request, request.app[SURFACE].note(request.match_info["id"], body.by, body.text))


async def acknowledge(request: web.Request) -> web.Response:
    body = await _body(request, models.Command)
    return await _run(request, request.app[SURFACE].acknowledge(request.match_info["id"], body.by))


async def actions(request: web.Request) -> web.Response:
    body = await _body(request, models.ActionsSwitch)
    return await _run(request, request.app[SURFACE].set_actions(body.enabled, body.by, body.reason))


async def lift_storm(request: web.Request) -> web.Response:
    body = await _body(request, models.Command)
    return await _run(request, request.app[SURFACE].lift_storm(body.by))


async def reload(request: web.Request) -> web.Response:
    """A refused configuration is the caller's mistake: 400, not 409."""
    body = await _body(request, models.Command)
    return await _run(request, request.app[SURFACE].reload(body.by), refused=400)


async def _run(request: web.Request, call: Awaitable[Outcome], refused: int = 409) -> web.Response:
    seconds = request.app[SETTINGS].command_timeout
    try:
        async with asyncio.timeout(seconds) as deadline:
            outcome = await call
    except TimeoutError:
        if not deadline.expired():
            raise
        raise Refused(
            504, f"no answer within {seconds:g} s", "it may still take effect: look at the breaker or incident first"
        ) from None
    if not outcome.ok:
        status = 404 if outcome.data.get("not_found") is True else refused
        raise Refused(status, outcome.message, str(outcome.data.get("hint", "")), outcome.data)
    return answer(models.Done.model_validate(outcome))


async def _body(request: web.Request, model: type[B]) -> B:
    """The validated body; an empty one counts as `{}`. The token is looked at before anything is read."""
    require_token(request)
    raw = await request.read()
    if raw and request.content_type != "application/json":
        raise Refused(415, "the body must be JSON", "send the header Content-Type: application/json")
    try:
        return model.model_validate_json(raw or b"{}")
    except ValidationError as error:
        problems: list[dict[str, str]] = [
            {
                "at": ".".join(str(part) for part in problem["loc"]),
                "problem": problem["msg"].removeprefix("Value error, "),
            }
            for problem in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        first = problems[0]
        text = f"{first['at']}: {first['problem']}" if first["at"] else first["problem"]
        raise Refused(400, text, "the bodies are described in /api/openapi.json", {"problems": problems}) from None
