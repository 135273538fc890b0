// Starts the page: asks who is asking, shows the view of the address, and starts again whenever that changes.

import { change, here, onChange } from "./address.js";
import { get, keepKey, keptKey, setClock, wordsOf } from "./api.js";
import { fill, h } from "./dom.js";
import { notice, showFrame, showState } from "./frame.js";
import { setExchangeZones, wrongTime } from "./zones.js";

const VIEWS = {
  now: () => import("./now.js"),
  timeline: () => import("./timeline.js"),
  "as-of": () => import("./asof.js"),
  health: () => import("./health.js"),
};
const AGAIN_MS = 3000;
const root = document.getElementById("view");
let context = null;
let shown = { view: null, controller: null, stop: null, update: null };

const moduleOf = (view) => (VIEWS[view] ?? VIEWS.now)();

async function start() {
  // The view's modules come while the service answers who is asking.
  moduleOf(here().view).catch(() => {});
  try {
    context = await get("/v1/page");
    setClock(context.now);
    setExchangeZones(context.zones);
  } catch (error) {
    showFrame(null);
    if (error.status === 401) return askForKey(keptKey() ? error.message : "");
    showState("lost");
    const [what, next] = wordsOf(error);
    fill(root, notice("wrong", "The service cannot be reached", what, next && h("p", {}, next)));
    setTimeout(start, AGAIN_MS);
    return;
  }
  await show();
}

async function show() {
  if (!context) return;
  const { view } = here();
  showFrame(context);
  const wrong = wrongTime(here().params);
  if (wrong) return refuseTime(wrong);
  // A view may take a change of its address by itself, such as what is open in it.
  if (view === shown.view && shown.update?.(here().params)) return;
  shown.controller?.abort();
  shown.stop?.();
  const controller = new AbortController();
  const moved = view !== shown.view;
  shown = { view, controller, stop: null, update: null };
  if (moved) {
    fill(root, h("p", { class: "loading", role: "status" }, "Loading…"));
    scrollTo(0, 0);
  }
  try {
    const module = await moduleOf(view);
    if (controller.signal.aborted) return;
    const handle = await module.show(root, { context, params: here().params, signal: controller.signal });
    if (controller.signal.aborted) return handle?.stop?.();
    Object.assign(shown, handle ?? {});
  } catch (error) {
    if (controller.signal.aborted) return;
    failed(error);
  }
  root.setAttribute("data-ready", view);
}

/** Say that the address has a time that cannot be read: shown without it, the present would look like the past. */
function refuseTime(name) {
  shown.controller?.abort();
  shown.stop?.();
  shown = { view: null, controller: null, stop: null, update: null };
  showState("paused");
  const what = `The address says ${name}=${here().params.get(name)}, which is not an instant: write it like 2025-11-19T14:03:00Z.`;
  fill(root, h("h1", {}, "When?"), notice("wrong", "This time cannot be read", what,
    h("p", {}, h("button", { class: "button", type: "button", on: { click: () => change({ at: null, known_by: null }) } }, "Back to now"))));
  root.setAttribute("data-ready", "wrong-time");
}

function failed(error) {
  if (error.status === 401) return askForKey(error.message);
  const [what, next] = wordsOf(error);
  const rights = error.status === 403;
  fill(root, notice(rights ? "warning" : "wrong", rights ? "You may not see this" : "This could not be shown", what,
    next && h("p", {}, next), h("p", {}, h("button", { class: "button", on: { click: show } }, "Try again"))));
}

function askForKey(why) {
  showState("refused");
  const input = h("input", { id: "key", name: "key", type: "password", autocomplete: "off", required: true, spellcheck: "false", "aria-describedby": "key-help" });
  fill(root, h("form", {
    class: "key-form",
    on: {
      submit: (event) => {
        event.preventDefault();
        keepKey(input.value.trim());
        start();
      },
    },
  },
  h("h1", {}, "API key"),
  why && h("p", { class: "why", role: "alert" }, `${why}.`),
  h("label", { for: "key" }, "Your key"), input,
  h("p", { id: "key-help", class: "help" }, "It stays in this tab until you close it, and is sent to this service alone. An administrator makes one by: eventstore api-keys add --scope read NAME"),
  h("button", { class: "button is-main" }, "Open")));
  root.setAttribute("data-ready", "key");
  input.focus();
}

onChange(show);
document.addEventListener("needs-key", () => { shown.controller?.abort(); shown.stop?.(); });
start();
