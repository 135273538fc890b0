// As of: a slider and two time boxes; everything below is as it was then. Charts show where in the day that is.

import { change, here } from "./address.js";
import { get, nowMs, wordsOf } from "./api.js";
import { accountChoice, accountsOf } from "./accounts.js";
import { accountCard } from "./card.js";
import { announce, fill, h, put } from "./dom.js";
import { exportMenu } from "./exports.js";
import { notice, showState } from "./frame.js";
import { rowsOf } from "./now.js";
import { panelsOf } from "./panels.js";
import { chosen, fullTime, instantText, inZone, msOf, typedTime, WrongTime } from "./zones.js";

const SETTLED_MS = 180;
const STEPS = [["−1 h", -3_600_000], ["−1 min", -60_000], ["+1 min", 60_000], ["+1 h", 3_600_000]];

export async function show(root, { context, params, signal }) {
  if (context.first_at === null) {
    showState("past");
    fill(root, h("h1", {}, "As of"), notice("info", "The store is empty", "Its past begins with the first record."));
    return null;
  }
  const view = new AsOf(root, context, params, signal);
  await view.load(params);
  return { stop: () => view.stop(), update: (changed) => view.update(changed) };
}

class AsOf {
  constructor(root, context, params, signal) {
    Object.assign(this, { root, context, signal, account: params.get("account"), zone: chosen().zone });
    this.first = msOf(context.first_at);
    this.last = msOf(context.last_at) + 1;
    this.axis = params.get("at") && !params.get("known_by") ? "at" : "known_by";
  }

  async load(params) {
    this.frame();
    await this.update(params);
  }

  update(params) {
    if (params.get("account") !== this.account) return false;
    this.asked = { account: this.account, at: params.get("at"), knownBy: params.get("known_by") };
    this.place();
    if (chosen().zone !== this.zone) this.zone = chosen().zone;
    this.charts?.then((charts) => charts?.moveTo(this.asked.at ?? this.asked.knownBy));
    return this.ask();
  }

  get instant() {
    return this.asked.at ?? this.asked.knownBy;
  }

  async ask() {
    this.asking?.abort();
    this.asking = new AbortController();
    const signal = AbortSignal.any([this.asking.signal, this.signal]);
    this.below.setAttribute("aria-busy", "true");
    try {
      const found = await accountsOf(this.asked, signal);
      const trades = this.account ? await this.tradesOf(signal) : null;
      if (signal.aborted) return true;
      this.accounts = found.accounts;
      this.draw(trades);
      showState(this.instant ? "past" : "paused", this.instant ? "" : "This view does not follow the log by itself.");
    } catch (error) {
      if (signal.aborted) return true;
      const [what, next] = wordsOf(error);
      fill(this.below, notice("wrong", "This instant could not be shown", what, next && h("p", {}, next)));
    }
    this.below.removeAttribute("aria-busy");
    return true;
  }

  async tradesOf(signal) {
    const found = await get("/v1/state/lockouts", { account: this.account, at: this.asked.at, known_by: this.asked.knownBy }, signal).catch(() => null);
    return found?.state ?? null;
  }

  frame() {
    this.slider = h("input", {
      type: "range", id: "slider", min: "0", max: String(Math.ceil((this.last - this.first) / 1000)), step: "1",
      on: { input: () => this.slide() },
    });
    this.shown = h("output", { for: "slider" });
    this.boxes = { at: this.box("at", "What had happened by"), known_by: this.box("known_by", "What was known at") };
    this.error = h("p", { class: "error", role: "alert" });
    this.below = h("div", {});
    this.chartPlace = h("div", { class: "panels" });
    put(this.root,
      h("div", { class: "view-head" },
        h("div", {}, h("h1", {}, this.account ? `${this.account} as of` : "As of"), h("p", { class: "lead" }, "What was true at an instant, and what was known of it.")),
        h("div", { class: "view-tools" },
          accountChoice(this.context.known_accounts, this.account),
          exportMenu(() => ({ account: this.account, stop: this.instant, rows: rowsOf(this.accounts ?? []), name: "as-of" })))),
      h("section", { class: "travel", "aria-label": "Which instant" },
        h("div", { class: "travel-slider" },
          h("label", { for: "slider" }, h("strong", {}, "Instant "), this.shown),
          this.slider,
          h("div", { class: "travel-ends" }, h("span", { class: "travel-first" }), h("span", { class: "travel-last" }))),
        h("div", { class: "travel-boxes" },
          h("div", { class: "filters-buttons", role: "group", "aria-label": "Move the instant" },
            STEPS.map(([label, ms]) => h("button", { class: "button is-small", type: "button", on: { click: () => this.move(ms) } }, label))),
          this.boxes.known_by.form, this.boxes.at.form),
        this.error),
      this.chartPlace, this.below);
    if (this.account) this.charts = import("./charts.js").then((module) => module.drawCharts(this.chartPlace, this.context, this.account, {
      signal: this.signal, onPick: (ms) => this.goTo(ms),
    }));
  }

