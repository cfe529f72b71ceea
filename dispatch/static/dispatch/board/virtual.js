// A list of which only the rows in sight are in the page. Rows are keyed: one that did not change is not touched, and the
// one that has the focus stays while it scrolls away.

import { h, mark } from "./dom.js";

/**
 * @typedef {{key: string, kind: string, height: number, order?: any, row?: any, driver?: any, note?: any}} Item
 * @typedef {{element: HTMLElement, item: Item, index: number}} Shown
 * @typedef {{
 *   label: string,
 *   make: (kind: string) => HTMLElement,
 *   fill: (element: HTMLElement, item: Item) => void,
 *   mark: (element: HTMLElement, item: Item) => void,
 *   tick: (element: HTMLElement) => void,
 * }} Drawing
 * @typedef {ReturnType<typeof createWindow>} Window
 */

const OVERSCAN_PX = 240;

/**
 * @param {HTMLElement} scroller the element that scrolls
 * @param {Drawing} drawing how rows are made, filled, marked (selection, focus) and ticked
 */
export function createWindow(scroller, drawing) {
  const grid = h("div", { class: "rows" });
  scroller.append(grid);
  /** @type {Item[]} */
  let items = [];
  /** @type {number[]} Where each row begins, and where the last ends. */
  let tops = [0];
  /** @type {Map<string, number>} */
  let indexes = new Map();
  /** @type {Map<string, Shown>} */
  const shown = new Map();
  /** Rows that went out of sight, to be written anew: only while `put` is at work. @type {Shown[]} */
  let spare = [];
  let asked = false;
  /** @type {string | null} The row that Tab comes to. */
  let current = null;
  /** @type {string | null} What had the focus when the rows were last set. */
  let had = null;
  /** What of the list is in sight, as it was last measured. */
  let sight = { top: 0, height: 0 };

  /** @param {number} y the row at this height */
  function rowAt(y) {
    let [low, high] = [0, items.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((tops[middle] ?? 0) <= y) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  function measure() {
    sight = { top: scroller.scrollTop, height: scroller.clientHeight };
  }

  function draw() {
    asked = false;
    measure();
    put();
  }

  /** The rows in sight into the page, and the others out of it. @param {boolean} [reuse] write new ones into old ones */
  function put(reuse = false) {
    const { top, height } = sight;
    const first = height ? rowAt(top - OVERSCAN_PX) : 0;
    const last = height && items.length ? rowAt(top + height + OVERSCAN_PX) : -1;
    const focused = grid.contains(document.activeElement) ? document.activeElement?.closest("[data-key]") : null;
    for (const [key, row] of shown) {
      const index = indexes.get(key);
      const isNear = index !== undefined && index >= first && index <= last;
      if (!isNear && (index === undefined || row.element !== focused)) {
        if (reuse && row.element !== focused) spare.push(row);
        else row.element.remove();
        shown.delete(key);
      }
    }
    for (let index = first; index <= last; index += 1) putRow(index);
    for (const key of shown.keys()) {
      const index = indexes.get(key);
      if (index !== undefined && (index < first || index > last)) putRow(index);
    }
    for (const { element } of spare) element.remove();
    spare = [];
  }

  /** A row of this kind for the item, of those that went out of sight if one did. @param {Item} item */
  function take(item) {
    const at = spare.findIndex((row) => row.item.kind === item.kind);
    const old = at < 0 ? undefined : spare.splice(at, 1)[0];
    const element = old?.element ?? drawing.make(item.kind);
    element.dataset.key = item.key;
    drawing.fill(element, item);
    drawing.mark(element, item);
    drawing.tick(element);
    if (!old) grid.append(element);
    return element;
  }

  /** @param {number} index */
  function putRow(index) {
    const item = items[index];
    if (!item) return;
    let row = shown.get(item.key);
    if (!row || row.item.kind !== item.kind) {
      row?.element.remove();
      row = { element: take(item), item, index: -1 };
      shown.set(item.key, row);
    } else if (row.item !== item && !same(row.item, item)) {
      drawing.fill(row.element, item);
      drawing.mark(row.element, item);
      drawing.tick(row.element);
    }
    row.item = item;
    row.index = index;
    const place = `translateY(${tops[index]}px)`;
    if (row.element.style.transform !== place) row.element.style.transform = place;
    const tall = `${item.height}px`;
    if (row.element.style.height !== tall) row.element.style.height = tall;
    mark(row.element, "aria-rowindex", String(index + 1));
    mark(row.element, "tabindex", item.key === current ? "0" : "-1");
  }

  /** @param {Item} a @param {Item} b */
  const same = (a, b) => a.order === b.order && a.row === b.row && a.note === b.note && a.driver === b.driver;

  function ask() {
    if (asked) return;
    asked = true;
    requestAnimationFrame(draw);
  }

  scroller.addEventListener("scroll", ask, { passive: true });
  new ResizeObserver(ask).observe(scroller);

  const view = {
    grid,
    get items() {
      return items;
    },
    get current() {
      return current;
    },

    /** Show these from the next `put` on.
     * @param {Item[]} next
     */
    set(next) {
      had = grid.contains(document.activeElement) ? current : null;
      const before = current === null ? 0 : (indexes.get(current) ?? 0);
      items = next;
      indexes = new Map(next.map((item, index) => [item.key, index]));
      tops = [0];
      let end = 0;
      for (const item of next) {
        end += item.height;
        tops.push(end);
      }
      grid.style.height = `${end}px`;
      // An empty grid is none.
      mark(grid, "role", next.length ? "grid" : null);
      mark(grid, "aria-label", next.length ? drawing.label : null);
      mark(grid, "aria-rowcount", next.length ? String(next.length) : null);
      mark(grid, "aria-multiselectable", next.length ? "true" : null);
      if (current === null || !indexes.has(current)) {
        current = next[Math.min(before, next.length - 1)]?.key ?? null;
      }
    },

    /** Look how much is in sight. Apart from `put`, because the browser lays the page out for it: once for several lists
     * whose rows are set, if all are measured before the first is put. */
    measure,

    /** Put the rows into the page that were set. If the row with the focus is among them no more, the one that takes its
     * place gets it; true if there is none left to get it. With `reuse` rows that go are written anew for those that come,
     * which is cheaper; not while somebody may be pressing one. @param {boolean} [reuse] */
    put(reuse = false) {
      put(reuse);
      if (had !== null && current !== null && had !== current) view.focus(current);
      return had !== null && current === null;
    },

    /** Fill those of the rows in sight that this is true for. @param {(item: Item) => boolean} test */
    touch(test) {
      for (const { element, item } of shown.values()) {
        if (!test(item)) continue;
        drawing.fill(element, item);
        drawing.mark(element, item);
        drawing.tick(element);
      }
    },

    /** Selection or focus changed: nothing else of a row did. */
    markAll() {
      for (const { element, item } of shown.values()) {
        drawing.mark(element, item);
        mark(element, "tabindex", item.key === current ? "0" : "-1");
      }
    },

    tick() {
      for (const { element } of shown.values()) drawing.tick(element);
    },

    /** @param {string} key */
    indexOf: (key) => indexes.get(key) ?? -1,

    /** Make this the row that Tab comes to. @param {string} key */
    setCurrent(key) {
      if (!indexes.has(key) || current === key) return;
      current = key;
      view.markAll();
    },

    /** Scroll to a row and give it the focus. @param {string} key */
    focus(key) {
      const index = indexes.get(key);
      if (index === undefined) return;
      current = key;
      view.reveal(key);
      draw();
      shown.get(key)?.element.focus({ preventScroll: true });
      view.markAll();
    },

    /** @param {string} key */
    reveal(key) {
      const index = indexes.get(key);
      if (index === undefined) return;
      const [top, bottom] = [tops[index] ?? 0, tops[index + 1] ?? 0];
      if (top < scroller.scrollTop) scroller.scrollTop = top;
      else if (bottom > scroller.scrollTop + scroller.clientHeight) scroller.scrollTop = bottom - scroller.clientHeight;
    },

    /** How many rows fill the height that is in sight. */
    page: () => Math.max(1, Math.floor(scroller.clientHeight / (items[0]?.height || 40)) - 1),
    draw: ask,
  };
  return view;
}
