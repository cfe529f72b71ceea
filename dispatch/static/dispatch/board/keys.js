// The keyboard: every key of the board, in one table that the help shows, too.

import { openDialog } from "./dialogs.js";
import { h } from "./dom.js";

/**
 * @typedef {{
 *   lists: import("./lists.js").Lists, acts: import("./acts.js").Acts, store: import("./store.js").Store,
 *   toasts: import("./toasts.js").Toasts, strip: {focusFilter: () => void, setFilter: (text: string) => void, text: string,
 *   isFilter: (element: unknown) => boolean}, panel: {focus: () => void}, root: HTMLElement,
 *   newOrder: (() => void) | null,
 * }} Context
 */

/** @type {Array<[string, string]>} */
const HELP = [
  ["↑ ↓", "Move through the rows; also from list to list"],
  ["Home End PgUp PgDn", "First, last, a page up or down"],
  ["Enter", "Open the row; once more to go into the panel"],
  ["Space", "Select the row; with Shift and arrows a range, Ctrl+A the whole list"],
  ["/", "Filter; Esc clears it"],
  ["a", "Assign or reassign"],
  ["r", "Re-offer"],
  ["e", "Extend"],
  ["u", "Unassign: take it back from the driver"],
  ["p", "Pin: keep it out of auto-assignment, or leave it to that again"],
  ["x", "Cancel, with a reason"],
  ["m", "Message the driver, or the drivers of all selected orders"],
  ["o", "Put them on or off duty"],
  ["z", "Undo the last act, within ten seconds"],
  ["n", "New order"],
  ["d", "Denser or roomier rows"],
  ["Esc", "Close, clear the selection, clear the filter"],
  ["?", "This help"],
];

/** @type {Array<[string, string]>} */
const WORDS = [
  ["market street", "every word, in the reference, an address, the driver's name or the status"],
  ["status:assigned", "pending, expired, assigned, picked_up, delivered, cancelled, failed"],
  ["driver:zoe", "the holder's name; driver:none for nobody"],
  ["from: to: ref: vehicle:", "only there"],
  ["is:pinned is:priority", "chosen by hand; with a priority"],
  ["-van", "not this"],
];

/** @type {Record<string, import("./acts.js").Act>} */
const ACT_KEYS = { a: "assign", r: "reoffer", e: "extend", u: "unassign", x: "cancel" };

/** @param {HTMLElement} root */
export function showHelp(root) {
  if (root.querySelector("dialog.help-sheet")) return;
  const { body } = openDialog(root, "Keys and filter", "help-sheet");
  /** @param {Array<[string, string]>} lines @param {(text: string) => Node} key */
  const table = (lines, key) =>
    h(
      "table",
      null,
      h(
        "tbody",
        null,
        lines.map(([keys, means]) => h("tr", null, h("th", { scope: "row" }, key(keys)), h("td", null, means))),
      ),
    );
  body.append(
    h("h3", null, "Keys"),
    table(HELP, (keys) =>
      h(
        "span",
        null,
        keys.split(" ").map((key) => h("kbd", null, key)),
      ),
    ),
    h("h3", null, "Filter"),
    table(WORDS, (text) => h("code", null, text)),
  );
}

/** @param {unknown} element */
const isTyping = (element) =>
  element instanceof HTMLElement && (element.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(element.tagName));

