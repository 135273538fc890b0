// One account in tables: working orders, positions, results, and every lockout that there was.

import { hrefOf } from "./address.js";
import { orderWords, statusWords } from "./card.js";
import { h } from "./dom.js";
import { figure } from "./figures.js";
import { count, isZero, plain, signed } from "./numbers.js";
import { fullTime } from "./zones.js";

/** Return the panels of an account; `lockouts` are its lockouts so far, or null if they may not be asked for. */
export function panelsOf(account, lockouts) {
  return [
    panel("Positions", ["Symbol", ">Quantity", ">Average price", ">Realized", ">Fees", "Reported"], (account.positions ?? []).map(position), nothing(account, "positions", "None so far.")),
    panel("Working orders", ["Order", "What", "Status", ">Done"], (account.orders ?? []).map(order), nothing(account, "orders", "None at this instant.")),
    panel("Profit and loss", ["Period", ">Realized", ">Fees", ">Cash", ">Net", ">Trades"], account.days.map(day), nothing(account, "day", "Nothing realized so far.")),
    lockouts && panel("Lockouts", ["Rule", "Set", "Until", "Ended", "Why"], historyOf(lockouts).map(lockout), "None so far."),
  ];
}

const nothing = (account, part, words) => (account.unknown[part] ? figure(null, { status: "UNKNOWN", why: account.unknown[part] }) : words);

function panel(title, columns, rows, empty) {
  const numeric = columns.map((name) => name.startsWith(">"));
  return h("section", { class: "panel", "data-key": title },
    h("h2", {}, title),
    rows.length === 0 ? h("p", { class: "muted" }, empty)
      : h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": title },
        h("table", { class: "table" },
          h("thead", {}, h("tr", {}, columns.map((name, index) => h("th", { scope: "col", class: numeric[index] && "number" }, name.replace(">", ""))))),
          h("tbody", {}, rows.map((row) => h("tr", {}, row.map((cell, index) => (index === 0
            ? h("th", { scope: "row" }, cell)
            : h("td", { class: [numeric[index] && "number", title === "Lockouts" && index === 4 && "wrap"] }, cell)))))))));
}

const unknown = (why) => figure(null, { status: "UNKNOWN", why });

function position(each) {
  const reported = each.reported === null ? h("span", { class: "muted" }, "not reported")
    : isZero(each.difference ?? "0") ? h("span", {}, `${plain(each.reported)}, agrees`)
      : h("span", { class: "tag is-warning" }, `${plain(each.reported)}: differs by ${plain(each.difference)}`);
  return [each.symbol, plain(each.quantity), each.average_price === null ? "—" : plain(each.average_price),
    each.realized === null ? unknown("its contract is not known") : signed(each.realized), plain(each.fees), reported];
}

const order = (each) => [
  h("a", { href: hrefOf("timeline", { account: each.account, order: each.order_id }) }, each.order_id), orderWords(each), statusWords(each.status),
  `${plain(each.cumulative)} of ${each.quantity === null ? "?" : plain(each.quantity)}`,
];

const day = (each) => [`Day ${each.trading_day}, ${each.currency}`, signed(each.realized), plain(each.fees), signed(each.cash), net(each), count(each.trades)];
const net = (each) => (each.unpriced > 0 ? figure(signed(each.net), { status: "STALE", why: `${each.unpriced} changes had no price` }) : signed(each.net));

function historyOf(state) {
  if (Array.isArray(state)) return state;
  return state.history ?? [...(state.active ?? []), ...(state.ended ?? [])];
}

const lockout = (each) => [
  each.rule_id, h("a", { href: hrefOf("timeline", { account: each.account, record: each.positions[0] }) }, fullTime(each.set_at)),
  each.until ? fullTime(each.until) : "without end date", each.ended_at ? `${fullTime(each.ended_at)}, ${each.ended_by}` : "in force", each.reason,
];
