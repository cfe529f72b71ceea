// What the map shows, as a list: for the keyboard and the screen reader, and for whoever looks for a name.

import { h, refill } from "../dom.js";
import { label, statusWord } from "../format.js";

const SHOWN = 40;

/**
 * @param {HTMLDetailsElement} element
 * @param {{
 *   store: import("../store.js").Store,
 *   inView: (limit: number) => {drivers: {id: number, word: string}[], orders: import("../store.js").Order[]},
 * }} context
 */
export function mountInView(element, { store, inView }) {
  const body = h("div", { class: "inview-body" });
  element.append(h("summary", null, "In view"), body);
  let drawn = "";

  function draw() {
    const { drivers, orders } = inView(SHOWN);
    const now = JSON.stringify([drivers, orders.map((order) => [order.id, order.version])]);
    // Whoever is reading or about to press keeps what is there.
    if (now === drawn || body.matches(":focus-within") || body.matches(":hover")) return;
    drawn = now;
    refill(
      body,
      h(
        "h3",
        null,
        drivers.length === SHOWN ? `The ${SHOWN} drivers nearest to the middle` : `Drivers: ${drivers.length}`,
      ),
      h(
        "ul",
        null,
        drivers.map(({ id, word }) =>
          h(
            "li",
            null,
            h(
              "button",
              { type: "button", onclick: () => store.select({ driver: id }) },
              store.drivers.get(id)?.name ?? id,
            ),
            ` ${word}`,
          ),
        ),
      ),
      h("h3", null, orders.length === SHOWN ? `${SHOWN} of the orders` : `Orders: ${orders.length}`),
      h(
        "ul",
        null,
        orders.map((order) =>
          h(
            "li",
            null,
            h("button", { type: "button", onclick: () => store.select({ order: order.id }) }, label(order)),
            ` ${statusWord(order)}`,
          ),
        ),
      ),
    );
  }
  element.addEventListener("toggle", () => {
    drawn = "";
    if (element.open) draw();
  });
  return { draw };
}
