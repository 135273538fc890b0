// Where the page is: the view and its state, all of it in the address, so that it can be kept and sent.

export const PREFIX = "/app";
const listeners = [];

/** Return the view and the parameters of the address. */
export function here() {
  const view = location.pathname.slice(PREFIX.length + 1).split("/")[0] || "now";
  return { view, params: new URLSearchParams(location.search) };
}

/** Return the address of a view; of the parameters that every view has, the zone and the past stay. */
export function hrefOf(view, params = {}) {
  const found = new URLSearchParams();
  const { params: now } = here();
  for (const name of ["zone", "at", "known_by"]) if (now.has(name) && !(name in params)) found.set(name, now.get(name));
  for (const [name, value] of Object.entries(params)) if (value !== null && value !== undefined && value !== "") found.set(name, value);
  const query = found.toString();
  return `${PREFIX}/${view}${query ? `?${query}` : ""}`;
}

/** Go to a view; `replace` leaves no step for the back button: for what follows a slider. */
export function go(href, { replace = false } = {}) {
  if (href === location.pathname + location.search) return;
  if (replace) history.replaceState(null, "", href);
  else history.pushState(null, "", href);
  for (const listener of listeners) listener();
}

/** Change parameters of this view; null removes one. */
export function change(changes, options) {
  const { view, params } = here();
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === undefined || value === "") params.delete(name);
    else params.set(name, value);
  }
  const query = params.toString();
  go(`${PREFIX}/${view}${query ? `?${query}` : ""}`, options);
}

/** Call a function whenever the address changes, by a link, the back button or the page itself. */
export function onChange(listener) {
  if (listeners.length === 0) {
    addEventListener("popstate", () => listeners.forEach((each) => each()));
    document.addEventListener("click", follow);
  }
  listeners.push(listener);
}

function follow(event) {
  const link = event.target.closest?.("a[href]");
  if (!link || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  if (link.origin !== location.origin || link.hasAttribute("download") || link.target) return;
  if (!link.pathname.startsWith(`${PREFIX}/`) || link.pathname.startsWith(`${PREFIX}/files/`) || link.hash) return;
  event.preventDefault();
  go(link.pathname + link.search);
}
