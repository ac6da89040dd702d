// The plot of a report: uPlot with the page's colours, an axis that starts at zero, and the same as a PNG file.
"use strict";
(() => {
  const LINES = [["--accent", null], ["--company", null], ["--faint", [4, 4]]];
  let drawn = null;

  const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  // Tokens may be light-dark() pairs, which a canvas does not understand: an element is asked what it shows.
  function colour(name) {
    const probe = document.createElement("i");
    probe.style.color = `var(${name})`;
    document.body.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found || token(name);
  }

  function draw() {
    const box = document.getElementById("plot");
    if (!box || !window.uPlot) return;
    if (drawn) drawn.destroy();
    const { labels, series, data, when } = JSON.parse(box.dataset.plot);
    const soft = colour("--soft");
    const line = colour("--line");
    const axis = { stroke: soft, font: "12px sans-serif", grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
    const few = labels.length < 40;
    drawn = new uPlot({
      width: box.clientWidth,
      height: 190,
      legend: { live: true, markers: { width: 0, fill: (_plot, i) => colour(LINES[Math.max(0, i - 1)][0]) } },
      cursor: { y: false, drag: { x: false, y: false } },
      scales: { x: { time: false }, y: { range: (_plot, _low, high) => [0, Math.max(1, high * 1.05)] } },
      axes: [
        { ...axis, grid: { show: false }, values: (_plot, at) => at.map((i) => (Number.isInteger(i) ? labels[i] ?? "" : "")), space: 90 },
        { ...axis, size: 48, space: 24, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000] },
      ],
      series: [
        { label: when, value: (_plot, i) => (i == null ? "" : labels[i]) },
        ...series.map((label, i) => ({
          label, stroke: colour(LINES[i][0]), dash: LINES[i][1] || undefined, width: 2,
          points: { show: few, size: 5, fill: colour(LINES[i][0]) },
          fill: i === 0 ? `color-mix(in srgb, ${colour("--accent")} 8%, transparent)` : undefined,
          value: (_plot, value) => (value == null ? "–" : value.toLocaleString(document.documentElement.lang)),
        })),
      ],
    }, [labels.map((_, i) => i), ...data], box);
    for (const button of document.querySelectorAll("[data-png]")) button.hidden = false;
  }

  // The canvas on the page's own background, so that the file can be read wherever it is pasted.
  function save() {
    const { name } = JSON.parse(document.getElementById("plot").dataset.plot);
    const from = drawn.ctx.canvas;
    const to = Object.assign(document.createElement("canvas"), { width: from.width, height: from.height });
    const pen = to.getContext("2d");
    pen.fillStyle = colour("--surface");
    pen.fillRect(0, 0, to.width, to.height);
    pen.drawImage(from, 0, 0);
    to.toBlob((blob) => {
      const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: `report-${name}.png` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    }, "image/png");
  }

  let waiting = 0;
  const soon = () => { clearTimeout(waiting); waiting = setTimeout(draw, 120); };
  document.addEventListener("DOMContentLoaded", draw);
  document.addEventListener("htmx:afterSettle", draw);
  document.addEventListener("ct:theme", soon);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", soon);
  addEventListener("resize", soon);
  document.addEventListener("click", (event) => { if (event.target.closest("[data-png]") && drawn) save(); });
})();
