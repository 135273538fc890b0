// The accounts as the service answers, in the form that cards and tables show.

import { get } from "./api.js";

/** Return the accounts now, or as of a time; `account` alone if one is named. */
export async function accountsOf({ account, at, knownBy }, signal) {
  const found = await get("/v1/summaries", { account, at, known_by: knownBy }, signal);
  return { position: found.log_position, accounts: found.accounts.map((each) => accountOf(each, found.log_position)) };
}

function accountOf(each, logPosition) {
  const { name } = each;
  return {
    name,
    log_position: logPosition,
    lockouts: each.lockouts,
    equity: each.equity[0] ?? null,
    headroom: each.headroom[name] ?? [],
    unjudged: each.unjudged[name] ?? [],
    positions: each.positions,
    orders: each.orders,
    pending: each.pending,
    days: each.days,
    totals: each.totals,
    anomalies: each.anomalies,
    awaited: each.awaited,
    mode: each.modes[0]?.held?.mode ?? null,
    failed: each.parked,
    // Of a partition that failed it is not known whether it is locked.
    unknown: each.parked.length > 0,
  };
}
