// The dashboard's own behaviour: theme, keys, whole rows that open, and live tables that change without jumping.
// Everything works without it except playing and live. Loaded in the head so that the theme is set before paint.
"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js"); // what only a script can open may be closed
  const themes = ["auto", "light", "dark"];
  const all = (selector, from = document) => Array.from(from.querySelectorAll(selector));

  // Theme. Kept in this browser only; private windows may refuse, then it lasts for the page.
  let theme = "auto";
  try { theme = localStorage.getItem("ct-theme") || "auto"; } catch { /* storage is off */ }
  function paint() {
    if (!themes.includes(theme)) theme = "auto";
    root.dataset.theme = theme;
    for (const button of all("[data-theme-switch]")) {
      const said = button.dataset[theme];
      button.title = said;
      button.setAttribute("aria-label", said);
      const use = button.querySelector("use");
      use.setAttribute("href", use.getAttribute("href").replace(/#.*/, `#${theme}`));
      button.querySelector(".label").textContent = said;
    }
    document.dispatchEvent(new Event("ct:theme"));
  }
  paint();
  function nextTheme() {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    try { localStorage.setItem("ct-theme", theme); } catch { /* storage is off */ }
    paint();
  }

  // Live: the answer is compared with the page node by node, and only what differs is touched, so that focus,
  // hover and selection stay. `grow` never drops rows: older ones were asked for and are not in the answer.
  function same(a, b) {
    return a.nodeType === b.nodeType && a.nodeName === b.nodeName && (a.id || "") === (b.id || "");
  }
  function update(old, fresh) {
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
      return;
    }
    if (old.isEqualNode(fresh)) return;
    for (const { name } of Array.from(old.attributes)) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
    for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    children(old, fresh);
  }
  function children(old, fresh) {
    const byId = new Map(Array.from(old.children).filter((c) => c.id).map((c) => [c.id, c]));
    let at = old.firstChild;
    for (const node of Array.from(fresh.childNodes)) {
      const known = node.id && byId.get(node.id);
      if (known) {
        if (known !== at) old.insertBefore(known, at); else at = at.nextSibling;
        update(known, node);
      } else if (at && !node.id && same(at, node)) {
        const here = at;
        at = at.nextSibling;
        update(here, node);
      } else {
        old.insertBefore(node, at);
      }
    }
    while (at) { const gone = at; at = at.nextSibling; gone.remove(); }
  }
  function grow(body, fresh) {
    const rows = all("tr[id]", fresh);
    if (rows.some((row) => row.matches(".call"))) for (const blank of all(".empty", body)) blank.remove();
    else if (body.querySelector(".call")) return;
    let before = body.firstElementChild;
    for (const row of rows) {
      const known = body.querySelector("#" + CSS.escape(row.id));
      if (known) { update(known, row); before = known.nextElementSibling; continue; }
      row.classList.add("fresh");
      body.insertBefore(row, before);
      setTimeout(() => row.classList.remove("fresh"), 2500);
    }
  }
  document.addEventListener("DOMContentLoaded", () => {
    if (window.htmx) {
      htmx.defineExtension("calm", {
        isInlineSwap: (style) => style === "calm",
        handleSwap(style, target, fragment) {
          if (style !== "calm") return false;
          if (target.dataset.live === "grow") grow(target, fragment);
          else if (fragment.firstElementChild) children(target, fragment);
          else location.reload();
          return [];
        },
      });
    }
    for (const hidden of all("[data-theme-switch], [data-keys]")) hidden.hidden = false;
    paint();
  });
  const live = (event) => event.detail.elt.hasAttribute && event.detail.elt.hasAttribute("data-live");
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (live(event) && document.hidden) event.preventDefault();
  });
  document.addEventListener("htmx:configRequest", (event) => {
    const sent = event.detail.parameters; // an address without empty filters reads better
    if (event.detail.verb === "get") for (const name of Object.keys(sent)) if (sent[name] === "") delete sent[name];
  });
  // A search that was typed has been answered; leaving its field asks for the same again, and would take away the row that is
  // just being clicked. Who presses Enter wants it anew.
  document.addEventListener("htmx:beforeRequest", (event) => {
    const { elt, pathInfo, requestConfig } = event.detail;
    if (!elt.matches("form.filters") || requestConfig.triggeringEvent?.type === "submit") return;
    const asked = new URL(pathInfo.finalRequestPath, location.href);
    if (asked.href === location.href.replace(/#.*/, "")) event.preventDefault();
  });
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr } = event.detail;
    if (xhr.status === 401 || new URL(xhr.responseURL || location.href).pathname === "/login") {
      event.detail.shouldSwap = false;
      location.reload();
    }
  });
  function offline(is) {
    const note = document.getElementById("offline");
    if (!note || note.hidden !== is) return;
    if (is) note.querySelector("time").textContent = new Date().toLocaleTimeString(root.lang);
    note.hidden = !is;
  }
  document.addEventListener("ct:offline", (event) => offline(event.detail));
  document.addEventListener("ct:calm", (event) => children(event.target, event.detail));
  // What a person did and the server did not: it is told, and the page stays as it is, with all that was typed.
  function failed(why) {
    for (const note of all("#failed [data-why]")) note.hidden = note.dataset.why !== why;
    document.getElementById("failed").hidden = !why;
  }
  const unheard = (event) => (live(event) ? offline(true) : failed("away"));
  document.addEventListener("htmx:sendError", unheard);
  document.addEventListener("htmx:timeout", unheard);
  document.addEventListener("htmx:afterOnLoad", (event) => {
    const { status } = event.detail.xhr;
    if (live(event)) offline(status >= 500);
    else failed(status === 403 ? "old" : status >= 400 ? "error" : "");
  });

  // The second click of a double one would hit what stands there by then: the next caller's button.
  document.addEventListener("click", (event) => {
    if (event.detail > 1 && event.target.closest("form button:not([type=button])")) event.preventDefault();
  });
  // On a slow line one asks again by impatience: what was sent is on its way.
  const SENT_MS = 5000;
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.method !== "post") return;
    if (Date.now() - Number(form.dataset.sent || 0) < SENT_MS) event.preventDefault();
    else form.dataset.sent = Date.now();
  });
  addEventListener("pageshow", () => all("form[data-sent]").forEach((form) => form.removeAttribute("data-sent")));

  // A list that is worked through by keyboard: when its row has gone, the next one's button has the focus.
  let place = null;
  document.addEventListener("htmx:beforeSwap", ({ target }) => {
    const button = document.activeElement;
    const row = target.contains(button) ? button.closest("tbody tr") : null;
    place = row && { body: target.id, row: row.rowIndex, said: button.textContent };
  });
  document.addEventListener("htmx:afterSettle", ({ target }) => {
    if (place?.body !== target.id || document.activeElement !== document.body) return;
    const rows = all("tbody tr", target);
    const row = rows[Math.min(place.row, rows.length) - 1];
    (all("button", row || target).find((one) => one.textContent === place.said) || row?.querySelector("a.open"))?.focus();
    place = null;
  });

  // The whole row opens; links, buttons and marked text keep their own meaning.
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-theme-switch]")) nextTheme();
    const fold = event.target.closest("[data-fold]");
    if (fold) fold.setAttribute("aria-expanded", String(fold.getAttribute("aria-expanded") !== "true"));
    if (event.target.closest("[data-keys]")) document.getElementById("keys").showModal();
    if (event.target.matches("dialog")) event.target.close();
    const row = event.target.closest("tr[data-href]");
    if (!row || event.target.closest("a, button, input, form") || String(getSelection())) return;
    if (event.metaKey || event.ctrlKey) window.open(row.dataset.href, "_blank", "noopener");
    else location.href = row.dataset.href;
  });

  function walk(step) {
    const link = document.querySelector(step > 0 ? 'a[rel="next"]' : 'a[rel="prev"]');
    if (link) { link.click(); return; }
    const links = all("tr.call a.open");
    const now = links.indexOf(document.activeElement);
    const to = links[now < 0 ? (step > 0 ? 0 : -1) : now + step];
    if (to) { to.focus({ preventScroll: true }); to.closest("tr").scrollIntoView({ block: "nearest" }); }
  }
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.metaKey || event.ctrlKey)) event.target.closest("#marks form")?.requestSubmit();
    if (event.defaultPrevented || event.metaKey || event.ctrlKey || event.altKey) return;
    const typing = event.target.closest("input:not([type=radio]), select, textarea");
    if (event.key === "Escape" && typing) typing.blur();
    if (typing || document.querySelector("dialog[open]")) return;
    const player = document.getElementById("player");
    const press = (what) => player && player.dispatchEvent(new CustomEvent("ct:press", { detail: what }));
    const keys = {
      j: () => walk(1),
      k: () => walk(-1),
      u: () => document.querySelector("a.up")?.click(),
      "?": () => document.getElementById("keys")?.showModal(),
      "/": () => { const q = document.getElementById("q"); if (q) { q.focus(); q.select(); } else location.href = "/calls#q"; },
    };
    if (player) {
      Object.assign(keys, {
        ArrowLeft: () => press("back"), ArrowRight: () => press("forward"), s: () => press("skip"),
        "<": () => press("slower"), ">": () => press("faster"),
      });
      if (!event.target.closest("a, button, summary")) keys[" "] = () => press("play");
    }
    for (const [key, name] of [["t", "tag"], ["n", "note"]]) {
      const field = document.querySelector(`#marks [name="${name}"]`);
      if (field) keys[key] = () => field.focus();
    }
    const category = document.querySelector(`[data-category="${CSS.escape(event.key)}"]`);
    if (category) keys[event.key] = () => category.click();
    const act = keys[event.key];
    if (act) { event.preventDefault(); act(); }
  });
  // On a phone a row of tabs or a table is wider than the window: the tab that is open shall be seen, and the edge that hides
  // more fades (app.css: data-more).
  const WIDE = ".tabs, .by, .segments, .scroll, .many";
  function fade(row) {
    const rest = row.scrollWidth - row.clientWidth - row.scrollLeft;
    const more = [row.scrollLeft > 1 && "left", rest > 1 && "right"].filter(Boolean).join(" ");
    if (more) row.dataset.more = more; else delete row.dataset.more;
  }
  const fadeAll = () => all(WIDE).forEach(fade);
  function showTab() {
    for (const now of all(":is(.tabs, .by, .segments) > [aria-current]")) {
      const row = now.parentElement;
      row.scrollLeft += now.getBoundingClientRect().left - row.getBoundingClientRect().left - row.clientWidth / 3;
    }
    fadeAll();
  }
  document.addEventListener("DOMContentLoaded", showTab);
  document.addEventListener("htmx:afterSettle", showTab);
  document.addEventListener("scroll", (event) => { if (event.target.matches?.(WIDE)) fade(event.target); }, { capture: true, passive: true });
  document.addEventListener("toggle", fadeAll, true);
  addEventListener("resize", fadeAll);
  document.addEventListener("DOMContentLoaded", () => {
    if (location.hash === "#q") document.getElementById("q")?.focus();
  });

  // The check of a site's script: its page is opened with ?ct-test, and the script there tells this window what it found.
  const waiting = new Map();
  const told = (site, text) => { document.querySelector(`[data-checked="${site}"]`).textContent = text; };
  document.addEventListener("click", (event) => {
    const link = event.target.closest && event.target.closest("[data-check]");
    if (!link) return;
    const { check, page, silent } = link.dataset;
    told(check, "…");
    clearTimeout((waiting.get(check) || {}).timer);
    waiting.set(check, { link, origin: new URL(page).origin, timer: setTimeout(() => told(check, silent), 10000) });
  });
  window.addEventListener("message", (event) => {
    const asked = waiting.get(event.data && event.data.ct);
    if (!asked || event.origin !== asked.origin) return;
    clearTimeout(asked.timer);
    const { found, none } = asked.link.dataset;
    const shown = Object.values(event.data.n || {}).map(String).join(", ");
    told(event.data.ct, event.data.f ? `${found} ${Number(event.data.f)}. ${shown}` : none);
  });
})();
