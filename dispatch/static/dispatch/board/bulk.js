// The bar of the selected rows: how many, and what can be done with all of them.

import { actButton, setWhy } from "./buttons.js";
import { h, say } from "./dom.js";
import { plural } from "./format.js";

/** @type {import("./acts.js").Act[]} */
const BULK = ["assign", "reoffer", "extend", "unassign", "message", "duty", "cancel"];

/**
 * @param {HTMLElement} element
 * @param {{store: import("./store.js").Store, acts: import("./acts.js").Acts, isListed: (order: string) => boolean}} context
 */
export function mountBulk(element, { store, acts, isListed }) {
  const count = h("strong", { role: "status" });
  const orders = () => acts.seen(store.selection.orders);
  const drivers = () => acts.holders(store.selection.orders);
  const buttons = BULK.flatMap((act) => {
    const rows = act === "message" || act === "duty" ? drivers : orders;
    const button = actButton(acts, act, rows);
    return button ? [{ act, button, rows }] : [];
  });
  const clear = h(
    "button",
    { type: "button", class: "clear", onclick: () => store.select({ orders: [] }) },
    "Clear",
    h("kbd", { "aria-hidden": "true" }, "Esc"),
  );
  element.append(count, ...buttons.map(({ button }) => button), clear);
  element.hidden = true;

  store.subscribe((change) => {
    if (change.selection || change.orders.size || change.link || change.all) draw();
  });

  function draw() {
    const { size } = store.selection.orders;
    element.hidden = size === 0;
    if (!size) return;
    // Nobody shall act on rows that they forgot behind a filter.
    const behind = [...store.selection.orders].filter((id) => !isListed(id)).length;
    say(count, `${plural(size, "order")} selected${behind ? `, ${behind} not shown` : ""}`);
    for (const { act, button, rows } of buttons) {
      const seen = rows();
      setWhy(button, seen.length ? acts.why(act, seen) : "Nobody holds any of them.");
    }
  }
  return { draw };
}
