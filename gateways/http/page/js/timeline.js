// Timeline: an account's records as sentences, newest first, live; filters, a jump to a time, pages both ways.

import { change, hrefOf } from "./address.js";
import { get, wordsOf } from "./api.js";
import { announce, fill, h, put } from "./dom.js";
import { exportMenu } from "./exports.js";
import { filterForm, filtersIn, queryOf } from "./filters.js";
import { howMany } from "./figures.js";
import { notice, showState } from "./frame.js";
import { follow } from "./live.js";
import { count } from "./numbers.js";
import { openRecord } from "./record.js";
import { recordRow } from "./rows.js";
import { chosen, inZone, typedTime, WrongTime } from "./zones.js";

const PAGE = 100;
const SHOWN_MAX = 400;
const EACH_MS = 1000;
const NEWEST = 2 ** 53;

export async function show(root, { context, params, signal }) {
  const view = new Timeline(root, context, params, signal);
  await view.load();
  return { stop: () => view.stop(), update: (changed) => view.update(changed) };
}

const number = (text) => (/^\d+$/.test(text ?? "") ? Number(text) : null);

class Timeline {
  constructor(root, context, params, signal) {
    const where = {
      account: params.get("account"), start: params.get("start"), before: number(params.get("before")), after: number(params.get("after")),
      until: params.get("known_by"),
    };
    Object.assign(this, { root, context, asked: filtersIn(params), where, signal, entries: [], fresh: [], isPaused: false, note: "", opened: null });
    this.key = keyOf(params);
    this.record = number(params.get("record"));
    this.zone = chosen().zone;
    this.isNewest = where.start === null && where.before === null && where.after === null && where.until === null;
  }

  async load() {
    const page = await this.page(this.where);
    this.take(page);
    this.frame();
    this.draw();
    if (this.record !== null) await this.open(this.record, true);
    if (this.isNewest) this.live();
    else showState(this.where.until ? "past" : "paused");
  }

  /** Ask for a page: the entries before a position, or after one, or from a time on; else the newest. */
  async page({ start, before, after, until }) {
    const filters = { account: this.where.account, ...queryOf(this.asked), limit: PAGE, stop: until ? following(until) : null, zone: chosen().zone };
    if (after !== null && after !== undefined) return get("/v1/timeline", { ...filters, after }, this.signal);
    if (start) return get("/v1/timeline", { ...filters, start }, this.signal);
    return get("/v1/timeline", { ...filters, before: before ?? NEWEST }, this.signal);
  }

  take(page) {
    this.entries = [...page.entries].sort((one, other) => other.position - one.position).slice(0, SHOWN_MAX);
    this.searched = page.searched_until ?? null;
    this.following = { before: page.next_before, after: page.next_after };
    this.context.head = Math.max(this.context.head, page.head);
  }

  frame() {
    const { account } = this.where;
    this.list = h("div", { class: "records-all" });
    this.head = h("p", { class: "lead" });
    this.top = h("div", { class: "pages" });
    this.bottom = h("div", { class: "pages" });
    put(this.root,
      h("div", { class: "view-head" },
        h("div", {}, h("h1", {}, account ? `Timeline of ${account}` : "Timeline"), this.head),
        h("div", { class: "view-tools" },
          jumpForm((text) => this.jump(text)),
          exportMenu(() => ({ account, types: queryOf(this.asked).types, start: this.where.start, stop: this.where.until, rows: this.rows(), name: "timeline" })))),
      filterForm(this.context, this.asked, account),
      this.top, this.list, this.bottom);
  }

  draw() {
    fill(this.head, this.words());
    this.pages();
    if (this.entries.length === 0) {
      fill(this.list, this.empty());
      return;
    }
    const days = [];
    for (const entry of this.entries) {
      const day = inZone(entry.recorded_at).date;
      if (days.at(-1)?.day !== day) days.push({ day, entries: [] });
      days.at(-1).entries.push(entry);
    }
    this.list.replaceChildren(...days.flatMap(({ day, entries }) => [
      h("h2", { class: "day" }, day, " ", inZone(entries[0].recorded_at).zone),
      h("ol", { class: "records", reversed: true }, entries.map((entry) => this.row(entry))),
    ]));
  }

