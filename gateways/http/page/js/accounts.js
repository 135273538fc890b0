// The accounts as the service answers, in the form that cards and tables show.

import { change } from "./address.js";
import { get } from "./api.js";
import { h } from "./dom.js";

/** Return the accounts now, or as of a time; `account` alone if one is named. */
export async function accountsOf({ account, at, knownBy }, signal) {
  const found = await get("/v1/accounts", { account, at, known_by: knownBy }, signal);
  return { position: found.log_position, accounts: found.accounts.map((each) => accountOf(each, found.log_position)) };
}

/** A part that is not known is null, and `unknown` says why: it is never shown as nothing. */
function accountOf(each, logPosition) {
  const equity = each.equity && { ...each.equity, status: each.equity.standing.status, why: each.equity.standing.why };
  return {
    ...each, name: each.account, equity, log_position: logPosition,
    lockouts: each.lockouts ?? [], headroom: each.headroom ?? [], unjudged: each.unjudged ?? [], pending: each.pending ?? [],
    awaited: each.awaited ?? [], days: each.day?.totals ?? [], mode: each.protection?.mode ?? null,
  };
}

/** Return a choice of one account, or all of them, which goes into the address. */
export function accountChoice(known, account) {
  const names = [...new Set([...known, ...(account ? [account] : [])])];
  return h("label", { class: "field" }, "Account",
    h("select", { name: "account", on: { change: (event) => change({ account: event.target.value || null }) } },
      h("option", { value: "", selected: !account }, "All accounts"), names.map((name) => h("option", { value: name, selected: name === account }, name))));
}
