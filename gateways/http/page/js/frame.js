// The frame around every view: where one is, whether it is live, the zone, and the band while in the past.

import { change, here, hrefOf } from "./address.js";
import { announce, fill, h, icon } from "./dom.js";
import { choices, choose, chosen, fullTime, wrongTime } from "./zones.js";

const VIEWS = [["now", "Now"], ["timeline", "Timeline"], ["as-of", "As of"], ["health", "Health"]];
const STATES = {
  live: ["Live", "free"],
  paused: ["Paused", "clock"],
  lost: ["Connection lost", "wrong"],
  refused: ["Not live", "warning"],
  past: ["Past", "clock"],
  connecting: ["Connecting", "clock"],
};
let state = "connecting";

/** Show which view this is, and in which zone times are. */
export function showFrame(context) {
  const { view, params } = here();
  fill(document.getElementById("log"), context ? context.log : "");
  const keep = params.get("account") ? { account: params.get("account") } : {};
  fill(document.getElementById("tabs"), h("ul", {}, VIEWS.map(([name, label]) =>
    h("li", {}, h("a", { href: hrefOf(name, keep), "aria-current": name === view ? "page" : null }, label)))));
  document.title = `${VIEWS.find(([name]) => name === view)?.[1] ?? "Event store"} · ${context?.log ?? "event store"}`;
  showZone();
  showBand();
}

// Made once: what is replaced while it has the focus would lose it.
const zoneControl = { inputs: new Map(), legend: null, name: null };

function showZone() {
  const now = chosen();
  if (zoneControl.inputs.size === 0) makeZoneControl();
  zoneControl.legend.textContent = `Time zone: times are in ${now.zone}`;
  for (const each of choices()) {
    const { input, label } = zoneControl.inputs.get(each.name);
    input.checked = each.name === now.name;
    input.disabled = !each.zone;
    label.title = each.zone ?? each.why;
  }
  zoneControl.name.textContent = now.zone.replaceAll("_", " ");
}

function makeZoneControl() {
  const labels = choices().map((each) => {
    const input = h("input", { type: "radio", name: "zone", value: each.name, on: { change: () => choose(each.name) } });
    const label = h("label", { class: "zone-choice" }, input, h("span", {}, each.label));
    zoneControl.inputs.set(each.name, { input, label });
    return label;
  });
  zoneControl.legend = h("legend", { class: "visually-hidden" });
  zoneControl.name = h("span", { class: "zone-name" });
  fill(document.getElementById("zone"), h("fieldset", { class: "zones" }, zoneControl.legend, labels), zoneControl.name);
}

function showBand() {
  const { params } = here();
  const [at, known] = wrongTime(params) ? [null, null] : [params.get("at"), params.get("known_by")];
  document.body.classList.toggle("is-past", Boolean(at || known));
  fill(document.getElementById("band"), (at || known) && h("div", { class: "band", role: "region", "aria-label": "The past" },
    icon("clock"),
    h("p", {}, h("strong", {}, "You are looking at the past. "),
      at ? `What had happened by ${fullTime(at)}` : "What had happened until then",
      known ? `, as it was known at ${fullTime(known)}.` : ", as it is known now."),
    h("button", { class: "button on-band", on: { click: () => change({ at: null, known_by: null }) } }, "Back to now")));
}

/** Say whether what is shown is live: in words, and once to who listens. */
export function showState(next, words = "") {
  const [label, drawing] = STATES[next];
  fill(document.getElementById("connection"),
    h("p", { class: `connection is-${next}`, title: words || null }, icon(drawing), h("span", {}, label)));
  if (next !== state && (next === "lost" || state === "lost")) announce(next === "lost" ? "Connection lost. What is shown is no longer current." : label);
  document.body.classList.toggle("is-lost", next === "lost");
  state = next;
}

/** Return a notice: what happened, and what to do. */
export function notice(kind, title, text, ...more) {
  return h("section", { class: `notice is-${kind}`, role: kind === "wrong" ? "alert" : null },
    icon(kind === "wrong" ? "wrong" : kind === "warning" ? "warning" : "unknown"),
    h("div", {}, h("h2", {}, title), text && h("p", {}, text), more));
}