/** @param {Context} context */
export function listenToKeys({ lists, acts, store, toasts, strip, panel, root, newOrder }) {
  /** The orders that an act is for: those selected, else the row with the focus, else the one that is open. */
  function targets() {
    if (store.selection.orders.size) return acts.seen(store.selection.orders);
    const item = lists.focused()?.item;
    const order = item?.order?.id ?? (item ? null : store.selection.order);
    return order ? acts.seen([order]) : [];
  }

  /** @returns {import("./acts.js").ActRow[]} the drivers of the rows, or the driver that is open */
  function targetDrivers() {
    const item = lists.focused()?.item;
    if (!store.selection.orders.size && item?.driver) return [{ driver: item.driver.id }];
    if (!store.selection.orders.size && store.selection.driver !== null) return [{ driver: store.selection.driver }];
    return acts.holders(targets().flatMap((row) => ("order" in row ? [row.order] : [])));
  }

  /** @param {import("./acts.js").Act} act */
  function act(act) {
    const ofDrivers = act === "message" || act === "duty";
    const rows = ofDrivers ? targetDrivers() : targets();
    if (!acts.allowed(act)) return;
    const why = rows.length ? acts.why(act, rows) : ofDrivers ? "No driver is chosen." : "No order is chosen.";
    if (why) toasts.toast(why, { kind: "refused" });
    else acts.ask(act, rows);
  }

  /** One step out: report, selection, panel, filter. */
  function stepOut() {
    if (toasts.dismiss()) return;
    if (store.selection.orders.size) store.select({ orders: [] });
    else if (store.selection.order !== null || store.selection.driver !== null) {
      const { order } = store.selection;
      store.select({ order: null, driver: null });
      if (order && !lists.focused()) lists.focusOrder(order);
    } else if (strip.text) strip.setFilter("");
  }

  /** @type {Record<string, (event: KeyboardEvent) => void>} */
  const onRows = {
    ArrowDown: (event) => lists.move(1, event.shiftKey),
    ArrowUp: (event) => lists.move(-1, event.shiftKey),
    PageDown: (event) => lists.move(lists.pageSize(), event.shiftKey),
    PageUp: (event) => lists.move(-lists.pageSize(), event.shiftKey),
    Home: () => lists.edge(-1),
    End: () => lists.edge(1),
    " ": () => lists.toggleFocused(),
    Enter: () => {
      const item = lists.focused()?.item;
      const isOpen =
        item &&
        (item.driver
          ? store.selection.driver === item.driver.id
          : store.selection.order === (item.order?.id ?? item.row?.order));
      if (isOpen) panel.focus();
      else lists.openFocused();
    },
  };

  /** @type {Record<string, () => void>} */
  const anywhere = {
    "/": strip.focusFilter,
    "?": () => showHelp(root),
    z: () => {
      if (!toasts.undoLatest()) toasts.toast("There is nothing to undo.");
    },
    m: () => act("message"),
    o: () => act("duty"),
    p: () => {
      const [row] = targets();
      const order = row && "order" in row ? store.orders.get(row.order) : undefined;
      act(order?.pinned ? "unpin" : "pin");
    },
    d: () => lists.toggleCompact(),
    ...(newOrder ? { n: newOrder } : {}),
    ...Object.fromEntries(Object.entries(ACT_KEYS).map(([key, name]) => [key, () => act(name)])),
  };

  root.addEventListener("keydown", (event) => {
    // A dialog has keys of its own.
    if (event.defaultPrevented || /** @type {Element} */ (event.target).closest("dialog")) return;
    if (strip.isFilter(event.target)) {
      if (event.key === "Escape") {
        event.preventDefault();
        if (strip.text) strip.setFilter("");
        else lists.focusSomething();
      } else if (event.key === "ArrowDown" || event.key === "Enter") {
        event.preventDefault();
        lists.focusSomething();
      }
    }
  });

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.altKey || root.querySelector("dialog[open]") || isTyping(event.target)) return;
    const inRows = lists.focused() !== null;
    const isNowhere = document.activeElement === document.body || document.activeElement === null;
    if (event.ctrlKey || event.metaKey) {
      if (event.key === "a" && inRows) {
        event.preventDefault();
        lists.selectAll();
      }
      return;
    }
    if (event.key === "Escape") return stepOut();
    const step = inRows || (isNowhere && event.key.startsWith("Arrow")) ? onRows[event.key] : undefined;
    const doing = step ?? (event.shiftKey && event.key !== "?" ? undefined : anywhere[event.key]);
    if (!doing) return;
    event.preventDefault();
    doing(event);
  });
}
