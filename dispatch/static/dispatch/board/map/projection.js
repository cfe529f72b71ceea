// Places on the map and on the screen. The map is flat and points north, so this is one multiplication.

import { mercatorX, mercatorY } from "./fleet.js";

/** @import {Map as MapLibreMap} from "maplibre-gl" */
/**
 * @typedef {import("./overlay.js").Point} Point
 * @typedef {{lat: number, lng: number}} LatLng
 */

/** @param {LatLng} place @returns {Point} mercator */
export const pointOf = (place) => ({ x: mercatorX(place.lng), y: mercatorY(place.lat) });

/** Mercator to pixels, for this frame. @param {MapLibreMap} map */
export function projectionOf(map) {
  const centre = pointOf(map.getCenter());
  const scale = 512 * 2 ** map.getZoom();
  const { clientWidth: width, clientHeight: height } = map.getContainer();
  return {
    width,
    height,
    zoom: map.getZoom(),
    /** @param {Point} place */
    project: (place) => ({ x: (place.x - centre.x) * scale + width / 2, y: (place.y - centre.y) * scale + height / 2 }),
  };
}
