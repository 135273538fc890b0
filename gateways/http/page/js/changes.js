// What a record changed, as words: for each thing the members that differ, before and after.

import { h } from "./dom.js";
import { statusWords } from "./card.js";
import { plain } from "./numbers.js";
import { fullTime, isInstant } from "./zones.js";

const FIELDS_MAX = 12;
const DECIMAL = /^-?\d+(\.\d+)?$/;
// What only says that something was folded changes with each record.
const BOOKKEEPING = new Set(["first_position", "last_position", "position", "positions", "log_position", "lots"]);

/** Return a value of the store's as text: instants in the zone that is shown, decimals with groups. */
export function valueText(value) {
  if (value === null || value === undefined) return "—";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (Array.isArray(value)) return value.length ? value.map(valueText).join("; ") : "none";
  if (typeof value === "object") return Object.entries(value).map(([name, item]) => `${words(name)} ${valueText(item)}`).join(", ");
  const text = String(value);
  if (isInstant(text)) return fullTime(text, /\.0{9}/.test(text) ? 0 : 9);
  return typeof value === "string" && DECIMAL.test(text) && text.length < 40 ? plain(text) : text;
}

export const words = (name) => name.replaceAll("_", " ");

/** Return what a record changed. */
export function changesOf(entry) {
  if (entry.changes.length === 0) return h("p", { class: "muted" }, "It changed nothing that the views keep.");
  return entry.changes.map((change) => h("div", { class: "change" },
    h("p", {}, h("strong", {}, `${words(change.view)} `), change.key, change.before === null && h("span", { class: "tag is-plain" }, "new"),
      change.after === null && h("span", { class: "tag is-plain" }, "ended")),
    fieldsOf(change)));
}

function fieldsOf({ before, after }) {
  const [old, fresh] = [one(before), one(after)];
  if (typeof (fresh ?? old) !== "object") return h("p", {}, `${valueText(before)} → ${valueText(after)}`);
  const differing = [...new Set([...Object.keys(old ?? {}), ...Object.keys(fresh ?? {})])]
    .filter((name) => !BOOKKEEPING.has(name) && JSON.stringify(old?.[name] ?? null) !== JSON.stringify(fresh?.[name] ?? null))
    .filter((name) => old !== null || !isEmpty(fresh[name]));
  if (differing.length === 0) return null;
  return h("table", { class: "rows change-fields" },
    h("thead", { class: "visually-hidden" }, h("tr", {}, ["What", "Before", "After"].map((each) => h("th", { scope: "col" }, each)))),
    h("tbody", {}, differing.slice(0, FIELDS_MAX).map((name) => h("tr", {},
      h("th", { scope: "row", class: "muted" }, words(name)),
      old !== null && h("td", { class: "before" }, text(name, old?.[name])),
      h("td", {}, text(name, fresh?.[name]))))),
    differing.length > FIELDS_MAX && h("caption", { class: "muted" }, `${differing.length - FIELDS_MAX} more members differ`));
}

const text = (name, value) => (name === "status" && value ? statusWords(value) : valueText(value));
const isEmpty = (value) => value === null || value === undefined || value === false || value === "" || value === "0" || value === 0
  || (typeof value === "object" && Object.keys(value).length === 0);
const one = (value) => (Array.isArray(value) ? (value.at(-1) ?? null) : value ?? null);
