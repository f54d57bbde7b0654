"""The event stream."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from monitor.web import events


async def block(answer: Any) -> list[str]:
    """The next block of a stream, as lines."""
    lines = []
    async with asyncio.timeout(5):
        while line := (await answer.content.readline()).decode().rstrip("\n"):
            lines.append(line)
    return lines


async def test_a_new_client_gets_what_comes(client: Any, surface: Any) -> None:
    """Old events are not repeated to a newcomer; new ones arrive with their sequence."""
    surface.emit({"event": "old"})
    async with client.get("/api/v1/events") as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        assert answer.headers["Cache-Control"] == "no-store"
        assert await block(answer) == ["retry: 3000", ": connected"]
        surface.emit({"event": "breaker.tripped", "breaker": "etl/s3-event-loop"})
        assert await block(answer) == ["id: 2", 'data: {"event":"breaker.tripped","breaker":"etl/s3-event-loop"}']


async def test_a_returning_client_gets_what_it_missed(client: Any, surface: Any) -> None:
    """Last-Event-ID resumes; a batch is only counted as seen with its last event."""
    for n in range(4):
        surface.emit({"n": n})
    async with client.get("/api/v1/events", headers={"Last-Event-ID": "2"}) as answer:
        await block(answer)
        assert await block(answer) == ['data: {"n":2}']
        assert await block(answer) == ["id: 4", 'data: {"n":3}']


@pytest.mark.parametrize("position", ["99", "99999999999999999"])
async def test_a_position_of_an_earlier_life_asks_for_a_fresh_look(client: Any, surface: Any, position: str) -> None:
    """After a restart sequences start anew: the client is told to fetch, then follows."""
    async with client.get("/api/v1/events", headers={"Last-Event-ID": position}) as answer:
        assert await block(answer) == ["retry: 3000", "event: resync", "data: {}"]
        surface.emit({"n": 1})
        assert await block(answer) == ["id: 1", 'data: {"n":1}']


async def test_a_senseless_position_counts_as_none(client: Any, surface: Any) -> None:
    """Text, signs and foreign digits are ignored."""
    for position in ("x", "-1", "1" * 40):
        async with client.get("/api/v1/events", headers={"Last-Event-ID": position}) as answer:
            assert await block(answer) == ["retry: 3000", ": connected"]


async def test_silence_is_filled_with_heartbeats(start: Any) -> None:
    """A comment now and then keeps proxies from closing the stream."""
    client = await start(heartbeat=0.01)
    async with client.get("/api/v1/events") as answer:
        await block(answer)
        assert await block(answer) == [": alive"]
        assert await block(answer) == [": alive"]


async def test_streams_are_limited(start: Any) -> None:
    """One more than the limit is refused with 503."""
    client = await start(max_streams=1)
    async with client.get("/api/v1/events") as first:
        await block(first)
        second = await client.get("/api/v1/events")
        assert second.status == 503
        assert "limit is 1" in (await second.json())["hint"]


async def test_a_client_that_does_not_read_is_dropped(start: Any, surface: Any) -> None:
    """Its place becomes free, and the feed was never held for it."""
    client = await start(write_timeout=0.05)
    async with client.get("/api/v1/events") as answer:
        await block(answer)
        async with asyncio.timeout(10):
            while client.app[events.STREAMS]:
                surface.emit({"filler": "x" * 1_000_000})
                await asyncio.sleep(0)
        assert len(surface.feed) > 1


async def test_shutdown_ends_the_streams(client: Any) -> None:
    """The stream ends properly (no broken connection) and at once."""
    async with client.get("/api/v1/events") as answer:
        await block(answer)
        async with asyncio.timeout(5):
            await client.app.shutdown()
            assert await answer.content.read() == b""
    assert client.app[events.STREAMS] == set()


async def test_a_gone_client_leaves_nothing(start: Any, surface: Any) -> None:
    """The next heartbeat notices and frees the place."""
    client = await start(heartbeat=0.01)
    answer = await client.get("/api/v1/events")
    await block(answer)
    answer.close()
    async with asyncio.timeout(5):
        while client.app[events.STREAMS]:
            await surface.wait_event(0, 0.005)


async def test_a_failing_feed_breaks_off(client: Any, surface: Any) -> None:
    """A failure midway ends the connection; no JSON lands inside the stream."""
    async with client.get("/api/v1/events") as answer:
        await block(answer)
        surface.events_since = None
        surface.changed.set()
        with pytest.raises(aiohttp.ClientPayloadError):
            await asyncio.wait_for(answer.content.read(), 5)
    assert client.app[events.STREAMS] == set()


async def test_no_stream_starts_while_the_daemon_stops(client: Any) -> None:
    """A client that comes back during shutdown is told to try later."""
    await client.app.shutdown()
    assert (await client.get("/api/v1/events")).status == 503


def test_numbers_that_json_lacks_are_null() -> None:
    """An event with NaN is still JSON; a line end in a text can't end the event."""
    assert events.encode(7, [{"value": float("nan")}, {"text": "a\n\ndata: b"}]) == (
        b'data: {"value":null}\n\nid: 7\ndata: {"text":"a\\n\\ndata: b"}\n\n'
    )
