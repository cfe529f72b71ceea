// The left of the board: what needs attention, what is open, what is in progress by driver, and below what is finished.
// Rows are moved through by the arrows, selected by space, opened by Enter; the search works on all lists at once.

import { createContents, SORTS } from "./contents.js";
import { h, mark, memory, say } from "./dom.js";
import { createFilter } from "./filter.js";
import { COMPACT_PX, createRows, ROW_PX } from "./rows.js";
import { createWindow } from "./virtual.js";

/**
 * @typedef {import("./store.js").Store} Store
 * @typedef {import("./store.js").Order} Order
 * @typedef {import("./virtual.js").Item} Item
 * @typedef {"attention" | "open" | "progress" | "drivers" | "done"} AreaName
 * @typedef {{name: AreaName, view: import("./virtual.js").Window, section: HTMLElement, count: HTMLElement, empty: HTMLElement, nothing: string}} Area
 */

/** @type {Array<[AreaName, string, string]>} Name, heading, what is said when there is nothing. */
const AREAS = [
  ["attention", "Needs attention", "Nothing needs you."],
  ["open", "Open orders", "No open orders."],
  ["progress", "In progress", "Nobody is carrying anything."],
  ["drivers", "Drivers", "No driver of that name is on duty."],
  ["done", "Finished lately", "Nothing finished yet."],
];
/** @typedef {ReturnType<typeof mountLists>} Lists */

/**
 * @param {HTMLElement} element
 * @param {{store: Store, liveSeconds: number, user: number, onMissing: (order: string) => void}} context
 */
