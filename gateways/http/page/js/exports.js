// Saving what is shown: as a table, as records, as a bundle that proves itself, or on paper.

import { save, saveBlob, wordsOf } from "./api.js";
import { announce, fill, h } from "./dom.js";

/**
 * Return a menu of exports. `what()` gives what is shown: `rows` for a table of its own, and `account`, `types`, `start`
 * and `stop` of the records behind it.
 */
export function exportMenu(what) {
  const said = h("p", { class: "help", role: "status" });
  const run = (label, action) => h("li", {}, h("button", {
    class: "menu-item", type: "button",
    on: {
      click: async (event) => {
        const menu = event.target.closest("details");
        fill(said, `${label}: being made…`);
        try {
          await action(what());
          fill(said, "");
          menu.open = false;
          announce(`${label}: saved`);
        } catch (error) {
          fill(said, `${label}: ${wordsOf(error).filter(Boolean).join(" ")}`);
        }
      },
    },
  }, label));
  const menu = h("details", { class: "menu", "data-menu": "export" },
    h("summary", { class: "button" }, "Export"),
    h("div", { class: "menu-body" },
      h("ul", {},
        run("Table (CSV)", ({ rows, name }) => saveBlob(new Blob([csvOf(rows)], { type: "text/csv" }), `${name}.csv`)),
        run("Records (CSV)", (asked) => save("/v1/export.csv", filtersOf(asked), "records.csv")),
        run("Records (JSON lines)", (asked) => save("/v1/export.jsonl", filtersOf(asked), "records.jsonl")),
        run("Bundle with proofs", (asked) => save("/v1/export", filtersOf(asked), "bundle.zip")),
        run("Print", () => { menu.open = false; print(); })),
      said));
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
  return menu;
}

function filtersOf({ account, types, start, stop }) {
  return { account, types, start, stop };
}

/** Return rows as CSV (RFC 4180). What a spreadsheet would run as a formula is written as text. */
export function csvOf(rows) {
  return `${rows.map((row) => row.map(field).join(",")).join("\r\n")}\r\n`;
}

function field(value) {
  const text = String(value ?? "");
  const safe = /^[=@\t\r]|^[+-](?![\d.])/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
