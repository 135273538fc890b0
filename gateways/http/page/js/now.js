// Now: each account as a card, live. While the address names a past instant, the same cards as they were then.

import { nowMs, wordsOf } from "./api.js";
import { accountChoice, accountsOf } from "./accounts.js";
import { accountCard, countDown } from "./card.js";
import { announce, fill, h, put } from "./dom.js";
import { howMany } from "./figures.js";
import { notice, showState } from "./frame.js";
import { follow } from "./live.js";
import { count } from "./numbers.js";
import { exportMenu } from "./exports.js";
import { msOf } from "./zones.js";

const REFRESH_MS = 1000;
// Prices and the clock change figures without a record: they are asked for again at least so often.
const AT_LEAST_EACH_MS = 10_000;

export async function show(root, { context, params, signal }) {
  const asked = { account: params.get("account"), at: params.get("at"), knownBy: params.get("known_by") };
  const past = asked.at ?? asked.knownBy;
  const state = { locked: null, newest: 0, accounts: [], isDrawn: false };

  const refresh = async () => {
    const found = await accountsOf(asked, signal);
    if (signal.aborted) return;
    state.newest = Math.max(state.newest, found.position);
    state.accounts = found.accounts;
    (state.isDrawn ? fill : put)(root, ...drawing(found, state, { context, asked, past }));
    state.isDrawn = true;
    if (!past) tellChanges(state, found.accounts);
  };
  await refresh();
  if (past) {
    showState("past");
    return null;
  }
  return live(root, state, refresh);
}

function live(root, state, refresh) {
  let timer = null;
  let last = performance.now();
  const soon = (wait) => {
    if (timer) return;
    timer = setTimeout(async () => {
      timer = null;
      last = performance.now();
      await refresh().catch((error) => {
        if (error.name !== "AbortError") showState("lost", wordsOf(error)[0]);
      });
    }, wait);
  };
  const stream = follow({
    after: state.newest,
    onRecord: () => soon(Math.max(0, REFRESH_MS - (performance.now() - last))),
    onState: (next, words) => {
      showState(next, words);
      // What was missed while it was cut off.
      if (next === "live") soon(0);
    },
  });
  const ticking = setInterval(() => {
    const over = countDown(root, nowMs());
    if (over > 0 || performance.now() - last > AT_LEAST_EACH_MS) soon(over > 0 ? REFRESH_MS : 0);
  }, 250);
  const stop = () => {
    stream.stop();
    clearInterval(ticking);
    clearTimeout(timer);
  };
  return { stop };
}

function drawing({ accounts, position }, state, { context, asked, past }) {
  const at = past ? msOf(past) : nowMs();
  const locked = accounts.filter((each) => each.lockouts.length > 0);
  const unjudged = accounts.reduce((sum, each) => sum + each.unjudged.length, 0);
  const waiting = accounts.reduce((sum, each) => sum + each.pending.length, 0);
  if (accounts.length === 0) return [h("h1", { class: "visually-hidden" }, "Now"), emptyWords(context, past)];
  return [
    h("div", { class: "view-head" },
      h("div", {},
        h("h1", {}, past ? "As it was" : "Now"),
        h("p", { class: "lead" },
          h("strong", {}, `${howMany(accounts.length, "account")}: `),
          locked.length ? h("span", { class: "is-locked-text" }, `${count(locked.length)} locked`) : "none locked",
          waiting > 0 && ` · ${howMany(waiting, "request")} to carry out`,
          unjudged > 0 && ` · ${howMany(unjudged, "limit")} not judged`,
          h("span", { class: "muted" }, ` · position ${count(position)}`))),
      h("div", { class: "view-tools" },
        accountChoice(context.known_accounts, asked.account),
        exportMenu(() => ({ account: asked.account, stop: past, rows: rowsOf(state.accounts), name: "accounts" })))),
    h("div", { class: "cards" }, accounts.map((each) => accountCard(each, { at, past: Boolean(past) }))),
  ];
}

function emptyWords(context, past) {
  if (past) return notice("info", "Nothing was recorded by then", "No account was known at this time. Choose a later one, or go back to now.");
  if (context.head > 0 && context.accounts !== null) return notice("info", "No account that you may see", `This key is for ${context.accounts.join(", ")}, and the log has no records of it.`);
  if (context.head > 0) return notice("info", "No accounts yet", "The log has records, but none that belongs to an account.");
  return notice("info", "The store is empty", "Nothing has been recorded yet. The page shows the first account as soon as an event about it is appended.",
    h("p", { class: "muted" }, "To see it at work, append an event, or run: eventstore demo"));
}

function tellChanges(state, accounts) {
  const locked = new Map(accounts.map((each) => [each.name, each.lockouts.map((lock) => lock.reason).join("; ")]));
  if (state.locked) {
    for (const [name, reasons] of locked) {
      const before = state.locked.get(name) ?? "";
      if (reasons && reasons !== before) announce(`Account ${name} is locked: ${reasons}`);
      else if (!reasons && before) announce(`Account ${name} is free again`);
    }
  }
  state.locked = locked;
}

const COLUMNS = ["account", "state", "until", "reason", "equity", "equity_status", "balance", "currency", "day_net", "positions", "working_orders", "pending"];

/** Return what the cards show as rows, for a file. */
export function rowsOf(accounts) {
  return [COLUMNS, ...accounts.map((each) => [
    each.name, each.state.toLowerCase(),
    each.lockouts.map((lock) => lock.until ?? "without end date").join("; "), each.lockouts.map((lock) => lock.reason).join("; "),
    each.equity && each.equity.status !== "UNKNOWN" ? each.equity.equity : "", each.equity?.status ?? "UNKNOWN",
    each.equity?.balance ?? "", each.equity?.currency ?? "", each.days.map((day) => day.net).join("; "),
    (each.positions ?? []).filter((held) => held.quantity !== "0").map((held) => `${held.quantity} ${held.symbol}`).join("; "),
    each.orders === null ? "unknown" : String(each.orders.length), String(each.pending.length),
  ])];
}

