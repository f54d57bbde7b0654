// Live updates and commands. The page is whole without this file; it builds no HTML from strings.
"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const page = document.documentElement, root = page.dataset.root;
  page.classList.add("js");

  // --- live updates: events only say that something changed; the server renders -----------------------------------
  const QUIET = 15000; // refresh at least this often while the page is looked at
  const LEAST = 1000; // and at most this often
  const RETRY = 3000; // after a failure
  let timer = 0, due = 0, last = 0, running = false, again = false;

  // A state that is older than this page's own clock allows must not look like the present.
  function live(state, text) {
    const before = byId("live").dataset.state;
    byId("live").dataset.state = state;
    byId("live-text").textContent = text;
    page.classList.toggle("lost", state === "lost");
    byId("stale").hidden = state !== "lost";
    // Written once per loss: it is an alert, and would be read out again with every try.
    if (state === "lost" && before !== "lost") {
      byId("stale").textContent = `Connection lost. This is the state as of ${byId("fragment").dataset.at}, not the present.`;
    }
    if (before === "lost" && state === "live") byId("announce").textContent = "Connected again";
  }

  async function refresh() {
    if (running) { again = true; return; }
    running = true;
    clearTimeout(timer);
    try {
      const answer = await fetch(page.dataset.fragment, { cache: "no-store", signal: AbortSignal.timeout(10000) });
      if (answer.status === 404) { live("lost", "Gone"); byId("stale").textContent = "This is no longer there."; return; }
      if (!answer.ok) throw new Error(String(answer.status));
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("fragment");
      if (!fresh) throw new Error("no fragment");
      const before = byId("fragment").dataset.title;
      hold(() => merge(byId("fragment"), document.adoptNode(fresh)));
      const now = byId("fragment").dataset;
      document.title = `${now.title} – ${document.title.split(" – ").pop()}`;
      if (now.title !== before) byId("announce").textContent = now.title;
      live("live", `Live, as of ${now.at}`);
    } catch {
      live("lost", `Connection lost, showing ${byId("fragment").dataset.at}`);
    } finally {
      running = false;
      last = performance.now();
      due = 0;
      schedule(again ? LEAST : byId("live").dataset.state === "lost" ? RETRY : QUIET);
      again = false;
    }
  }

  // Moving an element in the document takes its focus away, and one that is replaced loses it: it is given back.
  function hold(change) {
    const had = document.activeElement, path = had && had.closest("#fragment") ? pathOf(had) : null;
    change();
    dressed();
    if (!path || document.activeElement === had) return;
    const found = path.reduce((place, key) => place && [...place.querySelectorAll("[data-key], [id]")].find((one) => keyOf(one) === key), byId("fragment"));
    const summary = had.nodeName === "SUMMARY" && found ? found.querySelector("summary") : found;
    (had.isConnected ? had : summary ?? byId("main")).focus({ preventScroll: true });
  }

  function pathOf(node) {
    const path = [];
    for (let place = node; place && place.id !== "fragment"; place = place.parentElement) if (keyOf(place)) path.unshift(keyOf(place));
    return path;
  }

  function schedule(wait) {
    const at = performance.now() + wait;
    if (due && due <= at) return;
    clearTimeout(timer);
    due = at;
    timer = setTimeout(() => (document.hidden ? (due = 0, schedule(QUIET)) : refresh()), wait);
  }

  const soon = () => (running ? (again = true) : schedule(Math.max(0, last + LEAST - performance.now())));

  // Attributes that are not the server's: what people opened, and what makes a chart answer to keys.
  const NOTHING = new Set(), OPENED = new Set(["open"]);
  const DRESS = new Set(["tabindex", "role", "aria-label", "aria-valuemin", "aria-valuemax", "aria-valuenow", "aria-valuetext", "aria-orientation"]);

  // Brings `old` to the state of `fresh` in place: focus, scroll, selection and what people opened stay.
  function merge(old, fresh) {
    if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName || keyOf(old) !== keyOf(fresh)) {
      old.replaceWith(fresh);
      return;
    }
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
      return;
    }
    if (old.nodeName === "TEMPLATE") {
      if (old.innerHTML !== fresh.innerHTML) old.replaceWith(fresh);
      return;
    }
    const kept = old.nodeName === "DETAILS" ? OPENED : old.classList.contains("plot") ? DRESS : NOTHING;
    for (const { name } of [...old.attributes]) if (!kept.has(name) && !fresh.hasAttribute(name)) old.removeAttribute(name);
    for (const { name, value } of fresh.attributes) {
      if (!kept.has(name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    mergeChildren(old, fresh);
  }

  function mergeChildren(old, fresh) {
    const keyed = new Map([...old.children].filter(keyOf).map((child) => [keyOf(child), child]));
    let place = old.firstChild;
    for (const child of [...fresh.childNodes]) {
      const key = keyOf(child);
      const same = key ? keyed.get(key) : place && !keyOf(place) ? place : null;
      if (!same) { old.insertBefore(child, place); continue; }
      if (same === place) place = place.nextSibling;
      else old.insertBefore(same, place);
      merge(same, child);
    }
    while (place) { const next = place.nextSibling; place.remove(); place = next; }
  }

  const keyOf = (node) => (node.nodeType === Node.ELEMENT_NODE && (node.dataset.key || node.id)) || "";

  let source = null;
  function listen() {
    source = new EventSource(`${root}api/v1/events`);
    source.onopen = soon;
    source.onmessage = soon;
    source.addEventListener("resync", soon);
    // A stream that broke says so at once by asking for the page; one that was refused is asked for again, slowly.
    source.onerror = () => { soon(); if (source.readyState === EventSource.CLOSED) setTimeout(listen, QUIET); };
  }
  document.addEventListener("visibilitychange", () => { if (!document.hidden) soon(); });

  // --- charts: the pointer and the arrow keys read values off --------------------------------------------------------
  const readout = byId("readout"), cursor = document.createElement("span");
  cursor.className = "plot-line";
  let shown = null; // the chart and the reading that are shown

  function dressed() {
    for (const plot of document.querySelectorAll(".plot")) {
      const label = plot.querySelector("svg").getAttribute("aria-label"), last = readings(plot).length - 1;
      if (plot.getAttribute("role") !== "slider") {
        for (const [name, value] of [["role", "slider"], ["tabindex", "0"], ["aria-orientation", "horizontal"]]) plot.setAttribute(name, value);
      }
      plot.setAttribute("aria-label", label);
      plot.setAttribute("aria-valuemin", "0");
      plot.setAttribute("aria-valuemax", String(last));
      if (!shown || shown.plot !== plot) point(plot, last, false);
    }
    if (shown && !shown.plot.isConnected) unshow();
    else if (shown) show(shown.plot, Math.min(shown.index, readings(shown.plot).length - 1));
  }

  const readings = (plot) => plot.dataset.plot.split(" ").map((pair) => pair.split(":").map(Number));

  function quantity(value, unit) {
    const number = new Intl.NumberFormat("en", { maximumSignificantDigits: Math.abs(value) >= 100 ? 6 : 3 }).format(value);
    if (unit.startsWith("1/")) return number + unit.slice(1);
    return unit && unit !== "count" && unit !== "none" ? `${number} ${unit}` : number;
  }

  function point(plot, index) {
    const [offset, value] = readings(plot)[index];
    const at = new Date((Number(plot.dataset.left) + offset) * 1000).toISOString().slice(11, 19);
    const text = `${quantity(value, plot.dataset.unit)} at ${at} UTC`;
    plot.setAttribute("aria-valuenow", String(index));
    plot.setAttribute("aria-valuetext", text);
    return [offset, text];
  }

  function show(plot, index) {
    shown = { plot, index };
    const [offset, text] = point(plot, index), box = plot.querySelector("svg").getBoundingClientRect();
    const share = (4 + offset / (plot.dataset.right - plot.dataset.left) * 232) / 240;
    if (cursor.parentElement !== plot) plot.append(cursor);
    cursor.style.left = `${share * box.width}px`;
    readout.textContent = text;
    readout.hidden = false;
    const half = readout.offsetWidth / 2 + 4;
    const x = Math.min(Math.max(box.left + share * box.width, half), page.clientWidth - half);
    readout.style.left = `${x + scrollX}px`;
    readout.style.top = `${box.top + scrollY}px`;
  }

  function unshow() {
    shown = null;
    cursor.remove();
    readout.hidden = true;
  }

  const plotAt = (event) => event.target instanceof Element && event.target.closest(".plot");
  document.addEventListener("pointermove", (event) => {
    const plot = plotAt(event);
    if (!plot) { if (shown && document.activeElement !== shown.plot) unshow(); return; }
    const box = plot.querySelector("svg").getBoundingClientRect(), all = readings(plot);
    const at = ((event.clientX - box.left) / box.width * 240 - 4) / 232 * (plot.dataset.right - plot.dataset.left);
    show(plot, all.reduce((best, [offset], index) => (Math.abs(offset - at) < Math.abs(all[best][0] - at) ? index : best), 0));
  });
  document.addEventListener("focusin", (event) => { const plot = plotAt(event); if (plot) show(plot, readings(plot).length - 1); });
  document.addEventListener("focusout", (event) => { if (plotAt(event)) unshow(); });
  document.addEventListener("keydown", (event) => {
    const plot = plotAt(event);
    if (!plot || event.target !== plot) return;
    const end = readings(plot).length - 1, at = shown?.plot === plot ? shown.index : end;
    const to = { ArrowLeft: at - 1, ArrowDown: at - 1, ArrowRight: at + 1, ArrowUp: at + 1, PageUp: at + 10, PageDown: at - 10, Home: 0, End: end }[event.key];
    if (event.key === "Escape") unshow();
    if (to === undefined) return;
    event.preventDefault();
    show(plot, Math.min(Math.max(to, 0), end));
  });

  // --- commands: a question that names what it touches, then one request ------------------------------------------
  const ask = byId("ask"), form = byId("ask-form"), problem = byId("ask-problem");
  let command = null;
  const stored = (name) => { try { return sessionStorage.getItem(name) || ""; } catch { return ""; } };
  const memory = { token: stored("token"), by: stored("by") };

  function remember(name, value) {
    memory[name] = value;
    try { value ? sessionStorage.setItem(name, value) : sessionStorage.removeItem(name); } catch { /* memory does */ }
    byId("forget").hidden = !memory.token;
  }

  function complain(text) {
    problem.textContent = text;
    problem.hidden = !text;
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-ask]");
    if (!button) return;
    const place = button.closest("[data-asks], .banner");
    const question = place && place.querySelector(`template[data-ask="${button.dataset.ask}"]`);
    if (!question) return;
    command = { method: button.dataset.method, path: button.dataset.path };
    byId("ask-body").replaceChildren(question.content.cloneNode(true));
    byId("ask-go").textContent = button.textContent.replace("…", "");
    form.elements.by.value = memory.by;
    form.elements.token.value = memory.token;
    byId("ask-token-field").hidden = Boolean(memory.token);
    complain("");
    ask.showModal();
    // Not the browser's choice, the first field: that may be the box that skips the recovery.
    const typed = form.querySelectorAll("input:not([type=checkbox], [type=hidden]), textarea");
    ([...typed].find((field) => !field.value && field.required && field.offsetParent) ?? byId("ask-cancel")).focus();
  });

  byId("ask-cancel").addEventListener("click", () => ask.close());
  // The button that asked may be another element by now; one that is gone leaves the focus to the page.
  ask.addEventListener("close", () => { if (document.activeElement === document.body) byId("main").focus({ preventScroll: true }); });
  byId("forget").addEventListener("click", () => { remember("token", ""); byId("main").focus({ preventScroll: true }); });

  function body() {
    const sent = {};
    for (const field of form.elements) {
      const { name, type, value } = field;
      if (!name || name === "token") continue;
      if (name.startsWith("match.")) (sent.matchers ??= {})[name.slice(6)] = value;
      else if (name.startsWith("bool.")) sent[name.slice(5)] = value === "true";
      else if (type === "checkbox") { if (field.checked) sent[name] = true; }
      else if (value !== "") sent[name] = value;
    }
    return sent;
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const go = byId("ask-go"), token = form.elements.token.value.trim();
    go.disabled = true;
    complain("");
    try {
      const answer = await fetch(root + command.path, {
        method: command.method,
        headers: { "Content-Type": "application/json", Authorization: `Bearer ${token}` },
        body: JSON.stringify(body()),
        credentials: "omit",
      });
      const said = await answer.json();
      if (answer.status === 401) {
        remember("token", "");
        byId("ask-token-field").hidden = false;
        form.elements.token.focus();
      } else {
        remember("token", token);
        remember("by", form.elements.by.value);
      }
      if (answer.ok) {
        ask.close();
        toast(said.message);
        soon();
      } else {
        complain([said.error, said.hint].filter(Boolean).join(": "));
      }
    } catch {
      complain("The daemon did not answer. Look at the state before trying again.");
    } finally {
      go.disabled = false;
    }
  });

  let toasting = 0;
  function toast(text) {
    byId("toast").textContent = text;
    byId("toast").hidden = false;
    clearTimeout(toasting);
    toasting = setTimeout(() => { byId("toast").hidden = true; }, 6000);
  }

  // An address that names a part shows it, closed or not.
  function arrive() {
    const place = location.hash && byId(decodeURIComponent(location.hash.slice(1)));
    if (place instanceof HTMLDetailsElement) place.open = true;
    if (place) place.scrollIntoView();
  }

  byId("forget").hidden = !memory.token;
  addEventListener("hashchange", arrive);
  dressed();
  arrive();
  listen();
  live("live", byId("live-text").textContent);
  schedule(QUIET);
})();
