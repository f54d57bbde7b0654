"""The JSON API: reads, commands, refusals, OpenAPI."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from typing import Any

import pytest

from monitor.core import course, model, view
from monitor.core.view import Outcome
from monitor.web import WebSettings, models

COMMANDS = [
    ("POST", "/api/v1/breakers/etl/s3-event-loop/trip", {"by": "ana", "reason": "looks bad"},
     ("trip", "etl/s3-event-loop", "ana", "looks bad")),
    ("POST", "/api/v1/breakers/etl/s3-event-loop/reset", {"by": "ana", "force": True},
     ("reset", "etl/s3-event-loop", "ana", True)),
    ("POST", "/api/v1/breakers/etl/s3-event-loop/approve", {"plan": "9c1e44d0"},
     ("approve", "etl/s3-event-loop", "api", "9c1e44d0")),
    ("POST", "/api/v1/breakers/etl/s3-event-loop/disable", {"reason": "migration"},
     ("disable", "etl/s3-event-loop", "api", "migration")),
    ("POST", "/api/v1/breakers/etl/s3-event-loop/enable", None, ("enable", "etl/s3-event-loop", "api")),
    ("POST", "/api/v1/silences",
     {"matchers": {"check": "dlq*"}, "duration": "1h30m", "comment": "c", "by": "ana", "hold_actions": True},
     ("add_silence", {"check": "dlq*"}, 5400.0, "ana", "c", True)),
    ("DELETE", "/api/v1/silences/sil-1", None, ("remove_silence", "sil-1", "api")),
    ("POST", "/api/v1/incidents/inc-7f3a/notes", {"by": "ana", "text": "called the owner"},
     ("note", "inc-7f3a", "ana", "called the owner")),
    ("POST", "/api/v1/incidents/inc-7f3a/ack", {"by": "ana"}, ("acknowledge", "inc-7f3a", "ana")),
    ("POST", "/api/v1/actions", {"enabled": False, "reason": "drill"}, ("set_actions", False, "api", "drill")),
    ("POST", "/api/v1/storm/lift", {"by": "ana"}, ("lift_storm", "ana")),
    ("POST", "/api/v1/config/reload", {"by": "ana"}, ("reload", "ana")),
    ("POST", "/-/reload", None, ("reload", "api")),
]  # fmt: skip

PAIRS = [
    (models.Status, view.StatusView), (models.Check, view.CheckView), (models.Breaker, view.BreakerView),
    (models.Step, view.StepView), (models.Change, view.ChangeView), (models.Incident, view.IncidentView),
    (models.TimelineEntry, view.Entry), (models.DataGap, course.DataGap), (models.Cost, course.Cost),
    (models.FollowUp, course.FollowUp), (models.Notice, view.NoticeView), (models.Silence, view.SilenceView),
    (models.Observation, model.Row),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "source"), PAIRS)
def test_every_model_has_exactly_the_fields_of_its_dataclass(answer: Any, source: Any) -> None:
    """A field added to the read model reaches the API, or this fails."""
    assert list(answer.model_fields) == [field.name for field in dataclasses.fields(source)]


async def test_status_is_json_with_utc_times(client: Any) -> None:
    """Times end in Z and enums are their values."""
    answer = await client.get("/api/v1/status")
    body = await answer.json()
    assert answer.status == 200
    assert body["now"] == "2026-03-14T09:26:53Z"
    assert body["levels"] == {"ok": 6, "warning": 1, "critical": 1, "unknown": 1}
    assert body["leases"] == {"etl": True, "warehouse": False}


@pytest.mark.parametrize(
    ("name", "count"), [("checks", 6), ("breakers", 6), ("incidents", 3), ("silences", 1), ("observations", 9)]
)
async def test_lists_come_under_their_name(client: Any, name: str, count: int) -> None:
    """A list is an object with one key, so that it can grow."""
    body = await (await client.get(f"/api/v1/{name}")).json()
    assert list(body) == [name]
    assert len(body[name]) == count


async def test_lists_can_be_asked_for_one_pipeline(client: Any) -> None:
    """`?pipeline=` and `?check=` narrow a list."""
    breakers = (await (await client.get("/api/v1/breakers?pipeline=warehouse")).json())["breakers"]
    rows = (await (await client.get("/api/v1/observations?check=dlq")).json())["observations"]
    assert {b["pipeline"] for b in breakers} == {"warehouse"}
    assert [r["signal"] for r in rows] == ["visible", "oldest_age", "visible"]
    assert rows[0]["recent"][-1] == ["2026-03-14T09:26:53Z", 14.0]


async def test_one_breaker_and_one_incident_have_addresses(client: Any) -> None:
    """Single ones are found by name and id; steps and changes are nested."""
    breaker = await (await client.get("/api/v1/breakers/etl/s3-event-loop")).json()
    incident = await (await client.get("/api/v1/incidents/inc-7f3a")).json()
    assert breaker["steps"][0]["changes"][0]["prior"] == "ENABLED"
    assert incident["timeline"][-1]["event"] == "note"


@pytest.mark.parametrize("path", ["/api/v1/breakers/etl/nope", "/api/v1/incidents/nope", "/nowhere", "/static/nope"])
async def test_what_does_not_exist_is_404_json(client: Any, path: str) -> None:
    """Even an unknown path is answered with error and hint."""
    answer = await client.get(path)
    assert answer.status == 404
    assert set(await answer.json()) == {"error", "hint", "data"}


async def test_config_is_passed_through_masked(client: Any) -> None:
    """The engine masks; the API adds nothing."""
    assert (await (await client.get("/api/v1/config")).json())["etl"]["notify"] == [{"url": "env:SLACK_URL"}]


@pytest.mark.parametrize(("method", "path", "body", "call"), COMMANDS)
async def test_commands_reach_the_surface(
    client: Any, surface: Any, bearer: Any, method: str, path: str, body: Any, call: tuple[Any, ...]
) -> None:
    """Each command is one call with the body's values, answered with the outcome."""
    answer = await client.request(method, path, json=body, headers=bearer)
    assert answer.status == 200, await answer.text()
    assert await answer.json() == {"ok": True, "message": "accepted", "data": {"id": "x-1"}}
    assert surface.calls == [call]


