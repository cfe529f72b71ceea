/** What every screen is given to draw itself from, and the guard against a thumb that taps twice. */

/** @typedef {import("../core/types.js").State} State */
/** @typedef {import("../core/types.js").Actions} Actions */
/** @typedef {import("../core/types.js").Problem} Problem */
/** @typedef {import("./slots.js").Slot} Slot */

/** @typedef {{ name: string, order: string, step: string }} Route */

/**
 * `now`: the server's time. `draft(key, start)`: what is being filled in, kept until `drop(key)`.
 * @typedef {{
 *   state: State, actions: Actions, route: Route, slots: Slot[], now: number,
 *   redraw: () => void, go: (address: string) => void, say: (text: string) => void,
 *   draft: <T extends object>(key: string, start: T) => T, drop: (key: string) => void,
 *   clearSlot: (order: string) => void,
 * }} Scene
 */

/** A second tap within this time is the first one's echo: gloves, rain, a shaking phone. */
const ECHO_MS = 450;

let lastTap = 0;

/**
 * Do `act`, unless a tap was taken just now, or what was tapped is on screen only since `since`: then it was meant for what had
 * been there before.
 * @param {() => unknown} act
 * @param {number} [since]
 */
export function once(act, since = 0) {
  const now = Date.now();
  if (now - lastTap < ECHO_MS || now - since < ECHO_MS) return false;
  lastTap = now;
  act();
  return true;
}

/**
 * Whatever was thrown, as a problem.
 * @param {unknown} error
 * @returns {Problem}
 */
export function asProblem(error) {
  if (error && typeof error === "object" && "code" in error && "status" in error) return /** @type {Problem} */ (error);
  return { status: 0, code: "internal", title: "", detail: String(error) };
}

/**
 * Where the page's address points: `#/order/<id>/deliver`.
 * @param {string} hash
 * @returns {Route}
 */
export function routeOf(hash) {
  const [name = "", order = "", step = ""] = hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  return { name: name || "offers", order, step };
}
