"""Makes the README's pictures of the status page: `PYTHONPATH=. python tools/screenshots.py [FOLDER]`.

Runs `tripswitch demo event-loop`, a real daemon against the embedded emulator, and lets headless Chromium look at it
while the breaker contains the incident. Needs the demo's packages and Chromium.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "tests" / "browser"))

from chromium_client import Browser, connected, installed, started  # noqa: E402  (found through the line above)

LIVE = "document.getElementById('live').dataset.state === 'live'"
#: Name, path, width, height, device pixels per pixel, dark.
PICTURES = (
    ("page", "/", 1280, 1400, 1.0, False),
    ("page-phone", "/", 390, 844, 2.0, True),
)


async def contained(session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    """The breaker that stops executions, once it does."""
    end = time.monotonic() + 90
    while time.monotonic() < end:
        try:
            async with session.get(f"{url}/api/v1/breakers") as reply:
                for breaker in (await reply.json())["breakers"]:
                    verbs = {step["verb"]: step["phase"] for step in breaker["steps"]}
                    if verbs.get("stop_executions") in ("running", "retrying", "done") and breaker["state"] != "closed":
                        return dict(breaker)
        except aiohttp.ClientError:
            pass
        await asyncio.sleep(0.1)
    raise SystemExit("the demo did not get as far as stopping executions")


async def shoot(browser: Browser, url: str, folder: Path) -> None:
    """Every picture."""
    for name, path, width, height, scale, dark in PICTURES:
        async with browser.page(width=width, height=height, scale=scale, dark=dark) as page:
            await page.goto(url + path)
            await page.until(LIVE)
            file = folder / f"{name}.png"
            file.write_bytes(await page.picture())
            print(f"{file} {file.stat().st_size / 1000:.0f} kB")


async def main(folder: Path) -> None:
    """Demo, browser, pictures."""
    program = installed()
    if program is None:
        raise SystemExit("Chromium is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    demo = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "monitor", "demo", "event-loop", "--port", str(port),
        cwd=ROOT, stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        with started(program) as address:
            async with connected(address) as browser, aiohttp.ClientSession() as session:
                await contained(session, url)
                await shoot(browser, url, folder)
    finally:
        if demo.returncode is None:
            demo.terminate()
        await demo.wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images"))
