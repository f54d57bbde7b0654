"""`/api/v1/events`: the engine's bounded event feed as server-sent events.

Each client is its own handler with its own position in the feed, so a slow one delays nobody and holds no queue: while
it does not read, the feed moves on, and after the write timeout it is dropped. It comes back with Last-Event-ID.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import structlog
from aiohttp import web
from pydantic_core import to_json

from monitor.core.model import Json
from monitor.web.errors import Refused
from monitor.web.settings import SETTINGS, SURFACE

#: Larger than any sequence: asks for the newest one without its events.
_NEWEST = 2**62

#: The tasks that serve streams now, so that shutdown can end them.
STREAMS: web.AppKey[set[asyncio.Task[object]]] = web.AppKey("streams")

#: Set once the application shuts down.
STOPPING = web.AppKey("stopping", asyncio.Event)


async def stream(request: web.Request) -> web.StreamResponse:
    """Serves events until the client goes or the daemon stops. Raises Refused (503) above the limit of streams."""
    settings, streams, stopping = request.app[SETTINGS], request.app[STREAMS], request.app[STOPPING]
    if len(streams) >= settings.max_streams or stopping.is_set():
        raise Refused(503, "no event stream is free", f"the limit is {settings.max_streams}; try again later")
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"}
    )
    task = asyncio.current_task()
    assert task is not None
    streams.add(task)
    try:
        await response.prepare(request)
        await _follow(request, response)
    except (ConnectionResetError, TimeoutError):
        _drop(request)  # the client went, or doesn't read
    except asyncio.CancelledError:
        if not stopping.is_set():
            raise
        task.uncancel()  # our own `end_streams`, which wants the stream to end, not the connection to break
    except Exception:
        # Too late for a JSON answer: its bytes would land in the middle of the stream.
        log = structlog.get_logger()
        log.exception("web.failed", method=request.method, route="/api/v1/events")
        _drop(request)
    finally:
        streams.discard(task)
    return response


async def _follow(request: web.Request, response: web.StreamResponse) -> None:
    surface, settings = request.app[SURFACE], request.app[SETTINGS]
    newest, _ = surface.events_since(_NEWEST)
    asked = _position(request)
    sequence = newest if asked is None else min(asked, newest)
    greeting = "retry: 3000\n: connected\n\n"
    if asked is not None and asked > newest:  # from before a restart: the client must fetch afresh
        greeting = "retry: 3000\nevent: resync\ndata: {}\n\n"
    await _write(response, greeting.encode(), settings.write_timeout)
    while True:
        newest, events = surface.events_since(sequence)
        if events:
            await _write(response, encode(newest, events), settings.write_timeout)
        sequence = newest
        await surface.wait_event(sequence, settings.heartbeat)
        if surface.events_since(sequence)[0] == sequence:
            await _write(response, b": alive\n\n", settings.write_timeout)


def _drop(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


async def end_streams(app: web.Application) -> None:
    """At shutdown: ends every stream, so that none holds the daemon for its grace period."""
    app[STOPPING].set()
    streams = app[STREAMS]
    for task in tuple(streams):
        task.cancel()


def encode(newest: int, events: Sequence[Mapping[str, Json]]) -> bytes:
    """One block per event. Only the last carries an id: who loses the connection midway gets the batch again."""
    blocks = [b"data: %b\n\n" % to_json(event, inf_nan_mode="null") for event in events]
    return b"".join(blocks[:-1]) + b"id: %d\n" % newest + blocks[-1]


def _position(request: web.Request) -> int | None:
    text = request.headers.get("Last-Event-ID", request.query.get("last_event_id", ""))
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else None


async def _write(response: web.StreamResponse, data: bytes, seconds: float) -> None:
    async with asyncio.timeout(seconds):
        await response.write(data)