@pytest.mark.parametrize(("method", "path", "body", "call"), COMMANDS)
async def test_commands_need_the_token(
    start: Any, surface: Any, method: str, path: str, body: Any, call: tuple[Any, ...]
) -> None:
    """Absent or wrong: 401; none configured: 403 with what to do. Nothing reaches the surface."""
    client, closed = await start(), await start(token=None)
    absent = await client.request(method, path, json=body)
    wrong = await client.request(method, path, json=body, headers={"Authorization": "Bearer s3cret-tokeN"})
    off = await closed.request(method, path, json=body, headers={"Authorization": "Bearer "})
    assert [absent.status, wrong.status, off.status] == [401, 401, 403]
    assert absent.headers["WWW-Authenticate"].startswith("Bearer")
    assert "TRIPSWITCH_TOKEN" in (await off.json())["hint"]
    assert surface.calls == []


@pytest.mark.parametrize(
    "header", ["Basic s3cret-token", "s3cret-token", "Bearer", "Bearer  ", "Bearer s3cret-token x"]
)
async def test_only_a_bearer_token_counts(client: Any, surface: Any, header: str) -> None:
    """Other schemes and near misses are refused."""
    answer = await client.post("/api/v1/storm/lift", headers={"Authorization": header})
    assert answer.status == 401
    assert surface.calls == []


async def test_a_token_from_a_file_may_end_its_line(start: Any, bearer: Any) -> None:
    """White space around the configured token is no part of it; a token of nothing else is none."""
    ended, blank = await start(token="s3cret-token\n"), await start(token=" \n")
    assert (await ended.post("/api/v1/storm/lift", headers=bearer)).status == 200
    assert (await blank.post("/api/v1/storm/lift", headers=bearer)).status == 403


async def test_a_cookie_is_no_credential(client: Any) -> None:
    """A browser can't be made to command by a foreign page."""
    answer = await client.post("/api/v1/storm/lift", headers={"Cookie": "token=s3cret-token"})
    assert answer.status == 401
    assert "Set-Cookie" not in answer.headers
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/api/v1/silences", b"{}", "matchers"),
        ("/api/v1/silences", b'{"matchers":{},"duration":"2h"}', "matchers"),
        ("/api/v1/silences", b'{"matchers":{"check":"x"},"duration":"2 hours"}', "duration"),
        ("/api/v1/silences", b'{"matchers":{"check":"x"},"duration":"0s"}', "duration"),
        ("/api/v1/storm/lift", b"not json", "JSON"),
        ("/api/v1/storm/lift", b"[]", "object"),
        ("/api/v1/storm/lift", b'{"bye":"x"}', "bye"),
        ("/api/v1/storm/lift", b'{"by":"line\\nbreak"}', "by"),
        ("/api/v1/actions", b'{"reason":"x"}', "enabled"),
    ],
)
async def test_a_wrong_body_is_named(client: Any, surface: Any, bearer: Any, path: str, body: bytes, said: str) -> None:
    """400 says which field is wrong; nothing is changed."""
    answer = await client.post(path, data=body, headers=bearer | {"Content-Type": "application/json"})
    assert answer.status == 400
    assert said in (await answer.json())["error"]
    assert surface.calls == []


async def test_only_json_is_read(client: Any, surface: Any, bearer: Any) -> None:
    """A form, which a foreign page could send without a preflight, is refused."""
    answer = await client.post("/api/v1/storm/lift", data={"by": "ana"}, headers=bearer)
    assert answer.status == 415
    assert surface.calls == []