  row(entry) {
    return recordRow(entry, { withAccount: !this.where.account, isFresh: this.fresh.includes(entry.position), onOpen: () => this.toggle(entry.position) });
  }

  words() {
    if (this.entries.length === 0) return "";
    const [first, last] = [this.entries.at(-1).position, this.entries[0].position];
    return [`${howMany(this.entries.length, "record")}, newest first `, h("span", { class: "muted" }, `· positions ${count(first)} to ${count(last)} of ${count(Math.max(this.context.head, last))}`)];
  }

  empty() {
    const filtered = Object.values(this.asked).some(Boolean);
    if (this.context.head === 0) return notice("info", "The store is empty", "Nothing has been recorded yet.");
    if (filtered) return notice("info", "No matching records", this.searched ? `The search stopped at position ${count(this.searched)}: it looks at so many records for one page. Older and Newer search further.` : "No record passes all of the filters.",
      h("p", {}, h("a", { href: hrefOf("timeline", { account: this.where.account }) }, "Remove the filters")));
    return notice("info", "No records here", "There is nothing in this direction.");
  }

  pages() {
        const { before: older, after: newer } = this.following;
    const olderLink = older !== null && h("a", { class: "button", href: this.link({ before: older }), rel: "next" }, "Older");
    const newerLink = !this.isNewest && newer !== null && h("a", { class: "button", href: this.link({ after: newer }), rel: "prev" }, "Newer");
    const newest = !this.isNewest && h("a", { class: "button", href: this.link({}) }, "Newest");
    const pause = this.isNewest && h("button", { class: "button", type: "button", "aria-pressed": String(this.isPaused), on: { click: () => this.pause() } }, this.isPaused ? "Resume" : "Pause");
    fill(this.top, newest, newerLink, pause, this.held());
    fill(this.bottom, olderLink, newerLink && h("a", { class: "button", href: this.link({ after: newer }) }, "Newer"));
  }

  held() {
    const held = this.waiting?.length ?? 0;
    if (this.isPaused) return h("span", { class: "muted" }, held ? `Paused: ${howMany(held, "newer record")} since` : "Paused");
    return this.note ? h("span", { class: "muted" }, this.note) : null;
  }

  link(place) {
    return hrefOf("timeline", { account: this.where.account, ...this.asked, ...place });
  }

  jump(text) {
    const day = this.entries.length ? inZone(this.entries[0].recorded_at).date : inZone(new Date().toISOString()).date;
    change({ start: typedTime(text, day), before: null, after: null, record: null });
  }

  live() {
    this.waiting = [];
    const newest = this.entries[0]?.position ?? 0;
    this.stream = follow({
      after: Math.max(newest, this.context.head),
      params: { account: this.where.account },
      onRecord: (record) => {
        this.waiting.push(record.position);
        if (!this.isPaused) this.soon();
        else this.pages();
      },
      onState: (state, words) => showState(this.isPaused && state === "live" ? "paused" : state, words),
    });
  }

  soon() {
    this.timer ??= setTimeout(async () => {
      this.timer = null;
      await this.newer().catch((error) => this.failed(error));
    }, EACH_MS);
  }

  async newer() {
    const after = Math.max(this.entries[0]?.position ?? 0, this.context.head);
    this.waiting = [];
    const page = await this.page({ after });
    const known = new Set(this.entries.map((each) => each.position));
    const found = page.entries.filter((each) => !known.has(each.position));
    this.context.head = Math.max(this.context.head, ...page.entries.map((each) => each.position));
    if (found.length === 0) return;
    this.fresh = found.map((each) => each.position);
    this.entries = [...found.sort((one, other) => other.position - one.position), ...this.entries].slice(0, SHOWN_MAX);
    const open = this.opened;
    const kept = open !== null && this.list.querySelector(".record-open");
    this.draw();
    if (kept) this.list.querySelector(`[data-position="${open}"]`)?.append(kept);
    this.mark();
    this.fresh = [];
    if (page.next_after !== null && page.next_after !== undefined) this.soon();
  }

