// Plays a call's recording: two voices drawn as one wave form, the caller above the line, the company below.
//
// The peaks URL answers {"seconds": 187.4, "caller": [0..255, ...], "company": [0..255, ...]}: loudness in equal steps over
// the whole recording, both lists of one length. Without peaks (or with an empty list) playing and seeking still work.
"use strict";
(() => {
  const box = document.getElementById("player");
  if (!box) return;
  const audio = box.querySelector("audio");
  const wave = box.querySelector(".wave");
  const canvas = box.querySelector("canvas");
  const hover = box.querySelector(".hover");
  const warning = box.querySelector(".flash");
  const rates = [1, 1.25, 1.5, 1.75, 2];
  const quiet = 1.2; // seconds of nobody speaking before it is skipped
  const button = (name) => box.querySelector(`[data-do="${name}"]`);
  let peaks = { caller: [], company: [] };
  let silences = [];
  let skipping = false;
  let pointed = null;

  const length = () => (Number.isFinite(audio.duration) && audio.duration) || Number(box.dataset.seconds) || 0;
  function clock(seconds) {
    const s = Math.max(0, Math.floor(seconds));
    const pair = (n) => String(n).padStart(2, "0");
    return s >= 3600 ? `${Math.floor(s / 3600)}:${pair(Math.floor(s / 60) % 60)}:${pair(s % 60)}` : `${Math.floor(s / 60)}:${pair(s % 60)}`;
  }

  // Where neither voice is heard: [from, to] in seconds. The floor is relative, as recordings differ in level.
  function findSilences() {
    const count = Math.max(peaks.caller.length, peaks.company.length);
    if (!count) return [];
    const loudest = Math.max(1, ...peaks.caller, ...peaks.company);
    const step = length() / count;
    const found = [];
    let from = null;
    for (let i = 0; i <= count; i += 1) {
      const still = i < count && Math.max(peaks.caller[i] || 0, peaks.company[i] || 0) < loudest * 0.06;
      if (still && from === null) from = i;
      if (!still && from !== null) {
        if ((i - from) * step >= quiet) found.push([from * step, i * step]);
        from = null;
      }
    }
    return found;
  }

  function draw() {
    const scale = window.devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = wave;
    if (!width) return;
    if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
    }
    const pen = canvas.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, height);
    const ink = (selector) => getComputedStyle(document.querySelector(selector)).color;
    const colours = { caller: ink(".voice.caller"), company: ink(".voice.company") };
    const total = length() || 1;
    const played = (audio.currentTime / total) * width;
    const middle = height / 2;
    const half = middle - 6;
    const bars = Math.floor(width / 3);
    if (skipping) {
      pen.fillStyle = getComputedStyle(wave).borderBottomColor;
      pen.globalAlpha = 0.6;
      for (const [from, to] of silences) pen.fillRect((from / total) * width, 0, ((to - from) / total) * width, height);
    }
    for (const voice of ["caller", "company"]) {
      const list = peaks[voice];
      const loudest = Math.max(1, ...list);
      pen.fillStyle = colours[voice];
      for (let bar = 0; bar < bars; bar += 1) {
        const first = Math.floor((bar / bars) * list.length);
        const last = Math.max(first + 1, Math.floor(((bar + 1) / bars) * list.length));
        let level = 0;
        for (let i = first; i < last && i < list.length; i += 1) level = Math.max(level, list[i]);
        const tall = Math.max(1, Math.sqrt(level / loudest) * half);
        pen.globalAlpha = muted[voice] ? 0.12 : bar * 3 < played ? 1 : 0.72;
        pen.fillRect(bar * 3, voice === "caller" ? middle - 1 - tall : middle + 1, 2, tall);
      }
    }
    pen.globalAlpha = 1;
    pen.fillStyle = getComputedStyle(wave).color;
    if (played > 0) pen.fillRect(Math.min(width - 1.5, played), 0, 1.5, height);
    if (pointed !== null) { pen.globalAlpha = 0.35; pen.fillRect(pointed, 0, 1, height); pen.globalAlpha = 1; }
  }

  function tell() {
    const now = audio.currentTime;
    box.querySelector("[data-now]").textContent = clock(now);
    wave.setAttribute("aria-valuenow", String(Math.round(now)));
    wave.setAttribute("aria-valuetext", `${clock(now)} ${box.dataset.of} ${clock(length())}`);
    draw();
  }
  function seek(seconds) {
    audio.currentTime = Math.min(Math.max(0, seconds), Math.max(0, length() - 0.05));
    tell();
  }
  function frame() {
    if (audio.paused) return;
    if (skipping) {
      const now = audio.currentTime;
      const still = silences.find(([from, to]) => now > from + 0.25 && now < to - 0.25);
      if (still) audio.currentTime = still[1] - 0.15;
    }
    tell();
    requestAnimationFrame(frame);
  }
  function speed(step, around) {
    const at = rates.indexOf(audio.playbackRate) + step;
    audio.playbackRate = around ? rates[at % rates.length] : rates[Math.min(Math.max(at, 0), rates.length - 1)];
    audio.defaultPlaybackRate = audio.playbackRate;
    box.querySelector("[data-rate]").textContent = `${audio.playbackRate}×`;
  }
  function moment() {
    const here = `${location.pathname}${location.search}#t=${Math.floor(audio.currentTime)}`;
    history.replaceState(null, "", here);
    const said = box.querySelector("[data-said]");
    const before = said.dataset.before || said.textContent;
    said.dataset.before = before;
    navigator.clipboard?.writeText(new URL(here, location.href).href).then(() => {
      said.textContent = box.dataset.copied;
      setTimeout(() => { said.textContent = before; }, 1800);
    }, () => { /* not allowed: the address bar has it */ });
  }
  function toMoment() {
    const found = /^#t=(\d+(?:\.\d+)?)$/.exec(location.hash);
    if (found) seek(Number(found[1]));
  }
  function fail() {
    warning.textContent = box.dataset.failed;
    warning.hidden = false;
    for (const one of box.querySelectorAll("button")) one.disabled = true;
  }

  // Muting one party takes the two channels apart; until then the browser plays them as they are.
  const gains = {};
  const muted = { caller: false, company: false };
  function mute(party) {
    muted[party] = !muted[party];
    const use = button(`mute-${party}`).querySelector("use");
    use.setAttribute("href", use.getAttribute("href").replace(/#.*/, muted[party] ? "#mute" : "#sound"));
    button(`mute-${party}`).setAttribute("aria-pressed", String(muted[party]));
    if (!gains.caller) {
      const sound = new AudioContext();
      const parts = sound.createChannelSplitter(2);
      const whole = sound.createChannelMerger(2);
      sound.createMediaElementSource(audio).connect(parts);
      ["caller", "company"].forEach((one, channel) => {
        gains[one] = sound.createGain();
        parts.connect(gains[one], channel).connect(whole, 0, channel);
      });
      whole.connect(sound.destination);
    }
    for (const one of ["caller", "company"]) gains[one].gain.value = muted[one] ? 0 : 1;
    draw();
  }

  const acts = {
    play: () => (audio.paused ? audio.play().catch((error) => { if (error.name !== "AbortError") fail(); }) : audio.pause()),
    back: () => seek(audio.currentTime - 5),
    forward: () => seek(audio.currentTime + 5),
    rate: () => speed(1, true),
    slower: () => speed(-1, false),
    faster: () => speed(1, false),
    skip: () => { skipping = !skipping; button("skip").setAttribute("aria-pressed", String(skipping)); draw(); },
    "mute-caller": () => mute("caller"),
    "mute-company": () => mute("company"),
    link: moment,
  };
  box.addEventListener("click", (event) => acts[event.target.closest("[data-do]")?.dataset.do]?.());
  box.addEventListener("ct:press", (event) => acts[event.detail]?.());

  const spot = (event) => {
    const { left, width } = wave.getBoundingClientRect();
    return Math.min(Math.max(0, event.clientX - left), width);
  };
  wave.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    wave.setPointerCapture(event.pointerId);
    seek((spot(event) / wave.clientWidth) * length());
  });
  wave.addEventListener("pointermove", (event) => {
    pointed = spot(event);
    hover.textContent = clock((pointed / wave.clientWidth) * length());
    hover.hidden = false;
    hover.style.left = `${Math.min(pointed + 6, wave.clientWidth - 48)}px`;
    if (wave.hasPointerCapture(event.pointerId)) seek((pointed / wave.clientWidth) * length()); else draw();
  });
  wave.addEventListener("pointerleave", () => { pointed = null; hover.hidden = true; draw(); });
  wave.addEventListener("keydown", (event) => {
    const to = { Home: 0, End: length(), PageUp: audio.currentTime - 30, PageDown: audio.currentTime + 30 }[event.key];
    if (to !== undefined) { event.preventDefault(); seek(to); }
  });

  for (const name of ["play", "pause", "ended"]) {
    audio.addEventListener(name, () => {
      box.classList.toggle("playing", !audio.paused);
      box.classList.add("started");
      const play = button("play");
      play.dataset.play ||= play.getAttribute("aria-label");
      const use = play.querySelector("use");
      use.setAttribute("href", use.getAttribute("href").replace(/#.*/, audio.paused ? "#play" : "#pause"));
      play.setAttribute("aria-label", audio.paused ? play.dataset.play : play.dataset.pause);
      if (!audio.paused) requestAnimationFrame(frame);
    });
  }
  audio.addEventListener("error", fail);
  audio.addEventListener("timeupdate", tell);
  audio.addEventListener("loadedmetadata", () => { silences = findSilences(); toMoment(); tell(); });
  addEventListener("hashchange", toMoment);
  document.addEventListener("ct:theme", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  new ResizeObserver(draw).observe(wave);

  audio.controls = false;
  wave.hidden = false;
  box.querySelector(".controls").hidden = false;
  if (audio.readyState) toMoment();
  if (audio.error) fail();
  tell();
  fetch(box.dataset.peaks).then((answer) => (answer.ok ? answer.json() : Promise.reject(answer.status))).then((got) => {
    peaks = { caller: got.caller || [], company: got.company || [] };
    silences = findSilences();
    draw();
  }).catch(() => { /* no picture; the sound is what matters */ });
})();
