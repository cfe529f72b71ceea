/**
 * A page described as plain nodes, and the one function that makes the document look like it.
 *
 * Elements that stay are kept (with focus, caret and scroll), keyed children keep theirs when the list around them changes,
 * and text only ever enters the page as text.
 */

/** @typedef {{ mount?: (element: any) => void | (() => void) }} Hook What a kept element needs done when it appears; returns its undoing. */
/** @typedef {{ tag: string, key: string | number | undefined, props: Record<string, any>, children: VNode[], element?: any }} VElement */
/** @typedef {{ text: string, element?: any }} VText */
/** @typedef {VElement | VText} VNode */
/** @typedef {VNode | string | number | false | null | undefined | Child[]} Child */

const SVG = "http://www.w3.org/2000/svg";
const SVG_TAGS = new Set(["svg", "path", "circle", "rect", "g", "line"]);
/** Set as properties: as attributes they would only be the starting value. */
const PROPERTIES = new Set(["value", "checked", "disabled", "open", "indeterminate"]);

/** What the hooks of elements on the page left to be done at their end. @type {WeakMap<Element, () => void>} */
const undoings = new WeakMap();

/**
 * `h("button.primary", { onclick }, "Accept")`. Props: `key`, `hook`, `style` (custom properties), `on…` handlers, properties, attributes
 * (false, null and undefined leave one out, true is the empty one).
 * @param {string} name a tag with classes
 * @param {Record<string, any> | null} [props]
 * @param {...Child} children
 * @returns {VElement}
 */
export function h(name, props, ...children) {
  const [tag = "div", ...classes] = name.split(".");
  const given = props ?? {};
  const all = [...classes, given.class].filter(Boolean).join(" ");
  return { tag, key: given.key, props: all ? { ...given, class: all } : given, children: flat(children, []) };
}

/**
 * @param {Child[]} children
 * @param {VNode[]} into
 */
function flat(children, into) {
  for (const child of children) {
    if (Array.isArray(child)) flat(child, into);
    else if (child === null || child === undefined || child === false || child === "") continue;
    else if (typeof child === "object") into.push(child);
    else into.push({ text: String(child) });
  }
  return into;
}

/**
 * Make `root`'s children look like `nodes`.
 * @param {any} root
 * @param {Child[]} nodes
 */
export function draw(root, nodes) {
  const next = flat(nodes, []);
  patchChildren(root, root.drawn ?? [], next);
  root.drawn = next;
}

/** @param {VNode} node */
function create(node) {
  if ("text" in node) {
    node.element = document.createTextNode(node.text);
    return node.element;
  }
  const element = SVG_TAGS.has(node.tag) ? document.createElementNS(SVG, node.tag) : document.createElement(node.tag);
  node.element = element;
  setProps(element, {}, node.props);
  for (const child of node.children) element.append(create(child));
  // A select knows its value only once it has its options.
  if (node.tag === "select" && "value" in node.props) /** @type {any} */ (element).value = node.props.value;
  if (node.props.hook?.mount) {
    queueMicrotask(() => {
      const undoing = element.isConnected ? node.props.hook.mount(element) : undefined;
      if (undoing) undoings.set(element, undoing);
    });
  }
  return element;
}

/**
 * @param {VNode} before
 * @param {VNode} after
 */
function same(before, after) {
  if ("text" in before || "text" in after) return "text" in before && "text" in after;
  return before.tag === after.tag && before.key === after.key;
}

/**
 * @param {VNode} before
 * @param {VNode} after
 */
function patch(before, after) {
  after.element = before.element;
  if ("text" in before || "text" in after) {
    if ("text" in before && "text" in after && before.text !== after.text) after.element.data = after.text;
    return;
  }
  setProps(after.element, before.props, after.props);
  patchChildren(after.element, before.children, after.children);
}

/**
 * @param {any} parent
 * @param {VNode[]} before
 * @param {VNode[]} after
 */
function patchChildren(parent, before, after) {
  /** @type {Map<string | number, VElement>} */
  const keyed = new Map();
  /** @type {VNode[]} */
  const loose = [];
  for (const node of before) {
    if ("tag" in node && node.key !== undefined) keyed.set(node.key, node);
    else loose.push(node);
  }
  const kept = new Set();
  let next = 0;
  for (const node of after) {
    /** @type {VNode | undefined} */
    let old;
    if ("tag" in node && node.key !== undefined) {
      old = keyed.get(node.key);
      if (old && !same(old, node)) old = undefined;
    } else {
      // The next one of its kind; those passed over are gone.
      const found = loose.findIndex((candidate, index) => index >= next && same(candidate, node));
      if (found >= 0) {
        old = loose[found];
        next = found + 1;
      }
    }
    if (old) {
      kept.add(old);
      patch(old, node);
    }
  }
  for (const node of before) if (!kept.has(node)) remove(node);
  // Backwards, moving only what is not in its place already: what has the focus is not touched for nothing.
  let follower = null;
  for (let index = after.length - 1; index >= 0; index -= 1) {
    const node = /** @type {VNode} */ (after[index]);
    const element = node.element ?? create(node);
    if (element.parentNode !== parent || element.nextSibling !== follower) parent.insertBefore(element, follower);
    follower = element;
  }
}

/** @param {VNode} node */
function remove(node) {
  undo(node);
  node.element.remove();
}

/** @param {VNode} node */
function undo(node) {
  if ("text" in node) return;
  undoings.get(node.element)?.();
  for (const child of node.children) undo(child);
}

/**
 * @param {any} element
 * @param {Record<string, any>} before
 * @param {Record<string, any>} after
 */
function setProps(element, before, after) {
  for (const name of Object.keys(before)) if (!(name in after)) setProp(element, name, before[name], undefined);
  for (const [name, value] of Object.entries(after)) setProp(element, name, before[name], value);
}

/**
 * @param {any} element
 * @param {string} name
 * @param {any} before
 * @param {any} value
 */
function setProp(element, name, before, value) {
  if (name === "key" || name === "hook") return;
  if (name === "style") {
    for (const [property, text] of Object.entries(value ?? {})) element.style.setProperty(property, String(text));
  } else if (name.startsWith("on")) {
    // A property keeps one handler, whichever the last drawing gave.
    if (before !== value) element[name] = value ?? null;
  } else if (PROPERTIES.has(name)) {
    // What somebody is typing is compared with the page, not with what was drawn last.
    const wanted = value ?? (name === "value" ? "" : false);
    if (element[name] !== wanted) element[name] = wanted;
  } else if (before !== value) {
    if (value === false || value === null || value === undefined) element.removeAttribute(name);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
}
