// The switch "Notify me in this browser" on the page Account. The browser is asked on a click only; what it may be notified
// of is decided by the server.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const box = document.getElementById("push");
  if (!box) return;
  const { key, csrf } = box.dataset;
  const known = box.dataset.known.split(" ");

  // One of: insecure, unsupported, blocked, on, off, busy; `failed` goes with off.
  function show(state, words = "") {
    box.dataset.state = state;
    for (const part of box.querySelectorAll("[data-when]")) part.hidden = !part.dataset.when.split(" ").includes(state);
    const failed = box.querySelector("[data-failed]");
    failed.hidden = !words;
    failed.querySelector("span").textContent = words;
  }
  function bytes(text) {
    const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    return Uint8Array.from(plain, (letter) => letter.charCodeAt(0));
  }
  async function idOf(endpoint) {
    const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(endpoint));
    return Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, "0")).join("").slice(0, 32);
  }
  async function subscription() {
    const worker = await navigator.serviceWorker.getRegistration("/");
    return worker ? worker.pushManager.getSubscription() : null;
  }
  async function look() {
    if (!window.isSecureContext) return show("insecure");
    if (!("serviceWorker" in navigator && "PushManager" in window && "Notification" in window)) return show("unsupported");
    if (Notification.permission === "denied") return show("blocked");
    const found = await subscription();
    return show(found && known.includes(await idOf(found.endpoint)) ? "on" : "off");
  }
  async function post(path, body, type) {
    const answer = await fetch(path, { method: "POST", body, headers: { "X-Csrf": csrf, ...type } });
    if (!answer.ok) throw new Error(box.dataset.refused);
  }
  async function on() {
    if ((await Notification.requestPermission()) !== "granted") return look();
    show("busy");
    const worker = await navigator.serviceWorker.register("/push-worker.js", { scope: "/" });
    await navigator.serviceWorker.ready;
    await (await worker.pushManager.getSubscription())?.unsubscribe(); // it may be for an earlier key of the server
    const made = await worker.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: bytes(key) });
    await post("/account/push", JSON.stringify(made), { "Content-Type": "application/json" });
    return location.assign("/account?done=push-on");
  }
  async function off() {
    show("busy");
    const found = await subscription();
    if (found) {
      const id = await idOf(found.endpoint);
      await found.unsubscribe();
      await post("/account/push/off", new URLSearchParams({ id }));
    }
    return location.assign("/account?done=push-off");
  }
  box.addEventListener("click", (event) => {
    const act = { on, off }[event.target.closest("[data-do]")?.dataset.do];
    if (act) act().catch((error) => show("off", error.message));
  });
  look().catch((error) => show("off", error.message));
});
