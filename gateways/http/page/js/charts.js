// Equity and headroom over time, with fills and lockouts. A drawing of figures: the figures themselves are in a table.

import uPlot from "../vendor/uplot/uPlot.esm.js";
import { get, wordsOf } from "./api.js";
import { fill, h } from "./dom.js";
import { howMany } from "./figures.js";
import { count, money, percent } from "./numbers.js";
import { chosen, fullTime, instantText, inZone, msOf } from "./zones.js";

const POINTS = 160;
const DAY_MS = 86_400_000;
const TALL = 240;
const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3]];

/** Draw an account's charts into an element; returns how to move the line of the instant, and how to end. */
export async function drawCharts(place, context, account, { signal, onPick }) {
  style();
  fill(place, h("section", { class: "panel is-wide chart" }, h("h2", {}, "Equity and headroom"), h("p", { class: "muted", role: "status" }, "Reading the day…")));
  try {
    const { start, stop } = spanOf(context);
    const found = await get(`/v1/charts/${encodeURIComponent(account)}`, { start: instantText(start), stop: instantText(stop), points: POINTS }, signal);
    if (signal.aborted) return null;
    return new Charts(place, found, onPick);
  } catch (error) {
    if (!signal.aborted) fill(place, h("section", { class: "panel is-wide" }, h("h2", {}, "Equity and headroom"), h("p", { class: "why" }, wordsOf(error).filter(Boolean).join(" "))));
    return null;
  }
}

function style() {
  if (document.querySelector("link[data-uplot]")) return;
  document.head.append(h("link", { rel: "stylesheet", href: "/app/files/vendor/uplot/uPlot.min.css", "data-uplot": "" }));
}

/** Return the last day of the log, or all of a shorter one. */
function spanOf(context) {
  const [first, last] = [msOf(context.first_at), msOf(context.last_at) + 1000];
  return { start: Math.max(first, last - DAY_MS), stop: Math.max(last, first + 1000) };
}

class Charts {
  constructor(place, found, onPick) {
    Object.assign(this, { place, found, onPick, at: null, plots: [] });
    this.x = found.at.map((text) => msOf(text) / 1000);
    this.draw();
    this.dark = matchMedia("(prefers-color-scheme: dark)");
    this.redraw = () => this.draw();
    this.dark.addEventListener("change", this.redraw);
    this.sized = new ResizeObserver(() => this.fit());
    this.sized.observe(place);
  }

  draw() {
    for (const plot of this.plots) plot.destroy();
    this.colours = coloursOf();
    const [equity, headroom] = [h("div", { class: "chart" }), h("div", { class: "chart" })];
    const { found } = this;
    const known = found.status.filter((each) => each !== "UNKNOWN").length;
    this.place.replaceChildren(
      h("section", { class: "panel is-wide", "aria-label": "Equity chart" },
        h("h2", {}, `Equity${found.currency ? `, ${found.currency}` : ""}`), this.legend(),
        equity,
        known < found.at.length && h("p", { class: "why" }, `Equity is known at ${count(known)} of ${count(found.at.length)} instants; where it is not, the line has a gap. ${whyOf(found)}`),
        found.fills_total > found.fills.length && h("p", { class: "help" }, `The newest ${count(found.fills.length)} of ${count(found.fills_total)} fills are drawn.`),
        tableOf(found)),
      found.limits.length ? h("section", { class: "panel is-wide", "aria-label": "Headroom chart" }, h("h2", {}, "Headroom: what is left of each limit"), headroom) : "");
    this.plots = [this.equityPlot(equity), ...(found.limits.length ? [this.headroomPlot(headroom)] : [])];
  }

  legend() {
    const words = [["is-equity", "Equity, where known"], ["is-balance", "Balance"], ["is-buy", "Bought"], ["is-sell", "Sold"], ["is-lockout", "Locked"]];
    return h("ul", { class: "legend" }, words.map(([name, text]) => h("li", {}, h("span", { class: ["swatch", name], "aria-hidden": "true" }), text)));
  }