export function mountLists(element, { store, liveSeconds, user, onMissing }) {
  const rows = createRows({ store, liveSeconds, user });
  const contents = createContents({ store, onMissing });
  let filter = createFilter("", store);
  let isFocusLost = false;
  /** @type {ReturnType<typeof setTimeout> | 0} */
  let later = 0;
  let isCompact = Boolean(memory.get("compact"));
  /** @type {import("./contents.js").Sort} */
  let sort = memory.get("sort") in SORTS ? memory.get("sort") : "expiry";
  /** Where a range of rows begins. @type {string | null} */
  let anchor = null;

  const areas = AREAS.map(([name, title, nothing]) => createArea(name, title, nothing));
  /** @param {AreaName} name */
  const area = (name) => /** @type {Area} */ (areas.find((one) => one.name === name));
  setCompact(isCompact);

  /** @param {AreaName} name @param {string} title @param {string} nothing @returns {Area} */
  function createArea(name, title, nothing) {
    const isOpen = memory.get(`open.${name}`) ?? name !== "done";
    const count = h("span", { class: "count" });
    const scroller = h("div", { class: "scroller", id: `area-${name}` });
    const empty = h("p", { class: "empty" }, nothing);
    const toggle = h(
      "button",
      { type: "button", "aria-expanded": String(isOpen), "aria-controls": `area-${name}` },
      h("span", { class: "chevron", "aria-hidden": "true" }),
      title,
    );
    const head = h("h2", { class: "area-head" }, toggle, count);
    const section = h("section", { class: `area area-${name}`, "aria-label": title }, head, empty, scroller);
    section.classList.toggle("closed", !isOpen);
    toggle.addEventListener("click", () => {
      const closed = section.classList.toggle("closed");
      mark(toggle, "aria-expanded", String(!closed));
      memory.set(`open.${name}`, !closed);
      view.draw();
    });
    if (name === "open") head.append(sorting());
    element.append(section);
    const view = createWindow(scroller, {
      label: title,
      make: rows.make,
      fill: rows.fill,
      mark: markRow,
      tick: rows.tick,
    });
    /** @type {Area} */
    const made = { name, view, section, count, empty, nothing };
    view.grid.addEventListener("click", (event) => clicked(made, event));
    view.grid.addEventListener("focusin", (event) => {
      const key = keyOf(event.target);
      if (key) view.setCurrent(key);
    });
    return made;
  }

  function sorting() {
    const choice = h(
      "select",
      { "aria-label": "Sort open orders", class: "sorting" },
      h("option", { value: "expiry" }, "soonest"),
      h("option", { value: "newest" }, "newest"),
      h("option", { value: "priority" }, "priority"),
    );
    choice.value = sort;
    choice.addEventListener("change", () => {
      sort = /** @type {import("./contents.js").Sort} */ (choice.value);
      memory.set("sort", sort);
      arrange();
    });
    return choice;
  }

  /** @param {EventTarget | null} target */
  const keyOf = (target) =>
    /** @type {HTMLElement | null} */ (/** @type {Element} */ (target)?.closest?.("[data-key]"))?.dataset.key ?? null;

  /** @param {HTMLElement} row @param {Item} item */
  function markRow(row, item) {
    const { selection, busy } = store;
    if (item.kind === "group" || item.kind === "driver") {
      row.classList.toggle("open-here", selection.driver === item.driver.id);
      row.classList.toggle("busy", busy.has(`driver:${item.driver.id}`));
      return;
    }
    const id = item.order?.id ?? item.row.order;
    const isSelected = selection.orders.has(id);
    mark(row, "aria-selected", String(isSelected));
    row.classList.toggle("selected", isSelected);
    row.classList.toggle("open-here", selection.order === id);
    row.classList.toggle("busy", busy.has(id));
  }

  /** What is to be arranged later, now. */
  function settle() {
    if (!later) return;
    clearTimeout(later);
    arrange(true);
  }

  const height = () => (isCompact ? COMPACT_PX : ROW_PX);

  /** @param {boolean} [isTyped] it is the filter that changed: nobody presses a row meanwhile */
  function arrange(isTyped = false) {
    later = 0;
    const { attention, open, progress, drivers, done, totals } = contents.of(filter, sort, height());
    show("attention", attention, totals.attention);
    show("open", open, totals.open);
    show("progress", progress, totals.progress, totals.progressFound);
    area("drivers").section.hidden = drivers.length === 0;
    show("drivers", drivers, drivers.length);
    show("done", done, totals.done);
    for (const { view } of areas) view.measure();
    for (const { view } of areas) if (view.put(isTyped)) isFocusLost = true;
    if (isFocusLost) {
      // The last row of its list was dealt with: on with the next list.
      isFocusLost = false;
      focusFirst();
    }
  }

  function focusFirst() {
    const [list] = visible();
    if (list?.view.current) list.view.focus(list.view.current);
  }

  /** @param {AreaName} name @param {Item[]} items @param {number} total @param {number} [found] */
  function show(name, items, total, found = items.length) {
    const { view, count, empty, section, nothing } = area(name);
    say(count, filter.isEmpty || name === "drivers" ? String(found) : `${found} of ${Math.max(total, found)}`);
    empty.hidden = items.length > 0;
    say(empty, filter.isEmpty ? nothing : "Nothing here matches the filter.");
    // Before the rows: a list that is hidden has no height to fill.
    section.classList.toggle("is-empty", items.length === 0);
    view.set(items);
    if (name === "attention")
      section.classList.toggle(
        "alarm",
        items.some((item) => item.row.reason === "expired"),
      );
  }

  // --- Moving, selecting ---------------------------------------------------------------------------------------------

  /** @returns {{area: Area, item: Item} | null} the row with the focus */
  function focused() {
    const key = keyOf(document.activeElement);
    const found = key ? areas.find(({ view }) => view.grid.contains(document.activeElement)) : undefined;
    const item = found?.view.items[found.view.indexOf(key ?? "")];
    return found && item ? { area: found, item } : null;
  }

  function visible() {
    settle();
    return areas.filter(
      ({ section, view }) => !section.hidden && !section.classList.contains("closed") && view.items.length,
    );
  }

  /** Go so many rows up or down, across the lists. @param {number} by @param {boolean} [extend] select what is passed */
  function move(by, extend = false) {
    const at = focused();
    if (!at) {
      focusFirst();
      return;
    }
    const { view } = at.area;
    const from = view.indexOf(at.item.key);
    const to = from + by;
    const item = view.items[Math.max(0, Math.min(to, view.items.length - 1))];
    const lists = visible();
    const next = lists[lists.indexOf(at.area) + Math.sign(by)];
    if (Math.abs(by) === 1 && (to < 0 || to >= view.items.length) && next) {
      const edge = by > 0 ? next.view.items[0] : next.view.items.at(-1);
      if (edge) next.view.focus(edge.key);
      return;
    }
    if (!item) return;
    if (extend) selectRange(at.area, anchor ?? at.item.key, item.key);
    else anchor = item.key;
    view.focus(item.key);
  }

  /** @param {Item} item */
  const orderOf = (item) => item.order?.id ?? item.row?.order ?? null;

  /** @param {Area} where @param {string} from @param {string} to */
  function selectRange({ view }, from, to) {
    anchor = from;
    const [a, b] = [view.indexOf(from), view.indexOf(to)].sort((x, y) => x - y);
    const ids = view.items
      .slice(Math.max(0, a ?? 0), (b ?? 0) + 1)
      .map(orderOf)
      .filter(Boolean);
    store.select({ orders: ids });
  }

  /** @param {string} id */
  function toggle(id) {
    const next = new Set(store.selection.orders);
    if (!next.delete(id)) next.add(id);
    store.select({ orders: next });
  }

  /** @param {Area} where @param {MouseEvent} event */
  function clicked(where, event) {
    const key = keyOf(event.target);
    const item = key ? where.view.items[where.view.indexOf(key)] : undefined;
    if (!item) return;
    where.view.focus(item.key);
    const id = orderOf(item);
    if (id && event.shiftKey) selectRange(where, anchor ?? item.key, item.key);
    else if (id && (event.ctrlKey || event.metaKey || /** @type {Element} */ (event.target).closest(".pick")))
      toggle(id);
    else openItem(item);
    if (!event.shiftKey) anchor = item.key;
  }

  /** @param {Item} item */
  function openItem(item) {
    const id = orderOf(item);
    if (id) store.select({ order: id });
    else store.select({ driver: item.driver.id });
  }

  /** @param {boolean} on */
  function setCompact(on) {
    isCompact = on;
    memory.set("compact", on);
    element.classList.toggle("compact", on);
  }

  store.subscribe((change) => {
    if (change.all || change.orders.size || change.attention) arrange();
    if (change.drivers.size && !change.all) {
      // Positions come twice a second: only the rows in sight of those drivers are looked at.
      for (const { view } of areas)
        view.touch((item) => item.driver !== undefined && change.drivers.has(item.driver.id));
    }
    if (change.selection || change.orders.size) for (const { view } of areas) view.markAll();
    if (change.viewers) for (const { view } of areas) view.touch((item) => item.order !== undefined);
  });

  let ticks = 0;
  return {
    arrange,
    move,
    focused,
    rows,
    /** Does the filter let it through? @param {string} id */
    isListed(id) {
      const order = store.orders.get(id);
      return order !== undefined && filter.order(order);
    },
    get isCompact() {
      return isCompact;
    },
    /** @param {string} text */
    setFilter(text) {
      filter = createFilter(text, store);
      // After the letter is on screen; who types faster than the lists can follow sees the last of them.
      later ||= setTimeout(settle);
    },
    tick() {
      if (document.hidden) return;
      for (const { view } of areas) view.tick();
      ticks += 1;
      // Silence grows without a push; once in a while the rows of drivers say so.
      if (ticks % 5 === 0) for (const { view } of areas) view.touch((item) => item.driver !== undefined);
    },
    toggleCompact() {
      setCompact(!isCompact);
      arrange();
    },
    /** The first or last row of the list that has the focus. @param {-1 | 1} end */
    edge(end) {
      const at = focused();
      const item = end < 0 ? at?.area.view.items[0] : at?.area.view.items.at(-1);
      if (at && item) at.area.view.focus(item.key);
    },
    pageSize: () => focused()?.area.view.page() ?? 10,
    toggleFocused() {
      const at = focused();
      const id = at && orderOf(at.item);
      if (id) {
        anchor = at.item.key;
        toggle(id);
      }
      return Boolean(id);
    },
    selectAll() {
      const at = focused();
      const list = at?.area ?? visible()[0];
      if (list) store.select({ orders: list.view.items.map(orderOf).filter(Boolean) });
    },
    openFocused() {
      const at = focused();
      if (at) openItem(at.item);
      return Boolean(at);
    },
    /** @param {string} order */
    focusOrder(order) {
      const list = visible().find(({ view }) => view.indexOf(order) >= 0);
      list?.view.focus(order);
    },
    focusSomething: focusFirst,
  };
}