  box(name, label) {
    const input = h("input", { type: "text", name, placeholder: "2025-11-19 14:03:20", autocomplete: "off", spellcheck: "false" });
    const form = h("form", {
      on: {
        submit: (event) => {
          event.preventDefault();
          this.typed(name, input);
        },
      },
    }, h("label", { class: "field" }, label, input));
    input.addEventListener("change", () => this.typed(name, input));
    return { form, input };
  }

  typed(name, input) {
    try {
      const text = input.value.trim();
      const found = text ? typedTime(text, inZone(this.instant ?? this.context.last_at).date) : null;
      fill(this.error, "");
      input.removeAttribute("aria-invalid");
      this.axis = name;
      change({ [name]: found });
    } catch (problem) {
      if (!(problem instanceof WrongTime)) throw problem;
      input.setAttribute("aria-invalid", "true");
      fill(this.error, problem.message);
    }
  }

  place() {
    const ms = this.instant ? msOf(this.instant) : this.last;
    const seconds = String(Math.min(Math.max(Math.round((ms - this.first) / 1000), 0), Number(this.slider.max)));
    if (this.slider.value !== seconds) this.slider.value = seconds;
    this.label(this.instant);
    for (const [name, { input }] of Object.entries(this.boxes)) {
      const text = name === "at" ? this.asked.at : this.asked.knownBy;
      const found = text ? inZone(text) : null;
      const fraction = found?.fraction.replace(/0+$/, "");
      if (document.activeElement !== input) input.value = found ? `${found.date} ${found.time}${fraction ? `.${fraction}` : ""}` : "";
      input.setAttribute("placeholder", name === "at" ? "anything recorded" : "now");
    }
    fill(this.root.querySelector(".travel-first"), fullTime(this.context.first_at));
    fill(this.root.querySelector(".travel-last"), fullTime(this.context.last_at));
  }

  label(text) {
    const words = text ? fullTime(text) : "now";
    fill(this.shown, words);
    this.slider.setAttribute("aria-valuetext", words);
  }

  slide() {
    const ms = this.first + Number(this.slider.value) * 1000;
    this.label(instantText(ms));
    clearTimeout(this.settling);
    this.settling = setTimeout(() => this.goTo(ms, true), SETTLED_MS);
  }

  move(ms) {
    const from = this.instant ? msOf(this.instant) : this.last;
    this.goTo(Math.min(Math.max(from + ms, this.first), this.last));
  }

  goTo(ms, isSliding = false) {
    change({ [this.axis]: instantText(ms) }, { replace: isSliding });
    announce(`As of ${fullTime(instantText(ms))}`);
  }

  draw(lockouts) {
    const at = this.instant ? msOf(this.instant) : nowMs();
    if (this.accounts.length === 0) {
      fill(this.below, notice("info", "Nothing was recorded by then", "No account was known at this instant. Choose a later one."));
      return;
    }
    const past = Boolean(this.instant);
    if (!this.account) {
      fill(this.below, h("div", { class: "cards" }, this.accounts.map((each) => accountCard(each, { at, past }))));
      return;
    }
    fill(this.below, h("div", { class: "panels is-account" },
      accountCard(this.accounts[0], { at, past }), h("div", { class: "panels-side" }, panelsOf(this.accounts[0], lockouts))));
  }

  stop() {
    this.asking?.abort();
    clearTimeout(this.settling);
    this.charts?.then((charts) => charts?.destroy());
    if (here().view !== "as-of") this.charts = null;
  }
}
