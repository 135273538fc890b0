// Health: whether the service can do its work, each part in words; what failed and can be tried again.

import { hrefOf } from "./address.js";
import { get, nowMs, post, ProblemDocument, wordsOf } from "./api.js";
import { announce, fill, h, icon, put } from "./dom.js";
import { exportMenu } from "./exports.js";
import { howMany, sentence } from "./figures.js";
import { showState } from "./frame.js";
import { count } from "./numbers.js";
import { duration, fullTime, msOf } from "./zones.js";

const EACH_MS = 5000;
const ICONS = { ok: "free", warning: "warning", wrong: "wrong" };
const VERDICTS = {
  ok: "Everything is in order", warning: "It works, and something needs attention", wrong: "Something is wrong",
};

export async function show(root, { context, signal }) {
  const view = new Health(root, context, signal);
  await view.refresh();
  view.timer = setInterval(() => view.refresh().catch(() => showState("lost")), EACH_MS);
  return { stop: () => clearInterval(view.timer) };
}

class Health {
  constructor(root, context, signal) {
    Object.assign(this, { root, context, signal, verdict: null, said: "" });
  }

  async refresh() {
    const found = await readiness(this.signal);
    const [verification, alerts] = await Promise.all([this.verification(), this.alerts()]);
    if (this.signal.aborted) return;
    showState("live");
    this.draw(found, verification, alerts);
    if (this.verdict !== null && this.verdict !== found.status) announce(VERDICTS[found.status]);
    this.verdict = found.status;
  }

  async verification() {
    return get("/v1/verification", {}, this.signal).catch((error) => ({ error }));
  }

  async alerts() {
    return get("/v1/timeline", { types: "AlertSent", before: 2 ** 53, limit: 5 }, this.signal).catch((error) => ({ error }));
  }

  draw(found, verification, alerts) {
    this.found = found;
    (this.isDrawn ? fill : put)(this.root,
      h("div", { class: "view-head" },
        h("div", {}, h("h1", {}, "Health"),
          h("p", { class: ["verdict", `is-${found.status}`] }, icon(ICONS[found.status]), found.ready ? VERDICTS[found.status] : "The service cannot do its work"),
          h("p", { class: "muted" }, `Log ${found.log} at position ${count(found.log_position)}, as of ${fullTime(new Date(nowMs()).toISOString())}`)),
        h("div", { class: "view-tools" }, exportMenu(() => ({ rows: [["part", "status", "detail"], ...this.found.checks.map((each) => [each.name, each.status, each.detail])], name: "health" })))),
      h("ul", { class: "checks", "aria-label": "Parts" }, sorted(found.checks).map(check)),
      this.parked(found.parked),
      h("div", { class: "panels" }, this.verified(verification), sent(alerts)));
    this.isDrawn = true;
  }

  parked(parked) {
    if (!parked.length) return null;
    const isAdmin = this.context.scopes.includes("admin");
    return h("section", { class: "panel is-wide" },
      h("h2", {}, `Parked partitions: ${count(parked.length)}`),
      h("p", { class: "muted" }, "A view failed on a record of theirs. Everything else is folded on; what they say ends before that record."),
      h("ul", { class: "checks" }, parked.map((each) => h("li", { class: "check is-wrong", "data-key": `${each.view} ${each.partition}` },
        icon("wrong"), h("span", { class: "check-name" }, `${each.view} of ${each.partition === "-" ? "all accounts" : each.partition}`),
        h("span", { class: "check-detail" }, sentence(each.error), " ",
          h("a", { href: hrefOf("timeline", { record: each.log_position }) }, `Position ${count(each.log_position)}`)),
        h("span", { class: "check-more" }, h("button", {
          class: "button is-small", type: "button", disabled: !isAdmin, title: isAdmin ? null : "Your key lacks the scope admin.",
          on: { click: () => this.retry(each) },
        }, "Retry"))))),
      h("p", { class: "help", role: "status" }, this.said));
  }

  async retry({ view, partition }) {
    try {
      const found = await post(`/v1/retry/${encodeURIComponent(view)}/${encodeURIComponent(partition)}`);
      this.said = found.is_current ? `${view} of ${partition} is folded again.` : `${view} of ${partition} has failed again: ${found.error}`;
    } catch (error) {
      this.said = wordsOf(error).filter(Boolean).join(" ");
    }
    announce(this.said);
    await this.refresh();
  }

  verified(found) {
    const mayVerify = this.context.scopes.includes("audit") && this.context.accounts === null;
    return h("section", { class: "panel" },
      h("h2", {}, "Verification"),
      h("div", {}, verificationWords(found)),
      h("p", { class: "muted" }, "It recomputes every digest, every column and index that a read depends on, and the tree of the log. A log rewritten as a whole, tree included, is found only against a checkpoint kept elsewhere."),
      h("p", {}, h("button", {
        class: "button", type: "button", disabled: !mayVerify || found?.running, title: mayVerify ? null : "Your key lacks the scope audit for every account.",
        on: { click: () => this.verify() },
      }, found?.running ? "Verifying…" : "Verify now")));
  }

  async verify() {
    announce("Verifying");
    const asked = post("/v1/verification", {}, { timeout: null }).catch((error) => announce(wordsOf(error).filter(Boolean).join(" ")));
    // A long log takes long: meanwhile it says that it is being verified.
    await this.refresh();
    await asked;
    await this.refresh();
  }
}

async function readiness(signal) {
  try {
    return await get("/health/ready", {}, signal);
  } catch (error) {
    // Not ready is an answer as well, with the same members.
    if (error instanceof ProblemDocument && error.status === 503 && error.body.checks) return { ...error.body, status: error.body.health, ready: false };
    throw error;
  }
}

const RANK = { wrong: 0, warning: 1, ok: 2 };
const sorted = (checks) => [...checks].sort((one, other) => RANK[one.status] - RANK[other.status]);

function check(each) {
  return h("li", { class: ["check", `is-${each.status}`], "data-key": `${each.name} ${each.detail}` },
    icon(ICONS[each.status]),
    h("span", { class: "check-name" }, each.name, h("span", { class: "visually-hidden" }, `: ${each.status}`)),
    h("span", { class: "check-detail" }, sentence(each.detail)));
}

function verificationWords(found) {
  if (found?.error) return h("p", { class: "muted" }, wordsOf(found.error).filter(Boolean).join(" "));
  const last = found?.last;
  if (!last) return h("p", {}, "Not run since the service was started. When the log was opened, its head, its tree and its last 256 digests were checked.");
  const when = `${fullTime(last.finished_at)}, ${duration(nowMs() - msOf(last.finished_at))} ago`;
  return last.ok
    ? h("p", { class: "verdict is-ok" }, icon("free"), `${howMany(last.checked, "record")} verified, up to position ${count(last.until)} · ${when}`)
    : h("p", { class: "verdict is-wrong" }, icon("wrong"), `Position ${last.first_bad === null ? "unknown" : count(last.first_bad)} does not verify: ${last.reason} · ${when}`);
}

function sent(found) {
  return h("section", { class: "panel" },
    h("h2", {}, "Alerts sent"),
    found?.error ? h("p", { class: "muted" }, wordsOf(found.error).filter(Boolean).join(" "))
      : found.entries.length === 0 ? h("p", { class: "muted" }, "None is recorded.")
        : h("ul", { class: "plain-list" }, [...found.entries].reverse().map((each) => h("li", {},
          h("a", { href: hrefOf("timeline", { record: each.position }) }, each.sentence), h("span", { class: "muted" }, ` · ${fullTime(each.recorded_at)}`)))));
}

