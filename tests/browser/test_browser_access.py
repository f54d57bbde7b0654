"""For those who don't see the page, or see it differently: names, landmarks, headings, contrast, motion."""

from __future__ import annotations

import itertools
import socket
from typing import Any

import pytest
from aiohttp import web
from web_sample import TOKEN, sample_metrics

from monitor.web import WebSettings, make_app

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("browser")]

PAGES = ("/", "/pipelines/etl", "/incidents/inc-7f3a")
LIVE = "document.getElementById('live').dataset.state === 'live'"

#: WCAG 2: contrast of every text with what is painted behind it, and of every mark in the same way.
CONTRAST = """
(() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgba = (color) => {  // the browser's own reading of any colour notation
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data; return [r, g, b, a / 255];
  };
  const over = (top, under) => top.slice(0, 3).map((c, i) => c * top[3] + under[i] * (1 - top[3])).concat(1);
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (node) => {
    const layers = [];
    for (let place = node; place; place = place.parentElement) {
      const color = rgba(getComputedStyle(place).backgroundColor);
      if (color[3] > 0) layers.unshift(color);
    }
    return layers.reduce((under, layer) => over(layer, under), [255, 255, 255, 1]);
  };
  const ratio = (a, b) => {
    const [x, y] = [light(a), light(b)].sort((m, n) => n - m);
    return (x + 0.05) / (y + 0.05);
  };
  const low = [];
  const judge = (node, color, wanted, what) => {
    const ground = behind(node), found = ratio(over(rgba(color), ground), ground);
    if (found < wanted) low.push(`${found.toFixed(2)} ${what}`);
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let texts = 0, marks = 0;
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim()) continue;
    if (!node.checkVisibility({visibilityProperty: true, opacityProperty: true})) continue;
    texts += 1;
    judge(node, getComputedStyle(node).color, 4.5, walker.currentNode.data.trim().slice(0, 40));
  }
  for (const mark of document.querySelectorAll('main svg.icon, main svg.switch, .chart polyline, .chart line, .dot')) {
    if (!mark.checkVisibility({visibilityProperty: true}) || mark.closest('.small.chart')) continue;
    const style = getComputedStyle(mark), line = mark.tagName !== 'svg';
    marks += 1;
    judge(mark.closest('svg').parentElement, line ? style.stroke : style.color, 3, mark.outerHTML.slice(0, 60));
  }
  return {texts, marks, low};
})()
"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("path", PAGES)
async def test_contrast_holds_on_the_painted_colours(browser: Any, url: str, path: str, dark: bool) -> None:
    """AA: 4.5 to 1 for every text, 3 to 1 for every icon, switch and line, questions and warnings included."""
    async with browser.page(dark=dark) as page:
        await page.goto(url + path)
        await page.until(LIVE)
        await page.js("document.querySelectorAll('details').forEach(d => { d.open = true; })")
        found = await page.js(CONTRAST)
        assert found["low"] == []
        assert found["texts"] > 40
        assert found["marks"] > 5
        await page.js("document.querySelector('main button[data-ask]').click()")
        await page.js("document.getElementById('ask-problem').hidden = false")
        await page.js("document.getElementById('ask-problem').textContent = 'the token is wrong'")
        assert (await page.js(CONTRAST))["low"] == []


async def test_lost_is_said_and_stays_readable(browser: Any, surface: Any) -> None:
    """Without the daemon the page says so, since when, loses its colours, and keeps its contrast."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    async def begin() -> web.AppRunner:
        runner = web.AppRunner(
            make_app(surface, sample_metrics, WebSettings(token=TOKEN, version="0")), shutdown_timeout=0.1
        )
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        return runner

    runner = await begin()
    async with browser.page() as page:
        await page.goto(f"http://127.0.0.1:{port}/")
        await page.until(LIVE)
        await runner.cleanup()
        await page.until("document.getElementById('live').dataset.state === 'lost'", 6)
        said = await page.js("document.getElementById('stale').innerText")
        assert said.startswith("Connection lost. This is the state as of 2026-03-14 09:")
        assert "grayscale" in await page.js("getComputedStyle(document.querySelector('main')).filter")
        assert (await page.js(CONTRAST))["low"] == []
        runner = await begin()
        await page.until(LIVE, 8)
        assert await page.js("document.getElementById('stale').hidden")
        assert await page.js("document.getElementById('announce').textContent") == "Connected again"
    await runner.cleanup()


@pytest.mark.parametrize("path", PAGES)
async def test_every_control_has_a_name_and_a_role(tab: Any, url: str, path: str) -> None:
    """Buttons, links, sliders, fields and groups: none is silent; two buttons of one page never sound the same."""
    await tab.goto(url + path)
    await tab.until(LIVE)
    await tab.js("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    tree = await tab.tree()
    controls = [
        n for n in tree if n["role"] in ("button", "link", "slider", "textbox", "checkbox", "DisclosureTriangle")
    ]
    assert len(controls) > 10
    assert [n for n in controls if not n["name"].strip()] == []
    buttons = [n["name"] for n in tree if n["role"] == "button"]
    assert sorted(set(buttons)) == sorted(buttons)
    assert {n["role"] for n in tree} >= {"banner", "main", "contentinfo", "heading", "list"}
    assert [n for n in tree if n["role"] == "image" and not n["name"]] == []


@pytest.mark.parametrize("path", PAGES)
async def test_headings_make_an_outline(tab: Any, url: str, path: str) -> None:
    """One h1, no level skipped, no region without its name."""
    await tab.goto(url + path)
    levels = await tab.js("[...document.querySelectorAll('main :is(h1, h2, h3, h4)')].map(h => Number(h.tagName[1]))")
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert await tab.js("[...document.querySelectorAll('section')].every(s => s.ariaLabelledByElements?.length)")


async def test_nothing_moves_for_those_who_asked(browser: Any, url: str) -> None:
    """With reduced motion no transition and no animation is left."""
    async with browser.page(motion=False) as page:
        await page.goto(url + "/")
        moving = await page.js(
            "[...document.querySelectorAll('*')].filter(e => parseFloat(getComputedStyle(e).transitionDuration) > 0"
            " || getComputedStyle(e).animationName !== 'none').length"
        )
        assert moving == 0
