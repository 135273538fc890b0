// One record of the timeline as a line: when, whose, what it says, and what marks it.

import { h } from "./dom.js";
import { count } from "./numbers.js";
import { clockTime, fullTime, inZone, msOf } from "./zones.js";

const MARKS = {
  LATE: "late", AHEAD: "ahead of its time", REPEATS: "repeated", BUSTS: "busts", CORRECTS: "corrects", BUSTED: "busted",
  CORRECTED: "corrected", UNREAD: "cannot be read",
};

/** Return a record's line, which opens and closes what lies behind it. */
export function recordRow(entry, { withAccount, isFresh, onOpen }) {
  const account = entry.stream.split("/")[1];
  const digits = 3;
  const isLockout = entry.type.startsWith("Lockout");
  return h("li", { class: ["record", isLockout && "is-lockout", isFresh && "is-fresh"], "data-position": entry.position },
    h("button", { class: "record-line", type: "button", "aria-expanded": "false", on: { click: onOpen } },
      h("time", { class: "record-time", datetime: entry.recorded_at, title: fullTime(entry.recorded_at, 9) }, clockTime(entry.recorded_at, digits)),
      h("span", { class: "record-account" }, account === "-" ? "all" : withAccount ? account : subject(entry)),
      h("span", { class: "record-sentence" }, entry.sentence, ...marks(entry)),
      h("span", { class: "record-position" }, count(entry.position))));
}

/** Return what a record is about, for a timeline of one account: the order, the symbol, the rule. */
function subject(entry) {
  const [, , entity] = entry.stream.split("/");
  const name = entry.data?.symbol ?? entry.data?.rule_id ?? (entity === "-" ? "" : decodeURIComponent(entity));
  return name.length > 14 ? `${name.slice(0, 13)}…` : name;
}

function marks(entry) {
  return [
    ...entry.marks.map((each) => h("span", { class: "tag is-warning", title: markTitle(each) },
      MARKS[each.kind] ?? (each.text || each.kind).toLowerCase().replaceAll("_", " "))),
    ...entry.notes.map(() => h("span", { class: "tag is-plain" }, "note")),
    ...entry.tags.map((each) => h("span", { class: "tag is-plain" }, each)),
    entry.error && h("span", { class: "tag is-warning" }, "a view failed on it"),
    lateness(entry),
  ].filter(Boolean).flatMap((each) => [" ", each]);
}

const markTitle = ({ text, position }) => [text, position && `position ${count(position)}`].filter(Boolean).join(", ") || null;

/** Return when it happened, where that is another second than when it was recorded. */
function lateness(entry) {
  const [happened, recorded] = [msOf(entry.occurred_at), msOf(entry.recorded_at)];
  if (Math.abs(recorded - happened) < 2000) return null;
  const there = inZone(entry.occurred_at);
  const day = there.date === inZone(entry.recorded_at).date ? "" : `${there.date} `;
  return h("span", { class: "tag is-plain" }, `happened ${day}${there.time}`);
}
