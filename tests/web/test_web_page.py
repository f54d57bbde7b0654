"""The status page as a browser without JavaScript reads it."""

from __future__ import annotations

import base64
import dataclasses
import gzip
import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from html.parser import HTMLParser
from typing import Any

import pytest

from monitor.core.model import Level, Mode, State
from monitor.web.routes import table

VOID = {"meta", "link", "input", "br", "img", "hr"}


class Document(HTMLParser):
    """Elements with their attributes and ancestors; fails on a wrongly closed one."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str], tuple[int, ...]]] = []
        self.open: list[int] = []
        self.text = ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {k: v or "" for k, v in attrs}, tuple(self.open)))
        if tag not in VOID:
            self.open.append(len(self.elements) - 1)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {k: v or "" for k, v in attrs}, tuple(self.open)))

    def handle_endtag(self, tag: str) -> None:
        assert self.elements[self.open.pop()][0] == tag, (tag, self.getpos())

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str = "", **attributes: str) -> list[dict[str, str]]:
        """Attributes of the matching elements."""
        return [a for t, a, _ in self.elements if tag in ("", t) and all(a.get(k) == v for k, v in attributes.items())]

    def inside(self, index: int, tag: str) -> list[dict[str, str]]:
        """Attributes of `tag` elements below the element of that index."""
        return [a for t, a, above in self.elements if t == tag and index in above]


async def read(client: Any, path: str = "/") -> Document:
    """The parsed page."""
    answer = await client.get(path, headers={"Accept-Encoding": "identity"})
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    return Document(await answer.text())


async def test_everything_is_in_the_html(client: Any) -> None:
    """Without JavaScript, a reader finds states, steps, targets, plans, timelines and silences in words."""
    text = re.sub(r"\s+", " ", (await read(client)).text)
    for said in (
        "1 breaker tripping, 2 open, 1 half open", "1 check critical, 1 check warning, 1 check unknown",
        "stop running executions of etl-workflow", "held · approval", "1,212 done, 629 left, about 25s",
        "drift · was 100", "observes only", "disable event source mapping of orders-consumer", "and 18 more",
        "346/min", "warning 100/min", "no reading", "execution-rate became critical", "check=loads*", "holds actions",
        "latched", "no longer configured", "disabled", "run by another replica", "42 of 2,214 runs failed",
        "has not run yet", "in 11m 7s",
    ):  # fmt: skip
        assert said in text, said


async def test_without_javascript_it_refreshes_itself(client: Any) -> None:
    """The refresh is inside noscript, so that it doesn't fight the live updates."""
    page = await read(client)
    index = next(i for i, (tag, _, _) in enumerate(page.elements) if tag == "noscript")
    assert page.inside(index, "meta") == [{"http-equiv": "refresh", "content": "15"}]


async def test_nothing_is_inline(client: Any) -> None:
    """The content policy forbids inline script, style and handlers; the page has none."""
    page = await read(client)
    assert page.all("style") == []
    assert all("src" in script for script in page.all("script"))
    for _, attributes, _ in page.elements:
        assert not [name for name in attributes if name == "style" or name.startswith("on")]


async def test_nothing_comes_from_elsewhere(client: Any) -> None:
    """No content network: whatever the page loads is its own."""
    page = await read(client)
    loaded = [e["src"] for e in page.all("script")] + [e["href"] for e in page.all("link")]
    assert len(loaded) == 3
    assert all(address.startswith("static/") for address in loaded)


async def test_assets_are_vouched_for_and_kept(client: Any) -> None:
    """The hash in the page is the file's; the versioned address may be kept for good, the bare one not."""
    page = await read(client)
    for element in page.all("script") + page.all("link", rel="stylesheet"):
        address = element.get("src") or element["href"]
        answer = await client.get(f"/{address}", headers={"Accept-Encoding": "identity"})
        digest = base64.b64encode(hashlib.sha256(await answer.read()).digest()).decode()
        assert element["integrity"] == f"sha256-{digest}"
        assert "immutable" in answer.headers["Cache-Control"]
        bare = await client.get(f"/{address.partition('?')[0]}", headers={"If-None-Match": answer.headers["ETag"]})
        assert (bare.status, bare.headers["Cache-Control"]) == (304, "no-cache")


@pytest.mark.parametrize("path", ["/static/..%2Fapp.py", "/static/%2e%2e%2fapp.py", "/static/", "/static/app.css%00"])
async def test_only_the_known_files_are_served(client: Any, path: str) -> None:
    """A name is looked up, never joined to a folder."""
    assert (await client.get(path)).status == 404


