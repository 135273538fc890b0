// Following the log: server-sent events read by fetch, since only fetch can send the key in a header.

import { headers, problemOf, urlOf } from "./api.js";

const SILENCE_MS = 45_000;
const WAIT_MS = [500, 1000, 2000, 5000, 10_000];

/**
 * Follow the log past a position until `stop()`. `onRecord` gets each record, `onState` "live", "lost" or "refused" with
 * words. What was cut off is resumed where it stopped.
 */
export function follow({ after, params = {}, onRecord, onState }) {
  const ended = new AbortController();
  let position = after;
  let tries = 0;
  let logId = null;

  // Another log under the same address: nothing that is shown holds any longer.
  function sameLog(id) {
    if (logId !== null && logId !== id) location.reload();
    logId = id;
  }

  async function once() {
    const silence = new AbortController();
    const signal = AbortSignal.any([ended.signal, silence.signal]);
    let timer = setTimeout(() => silence.abort(), SILENCE_MS);
    // A network that is gone closes no connection by itself.
    const gone = () => silence.abort();
    addEventListener("offline", gone);
    try {
      const answer = await fetch(urlOf("/v1/follow", { ...params, after: position }), {
        headers: headers({ accept: "text/event-stream", "last-event-id": String(position) }), signal, cache: "no-store",
      });
      if (!answer.ok) throw await problemOf(answer);
      tries = 0;
      onState("live", "");
      for await (const event of eventsOf(answer.body)) {
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(), SILENCE_MS);
        if (event.id) position = Number(event.id);
        if (event.name === "record") onRecord(JSON.parse(event.data));
        else if (event.name === "log") sameLog(JSON.parse(event.data).log_id);
        else if (event.name === "closed") throw new Error(JSON.parse(event.data).detail ?? "the service has closed the stream");
      }
      throw new Error("the service has closed the stream");
    } finally {
      clearTimeout(timer);
      removeEventListener("offline", gone);
    }
  }

  async function run() {
    while (!ended.signal.aborted) {
      try {
        await once();
      } catch (error) {
        if (ended.signal.aborted) return;
        const refused = error.status >= 400 && error.status < 500 && error.status !== 429;
        onState(refused ? "refused" : "lost", error.status ? error.message : "The connection is lost.");
        if (refused) return;
        await pause(WAIT_MS[Math.min(tries++, WAIT_MS.length - 1)], ended.signal);
      }
    }
  }

  run();
  return { stop: () => ended.abort(), get position() { return position; } };
}

function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
    // A phone that wakes up, or whose network is back, need not wait.
    addEventListener("online", () => { clearTimeout(timer); resolve(); }, { once: true });
  });
}

async function* eventsOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    const blocks = rest.split(/\r?\n\r?\n/);
    rest = blocks.pop();
    // A comment alone is a heartbeat: it ends the silence as well.
    for (const block of blocks) yield eventOf(block);
  }
}

function eventOf(block) {
  const found = { id: null, name: "message", data: "" };
  for (const line of block.split(/\r?\n/)) {
    if (line.startsWith(":")) { found.name = "heartbeat"; continue; }
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "data") found.data += (found.data ? "\n" : "") + value;
    else if (name === "id") found.id = value;
    else if (name === "event") found.name = value;
  }
  return found;
}
