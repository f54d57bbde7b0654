"""A browser for tests and pictures: headless Chromium, driven through its DevTools protocol over one websocket.

Enough of it to load a page, press keys, click, read the DOM and the accessibility tree, and collect what the page
complained about. https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--mute-audio",
    "--no-first-run", "--disable-extensions", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-default-browser-check", "--force-color-profile=srgb", "--remote-debugging-port=0",
    "--disable-features=Translate,OptimizationHints,MediaRouter", "about:blank",
)  # fmt: skip
_KEYS = {
    "Tab": ("Tab", 9, ""), "Enter": ("Enter", 13, "\r"), "Escape": ("Escape", 27, ""), " ": ("Space", 32, " "),
    "ArrowLeft": ("ArrowLeft", 37, ""), "ArrowRight": ("ArrowRight", 39, ""), "Home": ("Home", 36, ""),
}  # fmt: skip


def installed() -> str | None:
    """The browser's path."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def started(program: str) -> Iterator[str]:
    """A browser process; its websocket address. It loads nothing but what it is told to."""
    with tempfile.TemporaryDirectory(prefix="tripswitch-chromium-", ignore_cleanup_errors=True) as folder:
        process = subprocess.Popen(
            [program, f"--user-data-dir={folder}", *_FLAGS], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            told, end = Path(folder) / "DevToolsActivePort", time.monotonic() + 30
            while not (told.exists() and "\n" in told.read_text()):
                if process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError("the browser did not start")
                time.sleep(0.05)
            port, path = told.read_text().split("\n")[:2]
            yield f"ws://127.0.0.1:{port}{path}"
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(5)
            if process.poll() is None:
                process.kill()
                process.wait(5)


class Browser:
    """A connection to the browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._hearers: dict[str, Callable[[str, dict[str, Any]], None]] = {}

    async def send(self, method: str, session: str = "", **params: Any) -> dict[str, Any]:
        """The result of a command. Raises RuntimeError with what the browser said."""
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        message = {"id": number, "method": method, "params": params} | ({"sessionId": session} if session else {})
        await self._socket.send_json(message)
        async with asyncio.timeout(20):
            return await answer

    async def read(self) -> None:
        """Until the connection ends: answers to those who asked, events to their page."""
        async for message in self._socket:
            told = json.loads(message.data)
            if "id" not in told:
                hearer = self._hearers.get(told.get("sessionId", ""))
                if hearer is not None:
                    hearer(told["method"], told["params"])
                continue
            answer = self._answers.pop(told["id"])
            if answer.done():
                continue
            if "error" in told:
                answer.set_exception(RuntimeError(told["error"]["message"]))
            else:
                answer.set_result(told["result"])

    @asynccontextmanager
    async def page(self, *, javascript: bool = True, dark: bool = False, width: int = 1280, height: int = 900,
                   scale: float = 1, motion: bool = True) -> AsyncIterator[Page]:  # fmt: skip
        """A page in a profile of its own, so that nothing is left over from another."""
        context = (await self.send("Target.createBrowserContext"))["browserContextId"]
        target = (await self.send("Target.createTarget", url="about:blank", browserContextId=context))["targetId"]
        session = (await self.send("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        page = Page(self, session)
        self._hearers[session] = page.hear
        try:
            for domain in ("Page", "Runtime", "Log", "DOM", "Network"):
                await page.send(f"{domain}.enable")
            await page.send("Emulation.setFocusEmulationEnabled", enabled=True)
            await page.send("Emulation.setScriptExecutionDisabled", value=not javascript)
            await page.resize(width, height, scale)
            media = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
            media += [] if motion else [{"name": "prefers-reduced-motion", "value": "reduce"}]
            await page.send("Emulation.setEmulatedMedia", features=media)
            yield page
        finally:
            self._hearers.pop(session, None)
            await self.send("Target.disposeBrowserContext", browserContextId=context)


class Page:
    """A tab. `complaints` collects uncaught errors, console errors, failed loads and violations of the policy."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session
        self.complaints: list[str] = []
        self.requests: list[str] = []

    def hear(self, method: str, params: dict[str, Any]) -> None:
        """An event."""
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description") or details["text"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "assert", "warning"):
            self.complaints.append(" ".join(str(arg.get("value", arg)) for arg in params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.complaints.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])

    async def send(self, method: str, **params: Any) -> dict[str, Any]:
        """A command for this tab."""
        return await self._browser.send(method, self._session, **params)

    async def resize(self, width: int, height: int, scale: float = 1) -> None:
        """The size of the window, in CSS pixels; `scale` device pixels for each."""
        await self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=False
        )

    async def goto(self, url: str) -> None:
        """Load, until the document is complete (with or without its scripts)."""
        loaded = await self.send("Page.navigate", url=url)
        assert "errorText" not in loaded, loaded
        await self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    async def js(self, expression: str) -> Any:
        """The JSON value of an expression (a promise is awaited)."""
        told = await self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in told, (expression, told["exceptionDetails"])
        return told["result"].get("value")

    async def until(self, expression: str, seconds: float = 8) -> Any:
        """The first true value of an expression; fails after `seconds`."""
        end = time.monotonic() + seconds
        while not (value := await self.js(expression)):
            assert time.monotonic() < end, f"not within {seconds}s: {expression}"
            await asyncio.sleep(0.03)
        return value

    async def click(self, selector: str) -> None:
        """With the mouse, in the middle of the first match, which must be visible and not covered."""
        found = f"document.querySelector({json.dumps(selector)})"
        place = await self.js(
            f"(() => {{ const e = {found}; e.scrollIntoView({{block: 'center', behavior: 'instant'}});"
            " const r = e.getBoundingClientRect(), x = r.x + r.width / 2, y = r.y + r.height / 2;"
            " const hit = document.elementFromPoint(x, y); return [x, y, e === hit || e.contains(hit)]; })()"
        )
        assert place[2], f"{selector} is covered or not visible"
        for kind in ("mousePressed", "mouseReleased"):
            await self.send("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1)

    async def press(self, key: str, *, shift: bool = False) -> None:
        """A key, down and up."""
        code, number, text = _KEYS[key]
        common = {"key": key, "code": code, "windowsVirtualKeyCode": number, "modifiers": 8 if shift else 0}
        await self.send("Input.dispatchKeyEvent", type="keyDown", **common, **({"text": text} if text else {}))
        await self.send("Input.dispatchKeyEvent", type="keyUp", **common)

    async def type(self, text: str) -> None:
        """Into what has the focus."""
        await self.send("Input.insertText", text=text)

    async def tree(self) -> list[dict[str, Any]]:
        """The accessibility tree, without what is ignored: role, name and properties of each node."""
        nodes = (await self.send("Accessibility.getFullAXTree"))["nodes"]
        return [
            {"role": n["role"]["value"], "name": n.get("name", {}).get("value", ""),
             **{p["name"]: p["value"].get("value") for p in n.get("properties", [])}}
            for n in nodes if not n.get("ignored")
        ]  # fmt: skip

    async def picture(self, *, whole: bool = False) -> bytes:
        """A PNG of the window, or of the whole page."""
        shot = await self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        return base64.b64decode(shot["data"])


@asynccontextmanager
async def connected(address: str) -> AsyncIterator[Browser]:
    """A connection to a started browser."""
    async with aiohttp.ClientSession() as session, session.ws_connect(address, max_msg_size=0) as socket:
        browser = Browser(socket)
        reading = asyncio.create_task(browser.read())
        try:
            yield browser
        finally:
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading
