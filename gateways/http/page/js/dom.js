// Elements without markup: text is always text, whatever it contains.

const SVG = "http://www.w3.org/2000/svg";

/** Return an element. `props`: class, on (listeners), and attributes; null and false leave one out. */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) set(element, name, value);
  append(element, children);
  return element;
}

function set(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name === "class") element.className = Array.isArray(value) ? value.filter(Boolean).join(" ") : value;
  else if (name === "on") for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
  else if (name === "value") element.value = value;
  else element.setAttribute(name, value === true ? "" : String(value));
}

function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false || child === "") continue;
    element.append(child instanceof Node ? child : String(child));
  }
}

/** Replace what an element holds with new elements: what a view keeps hold of, and what listens, has to be these. */
export function put(element, ...children) {
  const fresh = document.createDocumentFragment();
  append(fresh, children);
  element.replaceChildren(fresh);
  return element;
}

/**
 * Replace what an element holds, only where it differs: focus and selection stay where nothing changed. Listeners stay
 * those of the first time, so they have to ask for what is current.
 */
export function fill(element, ...children) {
  const fresh = document.createDocumentFragment();
  append(fresh, children);
  merge(element, fresh);
  return element;
}

function merge(old, fresh) {
  const wanted = [...fresh.childNodes];
  const present = [...old.childNodes];
  wanted.forEach((node, index) => {
    const before = present[index];
    if (before === undefined) old.append(node);
    else if (!before.isEqualNode(node)) {
      if (canKeep(before, node)) {
        copyAttributes(before, node);
        merge(before, node);
      } else before.replaceWith(node);
    }
  });
  for (const extra of present.slice(wanted.length)) extra.remove();
}

// What listens to events is replaced whole, as listeners cannot be compared; plain elements are kept.
const KEPT = new Set(["DIV", "SECTION", "ARTICLE", "DL", "DT", "DD", "UL", "LI", "TABLE", "THEAD", "TBODY", "TR", "TD", "TH",
  "SPAN", "P", "HEADER", "H2", "H3", "DETAILS", "SUMMARY", "TIME"]);

function canKeep(before, node) {
  return before.nodeType === 1 && node.nodeType === 1 && before.tagName === node.tagName && KEPT.has(node.tagName)
    && before.dataset.key === node.dataset.key;
}

function copyAttributes(before, node) {
  // Whether a person has opened something is theirs to say.
  const stays = before.tagName === "DETAILS" ? "open" : null;
  for (const { name } of [...before.attributes]) if (!node.hasAttribute(name) && name !== stays) before.removeAttribute(name);
  for (const { name, value } of [...node.attributes]) if (before.getAttribute(name) !== value) before.setAttribute(name, value);
}

const PATHS = {
  lock: "M5 9V6.5a5 5 0 0 1 10 0V9h.5A1.5 1.5 0 0 1 17 10.500v6A1.500 1.500 0 0 1 15.500 18h-11A1.500 1.500 0 0 1 3 16.500v-6A1.500 1.500 0 0 1 4.500 9zm2 0h6V6.500a3 3 0 0 0-6 0z",
  free: "M8.300 14.900 3.800 10.400l1.500-1.500 3 3 6.400-6.400 1.500 1.500z",
  warning: "M10 2.500 18.500 17h-17zM9 8v4.500h2V8zm0 5.500v2h2v-2z",
  unknown: "M10 2a8 8 0 1 0 0 16 8 8 0 0 0 0-16zm-.9 12.800v-1.900H11v1.900zm.1-3.200c0-2.400 2.200-2.300 2.200-3.900 0-.8-.6-1.300-1.500-1.300-.8 0-1.400.4-1.800 1.200l-1.500-.8c.6-1.300 1.700-2.100 3.400-2.100 2 0 3.300 1.100 3.300 2.800 0 2.400-2.400 2.500-2.400 4.100z",
  clock: "M10 2a8 8 0 1 0 0 16 8 8 0 0 0 0-16zm0 1.800a6.200 6.200 0 1 1 0 12.400 6.200 6.200 0 0 1 0-12.400zM9.100 5.500v5l3.600 2.200.9-1.500-2.700-1.600V5.500z",
  wrong: "M10 2a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM6.900 5.700 10 8.800l3.100-3.100 1.200 1.200L11.200 10l3.100 3.100-1.200 1.200L10 11.200l-3.100 3.100-1.200-1.200L8.800 10 5.700 6.900z",
};

/** Return a small drawing that says what a word beside it says as well. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.setAttribute("class", `icon icon-${name}`);
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("focusable", "false");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PATHS[name]);
  path.setAttribute("fill-rule", "evenodd");
  svg.append(path);
  return svg;
}

/** Say something to who listens to the page: once, after what is said now, and never the same twice in a row. */
export function announce(text) {
  const region = document.getElementById("announcements");
  if (region.textContent !== text) region.textContent = text;
}
