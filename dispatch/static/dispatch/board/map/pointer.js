// What is under the pointer: said in a tip beside it, and what a click on it does.

import { h, say } from "../dom.js";
import { label, ms, plural, span, statusWord, where } from "../format.js";
import { FREE, STRIDE } from "./fleet.js";
import { DOT_PX } from "./fleetlayer.js";
import { STATE_WORDS } from "./legend.js";
import { clusterRadius } from "./overlay.js";
import { projectionOf } from "./projection.js";

/**
 * @typedef {import("./projection.js").Point} Point
 * @typedef {import("./projection.js").LatLng} LatLng
 * @typedef {{kind: "driver", driver: number} | {kind: "candidate", index: number} | {kind: "order", order: string}
 *   | {kind: "cluster", cluster: import("./fleet.js").Cluster}} Hit
 */

/**
 * @param {{
 *   shown: import("./map.js").Shown, store: import("../store.js").Store,
 *   camera: ReturnType<typeof import("./camera.js").createCamera>,
 *   picking: ReturnType<typeof import("./picking.js").createPicking>,
 *   assign: (index: number) => void,
 * }} context `assign`: to the candidate of this number
 */
export function createPointer({ shown, store, camera, picking, assign }) {
  const { fleet, journeys } = shown;
  const tip = h("div", { class: "map-tip", hidden: true, "aria-hidden": "true" });
  let pointed = 0;

  /** What is at a pixel of the map; the topmost. @param {number} x @param {number} y @returns {Hit | null} */
  function at(x, y) {
    if (!shown.map) return null;
    const { project } = projectionOf(shown.map);
    /** @param {Point} place @param {number} reach @param {number} [up] */
    const isNear = (place, reach, up = 0) => {
      const on = project(place);
      return Math.hypot(on.x - x, on.y - up - y) <= reach;
    };
    for (const [index, id] of shown.candidates.drivers.entries()) {
      const place = fleet.find(id);
      if (place && isNear(place, 13)) return { kind: "candidate", index };
    }
    let best = DOT_PX + 4;
    let driver = -1;
    for (let index = 0; index < fleet.packedCount; index += 1) {
      const on = project({
        x: /** @type {number} */ (fleet.packed[index * STRIDE]) + fleet.origin.x,
        y: /** @type {number} */ (fleet.packed[index * STRIDE + 1]) + fleet.origin.y,
      });
      const far = Math.hypot(on.x - x, on.y - y);
      if (far < best) {
        best = far;
        driver = /** @type {number} */ (fleet.packedIds[index]);
      }
    }
    if (driver >= 0) return { kind: "driver", driver };
    for (const journey of journeys.values()) {
      const isPinned = journey.order.id === store.selection.order;
      if (
        isNear(journey.from, isPinned ? 12 : 8, isPinned ? 20 : 0) ||
        isNear(journey.to, isPinned ? 12 : 7, isPinned ? 20 : 0)
      ) {
        return { kind: "order", order: journey.order.id };
      }
    }
    for (const cluster of fleet.clusters)
      if (isNear(cluster, clusterRadius(cluster.count))) return { kind: "cluster", cluster };
    return null;
  }

  /** @param {Hit | null} hit */
  function describe(hit) {
    if (!hit) return "";
    if (hit.kind === "cluster") return `${plural(hit.cluster.count, "driver")}: ${hit.cluster.states[FREE]} free`;
    if (hit.kind === "order") {
      const order = store.orders.get(hit.order);
      return order ? `${label(order)}: ${statusWord(order)}\n${where(order.pickup)} → ${where(order.dropoff)}` : "";
    }
    const id = hit.kind === "candidate" ? (shown.candidates.drivers[hit.index] ?? -1) : hit.driver;
    const driver = store.drivers.get(id);
    if (!driver) return "";
    const state = STATE_WORDS[fleet.find(id)?.state ?? 0];
    const age = driver.last_seen ? `heard ${span(store.now() - ms(driver.last_seen))} ago` : "never heard";
    const text = `${driver.name ?? id}\n${state}, ${driver.load ?? 0} of ${driver.capacity ?? 1}, ${age}`;
    return hit.kind === "candidate" ? `Give it to ${text}` : text;
  }

  return {
    tip,
    at,

    /** @param {Point} pixel @param {LatLng} place */
    clicked(pixel, place) {
      if (picking.isUnderWay) {
        picking.end({ lat: place.lat, lng: place.lng });
        return;
      }
      const hit = at(pixel.x, pixel.y);
      if (!hit) return;
      if (hit.kind === "candidate") assign(hit.index);
      else if (hit.kind === "driver") store.select({ driver: hit.driver });
      else if (hit.kind === "order") store.select({ order: hit.order });
      else {
        const { west, north, east, south } = hit.cluster;
        const corners = [
          { x: west, y: north },
          { x: east, y: south },
        ];
        camera.show(corners, { closest: 17 });
      }
    },

    /** @param {Point} pixel */
    moved({ x, y }) {
      cancelAnimationFrame(pointed);
      pointed = requestAnimationFrame(() => {
        const hit = picking.isUnderWay ? null : at(x, y);
        const text = describe(hit);
        tip.hidden = !text;
        say(tip, text);
        tip.style.transform = `translate(${Math.round(x + 14)}px, ${Math.round(y + 14)}px)`;
        if (shown.map) shown.map.getCanvas().style.cursor = picking.isUnderWay ? "crosshair" : hit ? "pointer" : "";
      });
    },

    left() {
      cancelAnimationFrame(pointed);
      tip.hidden = true;
    },
  };
}
