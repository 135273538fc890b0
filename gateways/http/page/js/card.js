// One account as a card: locked or free, equity, headroom, positions, working orders, what is asked for.

import { hrefOf } from "./address.js";
import { h, icon } from "./dom.js";
import { figure, headroomBar, howMany, reason, sentence } from "./figures.js";
import { grouped, isNegative, isPositive, isZero, money, plain, signed } from "./numbers.js";
import { duration, fullTime, msOf, nearTime } from "./zones.js";

const ALLOWS = {
  NOTHING: "nothing may be sent",
  REDUCE_ONLY: "only what reduces positions may be sent",
};

/** Return the card of an account; `at` is the instant that it is about, in ms, `past` whether that is not now. */
export function accountCard(account, { at, past = false }) {
  const locked = account.lockouts.length > 0;
  const id = `account-${account.name}`;
  return h("article", { class: ["card", locked && "is-locked"], "data-key": account.name, "aria-labelledby": id },
    h("header", { class: "card-head" },
      h("h2", { id }, account.name),
      chip(account)),
    whatFailed(account),
    account.lockouts.map((each) => lockout(each, at, past)),
    equity(account),
    headroom(account),
    positions(account),
    orders(account),
    pending(account, at),
    notes(account),
    h("footer", { class: "card-foot" },
      h("a", { href: hrefOf("timeline", { account: account.name }) }, "Timeline"),
      h("a", { href: hrefOf("as-of", { account: account.name }) }, "As of"),
      account.log_position && h("span", { class: "muted" }, `at position ${grouped(String(account.log_position))}`)));
}

/** Return whether an account is locked as a chip: a drawing, a word and a colour say the same. */
export function chip(account) {
  if (account.lockouts.length === 0) {
    if (account.state === "UNKNOWN") return h("span", { class: "chip is-unknown" }, icon("unknown"), "Unknown");
    return h("span", { class: "chip is-free" }, icon("free"), "Free");
  }
  const partly = account.lockouts.every((each) => each.scope !== "account");
  return h("span", { class: "chip is-locked" }, icon("lock"), partly ? "Partly locked" : "Locked");
}

/** A view that failed: its part is missing, and the card says so once for all parts with the same reason. */
function whatFailed({ unknown }) {
  return [...new Set(Object.values(unknown))].map((text) => h("p", { class: "why is-wrong" }, icon("wrong"), " ", sentence(text)));
}

const missing = (account, part, title) => (account.unknown[part] ? section(title, figure(null, { status: "UNKNOWN", why: account.unknown[part] })) : null);

function lockout(each, at, past) {
  const of = each.scope === "account" ? "" : ` · ${each.scope.replace(":", " ")} only`;
  return h("div", { class: "lockout", "data-key": `${each.rule_id} ${each.scope}` },
    h("p", { class: "lockout-reason" }, sentence(each.reason || `locked by ${each.rule_id}`)),
    each.until
      ? h("p", { class: "lockout-until" },
          h("span", { class: "countdown", "data-until": past ? null : each.until }, duration(msOf(each.until) - at)),
          h("span", { class: "muted" }, past ? " from this instant, until " : " left, until "),
          h("time", { datetime: each.until, title: fullTime(each.until, 9) }, nearTime(each.until, at)))
      : h("p", { class: "lockout-until" }, "Without end date: a person has to unlock it."),
    h("p", { class: "muted" }, `${ALLOWS[each.allows] ?? each.allows}${of} · rule ${each.rule_id}${each.revocable ? "" : " · cannot be unlocked before"} · `,
      h("a", { href: hrefOf("timeline", { account: each.account, record: each.positions?.[0] }) }, "why")));
}

function equity(account) {
  const found = account.equity;
  if (account.unknown.equity) return missing(account, "equity", "Equity");
  if (!found) return section("Equity", h("p", { class: "muted" }, "The account's opening is not recorded, so its equity is not known."));
  const day = account.days.map((each) => [h("dt", {}, "Day, net"), h("dd", { class: tone(each.net) },
    each.unpriced > 0 ? figure(signed(each.net), { status: "STALE", why: `${each.unpriced} changes had no price`, unit: each.currency })
      : figure(signed(each.net), { unit: each.currency }))]);
  return h("section", { class: "equity" },
    h("h3", {}, "Equity"),
    h("p", { class: "equity-figure" }, figure(money(found.equity), { status: found.status, why: found.why, unit: found.currency, label: "equity" })),
    reason(found.status, found.why),
    h("dl", { class: "facts" },
      h("dt", {}, "Balance"), h("dd", {}, figure(money(found.balance), { unit: found.currency })),
      found.status === "UNKNOWN" ? null : [h("dt", {}, "Unrealized"), h("dd", { class: tone(found.unrealized) }, figure(signed(found.unrealized), { status: found.status }))],
      day,
      found.floor !== null && [h("dt", {}, "Floor"), h("dd", {}, figure(money(found.floor)))]));
}

