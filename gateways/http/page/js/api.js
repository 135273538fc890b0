// Asking the service: the key, the answers, and what went wrong in words.

const KEY = "eventstore-key";
const TIMEOUT_MS = 30_000;
let clockAhead = 0;

/** What the service answers when it refuses: a problem document (RFC 9457). */
export class ProblemDocument extends Error {
  constructor(status, body) {
    super(body.detail || body.title || `the service answered ${status}`);
    this.status = status;
    this.body = body;
  }
}

/** The service did not answer at all. */
export class Unreachable extends Error {
  constructor() {
    super("The service does not answer: it was stopped, or the network is down.");
  }
}

export const keptKey = () => sessionStorage.getItem(KEY);
export const keepKey = (key) => (key ? sessionStorage.setItem(KEY, key) : sessionStorage.removeItem(KEY));

export function headers(more = {}) {
  const key = keptKey();
  return key ? { ...more, authorization: `Bearer ${key}` } : more;
}

/** Return the path with a query of what is given; lists repeat their name. */
export function urlOf(path, params = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value === null || value === undefined || value === "") continue;
    for (const each of Array.isArray(value) ? value : [value]) query.append(name, each);
  }
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

export const get = (path, params, signal) => ask(urlOf(path, params), { signal });

export const post = (path, body, options = {}) =>
  ask(path, { ...options, method: "POST", body: JSON.stringify(body ?? {}), headers: { "content-type": "application/json" } });

async function ask(url, options) {
  const answer = await send(url, options);
  const text = await answer.text();
  return text ? JSON.parse(text) : null;
}

async function send(url, { signal, headers: more, timeout = TIMEOUT_MS, ...options } = {}) {
  const signals = [...(timeout ? [AbortSignal.timeout(timeout)] : []), ...(signal ? [signal] : [])];
  let answer;
  try {
    answer = await fetch(url, { ...options, headers: headers({ accept: "application/json", ...more }), signal: AbortSignal.any(signals) });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Unreachable();
  }
  if (!answer.ok) throw await problemOf(answer);
  return answer;
}

/** Return what an answer that is none says. */
export async function problemOf(answer) {
  const body = await answer.json().catch(() => ({}));
  if (answer.status === 401) document.dispatchEvent(new CustomEvent("needs-key", { detail: body.detail }));
  return new ProblemDocument(answer.status, body);
}

/** The time by the service's clock, in ms: a phone's clock may be wrong by minutes. */
export const nowMs = () => Date.now() + clockAhead;

export function setClock(text) {
  clockAhead = Date.parse(text.replace(/(\.\d{3})\d*/, "$1")) - Date.now();
}

/** Save what the service exports as a file of the reader's. The key goes in a header, never in the address. */
export async function save(path, params, name) {
  const answer = await send(urlOf(path, params), { timeout: null });
  saveBlob(await answer.blob(), name);
}

export function saveBlob(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Return what to say of an error: what happened, and what to do. */
export function wordsOf(error) {
  if (error instanceof Unreachable) return [error.message, "The page tries again by itself."];
  if (error instanceof ProblemDocument) {
    if (error.status === 403) return [`No rights: ${error.message}.`, error.body.next];
    return [error.message, error.body.next];
  }
  return [`The page failed: ${error.message}`, "Load it again."];
}