def poisoned(value: Any) -> Any:
    """The same views with markup in every text."""
    if isinstance(value, (Enum, datetime, bool)):
        return value
    if isinstance(value, str):
        return value + "\"'><evil onload=x>&{{7*7}}"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        changes = {f.name: poisoned(getattr(value, f.name)) for f in dataclasses.fields(value)}
        for name in ("phase",):  # a closed set of the engine's own words
            if name in changes:
                changes[name] = getattr(value, name)
        return dataclasses.replace(value, **changes)
    if isinstance(value, Mapping):
        return {poisoned(k): poisoned(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(poisoned(v) for v in value)
    return value


async def test_hostile_text_stays_text(client: Any, surface: Any) -> None:
    """Names and details come from AWS; markup in any of them is shown, never obeyed."""
    for name in ("status", "rows", "checks", "breakers", "incidents", "silences"):
        setattr(surface, f"view_{name}", poisoned(getattr(surface, f"view_{name}")))
    page = await read(client)
    assert page.all("evil") == []
    assert all("onload" not in attributes for _, attributes, _ in page.elements)
    assert "<evil onload=x>&{{7*7}}" in page.text


async def test_only_web_addresses_become_links(client: Any) -> None:
    """A runbook of another scheme is not followed."""
    addresses = [a["href"] for a in (await read(client)).all("a")]
    assert "https://wiki.example.com/etl#s3-event-loop" in addresses
    assert not [a for a in addresses if a.startswith("javascript")]


async def test_references_inside_the_page_resolve(client: Any) -> None:
    """Icons, labels and links point at something; ids are unique outside the questions."""
    page = await read(client)
    templates = {i for i, (tag, _, _) in enumerate(page.elements) if tag == "template"}
    ids = [a["id"] for _, a, above in page.elements if "id" in a and not templates & set(above)]
    assert len(ids) == len(set(ids))
    wanted = [a["href"] for a in page.all("use") + page.all("a") if a["href"].startswith("#")]
    wanted += [f"#{a['aria-labelledby']}" for _, a, _ in page.elements if "aria-labelledby" in a]
    known = {f"#{name}" for name in ids} | {"#ask-title"}
    assert set(wanted) <= known


async def test_every_command_has_a_question_and_a_route(client: Any, surface: Any) -> None:
    """A button names a method and path that exist, and beside it stands what it will touch."""
    surface.change_status(storm="4 of 5 pipelines trip", actions_enabled=False)
    routes = [(r.method, re.compile(re.sub(r"\{\w+\}", "[^/]+", r.path) + "$")) for r in table() if r.body]
    page = await read(client)
    buttons = [(a, above) for t, a, above in page.elements if t == "button" and "data-ask" in a]
    assert {a["data-ask"] for a, _ in buttons} == {
        "trip", "reset", "approve", "silence", "disable", "enable", "ack", "note", "storm", "on", "unsilence",
    }  # fmt: skip
    for attributes, above in buttons:
        path = "/" + attributes["data-path"]
        assert [1 for m, p in routes if m == attributes["data-method"] and p.match(path)], path
        place = next(
            i for i in reversed(above)
            if "data-asks" in page.elements[i][1] or "banner" in page.elements[i][1].get("class", "")
        )  # fmt: skip
        questions = [a["data-ask"] for a in page.inside(place, "template")]
        assert questions.count(attributes["data-ask"]) == 1


@pytest.mark.parametrize("off", ["no token", "the engine says no"])
async def test_no_commands_are_offered_when_they_are_off(start: Any, surface: Any, off: str) -> None:
    """Neither buttons nor questions; a line says what to do."""
    surface.change_status(mutations_enabled=off == "no token")
    page = await read(await start(token=None if off == "no token" else "x"))
    assert [a for a in page.all("button") if "data-ask" in a] == []
    assert page.all("template") == []
    assert "TRIPSWITCH_TOKEN" in page.text


async def test_the_fragment_is_the_pages_own_middle(client: Any) -> None:
    """What live updates swap in is what the page was made with."""
    page = await (await client.get("/", headers={"Accept-Encoding": "identity"})).text()
    fragment = await (await client.get("/fragment", headers={"Accept-Encoding": "identity"})).text()
    assert fragment.strip() in page
    assert "<html" not in fragment


async def test_pages_are_compressed_when_accepted(client: Any) -> None:
    """The same bytes, packed."""
    packed = await client.get("/", headers={"Accept-Encoding": "gzip"})
    plain = await client.get("/", headers={"Accept-Encoding": "identity"})
    assert gzip.decompress(await packed.read()) == await plain.read()


async def test_trouble_of_the_daemon_stands_on_top(client: Any, surface: Any) -> None:
    """Not ready, refused configuration, storm and actions off are each said in words."""
    surface.change_status(
        ready=False, not_ready=("first round is not done",), storm="4 of 5 pipelines trip", actions_enabled=False,
        actions_reason="drill by ana", config_ok=False, config_error="etl.yaml:14:5: unknown key intervall",
    )  # fmt: skip
    text = (await read(client)).text
    for said in ("Not ready", "first round is not done", "4 of 5 pipelines trip", "drill by ana", "etl.yaml:14:5"):
        assert said in text


async def test_an_empty_daemon_has_a_page(client: Any, surface: Any) -> None:
    """Nothing configured is said, not left blank."""
    for name in ("rows", "checks", "breakers", "incidents", "silences"):
        setattr(surface, f"view_{name}", [])
    surface.change_status(pipelines=(), leases={}, config_at=None)
    text = (await read(client)).text
    assert "Nothing is watched" in text
    assert "No breaker is configured." in text
    assert "No check is configured." in text


async def test_the_page_stays_small(client: Any, surface: Any) -> None:
    """Thousands of targets are cut, worst first, and the page says where the rest is."""
    check, row, breaker = surface.view_checks[0], surface.view_rows[0], surface.view_breakers[0]
    step = breaker.steps[0]
    many = dataclasses.replace(step, changes=step.changes * 5000)
    surface.view_checks = [dataclasses.replace(check, name=f"c{n}") for n in range(400)]
    surface.view_rows = [dataclasses.replace(row, check=f"c{n}", target=f"t{t}") for n in range(40) for t in range(100)]
    surface.view_breakers = [
        dataclasses.replace(breaker, name="wide", targets=tuple(map(str, range(10_000))), steps=(many,))
    ]
    incident = surface.view_incidents[0]
    surface.view_incidents = [dataclasses.replace(incident, timeline=incident.timeline * 1000)]
    answer = await client.get("/", headers={"Accept-Encoding": "identity"})
    html = await answer.text()
    assert len(html) < 1_000_000
    for said in ("and 9988 more", "and 4990 more", "300 more are", "76 more are", "4992 earlier lines"):
        assert said in html, said


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("mode", list(Mode))
async def test_every_state_and_mode_has_its_own_words(client: Any, surface: Any, state: State, mode: Mode) -> None:
    """Never by colour alone: state and mode are written, and the switch has its own drawing."""
    breaker = dataclasses.replace(surface.view_breakers[2], state=state, mode=mode)
    surface.view_breakers = [breaker]
    page = await read(client)
    assert [a for a in page.all("use") if a["href"] == f"#s-{state}"]
    assert state.value.replace("_", " ") in page.text
    assert ("Observe mode: it records" in page.text) == (mode == Mode.OBSERVE)
    assert ("asks first" in page.text) == (mode == Mode.APPROVE)


@pytest.mark.parametrize(
    ("due", "said"),
    [(None, "then reset the breaker"), (datetime(2026, 3, 14, 9, 30, tzinfo=UTC), "It is tried again, slowly")],
)
async def test_a_failed_step_promises_only_what_happens(client: Any, surface: Any, due: Any, said: str) -> None:
    """One without a time to try again may have had its effect: nobody repeats it."""
    breaker = surface.view_breakers[0]
    step = dataclasses.replace(breaker.steps[1], phase="failed", until=due)
    surface.view_breakers = [dataclasses.replace(breaker, steps=(step,))]
    text = re.sub(r"\s+", " ", (await read(client)).text)
    assert said in text
    assert ("tried again" in text) is (due is not None)


@pytest.mark.parametrize(
    "phase", ["pending", "running", "held", "waiting", "retrying", "done", "would", "failed", "skipped"]
)
async def test_every_step_phase_has_a_mark_and_a_word(client: Any, surface: Any, phase: str) -> None:
    """The nine phases of a step each resolve to an icon of their own."""
    breaker = surface.view_breakers[0]
    surface.view_breakers = [dataclasses.replace(breaker, steps=(dataclasses.replace(breaker.steps[1], phase=phase),))]
    page = await read(client)
    symbols = {a["id"] for a in page.all("symbol")}
    index = next(i for i, (_, a, _) in enumerate(page.elements) if a.get("class") == f"step is-{phase}")
    assert page.inside(index, "use")[0]["href"].removeprefix("#") in symbols
    assert ("would do" if phase == "would" else phase) in page.text


@pytest.mark.parametrize("level", list(Level))
async def test_every_level_is_a_word(client: Any, surface: Any, level: Level) -> None:
    """Levels carry a shape and their name."""
    surface.view_checks = [dataclasses.replace(surface.view_checks[0], level=level)]
    surface.view_rows = [dataclasses.replace(surface.view_rows[0], level=level)]
    surface.view_breakers = []
    page = await read(client)
    assert page.all("span", **{"class": f"level is-{level}"})
    assert [a for a in page.all("use") if a["href"] == f"#i-{level}"]
