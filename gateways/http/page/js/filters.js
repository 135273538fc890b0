// What is looked for in the timeline: kept in the address, changed by a form.

import { change } from "./address.js";
import { h } from "./dom.js";

const NAMES = ["types", "symbol", "order", "text", "tag", "actor"];
const LABELS = { types: "Type", symbol: "Symbol", order: "Order", text: "Text", tag: "Tag", actor: "By" };
const TYPES = [
  "OrderSubmitted", "OrderAccepted", "OrderFilled", "OrderRejected", "OrderCanceled", "OrderReplaced", "OrderReported", "TradeExecuted",
  "TradeBusted", "TradeCorrected", "PositionReported", "FeeCharged", "LockoutSet", "LockoutCleared", "LimitsSet", "LimitUnjudged", "LimitJudged",
  "RiskChecked", "EnforcementRequested", "EnforcementTaken", "AccountOpened", "AccountUpdated", "SessionOpened", "SessionReset", "SessionClosed", "NoteAdded",
];

/** Return the filters of an address. */
export const filtersIn = (params) => Object.fromEntries(NAMES.map((name) => [name, params.get(name) || null]));

/** Return filters as the service takes them: several types are a list. */
export const queryOf = (asked) => ({ ...asked, types: asked.types?.split(/[\s,]+/).filter(Boolean) ?? null });

/** Return the form that changes them. */
export function filterForm(context, asked, account) {
  const choice = h("select", { name: "account" },
    h("option", { value: "" }, "All accounts"),
    [...new Set([...context.known_accounts, ...(account ? [account] : [])])].map((name) => h("option", { value: name, selected: name === account }, name)));
  const fields = NAMES.map((name) => h("label", { class: "field" }, LABELS[name],
    h("input", { type: name === "text" ? "search" : "text", name, value: asked[name] ?? "", list: name === "types" ? "types" : null, autocomplete: "off", spellcheck: "false" })));
  const wide = matchMedia("(min-width: 48rem)").matches;
  const active = NAMES.filter((name) => asked[name]).length;
  // On a phone the records come first; what is filtered by is said on the button.
  return h("details", { class: ["filters-fold", wide && "is-wide"], open: wide || active > 0 },
    h("summary", { class: "button" }, active ? `Filters: ${active}` : "Filters"), form(choice, fields));
}

function form(choice, fields) {
  return h("form", {
    class: "filters", role: "search", "aria-label": "Filters",
    on: {
      submit: (event) => {
        event.preventDefault();
        const given = new FormData(event.target);
        const found = Object.fromEntries(["account", ...NAMES].map((name) => [name, given.get(name).trim() || null]));
        change({ ...found, before: null, after: null, record: null });
      },
    },
  },
  h("label", { class: "field" }, "Account", choice), fields,
  h("datalist", { id: "types" }, TYPES.map((name) => h("option", { value: name }))),
  h("div", { class: "filters-buttons" },
    h("button", { class: "button is-main" }, "Filter"),
    h("button", {
      class: "button", type: "button",
      on: { click: () => change(Object.fromEntries([...NAMES, "account", "before", "after", "start", "record"].map((name) => [name, null]))) },
    }, "Clear")));
}
