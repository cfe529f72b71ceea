/** Where things are from each other, and how to open a place in a map. */

import { current } from "./prefs.js";

/** @typedef {{ lat: number, lng: number }} Point */

const EARTH_M = 6_371_000;
const DIRECTIONS = ["n", "ne", "e", "se", "s", "sw", "w", "nw"];

/** @param {number} degrees */
function radians(degrees) {
  return (degrees * Math.PI) / 180;
}

/**
 * Metres between two points, as the crow flies.
 * @param {Point} from
 * @param {Point} to
 */
export function metres(from, to) {
  const half =
    Math.sin(radians(to.lat - from.lat) / 2) ** 2 +
    Math.cos(radians(from.lat)) * Math.cos(radians(to.lat)) * Math.sin(radians(to.lng - from.lng) / 2) ** 2;
  return 2 * EARTH_M * Math.asin(Math.sqrt(half));
}

/**
 * One of the eight points of the compass.
 * @param {Point} from
 * @param {Point} to
 */
export function direction(from, to) {
  const east = (to.lng - from.lng) * Math.cos(radians((from.lat + to.lat) / 2));
  const angle = (Math.atan2(east, to.lat - from.lat) * 180) / Math.PI;
  return DIRECTIONS[Math.round((angle + 360) / 45) % 8] ?? "n";
}

/** @param {{ lat: number, lng: number, address: string }} place */
export function mapLink(place) {
  const at = `${place.lat},${place.lng}`;
  switch (current().maps) {
    case "google":
      return `https://www.google.com/maps/dir/?api=1&destination=${encodeURIComponent(at)}`;
    case "apple":
      return `https://maps.apple.com/?daddr=${encodeURIComponent(at)}`;
    case "osm":
      return `https://www.openstreetmap.org/directions?to=${encodeURIComponent(at)}`;
    default:
      return `geo:${at}?q=${at}(${encodeURIComponent(place.address)})`;
  }
}

/** @param {string} phone */
export function callLink(phone) {
  return `tel:${phone.replace(/[^\d+*#]/g, "")}`;
}
