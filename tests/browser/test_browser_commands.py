"""Commands from the page: a question that names what it touches, a token, one request, and the answer in words."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from web_sample import TOKEN

from monitor.core.model import State
from monitor.core.view import Outcome

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("browser")]

ASK = "document.getElementById('ask')"
PROBLEM = "document.getElementById('ask-problem')"


async def ask(tab: Any, breaker: str, verb: str) -> str:
    """Opens the question; its text."""
    await tab.until("document.getElementById('live').dataset.state === 'live'")
    card = f'[id="b-{breaker}"]'
    await tab.js(f"document.querySelector({card!r}).open = true")
    await tab.click(f"{card} button[data-ask={verb}]")
    await tab.until(f"{ASK}.open")
    return str(await tab.js(f"{ASK}.innerText"))


async def answer(tab: Any, **fields: str) -> None:
    """Types into the fields that are shown, and confirms."""
    for name, text in fields.items():
        await tab.js(f"document.querySelector('#ask [name={name}]').focus()")
        await tab.js(f"document.querySelector('#ask [name={name}]').select()")
        await tab.type(text)
    await tab.click("#ask-go")


async def test_a_trip_names_its_blast_radius_and_takes_effect(tab: Any, url: str, surface: Any) -> None:
    """Steps, what they risk, what can't be undone; then the state changes on the page, without a reload."""
    await tab.goto(url + "/")
    said = await ask(tab, "etl-ingest-throttle", "trip")
    for part in (
        "Trip etl/ingest-throttle?", "disable rule etl-s3-events", "everything that the rule starts", "Targets (0)",
        "reversible, cuts the source, undone by the recovery", "stop running executions of etl-workflow (1,841)",
        "disruptive, cannot be undone", "Some of this cannot be undone.", "never recovers by itself", "Reason",
    ):  # fmt: skip
        assert part in said, part
    assert await tab.js("document.activeElement.name") == "reason"
    await answer(tab, reason="too many", by="ana", token=TOKEN)
    await tab.until(f"!{ASK}.open")
    assert surface.calls == [("trip", "etl/ingest-throttle", "ana", "too many")]
    assert await tab.until("document.getElementById('toast').textContent") == "etl/ingest-throttle trips"
    await tab.until("document.body.innerText.includes('tripped by ana: too many')", 3)
    assert tab.complaints == []


async def test_a_wrong_token_is_said_and_asked_for_again(tab: Any, url: str, surface: Any) -> None:
    """The question stays with what was typed; the right token then works, and is not asked for a second time."""
    await tab.goto(url + "/")
    await ask(tab, "etl-ingest-throttle", "trip")
    await answer(tab, reason="because", by="ana", token="wrong")
    said = await tab.until(
        "!document.getElementById('ask-problem').hidden && document.getElementById('ask-problem').innerText"
    )
    assert said == "the token is wrong: compare it with the daemon's TRIPSWITCH_TOKEN"
    assert await tab.js("[document.activeElement.name, document.querySelector('#ask [name=reason]').value]") == [
        "token",
        "because",
    ]
    assert surface.calls == []
    await answer(tab, token=TOKEN)
    await tab.until(f"!{ASK}.open")
    await ask(tab, "warehouse-cold-start", "reset")
    assert await tab.js("document.getElementById('ask-token-field').hidden")
    await answer(tab)
    await tab.until(f"!{ASK}.open")
    assert [call[0] for call in surface.calls] == ["trip", "reset"]


async def test_the_token_stays_in_its_tab(browser: Any, tab: Any, url: str) -> None:
    """It is in no cookie and no lasting storage, goes with no read, and can be forgotten."""
    await tab.goto(url + "/")
    await ask(tab, "etl-ingest-throttle", "trip")
    await answer(tab, reason="x", by="ana", token=TOKEN)
    await tab.until(f"!{ASK}.open")
    assert await tab.js("[document.cookie, localStorage.length, sessionStorage.getItem('token')]") == ["", 0, TOKEN]
    async with browser.page() as other:
        await other.goto(url + "/")
        assert await other.js("sessionStorage.getItem('token')") is None
    await tab.click("#forget")
    assert await tab.js("sessionStorage.getItem('token')") is None
    assert await tab.js("document.activeElement.id") == "main"


async def test_a_refusal_is_told_in_words(tab: Any, url: str, surface: Any) -> None:
    """What the engine answers stands in the question, with what to do; nothing changes."""

    async def refuse(*args: Any, **more: Any) -> Outcome:
        return Outcome(False, "etl/s3-event-loop is already recovering", {"hint": "wait for it to end"})

    surface.reset = refuse
    await tab.goto(url + "/")
    said = await ask(tab, "etl-s3-event-loop", "reset")
    assert "Changes in force (2)" in said
    assert "back to ENABLED" in said
    assert "trips again" in said
    await answer(tab, by="ana", token=TOKEN)
    told = await tab.until(f"!{PROBLEM}.hidden && {PROBLEM}.innerText")
    assert told == "etl/s3-event-loop is already recovering: wait for it to end"
    await tab.press("Escape")
    await tab.until(f"!{ASK}.open")
    assert await tab.js("document.activeElement.dataset.ask") == "reset"


