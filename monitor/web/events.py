"""`/api/v1/events`: the engine's bounded event feed as server-sent events.

Each client is its own handler with its own position in the feed, so a slow one delays nobody and holds no queue: while
it does not read, the feed moves on, and after the write timeout it is dropped. It comes back with Last-Event-ID.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence

from aiohttp import web

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
    surface, settings, streams = request.app[SURFACE], request.app[SETTINGS], request.app[STREAMS]
    if len(streams) >= settings.max_streams:
        raise Refused(503, "too many event streams are open", f"the limit is {settings.max_streams}; try again later")
    newest, _ = surface.events_since(_NEWEST)
    asked = _position(request)
    sequence = newest if asked is None else asked
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"}
    )
    task = asyncio.current_task()
    assert task is not None
    streams.add(task)
    try:
        await response.prepare(request)
        # A position from before a restart lies in the future: the client must fetch afresh.
        greeting = (
            b"retry: 3000\n: connected\n\n" if sequence <= newest else b"retry: 3000\nevent: resync\ndata: {}\n\n"
        )
        await _write(response, greeting, settings.write_timeout)
        sequence = min(sequence, newest)
        while True:
            newest, events = surface.events_since(sequence)
            if events:
                await _write(response, encode(newest, events), settings.write_timeout)
            sequence = newest
            await surface.wait_event(sequence, settings.heartbeat)
            if surface.events_since(sequence)[0] == sequence:
                await _write(response, b": alive\n\n", settings.write_timeout)
    except (ConnectionResetError, TimeoutError):
        # The client went, or doesn't read: dropping the connection is the whole answer.
        if request.transport is not None:
            request.transport.abort()
    except asyncio.CancelledError:
        if not request.app[STOPPING].is_set():
            raise
        task.uncancel()  # our own `end_streams`, which wants the stream to end, not the connection to break
    finally:
        streams.discard(task)
    return response


async def end_streams(app: web.Application) -> None:
    """At shutdown: ends every stream, so that none holds the daemon for its grace period."""
    app[STOPPING].set()
    streams = app[STREAMS]
    for task in tuple(streams):
        task.cancel()


def encode(newest: int, events: Sequence[Mapping[str, Json]]) -> bytes:
    """One block per event. Only the last carries an id: who loses the connection midway gets the batch again."""
    blocks = [f"data: {json.dumps(event, default=str, separators=(',', ':'))}\n\n" for event in events]
    return ("".join(blocks[:-1]) + f"id: {newest}\n" + blocks[-1]).encode()


def _position(request: web.Request) -> int | None:
    text = request.headers.get("Last-Event-ID", request.query.get("last_event_id", ""))
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else None


async def _write(response: web.StreamResponse, data: bytes, seconds: float) -> None:
    async with asyncio.timeout(seconds):
        await response.write(data)
