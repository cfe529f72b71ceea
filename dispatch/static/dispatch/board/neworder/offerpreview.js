// Who would be offered an order that is being written, in words.

import { h, refill } from "../dom.js";
import { distance, plural, span } from "../format.js";

/** @typedef {import("../map/nearest.js").Near} Near */

/** So many are named. */
export const PREVIEWED = 5;
/** The server names no more than so many. */
const MOST = 20;

/** @param {number} radiusKm */
export function createPreview(radiusKm) {
  const element = h("section", {
    class: "offer-preview",
    "aria-label": "Who would be offered it",
    "aria-live": "polite",
  });

  /** @param {Near} one */
  const line = (one) => {
    const age = one.position_age_s === null ? "no position" : `${span(one.position_age_s * 1000)} ago`;
    return h(
      "li",
      null,
      h("strong", null, one.name),
      ` ${distance(one.distance_m)}, ${age}, ${one.load} of ${one.capacity}`,
    );
  };

  /** @param {number} count */
  const headline = (count) => {
    if (!count) return "Nobody to offer it to";
    return `Offered to ${count >= MOST ? `${MOST} or more drivers` : plural(count, "driver")}`;
  };

  /** Null: it is not known where from. @param {Near[] | null} near @param {number} [ruledOut] */
  function tell(near, ruledOut = 0) {
    if (!near) {
      const text = "Who would be offered it is shown here as soon as the pickup is known.";
      refill(element, h("p", { class: "quiet" }, text));
      return;
    }
    const others = ruledOut ? ` ${plural(ruledOut, "driver")} nearby cannot take it.` : "";
    refill(
      element,
      h(
        "p",
        { class: near.length ? "" : "is-warning" },
        h("strong", null, headline(near.length)),
        ` within ${radiusKm} km as of now.${others}`,
      ),
      near.length ? h("ol", null, near.slice(0, PREVIEWED).map(line)) : null,
    );
  }

  tell(null);
  return {
    element,
    tell,
    fail: () => refill(element, h("p", null, "Who would be offered it could not be read just now.")),
  };
}