async def test_large_bodies_are_refused(start: Any, surface: Any, bearer: Any) -> None:
    """The limit holds before anything is parsed."""
    client = await start(max_body=1000)
    body = json.dumps({"by": "x" * 2000})
    answer = await client.post("/api/v1/storm/lift", data=body, headers=bearer | {"Content-Type": "application/json"})
    assert answer.status == 413
    assert surface.calls == []


@pytest.mark.parametrize(
    ("path", "data", "status"),
    [
        ("/api/v1/breakers/etl/x/trip", {}, 409),
        ("/api/v1/breakers/etl/x/trip", {"not_found": True, "hint": "list them"}, 404),
        ("/api/v1/config/reload", {"errors": ["etl.yaml:3:1: unknown key"]}, 400),
        ("/-/reload", {}, 400),
    ],
)
async def test_a_refused_command_is_a_refusal(
    client: Any, surface: Any, bearer: Any, path: str, data: Any, status: int
) -> None:
    """`ok` False is 409, 404 when not found, 400 for a bad configuration; the data comes along."""
    surface.outcome = Outcome(False, "the breaker is open already", data)
    answer = await client.post(path, headers=bearer)
    assert answer.status == status
    assert await answer.json() == {
        "error": "the breaker is open already", "hint": data.get("hint", ""), "data": data,
    }  # fmt: skip


async def test_a_failing_surface_shows_no_internals(client: Any, surface: Any) -> None:
    """500 is JSON without the exception's text."""
    surface.view_checks = None
    answer = await client.get("/api/v1/checks")
    assert answer.status == 500
    assert "NoneType" not in await answer.text()
    assert set(await answer.json()) == {"error", "hint", "data"}


async def test_a_hung_command_leaves_the_rest_alone(start: Any, surface: Any, bearer: Any) -> None:
    """While one hangs, health and status answer; the hung one ends as 504 that promises nothing."""
    surface.hang = asyncio.Event()
    client = await start(command_timeout=0.2)
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        hung = group.create_task(client.post("/api/v1/storm/lift", headers=bearer))
        health = await client.get("/healthz")
        status = await client.get("/api/v1/status")
        assert (health.status, status.status) == (200, 200)
        assert not hung.done()
    answer = hung.result()
    assert answer.status == 504
    assert "may still take effect" in (await answer.json())["hint"]


async def test_methods_are_told(client: Any) -> None:
    """405 keeps the Allow header and is JSON."""
    answer = await client.put("/api/v1/status")
    assert answer.status == 405
    assert "GET" in answer.headers["Allow"]
    assert "error" in await answer.json()


async def test_openapi_matches_the_routes(client: Any, surface: Any) -> None:
    """The document has every path and method of the router, and no other."""
    document = await (await client.get("/api/openapi.json")).json()
    described = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    routed = {
        (route.method, route.resource.canonical)
        for route in client.app.router.routes()
        if route.method != "HEAD"
    }  # fmt: skip
    assert described == routed


async def test_openapi_is_whole(client: Any) -> None:
    """Every reference resolves, operation ids are unique, commands need the token, and only they do."""
    text = await (await client.get("/api/openapi.json")).text()
    document = json.loads(text)
    schemas = document["components"]["schemas"]
    for part in text.split('"$ref": "')[1:]:
        assert part.split('"')[0].removeprefix("#/components/schemas/") in schemas
    operations = [(m, o) for item in document["paths"].values() for m, o in item.items()]
    assert len({o["operationId"] for _, o in operations}) == len(operations)
    assert all(("security" in o) == (m in {"post", "delete"}) for m, o in operations)


async def test_reads_match_their_documented_models(client: Any) -> None:
    """What is sent is valid by the schema that is published."""
    jsonschema = pytest.importorskip("jsonschema")
    document = await (await client.get("/api/openapi.json")).json()
    for path, item in document["paths"].items():
        if not path.startswith("/api/v1/") or "get" not in item or "{" in path:
            continue
        content = item["get"]["responses"]["200"]["content"]
        if "$ref" not in content.get("application/json", {}).get("schema", {}):
            continue
        schema = content["application/json"]["schema"] | {"components": document["components"]}
        jsonschema.Draft202012Validator(schema).validate(await (await client.get(path)).json())


async def test_api_answers_carry_the_security_headers(client: Any) -> None:
    """Nothing is cached, sniffed, framed or referred, whatever the status."""
    for path in ("/api/v1/status", "/nowhere", "/"):
        headers = (await client.get(path)).headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert "aiohttp" not in headers["Server"].lower()


def test_the_token_is_not_printed(surface: Any) -> None:
    """Settings in a log or a traceback hide it."""
    assert "hush" not in repr(WebSettings(token="hush", version="1"))


async def test_numbers_that_json_lacks_become_null(client: Any, surface: Any) -> None:
    """NaN and infinity don't make the document invalid."""
    surface.view_rows = [dataclasses.replace(surface.view_rows[0], value=float("nan"), critical_bound=float("inf"))]
    row = json.loads(await (await client.get("/api/v1/observations")).text())["observations"][0]
    assert (row["value"], row["critical_bound"]) == (None, None)