  pause() {
    this.isPaused = !this.isPaused;
    announce(this.isPaused ? "Paused" : "Live again");
    showState(this.isPaused ? "paused" : "live");
    if (!this.isPaused && this.waiting.length) this.soon();
    this.pages();
    this.top.querySelector("button")?.focus();
  }

  toggle(position) {
    change({ record: this.opened === position ? null : position });
  }

  /** Take a change of the address that needs no other page: what is open. */
  update(params) {
    if (keyOf(params) !== this.key) return false;
    const record = number(params.get("record"));
    // Sentences name times too: in another zone they are other sentences.
    if (chosen().zone !== this.zone) return false;
    if (record === this.opened) return true;
    this.open(record, false).catch((error) => this.failed(error));
    return true;
  }

  failed(error) {
    if (error.name === "AbortError") return;
    this.note = wordsOf(error)[0];
    this.pages();
    announce(this.note);
  }

  async open(position, isFirst) {
    this.list.querySelector(".record-open")?.remove();
    this.opened = position;
    this.mark();
    if (position === null) return;
    let row = this.list.querySelector(`[data-position="${position}"]`);
    if (!row) {
      const found = await get(`/v1/timeline/${position}`, {}, this.signal);
      row = this.row(found);
      this.list.prepend(h("h2", { class: "day" }, "Opened from its address"), h("ol", { class: "records" }, row));
      this.mark();
    }
    const body = h("div", { class: "record-open", id: `record-${position}` }, h("p", { class: "muted", role: "status" }, "Loading…"));
    row.append(body);
    if (isFirst) row.scrollIntoView({ block: "center" });
    await openRecord(body, position, this.context, this.signal);
  }

  mark() {
    for (const each of this.list.querySelectorAll(".record-line")) {
      const isOpen = Number(each.parentElement.dataset.position) === this.opened;
      each.setAttribute("aria-expanded", String(isOpen));
    }
  }

  rows() {
    const columns = ["position", "recorded_at", "occurred_at", "account", "actor", "type", "stream", "sentence", "marks", "tags"];
    return [columns, ...this.entries.map((each) => [
      each.position, each.recorded_at, each.occurred_at, each.stream.split("/")[1], each.actor, each.type, each.stream, each.sentence,
      each.marks.map((mark) => mark.kind).join(" "), each.tags.join(" "),
    ])];
  }

  stop() {
    this.stream?.stop();
    clearTimeout(this.timer);
  }
}

/** Return what a page is of: all of the address but what is open in it. */
function keyOf(params) {
  return JSON.stringify([...params].filter(([name]) => name !== "record").sort());
}

// What was recorded at the instant itself is included.
function following(text) {
  const next = BigInt(text.slice(20, 29).padEnd(9, "0")) + 1n;
  return next > 999_999_999n ? text : `${text.slice(0, 20)}${String(next).padStart(9, "0")}Z`;
}

function jumpForm(onJump) {
  const error = h("span", { class: "error", id: "jump-error", role: "alert" });
  const input = h("input", { type: "text", name: "jump", placeholder: "14:03", autocomplete: "off", "aria-describedby": "jump-error" });
  return h("form", {
    class: "jump",
    on: {
      submit: (event) => {
        event.preventDefault();
        try {
          onJump(input.value);
          fill(error, "");
        } catch (problem) {
          if (!(problem instanceof WrongTime)) throw problem;
          input.setAttribute("aria-invalid", "true");
          fill(error, problem.message);
        }
      },
    },
  }, h("label", { class: "field" }, "Jump to a time", input), h("button", { class: "button" }, "Jump"), error);
}