  equityPlot(element) {
    const { found, colours } = this;
    const data = [this.x, found.equity.map(drawn), found.balance.map(drawn)];
    element.setAttribute("role", "img");
    element.setAttribute("aria-label", `${found.account}: balance from ${shown(found.balance[0])} to ${shown(found.balance.at(-1))} ${found.currency ?? ""}, ${howMany(found.fills_total, "fill")}, ${howMany(found.lockouts.length, "lockout")}`);
    return new uPlot({
      ...this.common(element),
      series: [
        { label: "Time", value: (_, __, ___, index) => (index === null ? "—" : fullTime(found.at[index])) },
        { label: "Equity", stroke: colours.accent, width: 2, value: (_, __, ___, index) => (index === null ? "—" : equityText(found, index)) },
        { label: "Balance", stroke: colours.soft, width: 1.5, dash: [4, 3], value: (_, __, ___, index) => (index === null ? "—" : shown(found.balance[index])) },
      ],
      axes: this.axes((value) => money(String(value))),
    }, data, element);
  }

  headroomPlot(element) {
    const { found, colours } = this;
    const strokes = [colours.accent, colours.free, colours.past, colours.doubt];
    element.setAttribute("role", "img");
    element.setAttribute("aria-label", found.limits.map((each) => `${each.rule_id}: ${shown(each.left.at(-1))} left at the end`).join("; "));
    return new uPlot({
      ...this.common(element),
      scales: { x: { time: true }, y: { range: (_, low, high) => [Math.min(0, low), Math.max(1, high)] } },
      series: [
        { label: "Time", value: (_, __, ___, index) => (index === null ? "—" : fullTime(found.at[index])) },
        ...found.limits.map((limit, number) => ({
          label: limit.rule_id, stroke: strokes[number % strokes.length], width: 2, dash: DASHES[number % DASHES.length],
          value: (_, __, ___, index) => (index === null ? "—" : limit.left[index] === null ? "unknown" : `${money(limit.left[index])} left, ${percent(limit.share[index] ?? "0")}`),
        })),
      ],
      axes: this.axes((value) => `${Math.round(value * 100)} %`),
    }, [this.x, ...found.limits.map((each) => each.share.map(drawn))], element);
  }

