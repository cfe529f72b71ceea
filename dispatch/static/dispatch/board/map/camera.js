// Where the map looks: at everything, at what is selected, or after a driver who is leaving the picture.

import { memory } from "../dom.js";
import { latOf, lngOf } from "./fleet.js";
import { projectionOf } from "./projection.js";

/** @typedef {import("./projection.js").Point} Point */

/** After a selection the panel takes its room from the map; so long afterwards that still counts as part of it. */
const SETTLING_MS = 1500;
/** A driver closer than so many pixels to the edge is leaving the picture. */
const EDGE_PX = 40;

/**
 * @param {{
 *   shown: import("./map.js").Shown, store: import("../store.js").Store,
 *   covered: () => {width: number, height: number},
 * }} context `covered`: so much of the upper right corner is under the list of the nearest
 */
export function createCamera({ shown, store, covered }) {
  const { fleet, journeys } = shown;
  let follows = memory.get("follow") !== false;
  let selectedAt = 0;

  /** @param {Point[]} points @param {{jump?: boolean, closest?: number}} [how] */
  function show(points, { jump = false, closest = 15 } = {}) {
    const { map } = shown;
    if (!map || !points.length) return;
    const xs = points.map((point) => point.x);
    const ys = points.map((point) => point.y);
    const { clientWidth: width, clientHeight: height } = map.getContainer();
    const list = covered();
    const pad = Math.min(70, height / 6, width / 6);
    // Beside the list or below it, where there is more room.
    const isBeside = (width - list.width) * height > width * (height - list.height);
    map.fitBounds(
      [
        [lngOf(Math.min(...xs)), latOf(Math.max(...ys))],
        [lngOf(Math.max(...xs)), latOf(Math.min(...ys))],
      ],
      {
        padding: {
          top: isBeside ? pad : Math.min(pad + list.height, height - 2 * pad),
          bottom: pad,
          left: pad,
          right: isBeside ? Math.min(pad + list.width, width - 2 * pad) : pad,
        },
        maxZoom: closest,
        animate: !jump,
        duration: 400,
      },
    );
  }

  /** @param {{jump?: boolean}} [how] */
  function fitAll(how = {}) {
    const all = fleet.bounds();
    const points = [...journeys.values()].flatMap((journey) => [journey.from, journey.to]);
    if (all) points.push({ x: all.west, y: all.north }, { x: all.east, y: all.south });
    show(points, how);
  }

  /** What the selection is about, as points. */
  function selectedPoints() {
    const { order, driver } = store.selection;
    const journey = order ? journeys.get(order) : undefined;
    const found = [];
    if (journey?.order.status === "pending" && shown.candidates.drivers.length) {
      // Who could take it, near the pickup, is what is to be decided.
      found.push(journey.from, ...shown.candidates.drivers.map((id) => fleet.find(id)));
    } else if (journey) found.push(journey.from, journey.to, fleet.find(journey.order.driver ?? -1));
    if (driver !== null) found.push(fleet.find(driver));
    return found.flatMap((point) => point ?? []);
  }

  function showSelection() {
    const { map } = shown;
    const points = selectedPoints();
    const [point] = points;
    if (points.length === 1 && point && map) {
      map.easeTo({ center: [lngOf(point.x), latOf(point.y)], zoom: Math.max(map.getZoom(), 15), duration: 400 });
    } else show(points, { closest: 16 });
  }

  return {
    show,
    fitAll,
    get follows() {
      return follows;
    },
    /** @param {boolean} on */
    follow(on) {
      follows = on;
      memory.set("follow", on);
      if (on) showSelection();
    },
    /** Something else is selected. */
    selected() {
      selectedAt = performance.now();
      if (follows) showSelection();
    },
    /** The map has another size, or more is known: if it is what was just selected, look there again. */
    again() {
      if (follows && performance.now() - selectedAt < SETTLING_MS) showSelection();
    },
    /** Go after the selected driver. */
    keepInView() {
      const { map } = shown;
      const { driver } = store.selection;
      const place = driver === null ? null : fleet.find(driver);
      if (!follows || !place || !map || map.isMoving()) return;
      const { project, width, height } = projectionOf(map);
      const on = project(place);
      if (on.x < EDGE_PX || on.y < EDGE_PX || on.x > width - EDGE_PX || on.y > height - EDGE_PX) {
        map.easeTo({ center: [lngOf(place.x), latOf(place.y)], duration: 400 });
      }
    },
  };
}
