// The few words that the board's pages are written in. Text goes in as text, never as markup.

/**
 * @typedef {Node | string | number | null | undefined | false} Part
 * @typedef {Record<string, string | number | boolean | null | undefined | ((event: any) => void)>} Attributes
 */

/**
 * An element. Attributes that are false, null or undefined are left out; `onclick` and its like are listeners.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Attributes | null} [attributes]
 * @param {...(Part | Part[])} parts
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, attributes, ...parts) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, String(value));
  }
  for (const part of parts.flat()) add(element, part);
  return element;
}

/** @param {Element} element @param {Part} part */
function add(element, part) {
  if (part === null || part === undefined || part === false) return;
  element.append(part instanceof Node ? part : String(part));
}

/** Change a text only if it is another one. @param {Node} node @param {string} text */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Set or take away an attribute, only if that changes something. @param {Element} element @param {string} name @param {string | null} value */
export function mark(element, name, value) {
  if (element.getAttribute(name) === value) return;
  if (value === null) element.removeAttribute(name);
  else element.setAttribute(name, value);
}

/** Put these instead of what is there. @param {Element} element @param {...(Part | Part[])} parts */
export function refill(element, ...parts) {
  element.replaceChildren();
  for (const part of parts.flat()) add(element, part);
}

/** A time that ticks: class `ticks`, its moment in `data-at`. @param {number} at @param {"until" | "since"} way @param {string} [title] */
export const ticking = (at, way, title) => h("time", { class: "ticks", "data-at": at, "data-way": way, title });

/** What this browser remembers of the board's layout; nothing that anybody else wrote. */
export const memory = {
  /** @param {string} name @returns {any} */
  get(name) {
    try {
      return JSON.parse(localStorage.getItem(`baton.board.${name}`) ?? "null");
    } catch {
      return null;
    }
  },
  /** @param {string} name @param {unknown} value */
  set(name, value) {
    try {
      localStorage.setItem(`baton.board.${name}`, JSON.stringify(value));
    } catch {
      // Storage may be full or forbidden: then the layout is as new next time.
    }
  },
};
