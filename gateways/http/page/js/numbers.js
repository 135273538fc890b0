// Figures as text: the store sends decimals as text, and they never become floats on the way to the eye.

const MINUS = "−";

/** Return a decimal with groups of three and a true minus sign: -9758.85 is −9,758.85. */
export function grouped(text) {
  const { sign, whole, fraction } = parts(text);
  return `${sign ? MINUS : ""}${whole.replace(/\B(?=(\d{3})+$)/g, ",")}${fraction ? `.${fraction}` : ""}`;
}

/** Return a decimal rounded to some digits, half to even, with exactly that many. */
export function rounded(text, digits) {
  const { sign, whole, fraction } = parts(text);
  const shown = BigInt(whole + fraction.slice(0, digits).padEnd(digits, "0"));
  const rest = fraction.slice(digits);
  const half = `5${"0".repeat(Math.max(rest.length - 1, 0))}`;
  const up = rest > half || (rest === half && shown % 2n === 1n);
  const all = (up ? shown + 1n : shown).toString().padStart(digits + 1, "0");
  const body = digits ? `${all.slice(0, -digits)}.${all.slice(-digits)}` : all;
  return `${sign && /[1-9]/.test(body) ? "-" : ""}${body}`;
}

/** Return an amount of money: two decimals, more only where the amount has more. */
export function money(text) {
  const { fraction } = parts(text);
  const digits = Math.min(Math.max(fraction.replace(/0+$/, "").length, 2), 4);
  return grouped(rounded(text, digits));
}

/** Return an amount with its sign, also of a gain. */
export const signed = (text) => (isPositive(text) ? `+${money(text)}` : money(text));

/** Return a quantity or a price as it is, with groups; of a quotient, eight decimals. */
export function plain(text) {
  const { fraction } = parts(text);
  return grouped(fraction.length > 8 ? rounded(text, 8).replace(/\.?0+$/, "") : text);
}

/** Return a share as a percentage with one decimal. */
export function percent(text) {
  const { sign, whole, fraction } = parts(text);
  const moved = `${whole}${fraction.padEnd(2, "0").slice(0, 2)}`.replace(/^0+(?=\d)/, "");
  return `${grouped(rounded(`${sign ? "-" : ""}${moved}.${fraction.slice(2) || "0"}`, 1))} %`;
}

export const isNegative = (text) => text.startsWith("-") && /[1-9]/.test(text);
export const isPositive = (text) => !text.startsWith("-") && /[1-9]/.test(text);
export const isZero = (text) => !/[1-9]/.test(text);
export const negated = (text) => (text.startsWith("-") ? text.slice(1) : `-${text}`);

/** Return a count with groups. */
export const count = (number) => grouped(String(number));

function parts(text) {
  const match = /^([+-]?)(\d+)(?:\.(\d+))?$/.exec(String(text));
  if (!match) throw new RangeError(`${text} is not a decimal`);
  return { sign: match[1] === "-", whole: match[2].replace(/^0+(?=\d)/, "") || "0", fraction: match[3] ?? "" };
}
