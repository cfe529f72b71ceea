// The map's colours: from the page's CSS variables, so that light and dark are told in one place (map.css).

import { STATES } from "./fleet.js";

/**
 * @typedef {{
 *   drivers: [number, number, number][], driverNames: string[], edge: [number, number, number], edgeName: string,
 *   ground: string, line: string, text: string, quiet: string, accent: string, panel: string,
 *   pending: string, assigned: string, picked_up: string, expired: string,
 * }} Look
 */

/** @param {Element} element @returns {Look} */
export function lookOf(element) {
  const style = getComputedStyle(element);
  /** @param {string} name */
  const named = (name) => style.getPropertyValue(`--map-${name}`).trim() || "#888888";
  const driverNames = STATES.map((state) => named(`driver-${state}`));
  return {
    drivers: driverNames.map(parts),
    driverNames,
    edge: parts(named("edge")),
    edgeName: named("edge"),
    ground: named("ground"),
    line: named("line"),
    text: named("text"),
    quiet: named("quiet"),
    accent: named("accent"),
    panel: named("panel"),
    pending: named("order-pending"),
    assigned: named("order-assigned"),
    picked_up: named("order-picked_up"),
    expired: named("order-expired"),
  };
}

/** `#rrggbb` as three parts of one. @param {string} hex @returns {[number, number, number]} */
function parts(hex) {
  const number = Number.parseInt(hex.slice(1), 16);
  return [((number >> 16) & 255) / 255, ((number >> 8) & 255) / 255, (number & 255) / 255];
}
