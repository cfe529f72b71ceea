// The map's legend, with how many drivers are in each state.

import { h, memory, say } from "../dom.js";
import { STATES } from "./fleet.js";

/** What people call the states, in the order of STATES. */
export const STATE_WORDS = ["Free", "Carrying, has room", "Full", "Silent", "Off duty", "Suspended"];
const ORDERS = [
  ["pending", "Order waiting"],
  ["assigned", "Order assigned"],
  ["picked_up", "Order picked up"],
  ["expired", "Order expired"],
];

export function createLegend() {
  const counts = STATES.map(() => h("span", { class: "legend-count" }));
  const element = h(
    "details",
    { class: "map-legend" },
    h("summary", null, "Legend"),
    h(
      "ul",
      null,
      STATES.map((state, index) =>
        h("li", null, h("i", { class: `swatch swatch-${state}` }), STATE_WORDS[index], counts[index]),
      ),
      ORDERS.map(([state, word]) =>
        h("li", null, h("i", { class: `swatch swatch-order swatch-order-${state}` }), word),
      ),
    ),
    h(
      "p",
      null,
      "▲ pickup, □ drop-off. The arrow is the heading; the circle is how exact the position is, and fades with its age.",
    ),
  );
  element.open = memory.get("legend") === true;
  element.addEventListener("toggle", () => memory.set("legend", element.open));
  return {
    element,
    /** @param {ArrayLike<number>} totals drivers by state */
    draw(totals) {
      for (const [state, count] of counts.entries()) say(count, String(totals[state] ?? 0));
    },
  };
}
