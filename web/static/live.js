// Keeps an open page true: one stream of server-sent events for the dot in the navigation, the toast of a ringing call,
// and the live page. A hidden page needs no stream (browsers allow few per host); it gets a new one when it is shown.
"use strict";
(() => {
  const page = document.querySelector("[data-events]")?.dataset.events || "";
  const toasts = document.getElementById("toasts");
  const told = new Set();
  let stream = null;
  let again = 0;
  let ahead = 0; // the server's clock against ours, ms

  function clock(seconds) {
    const s = Math.max(0, Math.floor(seconds));
    const pair = (n) => String(n).padStart(2, "0");
    return s >= 3600 ? `${Math.floor(s / 3600)}:${pair(Math.floor(s / 60) % 60)}:${pair(s % 60)}` : `${Math.floor(s / 60)}:${pair(s % 60)}`;
  }
  function tick() {
    for (const time of document.querySelectorAll("[data-since]")) {
      time.textContent = clock((Date.now() + ahead - Number(time.dataset.since)) / 1000);
    }
  }
  setInterval(tick, 1000);

  function dot(name, text, tone) {
    for (const link of document.querySelectorAll(`[data-page="${name}"]`)) {
      link.classList.toggle("dotted", Boolean(text));
      link.dataset.tone = tone;
      const said = link.querySelector(".said");
      if (said) said.textContent = text;
    }
  }
  function toast(call) {
    if (told.has(call.id) || !toasts) return;
    told.add(call.id);
    if (page === "live" || location.pathname === `/calls/${call.id}`) return;
    const note = toasts.querySelector("template").content.firstElementChild.cloneNode(true);
    note.dataset.call = call.id;
    note.querySelector("a").href = `/calls/${call.id}`;
    note.querySelector("b").textContent = call.who;
    note.querySelector(".what").textContent = call.what;
    note.querySelector("button").addEventListener("click", () => note.remove());
    toasts.append(note);
  }
  function settle(ringing) {
    for (const note of toasts?.querySelectorAll("[data-call]") || []) {
      if (!ringing.some((call) => call.id === note.dataset.call)) note.remove();
    }
    ringing.forEach(toast);
  }
  function heard(event) {
    const now = JSON.parse(event.data);
    ahead = now.now - Date.now();
    const { dataset } = document.body;
    dot("live", now.ringing.length ? dataset.ringing : now.talking ? dataset.talking : "", now.ringing.length ? "ringing" : "talking");
    dot("missed", now.missed ? String(now.missed) : "", "missed");
    settle(now.ringing);
    const body = document.getElementById("live");
    if (now.html && body) {
      const made = document.createElement("div");
      made.innerHTML = now.html;
      body.dispatchEvent(new CustomEvent("ct:calm", { detail: made, bubbles: true }));
      tick();
    }
    offline(false);
  }
  const offline = (is) => document.dispatchEvent(new CustomEvent("ct:offline", { detail: is }));

  function open() {
    clearTimeout(again);
    if (stream || document.hidden) return;
    stream = new EventSource(`/events${page ? `?page=${page}` : ""}`);
    stream.addEventListener("now", heard);
    stream.addEventListener("error", () => {
      if (page) again = setTimeout(() => offline(true), 4000); // its end after some minutes is no trouble
      if (stream.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
      close();
      again = setTimeout(open, 3000);
      if (page) offline(true);
    });
    stream.addEventListener("open", () => clearTimeout(again));
  }
  function close() {
    stream?.close();
    stream = null;
  }
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("pagehide", close);
  addEventListener("pageshow", open);
  document.addEventListener("DOMContentLoaded", open);
})();
