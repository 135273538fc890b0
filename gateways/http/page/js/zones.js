// Time zones: every time on the page is in the one that is shown, and can be read in another by one press.

import { change, here } from "./address.js";

const STORED = "eventstore-zone";
const LOCAL = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
const formats = new Map();
let exchangeZones = {};

export function setExchangeZones(zones) {
  exchangeZones = zones;
}

/** Return the choices: each with its zone, or null where it is not known and why. */
export function choices() {
  const { params } = here();
  const account = params.get("account");
  const all = [...new Set(Object.values(exchangeZones))];
  const exchange = (account && exchangeZones[account]) || (all.length === 1 ? all[0] : null);
  const why = all.length > 1 ? "the accounts' exchanges differ: choose an account" : "no trading day with a zone is recorded";
  return [
    { name: "utc", label: "UTC", zone: "UTC" },
    { name: "exchange", label: "Exchange", zone: exchange, why: exchange ? "" : why },
    { name: "local", label: "Local", zone: LOCAL },
  ];
}

/** Return the choice in force: the address's, else the last one here, else UTC. */
export function chosen() {
  const asked = here().params.get("zone") ?? localStorage.getItem(STORED) ?? "utc";
  const all = choices();
  return all.find((each) => each.name === asked && each.zone) ?? all[0];
}

export function choose(name) {
  localStorage.setItem(STORED, name);
  change({ zone: name }, { replace: true });
}

const INSTANT = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?(Z|[+-]\d{2}:\d{2})$/;

/** Return whether a text is an instant as the service writes them. */
export const isInstant = (text) => INSTANT.test(text) && !Number.isNaN(msOf(text));

/** Return the name of an address's time that is not an instant; undefined if all are. */
export const wrongTime = (params) => ["at", "known_by"].find((name) => params.get(name) && !isInstant(params.get(name)));

/** Return an instant's milliseconds, for drawing and for counting down. */
export function msOf(text) {
  const [, second, fraction = "", offset] = INSTANT.exec(text);
  return Date.parse(`${second}.${fraction.padEnd(3, "0").slice(0, 3)}${offset}`);
}

/** Return the parts of an instant, ISO text with an offset and up to nine digits, in the zone that is shown. */
export function inZone(text, zone = chosen().zone) {
  const ms = msOf(text);
  const found = Object.fromEntries(formatOf(zone).formatToParts(ms).map(({ type, value }) => [type, value]));
  return {
    date: `${found.year}-${found.month}-${found.day}`,
    time: `${found.hour}:${found.minute}:${found.second}`,
    fraction: (/\.(\d+)/.exec(text)?.[1] ?? "").padEnd(9, "0"),
    zone: found.timeZoneName,
  };
}

function formatOf(zone) {
  if (!formats.has(zone)) {
    formats.set(zone, new Intl.DateTimeFormat("en-US", {
      timeZone: zone, hourCycle: "h23", year: "numeric", month: "2-digit", day: "2-digit",
      hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "short",
    }));
  }
  return formats.get(zone);
}

/** Return a time of day; `digits` of the second: 0, 3, 6 or 9. */
export function clockTime(text, digits = 0) {
  const { time, fraction } = inZone(text);
  return digits ? `${time}.${fraction.slice(0, digits)}` : time;
}

/** Return date, time and zone. */
export function fullTime(text, digits = 0) {
  const { date, time, fraction, zone } = inZone(text);
  return `${date} ${time}${digits ? `.${fraction.slice(0, digits)}` : ""} ${zone}`;
}

/** Return the time of day with the zone, with the date before it if that is another day than now. */
export function nearTime(text, now) {
  const { date, time, zone } = inZone(text);
  const today = inZone(new Date(now).toISOString()).date;
  return `${date === today ? "" : `${date} `}${time} ${zone}`;
}

export class WrongTime extends Error {}

const TYPED = /^(?:(\d{4}-\d{2}-\d{2})[ T]?)?(?:(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?)?\s*(Z|[+-]\d{2}:?\d{2})?$/;

/** Return what a person typed as ISO text with an offset; without a date it is on `day`. Raises WrongTime in words. */
export function typedTime(text, day) {
  const match = TYPED.exec(text.trim());
  if (!match || (!match[1] && !match[2])) throw new WrongTime("Write a time as 14:03, 14:03:20 or 2025-11-19 14:03.");
  const [, date = day, hour = "00", minute = "00", second = "00", fraction = "", offset] = match;
  const time = `${hour.padStart(2, "0")}:${minute}:${second}`;
  const ms = Date.parse(`${date}T${time}Z`);
  if (Number.isNaN(ms) || new Date(ms).toISOString().slice(0, 19) !== `${date}T${time}`) throw new WrongTime(`${date} ${time} is not a time.`);
  const digits = fraction.padEnd(9, "0");
  if (offset) return utcText(ms - offsetMs(offset), digits);
  const fits = instantsOf(ms, date, time);
  const { label, zone } = chosen();
  if (fits.length === 0) throw new WrongTime(`${date} ${time} does not exist in ${zone}: clocks were put forward then.`);
  if (fits.length > 1) throw new WrongTime(`${date} ${time} comes twice in ${zone} (${label}): add an offset, such as -06:00.`);
  return utcText(fits[0], digits);
}

function instantsOf(ms, date, time) {
  const found = new Set();
  // The offsets of a day before and after are all that can hold.
  for (const near of [ms - 86_400_000, ms, ms + 86_400_000]) {
    const there = inZone(new Date(near).toISOString());
    const candidate = ms - (Date.parse(`${there.date}T${there.time}Z`) - near);
    const back = inZone(new Date(candidate).toISOString());
    if (back.date === date && back.time === time) found.add(candidate);
  }
  return [...found];
}

function offsetMs(text) {
  if (text === "Z") return 0;
  const digits = text.replace(":", "");
  const size = Number(digits.slice(1, 3)) * 60 + Number(digits.slice(3, 5));
  return (digits[0] === "-" ? -1 : 1) * size * 60_000;
}

export const utcText = (ms, digits = "000000000") => `${new Date(ms).toISOString().slice(0, 19)}.${digits}Z`;

/** Return the text of an instant in ms, with the nine digits that the service takes. */
export function instantText(ms) {
  const whole = Math.round(ms);
  return utcText(whole, `${String(((whole % 1000) + 1000) % 1000).padStart(3, "0")}000000`);
}

/** Return how long something takes still: 2 h 14 min 09 s; days above one day. */
export function duration(ms) {
  const all = Math.max(0, Math.ceil(ms / 1000));
  const [days, hours, minutes, seconds] = [Math.floor(all / 86_400), Math.floor(all / 3600) % 24, Math.floor(all / 60) % 60, all % 60];
  const two = (number) => String(number).padStart(2, "0");
  if (days) return `${days} d ${two(hours)} h ${two(minutes)} min`;
  return hours ? `${hours} h ${two(minutes)} min ${two(seconds)} s` : minutes ? `${minutes} min ${two(seconds)} s` : `${seconds} s`;
}