async def test_an_approval_is_of_the_plan_that_was_read(tab: Any, url: str, surface: Any) -> None:
    """The hash of the plan on the screen is sent; one that changed meanwhile is refused and says so."""
    await tab.goto(url + "/")
    said = await ask(tab, "etl-s3-event-loop", "approve")
    assert "cap ingest-handler at 5 concurrent executions" in said
    assert "Targets (1)" in said
    assert "etl-workflow" in said
    surface.change("etl/s3-event-loop", approval="ffff0000")
    await asyncio.sleep(1.2)  # an update comes in while the question is open: the question stays as it was read
    await answer(tab, by="ana", token=TOKEN)
    assert "the plan changed" in await tab.until(f"!{PROBLEM}.hidden && {PROBLEM}.innerText")
    assert surface.calls == [("approve", "etl/s3-event-loop", "ana", "9c1e44d0")]
    await tab.click("#ask-cancel")
    await ask(tab, "etl-s3-event-loop", "approve")
    await answer(tab)
    await tab.until(f"!{ASK}.open")
    assert surface.calls[-1] == ("approve", "etl/s3-event-loop", "ana", "ffff0000")


async def test_a_silence_says_what_it_mutes(tab: Any, url: str, surface: Any) -> None:
    """Notices only, unless actions are held too; a span that is none is refused by the form."""
    await tab.goto(url + "/")
    said = await ask(tab, "etl-s3-event-loop", "silence")
    assert "goes on judging and acting unless you hold its actions" in said
    await answer(tab, duration="soon", by="ana", token=TOKEN)
    assert await tab.js(f"{ASK}.open && !document.querySelector('#ask [name=duration]').checkValidity()")
    await answer(tab, duration="90m")
    await tab.until(f"!{ASK}.open")
    assert surface.calls == [("add_silence", {"pipeline": "etl", "breaker": "s3-event-loop"}, 5400.0, "ana", "", False)]
    await tab.until(
        "document.getElementById('h-silences').parentElement.innerText.includes('breaker=s3-event-loop')", 3
    )


async def test_everything_goes_with_the_keyboard(tab: Any, url: str, surface: Any) -> None:
    """From the skip link to a confirmed reset with Tab, Enter and typing alone; the focus is always to be seen."""
    await tab.goto(url + "/pipelines/etl")
    await tab.until("document.getElementById('live').dataset.state === 'live'")
    await tab.press("Tab")
    assert await tab.js("document.activeElement.className") == "skip"
    await tab.press("Enter")
    await tab.until("document.activeElement.id === 'main'")
    seen = []
    for _ in range(80):
        await tab.press("Tab")
        outline, name = await tab.js(
            "(e => [getComputedStyle(e).outlineStyle, `${e.dataset.ask} ${e.dataset.path}`])(document.activeElement)"
        )
        assert outline != "none", await tab.js("document.activeElement.outerHTML.slice(0, 200)")
        seen.append(name)
        if name == "reset api/v1/breakers/etl/s3-event-loop/reset":
            break
    assert seen[-1].startswith("reset"), seen
    await tab.press("Enter")
    await tab.until(f"{ASK}.open")
    for _ in range(12):  # a dialog keeps the focus inside
        await tab.press("Tab")
        inside = await tab.js("document.activeElement === document.body || !!document.activeElement.closest('#ask')")
        assert inside
    await tab.js("document.querySelector('#ask [name=by]').focus()")
    await tab.type("ana")
    await tab.press("Tab")
    await tab.type(TOKEN)
    await tab.press("Enter")
    await tab.until(f"!{ASK}.open")
    assert surface.calls == [("reset", "etl/s3-event-loop", "ana", False)]
    assert await tab.js("document.activeElement !== document.body")
    assert surface.breaker_named("etl/s3-event-loop").state is State.CLOSED


async def test_a_daemon_that_does_not_answer_is_said(tab: Any, serve: Any, surface: Any) -> None:
    """The command may have taken effect: the question says to look before trying again."""
    await tab.goto(await serve() + "/")

    async def gone(*args: Any, **more: Any) -> Outcome:
        raise asyncio.CancelledError

    surface.reset = gone
    await ask(tab, "etl-s3-event-loop", "reset")
    await answer(tab, by="ana", token=TOKEN)
    told = await tab.until(f"!{PROBLEM}.hidden && {PROBLEM}.innerText")
    assert told == "The daemon did not answer. Look at the state before trying again."
