// Figures with a status: what is stale or not known never looks like a number.

import { h, icon } from "./dom.js";
import { count, money, percent, plain } from "./numbers.js";

/** Return a figure. `text`: as it is shown when it is known; `status`: KNOWN, STALE or UNKNOWN, and `why`. */
export function figure(text, { status = "KNOWN", why = "", unit = "", label = "" } = {}) {
  if (status === "UNKNOWN" || text === null || text === undefined) {
    return h("span", { class: "figure is-unknown", title: why || null },
      icon("unknown"), h("span", {}, "unknown"), label && h("span", { class: "visually-hidden" }, ` ${label}`));
  }
  if (status === "STALE") {
    return h("span", { class: "figure is-stale", title: why || null },
      icon("clock"), h("span", { class: "number" }, text), unit && h("span", { class: "unit" }, unit), h("span", { class: "tag" }, "stale"));
  }
  return h("span", { class: "figure" }, h("span", { class: "number" }, text), unit && h("span", { class: "unit" }, unit));
}

/** Return why a figure is not known, as a line below it. */
export function reason(status, why) {
  return status === "KNOWN" || !why ? null : h("p", { class: "why" }, sentence(why));
}

/** Return a text that begins with a capital letter and ends with a full stop. */
export function sentence(text) {
  const trimmed = text.trim();
  // A symbol or an account is written as it is.
  const first = /^[a-z]+[ ,]/.test(trimmed) ? trimmed[0].toUpperCase() + trimmed.slice(1) : trimmed;
  return /[.!?]$/.test(first) ? first : `${first}.`;
}

/** Return a limit's amount in its own unit. */
export function inUnit(text, unit, currency) {
  if (unit === "money") return `${money(text)}${currency ? ` ${currency}` : ""}`;
  if (unit === "share") return percent(text);
  return unit ? `${plain(text)} ${unit}` : plain(text);
}

/** Return a limit as a bar: its name, what is left, and of how much. A limit that is not judged is an empty, hatched bar. */
export function headroomBar({ rule_id: rule, kind, figure: used, limit, left, share, status, why, unit, currency }) {
  const known = status !== "UNKNOWN" && left !== null;
  const name = rule === kind ? rule : `${rule} (${kind})`;
  return h("div", { class: ["headroom", !known && "is-unknown", status === "STALE" && "is-stale"], "data-key": rule },
    h("div", { class: "headroom-line" },
      h("span", { class: "headroom-name" }, name),
      known
        ? h("span", { class: "headroom-left" },
            h("span", { class: "number" }, inUnit(left, unit, currency)), " left of ", inUnit(limit, unit, currency),
            status === "STALE" && h("span", { class: "tag" }, "stale"))
        : figure(null, { status: "UNKNOWN", why, label: `headroom of ${name}` })),
    known ? bar(share, name) : h("div", { class: "bar is-unknown", role: "img", "aria-label": `${name}: headroom unknown` }),
    known && used !== null && h("p", { class: "headroom-used" }, `now at ${inUnit(used, unit, currency)}`),
    !known && limit !== null && h("p", { class: "headroom-used" }, `limit ${inUnit(limit, unit, currency)}`),
    status !== "KNOWN" && why ? h("p", { class: "why" }, sentence(why)) : null);
}

function bar(share, name) {
  // A bar is a drawing: what it says stands beside it in digits.
  const part = share === null ? null : Math.min(Math.max(Number(share), 0), 1);
  if (part === null) return null;
  const state = part <= 0 ? "is-reached" : part < 0.2 ? "is-near" : part < 0.5 ? "is-half" : "is-far";
  const meter = h("div", { class: ["bar", state], role: "img", "aria-label": `${name}: ${percent(share)} left` });
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 1000 10");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const left = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  left.setAttribute("width", String(Math.round(part * 1000)));
  left.setAttribute("height", "10");
  left.setAttribute("class", "bar-left");
  svg.append(left);
  meter.append(svg);
  return meter;
}

/** Return how many there are of something, in words. */
export const howMany = (number, one, many = `${one}s`) => `${number === 0 ? "no" : count(number)} ${number === 1 ? one : many}`;