const tone = (text) => (isPositive(text) ? "is-gain" : isNegative(text) ? "is-loss" : null);

function headroom(account) {
  if (account.unknown.headroom) return missing(account, "headroom", "Limits");
  const listed = new Set(account.headroom.map((each) => each.rule_id));
  const others = account.unjudged.filter((each) => !listed.has(each.rule_id));
  if (account.headroom.length + others.length === 0) return section("Limits", h("p", { class: "muted" }, "No limits are set."));
  return section("Limits", account.headroom.map(headroomBar),
    others.map((each) => headroomBar({ ...each, kind: each.rule_id, left: null, limit: null, figure: null, share: null, status: "UNKNOWN" })));
}

function positions(account) {
  if (account.positions === null) return missing(account, "positions", "Positions");
  const open = account.positions.filter((each) => !isZero(each.quantity) || each.uncertain);
  if (open.length === 0) return section("Positions", h("p", { class: "muted" }, "Flat."));
  return section("Positions", h("table", { class: "rows" },
    h("thead", { class: "visually-hidden" }, h("tr", {}, ["Symbol", "Quantity", "Average price"].map((each) => h("th", { scope: "col" }, each)))),
    h("tbody", {}, open.map((each) => h("tr", { "data-key": `${each.symbol} ${each.side}` },
      h("th", { scope: "row" }, each.symbol, each.side !== "NET" && h("span", { class: "muted" }, ` ${each.side.toLowerCase()}`)),
      h("td", { class: "number" }, h("span", { class: "side" }, isNegative(each.quantity) ? "short" : "long"), ` ${plain(each.quantity.replace("-", ""))}`),
      h("td", { class: "number" }, each.average_price === null ? figure(null, { status: "UNKNOWN" }) : `at ${plain(each.average_price)}`,
        each.uncertain && h("span", { class: "tag is-warning" }, "not certain")))))));
}

function orders(account) {
  if (account.orders === null) return missing(account, "orders", "Working orders");
  if (account.orders.length === 0) return section("Working orders", h("p", { class: "muted" }, "None."));
  return h("details", { class: "fold" },
    h("summary", {}, h("h3", {}, "Working orders"), h("span", { class: "muted" }, howMany(account.orders.length, "order"))),
    h("table", { class: "rows" },
      h("thead", { class: "visually-hidden" }, h("tr", {}, ["Order", "What", "Status"].map((each) => h("th", { scope: "col" }, each)))),
      h("tbody", {}, account.orders.map((each) => h("tr", { "data-key": each.order_id },
        h("th", { scope: "row" }, h("a", { href: hrefOf("timeline", { account: each.account, order: each.order_id }) }, each.order_id)),
        h("td", {}, orderWords(each)),
        h("td", { class: "muted" }, statusWords(each.status)))))));
}

/** Return an order as words: buy 2 of 3 ESZ5 limit 5,000.25. */
export function orderWords(order) {
  const size = order.leaves ?? order.quantity;
  const price = order.limit_price !== null ? ` ${plain(order.limit_price)}` : order.stop_price !== null ? ` ${plain(order.stop_price)}` : "";
  return `${(order.side ?? "?").toLowerCase()} ${size === null ? "?" : plain(size)} ${order.symbol ?? "?"} ${(order.order_type ?? "").toLowerCase().replaceAll("_", " ")}${price}`;
}

export const statusWords = (text) => text.toLowerCase().replaceAll("_", " ");

function pending(account, at) {
  if (account.unknown.pending) return missing(account, "pending", "Asked for, and not done yet");
  if (account.pending.length === 0) return null;
  return section("Asked for, and not done yet", h("ul", { class: "plain-list" }, account.pending.map((each) =>
    h("li", { "data-key": each.request_id, class: "pending" }, icon("warning"),
      h("div", {}, `${statusWords(each.action)} by ${each.rule_id}`,
        h("p", { class: "muted" }, `attempt ${each.attempt}, asked for ${duration(at - msOf(each.asked_since))}`,
          each.claimant && ` · claimed by ${each.claimant}`,
          each.escalated_at && ` · a person has to act: ${each.escalation}`))))));
}

function notes(account) {
  const shadow = account.mode === "SHADOW";
  return [
    shadow && h("p", { class: "why" }, icon("warning"), "Its limits act in the shadow: they record what they would do, and lock nothing."),
    account.awaited.length > 0 && h("p", { class: "why" }, icon("clock"), `${howMany(account.awaited.length, "change")} waits for a second person.`),
  ];
}

const section = (title, ...content) => h("section", { class: "part" }, h("h3", {}, title), content);

/** Count down whatever says until when; returns what is over. */
export function countDown(root, now) {
  let over = 0;
  for (const each of root.querySelectorAll("[data-until]")) {
    const left = msOf(each.dataset.until) - now;
    const text = duration(left);
    if (each.textContent !== text) each.textContent = text;
    if (left <= 0) over += 1;
  }
  return over;
}
