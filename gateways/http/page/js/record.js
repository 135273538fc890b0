// One record whole: its data, what it changed, its causes and effects, its notes, and its proof.

import { hrefOf } from "./address.js";
import { get, post, saveBlob, wordsOf } from "./api.js";
import { changesOf, valueText, words } from "./changes.js";
import { announce, fill, h, put } from "./dom.js";
import { sentence } from "./figures.js";
import { count } from "./numbers.js";
import { chosen, fullTime } from "./zones.js";

const ROLES = {
  CAUSE: "caused by", ORIGIN: "began with", LIMIT: "limit", LIMIT_SET: "limit", EXECUTION: "execution", QUOTES: "prices", REQUEST: "asked for",
  FOLLOWED: "followed by", LOCKOUT: "locked",
};
const LINKS_MAX = 12;

/** Fill an element with all that is known of the record at a position. */
export async function openRecord(body, position, context, signal) {
  try {
    const entry = await get(`/v1/timeline/${position}`, { zone: chosen().zone }, signal);
    if (signal.aborted) return;
    draw(body, entry, context, signal);
    announce(`Record ${count(position)} opened`);
  } catch (error) {
    if (signal.aborted) return;
    fill(body, h("p", { class: "why is-wrong", role: "alert" }, wordsOf(error).filter(Boolean).join(" ")));
  }
}

function draw(body, entry, context, signal) {
  body.replaceChildren(
    h("div", { class: "record-column" },
      h("section", {}, h("h3", {}, "What was recorded"), dataOf(entry)),
      h("section", {}, h("h3", {}, "Place and proof"), placeOf(entry), proofOf(entry, signal)),
      h("section", {}, h("h3", {}, "Notes"), notesOf(entry, context, signal))),
    h("div", { class: "record-column" },
      h("section", {}, h("h3", {}, "What it changed"), changesOf(entry), unknowns(entry)),
      h("section", {}, h("h3", {}, "Causes and effects"), causesOf(entry))),
  );
}

function dataOf(entry) {
  const rows = Object.entries(entry.data);
  return [
    h("p", {}, h("strong", {}, entry.type), h("span", { class: "muted" }, ` · ${entry.stream}`)),
    rows.length === 0 ? h("p", { class: "muted" }, "Without further data.")
      : h("dl", { class: "data" }, rows.map(([name, value]) => [h("dt", {}, words(name)), h("dd", {}, instantOr(name, value))])),
  ];
}

// An event's own data are as they were stored: instants there are nanoseconds.
function instantOr(name, value) {
  if (typeof value === "number" && value > 1e17 && value < 1e19) {
    const text = `${new Date(Math.floor(value / 1e6)).toISOString().slice(0, 19)}.000000000Z`;
    return fullTime(text);
  }
  return valueText(value);
}

function unknowns(entry) {
  return [
    ...(entry.unknown ?? []).map((each) => h("p", { class: "why" }, sentence(each))),
    entry.error && h("p", { class: "why is-wrong" }, sentence(entry.error)),
  ];
}

function causesOf({ causes, effects }) {
  if (causes.length + effects.length === 0) return h("p", { class: "muted" }, "The log names neither a cause nor an effect.");
  return [list("Because of", causes), list("What followed", effects)];
}

function list(title, links) {
  if (!links?.length) return null;
  return [
    h("p", { class: "muted" }, title),
    h("ul", { class: "links plain-list" }, links.slice(0, LINKS_MAX).map((each) => h("li", {},
      h("span", { class: "role" }, ROLES[each.role] ?? each.role.toLowerCase().replaceAll("_", " ")),
      h("span", {}, h("a", { href: hrefOf("timeline", { account: each.record.stream.split("/")[1].replace(/^-$/, ""), record: each.record.position }) }, each.sentence),
        h("span", { class: "muted" }, ` · ${count(each.record.position)}`),
        each.links?.length ? list("", each.links) : null)))),
    links.length > LINKS_MAX && h("p", { class: "muted" }, `and ${count(links.length - LINKS_MAX)} more`),
  ];
}

function placeOf(entry) {
  const rows = [
    ["Position", `${count(entry.position)} of the log, version ${count(entry.version)} of its stream`],
    ["Recorded", fullTime(entry.recorded_at, 9)], ["Happened", fullTime(entry.occurred_at, 9)], ["By", entry.actor],
    entry.note && ["Note", entry.note],
  ].filter(Boolean);
  const exact = [["Id", entry.id], ["Digest", entry.digest], entry.correlation_id && ["Correlation", entry.correlation_id]].filter(Boolean);
  return h("dl", { class: "data" },
    rows.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
    exact.map(([name, value]) => [h("dt", {}, name), h("dd", { class: "mono" }, value)]));
}

function proofOf(entry, signal) {
  const said = h("div", { role: "status" });
  const check = h("button", {
    class: "button is-small", type: "button",
    on: {
      click: async () => {
        fill(said, h("p", { class: "muted" }, "Being proved…"));
        try {
          const proof = await get(entry.proof, {}, signal);
          put(said, proofWords(proof),
            h("p", {}, h("button", { class: "button is-small", type: "button", on: { click: () => saveBlob(new Blob([proof.proof], { type: "text/plain" }), `position-${entry.position}.tlog-proof`) } }, "Save the proof")));
        } catch (error) {
          fill(said, h("p", { class: "why is-wrong" }, wordsOf(error).filter(Boolean).join(" ")));
        }
      },
    },
  }, "Prove it");
  return h("div", { class: "proof" }, check, said);
}

function proofWords(proof) {
  return h("p", {}, `Its digest and ${count(proof.hashes.length)} others give the root of the log's first ${count(proof.size)} records, `,
    h("span", { class: "mono" }, proof.root), ". ",
    proof.signed ? "The root is signed by this log's key." : "The root is not signed: compare it with a checkpoint that is kept elsewhere.");
}

function notesOf(entry, context, signal) {
  const listed = h("div", { class: "plain-list" }, entry.notes.map(noteOf));
  const mayWrite = context.scopes.includes("append") || context.scopes.includes("audit");
  if (entry.stream.split("/")[1] === "-") return [listed, h("p", { class: "muted" }, "Notes are on what belongs to an account.")];
  if (!mayWrite) return [listed, entry.notes.length === 0 && h("p", { class: "muted" }, "None. Your key may not add any.")];
  const said = h("p", { class: "help", role: "status" });
  const text = h("textarea", { name: "text", rows: "2", required: true, maxlength: "4000" });
  const tags = h("input", { type: "text", name: "tags", placeholder: "breach, asked-broker" });
  return [listed, h("form", {
    class: "note-form",
    on: {
      submit: async (event) => {
        event.preventDefault();
        try {
          const account = entry.stream.split("/")[1];
          await post("/v1/notes", { account, target: entry.id, text: text.value, tags: tags.value.split(/[\s,]+/).filter(Boolean) });
          const fresh = await get(`/v1/timeline/${entry.position}`, {}, signal);
          fill(listed, fresh.notes.map(noteOf));
          event.target.reset();
          fill(said, "The note is recorded.");
        } catch (error) {
          fill(said, wordsOf(error).filter(Boolean).join(" "));
        }
      },
    },
  },
  h("label", { class: "field" }, "Add a note", text), h("label", { class: "field" }, "Tags", tags),
  h("div", {}, h("button", { class: "button is-small" }, "Record the note")), said)];
}

function noteOf(note) {
  return h("div", { class: "note" },
    h("p", {}, note.text), h("p", { class: "help" }, `${note.actor} · ${fullTime(note.added_at)} `,
      note.tags.map((each) => h("span", { class: "tag is-plain" }, each))));
}

