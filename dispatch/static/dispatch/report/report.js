// The charts of the shift report. The tables beside them have the same numbers; without this script they are the report.

import uPlot from "../../node_modules/uplot/dist/uPlot.esm.js";

/**
 * @typedef {{at: number, states: number[], assign: (number | null)[], deliver: (number | null)[]}} Bin
 * @typedef {{bin: "hour" | "day", zone: string, states: [string, string][], bins: Bin[]}} Report
 */

const HEIGHT = 270;
const source = document.getElementById("report-charts");
/** @type {Report} */
const report = JSON.parse(source?.textContent ?? "{}");
const SECONDS = { hour: 3600, day: 86400 };
/** @type {uPlot[]} */
let drawn = [];

/** @param {string} name a CSS variable */
const colour = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();

/** @param {number | null | undefined} seconds */
const spanOf = (seconds) => {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
};

/** Steps that read well as seconds, minutes, hours. */
const SPANS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400];

/** @param {number} at seconds since 1970 */
const title = (at) =>
  new Intl.DateTimeFormat("en-GB", {
    timeZone: report.zone,
    weekday: "short",
    day: "numeric",
    month: "short",
    ...(report.bin === "hour" ? { hour: "2-digit", minute: "2-digit" } : {}),
  }).format(at * 1000);

/** What all charts share. @param {number} width @returns {Partial<uPlot.Options>} */
const common = (width) => ({
  width,
  height: HEIGHT,
  tzDate: (at) => uPlot.tzDate(new Date(at * 1000), report.zone),
  cursor: { drag: { x: false, y: false }, points: { show: false } },
  legend: { live: true },
});

/** @returns {uPlot.Axis} */
const axis = () => ({
  stroke: colour("--body-quiet-color"),
  grid: { stroke: colour("--hairline-color"), width: 1 },
  ticks: { stroke: colour("--hairline-color"), width: 1 },
  font: "12px system-ui, sans-serif",
});

/** @returns {uPlot.Axis} */
const timeAxis = () => ({
  ...axis(),
  space: 60,
  values:
    report.bin === "hour"
      ? [
          [3600, "{HH}:{mm}", "\n{D} {MMM}", null, "\n{D} {MMM}", null, null, null, 1],
          [86400, "{D} {MMM}", null, null, null, null, null, null, 1],
        ]
      : [[86400, "{D} {MMM}", null, null, null, null, null, null, 1]],
});

/** Bars, one state on top of the other. @param {HTMLElement} place */
function stackedBars(place) {
  const at = report.bins.map((bin) => bin.at);
  // Each series is drawn from the ground up to the sum so far, the tallest first.
  const sums = report.bins.map((bin) => {
    let sum = 0;
    return bin.states.map((count) => {
      sum += count;
      return sum;
    });
  });
  const wide = SECONDS[report.bin];
  const size = [0.8, 60];
  const bars = uPlot.paths.bars?.({ size: /** @type {[number, number]} */ (size), align: 1 });
  const order = report.states.map((_, index) => index).reverse();
  const chart = new uPlot(
    /** @type {uPlot.Options} */ ({
      ...common(place.clientWidth),
      scales: {
        x: { range: () => [at[0] ?? 0, (at.at(-1) ?? 0) + wide] },
        y: { range: (_u, _min, max) => [0, Math.max(1, (max ?? 1) * 1.05)] },
      },
      series: [
        { label: report.bin === "hour" ? "Hour" : "Day", value: (_, value) => (value ? title(value) : "–") },
        ...order.map((state) => ({
          label: report.states[state]?.[1] ?? "",
          fill: colour(`--state-${report.states[state]?.[0]}`),
          stroke: colour(`--state-${report.states[state]?.[0]}`),
          width: 0,
          paths: bars,
          points: { show: false },
          value: (
            /** @type {uPlot} */ _u,
            /** @type {number} */ _v,
            /** @type {number} */ _s,
            /** @type {number | null} */ index,
          ) => (index === null ? "–" : String(report.bins[index]?.states[state] ?? "–")),
        })),
      ],
      axes: [
        timeAxis(),
        { ...axis(), size: 64, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 50000] },
      ],
    }),
    [at, ...order.map((state) => sums.map((row) => row[state] ?? 0))],
    place,
  );
  drawn.push(chart);
}

/** Two lines: half of the orders, nine of ten. @param {HTMLElement} place @param {"assign" | "deliver"} which */
function lines(place, which) {
  const at = report.bins.map((bin) => bin.at);
  /** @param {string} label @param {string} stroke @returns {uPlot.Series} */
  const line = (label, stroke) => ({
    label,
    stroke,
    width: 2,
    points: { show: true, size: 5, fill: stroke },
    value: (_, value) => spanOf(value),
  });
  const chart = new uPlot(
    /** @type {uPlot.Options} */ ({
      ...common(place.clientWidth),
      scales: { y: { range: (_u, _min, max) => [0, Math.max(1, (max ?? 1) * 1.1)] } },
      series: [
        { label: report.bin === "hour" ? "Hour" : "Day", value: (_, value) => (value ? title(value) : "–") },
        line("Half of the orders (p50)", colour("--line-p50")),
        line("Nine of ten (p90)", colour("--line-p90")),
      ],
      axes: [timeAxis(), { ...axis(), size: 64, incrs: SPANS, values: (_, values) => values.map(spanOf) }],
    }),
    [at, report.bins.map((bin) => bin[which][0] ?? null), report.bins.map((bin) => bin[which][1] ?? null)],
    place,
  );
  drawn.push(chart);
}

function draw() {
  for (const chart of drawn) chart.destroy();
  drawn = [];
  for (const [id, how] of /** @type {[string, (place: HTMLElement) => void][]} */ ([
    ["chart-states", stackedBars],
    ["chart-assign", (place) => lines(place, "assign")],
    ["chart-deliver", (place) => lines(place, "deliver")],
  ])) {
    const place = document.getElementById(id);
    if (!place) continue;
    how(place);
    const canvas = place.querySelector("canvas");
    canvas?.setAttribute("role", "img");
    canvas?.setAttribute("aria-label", place.dataset.label ?? "");
  }
}

/** A link to the same times in the zone of this computer, if that is another one. */
function offerOwnZone() {
  const link = document.getElementById("own-zone");
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const chosen = new URLSearchParams(location.search);
  if (!(link instanceof HTMLAnchorElement) || !own || own === report.zone) return;
  chosen.set("zone", own);
  link.href = `?${chosen}`;
  link.textContent = `In ${own.replaceAll("_", " ")} time`;
  link.hidden = false;
}

function markPreset() {
  const here = new URLSearchParams(location.search);
  for (const link of document.querySelectorAll(".report-presets a")) {
    const there = new URLSearchParams(link.getAttribute("href") ?? "");
    const isToday = link.textContent === "Today" && !here.has("start");
    if (
      isToday ||
      (here.has("start") && ["start", "end", "zone"].every((name) => here.get(name) === there.get(name)))
    ) {
      link.setAttribute("aria-current", "page");
    }
  }
}

draw();
offerOwnZone();
markPreset();
let resizing = 0;
addEventListener("resize", () => {
  cancelAnimationFrame(resizing);
  resizing = requestAnimationFrame(() => {
    for (const chart of drawn) chart.setSize({ width: chart.root.parentElement?.clientWidth ?? 600, height: HEIGHT });
  });
});
// Another theme: other colours.
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
new MutationObserver(draw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
