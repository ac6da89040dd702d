// Shows what ctserver pushes to this browser, also while no page of it is open, and opens the call on a click.
// What arrives was encrypted for this browser: {title, text, link, tag}. It fetches and keeps nothing.
"use strict";
self.addEventListener("install", () => self.skipWaiting());

self.addEventListener("push", (event) => {
  let told = {};
  try { told = event.data.json(); } catch { /* browsers insist that something is shown for every push */ }
  const options = {
    body: told.text || "",
    icon: "/static/push-icon.png",
    badge: "/static/push-badge.png",
    tag: told.tag || "ctserver", // "missed" takes the place of "ringing" of the same call
    renotify: true,
    data: { link: told.link || "/" },
  };
  event.waitUntil(self.registration.showNotification(told.title || "ctserver", options));
});

// Only a page of ours is opened, whatever the link says; one that shows the call already is brought to the front.
self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  const asked = new URL(event.notification.data?.link || "/", self.location.origin);
  const path = asked.pathname + asked.search;
  const show = async () => {
    const windows = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
    const open = windows.find((one) => new URL(one.url).pathname + new URL(one.url).search === path);
    return open ? open.focus() : self.clients.openWindow(path);
  };
  event.waitUntil(show());
});
