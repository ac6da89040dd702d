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

  const faint = (ink) => `color-mix(in srgb, ${ink} 45%, transparent)`;

  // What is drawn: `of` is the place of the series that it shows. What is not whole is a series of its own, which the legend hides.
  function lines({ labels, data, parts }) {
    const few = labels.length < 40;
    return data.flatMap((values, of) => {
      const [ink, dash] = [colour(LINES[of][0]), LINES[of][1]];
      const points = { show: few, size: 5, fill: ink };
      const whole = values.map((value, i) => (i in parts ? null : value));
      const part = values.map((value, i) => ([i - 1, i, i + 1].some((place) => place in parts) ? value : null));
      const fill = of === 0 ? `color-mix(in srgb, ${colour("--accent")} 8%, transparent)` : undefined;
      const found = [{ of, colour: ink, values: whole, options: { stroke: ink, dash: dash || undefined, width: 2, points, fill } }];
      if (Object.keys(parts).length) {
        const own = { stroke: faint(ink), size: 5, show: few, fill: faint(ink), filter: () => Object.keys(parts).map(Number) };
        found.push({ of, colour: ink, values: part, options: { class: "u-part", stroke: faint(ink), dash: [2, 4], width: 2, points: own } });
      }
      return found;
    });
  }

  // One upon the other: the whole height is drawn first, what stands below over it.
  function bars({ labels, data, parts }) {
    const heights = labels.map((_, i) => data.reduce((sum, values) => sum + (values[i] ?? 0), 0));
    const inks = ["--s5", "--sx"].map(colour); // not those of calls and target calls
    const paths = uPlot.paths.bars({ size: [0.7, 48] });
    const bar = (of, values, ink, options) => ({ of, colour: inks[of], values, options: { paths, stroke: ink, fill: ink, width: 0, points: { show: false }, ...options } });
    return [[1, heights], [0, data[0]]].flatMap(([of, values]) => {
      const pick = (wanted) => values.map((value, i) => ((i in parts) === wanted ? value : null));
      return [bar(of, pick(false), inks[of]), bar(of, pick(true), `color-mix(in srgb, ${inks[of]} 45%, ${colour("--surface")})`, { class: "u-part" })];
    });
  }

  // An axis that ends above the data: from zero in at most four even steps.
  const STEPS = [1, 2, 5].flatMap((digit) => [0, 1, 2, 3, 4, 5, 6, 7].map((zeros) => digit * 10 ** zeros)).sort((a, b) => a - b);
  function axisOf(series) {
    const most = Math.max(1, ...series.flatMap(({ values }) => values.map((value) => value ?? 0)));
    const step = STEPS.find((each) => most <= 4 * each) || most;
    return Array.from({ length: Math.ceil(most / step) + 1 }, (_, i) => i * step);
  }

  function draw() {
    const box = document.getElementById("plot");
    if (!box || !window.uPlot) return;
    if (drawn) drawn.destroy();
    const asked = JSON.parse(box.dataset.plot);
    const { labels, when, stacked, parts } = asked;
    const padded = stacked || labels.length < 2;
    const soft = colour("--soft");
    const line = colour("--line");
    const axis = { stroke: soft, font: "12px sans-serif", grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
    const drawnSeries = (stacked ? bars : lines)(asked);
    const steps = axisOf(drawnSeries);
    const said = (i, at) => (asked.data[i][at] == null ? "–" : asked.data[i][at].toLocaleString(document.documentElement.lang));
    const half = padded ? 0 : Math.ceil(3.5 * labels.at(-1).length); // of the last label, which is centred under the plot's edge
    drawn = new uPlot({
      padding: [null, Math.max(16, half), null, null],
      width: box.clientWidth,
      height: box.closest(".beside") && innerWidth >= 1100 ? 320 : 190,
      legend: { live: true, markers: { width: 0, fill: (_plot, i) => drawnSeries[Math.max(0, i - 1)].colour } },
      cursor: { y: false, drag: { x: false, y: false }, points: { show: !stacked } },
      scales: {
        x: { time: false, range: padded ? () => [-0.5, Math.max(0.5, labels.length - 0.5)] : undefined },
        y: { range: () => [0, steps.at(-1) * 1.02] },
      },
      axes: [
        { ...axis, grid: { show: false }, values: (_plot, at) => at.map((i) => (Number.isInteger(i) ? labels[i] ?? "" : "")), space: 90 },
        { ...axis, size: 48, splits: () => steps },
      ],
      series: [
        { label: when, value: (_plot, i) => (i == null ? "" : labels[i] + (parts[i] ? ` (${parts[i]})` : "")) },
        ...drawnSeries.map(({ of, options }) => ({ label: asked.series[of], value: (plot) => (plot.cursor.idx == null ? "–" : said(of, plot.cursor.idx)), ...options })),
      ],
    }, [labels.map((_, i) => i), ...drawnSeries.map((each) => each.values)], box);
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