  common(element) {
    return {
      width: Math.max(element.clientWidth, 200), height: TALL,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), chosen().zone),
      cursor: { drag: { x: false, y: false }, points: { size: 7 } },
      hooks: {
        drawClear: [(plot) => this.bands(plot)],
        draw: [(plot) => plot === this.plots[0] || plot.series[1].label === "Equity" ? this.marks(plot) : this.line(plot)],
        ready: [(plot) => plot.over.addEventListener("click", () => plot.cursor.idx !== null && plot.cursor.idx !== undefined && this.onPick(plot.posToVal(plot.cursor.left, "x") * 1000))],
      },
    };
  }

  axes(words) {
    const { colours } = this;
    const axis = { stroke: colours.soft, grid: { stroke: colours.line, width: 1 }, ticks: { stroke: colours.line, width: 1 }, font: `12px ${colours.font}` };
    const times = (plot, splits, _, __, gap) => splits.map((seconds) => axisTime(seconds, gap));
    return [{ ...axis, values: times, space: 72 }, { ...axis, size: 76, values: (_, splits) => splits.map(words) }];
  }

  bands(plot) {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    for (const each of this.found.lockouts) {
      const left = plot.valToPos(msOf(each.set_at) / 1000, "x", true);
      const right = each.until ? plot.valToPos(msOf(each.until) / 1000, "x", true) : bbox.left + bbox.width;
      ctx.fillStyle = this.colours.lockedSoft;
      ctx.fillRect(left, bbox.top, right - left, bbox.height);
      ctx.beginPath();
      ctx.rect(left, bbox.top, right - left, bbox.height);
      ctx.save();
      ctx.clip();
      ctx.strokeStyle = this.colours.locked;
      ctx.globalAlpha = 0.25;
      ctx.lineWidth = 1.5;
      ctx.beginPath();
      for (let x = left - bbox.height; x < Math.min(right, bbox.left + bbox.width); x += 10) {
        ctx.moveTo(x, bbox.top + bbox.height);
        ctx.lineTo(x + bbox.height, bbox.top);
      }
      ctx.stroke();
      ctx.restore();
    }
    ctx.restore();
  }

  marks(plot) {
    const { ctx, bbox } = plot;
    const size = 4 * devicePixelRatio;
    ctx.save();
    for (const each of this.found.fills) {
      const x = plot.valToPos(msOf(each.at) / 1000, "x", true);
      const bought = each.side === "BUY";
      // Bought below the figures, sold above: the place says it as well as the colour.
      const y = bought ? bbox.top + bbox.height - size : bbox.top + size;
      ctx.fillStyle = bought ? this.colours.free : this.colours.locked;
      ctx.globalAlpha = 0.7;
      ctx.beginPath();
      ctx.moveTo(x - size, y + (bought ? size : -size));
      ctx.lineTo(x + size, y + (bought ? size : -size));
      ctx.lineTo(x, y - (bought ? size : -size));
      ctx.fill();
    }
    ctx.restore();
    this.line(plot);
  }

  line(plot) {
    if (!this.at) return;
    const { ctx, bbox } = plot;
    const x = plot.valToPos(msOf(this.at) / 1000, "x", true);
    if (x < bbox.left || x > bbox.left + bbox.width) return;
    ctx.save();
    ctx.fillStyle = this.colours.past;
    ctx.globalAlpha = 0.12;
    ctx.fillRect(x, bbox.top, bbox.left + bbox.width - x, bbox.height);
    ctx.globalAlpha = 1;
    ctx.fillRect(x - devicePixelRatio, bbox.top, 2 * devicePixelRatio, bbox.height);
    ctx.restore();
  }

  /** Draw the line of the instant; null for none. */
  moveTo(at) {
    this.at = at;
    for (const plot of this.plots) plot.redraw(false, true);
  }

  fit() {
    for (const plot of this.plots) {
      const width = plot.root.parentElement.clientWidth;
      if (width > 0 && Math.abs(width - plot.width) > 1) plot.setSize({ width, height: TALL });
    }
  }

  destroy() {
    this.dark.removeEventListener("change", this.redraw);
    this.sized.disconnect();
    for (const plot of this.plots) plot.destroy();
  }
}

function axisTime(seconds, gap) {
  const { date, time } = inZone(instantText(seconds * 1000));
  return gap >= 86_400 ? date.slice(5) : gap < 60 ? time : time.slice(0, 5);
}

// A pixel needs no exact figure; what is not known is not drawn.
const drawn = (text) => (text === null ? null : Number(text));
const shown = (text) => (text === null || text === undefined ? "unknown" : money(text));
const equityText = (found, index) => (found.status[index] === "KNOWN" ? shown(found.equity[index]) : found.status[index] === "STALE" ? `${shown(found.equity[index])}, stale` : "unknown");

function whyOf(found) {
  const index = found.status.findLastIndex((each) => each === "UNKNOWN");
  return index < 0 ? "" : `Last at ${fullTime(found.at[index])}: ${found.why[index]}.`;
}

function tableOf(found) {
  return h("details", { class: "fold" },
    h("summary", {}, h("h3", {}, "The figures of this chart"), h("span", { class: "muted" }, howMany(found.at.length, "instant"))),
    h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "The figures of this chart" }, h("table", { class: "table" },
      h("thead", {}, h("tr", {}, ["Time", "Balance", "Equity", ...found.limits.map((each) => `Left of ${each.rule_id}`)].map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, found.at.map((at, index) => h("tr", {},
        h("th", { scope: "row" }, fullTime(at)), h("td", { class: "number" }, shown(found.balance[index])), h("td", { class: "number" }, equityText(found, index)),
        found.limits.map((each) => h("td", { class: "number" }, shown(each.left[index])))))))));
}

function coloursOf() {
  const found = getComputedStyle(document.documentElement);
  const colour = (name) => found.getPropertyValue(name).trim();
  return {
    accent: colour("--accent"), soft: colour("--soft"), line: colour("--line"), locked: colour("--locked"), lockedSoft: colour("--locked-soft"),
    free: colour("--free"), past: colour("--past"), doubt: colour("--doubt"), font: colour("--font"),
  };
}
