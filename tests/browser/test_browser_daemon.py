"""The whole way: a real daemon against the emulator, its page in a real browser, a trip, a restart, a reset."""

from __future__ import annotations

import signal
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium_client import Browser
from fault_rig import TOKEN, Daemon, Nursery, Pieces, playbook, until

from monitor.demo.emulator import child
from monitor.demo.emulator.child import Child
from monitor.demo.world import World

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("browser-daemon")]


@pytest.fixture(scope="module")
def emulator() -> Iterator[Child]:
    """The process."""
    with child.start() as running:
        yield running


@pytest.fixture
def nursery(emulator: Child) -> Iterator[Nursery]:
    """Forks daemons that talk to the emulator."""
    made = Nursery(emulator)
    yield made
    made.close()


@pytest.fixture
async def pieces(emulator: Child) -> AsyncIterator[Pieces]:
    """An AWS in which rules, functions and machines can be made."""
    async with World(emulator.url) as world:
        made = Pieces(world)
        await made.prepare()
        yield made


def port() -> int:
    """One that is free, so that a restarted daemon is found at the same address."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


async def confirm(tab: Any, verb: str, **fields: str) -> str:
    """Opens the breaker's question, fills it in, confirms; the question's text."""
    await tab.js("document.querySelector('[id=\"b-etl-loop\"]').open = true")
    await tab.click(f'[id="b-etl-loop"] button[data-ask={verb}]')
    await tab.until("document.getElementById('ask').open")
    said = str(await tab.js("document.getElementById('ask').innerText"))
    for name, text in fields.items():
        await tab.js(f"document.querySelector('#ask [name={name}]').focus()")
        await tab.type(text)
    await tab.click("#ask-go")
    await tab.until("!document.getElementById('ask').open")
    return said


async def test_a_trip_a_restart_and_a_reset_from_the_page(
    browser: Browser, nursery: Nursery, pieces: Pieces, tmp_path: Path
) -> None:
    """What the page shows is what AWS says: cut, capped and stopped; over a kill of the daemon; and put back."""
    await pieces.make("b", 100)
    listen = f"127.0.0.1:{port()}"
    async with Daemon(nursery, tmp_path, playbook("b"), TRIPSWITCH_LISTEN=listen) as daemon, browser.page() as tab:
        await daemon.start()
        await until(daemon.breaker, 10)
        await tab.goto(f"http://{listen}/")
        await tab.until("document.getElementById('live').dataset.state === 'live'")
        said = await confirm(tab, "trip", reason="drill", by="ana", token=TOKEN)
        for part in ("rule-b", "reversible, cuts the source, undone by the recovery", "disruptive, cannot be undone"):
            assert part in said, said
        state = "document.querySelector('[id=\"b-etl-loop\"] .state').textContent"
        await tab.until(f"{state} === 'open'", 20)
        assert await pieces.state("b") == ("DISABLED", 5, 0)
        held = await tab.until("document.getElementById('h-held')?.parentElement.innerText")
        assert "rule-b" in held
        assert "held by etl/loop" in held
        assert "ana" in await tab.js("document.querySelector('[id=\"b-etl-loop\"]').innerText")
        assert tab.complaints == []

        await tab.js("window.mark = 1")
        daemon.signal(signal.SIGKILL)
        await tab.until("document.documentElement.classList.contains('lost')", 6)
        await until(lambda: not daemon.lives(), 5)
        await daemon.start()
        await tab.until("!document.documentElement.classList.contains('lost')", 15)
        await tab.until(f"{state} === 'open'", 20)
        assert await tab.js("window.mark") == 1

        await confirm(tab, "reset")
        await tab.until(f"{state} === 'closed'", 30)
        assert (await pieces.state("b"))[:2] == ("ENABLED", 100)
        await tab.until("document.getElementById('h-held') === null")
        link = "[...document.querySelectorAll('.incident a')].find(a => a.href.includes('/incidents/'))"
        if await tab.js(f"Boolean({link})"):
            await tab.goto(await tab.js(f"{link}.href"))
            assert "tripped" in await tab.js("document.querySelector('.timeline').innerText")
