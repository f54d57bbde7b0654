// Live updates and commands. The page is whole without this file; it builds no HTML from strings.
"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  document.documentElement.classList.add("js");

  // --- live updates: events only say that something changed; the server renders -----------------------------------
  const QUIET = 15000; // refresh at least this often while the page is looked at
  const LEAST = 1000; // and at most this often
  let timer = 0, due = 0, last = 0, running = false, again = false;

  function live(state, text) {
    if (state === "lost" && byId("live").dataset.state !== "lost") byId("announce").textContent = "Connection lost";
    byId("live").dataset.state = state;
    document.documentElement.classList.toggle("lost", state === "lost");
    byId("live-text").textContent = text;
  }

  async function refresh() {
    if (running) { again = true; return; }
    running = true;
    clearTimeout(timer);
    try {
      const answer = await fetch("fragment", { cache: "no-store", signal: AbortSignal.timeout(10000) });
      if (!answer.ok) throw new Error(String(answer.status));
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("fragment");
      if (!fresh) throw new Error("no fragment");
      const before = byId("fragment").dataset.title;
      merge(byId("fragment"), document.adoptNode(fresh));
      const now = byId("fragment").dataset;
      document.title = `${now.title} – tripswitch`;
      if (now.title !== before) byId("announce").textContent = now.title;
      live("live", `Live, as of ${now.at}`);
    } catch {
      live("lost", `Connection lost, showing ${byId("fragment").dataset.at}`);
    } finally {
      running = false;
      last = performance.now();
      due = 0;
      schedule(again ? LEAST : QUIET);
      again = false;
    }
  }

  function schedule(wait) {
    const at = performance.now() + wait;
    if (due && due <= at) return;
    clearTimeout(timer);
    due = at;
    timer = setTimeout(() => (document.hidden ? (due = 0, schedule(QUIET)) : refresh()), wait);
  }

  const soon = () => (running ? (again = true) : schedule(Math.max(0, last + LEAST - performance.now())));

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
    const kept = old.nodeName === "DETAILS" ? "open" : "";
    for (const { name } of [...old.attributes]) if (name !== kept && !fresh.hasAttribute(name)) old.removeAttribute(name);
    for (const { name, value } of fresh.attributes) {
      if (name !== kept && old.getAttribute(name) !== value) old.setAttribute(name, value);
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

  const source = new EventSource("api/v1/events");
  source.onopen = soon;
  source.onmessage = soon;
  source.addEventListener("resync", soon);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) soon(); });
  live("live", byId("live-text").textContent);
  schedule(QUIET);

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
  byId("forget").addEventListener("click", () => { remember("token", ""); byId("forget").blur(); });

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
      const answer = await fetch(command.path, {
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

  byId("forget").hidden = !memory.token;
})();
